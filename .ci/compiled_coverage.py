"""Report which lines and branches of the Cython sources ran, from what GCC counted in the C made of them.

usage: compiled_coverage.py BUILD FOLDER [PERCENT]

BUILD is the folder of a build with CBACKPROP_COVERAGE=1 in which tests have run, FOLDER the sources to report on.
Exits with status 1 if less than PERCENT of the lines or of the branches ran.

Cython writes above each piece of C which line it comes from. A source line ran if any C made of it ran, in any
module and for any type. Branches are those of cdef functions, without Cython's checks after calls of Python: what
is left is the source's own.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

MARKER = re.compile(r'\s*/\* "(?P<file>.*)":(?P<line>\d+)$')
PYTHON = re.compile(r"likely\(|__Pyx_|__PYX_|\bPy[A-Z_]")


def origins(c_file: Path) -> Iterator[tuple[int, tuple[str, int], bool]]:
    """Number of each line of C, the line of Cython it was made of, and whether its branches are the source's own."""
    origin = None
    in_marker = in_cdef = False
    for number, text in enumerate(c_file.read_text(encoding="utf-8").splitlines(), 1):
        if text[:1].isalpha():  # the head of a function
            in_cdef = "__pyx_f_" in text.partition("(")[0]
        if marker := MARKER.match(text):
            origin = marker["file"], int(marker["line"])
            in_marker = True
        elif in_marker:
            in_marker = "*/" not in text
        elif "/* function exit code */" in text or "Code section:" in text:
            origin = None  # what follows is Cython's own
        elif origin:
            yield number, origin, in_cdef and not PYTHON.search(text)


def counts(data: Path) -> dict[int, dict]:
    """What gcov knows about each line of the C file whose counts are in `data`."""
    command = ["gcov", "--branch-probabilities", "--json-format", "--stdout", data.name]
    report = json.loads(subprocess.run(command, cwd=data.parent, check=True, capture_output=True).stdout)
    lines: dict[int, dict] = {}
    for file in report["files"]:
        if Path(file["file"]).stem == data.stem:
            for line in file["lines"]:
                known = lines.setdefault(line["line_number"], {"count": 0, "branches": []})
                known["count"] += line["count"]
                known["branches"] += line["branches"]
    return lines


def main(build: Path, folder: str, percent: float) -> int:
    ran: dict[str, dict[int, bool]] = defaultdict(dict)
    taken: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for data in sorted(build.glob("temp*/**/*.gcda")):
        (c_file,) = build.glob(f"**/{data.stem}.c")
        known = counts(data)
        branches: dict[tuple[str, int], list[bool]] = defaultdict(list)
        for number, origin, own in origins(c_file):
            if number not in known or not origin[0].startswith(folder):
                continue
            file, line = origin
            ran[file][line] = ran[file].get(line, False) or known[number]["count"] > 0
            if own:
                branches[origin] += [branch["count"] > 0 for branch in known[number]["branches"]]
        for origin, outcomes in branches.items():
            before = taken[origin] + [False] * (len(outcomes) - len(taken[origin]))
            taken[origin] = [old or new for old, new in zip(before, outcomes, strict=False)]
    if not ran:
        raise SystemExit(f"no counts of {folder} in {build}: run tests on a build with CBACKPROP_COVERAGE=1 first")

    total = [0, 0, 0, 0]
    row = "{:42} {:>12} {:>12}  {}"
    print(row.format("file", "lines", "branches", "not run (line), not taken (line?)"))
    for file, lines in sorted(ran.items()):
        outcomes = {line: taken[file, line] for line in lines}
        numbers = [
            sum(lines.values()),
            len(lines),
            sum(sum(branch) for branch in outcomes.values()),
            sum(map(len, outcomes.values())),
        ]
        total = [a + b for a, b in zip(total, numbers, strict=True)]
        missing = [f"{n}" for n in sorted(lines) if not lines[n]]
        missing += [f"{n}?" for n in sorted(lines) if lines[n] and not all(outcomes[n])]
        print(row.format(file, "{} of {}".format(*numbers[:2]), "{} of {}".format(*numbers[2:]), " ".join(missing)))
    shares = [100 * total[0] / total[1], 100 * total[2] / max(total[3], 1)]
    print(row.format("all", f"{shares[0]:.1f} %", f"{shares[1]:.1f} %", ""))
    return min(shares) < percent


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0))
