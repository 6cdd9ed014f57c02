"""The tests bite: of small errors put into the code, they notice nearly all."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cbackprop

HERE = Path(__file__).parent


@pytest.mark.skipif(
    not (importlib.util.find_spec("Cython") and shutil.which("cc")), reason="needs Cython and a C compiler"
)
@pytest.mark.parametrize(
    "subject",
    [
        pytest.param("kernels", marks=pytest.mark.promise("the tests bite: kernels", slice=4, full=370)),
        pytest.param("gate", marks=pytest.mark.promise("the tests bite: gate", slice=36, full=130)),
    ],
)
def test_mutants(figure, subject, record_property):
    done = subprocess.run(
        [sys.executable, "-P", HERE / "mutants.py", subject, str(figure)],
        env=os.environ | {"PYTHONPATH": str(Path(cbackprop.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    reasons = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    record_property("killed", f"{report['killed']} of {figure}")
    for mutant in report["survivors"]:
        record_property(f"<br>`{mutant}`:", reasons.get(mutant, "no reason is known"))
    # a few may happen to hold more than their share of those that are known to be no error at all
    count = len(report["survivors"]) if figure >= 100 else len(set(report["survivors"]) - reasons.keys())
    assert count <= max(1, figure // 10)
