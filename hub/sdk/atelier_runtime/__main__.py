"""Entry point: `python -m atelier_runtime COMMAND`, or the folder itself as a program, outside any import path."""

from __future__ import annotations

import sys


def _load_package() -> None:
    """Make `atelier_runtime` importable without putting its neighbours on the image's import path."""
    import importlib.util
    import os

    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "atelier_runtime", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"atelier_runtime is incomplete: {folder}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["atelier_runtime"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    if not __package__:
        _load_package()
    from atelier_runtime.cli import main

    sys.exit(main(sys.argv[1:]))
