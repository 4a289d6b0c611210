"""Trains XGBoost."""

import boosting
import model_folder
import step
import xgboost

given = step.parameters()
known = boosting.prepare("xgboost")
kind = xgboost.XGBClassifier if known.classes else xgboost.XGBRegressor
model = kind(
    n_estimators=given["rounds"],
    learning_rate=given["learning_rate"],
    max_depth=given["max_depth"],
    subsample=given["row_share"],
    reg_lambda=given["l2"],
    random_state=given["seed"],
    tree_method="hist",
    n_jobs=1,
)
boosting.fit(model, known)
model.save_model(known.file("model.ubj"))
settings = {
    "data": "model.ubj",
    "model_class": f"xgboost.sklearn.{kind.__name__}",
    "model_format": "ubj",
    "xgb_version": xgboost.__version__,
}
flavor = model_folder.Flavor("xgboost", "model.ubj", settings, ("xgboost", "scikit-learn"))
boosting.finish(known, flavor, model.predict, model.predict(known.rows), model.feature_importances_)
