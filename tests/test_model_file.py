"""Model files: what is saved comes back, and what is not a model file is refused."""

import dataclasses
import errno
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

from cbackprop import Network
from cbackprop._validation import Functions
from cbackprop.files.model_file import Model, load_model, save_model

GOOD = {"format": "cbackprop", "format_version": "1", "learning_rate": "0.25"}


@pytest.fixture
def network(dtype):
    return Network(3, 4, 2, learning_rate=0.25, dtype=dtype, rng=0)


def arrays():
    rng = np.random.default_rng(0)
    return {"w": rng.normal(size=(4, 4)), "v": rng.normal(size=(2, 5))}


def assert_equal(one, other):
    assert one.dtype == other.dtype
    assert one.learning_rate == other.learning_rate
    assert one.w.tobytes() == other.w.tobytes()
    assert one.v.tobytes() == other.v.tobytes()


@pytest.mark.parametrize("kind", [str, lambda path: path, os.fsencode], ids=["str", "Path", "bytes"])
def test_round_trip(variant, tmp_path, network, kind):
    path = kind(tmp_path / "model.safetensors")
    network.save(path)
    again = Network.load(path)
    assert_equal(again, network)
    assert again.learn_one([1, 2, 3], 1) == network.learn_one([1, 2, 3], 1)  # loaded weights are writable
    again.fit(np.eye(3), [0, 1, 0])


@pytest.mark.parametrize("rate", [1e-300, 0.1, 1 / 3, 1e300, 2])
def test_rate_comes_back_to_the_last_bit(tmp_path, rate):
    Network(1, 1, 2, learning_rate=rate).save(tmp_path / "model")
    assert Network.load(tmp_path / "model").learning_rate == rate


def test_subclasses_load_themselves(tmp_path, network):
    class Named(Network):
        pass

    network.save(tmp_path / "model")
    assert type(Named.load(tmp_path / "model")) is Named


def test_file_is_safetensors_with_w_and_v(tmp_path, network):
    network.save(tmp_path / "model")
    with safe_open(tmp_path / "model", framework="numpy") as file:
        assert sorted(file.keys()) == ["v", "w"]
        np.testing.assert_array_equal(file.get_tensor("w"), network.w)
        np.testing.assert_array_equal(file.get_tensor("v"), network.v)
        metadata = file.metadata()
    assert metadata == GOOD | {"order": "F"}
    assert all(isinstance(value, str) for value in metadata.values())


def test_what_a_command_stored_comes_back(tmp_path, network):
    model = Model(
        network.w,
        network.v,
        network.learning_rate,
        classes=["setosa", "Iris virginica, \N{GREEK SMALL LETTER ALPHA}"],
        features=["a", "b", "\n"],
        mean=np.array([0.1, -1e300, 5e-324]),
        scale=np.array([1 / 3, 1, 2]),
    )
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    assert_equal(Network.from_weights(again.w, again.v, learning_rate=again.learning_rate), network)
    assert (again.classes, again.features) == (model.classes, model.features)
    np.testing.assert_array_equal(again.mean, model.mean)
    np.testing.assert_array_equal(again.scale, model.scale)
    assert_equal(Network.load(tmp_path / "model"), network)  # and does not disturb who wants the network alone


def test_saving_replaces_the_file_as_a_whole(tmp_path, network):
    path = tmp_path / "model"
    network.save(path)
    inode, before = path.stat().st_ino, network.w.copy()
    network.fit(np.eye(3), [0, 1, 0])
    network.save(path)
    assert path.stat().st_ino != inode  # a new file under the name: whoever reads the old one still reads it whole
    assert (Network.load(path).w != before).any()
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_saving_to_nowhere(tmp_path, network):
    with pytest.raises(FileNotFoundError):
        network.save(tmp_path / "missing" / "model")
    with pytest.raises(OSError, match="nothing was written"):
        network.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 1.5, ["model"]])
def test_what_is_not_a_path(network, path):
    for use in (Network.load, network.save):
        with pytest.raises(TypeError, match=r"path is .*; it must be a path"):
            use(path)


@pytest.mark.parametrize("path", ["a\0b", b"a\0b"])
def test_what_no_file_is_called(network, path):
    for use in (Network.load, network.save):
        with pytest.raises(ValueError, match=r"path is .*; no file can have this name"):
            use(path)


def test_an_open_file_is_not_a_path(tmp_path, network):
    network.save(tmp_path / "model")
    descriptor = os.open(tmp_path / "model", os.O_RDONLY)
    for use in (Network.load, network.save):
        with pytest.raises(TypeError):
            use(descriptor)
    os.close(descriptor)  # is still open, since nobody else's file was touched


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


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device")
def test_a_device_is_not_read():
    with pytest.raises(OSError, match=r"not a regular file: '/dev/zero'"):
        Network.load("/dev/zero")


@pytest.mark.skipif(sys.platform == "win32", reason="names and paths have other limits there")
def test_the_longest_name(tmp_path, network):
    network.save(tmp_path / ("a" * 255))
    assert_equal(Network.load(tmp_path / ("a" * 255)), network)
    with pytest.raises(OSError, match="nothing was written") as caught:
        network.save(tmp_path / ("a" * 256))
    assert caught.value.errno == errno.ENAMETOOLONG
    assert os.listdir(tmp_path) == ["a" * 255]


# ---------------------------------------------------------------------------------------------------- what is refused


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Network.load(tmp_path / "missing")


def test_directory(tmp_path):
    with pytest.raises(OSError, match="directory"):
        Network.load(tmp_path)


def test_every_truncation(tmp_path):
    whole = save(arrays(), GOOD)
    path = tmp_path / "model"
    path.write_bytes(whole)
    Network.load(path)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="model is not a model file"):
            Network.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="model is not a model file"):
        Network.load(path)


def test_every_flipped_bit_of_the_header(tmp_path):
    # a header that is still one describes the same tensors, or the file is refused: nothing else may come out
    whole = save(arrays(), GOOD)
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    path = tmp_path / "model"
    for place in range(header):
        spoiled = bytearray(whole)
        spoiled[place] ^= 1 << place % 8
        path.write_bytes(spoiled)
        try:
            network = Network.load(path)
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


W = {"dtype": "F64", "shape": [4, 4], "data_offsets": [0, 128]}
V = {"dtype": "F64", "shape": [2, 5], "data_offsets": [128, 208]}


def good_header(**changes):
    return json.dumps({"__metadata__": GOOD, "w": W, "v": V} | changes).encode()


def described(**changes):
    return raw(good_header(**changes), bytes(208))


NAN, INFINITE = np.ones((2, 5)), np.ones((2, 5))
NAN[1, 2], INFINITE[0, 0] = np.nan, np.inf

BROKEN = {  # content of the file, and what the message must tell
    "empty": (b"", ""),
    "text": (b"w,v\n1,2\n", ""),
    "zeros": (bytes(100), ""),
    "pickle": (pickle.dumps(arrays()), ""),
    "huge header": (struct.pack("<Q", 2**63) + b"{}", ""),
    "header of nothing": (raw({}), ""),
    "not JSON": (raw(b"{not JSON}"), ""),
    "no metadata": (save(arrays()), "format"),
    "another format": (changed(format="onnx"), "'onnx'"),
    "no format": (changed(format=None), "format"),
    "a newer version": (changed(format_version="2"), "upgrade"),
    "a much newer version": (changed(format_version="1000000000000000000000"), "upgrade"),
    "version 0": (changed(format_version="0"), "version"),
    "version -1": (changed(format_version="-1"), "version"),
    "version text": (changed(format_version="one"), "one"),
    "no version": (changed(format_version=None), "format_version"),
    "no rate": (changed(learning_rate=None), "learning_rate"),
    "rate nan": (changed(learning_rate="nan"), "learning_rate"),
    "rate 0": (changed(learning_rate="0"), "learning_rate"),
    "rate text": (changed(learning_rate="fast"), "fast"),
    "one tensor": (with_arrays(v=None), "it lacks the tensors"),
    "no tensors": (save({}, GOOD), "it lacks the tensors"),
    "unknown tensor": (with_arrays(u=np.ones(3)), "'u'"),
    "velocity of one layer": (with_arrays(velocity_w=np.ones((4, 4))), "it must have velocity_w and velocity_v"),
    "velocity of other shape": (with_arrays(velocity_w=np.ones((4, 4)), velocity_v=np.ones((2, 6))), "velocity_v is"),
    "nan": (with_arrays(v=NAN), "v[1, 2] is nan"),
    "infinite": (with_arrays(v=INFINITE), "v[0, 0] is inf"),
    "integers": (with_arrays(w=np.ones((4, 4), int)), "w has dtype"),
    "half": (with_arrays(w=np.ones((4, 4), np.float16)), "w has dtype"),
    "two precisions": (with_arrays(w=np.ones((4, 4), np.float32)), "same dtype"),
    "bool": (with_arrays(w=np.ones((4, 4), bool)), "w has dtype"),
    "1-d": (with_arrays(w=np.ones(4)), "w has 1 dimension"),
    "0-d": (with_arrays(w=np.array(1.0)), "w has 0 dimension"),
    "3-d": (with_arrays(w=np.ones((1, 4, 4))), "w has 3 dimension"),
    "empty w": (with_arrays(w=np.ones((0, 4))), "w has shape (0, 4)"),
    "not fitting": (with_arrays(v=np.ones((2, 4))), "v has shape (2, 4)"),
    "classes no JSON": (changed(classes="setosa"), ""),
    "classes no list": (changed(classes='"ab"'), "classes"),
    "classes too few": (changed(classes='["a"]'), "classes"),
    "classes numbers": (changed(classes="[1, 2]"), "classes"),
    "classes object": (changed(classes='{"a": 1, "b": 2}'), "classes"),
    "features too many": (changed(features='["a", "b", "c", "d"]'), "features"),
    "deeply nested": (changed(features="[" * 200_000), ""),
    "classes twice the same": (changed(classes='["a", "a"]'), "classes"),
    "classes no characters": (changed(classes=r'["a", "\ud800"]'), "surrogates"),
    "classes not a number": (changed(classes='["a", NaN]'), "NaN"),
    "unknown metadata": (changed(momentum="0.9"), "'momentum'"),
    "version with a space": (changed(format_version=" 1"), "version"),
    "mean nan": (with_arrays(mean=np.array([0, np.nan, 0])), "mean"),
    "mean infinite": (with_arrays(mean=np.array([0, 0, np.inf])), "mean"),
    "mean of float32": (with_arrays(mean=np.zeros(3, np.float32)), "mean"),
    "mean integers": (with_arrays(mean=np.zeros(3, int)), "mean"),
    "mean a table": (with_arrays(mean=np.zeros((1, 3))), "mean"),
    "mean too few": (with_arrays(mean=np.zeros(2)), "mean"),
    "scale too many": (with_arrays(scale=np.ones(4)), "scale"),
    "scale zero": (with_arrays(scale=np.array([1.0, 0, 1])), "scale"),
    "losses nan": (with_arrays(losses=np.array([np.nan])), "losses"),
    "targets no strings": (linear(targets="[1, 2]"), "targets"),
    "targets too few": (linear(targets='["a"]'), "targets"),
    "targets twice the same": (linear(targets='["a", "a"]'), "targets"),
    "target_mean nan": (linear(target_mean=np.array([0, np.nan])), "target_mean"),
    "target_mean too many": (linear(target_mean=np.zeros(3)), "target_mean is float64 (3,); it must be float64 (2,)"),
    "target_mean of float32": (linear(target_mean=np.zeros(2, np.float32)), "target_mean"),
    "target_scale a table": (linear(target_scale=np.ones((2, 1))), "target_scale"),
    "target_scale zero": (linear(target_scale=np.array([1.0, 0])), "target_scale holds a 0"),
    "targets of softmax outputs": (changed(targets='["a", "b"]'), "need linear outputs, not softmax ones"),
    "target_mean of softmax outputs": (with_arrays(target_mean=np.zeros(2)), "need linear outputs"),
    "target_scale of logistic outputs": (linear(output="logistic", target_scale=np.ones(2)), "not logistic ones"),
    "training no JSON": (changed(training="epochs"), ""),
    "training too large a number": (changed(training='{"a": 1e999}'), "1e999"),
    "training no object": (changed(training="[1]"), "training"),
    "training with a name twice": (changed(training='{"a": {"b": 1, "b": 1}}'), "twice"),
    "training deeply nested": (changed(training='{"a":' * 100_000), ""),
    "header no object": (raw([]), ""),
    "header nested": (raw(b"[" * 100_000), ""),
    "header not UTF-8": (raw(b'{"\xff": 1}'), ""),
    "header too long": (raw(good_header().ljust(2**20 + 1), bytes(208)), "header"),
    "unknown metadata with a long name": (changed(**{"a" * 100_000: "b"}), "aaa"),
    "metadata no object": (described(__metadata__=[]), "metadata"),
    "metadata numbers": (described(__metadata__=GOOD | {"format_version": 1}), "metadata"),
    "metadata twice": (raw(good_header().replace(b'"v":', b'"__metadata__": {}, "v":'), bytes(208)), "twice"),
    "tensor twice": (raw(good_header().replace(b'"v":', b'"w": {}, "v":'), bytes(208)), "twice"),
    "format twice": (raw(good_header().replace(b'"format":', b'"format": "x", "format":'), bytes(208)), "twice"),
    "tensor no object": (described(w=None), ""),
    "tensor without shape": (described(w={"dtype": "F64", "data_offsets": [0, 128]}), ""),
    "dtype a list": (described(w=W | {"dtype": ["F64"]}), ""),
    "dtype unknown": (described(w=W | {"dtype": ""}), ""),
    "shape truth": (described(w=W | {"shape": [True, 16]}), "shape"),
    "shape of other size": (described(w=W | {"shape": [4, 5]}), ""),
    "offsets negative": (described(w=W | {"data_offsets": [-128, 0]}), ""),
    "offsets backwards": (described(w=W | {"data_offsets": [128, 0]}), ""),
    "offsets three": (described(w=W | {"data_offsets": [0, 64, 128]}), ""),
    "offsets fractional": (described(w=W | {"data_offsets": [0, 128.0]}), ""),
    "offsets beyond the end": (described(v=V | {"data_offsets": [2**62, 2**62 + 80]}), ""),
    "tensors overlap": (described(v=V | {"data_offsets": [64, 144]}), ""),
    "gap between tensors": (raw(good_header(v=V | {"data_offsets": [136, 216]}), bytes(216)), ""),
    "bytes before the tensors": (
        raw(good_header(w=W | {"data_offsets": [8, 136]}, v=V | {"data_offsets": [136, 216]}), bytes(216)),
        "",
    ),
}


@pytest.mark.parametrize(("content", "reported"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path, content, reported):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a model file") as caught:
        Network.load(path)
    assert reported in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert path.read_bytes() == content


def test_the_good_file_is_good(tmp_path):
    # what the broken ones were made from
    path = tmp_path / "model"
    scaling = {"mean": np.array([0.0, 1, 2]), "scale": np.array([1.0, 2, 3])}
    names = {"classes": '["a", "b"]', "features": '["a", "b", "c"]', "training": "{}"}
    content = save(arrays() | scaling | {"losses": np.ones(5), "held_out": np.ones(0)}, GOOD | names)
    path.write_bytes(content)
    model = load_model(path)
    np.testing.assert_array_equal(model.w, load(content)["w"])
    np.testing.assert_array_equal(model.mean, [0, 1, 2])
    assert (len(model.losses), len(model.held_out)) == (5, 0)
    path.write_bytes(raw(good_header().ljust(2**20), bytes(208)))
    assert not Network.load(path).w.any()


@pytest.mark.parametrize("shape", [[2**62, 4], [2**40, 2**40], [-1, 4], [1.5, 4], "ab", None, [0, 2**70]])
def test_shapes_that_no_file_can_have(tmp_path, shape):
    (tmp_path / "model").write_bytes(described(w=W | {"shape": shape}))
    with pytest.raises(ValueError, match="model is not a model file"):
        Network.load(tmp_path / "model")


def test_loading_holds_the_weights_once(tmp_path):
    path = tmp_path / "model"
    network = Network(1000, 2000, 10, rng=0)
    network.save(path)
    tracemalloc.start()
    again = Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_equal(again, network)
    assert peak < path.stat().st_size + 2**20


# What JSON of the longest header can become: the largest objects that the fewest letters make.
@pytest.mark.slow
@pytest.mark.parametrize("bomb", [b"[],", b"{},", b'{"a":[]},', b"1.5,", b'"ab",', b"[[[[]]]],"])
def test_small_files_stay_small_in_memory(tmp_path, bomb):
    path = tmp_path / "model"
    path.write_bytes(raw(b"[" + bomb * ((2**20 - 8) // len(bomb)) + b"0]"))
    tracemalloc.start()
    with pytest.raises(ValueError, match="model is not a model file"):
        Network.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size + 50e6


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"w": np.full((4, 4), np.nan)}, r"w\[0, 0\] is nan"),
        ({"v": INFINITE}, r"v\[0, 0\] is inf"),
        ({"w": np.ones((4, 4), np.float32)}, "same dtype"),
        ({"v": np.ones((2, 4))}, "v has shape"),
        ({"learning_rate": np.inf}, "learning_rate is inf"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"classes": ["a"]}, "classes must be 2"),
        ({"features": ["a", "b", "b"]}, "features must be different"),
        ({"mean": np.array([0, np.nan, 0])}, "mean must be finite"),
        ({"mean": np.zeros((1, 3))}, r"mean is float64 \(1, 3\)"),
        ({"scale": np.ones(2)}, r"scale is float64 \(2,\)"),
        ({"scale": np.array([1.0, 0, 1])}, "scale holds a 0"),
        ({"target_scale": np.ones(2)}, "need linear outputs"),
        ({"functions": Functions(output="linear"), "target_scale": np.zeros(2)}, "target_scale holds a 0"),
        ({"functions": Functions(output="linear"), "targets": ["a"]}, "targets must be 2"),
        ({"losses": np.array([np.inf])}, "losses must be finite"),
        ({"held_out": np.array([np.nan])}, "held_out must be finite"),
        ({"states": {"velocity": (np.full((4, 4), np.nan), np.ones((2, 5)))}}, r"velocity_w must be finite"),
        ({"states": {"velocity": (np.ones((4, 4)), np.ones((2, 5), np.float32))}}, r"velocity_v is float32 \(2, 5\)"),
        ({"states": {"velocity": (np.ones((4, 4)), np.ones((1, 5)))}}, r"velocity_v is float64 \(1, 5\)"),
        ({"states": {"average": (np.ones((4, 4)), np.ones((2, 5)))}}, "average_w"),
        ({"training": {"a": math.nan}}, "JSON has NaN"),
        ({"training": []}, "training is not a JSON object"),
    ],
)
def test_what_would_not_load_is_not_saved(tmp_path, change, reported):
    path = tmp_path / "model"
    model = Model(**arrays(), learning_rate=0.1)
    save_model(path, model)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match=reported):
        save_model(path, dataclasses.replace(model, **change))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model"]


def test_a_network_that_is_not_finite_is_not_saved(tmp_path, network):
    network.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    network.v[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"v\[1, 2\] is nan; weights must be finite"):
        network.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before


def test_read_only_weights_are_saved(tmp_path):
    w, v = arrays().values()
    w.flags.writeable = v.flags.writeable = False
    Network.from_weights(w, v).save(tmp_path / "model")
    assert Network.load(tmp_path / "model").w.tobytes() == w.tobytes()


@pytest.mark.parametrize("size", [2**20, 10**8])  # of a longer header, safetensors raises an error of its own
def test_names_that_would_not_load_are_not_saved(tmp_path, network, size):
    network.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(ValueError, match="names of classes, features and targets"):
        save_model(tmp_path / "model", Model(network.w, network.v, 0.1, classes=["a" * size, "b"]))
    assert (tmp_path / "model").read_bytes() == before


# ---------------------------------------------------------------------------------------------- hidden and output


def test_functions_come_back(tmp_path, functions):
    path, network = tmp_path / "model", Network(3, 4, 2, rng=0, **functions)
    network.save(path)
    again = Network.load(path)
    assert (again.output, again.hidden) == (functions["output"], functions["hidden"])
    np.testing.assert_array_equal(again.predict(np.eye(3)), network.predict(np.eye(3)))
    names = safe_open(path, framework="numpy").metadata()
    # earlier releases load what they know, and refuse the rest
    assert ("hidden" in names, "output" in names) == ((functions != {"output": "softmax", "hidden": "sigmoid"}),) * 2


@pytest.mark.parametrize(("name", "value"), [("hidden", "cosine"), ("output", ""), ("output", "Linear")])
def test_unknown_functions_are_refused(tmp_path, name, value):
    (tmp_path / "model").write_bytes(save(arrays(), GOOD | {name: value}))
    with pytest.raises(ValueError, match=rf"not a model file of this library: {name} is {value!r}"):
        load_model(tmp_path / "model")


def test_targets_come_back(tmp_path, network):
    path = tmp_path / "model"
    targets = {
        "targets": ["price", "Fl\u00e4che"],
        "target_mean": np.array([1e5, -0.1]),
        "target_scale": np.array([1 / 3, 2]),
    }
    save_model(path, Model(network.w, network.v, 0.25, functions=Functions("tanh", "linear"), **targets))
    again = load_model(path)
    assert again.targets == targets["targets"]
    np.testing.assert_array_equal(again.target_mean, targets["target_mean"])
    np.testing.assert_array_equal(again.target_scale, targets["target_scale"])
    assert load_model(path).functions == ("tanh", "linear")
    # the network alone predicts scaled targets
    x, v = np.eye(3), network.v.astype(float)
    z = np.tanh(x @ network.w[:, :-1].T.astype(float) + network.w[:, -1])
    y = Network.load(path).predict(x)
    np.testing.assert_allclose(y, z @ v[:, :-1].T + v[:, -1], rtol=1e-5 if network.dtype == "f4" else 1e-14)


def test_a_model_of_classes_has_nothing_that_earlier_releases_refuse(tmp_path, network):
    w, v = np.ascontiguousarray(network.w), np.ascontiguousarray(network.v)
    save_model(tmp_path / "model", Model(w, v, 0.25, classes=["a", "b"]))
    with safe_open(tmp_path / "model", framework="numpy") as file:
        assert (sorted(file.keys()), file.metadata()) == (["v", "w"], GOOD | {"classes": '["a", "b"]'})


def test_a_file_that_is_truncated_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "m"
    Network(200, 50, 3, rng=0).save(path)
    monkeypatch.setattr("cbackprop.files.model_file._check_version", lambda metadata: os.truncate(path, 5000))
    with pytest.raises(ValueError, match="it became shorter while it was read"):
        Network.load(path)
