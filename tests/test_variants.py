"""Which kernels run: the best that the processor offers, or the one forced by CBACKPROP_KERNEL."""

import json
import pickle

import numpy as np
import pytest

import cbackprop
from cbackprop import Network, _dispatch, reference
from cbackprop._variants import VARIANTS

AVAILABLE = _dispatch.available_variants()

REPORT = """
import json, pickle, numpy as np, cbackprop
from cbackprop import Network
network = Network(5, 7, 3, rng=0)
network.learn_one([1, 2, 3, 4, 5], 1)
with open("network.pickle", "wb") as file:
    pickle.dump(network, file)
w, v = cbackprop.init_weights(5, 7, 3, dtype=np.float32, rng=0)
history = cbackprop.fit(np.eye(5), [0, 1, 2, 0, 1], w, v, epochs=3, rng=0)
print(json.dumps(cbackprop.kernel_info() | {"w": network.w.tolist(), "losses": history.losses}))
"""


def test_kernel_info():
    info = cbackprop.kernel_info()
    assert info["variant"] == _dispatch.ACTIVE
    assert info["available"] == AVAILABLE
    assert info["variant"] in AVAILABLE
    assert AVAILABLE[-1] == "baseline"  # runs everywhere
    assert set(info["cpu"]) >= set(VARIANTS[info["variant"]].features)
    assert info["compiler"].split()[0] in ("GCC", "Clang", "MSVC")
    assert info["lanes"]["float32"] in (info["lanes"]["float64"], 2 * info["lanes"]["float64"])
    assert info["threads"] >= 1
    assert json.loads(json.dumps(info)) == info  # plain numbers and text


def test_vectors_are_as_wide_as_the_table_says(kernels):
    variant = VARIANTS[kernels.__name__.rpartition(".")[2].partition("_")[0]]
    lanes = variant.bytes // kernels.DTYPE.itemsize
    assert kernels.LANES_IN_REGISTER in (lanes, 1)  # 1 if the compiler has no vectors
    assert VARIANTS.get(variant.narrow, variant).bytes == variant.bytes // (2 if variant.narrow else 1)


@pytest.mark.parametrize("variant", ["", *AVAILABLE])
def test_forced_variant(python, tmp_path, variant):
    result = python(REPORT, CBACKPROP_KERNEL=variant)
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["variant"] == (variant or AVAILABLE[0])  # the best if none is forced
    assert report["available"] == AVAILABLE
    # it computes what the reference does
    w, v = reference.init_weights(5, 7, 3, rng=0)
    reference.step([1, 2, 3, 4, 5], 1, w, v, 0.1)
    np.testing.assert_allclose(report["w"], w, rtol=0, atol=1e-14)
    network = pickle.loads((tmp_path / "network.pickle").read_bytes())  # of another variant
    wanted = Network.from_weights(w, v)
    np.testing.assert_allclose(network.w, w, rtol=0, atol=1e-14)
    assert network.learn_one([1, 2, 3, 4, 5], 1) == pytest.approx(wanted.learn_one([1, 2, 3, 4, 5], 1), rel=1e-13)
    w, v = reference.init_weights(5, 7, 3, dtype=np.float32, rng=0)
    losses = reference.fit(np.eye(5), [0, 1, 2, 0, 1], w, v, epochs=3, rng=0).losses
    np.testing.assert_allclose(report["losses"], losses, rtol=1e-5)


@pytest.mark.parametrize("name", ["avx3", "AVX2 ", "BASELINE", "../evil"])
def test_unknown_variant(monkeypatch, name):
    monkeypatch.setenv("CBACKPROP_KERNEL", name)
    with pytest.raises(ImportError, match=f"^CBACKPROP_KERNEL is '{name}'") as caught:
        _dispatch._choose()
    assert all(variant in str(caught.value) for variant in VARIANTS)


@pytest.mark.parametrize("variant", [name for name, variant in VARIANTS.items() if variant.features])
def test_variant_that_the_processor_lacks(monkeypatch, variant):
    every = {feature: True for each in VARIANTS.values() for feature in each.features}
    for feature in VARIANTS[variant].features:
        with monkeypatch.context() as patch:
            patch.setattr(_dispatch, "_CPU", every | {feature: False})
            patch.setattr(_dispatch, "_built", lambda name: True)
            patch.setenv("CBACKPROP_KERNEL", variant)
            with pytest.raises(ImportError, match=f"CBACKPROP_KERNEL is '{variant}', which needs {feature}: not"):
                _dispatch._choose()
            assert variant not in _dispatch.available_variants()
            patch.delenv("CBACKPROP_KERNEL")
            assert _dispatch._choose() != variant


def test_variant_that_was_not_built(monkeypatch):
    monkeypatch.setattr(_dispatch, "_built", lambda variant: variant == "baseline")
    assert _dispatch.available_variants() == ["baseline"]
    monkeypatch.delenv("CBACKPROP_KERNEL", raising=False)
    assert _dispatch._choose() == "baseline"
    monkeypatch.setenv("CBACKPROP_KERNEL", "avx2")
    with pytest.raises(ImportError, match="'avx2', which this build of cbackprop does not contain"):
        _dispatch._choose()


def test_unknown_processor_gets_the_baseline(monkeypatch):
    # NumPy's table of features has no public name: without it the variant that runs everywhere is chosen
    monkeypatch.setattr(_dispatch, "_CPU", {})
    monkeypatch.delenv("CBACKPROP_KERNEL", raising=False)
    assert _dispatch.available_variants() == ["baseline"]
    assert _dispatch._choose() == "baseline"


OLD_PROCESSOR = """
import importlib, sys, types
real = importlib.import_module("numpy._core._multiarray_umath")
features = dict(real.__cpu_features__)
features[{feature!r}] = False
fake = types.ModuleType(real.__name__)
fake.__dict__.update(vars(real), __cpu_features__=features)
sys.modules[real.__name__] = fake
import cbackprop
print(cbackprop.kernel_info()["variant"], *[name for name in sys.modules if name.startswith("cbackprop.kernels.")])
"""


@pytest.mark.parametrize(("feature", "variant"), [("AVX512VL", "avx2"), ("FMA3", "baseline")])
def test_no_code_for_other_processors_is_loaded(python, feature, variant):
    if variant not in AVAILABLE:
        pytest.skip(f"this processor has no {variant}")
    result = python(OLD_PROCESSOR.format(feature=feature), CBACKPROP_KERNEL="")
    assert result.stderr == ""
    active, *modules = result.stdout.split()
    assert active == variant
    # a module of another instruction set could crash the process while it is being loaded
    assert sorted(modules) == [f"cbackprop.kernels.{variant}_{dtype}" for dtype in ("float32", "float64")]


@pytest.mark.skipif(not _dispatch._built("avx2"), reason="this build does not contain avx2")
def test_forcing_an_unsupported_variant_fails_at_import(python):
    result = python(OLD_PROCESSOR.format(feature="AVX2"), CBACKPROP_KERNEL="avx2")
    assert result.returncode != 0
    assert "ImportError: CBACKPROP_KERNEL is 'avx2', which needs AVX2" in result.stderr
