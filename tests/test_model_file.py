"""Model files: what is saved comes back, and what is not a model file is refused."""

import dataclasses
import errno
import io
import json
import math
import os
import pickle
import signal
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from cbackprop import Ensemble, Network
from cbackprop._validation import Functions
from cbackprop.files.model_file import Model, load_model, save_model

GOOD = {"format": "cbackprop", "format_version": "1", "learning_rate": "0.25"}


@pytest.fixture
def network():
    return Network(3, 4, 2, learning_rate=0.25, rng=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def arrays():
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(4, 4)), "v": rng.normal(size=(2, 5))}


def assert_equal(one, other):
    assert (type(one), one.dtype, one.learning_rate) == (type(other), other.dtype, other.learning_rate)
    assert (one.output, one.hidden) == (other.output, other.hidden)
    assert one.w.tobytes() == other.w.tobytes()
    assert one.v.tobytes() == other.v.tobytes()


def test_round_trip(dtype, path):
    for rate in (1e-30, 0.1, 1 / 3, 1e30, 2):  # each comes back to the last bit
        network = Network(3, 4, 2, learning_rate=rate, dtype=dtype, rng=0)
        network.save(path)
        again = Network.load(path)
        assert_equal(again, network)
    assert again.learn_one([1, 2, 3], 1) == network.learn_one([1, 2, 3], 1)  # loaded weights are writable
    again.fit(np.eye(3), [0, 1, 0])


@pytest.mark.parametrize("kind", [Network, Ensemble, type("Named", (Network,), {})])
def test_files_of_any_kind(tmp_path, kind):
    model = kind(3, 4, 2, rng=0, **{"learning_rates": [0.1, 1]} if kind is Ensemble else {})
    path, file = tmp_path / "model", io.BytesIO(b"before")
    for each in (path, str(path), os.fsencode(path)):
        model.save(each)
    file.seek(6)
    model.save(file)
    content = file.getvalue()[6:]
    file.seek(6)
    ordered = save(load(content), safe_open(path, framework="numpy").metadata() | {"order": "F"})
    with path.open("rb") as opened:
        for source in (ordered, path, str(path), opened, file, content, bytearray(content), memoryview(content)):
            again = kind.load(source)
            assert type(again) is kind
            assert again.w.tobytes() == model.w.tobytes()
            again.learn_one([1, 2, 3], 1)  # writable


def test_file_objects_that_cannot_be_used(tmp_path, network):
    closed = io.BytesIO()
    closed.close()
    for use in (network.save, Network.load):
        for text in (io.StringIO(), (tmp_path / "text").open("w+")):
            with text, pytest.raises(TypeError, match=r"^path is a text file; it must be a path or a binary file"):
                use(text)
        with pytest.raises(ValueError, match=r"^path is a closed file; it must be open$"):
            use(closed)
    with (tmp_path / "text").open("wb") as file, pytest.raises(io.UnsupportedOperation):
        Network.load(file)
    file = io.BytesIO()
    network.v[0] = np.nan
    with pytest.raises(ValueError, match=r"v\[0, 0\] is nan"):
        network.save(file)
    assert file.getvalue() == b""


def test_file_is_safetensors_with_w_and_v(path, network):
    network.save(path)
    with safe_open(path, framework="numpy") as file:
        assert sorted(file.keys()) == ["v", "w"]
        np.testing.assert_array_equal(file.get_tensor("w"), network.w)
        np.testing.assert_array_equal(file.get_tensor("v"), network.v)
        assert file.metadata() == GOOD | {"order": "F"}
    save_model(path, Model(**arrays(), learning_rate=0.25, classes=["a", "b"]))
    with safe_open(path, framework="numpy") as file:  # nothing that earlier releases refuse
        assert (sorted(file.keys()), file.metadata()) == (["v", "w"], GOOD | {"classes": '["a", "b"]'})


def test_what_a_command_stored_comes_back(path, network):
    model = Model(
        network.w,
        network.v,
        network.learning_rate,
        features=["a", "b", "\n"],
        mean=np.array([0.1, -1e300, 5e-324]),
        scale=np.array([1 / 3, 1, 2]),
        functions=Functions("tanh", "linear"),
        targets=["price", "Fl\u00e4che, \N{GREEK SMALL LETTER ALPHA}"],
        target_mean=np.array([1e5, -0.1]),
        target_scale=np.array([1 / 3, 2]),
        losses=np.array([2.0, 1]),
        held_out=np.zeros(0),
        training={"a": [1, None]},
    )
    save_model(path, model)
    again = load_model(path)
    for field in dataclasses.fields(Model):
        np.testing.assert_equal(getattr(again, field.name), getattr(model, field.name))
    # whoever wants the network alone is not disturbed, and predicts scaled targets
    x, v = np.eye(3), network.v
    z = np.tanh(x @ network.w[:, :-1].T + network.w[:, -1])
    np.testing.assert_allclose(Network.load(path).predict(x), z @ v[:, :-1].T + v[:, -1], rtol=1e-14)


def test_running_statistics_come_back():
    network = Network.load(running(input_statistics=np.array([[-1.0, 2, 3], [4, 5, 6], [7, 7, 7]])))
    assert network.standardize
    assert Network.load(linear()).standardize is False


def test_functions_come_back(path, functions):
    network = Network(3, 4, 2, rng=0, **functions)
    network.save(path)
    assert_equal(Network.load(path), network)
    names = safe_open(path, framework="numpy").metadata()
    # earlier releases load what they know, and refuse the rest
    assert ("hidden" in names, "output" in names) == ((functions != {"output": "softmax", "hidden": "sigmoid"}),) * 2


def test_read_only_weights_are_saved(path):
    w, v = arrays().values()
    w.flags.writeable = v.flags.writeable = False
    Network.from_weights(w, v).save(path)
    assert Network.load(path).w.tobytes() == w.tobytes()


def test_saving_replaces_the_file_as_a_whole(path, network):
    network.save(path)
    inode, before = path.stat().st_ino, network.w.copy()
    network.fit(np.eye(3), [0, 1, 0])
    network.save(path)
    assert path.stat().st_ino != inode  # a new file under the name: whoever reads the old one still reads it whole
    assert (Network.load(path).w != before).any()
    assert os.listdir(path.parent) == ["model"]


@pytest.mark.parametrize(
    ("path", "error", "reported"),
    [
        (None, TypeError, r"path is None; it must be a path"),
        (1.5, TypeError, r"path is 1.5; it must be a path"),
        (["model"], TypeError, r"path is \['model'\]; it must be a path"),
        (0, TypeError, r"path is 0; it must be a path"),  # no descriptor of a file
        ("a\0b", ValueError, r"path is .*; no file can have this name"),
        ("missing/model", FileNotFoundError, "missing/model"),
        (".", IsADirectoryError, "directory"),
        pytest.param("/dev/zero", OSError, "not a regular file.*: '/dev/zero'", marks=pytest.mark.skipif(
            not Path("/dev/zero").exists(), reason="no such device")),
    ],
)  # fmt: skip
def test_bad_paths(tmp_path, monkeypatch, network, path, error, reported):
    monkeypatch.chdir(tmp_path)
    for use in (Network.load, network.save):
        with pytest.raises(error, match=reported):
            use(path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pipe(tmp_path):
    """A named pipe that nobody writes to, for at most ten seconds."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")

    def stop(*arguments):
        raise TimeoutError("waited for somebody to write")

    os.mkfifo(tmp_path / "pipe")
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield tmp_path / "pipe"
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_pipe_is_neither_replaced_nor_waited_for(pipe, network):
    with pytest.raises(OSError, match=r"not a regular file; nothing was written.*pipe"):
        network.save(pipe)
    with pytest.raises(OSError, match=r"not a regular file.*pipe"):
        Network.load(pipe)
    for resume in (True, False):
        with pytest.raises(OSError, match=r"checkpoint cannot be written: not a regular file.*pipe"):
            network.fit(np.eye(3), [0, 1, 0], checkpoint=pipe, resume=resume)
    assert pipe.is_fifo()
    assert os.listdir(pipe.parent) == ["pipe"]


@pytest.mark.skipif(sys.platform == "win32", reason="names and paths have other limits there")
def test_the_longest_name(tmp_path, network):
    network.save(tmp_path / ("a" * 255))
    assert_equal(Network.load(tmp_path / ("a" * 255)), network)
    with pytest.raises(OSError, match="nothing was written") as caught:
        network.save(tmp_path / ("a" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == ["a" * 255]


# ---------------------------------------------------------------------------------------------------- what is refused


def test_every_truncation():
    whole = save(arrays(), GOOD)
    Network.load(whole)
    for content in (*(whole[:size] for size in range(len(whole))), whole + b"\0"):
        with pytest.raises(ValueError, match=r"^path is not a model file"):
            Network.load(content)


def test_every_flipped_bit_of_the_header():
    # a header that is still one describes the same tensors, or the file is refused: nothing else may come out
    whole = save(arrays(), GOOD)
    for place in range(8 + struct.unpack("<Q", whole[:8])[0]):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << place % 8
        try:
            network = Network.load(spoiled)
        except ValueError:
            continue
        assert network.w.shape == (4, 4)
        assert np.isfinite(network.w).all()


def raw(header, data=b""):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def changed(**metadata):
    return save(arrays(), {key: value for key, value in (GOOD | metadata).items() if value is not None})


def with_arrays(**changes):
    return save({name: array for name, array in (arrays() | changes).items() if array is not None}, GOOD)


def linear(**changes):
    """A file of a network with linear outputs, with changed arrays and metadata."""
    tensors = {name: value for name, value in changes.items() if isinstance(value, np.ndarray)}
    names = {name: value for name, value in changes.items() if isinstance(value, str)}
    return save(arrays() | tensors, GOOD | {"output": "linear"} | names)


def running(**changes):
    """A file of such a network that standardizes its samples, with changed or missing arrays and metadata."""
    settings = json.dumps({"missing": "error", "required": True})
    good = {"input_statistics": np.ones((3, 3)), "target_statistics": np.ones((3, 2)), "standardize": settings}
    return linear(**good | changes)


W = {"dtype": "F64", "shape": [4, 4], "data_offsets": [0, 128]}
V = {"dtype": "F64", "shape": [2, 5], "data_offsets": [128, 208]}


def good_header(**changes):
    return json.dumps({"__metadata__": GOOD, "w": W, "v": V} | changes).encode()


def described(**changes):
    return raw(good_header(**changes), bytes(208))


NAN, INFINITE = np.ones((2, 5)), np.ones((2, 5))
NAN[1, 2], INFINITE[0, 0] = np.nan, np.inf

BROKEN = {  # content of the file, and what the message must tell
    "empty": (b"", "no safetensors file"),
    "header no object": (raw([]), ""),
    "pickle": (pickle.dumps(arrays()), ""),
    "huge header": (struct.pack("<Q", 2**63) + b"{}", ""),
    "another format": (changed(format="onnx"), "'onnx'"),
    "a newer version": (changed(format_version="2"), "upgrade"),
    "version 0": (changed(format_version="0"), "version"),
    "version text": (changed(format_version="one"), "one"),
    "no version": (changed(format_version=None), "format_version"),
    "no rate": (changed(learning_rate=None), "learning_rate"),
    "rate nan": (changed(learning_rate="nan"), "learning_rate"),
    "rate 0": (changed(learning_rate="0"), "learning_rate"),
    "rate text": (changed(learning_rate="fast"), "fast"),
    "unknown hidden function": (changed(hidden="cosine"), "hidden is 'cosine'"),
    "two hidden functions": (changed(hidden="tanh,relu"), "its hidden must hold places"),
    "unknown output": (changed(output="Linear"), "output is 'Linear'; it must be one of"),
    "unknown order": (changed(order="A"), "order is 'A'"),
    "one tensor": (with_arrays(v=None), "it lacks the tensors"),
    "no tensors": (save({}, GOOD), "it lacks the tensors"),
    "unknown tensor": (with_arrays(u=np.ones(3)), "'u'"),
    "velocity of one layer": (with_arrays(velocity_w=np.ones((4, 4))), "it must have velocity_w and velocity_v"),
    "velocity of other shape": (with_arrays(velocity_w=np.ones((4, 4)), velocity_v=np.ones((2, 6))), "velocity_v is"),
    "statistics of too few inputs": (running(input_statistics=np.ones((3, 2))), "input_statistics is"),
    "statistics of too many targets": (running(target_statistics=np.ones((3, 3))), "target_statistics is"),
    "statistics of inputs alone": (running(target_statistics=None), "it has no standardization but"),
    "no statistics of numbers": (running(target_statistics=np.ones((3, 0))), "of 0 targets of linear outputs"),
    "statistics of classes": (running(output="softmax"), "of 2 targets of softmax outputs"),
    "a negative variance": (running(input_statistics=-np.eye(3)), "input_statistics must not be negative"),
    "statistics nan": (running(input_statistics=np.full((3, 3), np.nan)), "input_statistics must be finite"),
    "statistics alone": (running(standardize=None), "belong together"),
    "no statistics": (changed(standardize='{"missing": "error", "required": true}'), "belong together"),
    "standardize a list": (running(standardize="[]"), "the names missing and required"),
    "standardize with less": (running(standardize='{"missing": "mean"}'), "the names missing and required"),
    "missing unknown": (running(standardize='{"missing": "x", "required": true}'), "must be 'error' or 'mean'"),
    "required no flag": (running(standardize='{"missing": "mean", "required": 1}'), "required a flag"),
    "nan": (with_arrays(v=NAN), "v[1, 2] is nan"),
    "infinite": (with_arrays(v=INFINITE), "v[0, 0] is inf"),
    "integers": (with_arrays(w=np.ones((4, 4), int)), "w has dtype"),
    "two precisions": (with_arrays(w=np.ones((4, 4), np.float32)), "same dtype"),
    "0-d": (with_arrays(w=np.array(1.0)), "w has 0 dimension"),
    "empty w": (with_arrays(w=np.ones((0, 4))), "w has shape (0, 4)"),
    "not fitting": (with_arrays(v=np.ones((2, 4))), "v has shape (2, 4)"),
    "classes no JSON": (changed(classes="setosa"), ""),
    "classes too few": (changed(classes='["a"]'), "classes"),
    "features too many": (changed(features='["a", "b", "c", "d"]'), "features"),
    "deeply nested": (changed(features="[" * 200_000), ""),
    "classes twice the same": (changed(classes='["a", "a"]'), "classes"),
    "classes no characters": (changed(classes=r'["a", "\ud800"]'), "surrogates"),
    "classes not a number": (changed(classes='["a", NaN]'), "NaN"),
    "unknown metadata": (changed(momentum="0.9"), "'momentum'"),
    "version with a space": (changed(format_version=" 1"), "version"),
    "mean nan": (with_arrays(mean=np.array([0, np.nan, 0])), "mean"),
    "mean a table": (with_arrays(mean=np.zeros((1, 3))), "mean"),
    "mean too few": (with_arrays(mean=np.zeros(2)), "mean"),
    "scale too many": (with_arrays(scale=np.ones(4)), "scale"),
    "scale zero": (with_arrays(scale=np.array([1.0, 0, 1])), "scale"),
    "losses nan": (with_arrays(losses=np.array([np.nan])), "losses"),
    "target_mean too many": (linear(target_mean=np.zeros(3)), "target_mean is float64 (3,); it must be float64 (2,)"),
    "target_scale zero": (linear(target_scale=np.array([1.0, 0])), "target_scale holds a 0"),
    "targets of softmax outputs": (changed(targets='["a", "b"]'), "need linear outputs, not softmax ones"),
    "target_mean of softmax outputs": (with_arrays(target_mean=np.zeros(2)), "need linear outputs"),
    "target_scale of logistic outputs": (linear(output="logistic", target_scale=np.ones(2)), "not logistic ones"),
    "training no JSON": (changed(training="epochs"), ""),
    "training too large a number": (changed(training='{"a": 1e999}'), "1e999"),
    "training no object": (changed(training="[1]"), "training"),
    "training with a name twice": (changed(training='{"a": {"b": 1, "b": 1}}'), "twice"),
    "training deeply nested": (changed(training='{"a":' * 100_000), ""),
    "header not UTF-8": (raw(b'{"\xff": 1}'), ""),
    "header too long": (raw(good_header().ljust(2**20 + 1), bytes(208)), "its header is 1,048,577 bytes long"),
    "unknown metadata with a long name": (changed(**{"a" * 100_000: "b"}), "aaa"),
    "metadata no object": (described(__metadata__=[]), "deserializing"),
    "metadata numbers": (described(__metadata__=GOOD | {"format_version": 1}), "deserializing"),
    "metadata twice": (raw(good_header().replace(b'"v":', b'"__metadata__": {}, "v":'), bytes(208)), "twice"),
    "tensor twice": (raw(good_header().replace(b'"v":', b'"w": {}, "v":'), bytes(208)), "twice"),
    "format twice": (raw(good_header().replace(b'"format":', b'"format": "x", "format":'), bytes(208)), "twice"),
    "tensor without shape": (described(w={"dtype": "F64", "data_offsets": [0, 128]}), ""),
    "dtype a list": (described(w=W | {"dtype": ["F64"]}), ""),
    "offsets backwards": (described(w=W | {"data_offsets": [128, 0]}), ""),
    "tensors overlap": (described(v=V | {"data_offsets": [64, 144]}), ""),
    "gap between tensors": (raw(good_header(v=V | {"data_offsets": [136, 216]}), bytes(216)), ""),
    "bytes before the tensors": (
        raw(good_header(w=W | {"data_offsets": [8, 136]}, v=V | {"data_offsets": [136, 216]}), bytes(216)),
        "",
    ),
    **{
        f"shape {shape}": (described(w=W | {"shape": shape}), "")
        for shape in ([4, 5], [True, 16], [2**62, 4], [2**40, 2**40], [-1, 4], [1.5, 4], "ab", None, [0, 2**70])
    },
}


@pytest.mark.parametrize(("content", "reported"), BROKEN.values(), ids=BROKEN)
def test_broken_files(path, content, reported):
    path.write_bytes(content)
    for source, name in ((path, path), (content, "path")):
        with pytest.raises(ValueError, match=f"^{name} is not a model file of this library: ") as caught:
            Network.load(source)
        assert reported in str(caught.value)
        assert len(str(caught.value)) < 1000
    assert path.read_bytes() == content


def test_the_good_file_is_good():
    # what the broken ones were made from
    scaling = {"mean": np.array([0.0, 1, 2]), "scale": np.array([1.0, 2, 3])}
    names = {"classes": '["a", "b"]', "features": '["a", "b", "c"]', "training": "{}"}
    content = save(arrays() | scaling | {"losses": np.ones(5), "held_out": np.ones(0)}, GOOD | names)
    model = load_model(content)
    np.testing.assert_array_equal(model.w, load(content)["w"])
    np.testing.assert_array_equal(model.mean, [0, 1, 2])
    assert (len(model.losses), len(model.held_out)) == (5, 0)
    assert not Network.load(raw(good_header().ljust(2**20), bytes(208))).w.any()
    load_model(linear(targets='["a", "b"]', target_mean=np.zeros(2), target_scale=np.ones(2)))


def test_loading_holds_the_file_twice_at_most(path):
    network = Network(1000, 2000, 10, rng=0)
    network.save(path)
    tracemalloc.start()
    again = Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_equal(again, network)
    assert peak < 2 * path.stat().st_size + 2**22


def test_large_files_of_others_are_not_read(path):
    with path.open("wb") as file:
        file.write(b"\1" * 8)
        file.truncate(2**32)  # zeros that take no space on the disk
    tracemalloc.start()
    with pytest.raises(ValueError, match="it is no safetensors file"):
        Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


# What JSON of the longest header can become: the largest objects that the fewest letters make.
@pytest.mark.slow
@pytest.mark.parametrize("bomb", [b"[],", b"{},", b'{"a":[]},', b"1.5,", b'"ab",', b"[[[[]]]],"])
def test_small_files_stay_small_in_memory(bomb):
    content = raw(b"[" + bomb * ((2**20 - 8) // len(bomb)) + b"0]")
    tracemalloc.start()
    with pytest.raises(ValueError, match="not a model file"):
        Network.load(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(content) + 50e6


LINEAR = {"functions": Functions(output="linear")}


def hashed(**changes):
    """Four inputs, to which names are hashed."""
    return {"w": np.zeros((4, 5)), "hash": {"bits": 2, "numbers": [], "texts": []} | changes}


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"w": np.full((4, 4), np.nan)}, r"w\[0, 0\] is nan"),
        ({"learning_rate": np.inf}, "learning_rates must be finite"),
        ({"features": ["a", "b", "b"]}, "features must be different"),
        (LINEAR | {"targets": ["a"]}, "targets must be 2"),
        ({"losses": np.array([np.inf])}, "losses must be finite"),
        ({"held_out": np.array([np.nan])}, "held_out must be finite"),
        ({"states": {"velocity": (np.full((4, 4), np.nan), np.ones((2, 5)))}}, r"velocity_w must be finite"),
        ({"states": {"velocity": (np.ones((4, 4)), np.ones((1, 5)))}}, r"velocity_v is float64 \(1, 5\)"),
        ({"states": {"average": (np.ones((4, 4)), np.ones((2, 5)))}}, "average_w"),
        ({"training": {"a": math.nan}}, "JSON has NaN"),
        ({"training": []}, "training is not a JSON object"),
        (hashed(bits=3), "its hash has 3 bits; the 4 inputs must be 2\\*\\*bits"),
        (hashed(bits=True), "its hash has True bits"),
        (hashed(bits=10**9), "its hash has 1000000000 bits"),
        (hashed(numbers="a"), "its hash must have lists of columns"),
        (hashed(numbers=["a"], texts=["a"]), "its hashed columns must be different"),
        (hashed(texts=[1]), "its hashed columns must be 1 strings"),
        (hashed(seed=1), "its hash must be bits, numbers and texts"),
        (hashed() | {"features": list("abcd")}, "its inputs are both named and hashed"),
        (hashed(numbers=["x"]) | {"mean": np.zeros(2)}, r"its mean is float64 \(2,\); it must be float64 \(1,\)"),
        ({"categories": {"c": ["a", "b"]}}, "its last features must be the indicators of its categories"),
        ({"features": ["x", "c=b", "c=a"], "categories": {"c": ["a", "b"]}}, "its last features must be"),
        ({"features": ["x", "y", "c=a"], "categories": {"c": ["a", "b", "c"]}}, "its last features must be"),
        ({"features": ["x", "y", "c=1"], "categories": {"c": [1]}}, "its categories must be strings"),
        ({"features": ["x", "y", "z"], "categories": ["x"]}, "its categories must be lists of levels by column"),
        ({"features": ["x", "y", "z"], "categories": {"x": "y"}}, "its categories must be lists of levels by"),
        # of a much longer header, safetensors raises an error of its own
        *(({"classes": ["a" * size, "b"]}, "names of classes, features and targets") for size in (2**20, 10**7)),
    ],
    ids=range(28),
)
def test_what_would_not_load_is_not_saved(path, change, reported):
    model = Model(**arrays(), learning_rate=0.1)
    save_model(path, model)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match=reported):
        save_model(path, dataclasses.replace(model, **change))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["model"]
