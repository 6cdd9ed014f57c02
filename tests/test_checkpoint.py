"""Checkpoints: a training that was cut and resumed ends with the bits of one that never was."""

import errno
import json
import os
import signal
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import cbackprop
from cbackprop import DivergenceError, Network
from cbackprop.files.checkpoint import fingerprint, rng_state

D, M, K, N, EPOCHS = 3, 5, 2, 40, 7
X = np.random.default_rng(0).normal(size=(N, D))
T = np.arange(N) % K


class StoppedError(Exception):
    pass


def weights(dtype="float64", seed=0):
    return cbackprop.init_weights(D, M, K, dtype=dtype, rng=seed)


def bits(*arrays):
    return [array.tobytes() for array in arrays]


def train(epochs, seed=0, *, fit=cbackprop.fit, dtype="float64", **settings):
    """The weights and losses of a training of new weights."""
    w, v = weights(dtype, seed)
    history = fit(X, T, w, v, epochs=epochs, **{"rng": 0} | settings)
    return bits(w, v), history.losses


def stop_in(last):
    def callback(epoch, loss):
        if epoch == last:
            raise StoppedError

    return callback


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint"


CASES = [  # settings, the epoch that is cut, epochs between writes, dtype
    ({"batch_size": 7, "momentum": 0.9, "l2": 0.1, "sample_weight": np.arange(len(X))}, 3, 4, "float64"),
    ({"shuffle": False}, 1, 1, "float32"),
    ({"batch_size": None}, EPOCHS, 3, "float32"),
    ({"batch_size": 7, "adaptive": True}, EPOCHS, 1, "float64"),
    ({}, 3, 4, "float32"),
]


@pytest.mark.parametrize(("settings", "cut", "every", "dtype"), CASES, ids=range(len(CASES)))
def test_resumed_is_never_cut(compiled, dtype, path, settings, cut, every):
    settings = settings | {"fit": compiled.fit, "dtype": dtype}
    whole = train(EPOCHS, **settings)
    settings |= {"checkpoint": path, "checkpoint_every": every, "resume": True}
    with pytest.raises(StoppedError):  # the epoch of the error is not in the checkpoint, those before it are
        train(EPOCHS, callback=stop_in(cut), **settings)
    epochs = []
    # nothing but the file is needed; there is none yet if the first epoch was cut
    seed, rng = (0, 0) if cut == 1 else (1, None)
    resumed = train(EPOCHS, seed, rng=rng, callback=lambda epoch, loss: epochs.append(epoch), **settings)
    assert resumed == whole
    assert epochs == list(range(cut, EPOCHS + 1))
    assert bits(Network.load(path).w, Network.load(path).v) == whole[0]  # a checkpoint is a model file


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "SFC64", "Philox", "MT19937"])
def test_generators_go_on(path, kind):
    def generator(seed):
        rng = np.random.Generator(getattr(np.random, kind)(seed))
        rng.integers(10, size=5, dtype=np.uint32)  # leaves half a number, or a part of a table, for the next draw
        return rng

    whole, cut, resumed = generator(1), generator(1), generator(2)
    wanted = train(4, rng=whole)
    train(2, rng=cut, checkpoint=path)
    assert train(4, rng=resumed, checkpoint=path, resume=True) == wanted
    assert bits(whole.integers(10, size=99, dtype=np.uint32)) == bits(resumed.integers(10, size=99, dtype=np.uint32))


def test_what_a_callback_changed_goes_on(path):
    def callback(epoch, loss):
        w[0] += epoch

    def run(epochs, **settings):
        return cbackprop.fit(X, T, w, v, epochs=epochs, rng=0, callback=callback, **settings)

    w, v = wanted = weights()
    run(4)
    w, v = weights()
    run(2, checkpoint=path)
    w, v = weights()
    run(4, checkpoint=path, resume=True)
    assert bits(w, v) == bits(*wanted)


def test_a_callback_that_stops_is_resumed(path):
    settings = {"checkpoint": path, "resume": True, "checkpoint_every": 5}
    stopped = train(9, callback=lambda epoch, loss: epoch == 3, **settings)
    assert len(stopped[1]) == 3
    assert train(3, **settings) == stopped  # nothing left to do
    assert train(4, **settings)[1][:3] == stopped[1]


def test_a_network_resumes(path):
    whole, cut, resumed = (Network(D, M, K, learning_rate=0.3, rng=seed) for seed in (0, 0, 1))
    history = whole.fit(X, T, epochs=5, rng=1)
    cut.fit(X, T, epochs=2, rng=1, checkpoint=str(path))
    assert resumed.fit(X, T, epochs=5, checkpoint=str(path), resume=True) == history
    assert bits(resumed.w, resumed.v) == bits(whole.w, whole.v)
    assert Network.load(path).learning_rate == 0.3


def test_writing_every_few_epochs(path):
    w, v = weights()
    seen = []

    def callback(epoch, loss):
        seen.append(len(safe_open(path, framework="numpy").get_tensor("losses")) if path.exists() else 0)

    cbackprop.fit(X, T, w, v, epochs=8, checkpoint=path, checkpoint_every=3, callback=callback)
    assert seen == [0, 0, 0, 3, 3, 3, 6, 6]
    callback(9, 0)
    assert seen[-1] == 8  # and at the end
    cbackprop.fit(X, T, w, v, epochs=2, checkpoint=path)  # without resume, the file is replaced
    callback(3, 0)
    assert seen[-1] == 2
    assert os.listdir(path.parent) == ["checkpoint"]


def test_divergence_keeps_the_latest_epoch(path):
    def callback(epoch, loss):
        if epoch == 4:
            v[:] = np.finfo(v.dtype).max

    w, v = weights()
    with pytest.raises(DivergenceError, match="epoch 5"):
        cbackprop.fit(X * 8, T, w, v, epochs=9, callback=callback, checkpoint=path, checkpoint_every=3)
    assert bits(Network.load(path).v) == bits(v)


# ---------------------------------------------------------------------------------------------------- what is refused


OTHERS = {  # what must be the same, and is not
    "learning_rate": ({"learning_rate": 0.2}, "learning_rate is 0.2; it must stay 0.1"),
    "batch_size": ({"batch_size": 2}, "batch_size is 2; it must stay 1"),
    "shuffle": ({"shuffle": False}, "shuffle is False; it must stay True"),
    "epochs": ({"epochs": 1}, "epochs is 1; .*checkpoint has finished 2 already"),
    "x": ({"x": X + 1}, "data is"),
    "x in another order": ({"x": X[::-1]}, "data is"),
    "x of another size": ({"x": X[1:], "t": T[1:]}, "data is"),
    "x not finite": ({"x": np.where(np.arange(N)[:, None] == N - 1, np.nan, X)}, "x.39, 0. is nan"),
    "t": ({"t": 1 - T}, "data is"),
    "sample_weight": ({"sample_weight": np.arange(len(X))}, "data is"),
    "momentum": ({"momentum": 0.5}, "momentum is 0.5; it must stay 0.0"),
    "l2": ({"l2": 1}, "l2 is 1.0; it must stay 0.0"),
    "adaptive": ({"adaptive": True}, "adaptive is True; it must stay False"),
    "hidden": ({"hidden": "tanh"}, "hidden is 'tanh'; it must stay 'sigmoid', as in "),
    "w": ({"w": np.ones((M + 1, D + 1)), "v": np.ones((K, M + 2))}, "w is float64"),
    "dtype": (dict(zip("wv", weights("float32"), strict=True)), "is"),
    "rng": ({"rng": np.random.Generator(np.random.MT19937(0))}, "rng is a MT19937"),
}


@pytest.mark.parametrize(("change", "reported"), OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_something_else(path, change, reported):
    w, v = weights()
    call = {"x": X, "t": T, "w": w, "v": v, "epochs": 3, "rng": 0, "checkpoint": path}
    cbackprop.fit(**call | {"epochs": 2})
    before = path.read_bytes()
    call |= change
    weights_before = bits(call["w"], call["v"])
    with pytest.raises(ValueError, match=reported):
        cbackprop.fit(**call, resume=True)
    assert bits(call["w"], call["v"]) == weights_before
    assert path.read_bytes() == before


def test_large_data_is_looked_at_in_part(path):
    x, t = np.zeros((5000, 2)), np.arange(5000) % 2
    network = Network(2, 1, 2)
    network.fit(x, t, checkpoint=path)
    x[4000] = 1  # each fifth row is looked at
    with pytest.raises(ValueError, match=r"data is '5000x2, 5000, checksum [0-9a-f]{8}'; it must stay"):
        network.fit(x, t, checkpoint=path, resume=True)


@pytest.mark.parametrize("dtype", ["f4", "i8", "i4", ">f8"])
@pytest.mark.parametrize("shape", [(2500, 7), (2, 150_000), (2500,), (1, 1)])
def test_a_checksum_depends_on_the_numbers_alone(dtype, shape):
    # and stays the same in later releases, which resume from the file
    array = (np.random.default_rng(0).normal(size=shape) * 9).astype(dtype)
    rows = array[:: -(-len(array) // 1000)]
    checksum = crc32(rows.astype("<f8" if array.dtype.kind == "f" else "<i8").tobytes())
    wanted = f"{'x'.join(map(str, shape))}, checksum {checksum:08x}"
    for same in (array, np.asfortranarray(array), np.repeat(array, 2, axis=-1)[..., ::2]):
        assert fingerprint(same, None) == wanted


@pytest.mark.parametrize("shape", [(1000, 2000), (1, 2_000_000), (2_000_000,)])
def test_a_checksum_copies_little(shape):
    array = np.zeros(shape, "f4")
    tracemalloc.start()
    fingerprint(array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.parametrize("settings", [None, [], {}, {"learning_rate": 0.1}, "learning_rate", "nested"], ids=str)
def test_settings_that_no_training_has(path, settings):
    train(1, checkpoint=path)
    if settings == "nested":  # as deep as JSON can be read: deeper than it can be shown
        training = json.loads(safe_open(path, framework="numpy").metadata()["training"])
        settings = training["settings"] | {"learning_rate": []}
        for _ in range(900):
            settings["learning_rate"] = [settings["learning_rate"]]
    rewrite(path, settings=settings)
    with pytest.raises(ValueError, match=r"checkpoint (is the checkpoint of another|does not hold learning_rate)"):
        train(2, checkpoint=path, resume=True)


def rewrite(path, **changes):
    """Change the state of training in a checkpoint."""
    metadata = safe_open(path, framework="numpy").metadata()
    training = json.dumps(json.loads(metadata["training"]) | changes)
    save_file(load_file(path), path, metadata | {"training": training})


def test_a_model_is_no_checkpoint(path):
    Network(D, M, K).save(path)
    with pytest.raises(ValueError, match="a model without a state of training"):
        train(1, checkpoint=path, resume=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is not a model file"):
        train(1, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("arguments", "error", "reported"),
    [
        ({"checkpoint": 5}, TypeError, "checkpoint is 5; it must be a path"),
        ({"checkpoint": "missing/file"}, FileNotFoundError, "checkpoint is 'missing/file'; its folder does not exist"),
        ({"checkpoint": "."}, IsADirectoryError, "checkpoint is '.', a folder"),
        ({"checkpoint": "a\0b"}, ValueError, "checkpoint is 'a.x00b'; no file can have this name"),
        ({"checkpoint": ""}, OSError, "checkpoint cannot be written: "),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every is 0"),
        ({"checkpoint_every": 1.0}, TypeError, "checkpoint_every is 1.0"),
        ({"resume": True}, ValueError, "resume is True and checkpoint is None"),
        ({"resume": 1}, TypeError, "resume is 1; it must be True or False"),
    ],
)
def test_bad_arguments(arguments, error, reported):
    w, v = weights()
    before = bits(w, v)
    with pytest.raises(error, match=reported):
        cbackprop.fit(X, T, w, v, **arguments)
    assert bits(w, v) == before


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("place", ["proc", "link to nowhere", "long name"])
def test_what_cannot_be_written_is_reported_before_the_first_epoch(path, place, resume):
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    if place == "link to nowhere":
        path.symlink_to("missing/file")
    else:
        path = Path("/proc/x") if place == "proc" else path.with_name("a" * 256)
    w, v = weights()
    before, there = bits(w, v), os.listdir(path.parent)
    with pytest.raises(OSError, match=f"checkpoint cannot be written: .*{path}"):
        cbackprop.fit(X, T, w, v, checkpoint=path, resume=resume)
    assert bits(w, v) == before
    assert place == "proc" or os.listdir(path.parent) == there


@pytest.mark.parametrize("failing", ["open", "unlink"])
def test_a_folder_that_takes_no_file(path, monkeypatch, failing):
    w, v = weights()
    cbackprop.fit(X, T, w, v, checkpoint=path)
    before = bits(w, v), path.read_bytes()
    monkeypatch.setattr("builtins.open" if failing == "open" else "os.unlink", fail)
    with pytest.raises(OSError, match="checkpoint cannot be written: No space left on device"):
        cbackprop.fit(X, T, w, v, checkpoint=path)
    monkeypatch.undo()
    assert (bits(w, v), path.read_bytes()) == before


def test_a_callback_may_go_to_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    learned, _losses = train(3, checkpoint="here", callback=lambda epoch, loss: os.chdir(elsewhere))
    assert bits(Network.load(tmp_path / "here").w) == learned[:1]
    assert list(elsewhere.iterdir()) == []


def test_an_interruption_before_the_first_epoch_leaves_nothing(path, monkeypatch):
    def interrupt(name, mode, opener, do=open):
        do(name, mode).close()
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(1, checkpoint=path)
    assert os.listdir(path.parent) == []


def test_a_generator_that_cannot_be_kept(path):
    class Own(np.random.PCG64):
        @property
        def state(self):
            return {"secret": object()}

    with pytest.raises(TypeError, match="rng has a Own"):
        train(1, rng=np.random.Generator(Own()), checkpoint=path)


def spoiled(kind, change):
    """The state of a generator with something else in it."""
    state = rng_state(np.random.Generator(getattr(np.random, kind)(0)))
    change(state)
    return kind, state


STATES = {
    "another kind": ("PCG64", spoiled("PCG64DXSM", lambda state: None)[1]),
    "too large": spoiled("PCG64", lambda state: state["state"].update(state=2**128)),
    "fraction": spoiled("PCG64", lambda state: state["state"].update(inc=1.5)),
    "one less": spoiled("PCG64", lambda state: state.pop("uinteger")),
    "one more": spoiled("PCG64", lambda state: state.update(more=1)),
    "no number": spoiled("SFC64", lambda state: state["state"]["state"].__setitem__(0, "1")),
    # NumPy takes these and then reads beyond its table
    "position beyond the table": spoiled("MT19937", lambda state: state["state"].update(pos=625)),
    "position before the table": spoiled("MT19937", lambda state: state["state"].update(pos=-1)),
    "position beyond the buffer": spoiled("Philox", lambda state: state.update(buffer_pos=5)),
    "position before the buffer": spoiled("Philox", lambda state: state.update(buffer_pos=-1)),
    "half a number twice": spoiled("Philox", lambda state: state.update(has_uint32=2)),
}
# NumPy takes these, too, and repeats one number for ever. Its shuffle skips the first ones and so never ends.
STATES |= {
    kind: spoiled(kind, lambda state, number=number, inc=inc: state.update(state={"state": number, "inc": inc}))
    for kind, number, inc in (
        ("PCG64", 2**64 - 1, 0xDFDB0DA07FF967604385DF649FCCF644),
        ("PCG64DXSM", 0xAB60000000000000001, 0xD16E7380A52BE807256BDFBD1B22A74C),
    )
}
STATES |= {
    "even increment": spoiled("PCG64", lambda state: state["state"].update(inc=2)),
    "table of 0": spoiled("MT19937", lambda state: state["state"].update(key=[0] * 624)),
    # of the first number only the highest bit counts
    "table of 0 beside lost bits": spoiled("MT19937", lambda state: state["state"].update(key=[2**31 - 1] + [0] * 623)),
}


def generator_of(kind):
    return np.random.Generator(getattr(np.random, kind)(0))


@pytest.mark.parametrize("key", [[2**31] + [0] * 623, [0] * 623 + [1]], ids=["first", "last"])
def test_a_table_that_is_nearly_0_goes_on(path, key):
    kind, state = spoiled("MT19937", lambda state: state["state"].update(key=key))
    train(1, rng=generator_of(kind), checkpoint=path)
    rewrite(path, rng=state)
    assert len(train(2, rng=generator_of(kind), checkpoint=path, resume=True)[1]) == 2


@pytest.mark.parametrize(("kind", "state"), STATES.values(), ids=STATES)
def test_states_that_no_generator_has(path, kind, state):
    train(1, rng=generator_of(kind), checkpoint=path)
    rewrite(path, rng=state)
    (w, v), rng = weights(), generator_of(kind)
    with pytest.raises(ValueError, match=f"rng is a {kind}; .*checkpoint does not hold a state of a {kind} with"):
        cbackprop.fit(X, T, w, v, epochs=2, rng=rng, checkpoint=path, resume=True)
    assert bits(w, v) == bits(*weights())
    assert rng.random() == generator_of(kind).random()


# ----------------------------------------------------------------------------------------------------- what goes wrong


def fail(*arguments, **settings):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_ends_the_training(path, monkeypatch):
    w, v = weights()
    cbackprop.fit(X, T, w, v, epochs=2, rng=0, checkpoint=path)
    before = path.read_bytes()

    def callback(epoch, loss):
        if epoch == 4:
            monkeypatch.setattr(os, "replace", fail)

    with pytest.raises(OSError, match=r"No space left on device; nothing was written.*checkpoint"):
        cbackprop.fit(X, T, w, v, epochs=9, rng=0, checkpoint=path, checkpoint_every=2, callback=callback, resume=True)
    assert bits(w, v) == train(4)[0]  # whole epochs
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["checkpoint"]


def test_a_full_disk_does_not_hide_what_ended_the_training(path, monkeypatch):
    def callback(epoch, loss):
        if epoch == 2:
            monkeypatch.setattr(os, "replace", fail)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train(9, checkpoint=path, checkpoint_every=9, callback=callback)
    assert "The checkpoint was not written: " in caught.value.__notes__[0]
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize(("every", "error"), [(1, ValueError), (9, DivergenceError)])
def test_a_state_that_is_not_finite_is_not_written(path, every, error):
    w, v = weights()
    cbackprop.fit(X, T, w, v, epochs=2, rng=0, checkpoint=path)
    before = path.read_bytes()

    def callback(epoch, loss):
        if epoch == 3:
            w[0, 0] = np.nan

    with pytest.raises(error) as caught:
        cbackprop.fit(
            X, T, w, v, epochs=9, rng=0, checkpoint=path, checkpoint_every=every, callback=callback, resume=True
        )
    assert type(caught.value) is error
    assert "w[0, 0] is nan" in caught.value.__notes__[0]
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_interrupted_and_resumed_is_never_cut(path):
    # guarantees/test_files.py has the same for SIGKILL
    x, t = np.random.default_rng(0).normal(size=(300, 20)), np.arange(300) % 3

    def learn(**settings):
        w, v = cbackprop.init_weights(20, 30, 3, rng=0)
        cbackprop.fit(x, t, w, v, epochs=100, rng=1, learning_rate=0.01, **settings)
        return bits(w, v)

    wanted, settings = learn(), {"checkpoint": path, "checkpoint_every": 20, "resume": True}
    for delay in (0.01, 0.02):
        timer = threading.Timer(delay, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with suppress(KeyboardInterrupt):
            learn(**settings)
            timer.join()  # in which the signal comes to a training that is over
            time.sleep(1)
        if path.exists():
            Network.load(path)
    assert learn(**settings) == wanted
