"""The control plane: the only writer of platform state."""

import sys

# httpx brings a command line with it wherever rich is installed, a tenth of what is imported here. Nobody uses it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
