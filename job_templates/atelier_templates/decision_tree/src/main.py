"""Trains a decision tree."""

import pandas as pd
import step
import training
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, export_text

SHOWN = 4


def words(model: Pipeline, rows: pd.DataFrame) -> str:
    """The upper questions of the tree."""
    names = list(model[:-1].get_feature_names_out() if len(model) > 1 else rows.columns)
    return str(export_text(model[-1], feature_names=names, max_depth=SHOWN))


given = step.parameters()
chosen = {
    "max_depth": given["max_depth"] or None,
    "min_samples_leaf": given["min_rows"],
    "random_state": given["seed"],
}
training.train(
    "decision-tree",
    classifier=DecisionTreeClassifier(**chosen),
    regressor=DecisionTreeRegressor(**chosen),
    explain=words,
)
