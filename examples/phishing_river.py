"""
A stream of websites with River
===============================

Progressive validation on 1,250 websites, some of them phishing: each is predicted
first, then learned.

Requires ``pip install "cbackprop[river,plot]"``.
Run with ``python examples/phishing_river.py``.
"""

import matplotlib.pyplot as plt
from river import datasets, evaluate, linear_model, metrics, preprocessing, tree

from cbackprop.river import BackpropClassifier

# %%
# Three models see the same stream. The accuracy is that of the predictions so far.

models = (
    BackpropClassifier(seed=0),
    linear_model.LogisticRegression(),
    tree.HoeffdingTreeClassifier(),
)
accuracy, curves = {}, {}
for model in models:
    name = type(model).__name__
    curves[name] = [
        (state["Step"], state["Accuracy"].get())
        for state in evaluate.iter_progressive_val_score(
            datasets.Phishing(),
            preprocessing.StandardScaler() | model,
            metrics.Accuracy(),
            step=25,
        )
    ]
    accuracy[name] = curves[name][-1][1]
    print(f"{name:24} accuracy {accuracy[name]:.4f}")

# %%
# The network passes the tree after about a thousand websites, and approaches the
# logistic regression.

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, curve in curves.items():
    ax.plot(*zip(*curve, strict=True), label=name)
ax.set(xlabel="websites", ylabel="accuracy so far", ylim=(0.7, 1))
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
