"""
Wine classification as an ONNX model
====================================

A scaler and a network for the wine data, exported as one ONNX model and run without
this library.

Requires ``pip install "cbackprop[onnx]" onnxruntime``.
Run with ``python examples/wine_onnx.py``.
"""

import numpy as np
import onnxruntime
import skl2onnx
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbackprop.onnx import register_converter
from cbackprop.sklearn import BackpropClassifier


def main() -> dict[str, float]:
    """Return the accuracy on held-out wines and the largest probability difference."""
    wine = load_wine()
    x, y = wine.data.astype(np.float32), wine.target_names[wine.target]
    x, x_test, y, y_test = train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=0
    )
    pipeline = make_pipeline(StandardScaler(), BackpropClassifier(random_state=0))
    pipeline.fit(x, y)

    register_converter()
    model = skl2onnx.to_onnx(pipeline, x[:1], options={"zipmap": False})
    file = model.SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"X": x_test})

    accuracy = float((label == y_test).mean())
    difference = float(np.abs(probabilities - pipeline.predict_proba(x_test)).max())
    print(f"{len(file):,} bytes; held out: {accuracy:.4f}")
    print(f"probabilities differ by at most {difference:.1e}")
    return {"accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
