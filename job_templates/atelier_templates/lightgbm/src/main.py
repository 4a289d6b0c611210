"""Trains LightGBM."""

import boosting
import lightgbm
import model_folder
import numpy as np
import step

given = step.parameters()
known = boosting.prepare("lightgbm")
kind = lightgbm.LGBMClassifier if known.classes else lightgbm.LGBMRegressor
model = kind(
    n_estimators=given["rounds"],
    learning_rate=given["learning_rate"],
    num_leaves=given["leaves"],
    min_child_samples=given["min_rows"],
    reg_lambda=given["l2"],
    random_state=given["seed"],
    deterministic=True,
    force_row_wise=True,
    n_jobs=1,
    verbose=-1,
)
boosting.fit(model, known)
model.booster_.save_model(known.file("model.txt"))
settings = {"data": "model.txt", "model_class": "lightgbm.basic.Booster", "lgb_version": lightgbm.__version__}
flavor = model_folder.Flavor("lightgbm", "model.txt", settings, ("lightgbm", "scikit-learn"))
gains = np.asarray(model.booster_.feature_importance("gain"), dtype="float64")
boosting.finish(known, flavor, model.booster_.predict, model.predict(known.rows), gains)
