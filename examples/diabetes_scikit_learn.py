"""
Diabetes with MLPRegressor and BackpropRegressor
================================================

How far diabetes progressed within a year, predicted from ten measurements of a patient,
by two regressors at their default settings. Every prediction is of a patient that the
model has not seen.

Requires ``pip install ".[sklearn,plot]"``.
Run with ``python examples/diabetes_scikit_learn.py``.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbackprop import plot
from cbackprop.sklearn import BackpropRegressor

# %%
# MLPRegressor needs scaled inputs, and a scaled target, too: its standard deviation is
# 77, and the gradient of the squared error grows with it. BackpropRegressor scales them
# by itself.

x, y = load_diabetes(return_X_y=True)
folds = KFold(3, shuffle=True, random_state=0)
predicted, r2 = {}, {}
warnings.simplefilter("ignore", ConvergenceWarning)  # of MLPRegressor
mlp = make_pipeline(StandardScaler(), MLPRegressor(random_state=0))
models = {
    "MLPRegressor": TransformedTargetRegressor(mlp, transformer=StandardScaler()),
    "BackpropRegressor": BackpropRegressor(random_state=0),
}
for name, model in models.items():
    predicted[name] = cross_val_predict(model, x, y, cv=folds)
    r2[name] = r2_score(y, predicted[name])
    print(f"{name:17} R²: {r2[name]:.2f}")

# %%
# A point for each patient: on the dashed line, the prediction is right.

fig, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, (name, numbers) in zip(axes, predicted.items(), strict=True):
    plot.predicted_against_true(y, numbers, ax=ax)
    ax.set_title(f"{name}, R² {r2[name]:.2f}")
plt.show()
