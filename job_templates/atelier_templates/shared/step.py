"""What every template's program does with its surroundings: parameters in; outputs, values and views out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn


def parameters() -> dict[str, Any]:
    """The step's parameters, defaults included."""
    found: dict[str, Any] = json.loads(Path(os.environ["ATELIER_PARAMETERS"]).read_text("utf-8"))
    return found


def code_folder() -> Path:
    """The pipeline's own folder."""
    return Path(os.environ["ATELIER_CODE"])


def input_path(name: str) -> Path | None:
    """Where an input lies; None if it is not connected."""
    path = Path(os.environ["ATELIER_INPUTS"], name)
    return path if path.exists() else None


def needed(name: str) -> Path:
    """Where an input lies that the step cannot do without."""
    return input_path(name) or fail(f"The input {name!r} is not connected.")


def output_path(name: str) -> Path:
    """Where an output goes."""
    folder = Path(os.environ["ATELIER_OUTPUTS"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def write_values(values: dict[str, Any]) -> None:
    """Leave small values for the steps behind this one."""
    write_json(output_path("outputs.json"), values)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is the same for the same value."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def fail(sentence: str) -> NoReturn:
    """End the step with a sentence for the person who runs it."""
    raise SystemExit(f"error: {sentence}")


class Views:
    """What a person sees of a step: collected here, written to results/metric.json."""

    def __init__(self) -> None:
        self.folder = Path(os.environ["ATELIER_RESULTS"])
        self.folder.mkdir(parents=True, exist_ok=True)
        self._views: list[dict[str, Any]] = []

    def table(self, describe: str, frame: Any, file: str) -> None:
        """A table, from a data frame."""
        frame.to_csv(self.folder / file, index=False, lineterminator="\n")
        self._views.append({"metric_type": "table", "describe": describe, "file_path": file})

    def metrics(self, describe: str, values: dict[str, float]) -> None:
        """Named numbers."""
        self._views.append({"metric_type": "metrics", "describe": describe, "metrics": values})

    def text(self, describe: str, text: str) -> None:
        """A few sentences."""
        self._views.append({"metric_type": "text", "describe": describe, "text": text})

    def chart(self, describe: str, option: dict[str, Any]) -> None:
        """A chart as an ECharts option."""
        self._views.append({"metric_type": "echarts", "describe": describe, "option": option})

    def image(self, describe: str, file: str) -> Path:
        """A picture; returns where to save it."""
        self._views.append({"metric_type": "image", "describe": describe, "image": file})
        return self.folder / file

    def write(self) -> None:
        """Leave the views where Atelier looks for them."""
        write_json(self.folder / "metric.json", self._views)
