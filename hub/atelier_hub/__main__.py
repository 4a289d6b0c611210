"""`python -m atelier_hub` starts the control plane."""

import gc

gc.disable()  # until it serves: what a start makes stays, and to look for garbage in it would take a sixth of the time

from atelier_hub.app import main  # noqa: E402

main()
