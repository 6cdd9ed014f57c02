"""The target column: a regression, classes, or a question."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cbackprop.command import tables, target
from cbackprop.command.dataset import Dataset
from cbackprop.command.options import TrainOptions

REGRESSION, CLASSIFICATION = "regression", "classification"
CHOOSE = "choose --task classification or --task regression"
WHOLE = f"column 'y' holds {{}} different whole numbers in {{}} rows; {CHOOSE}"
TEXTS = f"column 'y' holds {{}} different texts in {{}} rows; {CHOOSE}"
MIXED = f"column 'y' holds numbers and text; {CHOOSE}"


def found(values, kind="csv", task=None, skip=False):
    """The task found for a table of one input and the given target."""
    frame = pl.DataFrame({"x": np.arange(len(values)), "y": values})
    (frame.write_csv if kind == "csv" else frame.write_parquet)(f"t.{kind}")
    options = {"on_bad_row": "skip" if skip else "stop", "task": task}
    options = TrainOptions(data=Path(f"t.{kind}"), target="y", validation=0, **options)
    return Dataset(tables.Table(options), options)


FRACTIONS = np.random.default_rng(0).normal(100, 30, 5000)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (FRACTIONS[:60], REGRESSION),
        ([1.0, 2.0, 3.5] * 20, REGRESSION),
        ([*np.arange(59.0), 0.5], REGRESSION),  # whole until the last
        (["a", "b"] * 30, CLASSIFICATION),
        ([f"name {i % 6}" for i in range(60)], CLASSIFICATION),
        ([f"name {i % 12}" for i in range(120)], CLASSIFICATION),
        ([f"name {i}" for i in range(60)], TEXTS.format(60, 60)),
        ([f"name {i % 12}" for i in range(119)], TEXTS.format(12, 119)),
        ([True, False] * 30, CLASSIFICATION),
        ([0, 1] * 30, CLASSIFICATION),
        ([1.0, 2.0, 3.0] * 20, CLASSIFICATION),
        (np.arange(60) % 10, CLASSIFICATION),
        (["1", "2", "unknown"] * 20, CLASSIFICATION),
        (np.arange(120) % 12, CLASSIFICATION),
        (np.arange(119) % 12, WHOLE.format(12, 119)),
        (np.arange(60) * 1000.0, WHOLE.format(60, 60)),
        (np.array([2020, -5] * 10 + list(range(40))), WHOLE.format(42, 60)),
        (["1", "2", "3", "n/a"] + [str(i) for i in range(56)], MIXED),
        (["n/a", "0.5"] * 30, MIXED),
        ([*map(str, FRACTIONS[:59]), "-"], MIXED),
        ([*map(str, FRACTIONS[:59]), "inf"], MIXED),
    ],
)
def test_task_follows_from_the_target(folder, monkeypatch, values, task):
    for block_rows, kind in ((7, "csv"), (65_536, "parquet")):
        monkeypatch.setattr(tables, "BLOCK_ROWS", block_rows)
        if "choose" not in task:
            assert found(values, kind).regression == (task == REGRESSION)
        else:
            with pytest.raises(ValueError, match="choose --task") as caught:
                found(values, kind)
            assert str(caught.value) == f"t.{kind}: {task}"


@pytest.mark.parametrize("block_rows", [30, 65_536])
def test_many_values(folder, monkeypatch, block_rows):
    monkeypatch.setattr(target, "MAX_CLASSES", 50)
    monkeypatch.setattr(target, "MAX_NUMERIC_CLASSES", 40)
    assert found(FRACTIONS[:100]).regression
    assert found([*np.arange(100.0), 0.5]).regression
    assert len(found(np.arange(400) % 40).classes) == 40
    for values, problem in (
        (np.arange(500) % 41, WHOLE.format(41, 500)),
        (np.arange(100), WHOLE.format("more than 50", 100)),
        ([*map(str, range(100)), "b"], "column 'y' h"),
        (["b", *map(str, range(100))], "column 'y' has more than 50 distinct values"),
        ([f"n{i}" for i in range(100)], "column 'y' has more than 50 distinct values; the target must be a column of"),
    ):
        with pytest.raises(ValueError, match="column 'y'") as caught:
            found(values)
        assert str(caught.value).startswith(f"t.csv: {problem}")


def test_the_option_decides(folder):
    assert found(np.arange(60), task=REGRESSION).regression
    assert len(found(np.arange(60), task=CLASSIFICATION).classes) == 60
    assert len(found(FRACTIONS[:60], task=CLASSIFICATION).classes) == 60
    mixed = [*map(str, range(59)), "n/a"]
    assert len(found(mixed, task=CLASSIFICATION).classes) == 60
    problem = r"t\.csv: row 60, column 'y' is 'n/a'; a finite number is needed"
    with pytest.raises(ValueError, match=problem):
        found(mixed, task=REGRESSION)
    dataset = found(mixed, task=REGRESSION, skip=True)
    assert (dataset.n_training, dataset.table.skipped) == (59, 1)
    assert dataset.target_scaling[0] == 29


@pytest.mark.parametrize("missing", [None, np.nan, np.inf])
def test_numbers_that_are_missing_or_not_finite(folder, missing):
    values = [*FRACTIONS[:20], missing]
    cell = "has no value" if missing is None else f"is {missing}; a finite number is needed"
    with pytest.raises(ValueError, match=rf"t\.parquet: row 21, column 'y' {cell}"):
        found(values, "parquet", task=REGRESSION)
    assert found(values, "parquet", task=REGRESSION, skip=True).table.skipped == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_one_value_is_no_regression(folder, kind):
    message = rf"t\.{kind}: column 'y' has one value in the training rows, 2\.5; a regression needs 2"
    with pytest.raises(ValueError, match=message):
        found([2.5] * 20, kind)
