"""Trains gradient-boosted trees."""

import step
import training
from sklearn import ensemble

given = step.parameters()
histogram = given["method"] == "histogram"
rounds = "max_iter" if histogram else "n_estimators"
chosen = {
    rounds: given["rounds"],
    "learning_rate": given["learning_rate"],
    "max_depth": given["max_depth"] or None,
    "random_state": given["seed"],
}
kind = "HistGradientBoosting" if histogram else "GradientBoosting"
training.train(
    "gbdt",
    classifier=getattr(ensemble, f"{kind}Classifier")(**chosen),
    regressor=getattr(ensemble, f"{kind}Regressor")(**chosen),
    gaps=histogram,
)
