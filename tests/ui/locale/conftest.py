"""The stories of this folder begin in a Lab that has started to the end."""

from tests.ui.runs.settled import lab

__all__ = ["lab"]
