"""Tests one or two models and shows how they did."""

from __future__ import annotations

from typing import Any

import classifiers
import clusterings
import model_folder
import pandas as pd
import regressors
import step
import tabular

FAMILIES: dict[str, Any] = {
    tabular.CLASSIFICATION: classifiers, tabular.REGRESSION: regressors, tabular.CLUSTERING: clusterings,
}  # fmt: skip


def main() -> None:
    """Test, compare, show."""
    given = step.parameters()
    dataset = tabular.read(step.needed("data"))
    models = [model_folder.load(step.needed("model"))]
    other = step.input_path("other")
    if other is not None:
        models.append(model_folder.load(other))
    family = family_of(models)
    measure = measure_of(family, given["decide_by"])
    tested = [family.test(dataset, one) for one in models]
    make_names_differ(tested)
    sign = -1 if measure in family.LOWER_IS_BETTER else 1
    best = max(tested, key=lambda one: sign * one.numbers[measure])
    step.write_values({**best.numbers, "best": best.name})
    report = {one.name: {**one.numbers, **one.report} for one in tested}
    rows = len(dataset.frame)
    step.write_json(step.output_path("metrics"), {"best": best.name, "rows": rows, "models": report})
    show(family, tested, best, rows, given["curves"])


def family_of(models: list[model_folder.Model]) -> Any:
    """What the models do; two must do the same."""
    tasks = [one.about["task"] for one in models]
    if len(set(tasks)) > 1:
        step.fail(f"The models cannot be compared: {tasks[0]} and {tasks[1]}. Connect two models that do the same.")
    return FAMILIES[tasks[0]]


def measure_of(family: Any, wanted: str) -> str:
    """By what the better model is chosen."""
    if wanted == "auto":
        return str(family.MEASURES[0])
    if wanted not in family.MEASURES:
        step.fail(f"{wanted!r} does not say how good such models are. Choose auto, or one of: "
                  f"{', '.join(family.MEASURES)}.")  # fmt: skip
    return wanted


def make_names_differ(tested: list[Any]) -> None:
    """Two models of one algorithm are told apart by the input that they came by."""
    if len(tested) == 2 and tested[0].name == tested[1].name:
        tested[0].name, tested[1].name = f"{tested[0].name} (model)", f"{tested[1].name} (other)"


def show(family: Any, tested: list[Any], best: Any, rows: int, curves: bool) -> None:
    """Numbers first, then where the models err, then curves."""
    views = step.Views()
    views.text("Result", f"{best.name} did best: {in_words(best.numbers)} on {rows} rows.")
    views.table("Models", pd.DataFrame([{"model": one.name, **one.numbers} for one in tested]), "models.csv")
    for number, one in enumerate(tested, 1):
        views.metrics(one.name, one.numbers)
        family.show_one(views, one, number, curves)
    family.show_all(views, tested)
    views.write()
    for one in tested:
        print(f"{one.name}: {in_words(one.numbers)}")


def in_words(numbers: dict[str, float]) -> str:
    """Named numbers as a line."""
    return ", ".join(f"{name.replace('macro_f1', 'macro F1')} {value:.4f}" for name, value in numbers.items())


main()
