"""Trains AdaBoost."""

import step
import training
from sklearn.ensemble import AdaBoostClassifier, AdaBoostRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

given = step.parameters()
chosen = {
    "n_estimators": given["rounds"],
    "learning_rate": given["learning_rate"],
    "random_state": given["seed"],
}
training.train(
    "adaboost",
    classifier=AdaBoostClassifier(DecisionTreeClassifier(max_depth=given["max_depth"]), **chosen),
    regressor=AdaBoostRegressor(DecisionTreeRegressor(max_depth=given["max_depth"]), **chosen),
)
