"""`python -m atelier_gateway`."""

from atelier_gateway.app import main

main()
