"""
The next values of a sensor
===========================

Flow of water through a pipe, hour by hour, as River bundles it: 12 hours ahead, a
network that learns from one reading after the other predicts better than the last
reading does, and than the reading of the day before.

Requires ``pip install ".[river,plot]"``.
Run with ``python examples/water_flow.py``.
"""

import matplotlib.pyplot as plt
import numpy as np
from river import datasets

from cbackprop import Network

stream = list(datasets.WaterFlow())
flow = np.array([value for _, value in stream])  # liters per second
hour = np.array([sample["Time"].hour for sample, _ in stream])

# %%
# The inputs are the last three readings and the time of day; the target is the change
# within the next 12 hours. Four times the pipe was almost closed, so readings are
# limited: a single wild value would otherwise move all weights far.

AHEAD, LAST, DAY = 12, 3, 24
level = np.clip((flow - 100) / 2, -3, 3)
angle = 2 * np.pi * hour / 24


def inputs(n: int) -> np.ndarray:
    """What is known at hour n."""
    return np.r_[level[n - LAST + 1 : n + 1], np.sin(angle[n]), np.cos(angle[n])]


# %%
# A sample can be learned from as soon as its target is known, 12 hours later. One
# linear output makes the network a regressor.

network = Network(
    LAST + 2, 16, 1, output="linear", hidden="tanh", learning_rate=0.01, rng=0
)
hours = range(DAY, len(flow) - AHEAD)
predicted = np.full(len(flow), np.nan)
for n in hours:
    if n >= DAY + AHEAD:
        before = n - AHEAD
        network.learn_one(inputs(before), float(level[n] - level[before]))
    predicted[n + AHEAD] = 100 + 2 * (level[n] + network.predict_one(inputs(n)))

# %%
# The mean absolute errors after the first two weeks, in liters per second.

known = np.arange(14 * 24, len(flow))
true = 100 + 2 * level
error = {
    "network": np.abs(predicted - true)[known].mean(),
    "the last reading": np.abs(true[known - AHEAD] - true[known]).mean(),
    "the day before": np.abs(true[known - DAY] - true[known]).mean(),
}
for name, value in error.items():
    print(f"{name:18} {value:.2f}")

# %%
# The daily curve, predicted half a day ahead.

fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
week = slice(-8 * 24, None)
days = np.arange(len(flow))[week] / 24
ax.plot(days, flow[week], label="flow")
ax.plot(days, predicted[week], label="predicted 12 hours before")
ax.set(xlabel="day", ylabel="flow (l/s)")
ax.legend()
plt.show()
