"""`cbackprop export`."""

from pathlib import Path

import pytest

from cbackprop import Network, export_c

TRAIN = "train iris.csv --target species --hidden 4 --epochs 1 --validation 0 --quiet"


def test_writes_what_export_c_writes(iris, succeed):
    succeed(f"{TRAIN} --no-standardize")
    network = Network.load("model.safetensors")
    for options, settings in (("", {}), (" --name iris --predict-only", {"name": "iris", "predict_only": True})):
        assert succeed(f"export model.safetensors iris.h{options}") == ""
        export_c(network, "wanted.h", **settings)
        assert Path("iris.h").read_bytes() == Path("wanted.h").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "model.safetensors: its inputs or targets are standardized, and C would take them as they are; train it"),
        ("--hash 4", "model.safetensors: its inputs are hashed, which C could not repeat; train a model without"),
    ],
)
def test_models_that_c_could_not_repeat(iris, succeed, fail, options, message):
    succeed(f"{TRAIN} {options}")
    assert fail("export model.safetensors iris.h").startswith(message)
    assert not Path("iris.h").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("no.safetensors iris.h", "no.safetensors: No such file or directory"),
        ("model.safetensors no/iris.h", "path is 'no/iris.h'; its folder does not exist"),
        ("model.safetensors iris.h --name for", "name is 'for'; it must be a C identifier"),
    ],
)
def test_bad_arguments(folder, fail, arguments, message):
    Network(4, 3, 3, rng=0).save("model.safetensors")
    assert fail(f"export {arguments}").startswith(message)
    assert not Path("iris.h").exists()
