"""NPZ files as tables: arrays of any shape, damaged and malicious archives."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from cbackprop._model_file import load_model


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
        ("|b1", "(4, 5000000)", 20_000_000, "has 5,000,000 columns; at most 4,194,304 are supported"),
        ("<f8", "(4, 2)", 63, "has shape (4, 2), dtype float64 and 63 bytes"),
        ("<f8", "(-4,)", 0, "has shape (-4,); rows of at least one value are needed"),
        ("<U0", "(4,)", 0, "has dtype <U0; numbers or text are needed"),
        ("<f8", "(4, 2", 64, "EOF in multi-line statement"),
        ("<f8", "{[]}", 64, "unhashable"),
    ],
)
def test_malicious_headers(folder, fail, dtype, shape, size, problem):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    np.savez("t.npz", y=np.arange(4) % 2)
    with zipfile.ZipFile("t.npz", "a") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size))
    message = fail("train t.npz --target y --validation 0")
    assert message.startswith("t.npz: array 'x.npy'")
    assert problem in message


@pytest.mark.parametrize("code", [0x110000, 0xD800, 0xFFFFFFFF])
@pytest.mark.parametrize("order", "<>")
def test_invalid_unicode(folder, fail, code, order):
    labels = np.array([[65, 66], [66, 65], [65, code], [66, 0]], f"{order}u4").view(f"{order}U2")[:, 0]
    np.savez("t.npz", x=np.arange(4.0), y=labels)
    assert fail("train t.npz --target y --validation 0") == "t.npz: row 3, column 'y' is not valid Unicode"
