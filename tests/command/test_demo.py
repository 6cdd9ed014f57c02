"""`cbackprop demo`: accuracy on the digits, and the article's published results."""

import re
from pathlib import Path

import pytest

import cbackprop

demo = pytest.importorskip("cbackprop.command.demo", exc_type=ImportError)


def test_demo(folder, succeed, monkeypatch):
    monkeypatch.setattr(demo, "reference", cbackprop)  # the reference takes a minute
    out = succeed("demo")
    assert float(re.search(r"accuracy, held out\s+([\d.]+)", out)[1]) >= 0.97
    assert len(re.findall(r" same *$", out, re.MULTILINE)) == 10  # w, three rows of v and E, of both experiments
    assert "DIFFERENT" not in out
    assert re.search(r"mixture of 4 rates\s+in one pass 0\.3 has the mean weight 0\.8", out)
    assert len(re.findall(r"time .* (?:5\.2|39\.8) s +NumPy: [\d.]+ m?s", out)) == 2
    assert Path("demo.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(demo, "ITERATIONS", 99)
    assert "DIFFERENT" in succeed("demo --epochs 1")


@pytest.mark.parametrize("seed", range(1, 4))
def test_accuracy_for_any_seed(seed):
    # 100 seeds reach 0.979 on average, with a standard deviation of 0.007; seeds 0 to 5 are 0.975 or better
    panels = demo.Figure().subplot_mosaic([["curve", "errors", "weights", "losses"]])
    assert demo.learn_digits(seed, epochs=30, panels=panels) >= 0.97


@pytest.mark.parametrize("output", ["demo", "no/demo.png"])
def test_unusable_output_is_refused_before_the_work(folder, fail, monkeypatch, output):
    monkeypatch.setattr(demo, "learn_digits", None)
    assert f"--output is {output!r}; " in fail(f"demo --output {output}")
