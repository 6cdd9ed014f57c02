"""
Wines, as an ONNX model
=======================

Wines told apart by a scaler and a network, written as one ONNX model, and run without this library.

Needs ``pip install "cbackprop[onnx]" onnxruntime``. Run it: ``python examples/wine_onnx.py``.
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
    """Accuracy on held-out wines, and how far the two answers are apart."""
    wine = load_wine()
    x, y = wine.data.astype(np.float32), wine.target_names[wine.target]
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    pipeline = make_pipeline(StandardScaler(), BackpropClassifier(random_state=0)).fit(x, y)

    register_converter()
    model = skl2onnx.to_onnx(pipeline, x[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    label, probabilities = session.run(["label", "probabilities"], {"X": x_test})

    accuracy = float((label == y_test).mean())
    difference = float(np.abs(probabilities - pipeline.predict_proba(x_test)).max())
    print(f"{len(model):,} bytes; held out: {accuracy:.4f}; probabilities differ by at most {difference:.1e}")
    return {"accuracy": accuracy, "difference": difference}


if __name__ == "__main__":
    main()
