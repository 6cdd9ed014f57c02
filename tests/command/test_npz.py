"""NPZ files as tables: arrays of any shape, damaged and malicious archives."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cbackprop import command
from cbackprop._model_file import load_model
from cbackprop.command import npz, target
from cbackprop.command.files import open_table


def test_arrays_of_any_shape(folder, succeed):
    rng = np.random.default_rng(0)
    images, age = rng.integers(0, 255, (60, 2, 3), np.uint8), rng.standard_normal(60)
    np.savez_compressed("t.npz", images=images, label=np.arange(60) % 3, age=age)
    succeed("train t.npz --target label --epochs 1 --validation 0")
    model = load_model("model.safetensors")
    assert model.features == [*(f"images{i}" for i in range(6)), "age"]
    assert model.classes == ["0", "1", "2"]
    np.testing.assert_allclose(model.mean, [*images.reshape(60, 6).mean(axis=0), age.mean()], rtol=1e-13)


def test_damaged_archives(iris, fail):
    whole = Path("iris.npz").read_bytes()
    Path("iris.npz").write_bytes(whole.replace(np.float64(iris["petal width"][77]).tobytes(), bytes(8)))
    assert fail("train iris.npz --target species") == "iris.npz: Bad CRC-32 for file 'x.npy'"
    np.savez_compressed("iris.npz", x=np.random.default_rng(0).normal(size=(150, 4)), species=np.arange(150) % 3)
    damaged = bytearray(Path("iris.npz").read_bytes())
    damaged[200:400] = bytes(200)
    Path("iris.npz").write_bytes(damaged)
    assert fail("train iris.npz --target species").startswith("iris.npz: ")


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "problem"),
    [
        ("<f8", "(4, 9223372036854775808, 2)", 64, "has shape (4, 9223372036854775808, 2), dtype float64 and 64 bytes"),
        ("<f8", "(4, 1000000000)", 64, "has shape (4, 1000000000), dtype float64 and 64 bytes"),
        ("|b1", "(0, 1048576)", 0, "has 1,048,576 columns, 1,048,577 with those before it; the limit is 1,048,576"),
        ("<f8", "(0, 4194305)", 0, "has rows of 33,554,440 bytes; the limit is 33,554,432"),
        ("<f8", "(4, 2)", 63, "has shape (4, 2), dtype float64 and 63 bytes"),
        ("<f8", "(-4,)", 0, "has shape (-4,); rows of at least one value are needed"),
        ("<U0", "(4,)", 0, "has dtype <U0; numbers or text are needed"),
        ("<f8", "(4, 2", 64, "EOF in multi-line statement"),
        ("<f8", "{[]}", 64, "unhashable"),
    ],
)
def test_malicious_headers(folder, fail, dtype, shape, size, problem):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    np.savez("t.npz", y=np.arange(0 if shape.startswith("(0") else 4) % 2)
    with zipfile.ZipFile("t.npz", "a") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size))
    message = fail("train t.npz --target y --validation 0")
    assert message.startswith("t.npz: array 'x.npy'")
    assert problem in message


def test_long_texts_are_no_labels(folder, fail):
    np.savez_compressed("t.npz", x=np.arange(2), y=np.array(["a", "b" * 500_000]))
    message = "t.npz: row 2, column 'y' holds a text of 500,000 bytes; labels of classes and categories must have at"
    assert fail("train t.npz --target y --validation 0").startswith(message)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression(iris, fail, method):
    with zipfile.ZipFile("t.npz", "w", method) as archive, zipfile.ZipFile("iris.npz") as original:
        archive.writestr("x.npy", original.read("x.npy"))
    assert fail("train t.npz --target x0").startswith("t.npz: array 'x.npy' is compressed in another way than np.savez")


def test_an_array_twice(folder, fail):
    np.savez("t.npz", x=np.arange(4))
    with zipfile.ZipFile("t.npz") as archive:
        x = archive.read("x.npy")
    with zipfile.ZipFile("t.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("x.npy", x)
    assert fail("train t.npz --target x") == "t.npz: array 'x.npy' is in it twice"


def test_arrays_that_change(folder):
    np.savez("t.npz", x=np.arange(4))
    table = open_table(Path("t.npz"))
    np.savez("t.npz", x=np.arange(5))
    with pytest.raises(ValueError, match=r"t\.npz: array 'x.npy' has changed since the file was opened"):
        list(table.chunks(["x"]))


def test_arrays_are_read_in_blocks(iris, succeed, content, monkeypatch):
    line = "train iris.npz --target species --epochs 1"
    succeed(line)
    whole, sizes = content("model.safetensors"), []

    def read(stream, size=-1, do=zipfile.ZipExtFile.read):
        sizes.append(size)
        return do(stream, size)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", read)
    monkeypatch.setattr(npz, "MAX_ROW_BYTES", 1000)
    succeed(line)
    assert content("model.safetensors") == whole
    assert max(sizes) <= 1000


def test_inputs_in_any_order_from_the_array_of_the_target(folder, succeed):
    x = np.random.default_rng(0).integers(0, 3, (60, 5))
    np.savez("t.npz", x=x, z=np.arange(60.0))
    succeed("train t.npz --target x1 --ignore x3 --epochs 1 --validation 0")
    model = load_model("model.safetensors")
    assert (model.features, model.classes) == (["x0", "x2", "x4", "z"], ["0", "1", "2"])
    np.testing.assert_allclose(model.mean, [*x[:, ::2].mean(axis=0), 29.5], rtol=1e-13)

    table = open_table(Path("t.npz"))
    ((columns, values, *_),) = table.chunks(["z", "x4", "x0"], "x1")
    assert np.array_equal(columns, np.column_stack([np.arange(60), x[:, 4], x[:, 0]]))
    assert values.to_list() == x[:, 1].tolist()


@pytest.mark.parametrize("code", [0x110000, 0xD800, 0xFFFFFFFF])
@pytest.mark.parametrize("order", "<>")
def test_invalid_unicode(folder, fail, code, order):
    labels = np.array([[65, 66], [66, 65], [65, code], [66, 0]], f"{order}u4").view(f"{order}U2")[:, 0]
    np.savez("t.npz", x=np.arange(4.0), y=labels)
    assert fail("train t.npz --target y --validation 0") == "t.npz: row 3, column 'y' is not valid Unicode"


@pytest.mark.parametrize("label", [np.array(0x110000, "u4").view("U1"), "c"])  # no Unicode, a third class
def test_refused_files_are_closed_when_the_error_is_reported(folder, fail, monkeypatch, label):
    np.savez("t.npz", x=np.arange(3), y=np.array(["a", "b", label]))
    monkeypatch.setattr(target, "MAX_CLASSES", 2)
    opened, closed = [], []

    def open_file(*arguments, do=io.open, **keywords):
        opened.append(do(*arguments, **keywords))
        return opened[-1]

    def explain(error, do=command.explain):
        closed.extend(file.closed for file in opened)
        return do(error)

    monkeypatch.setattr(io, "open", open_file)  # as zipfile calls it
    monkeypatch.setattr(command, "explain", explain)
    fail("train t.npz --target y --validation 0 --task classification")
    assert closed
    assert all(closed)
