"""
A stream of websites with River
===============================

Progressive validation on 1,250 websites, some of them phishing: each is predicted
first, then learned.

Requires ``pip install ".[river,plot]"``.
Run with ``python examples/phishing_river.py``.
"""

import matplotlib.pyplot as plt
from river import datasets, evaluate, linear_model, metrics, preprocessing, tree

from cbackprop.river import BackpropClassifier

# %%
# Three models see the same stream, at their defaults; the linear one behind a scaler.
# The accuracy is that of the predictions so far.

network = BackpropClassifier(seed=0)
models = {
    "BackpropClassifier": network,
    "LogisticRegression": preprocessing.StandardScaler()
    | linear_model.LogisticRegression(),
    "HoeffdingTreeClassifier": tree.HoeffdingTreeClassifier(),
}
accuracy, curves = {}, {}
for name, model in models.items():
    curves[name] = [
        (state["Step"], state["Accuracy"].get())
        for state in evaluate.iter_progressive_val_score(
            datasets.Phishing(), model, metrics.Accuracy(), step=25
        )
    ]
    accuracy[name] = curves[name][-1][1]
    print(f"{name:24} accuracy {accuracy[name]:.4f}")

# %%
# BackpropClassifier is a mixture of twelve networks, of 8, 32 and 128 hidden units,
# with tanh and ReLU, at two rates. In the end, their weights are:

for member, weight in zip(network.networks, network.weights, strict=True):
    units, rate = len(member.w), member.learning_rate
    print(f"{units} {member.hidden}, learning rate {rate}: {weight:.2f}")

# %%
# The accuracy of all three rises as they learn; the network passes both others.

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, curve in curves.items():
    ax.plot(*zip(*curve, strict=True), label=name)
ax.set(xlabel="websites", ylabel="accuracy so far", ylim=(0.7, 1))
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
