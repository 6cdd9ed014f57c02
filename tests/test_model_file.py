"""Model files: what is saved comes back, and what is not a model file is refused."""

import json
import os
import pickle
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from cbackprop import Network
from cbackprop._model_file import Model, load_model, save_model, write_whole

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


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_round_trip(variant, tmp_path, network, kind):
    path = kind(tmp_path / "model.safetensors")
    network.save(path)
    again = Network.load(path)
    assert_equal(again, network)
    assert again.learn_one([1, 2, 3], 1) == network.learn_one([1, 2, 3], 1)  # loaded weights are writable
    again.fit(np.eye(3), [0, 1, 0])


@pytest.mark.parametrize("rate", [1e-300, 0.1, 1 / 3, 1e300, 2])
def test_rate_comes_back_to_the_last_bit(tmp_path, rate):
    Network(1, 1, 1, learning_rate=rate).save(tmp_path / "model")
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
    assert metadata == GOOD
    assert all(isinstance(value, str) for value in metadata.values())


def test_what_a_command_stored_comes_back(tmp_path, network):
    model = Model(
        network,
        classes=["setosa", "Iris virginica, \N{GREEK SMALL LETTER ALPHA}"],
        features=["a", "b", "\n"],
        mean=np.array([0.1, -1e300, 5e-324]),
        scale=np.array([1 / 3, 1, 2]),
    )
    save_model(tmp_path / "model", model)
    again = load_model(tmp_path / "model")
    assert_equal(again.network, network)
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
    with pytest.raises(OSError, match="directory"):
        network.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 1.5, ["model"]])
def test_what_is_not_a_path(network, path):
    with pytest.raises(TypeError):
        network.save(path)
    with pytest.raises(TypeError):
        Network.load(path)


def test_an_open_file_is_not_a_path(tmp_path, network):
    network.save(tmp_path / "model")
    descriptor = os.open(tmp_path / "model", os.O_RDONLY)
    for use in (Network.load, network.save):
        with pytest.raises(TypeError):
            use(descriptor)
    os.close(descriptor)  # is still open, since nobody else's file was touched


def test_failed_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")

    def fail(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


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


def retyped(dtype, size):
    """w under the name of a dtype that NumPy may not have."""
    header = {
        "__metadata__": GOOD,
        "w": {"dtype": dtype, "shape": [4, 4], "data_offsets": [0, 16 * size]},
        "v": {"dtype": "F64", "shape": [2, 5], "data_offsets": [16 * size, 16 * size + 80]},
    }
    return raw(header, bytes(16 * size + 80))


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
    "one tensor": (with_arrays(v=None), "must hold v and w"),
    "no tensors": (save({}, GOOD), "must hold v and w"),
    "unknown tensor": (with_arrays(u=np.ones(3)), "'u'"),
    "nan": (with_arrays(v=NAN), "v[1, 2] is nan"),
    "infinite": (with_arrays(v=INFINITE), "v[0, 0] is inf"),
    "integers": (with_arrays(w=np.ones((4, 4), int)), "w has dtype"),
    "half": (with_arrays(w=np.ones((4, 4), np.float16)), "w has dtype"),
    "two precisions": (with_arrays(w=np.ones((4, 4), np.float32)), "same dtype"),
    "bfloat16": (retyped("BF16", 2), ""),
    "float8": (retyped("F8_E4M3", 1), ""),
    "bool": (retyped("BOOL", 1), "w has dtype"),
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
    "mean nan": (changed(mean="[NaN, 0, 0]"), "mean"),
    "mean text": (changed(mean='["a", "b", "c"]'), ""),
    "mean object": (changed(mean='{"a": 1}'), ""),
    "mean null": (changed(mean="null"), "mean"),
    "mean ragged": (changed(mean="[[1, 2], 3, 4]"), ""),
    "mean huge": (changed(mean="[1" + "0" * 400 + ", 0, 0]"), ""),
    "mean too long": (changed(mean="[1" + "0" * 5000 + ", 0, 0]"), ""),
    "mean infinite": (changed(mean="[1e999, 0, 0]"), "mean"),
    "mean too few": (changed(mean="[0, 0]"), "mean"),
    "scale too many": (changed(scale="[1, 1, 1, 1]"), "scale"),
    "scale zero": (changed(scale="[1, 0, 1]"), "scale"),
}


@pytest.mark.parametrize(("content", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path, content, told):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a model file") as caught:
        Network.load(path)
    assert told in str(caught.value)
    assert path.read_bytes() == content


def test_the_good_file_is_good(tmp_path):
    # what the broken ones were made from
    path = tmp_path / "model"
    content = changed(
        classes='["a", "b"]',
        features='["a", "b", "c"]',
        mean="[0, 1, 2]",
        scale="[1, 2, 3]",
        other="for later releases",
    )
    path.write_bytes(content)
    model = load_model(path)
    np.testing.assert_array_equal(model.network.w, load(content)["w"])
    np.testing.assert_array_equal(model.mean, [0, 1, 2])
    header = {
        "__metadata__": GOOD,
        "w": {"dtype": "F64", "shape": [4, 4], "data_offsets": [0, 128]},
        "v": {"dtype": "F64", "shape": [2, 5], "data_offsets": [128, 208]},
    }
    path.write_bytes(raw(header, bytes(208)))
    assert not Network.load(path).w.any()


@pytest.mark.parametrize("shape", [[2**62, 4], [2**40, 2**40], [-1, 4], [1.5, 4], "ab", None])
def test_shapes_that_no_file_can_have(tmp_path, shape):
    header = {
        "__metadata__": GOOD,
        "w": {"dtype": "F64", "shape": shape, "data_offsets": [0, 128]},
        "v": {"dtype": "F64", "shape": [2, 5], "data_offsets": [128, 208]},
    }
    (tmp_path / "model").write_bytes(raw(header, bytes(208)))
    with pytest.raises(ValueError, match="model is not a model file"):
        Network.load(tmp_path / "model")
