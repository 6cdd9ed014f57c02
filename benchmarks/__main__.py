"""asv in the environment of this package, `python -m benchmarks run`: its runner imports NumPy before any benchmark."""

import json
import os
import tempfile
from pathlib import Path


def pins() -> str:
    """The versions that asv.conf.json names: asv also installs the newest that pyproject.toml would allow."""
    settings = json.loads((Path(__file__).parents[1] / "asv.conf.json").read_text(encoding="utf-8"))
    return "".join(f"{name}=={version}\n" for name, (version,) in settings["matrix"]["req"].items())


if __name__ == "__main__":
    from asv.main import main

    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(pins(), encoding="utf-8")
        os.environ["PIP_CONSTRAINT"] = str(constraints)
        main()
