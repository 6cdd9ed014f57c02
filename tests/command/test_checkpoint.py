"""`cbackprop train --checkpoint`: a resumed training ends with the bits of an uninterrupted one."""

import re
from pathlib import Path

import numpy as np
import pytest

import cbackprop
from cbackprop.command import train
from cbackprop.command.options import TrainOptions
from cbackprop.files.model_file import load_model

LINES = {
    "iris": "train iris.csv --target species",
    "houses": "train houses.csv --target price --activation tanh --learning-rate 0.01",
    "shops": "train shops.csv --target sales --categories open --categories city",
    "clicks": "train clicks.parquet --target click --hash 10",
    "rows": "train t.svm --learning-rate 0.5",
}


CUTS = [(80, 0), (80, 7), (65_536, 1), (65_536, 4), (65_536, 9)]


@pytest.mark.parametrize(
    ("table", "block_rows", "cut"), [*((table, 80, 2) for table in LINES), *(("iris", *cut) for cut in CUTS)]
)
def test_resumed_training_equals_an_uninterrupted_one(
    request, run, succeed, fail, content, failing_fit, table, block_rows, cut
):
    found = request.getfixturevalue(table)
    n_rows = len(found[0] if table == "rows" else found)
    line = f"{LINES[table]} --epochs 5 --checkpoint c --resume"
    succeed(line.replace("c --resume", "w --output whole"))
    with failing_fit(cut, KeyboardInterrupt()):
        status, out, err = run(line)
    epoch = cut // -(-n_rows // block_rows) + 1
    if epoch <= 5:
        assert status == 130
        assert err == f"cbackprop: stopped by SIGINT in epoch {epoch} of 5; model.safetensors is saved\n"
        assert f"{epoch - 1} of 5, interrupted" in out
        assert "accuracy" not in out
        assert Path("c").exists() == (cut > 0)
    assert "5 of 5" in succeed(line)
    assert content("model.safetensors") == content("c") == content("whole")
    resumed, whole = load_model("c"), load_model("w")
    assert resumed.training == whole.training
    assert np.array_equal([resumed.losses, resumed.held_out], [whole.losses, whole.held_out])

    # a finished training can be continued; automatic rates had fallen for 5 epochs, not 7
    succeed(f"{LINES[table]} --epochs 7 --output whole")
    assert "7 of 7" in succeed(line.replace("epochs 5", "epochs 7"))
    assert (content("model.safetensors") == content("whole")) == ("learning-rate" in line)
    assert "epochs is 5; c " in fail(line)


def test_options_and_data_must_stay_the_same(iris, succeed, fail):
    line = "train iris.csv --target species --epochs 1 --checkpoint c --resume"
    succeed(line)
    before = Path("c").read_bytes()
    for option, *values in (
        ("--learning-rate 0.2", "--learning-rate is '0.2'", "'auto'"),
        ("--batch-size 2", "--batch-size", "2", "1"),
        ("--seed 1", "--seed", "1", "0"),
        ("--no-standardize", "--standardize", "False", "True"),
        ("--validation 0.3", "--validation", "0.3", "0.2"),
        ("--hidden 8", "--hidden is '8'; it must stay '32'"),
        ("--hash 4", "--hash is '4'; it must stay 'None'"),
        ("--activation relu", "--activation is 'relu'; it must stay 'tanh'"),
        ("--categories 'sepal width'", "--categories is \"['sepal width']\"; it must stay 'None'"),
        ("--ignore 'sepal width'", "--ignore is \"['sepal width']\"; it must stay 'None'"),
    ):
        message = fail(f"{line} {option}")
        assert [value for value in [*values, "c"] if value not in message] == []
    assert "--target" in fail(f"{line} --target 'sepal width' --ignore species --task classification")
    constant = f"{line.replace('checkpoint c', 'checkpoint constant')} --learning-rate"
    succeed(f"{constant} 0.1")
    assert fail(f"{constant} auto") == "--learning-rate is 'auto'; it must stay '0.1', as in constant"
    iris.with_columns(iris["species"].reverse()).write_csv("iris.csv")  # labels are data, too
    assert "150 rows with checksum" in fail(line)
    assert Path("c").read_bytes() == before
    assert re.search("trained +1 epochs; training can be resumed", succeed("info c"))
    for other in ("model.safetensors", "iris.parquet"):
        assert other in fail(f"train iris.csv --target species --checkpoint {other} --resume")


@pytest.mark.parametrize("held_out", [None, [0.5], [0.5] * 3])
def test_one_loss_of_held_out_rows_for_each_epoch(iris, succeed, fail, held_out):
    succeed("train iris.csv --target species --epochs 2 --checkpoint c")
    model = load_model("c")
    model.held_out = held_out
    cbackprop.files.model_file.save_model("c", model)
    message = fail("train iris.csv --target species --epochs 2000 --checkpoint c --resume")
    assert message == "c does not hold the losses of held-out samples, one for each epoch"


def test_checkpoint_is_written_during_the_training(iris, failing_fit, monkeypatch):
    monkeypatch.setattr(train, "CHECKPOINT_INTERVAL", -1)
    options = TrainOptions(data=Path("iris.csv"), target="species", hidden=4, epochs=9, checkpoint=Path("c"))
    with failing_fit(3, SystemError("a crash")), pytest.raises(SystemError):
        train.run(options)
    assert len(load_model("c").losses) == 3


@pytest.mark.timeout(60, method="thread")  # a shuffle that never ends lets no signal through
def test_random_numbers_that_repeat_are_refused(iris, succeed, fail):
    line = "train iris.csv --target species --checkpoint c --resume --epochs "
    succeed(line + "1")
    model = load_model("c")
    model.training["rng"]["state"] = {"state": 2**64 - 1, "inc": 0xDFDB0DA07FF967604385DF649FCCF644}  # a large one
    cbackprop.files.model_file.save_model("c", model)
    assert "c does not hold a state of a PCG64" in fail(line + "2")
