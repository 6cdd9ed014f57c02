"""
Hidden units as images
======================

A hidden unit has one weight per pixel of the input, so its weights form an image: ink
in red areas activates the unit, ink in blue areas inhibits it.

Requires ``pip install ".[plot]"``.
Run with ``python examples/hidden_units.py``.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from cbackprop import Network, plot

# %%
# Digits of 8 by 8 pixels, learned one by one; the titles give the share of held-out
# digits that are predicted correctly. The weights start as noise; strokes, and gaps
# between strokes, emerge because they help to distinguish digits. The leftmost and
# rightmost columns rarely contain ink, so their weights hardly change.

x, t = load_digits(return_X_y=True)
x, x_test, t, t_test = train_test_split(
    x / 16, t, test_size=0.25, stratify=t, random_state=0
)
network = Network(64, 16, 10, learning_rate=0.1, rng=0)
fig, axes = plt.subplots(2, 2, figsize=(8, 8.5), layout="constrained")
seen = 0
for ax, epochs in zip(axes.flat, (0, 1, 10, 100), strict=True):
    if epochs:
        network.fit(x, t, epochs=epochs - seen, rng=seen)
        seen = epochs
    right = (network.predict(x_test) == t_test).mean()
    plot.hidden_units(network.w, (8, 8), columns=4, ax=ax)
    ax.set_title(f"after {epochs} epochs: {right:.0%} correct")
plt.show()

# %%
# The confusion matrix, and the misclassified digits.

predicted = network.predict(x_test)
fig, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
plot.confusion(t_test, predicted, ax=axes[0])
plot.misclassified(x_test.reshape(-1, 8, 8), t_test, predicted, ax=axes[1])
plt.show()
