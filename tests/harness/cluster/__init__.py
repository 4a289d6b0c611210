"""A real one-node Kubernetes for the tests: compiled from Go modules, no Docker, no registry but its own.

`python -m tests.harness.cluster up` from the repository root; see `fixtures.py` for use in tests.
"""
