"""
Digits on a Dask cluster
========================

Training on handwritten digits, distributed over the workers of a Dask cluster: here two
threads, in production machines.

Requires ``pip install ".[dask,progress,plot]"``.
Run with ``python examples/digits_dask.py``.
"""

import dask.array as da
import joblib
import matplotlib.pyplot as plt
from distributed import Client
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import cbackprop
import cbackprop.dask
from cbackprop.progress import epoch_bar
from cbackprop.sklearn import BackpropClassifier

EPOCHS = 30
x, t = load_digits(return_X_y=True)
x, x_test, t, t_test = train_test_split(
    x / 16, t, test_size=0.25, stratify=t, random_state=0
)
accuracy = {}


def evaluate(name: str, network: cbackprop.Network) -> None:
    """Print and keep the accuracy of a network on held-out digits."""
    accuracy[name] = float((network.predict(x_test) == t_test).mean())
    print(f"{name:20} held out: {accuracy[name]:.4f}")


# %%
# Here, for comparison.

local = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=0)
local.fit(x, t, epochs=EPOCHS, rng=0)
evaluate("here, sequentially", local)

# %%
# On the cluster. Each shard learns from its rows, and after each epoch the weights are
# averaged: the fewer shards, the closer to sequential training.

client = Client(
    processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0"
)
for n_shards in (1, 2, 8):
    rows = -(-len(x) // n_shards)
    inputs = da.from_array(x, chunks=(rows, -1))
    targets = da.from_array(t, chunks=rows)
    network = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=0)
    with epoch_bar(EPOCHS, leave=False) as bar:
        cbackprop.dask.fit(
            client, network, inputs, targets, epochs=EPOCHS, rng=0, callback=bar
        )
    evaluate(f"{n_shards} shards, averaged", network)

# %%
# A search needs only joblib's backend: each fit runs locally, on one worker.

with joblib.parallel_config("dask"):
    grid = {"hidden_layer_sizes": [16, 64], "learning_rate_init": [0.1, 0.3]}
    search = GridSearchCV(BackpropClassifier(random_state=0), grid, cv=3)
    search.fit(x, t)
client.close()
best = accuracy["best of a search"] = search.score(x_test, t_test)
print(f"best of a search: {search.best_params_}; held out: {best:.4f}")

# %%
# The accuracies, side by side.

fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
bars = ax.barh(list(accuracy), accuracy.values(), color="#0072B2")
ax.bar_label(bars, fmt="%.3f", padding=4)
ax.invert_yaxis()
ax.set(xlabel="accuracy on held-out digits", xlim=(0.9, 1))
ax.spines[["top", "right"]].set_visible(False)
plt.show()
