"""`cbackprop info`."""

import re
from pathlib import Path

import pytest

import cbackprop


def test_installation(succeed):
    out = succeed("info")
    info = cbackprop.kernel_info()
    for name, value in (("cbackprop", cbackprop.__version__), ("kernels", info["variant"]), ("CPU", "")):
        assert re.search(rf"^{name} +{re.escape(value)}", out, re.MULTILINE)
    assert re.search(rf"compiler +{re.escape(info['compiler'])}", out)


def test_model(iris, succeed):
    succeed("train iris.csv --target species --hidden 8 --epochs 1 --validation 0")
    out = succeed("info model.safetensors")
    assert "4 inputs, 8 hidden units, 3 outputs" in out
    assert "(8, 5), float64" in out
    assert "(3, 9), float64" in out
    assert "'setosa', 'versicolor', 'virginica'" in out
    assert re.search(r"sepal length +5.84333 +0.825301", out)


@pytest.mark.parametrize("content", [b"", b"a", b"This is no model.", b"age,income,churn\n1,2,0\n", b"PAR1" * 9])
def test_file_that_is_no_model(folder, fail, content):
    Path("file").write_bytes(content)
    for line in ("info file", "predict file file.csv"):
        assert fail(line) == "file is not a model file of this library: it is no safetensors file"


@pytest.mark.parametrize("line", ["info no", "predict no file.csv"])
def test_missing_model(folder, fail, line):
    assert fail(line) == "no: no such file"


def test_header_that_is_too_long(folder, fail):
    Path("file").write_bytes((2**20 + 1).to_bytes(8, "little") + b"{" + bytes(2**20))
    assert fail("info file").endswith("its header is 1,048,577 bytes long; the limit is 1,048,576")
