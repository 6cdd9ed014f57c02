"""Test of the regression check: `python -m benchmarks.regression_check_selftest SITE`, a folder filled by pip.

The check must reject a copy of the folder in which `fit` takes 1.5 times as long, and accept the unchanged folder ten
times in a row.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPEATS = 10
SLOWDOWN = """
def _slower(function):
    from time import perf_counter

    def slow(*args, **kwargs):
        start = perf_counter()
        result = function(*args, **kwargs)
        end = start + 1.5 * (perf_counter() - start)
        while perf_counter() < end:
            pass
        return result

    return slow


Network.fit = _slower(Network.fit)
"""


def accepted(parent: Path, commit: Path) -> bool:
    return subprocess.run([sys.executable, "-m", "benchmarks.regression_check", parent, commit]).returncode == 0


def main(site: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        slower = Path(folder) / "site"
        shutil.copytree(site, slower)
        with open(slower / "cbackprop" / "__init__.py", "a", encoding="utf-8") as file:
            file.write(SLOWDOWN)
        print("== fit takes 1.5 times as long", flush=True)
        if accepted(site, slower):
            sys.exit("the check accepts a slowdown")
    for number in range(1, REPEATS + 1):
        print(f"== unchanged, {number} of {REPEATS}", flush=True)
        if not accepted(site, site):
            sys.exit("the check rejects an unchanged commit")
    print(f"the check rejects the slowdown, and accepts the unchanged commit {REPEATS} times in a row")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
