"""Golden model files: what a release writes, kept so that later ones are known to load it.

usage: make.py FOLDER

Writes one file of each kind and the checksums of what they hold and predict. To be run once for each release that
writes another format, in a folder of its own.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

import cbackprop
from cbackprop.files.model_file import Model, save_model


def main(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(60, 5)), rng.integers(3, size=60)
    networks = {name: cbackprop.Network(5, 4, 3, dtype=name, rng=1) for name in ("float32", "float64")}
    for name, network in networks.items():
        network.fit(x, t, epochs=3, rng=2)
        network.save(folder / f"{name}.safetensors")
    w, v = cbackprop.init_weights(5, 4, 3, rng=3)
    cbackprop.fit(x, t, w, v, epochs=3, rng=2, checkpoint=folder / "checkpoint.safetensors")
    networks["checkpoint"] = cbackprop.Network.from_weights(w, v)
    networks["table"] = table = networks["float64"]
    scaling = x.mean(axis=0), x.std(axis=0)
    model = Model(table.w, table.v, table.learning_rate, ["a", "b", "é"], list("vwxyz"), *scaling)
    save_model(folder / "table.safetensors", model)

    inputs = np.random.default_rng(0).normal(size=(1000, 5))
    checksums = {}
    for name, network in networks.items():
        checksums[f"{name}.safetensors"] = {
            "weights": hashlib.sha256(network.w.tobytes() + network.v.tobytes()).hexdigest(),
            "classes": hashlib.sha256(network.predict(inputs).astype("<i8").tobytes()).hexdigest(),
            "sums of y": network.predict_proba(inputs).sum(axis=0, dtype=float).tolist(),
        }
    (folder / "checksums.json").write_text(json.dumps(checksums, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
