"""
Decision regions
================

The arms of a spiral are not linearly separable. This example plots the decision
regions of a network during training.

Requires ``pip install ".[plot]"``.
Run with ``python examples/decision_regions.py``.
"""

import matplotlib.pyplot as plt
import numpy as np

from cbackprop import Network, plot

# %%
# 100 samples of each class, from the center outwards.

rng = np.random.default_rng(0)
t = np.repeat(np.arange(3), 100)
radius = np.tile(np.linspace(0.1, 1, 100), 3)
angle = 2 * np.pi * (t / 3 + 1.2 * radius) + rng.normal(scale=0.1, size=300)
x = 3 * np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

# %%
# Each hidden unit divides the plane by one line, and the softmax outputs combine the
# units. At first the regions are coarse; then the lines rotate and steepen, and the
# regions follow the arms.

network = Network(2, 24, 3, learning_rate=0.05, rng=0)
losses, right = [], []
fig, axes = plt.subplots(2, 2, figsize=(8, 8), layout="constrained")
for ax, epochs in zip(axes.flat, (5, 30, 100, 500), strict=True):
    losses += network.fit(x, t, epochs=epochs - len(losses), rng=len(losses)).losses
    right.append((network.predict(x) == t).mean())
    plot.decision_regions(network, x, t, ax=ax)
    title = f"after {epochs} epochs: {right[-1]:.0%} correct"
    ax.set(title=title, xticks=[], yticks=[])
    ax.get_legend().remove()
plt.show()

# %%
# The error keeps decreasing after all samples are classified correctly: the predicted
# probabilities still grow.

fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
plot.learning_curve(losses, ax=ax)
plt.show()
