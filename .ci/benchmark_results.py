"""Were results really written, and all of them? A run of asv that measured nothing succeeds, too.

`benchmark_results.py FOLDER COMMIT...`: every commit has in the folder what benchmarks.json beside it lists, and no
benchmark failed (null). The last one has a figure from each; those before may lack what came later ("not available":
NaN).
"""

import json
import math
import sys
from pathlib import Path

folder, commits = Path(sys.argv[1]), sys.argv[2:]
wanted = json.loads((folder.parent / "benchmarks.json").read_text()).keys() - {"version"}
problems = []
for commit in commits:
    files = list(folder.glob(f"{commit[:7]}*.json"))
    results = json.loads(files[0].read_text())["results"] if files else {}
    values = {name: record[0] or [None] for name, record in results.items()}
    figures = [value for several in values.values() for value in several]
    numbers = [value for value in figures if value is not None and not math.isnan(value)]
    print(f"{commit}: {len(values)} benchmarks, {len(numbers)} figures, {len(figures) - len(numbers)} not available")
    if not numbers or len(files) > 1:
        problems.append(f"{commit}: {len(numbers)} figures in {len(files)} files")
    problems += [f"{commit}: {name} was not measured" for name in sorted(wanted - values.keys())]
    problems += [f"{commit}: {name} failed" for name, several in values.items() if None in several]
    if commit == commits[-1]:
        available = {name for name, several in values.items() if not all(v is None or math.isnan(v) for v in several)}
        problems += [f"{commit}: {name} is not available" for name in values.keys() - available]
sys.exit("\n".join(problems) or not commits)
