"""The step shim: carries one replica of one attempt. Standard library only; `docs/step-shim.md` is its contract."""
