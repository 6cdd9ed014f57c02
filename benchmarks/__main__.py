"""Run asv with the settings of this package, before it imports NumPy: `python -m benchmarks run`."""

import json
import os
import tempfile
from pathlib import Path


def constraints() -> str:
    """The versions pinned in asv.conf.json, for pip: asv would also install newer ones that pyproject.toml allows."""
    settings = json.loads((Path(__file__).parents[1] / "asv.conf.json").read_text(encoding="utf-8"))
    return "".join(f"{name}=={version}\n" for name, (version,) in settings["matrix"]["req"].items())


if __name__ == "__main__":
    from asv.main import main

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text(constraints(), encoding="utf-8")
        os.environ["PIP_CONSTRAINT"] = str(path)
        main()
