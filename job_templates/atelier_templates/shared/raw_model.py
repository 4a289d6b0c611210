"""Puts preprocessing and a trained model together: one scikit-learn pipeline that takes raw rows.

It is made of scikit-learn's own parts with what was learnt set into them, so whoever has scikit-learn can load it.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import step
import tabular
from preprocessing import ENCODE, FILL, MARK, NUMBER, SCALE, Group, Preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

_CLOSE = 1e-9
_GAP = "\x00missing"


def join(before: Preprocessing, trained: Pipeline, dataset: tabular.Dataset) -> Pipeline:
    """The pipeline; what it makes of the sample must be what the model has learnt from."""
    if not any(one.operations for one in before.groups):
        return trained
    numbers = [one for one in before.groups if one.number]
    texts = [one for one in before.groups if not one.number]
    if [name for one in numbers for name in one.names] != dataset.numbers:
        step.fail("Columns of the input train hold something else than the input preprocessing says. Connect train and "
                  "preprocessing of one step with each other.")  # fmt: skip
    prepare = _numbers(numbers, before.sample) if numbers else None
    if prepare is not None:
        _check(prepare.transform(before.sample), dataset, before.rows)
    for part in (trained, *(one for _, one in trained.steps)):
        vars(part).pop("feature_names_in_", None)  # the parts before it give bare matrices
    if not texts:
        return Pipeline([*_named(prepare), *trained.steps])
    columns = _with_texts(prepare, numbers, texts, trained, before)
    return Pipeline([("columns", columns), *trained.steps[1:]])


def _named(prepare: Any) -> list[tuple[str, Any]]:
    return prepare.steps if isinstance(prepare, Pipeline) else [("prepare", prepare)]


def _with_texts(
    prepare: Any, numbers: list[Group], texts: list[Group], trained: Pipeline, before: Preprocessing
) -> ColumnTransformer:
    """Texts are encoded inside the model: each kind of column gets what was done before and what the model does."""
    inside = trained.steps[0][1].named_transformers_
    parts: list[tuple[str, Any, list[str]]] = []
    if prepare is not None:
        scale = inside["numbers"]
        vars(scale).pop("feature_names_in_", None)
        more = [("scale", scale)] if isinstance(scale, StandardScaler) else []
        chain = Pipeline([*[(f"prepare_{name}", one) for name, one in _named(prepare)], *more])
        parts.append(("numbers", chain, list(dict.fromkeys(one.raw for one in numbers))))
    encoder = inside["texts"]
    vars(encoder).pop("feature_names_in_", None)
    raw = [one.raw for one in texts]
    filled = [("fill", _named_after(raw, _fill(texts, 0)))] if texts[0].steps else []
    if len({one.steps for one in texts}) > 1:
        step.fail("Some columns with texts are filled and others not; a model cannot take that in. Fill all or none.")
    parts.append(("texts", Pipeline([*filled, ("encode", encoder)]), raw))
    return _fitted(parts, before.sample)


def _numbers(groups: list[Group], sample: pd.DataFrame) -> Any:
    """From raw columns to a matrix of the prepared ones, in their order."""
    blocks = [list(block) for _, block in groupby(enumerate(groups), key=_alike)]
    chains = [_chain([one for _, one in block], sample) for block in blocks]
    columns = [[one.raw for _, one in block] for block in blocks]
    if len(blocks) == 1 and columns[0] == list(sample.columns):
        return chains[0]
    parts = [(f"part{at}", chain, names) for at, (chain, names) in enumerate(zip(chains, columns, strict=True), 1)]
    return _fitted(parts, sample)


def _alike(one: tuple[int, Group]) -> Any:
    """Neighbours with the same operations are treated together, but for categories."""
    at, group = one
    return (at,) if ENCODE in group.steps else (group.kind, group.steps)


def _fitted(parts: list[tuple[str, Any, list[str]]], sample: pd.DataFrame) -> ColumnTransformer:
    """Parts that have learnt already beside each other; scikit-learn would teach them anew."""
    columns = ColumnTransformer(
        [(name, FrozenEstimator(part), names) for name, part, names in parts], sparse_threshold=0
    ).fit(sample)
    columns.transformers = parts
    columns.transformers_ = [*parts, *columns.transformers_[len(parts) :]]
    return columns


def _chain(groups: list[Group], sample: pd.DataFrame) -> Pipeline:
    """What is done to columns that are treated alike."""
    raw = sample[[one.raw for one in groups]]
    steps: list[tuple[str, Any]] = []
    for at, kind in enumerate(groups[0].steps):
        values = [one.operations[at] for one in groups]
        if kind == FILL and not {MARK, ENCODE} & set(groups[0].steps[:at]):  # behind those there are no gaps
            steps.append((f"fill{at}", _fill(groups, at)))
        elif kind == MARK:
            steps += _mark(groups[0].kind, len(groups), at)
        elif kind == SCALE:
            steps.append((f"scale{at}", _scale(_all(values, "middles"), _all(values, "widths"))))
        elif kind == ENCODE:
            steps += _encode(values[0], at)
    if not steps:
        return Pipeline([("as_it_is", "passthrough")]).fit(raw)
    _named_after(list(raw.columns), steps[0][1])
    return Pipeline(steps)


def _named_after(columns: list[str], part: Any) -> Any:
    """The part knows which columns it takes."""
    part.feature_names_in_ = np.array(columns, dtype=object)
    return part


def _mark(kind: str, columns: int, at: int) -> list[tuple[str, Any]]:
    """1 where there is a gap. scikit-learn's indicator does not take texts: they get a text of their own first."""
    if kind == NUMBER:
        return [(f"mark{at}", MissingIndicator(features="all").fit(np.zeros((1, columns))))]
    row = np.array([[_GAP] * columns], dtype=object)
    imputer = SimpleImputer(missing_values=pd.NA, strategy="most_frequent").fit(row)
    gaps = OneHotEncoder(categories=[[_GAP]] * columns, handle_unknown="ignore", sparse_output=False).fit(row)
    return [(f"gap{at}", imputer), (f"mark{at}", gaps)]


def _all(values: list[dict[str, Any]], key: str) -> list[Any]:
    return [one for value in values for one in value[key]]


def _fill(groups: list[Group], at: int) -> SimpleImputer:
    """Learns from the one row that holds what is to be filled in."""
    values = _all([one.operations[at] for one in groups], "values")
    numbers = isinstance(values[0], float)
    row = np.array([values], dtype="float64" if numbers else object)
    strategy = "median" if numbers else "most_frequent"
    return SimpleImputer(missing_values=np.nan if numbers else pd.NA, strategy=strategy).fit(row)


def _scale(middles: list[float], widths: list[float]) -> StandardScaler:
    made = StandardScaler().fit(np.zeros((1, len(middles))))
    made.mean_, made.scale_ = np.array(middles, dtype="float64"), np.array(widths, dtype="float64")
    made.var_ = made.scale_**2
    return made


def _encode(values: dict[str, Any], at: int) -> list[tuple[str, Any]]:
    """A column for each category, of which the new columns are sums with weights."""
    categories = values["categories"]
    numbers = not isinstance(categories[0], str)
    column = np.array(categories, dtype="float64" if numbers else object).reshape(-1, 1)
    encoder = OneHotEncoder(categories=[column.ravel()], handle_unknown="ignore", sparse_output=False).fit(column)
    weights = np.array(values["weights"], dtype="float64")
    if weights.shape == (len(categories),) * 2 and (weights == np.eye(len(categories))).all():
        return [(f"encode{at}", encoder)]
    sums = TruncatedSVD(n_components=len(weights))
    sums.components_, sums.n_features_in_ = weights, weights.shape[1]
    return [(f"encode{at}", encoder), (f"sums{at}", sums)]


def _check(found: np.ndarray, dataset: tabular.Dataset, rows: list[int]) -> None:
    """The two inputs must belong together."""
    wanted = dataset.frame[dataset.numbers].iloc[rows].to_numpy("float64")
    if not np.allclose(np.asarray(found, dtype="float64"), wanted, rtol=_CLOSE, atol=_CLOSE, equal_nan=True):
        step.fail("The input train is not what the input preprocessing makes of raw rows: something else was done to "
                  "them. Connect train and preprocessing of one step with each other.")  # fmt: skip
