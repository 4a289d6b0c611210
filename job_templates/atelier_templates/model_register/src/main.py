"""Makes a model a version of a registered model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import control_plane
import step

LOWER_IS_BETTER = ("rmse", "mae")


def main() -> None:
    """Check, register, show."""
    given = step.parameters()
    if given["measure"]:
        check(given["measure"], given["bound"])
    body = {"name": given["name"], "input": "model", "note": given["note"]}
    made = control_plane.ask("POST", "models", body)
    step.write_values({"version": made["number"], "reference": made["reference"]})
    views = step.Views()
    views.text("Registered", f"{made['name']}, version {made['number']}: {made['reference']}")
    if made["metrics"]:
        views.metrics("What was measured", made["metrics"])
    views.write()
    print(f"{made['reference']} is registered.")


def check(measure: str, bound: float) -> None:
    """End the step if the model is not good enough."""
    report = json.loads(step.needed("metrics").read_text("utf-8"))
    name, numbers = measured(report)
    if measure not in numbers:
        step.fail(f"Evaluate did not measure {measure!r} of {name}. It measured: {', '.join(sorted(numbers))}.")
    found, lower = numbers[measure], measure in LOWER_IS_BETTER
    if (found > bound) if lower else (found < bound):
        step.fail(f"{name} is not registered: its {measure} is {found:.4f}, and {'at most' if lower else 'at least'} "
                  f"{bound:g} was asked for.")  # fmt: skip
    print(f"{name}: {measure} {found:.4f} is as good as {bound:g}.")


def measured(report: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """The numbers of this model: by its algorithm, or the only ones there are."""
    models = report["models"]
    about = step.needed("model") / "model.json"
    algorithm = json.loads(about.read_text("utf-8"))["algorithm"] if Path(about).is_file() else ""
    name = algorithm if algorithm in models else next(iter(models))
    if name != algorithm and len(models) > 1:
        step.fail(f"Evaluate compared {' and '.join(models)}; which of them is this model? Evaluate it alone.")
    return name, {key: value for key, value in models[name].items() if isinstance(value, int | float)}


main()
