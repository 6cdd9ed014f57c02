"""`cbackprop info`."""

import json
import re
from pathlib import Path

import pytest

import cbackprop
from cbackprop.files.model_file import load_model


def test_installation(succeed):
    out = succeed("info")
    info = cbackprop.kernel_info()
    for name, value in (("cbackprop", cbackprop.__version__), ("kernels", info["variant"]), ("CPU", "")):
        assert re.search(rf"^{name} +{re.escape(value)}", out, re.MULTILINE)
    assert re.search(rf"compiler +{re.escape(info['compiler'])}", out)


def test_model(iris, succeed):
    succeed("train iris.csv --target species --hidden 8 --epochs 1 --validation 0")
    out = succeed("info model.safetensors")
    assert "Network(4, 8, 3, " in out
    assert "dtype=float64" in out
    assert "'setosa', 'versicolor', 'virginica'" in out
    assert re.search(r"sepal length +5.84333 +0.825301", out)


def test_json(iris, houses, succeed):
    assert json.loads(succeed("info --json"))["cbackprop"] == cbackprop.__version__
    succeed("train iris.csv --target species --hidden 8 --epochs 2 --checkpoint c")
    found, model = json.loads(succeed("info c --json")), load_model("c")
    sizes = {"n_inputs": 4, "n_hidden": 8, "n_outputs": 3, "dtype": "float64", "adaptive": True}
    assert found.items() >= (sizes | {"hidden": "tanh", "output": "softmax", "learning_rate": 0.3 / 5**0.5}).items()
    assert (found["features"], found["classes"], found["target"]) == (model.features, model.classes, "species")
    for name in ("mean", "scale", "losses", "held_out"):
        assert found[name] == getattr(model, name).tolist()
    succeed("train houses.csv --target price --epochs 1")
    found = json.loads(succeed("info model.safetensors --json"))
    assert (found["targets"], found["target_mean"]) == (["price"], load_model("model.safetensors").target_mean)


@pytest.mark.parametrize("content", [b"", b"a", b"This is no model.", b"age,income,churn\n1,2,0\n", b"PAR1" * 9])
def test_file_that_is_no_model(folder, fail, content):
    Path("file").write_bytes(content)
    for line in ("info file", "predict file file.csv"):
        assert fail(line) == "file is not a model file of this library: it is no safetensors file"


@pytest.mark.parametrize("line", ["info no", "predict no file.csv"])
def test_missing_model(folder, fail, line):
    assert fail(line) == "no: No such file or directory"
