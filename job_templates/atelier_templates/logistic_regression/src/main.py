"""Trains a logistic regression."""

import step
import training
from sklearn.linear_model import LogisticRegression

given = step.parameters()
training.train(
    "logistic-regression",
    classifier=LogisticRegression(
        C=given["strength"],
        max_iter=given["max_iterations"],
        class_weight="balanced" if given["balanced"] else None,
    ),
)
