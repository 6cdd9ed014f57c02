"""
Digits, learned by a cluster
============================

Handwritten digits learned by the workers of a cluster: here two threads, elsewhere machines.

Needs ``pip install "cbackprop[dask,progress]"``. Run it: ``python examples/digits_dask.py``.
"""

import dask.array as da
import joblib
from distributed import Client
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

import cbackprop
import cbackprop.dask
from cbackprop.progress import epoch_bar
from cbackprop.sklearn import BackpropClassifier

EPOCHS = 30


def main() -> dict[str, float]:
    """Accuracy on held-out digits, by way of learning."""
    x, t = load_digits(return_X_y=True)
    x, x_test, t, t_test = train_test_split(x / 16, t, test_size=0.25, stratify=t, random_state=0)
    accuracy = {}

    def judge(way: str, network: cbackprop.Network) -> None:
        accuracy[way] = float((network.predict(x_test) == t_test).mean())
        print(f"{way:20} held out: {accuracy[way]:.4f}")

    local = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=0)
    local.fit(x, t, epochs=EPOCHS, rng=0)
    judge("here, sequentially", local)

    with Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
        for n_shards in (1, 2, 8):
            rows = -(-len(x) // n_shards)
            shards = da.from_array(x, chunks=(rows, -1)), da.from_array(t, chunks=rows)
            network = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=0)
            with epoch_bar(EPOCHS, leave=False) as bar:
                cbackprop.dask.fit(client, network, *shards, epochs=EPOCHS, rng=0, callback=bar)
            judge(f"{n_shards} shards, averaged", network)

        # a search needs no more than joblib's backend: each of its fits is local, on some worker
        with joblib.parallel_config("dask"):
            grid = {"hidden_layer_sizes": [16, 64], "learning_rate_init": [0.1, 0.3]}
            search = GridSearchCV(BackpropClassifier(random_state=0), grid, cv=3).fit(x, t)
        accuracy["best of a search"] = search.score(x_test, t_test)
        print(f"best of a search: {search.best_params_}; held out: {accuracy['best of a search']:.4f}")
    return accuracy


if __name__ == "__main__":
    main()
