"""`cbackprop info`."""

import re
from pathlib import Path

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


def test_file_that_is_no_model(folder, fail):
    Path("junk.safetensors").write_text("This is no model.")
    assert "junk.safetensors" in fail("info junk.safetensors")
