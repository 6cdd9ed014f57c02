"""Files: checkpoints are complete or absent, resumed trainings give the same bits, and no file is trusted."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import cbackprop
from cbackprop import Ensemble, Network
from cbackprop._validation import Functions
from cbackprop.files.model_file import Model, save_model

HERE = Path(__file__).parent
FILES = sorted(HERE.parent.glob("golden/*/*.safetensors"))


def problem(dtype="float64", output="softmax", hidden="sigmoid"):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(30, 3)).astype(dtype), rng.integers(3, size=30)
    if output != "softmax":
        t = np.eye(3)[t]
    return x, t, *cbackprop.init_weights(3, 7, 3, hidden=hidden, dtype=dtype, rng=rng)


def digest(*arrays):
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


# ------------------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
@pytest.mark.guarantee("checkpoints: SIGKILL", slice=45, full=1980)
def test_kills(repetitions, tmp_path, all_functions, record_property):
    rng = np.random.default_rng(0)
    written = [kill(repetitions // len(all_functions), tmp_path, functions, rng) for functions in all_functions]
    epochs = sum(map(sum, written))
    record_property("states written", f"{epochs:,}, up to {max(map(max, written))} by one child")
    assert epochs > repetitions / 20  # on a busy machine children hardly run


def kill_amid(delays, learn, /, *arguments, **settings):
    """Call a function in a child, which is killed after a random delay."""
    if (child := os.fork()) == 0:
        try:
            learn(*arguments, **settings)
        finally:
            os._exit(1)
    time.sleep(delays.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def kill(repetitions, folder, functions, rng):
    # A child trains and is killed; the next one resumes. Every checkpoint is a state of the uninterrupted training, and
    # never an earlier one than that which the last child resumed from.
    path = folder / "-".join(functions.values())
    x, t, w, v = problem(**functions)
    w_now, v_now, generator = w.copy(), v.copy(), np.random.default_rng(1)
    settings = {"learning_rate": 0.01} | functions
    cbackprop.fit(x, t, w, v, rng=1, checkpoint=path, **settings)
    epochs, written = 0, []
    for _ in range(repetitions):
        start = problem(**functions)[2:]
        kill_amid(rng, cbackprop.fit, x, t, *start, epochs=10**9, rng=1, checkpoint=path, resume=True, **settings)
        saved = Network.load(path)
        before = epochs
        while digest(w_now, v_now) != digest(saved.w, saved.v):
            assert epochs < before + 10_000, "no state of this training"
            cbackprop.fit(x, t, w_now, v_now, rng=generator, **settings)
            epochs += 1
        written.append(epochs - before)
    path.unlink()
    parts = list(folder.iterdir())
    assert len(parts) <= repetitions  # at most one partial file for each kill
    for part in parts:
        part.unlink()
    return written


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot fork here")
@pytest.mark.guarantee("checkpoints: SIGKILL", slice=10, full=400)
@pytest.mark.parametrize("shape", [(3, 7, 3), (3, [7, 40], 3)], ids=str)
def test_kills_of_ensembles(repetitions, tmp_path, shape):
    # however often it was killed, an ensemble ends with the bits of one that was not
    path, rng = tmp_path / "checkpoint", np.random.default_rng(0)
    x, t, *_ = problem()

    def learn(**settings):
        ensemble = Ensemble(*shape, learning_rates=[0.01, 0.1], adaptive=True, rng=0)
        history = ensemble.fit(x, t, rng=1, **settings)
        return ensemble, history.losses

    learn(checkpoint=path)
    for _ in range(repetitions):
        kill_amid(rng, learn, checkpoint=path, resume=True, epochs=10**9)
        Ensemble.load(path)
    epochs = len(load_file(path)["losses"]) + 2
    (resumed, losses), (whole, wanted) = learn(checkpoint=path, resume=True, epochs=epochs), learn(epochs=epochs)
    np.testing.assert_array_equal(losses, wanted)
    np.testing.assert_array_equal(resumed.weights, whole.weights)
    for ours, theirs in zip(resumed, whole, strict=True):
        assert digest(ours.w, ours.v, *ours.accumulators) == digest(theirs.w, theirs.v, *theirs.accumulators)


@pytest.mark.guarantee("checkpoints: truncation at every byte")
def test_truncation(tmp_path):
    path = tmp_path / "checkpoint"
    functions = {"output": "linear", "hidden": "relu"}  # their names are in the file
    x, t, w, v = problem(**functions)
    settings = {"learning_rate": 0.01, "rng": 1, "checkpoint": path} | functions
    cbackprop.fit(x, t, w, v, epochs=2, **settings)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        before = digest(w, v)
        with pytest.raises(ValueError, match="not a model file"):
            Network.load(whole[:size])
        with pytest.raises(ValueError, match="not a model file"):
            cbackprop.fit(x, t, w, v, epochs=3, resume=True, **settings)
        assert digest(w, v) == before
        assert path.read_bytes() == whole[:size]


FAILING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

/* after arm(n), the n-th call that writes fails; a write may store a part first. -1: none fails */
static int left = -1, with, part, made = -1;
void arm(int n, int error, int stored) { left = n, with = error, part = stored; }
int spare(void) { return left; }

static int fails(void)
{
    if (left < 0 || left-- != 1)
        return 0;
    errno = with;
    return 1;
}
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
ssize_t write(int file, const void *data, size_t size)
{
    if (!fails())
        return NEXT(write)(file, data, size);
    if (part && size > 1) {
        left = 1;
        return NEXT(write)(file, data, size / 2);
    }
    return -1;
}
int fsync(int file) { return fails() ? -1 : NEXT(fsync)(file); }
int fchmod(int file, mode_t mode) { return fails() ? -1 : NEXT(fchmod)(file, mode); }
int rename(const char *from, const char *to) { return fails() ? -1 : NEXT(rename)(from, to); }
int close(int file)
{
    int failed = file == made && fails(), closed = NEXT(close)(file);
    if (file == made)
        made = -1;
    if (!failed)
        return closed;
    errno = with;
    return -1;
}
int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    if (flags & (O_CREAT | O_DIRECTORY) && fails())
        return -1;
    int file = NEXT(open64)(path, flags, mode);
    if (flags & O_CREAT)
        made = file;
    return file;
}
"""

WRITER = """
import ctypes, errno, json
from pathlib import Path
import numpy as np, cbackprop
from cbackprop import Ensemble, Network
failing = ctypes.CDLL(None)
path = Path("checkpoint")
rng = np.random.default_rng(0)
x, t = rng.normal(size=(30, 3)), rng.integers(3, size=30)

def train(epochs):
    w, v = cbackprop.init_weights(3, 7, 3, rng=1)
    cbackprop.fit(x, t, w, v, epochs=epochs, rng=1, checkpoint=path, resume=True)

def save(learning_rate):
    Network.from_weights(*cbackprop.init_weights(3, 7, 3, rng=1), learning_rate=learning_rate).save(path)

def state():
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")  # of the header, in which names have no order
    return json.loads(content[8 : 8 + length]), content[8 + length :]

failures = 0
for work in (train, save):
    path.unlink(missing_ok=True)
    work(2)
    old, old_state = path.read_bytes(), state()
    work(3)
    new_state = state()
    for error in (errno.ENOSPC, errno.EIO):
        for stored in (0, 1):
            at = 0
            while True:
                at += 1
                path.write_bytes(old)
                failing.arm(at, error, stored)
                failed = None
                try:
                    work(3)
                except OSError as caught:
                    failed = caught
                finally:
                    unused = failing.spare()
                    failing.arm(-1, 0, 0)
                assert state() in (old_state, new_state)
                assert [file.name for file in Path().iterdir()] == ["checkpoint"], list(Path().iterdir())
                if failed is None:
                    assert state() == new_state, at
                else:
                    assert failed.errno == error and "checkpoint" in str(failed), failed
                    failures += 1
                if unused > 0:  # fewer calls than that
                    break
print(failures)
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs Linux and a C compiler")
@pytest.mark.guarantee("checkpoints: ENOSPC and EIO at every write")
def test_failing_writes(tmp_path, python, record_property):
    source, library = tmp_path / "failing.c", tmp_path / "failing.so"
    source.write_text(FAILING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    folder = tmp_path / "files"
    folder.mkdir()
    result = python(f"import os\nos.chdir({str(folder)!r})\n" + WRITER, LD_PRELOAD=str(library))
    assert (result.returncode, result.stderr) == (0, "")
    record_property("failures", result.stdout.strip())
    assert int(result.stdout) > 20


# ------------------------------------------------------------------------------------------------------------ resume


@pytest.mark.guarantee("resume is exact", slice=18, full=198)
def test_resume(repetitions, tmp_path, targets, all_functions):
    draw = np.random.default_rng(0)
    for number, functions in zip(range(repetitions), itertools.cycle(all_functions), strict=False):
        path, epochs = tmp_path / str(number), int(draw.integers(2, 12))
        x, t, w, v = problem(draw.choice(["float32", "float64"]), **functions)
        if draw.integers(2):
            t = targets(functions["output"], len(x), 3, w.dtype, draw)
        kind = [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64][draw.integers(4)]
        settings = {
            "batch_size": [1, 7, None][draw.integers(3)],
            "shuffle": bool(draw.integers(2)),
            "method": ["auto", "direct", "blocked"][draw.integers(3)],
            "learning_rate": draw.uniform(0.0001, 0.01) * (1 if functions["output"] == "linear" else 100),
            "momentum": [0, 0.5][draw.integers(2)],
            "l2": [0, 1e-3][draw.integers(2)],
        } | functions
        settings["adaptive"] = settings["momentum"] == 0 and bool(draw.integers(2))
        keeping = {"checkpoint": path, "checkpoint_every": int(draw.integers(1, 4))}
        cut, way = draw.integers(1, epochs), draw.choice(["stop", "raise", "end"])

        def callback(epoch, loss, cut=cut, way=way):
            if epoch == cut and way == "raise":
                raise ZeroDivisionError
            return epoch == cut and way == "stop"

        def learn(w, v, epochs, x=x, t=t, kind=kind, settings=settings, **others):
            rng = np.random.Generator(kind(5))
            history = cbackprop.fit(x, t, w, v, epochs=epochs, rng=rng, **settings, **others)
            return history, digest(w, v), rng.random(3).tolist()

        wanted = learn(w.copy(), v.copy(), epochs)
        with contextlib.suppress(ZeroDivisionError):
            learn(w.copy(), v.copy(), cut if way == "end" else epochs, callback=callback, **keeping)
        if path.exists():  # otherwise the interruption was in the first epoch: start anew
            w, v = np.zeros_like(w), np.zeros_like(v)
        assert learn(w, v, epochs, n_threads=int(draw.integers(1, 4)), resume=True, **keeping) == wanted


# ----------------------------------------------------------------------------------------------- files of any origin


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by means of Linux")
@pytest.mark.guarantee("hostile model files", slice=6000, full=1_000_000)
def test_hostile_model_files(repetitions, tmp_path, all_functions, record_property):
    files = [*FILES, tmp_path / "table"]  # those of earlier releases hold no functions
    for functions in all_functions:
        files.append(tmp_path / "-".join(functions.values()))
        x, t, w, v = problem(**functions)
        cbackprop.fit(x, t, w, v, learning_rate=0.01, rng=1, checkpoint=files[-1], **functions)
    numbers = {"mean": np.zeros(3), "scale": np.ones(3), "target_mean": np.zeros(3), "target_scale": np.ones(3)}
    names = {"features": ["x", "y", "z"], "targets": ["a", "b", "c"], "functions": Functions("tanh", "linear")}
    save_model(tmp_path / "table", Model(w, v, 0.1, **numbers, **names))
    command = [sys.executable, "-P", str(HERE / "mutate_model_file.py"), str(repetitions), "0", str(tmp_path)]
    done = subprocess.run(
        [*command, *map(str, files)],
        env=os.environ | {"PYTHONPATH": str(Path(cbackprop.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    record_property("longest load", f"{1000 * report['longest']:.1f} ms")
    record_property("accepted", f"{report['accepted']:,}")
    record_property("guided by coverage", "yes" if report["guided"] else "no: the package atheris is not installed")
    assert report["executions"] == repetitions
    assert report["longest"] < 1


@pytest.mark.guarantee("old files load")
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_old_files(variant, path):
    wanted = json.loads((path.parent / "checksums.json").read_text())[path.name]
    network = Network.load(path)
    assert digest(network.w, network.v) == wanted["weights"]
    x = np.random.default_rng(0).normal(size=(1000, network.w.shape[1] - 1))
    y = network.predict_proba(x)
    assert hashlib.sha256(network.predict(x).astype("<i8").tobytes()).hexdigest() == wanted["classes"]
    # the order of sums depends on the processor: a few roundings
    np.testing.assert_allclose(y.sum(axis=0, dtype=float), wanted["sums of y"], rtol=20 * np.finfo(network.dtype).eps)
