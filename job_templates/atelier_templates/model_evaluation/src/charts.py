"""Charts as ECharts options, and the confusion matrix as a picture."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

MAX_CURVES = 20
MAX_POINTS = 100
MAX_ROWS = 1000


def heatmap(matrix: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Truth from top to bottom, answers from left to right."""
    cells = [[column, row, int(matrix[row, column])] for row in range(len(names)) for column in range(len(names))]
    return {
        "tooltip": {"position": "top"},
        "grid": {"containLabel": True},
        "xAxis": {"type": "category", "name": "answer", "data": names},
        "yAxis": {"type": "category", "name": "truth", "data": names, "inverse": True},
        "visualMap": {"min": 0, "max": max(1, int(matrix.max())), "calculable": True, "orient": "horizontal"},
        "series": [{"type": "heatmap", "data": cells, "label": {"show": len(names) <= MAX_CURVES}}],
    }


def bars(classes: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """F1 of each class, the models side by side."""
    names = list(next(iter(classes.values()))["class"])
    series = [{"type": "bar", "name": name, "data": _rounded(table["f1"])} for name, table in classes.items()]
    return {
        "tooltip": {"trigger": "axis"},
        "legend": {"data": list(classes)},
        "xAxis": {"type": "category", "name": "class", "data": names},
        "yAxis": {"type": "value", "name": "F1", "min": 0, "max": 1},
        "series": series,
    }


def roc(truth: np.ndarray, scores: np.ndarray, classes: list[Any]) -> dict[str, Any]:
    """One curve for each class against all others."""
    lines = {}
    for index, one in _drawn(truth, classes):
        wrong, right, _ = metrics.roc_curve(truth == one, scores[:, index])
        lines[f"{one} (area {metrics.auc(wrong, right):.3f})"] = (wrong, right)
    return _lines(lines, "false positive rate", "true positive rate")


def precision_recall(truth: np.ndarray, scores: np.ndarray, classes: list[Any]) -> dict[str, Any]:
    """One curve for each class against all others."""
    lines = {}
    for index, one in _drawn(truth, classes):
        precision, recall, _ = metrics.precision_recall_curve(truth == one, scores[:, index])
        average = metrics.average_precision_score(truth == one, scores[:, index])
        lines[f"{one} (average {average:.3f})"] = (recall[::-1], precision[::-1])
    return _lines(lines, "recall", "precision")


def against(truth: np.ndarray, said: np.ndarray, label: str) -> dict[str, Any]:
    """A point for each row, and the line on which all would lie if the model were right."""
    keep = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), MAX_ROWS)).astype(int))
    points = [list(point) for point in zip(_rounded(truth[keep]), _rounded(said[keep]), strict=True)]
    ends = _rounded((min(truth.min(), said.min()), max(truth.max(), said.max())))
    line = {"type": "line", "name": "right", "showSymbol": False, "data": [[end, end] for end in ends]}
    return {
        "tooltip": {"trigger": "item"},
        "xAxis": {"type": "value", "name": f"{label}: truth", "scale": True},
        "yAxis": {"type": "value", "name": "answer", "scale": True},
        "series": [{"type": "scatter", "symbolSize": 6, "data": points}, line],
    }


def histogram(values: np.ndarray, name: str) -> dict[str, Any]:
    """How often which values come."""
    counts, edges = np.histogram(values, bins=min(30, max(5, len(values) // 10)))
    return columns([f"{low:.3g} … {high:.3g}" for low, high in pairwise(edges)], counts, name)


def columns(names: list[str], counts: Any, axis: str = "") -> dict[str, Any]:
    """A column for each name."""
    return {
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "name": axis, "data": names},
        "yAxis": {"type": "value", "name": "rows"},
        "series": [{"type": "bar", "data": [int(count) for count in counts]}],
    }


def save_heatmap(matrix: np.ndarray, names: list[str], title: str, file: Path) -> None:
    """The same heat map as a PNG file."""
    # The home folder may not be writable; Matplotlib keeps its font cache there.
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp())
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    axes.imshow(matrix, cmap="Blues")
    axes.set(title=title, xlabel="answer", ylabel="truth")
    axes.set_xticks(range(len(names)), names, rotation=45 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    for row, column in np.ndindex(matrix.shape) if len(names) <= MAX_CURVES else ():
        shade = "white" if matrix[row, column] > matrix.max() / 2 else "black"
        axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=shade)
    figure.savefig(file, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _drawn(truth: np.ndarray, classes: list[Any]) -> list[tuple[int, Any]]:
    """The classes for which a curve exists: some rows are of it and some are not; of two classes the second."""
    found = [(index, one) for index, one in enumerate(classes) if 0 < int((truth == one).sum()) < len(truth)]
    return found[1:] if len(classes) == 2 and len(found) == 2 else found


def _lines(lines: dict[str, tuple[np.ndarray, np.ndarray]], across: str, up: str) -> dict[str, Any]:
    series = []
    for name, (x, y) in lines.items():
        keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).astype(int))
        points = [list(point) for point in zip(_rounded(x[keep]), _rounded(y[keep]), strict=True)]
        series.append({"type": "line", "name": name, "showSymbol": False, "data": points})
    return {
        "tooltip": {"trigger": "item"},
        "legend": {"type": "scroll", "data": list(lines)},
        "xAxis": {"type": "value", "name": across, "min": 0, "max": 1},
        "yAxis": {"type": "value", "name": up, "min": 0, "max": 1},
        "series": series,
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]
