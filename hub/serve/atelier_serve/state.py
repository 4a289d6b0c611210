"""What changes while the process lives."""

from __future__ import annotations

from dataclasses import dataclass

from atelier_serve.lanes import Lanes
from atelier_serve.metrics import Metrics
from atelier_serve.served import Served


@dataclass
class State:
    """One model's process. `served` is None until the model is loaded."""

    name: str
    version: str
    metrics: Metrics
    max_bytes: int
    served: Served | None = None
    lanes: Lanes | None = None
    stopping: bool = False

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.served is not None and not self.stopping
