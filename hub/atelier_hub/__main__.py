"""`python -m atelier_hub` starts the control plane."""

from atelier_hub.app import main

main()
