"""
Four networks and their mixture
===============================

Which learning rate, and which hidden function? Four networks answer it while they
learn a stream whose classes wander: their mixture predicts as well as the best.

Requires ``pip install ".[river,plot]"``.
Run with ``python examples/mixture.py``.
"""

import matplotlib.pyplot as plt
import numpy as np
from river.datasets import synth

from cbackprop import Ensemble, plot

# %%
# Twenty clouds of points, each of one of four classes; half of the clouds move.

stream = synth.RandomRBFDrift(
    seed_model=0,
    seed_sample=0,
    n_classes=4,
    n_features=10,
    n_centroids=20,
    n_drift_centroids=10,
    change_speed=0.0001,
)

# %%
# Each sample is predicted first, and learned then. The weights of the mixture follow
# from the losses of the networks, as `the guide <../guides/mixture.html>`__ derives.

members = [("tanh", 0.1), ("tanh", 0.3), ("relu", 0.1), ("relu", 0.3)]
hidden, rates = zip(*members, strict=True)
ensemble = Ensemble(
    10, 16, 4, hidden=hidden, learning_rates=rates, adaptive=True, rng=0
)
weights, losses, of_mixture = [], [], []
for sample, label in stream.take(10_000):
    x = np.fromiter(sample.values(), float)
    of_mixture.append(-np.log(ensemble.predict_proba_one(x)[label]))
    losses.append(ensemble.learn_one(x, label))
    weights.append(ensemble.weights)

# %%
# The mean losses. Nobody had to know beforehand that the second network would be the
# best one, and while it is not, the mixture follows another.

labels = [f"{name} {rate}" for name, rate in members]
mean_loss = {"mixture": float(np.mean(of_mixture))}
mean_loss |= dict(zip(labels, np.mean(losses, axis=0).tolist(), strict=True))
for name, loss in mean_loss.items():
    print(f"{name:8} {loss:.3f}")

# %%
# How much each network counts, and its loss, over the samples, as means of 200. The
# dashed line is the loss of the mixture.

figure = plt.figure(figsize=(8, 5), layout="constrained")
axes = figure.subplots(2, 1, sharex=True)
plot.mixture(weights, losses, labels=labels, axes=axes)
sums = np.cumsum([0, *of_mixture])
n = np.arange(200, 10_001, 20)
axes[1].plot(n, (sums[n] - sums[n - 200]) / 200, "k--", linewidth=1)
plt.show()
