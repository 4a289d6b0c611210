"""What only this machine can do, because the files are here: check, run and compare them, and look into them."""
