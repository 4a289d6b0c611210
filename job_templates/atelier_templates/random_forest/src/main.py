"""Trains a random forest."""

import classification
import step
from sklearn.ensemble import RandomForestClassifier

given = step.parameters()
classification.train(
    "random-forest",
    RandomForestClassifier(
        n_estimators=given["trees"],
        max_depth=given["max_depth"] or None,
        min_samples_leaf=given["min_rows"],
        random_state=given["seed"],
        n_jobs=1,
    ),
)
