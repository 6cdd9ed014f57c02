"""Ctrl-C and SIGTERM: training saves its model, predictions leave no partial file."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

import cbackprop
from cbackprop.command import train
from cbackprop.command.signals import signal_handler
from cbackprop.files.model_file import load_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

STATUS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def interrupt(line, moment, number=signal.SIGINT):
    """Run the command on a terminal and signal it once it shows `moment`; return status, output and screen."""
    terminal, other_end = pytest.importorskip("pty").openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cbackprop", *line.split()],
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(Path(cbackprop.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=other_end,
        text=True,
    )
    os.close(other_end)
    with process, open(terminal, "rb", buffering=0) as screen:
        shown = b""
        while not re.search(moment, shown):
            shown += screen.read(10_000)
        process.send_signal(number)
        out = process.stdout.read()
    return process.returncode, out, shown.decode()


@pytest.mark.parametrize(("number", "status"), STATUS)
def test_training_stops_after_a_complete_sample(iris, succeed, content, first_pass, number, status):
    line = "train iris.csv --target species --learning-rate 0.1 --epochs 100000000 --checkpoint c"
    returned, out, shown = interrupt(line, rb"epoch \d", number)
    assert returned == status
    assert "learning" in shown
    finished = int(re.search(r"(\d+) of 100000000, interrupted", out)[1])
    assert finished - len(load_model("c").losses) in (0, 1)  # a signal may come between an epoch and its snapshot

    # signals are polled once per epoch of 115 samples: the weights are those after `finished` epochs or one more
    saved = load_model("model.safetensors").w
    rng = np.random.default_rng([0, 0])
    network = cbackprop.Network(4, 32, 3, rng=rng)
    (((x, t, _), _),) = first_pass("iris.csv", target="species").splits()
    network.fit(x, t, epochs=finished, rng=rng)
    if not np.array_equal(network.w, saved):
        network.fit(x, t, rng=rng)
    assert np.array_equal(network.w, saved)
    line = f"train iris.csv --target species --learning-rate 0.1 --epochs {finished + 2}"
    succeed(f"{line} --checkpoint c --resume")
    succeed(f"{line} --output whole")
    assert content("model.safetensors") == content("whole")


@pytest.mark.parametrize(("number", "status"), STATUS)
@pytest.mark.parametrize("moment", ["in the progress bar", "after learning", "twice"])
def test_signals_at_any_moment_keep_the_weights(iris, run, content, monkeypatch, moment, number, status):
    learn = train.Training.learn

    def learn_then_signal(training):
        learn(training)
        os.kill(os.getpid(), number)

    def signal_twice(training):
        try:
            learn_then_signal(training)
        finally:
            os.kill(os.getpid(), number)

    def stop_then_signal(bar, stop=Progress.stop):
        stop(bar)
        if bar.tasks[0].description == "learning":
            os.kill(os.getpid(), number)

    if moment == "in the progress bar":
        monkeypatch.setattr(Progress, "stop", stop_then_signal)
    else:
        monkeypatch.setattr(train.Training, "learn", learn_then_signal if moment == "after learning" else signal_twice)
    returned, _, err = run("train iris.csv --target species --epochs 1 --checkpoint c")
    assert returned == status
    name = signal.Signals(number).name
    assert err == f"cbackprop: stopped by {name} in epoch 1 of 1; model.safetensors is saved\n"
    assert len(load_model("c").losses) == 1
    assert content("model.safetensors") == content("c")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_saving_is_not_interrupted(iris, succeed, content, monkeypatch, number):
    def signal_and_replace(old, new, replace=os.replace):
        os.kill(os.getpid(), number)
        replace(old, new)

    monkeypatch.setattr(os, "replace", signal_and_replace)
    succeed("train iris.csv --target species --epochs 1 --checkpoint c")
    assert content("model.safetensors") == content("c")


def test_predictions_leave_no_partial_file(iris, succeed):
    succeed("train iris.csv --target species --epochs 1")
    iris.sample(1_500_000, with_replacement=True, seed=0).write_parquet("large.parquet")  # takes seconds
    status, _, shown = interrupt("predict model.safetensors large.parquet --output p.csv", rb"\d rows")
    assert status == 130
    assert "predicting" in shown
    assert not [*Path().glob("p.csv*"), *Path().glob(".*.partial")]


@pytest.mark.parametrize(("number", "status"), STATUS)
def test_any_command_tells_which_signal_stopped_it(folder, run, monkeypatch, number, status):
    monkeypatch.setattr("cbackprop.command.info.run", lambda **_: os.kill(os.getpid(), number))
    with signal_handler(signal.default_int_handler, signal.SIGINT):  # which the shell may have told to ignore it
        assert run("info") == (status, "", f"cbackprop: stopped by {signal.Signals(number).name}\n")


def test_ctrl_c_during_imports(monkeypatch, run):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(cbackprop.command, "require", interrupted)
    assert run("info") == (130, "", "")
