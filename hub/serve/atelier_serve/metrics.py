"""What the server counts, as Prometheus reads it and as Triton's clients ask for it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Any

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Durations by upper bounds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """As Prometheus reads it: each bucket counts what is below it, too."""
        total = 0
        for bound, count in zip((*BOUNDS, "+Inf"), self.counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self.sum}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """Of one model since the process began."""

    def __init__(self, model: str, version: str) -> None:
        self._labels = f'model="{_escaped(model)}",version="{_escaped(version)}"'
        self.answers: Counter[int] = Counter()
        self.answered = Histogram()
        self.failed = Histogram()
        self.predicted = Histogram()
        self.active = 0
        self.rows = 0
        self.load_seconds = 0.0
        self.last_inference = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count an answer to an inference request."""
        self.answers[status] += 1
        (self.answered if status < 400 else self.failed).add(seconds)
        self.last_inference = time.time()

    def text(self) -> str:
        """Prometheus' text format."""
        labels, name = self._labels, "atelier_serve"
        lines = [
            f"# HELP {name}_requests_total Inference requests by status.",
            f"# TYPE {name}_requests_total counter",
            *(f'{name}_requests_total{{{labels},code="{status}"}} {n}' for status, n in sorted(self.answers.items())),
            f"# HELP {name}_errors_total Inference requests that were not answered as asked.",
            f"# TYPE {name}_errors_total counter",
            f"{name}_errors_total{{{labels}}} {self.failed.count}",
            f"# HELP {name}_request_seconds From the whole head of a request to its answer.",
            f"# TYPE {name}_request_seconds histogram",
            *self.answered.lines(f"{name}_request_seconds", labels),
            f"# HELP {name}_predict_seconds What the model itself took.",
            f"# TYPE {name}_predict_seconds histogram",
            *self.predicted.lines(f"{name}_predict_seconds", labels),
            f"# HELP {name}_rows_total Rows that were predicted.",
            f"# TYPE {name}_rows_total counter",
            f"{name}_rows_total{{{labels}}} {self.rows}",
            f"# HELP {name}_requests_active Inference requests under way.",
            f"# TYPE {name}_requests_active gauge",
            f"{name}_requests_active{{{labels}}} {self.active}",
            f"# HELP {name}_model_load_seconds How long the model took to load.",
            f"# TYPE {name}_model_load_seconds gauge",
            f"{name}_model_load_seconds{{{labels}}} {self.load_seconds}",
        ]
        return "\n".join(lines) + "\n"

    def triton(self, model: str, version: str) -> dict[str, Any]:
        """The statistics extension of the protocol."""

        def part(histogram: Histogram) -> dict[str, int]:
            return {"count": histogram.count, "ns": int(histogram.sum * 1e9)}

        nothing = {"count": 0, "ns": 0}
        return {
            "name": model,
            "version": version,
            "last_inference": int(self.last_inference * 1000),
            "inference_count": self.rows,
            "execution_count": self.predicted.count,
            "inference_stats": {
                "success": part(self.answered),
                "fail": part(self.failed),
                "queue": nothing,
                "compute_input": nothing,
                "compute_infer": part(self.predicted),
                "compute_output": nothing,
            },
            "batch_stats": [],
        }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
