"""Can the gate fail, and does it pass what is the same? `python -m benchmarks.gate_check SITE`: a folder pip filled.

The gate compares the folder with a copy in which `fit` takes half as long again, which it has to refuse, and then
with itself, ten times in a row, which it has to let pass.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TIMES = 10
PLANTED = """
def _slower(function):
    from time import perf_counter

    def slow(*arguments, **keywords):
        start = perf_counter()
        answer = function(*arguments, **keywords)
        end = start + 1.5 * (perf_counter() - start)
        while perf_counter() < end:
            pass
        return answer

    return slow


fit = _slower(fit)
"""


def passes(site: Path, other: Path) -> bool:
    return subprocess.run([sys.executable, "-m", "benchmarks.gate", site, other]).returncode == 0


def main(site: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        slower = Path(folder) / "site"
        shutil.copytree(site, slower)
        with open(slower / "cbackprop" / "__init__.py", "a", encoding="utf-8") as file:
            file.write(PLANTED)
        print("== a fit that takes 1.5 times as long", flush=True)
        if passes(site, slower):
            sys.exit("the gate lets a planted slowdown pass")
    for number in range(1, TIMES + 1):
        print(f"== the same commit, {number} of {TIMES}", flush=True)
        if not passes(site, site):
            sys.exit("the gate refuses what is the same")
    print(f"red on the planted slowdown, green on the same commit {TIMES} times in a row")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
