"""Mutation testing: small errors are put into the kernels or the validation, one at a time; the tests must fail.

usage: mutants.py kernels|validation COUNT [SEED]

Works on a copy of the tree. Operators, constants, indices and the order of statements are changed, each kind equally
often. Kernels are compiled for one variant and precision. Prints the outcome of each mutant, and all of them as JSON in
the last line. A mutant that does not compile does not count.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, zip_longest
from pathlib import Path
from queue import Queue
from typing import NamedTuple

TREE = Path(__file__).parents[2]
SUBJECTS = {  # the files that are changed, and the tests that must fail, the quickest first
    "kernels": (
        sorted(path for path in (TREE / "cbackprop/kernels").glob("*.pxi") if "bindings" not in path.stem),
        "equations gradients network engines lanes sparse adaptive reentrancy reference elementary article training",
    ),
    "validation": (
        sorted((TREE / "cbackprop/_validation").glob("[a-z]*.py")),
        "validation sparse layout adaptive model_file reference checkpoint ensemble standardization",
    ),
}
OPERATORS = {
    " + ": " - ",
    " - ": " + ",
    " * ": " + ",
    " / ": " * ",
    " // ": " + ",
    " < ": " <= ",
    " <= ": " < ",
    " > ": " >= ",
    " >= ": " > ",
    " == ": " != ",
    " != ": " == ",
    " += ": " -= ",
    " -= ": " += ",
    " and ": " or ",
    " or ": " and ",
    " not ": " ",
}
HEAD = re.compile(r"\s*(#|@|import |from |include |class |def |cdef .*(\w\(|extern |enum|class |struct ).*:$)")
# declarations of arrays, prefetches and annotations
EQUIVALENT = re.compile(r"\s*((cdef )?(const )?\w+ \*?\w+(\[\w+\])+$|prefetch_row\(|(\w+: [\w.\[\]| ]+(, )?)+,?$)")
ASSIGNED = re.compile(r"(\s*)(\S+) [-+*/]?= .*(?<!,)$")
BUILD = """
import runpy
import Cython.Build

every = Cython.Build.cythonize

def one(modules, **options):
    (module,) = (module for module in modules if module.name == "cbackprop.kernels.baseline_float64")
    module.extra_compile_args += ["-O1"]  # compiles in half the time
    return every([module], **options)

Cython.Build.cythonize = one
runpy.run_path("setup.py", run_name="__main__")
"""


class Mutant(NamedTuple):
    """One or two lines of a file, and their replacement."""

    file: str
    number: int
    old: str
    new: str

    def __str__(self) -> str:
        bare = (re.sub(r"\s+# .*", "", lines) for lines in (self.old, self.new))
        old, new = (" ; ".join(line.strip() for line in lines.splitlines()) for lines in bare)
        return f"{Path(self.file).name}: {old}  ->  {new}"


def code(text: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of lines of code, without comments, imports, docstrings, function heads and declarations."""
    documentation = False
    for number, line in enumerate(text.splitlines(), 1):
        inside = documentation
        documentation ^= line.count('"""') == 1
        skipped = HEAD.match(line) or EQUIVALENT.match(line)
        if not (inside or documentation or '"""' in line or skipped or not line.strip()):
            yield number, line


def mutants(file: str, text: str) -> Iterator[tuple[str, Mutant]]:
    """Every mutant of a file, with its kind."""
    lines = dict(code(text))
    for number, line in lines.items():
        bare = re.sub(r'f?"[^"]*"|  #.*', lambda match: " " * len(match[0]), line)
        for old, new in OPERATORS.items():
            for match in re.finditer(re.escape(old), bare):
                yield "operator", Mutant(file, number, line, line[: match.start()] + new + line[match.end() :])
        for match in re.finditer(r"(?<![\w.])\d+(?![\w.])", bare):
            more = f"{line[: match.start()]}{int(match[0]) + 1}{line[match.end() :]}"
            yield "constant", Mutant(file, number, line, more)
        for match in re.finditer(r"\[([^][:,]+)\](?!\w)", bare):
            yield "index", Mutant(file, number, line, f"{line[: match.end() - 1]} + 1{line[match.end() - 1 :]}")
        below = lines.get(number + 1, "")
        first, second = ASSIGNED.match(line), ASSIGNED.match(below)
        alike = first and second and first[1] == second[1]
        if alike and re.search(rf"(?<!\w){re.escape(first[2])}(?!\w)", below):  # otherwise the order may not matter
            yield "order", Mutant(file, number, f"{line}\n{below}", f"{below}\n{line}")


class Worker:
    """A copy of the tree, in which mutants are built and tested."""

    def __init__(self, subject: str, folder: Path) -> None:
        self.tests = [f"tests/test_{name}.py" for name in SUBJECTS[subject][1].split()]
        self.compiled, self.folder = subject == "kernels", folder
        for name in ("cbackprop", "tests"):
            shutil.copytree(TREE / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "avx*.so", "*.c"))
        for name in ("setup.py", "pyproject.toml", "README.md"):
            shutil.copy(TREE / name, folder)
        import cbackprop

        for module in Path(cbackprop.__file__).parent.rglob("*.so"):  # installed elsewhere than in the tree
            if "avx" not in module.name:
                shutil.copy(module, folder / module.relative_to(Path(cbackprop.__file__).parents[1]))

    def run(self, *command: str, seconds: float) -> bool:
        """Whether a command succeeded, in that time and with a few GB of memory."""
        environment = os.environ | {"CBACKPROP_KERNEL": "baseline", "PYTHONDONTWRITEBYTECODE": "1"}
        limited = ["bash", "-c", 'ulimit -v 16000000; exec "$@"', "-", sys.executable, *command]
        try:
            done = subprocess.run(limited, cwd=self.folder, env=environment, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def passes(self, *tests: str) -> bool:
        """Whether the tests pass."""
        options = ["-x", "-q", "-p", "no:cacheprovider", "-k", "not float32"]
        return self.run("-m", "pytest", *options, *(tests or self.tests), seconds=120)

    def outcome(self, mutant: Mutant) -> str:
        """The outcome of a mutant: killed, survived, or not a mutant."""
        path = self.folder / mutant.file
        original = path.read_text(encoding="utf-8")
        lines = original.splitlines()
        lines[mutant.number - 1 : mutant.number + mutant.old.count("\n")] = mutant.new.splitlines()
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        try:
            if self.compiled:
                built = self.run("-c", BUILD, "--quiet", "build_ext", "--inplace", seconds=300)
            else:
                built = self.run("-m", "py_compile", mutant.file, seconds=60)
            if not built:
                return "no mutant"
            return "survived" if self.passes() else "killed"
        finally:
            path.write_text(original, encoding="utf-8")


def main(subject: str, count: int, seed: int = 0) -> None:
    rng = random.Random(seed)
    kinds: dict[str, list[Mutant]] = {}
    for path in SUBJECTS[subject][0]:
        for kind, mutant in mutants(str(path.relative_to(TREE)), path.read_text(encoding="utf-8")):
            kinds.setdefault(kind, []).append(mutant)
    for pool in kinds.values():
        rng.shuffle(pool)
    counts, survivors = {"killed": 0, "survived": 0, "no mutant": 0}, []
    drawn = filter(None, chain(*zip_longest(*map(reversed, kinds.values()))))  # each kind in turn
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        worker = Worker(subject, Path(folder) / "0")
        if not worker.passes(*worker.tests[: -1 if count < 100 else None]):
            raise SystemExit("the tests fail without any mutant")
        free = Queue()
        free.put(worker)
        for number in range(1, os.cpu_count()):
            free.put(Worker(subject, Path(folder) / str(number)))

        def judge(mutant: Mutant) -> tuple[Mutant, str]:
            worker = free.get()
            try:
                return mutant, worker.outcome(mutant)
            finally:
                free.put(worker)

        while (missing := count - counts["killed"] - counts["survived"]) and (some := list(islice(drawn, missing))):
            for mutant, outcome in pool.map(judge, some):
                counts[outcome] += 1
                print(f"{outcome:9} {mutant}", flush=True)
                if outcome == "survived":
                    survivors.append(str(mutant))
    print(json.dumps(counts | {"survivors": survivors}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
