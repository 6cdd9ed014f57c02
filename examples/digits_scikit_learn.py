"""
Digits with scikit-learn
========================

A scikit-learn pipeline for handwritten digits, with MLPClassifier and with
BackpropClassifier.

Requires ``pip install ".[sklearn,plot]"``.
Run with ``python examples/digits_scikit_learn.py``.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbackprop import plot
from cbackprop.sklearn import BackpropClassifier

# %%
# The class is the only difference between the two pipelines.

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    x, y, test_size=0.25, stratify=y, random_state=0
)
accuracy = {}
for classifier_class in (MLPClassifier, BackpropClassifier):
    classifier = classifier_class(random_state=0)
    model = make_pipeline(StandardScaler(), classifier).fit(x_train, y_train)
    name = classifier_class.__name__
    accuracy[name] = model.score(x_test, y_test)
    print(f"{name:18} trained on {len(x_train)}, held out: {accuracy[name]:.4f}")

# %%
# A grid search over the numbers of hidden units and their activations.

grid = {
    "backpropclassifier__hidden_layer_sizes": [(32,), (100,)],
    "backpropclassifier__activation": ["relu", "tanh"],
}
search = GridSearchCV(model, grid, cv=3).fit(x_train, y_train)
best = accuracy["best of a search"] = search.score(x_test, y_test)
print(f"best of a search: {list(search.best_params_.values())}; held out: {best:.4f}")

# %%
# What the best network still takes for another digit.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
predicted = search.predict(x_test)
plot.misclassified(x_test.reshape(-1, 8, 8), y_test, predicted, ax=ax)
plt.show()
