"""Trains a logistic regression."""

import classification
import step
from sklearn.linear_model import LogisticRegression

given = step.parameters()
classification.train(
    "logistic-regression",
    LogisticRegression(
        C=given["strength"],
        max_iter=given["max_iterations"],
        class_weight="balanced" if given["balanced"] else None,
    ),
)
