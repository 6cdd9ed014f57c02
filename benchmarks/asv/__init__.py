"""The asv suite, which asv imports as a package of its own, `asv`, so that `kernels.py` is `kernels` in its history."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # for `benchmarks`; at the end, since cbackprop is there, too
