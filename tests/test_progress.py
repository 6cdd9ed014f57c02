"""`cbackprop.progress`: a bar that shows the epochs of any `fit`."""

import io
import sys

import numpy as np
import pytest

import cbackprop
from cbackprop.progress import epoch_bar

pytest.importorskip("tqdm", reason="the extra progress is not installed")
X, T = np.eye(2), [0, 1]


@pytest.fixture
def stream():
    return io.StringIO()


def test_the_bar_shows_epochs_and_loss(stream):
    network = cbackprop.Network(2, 3, 2, rng=0)
    with epoch_bar(3, file=stream, mininterval=0) as callback:
        history = network.fit(X, T, epochs=3, callback=callback)
    shown = stream.getvalue().split("\r")
    assert "0/3" in shown[1]
    assert "3/3" in shown[-1]
    assert f"E={history.losses[-1]:.4g}" in shown[-1]


def test_the_bar_does_not_stop_a_training(stream):
    network = cbackprop.Network(2, 3, 2, rng=0)
    with epoch_bar(5, file=stream) as callback:
        assert network.fit(X, T, epochs=5, callback=callback).epochs == 5


def test_a_resumed_training_continues_the_bar(stream, tmp_path):
    network, path = cbackprop.Network(2, 3, 2, rng=0), tmp_path / "checkpoint"
    network.fit(X, T, epochs=3, rng=0, checkpoint=path)
    with epoch_bar(5, file=stream, mininterval=0) as callback:
        network.fit(X, T, epochs=5, rng=0, checkpoint=path, resume=True, callback=callback)
    assert "5/5" in stream.getvalue().split("\r")[-1]


def test_the_bar_is_closed_after_an_error(stream):
    def fail(callback):
        callback(2, 0.5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), epoch_bar(5, file=stream, mininterval=0) as callback:
        fail(callback)
    assert "2/5" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_without_tqdm_the_error_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tqdm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModuleNotFoundError, match=r'tqdm is not installed; .*pip install "cbackprop\[progress\]"'):
        epoch_bar(1).__enter__()
