"""Corrupted model files: changes that know the format, and those of a fuzzer guided by coverage.

usage: mutate_model_file.py EXECUTIONS SEED FOLDER FILE...

Loads that many files, each derived from one of the given ones. The last line of output is JSON: how many were accepted,
the longest time of a load, and whether coverage guided the changes (which needs the package atheris). Any error that
`load` does not document, or memory beyond the size of the file and 50 MB, ends the process.
"""

import contextlib
import json
import os
import random
import re
import resource
import struct
import sys
import time
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(["cbackprop"]) if atheris else contextlib.nullcontext():
    from cbackprop import Network, _validation  # noqa: F401 - the code that load runs
    from cbackprop.files import model_file  # noqa: F401

import numpy as np

from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS

SPARE = 50 << 20  # bytes
COUNTS = [0, 1, -1, 2, 3, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 10**30, 1.5, "3", None, [], {}, True]
WORDS = ["", "w", "v", "F32", "F64", "F16", "BF16", "BOOL", "nan", "1e999", "-1", "0", "2", "[" * 5000, "\0", "é"]
WORDS += [*OUTPUTS, *HIDDEN_FUNCTIONS]
KEYS = ["w", "v", "u", "mean", "target_scale", "losses", "__metadata__", "dtype", "shape", "data_offsets", "format"]
KEYS += ["output", "hidden", "targets", "target_mean"]


def corrupted(value, rng):
    """JSON with one change somewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        value, key = dict(value), rng.choice(list(value))
        way = rng.randrange(8)
        if way == 0:
            del value[key]
        elif way == 1:
            value[rng.choice(KEYS)] = value[key]
        else:
            value[key] = corrupted(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.9:
        value, place = list(value), rng.randrange(len(value))
        if rng.random() < 0.2:
            value.insert(place, rng.choice(COUNTS))
        else:
            value[place] = corrupted(value[place], rng)
        return value
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([-8, -1, 1, 8, value])
    if isinstance(value, str) and value and rng.random() < 0.5:
        place = rng.randrange(len(value))
        return value[:place] + rng.choice([*WORDS, "9", ",", "]", '"']) + value[place + rng.randrange(2) :]
    return rng.choice(COUNTS + WORDS)


def mutated(content, rng):
    """A file with a changed header, length or number."""
    (length,) = struct.unpack("<Q", content[:8].ljust(8, b"\0"))
    header, numbers = content[8 : 8 + length], content[8 + length :]
    way = rng.randrange(8)
    if way < 4:
        with contextlib.suppress(ValueError, RecursionError):
            header = json.dumps(corrupted(json.loads(header), rng)).encode()
            length = len(header)
    elif way == 4:
        length = rng.choice([0, 1, length - 1, length + 1, len(content), 2**32, 2**63, 2**64 - 1]) % 2**64
    elif way == 5:
        numbers = numbers[: rng.randrange(len(numbers) + 1)] + rng.randbytes(rng.randrange(9))
    elif way == 6 and len(numbers) >= 8:
        place = rng.randrange(len(numbers) // 8) * 8
        number = struct.pack("<d", rng.choice([float("nan"), float("inf"), -0.0, 5e-324, 1e308]))
        numbers = numbers[:place] + number + numbers[place + 8 :]
    elif content:
        place = rng.randrange(len(content))
        return content[:place] + rng.randbytes(1) + content[place + 1 :]
    return struct.pack("<Q", length) + header + numbers


class Loader:
    """Loads files and counts them."""

    def __init__(self):
        self.executions = self.accepted = 0
        self.longest = 0.0

    def __call__(self, content):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + len(content) + SPARE, resource.RLIM_INFINITY))
        start = time.process_time()
        try:
            network = Network.load(content)
            assert np.isfinite(network.w).all()
            assert np.isfinite(network.v).all()
            assert network.output in OUTPUTS
            assert network.hidden in HIDDEN_FUNCTIONS
            self.accepted += 1
            network.predict_one([0.0] * (network.w.shape[1] - 1))
        except ValueError as error:
            if not re.search("path is not a model file|sums overflow", str(error)):
                raise
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.longest = max(self.longest, time.process_time() - start)
        self.executions += 1

    def report(self):
        counts = {"executions": self.executions, "accepted": self.accepted, "longest": self.longest}
        print(json.dumps(counts | {"guided": atheris is not None}), flush=True)


def main(executions, seed, folder, *files):
    load, seeds = Loader(), [Path(file).read_bytes() for file in files]
    rng = random.Random(seed)
    if atheris is None:
        for _ in range(executions):
            content = rng.choice(seeds)
            for _ in range(rng.choice([1, 1, 2, 3])):
                content = mutated(content, rng)
            load(content)
        return load.report()
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    for number, content in enumerate(seeds):
        (corpus / str(number)).write_bytes(content)

    def one(content):
        load(content)
        if load.executions == executions:
            load.report()
            os._exit(0)  # libFuzzer would exit with an error

    def mutator(content, longest, seed):
        if seed % 4 == 0:
            return atheris.Mutate(content, longest)
        return mutated(content, random.Random(seed))[:longest]

    options = [f"-seed={seed + 1}", "-max_len=100000", "-verbosity=0", "-print_final_stats=0", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=mutator)
    return atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
