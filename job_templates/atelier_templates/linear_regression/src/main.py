"""Trains a linear regression."""

import step
import training
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

ROUNDS = 10_000

given = step.parameters()
strength = given["strength"]
kinds = {
    "none": LinearRegression(),
    "l2": Ridge(alpha=strength),
    "l1": Lasso(alpha=strength, max_iter=ROUNDS),
    "both": ElasticNet(alpha=strength, max_iter=ROUNDS),
}
training.train("linear-regression", regressor=kinds[given["penalty"]], scale=True)
