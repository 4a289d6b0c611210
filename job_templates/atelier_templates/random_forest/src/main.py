"""Trains a random forest."""

import step
import training
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

given = step.parameters()
chosen = {
    "n_estimators": given["trees"],
    "max_depth": given["max_depth"] or None,
    "min_samples_leaf": given["min_rows"],
    "random_state": given["seed"],
    "n_jobs": 1,
}
training.train("random-forest", classifier=RandomForestClassifier(**chosen), regressor=RandomForestRegressor(**chosen))
