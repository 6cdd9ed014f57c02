"""What averaging the weights of shards costs: `python -m benchmarks.compare.averaging`.

The held-out accuracy on scikit-learn's digits when `cbackprop.dask.fit` averages the weights after every epoch, with 4
and 16 shards, and without averaging.
"""

import statistics
from collections.abc import Iterable

from benchmarks.report import table, write

SHARDS = (1, 4, 16)


def accuracies(client, epochs: int, seed: int) -> list[float]:
    """Accuracies with each number of shards."""
    import dask.array as da
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    import cbackprop.dask

    x, t = load_digits(return_X_y=True)
    learned, held_out, t_learned, t_held_out = train_test_split(
        x / 16, t, test_size=0.25, stratify=t, random_state=seed
    )
    found = []
    for n_shards in SHARDS:
        rows = -(-len(learned) // n_shards)
        shards = da.from_array(learned, chunks=(rows, -1)), da.from_array(t_learned, chunks=rows)
        network = cbackprop.Network(64, 32, 10, learning_rate=0.3, rng=seed)
        cbackprop.dask.fit(client, network, *shards, epochs=epochs, rng=seed)
        found.append(float((network.predict(held_out) == t_held_out).mean()))
    return found


def sections(options) -> Iterable[str]:
    from distributed import Client

    seeds = range(1 if options.quick else 11)
    lines = []
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=":0") as client:
        for epochs in (3, 10, 30):
            alone, *others = map(statistics.mean, zip(*(accuracies(client, epochs, s) for s in seeds), strict=True))
            lines.append([str(epochs), f"{alone:.1%}", *(f"{alone - other:.1%}" for other in others)])
    return [
        f"64-32-10, α = 0.3, means of {len(seeds)} splits.\n",
        table(["epochs", "sequential", *(f"lost with {n_shards} shards" for n_shards in SHARDS[1:])], lines),
    ]


if __name__ == "__main__":
    write("compare.averaging", __doc__, "Averaging the weights of shards", sections)
