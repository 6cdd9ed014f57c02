"""
Wine classification as an ONNX model
====================================

A scaler and a network for the wine data, exported as one ONNX model and run without
this library.

Requires ``pip install ".[onnx,plot]" onnxruntime``.
Run with ``python examples/wine_onnx.py``.
"""

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbackprop.onnx import register_converter
from cbackprop.plot import COLORS
from cbackprop.sklearn import BackpropClassifier

# %%
# The pipeline scales the inputs and classifies.

wine = load_wine()
x, y = wine.data.astype(np.float32), wine.target_names[wine.target]
x, x_test, y, y_test = train_test_split(
    x, y, test_size=0.25, stratify=y, random_state=0
)
pipeline = make_pipeline(StandardScaler(), BackpropClassifier(random_state=0))
pipeline.fit(x, y)

# %%
# skl2onnx converts all of it, once this library's converter is registered.

register_converter()
model = skl2onnx.to_onnx(pipeline, x[:1], options={"zipmap": False})
file = model.SerializeToString()
session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
label, probabilities = session.run(["label", "probabilities"], {"X": x_test})

accuracy = float((label == y_test).mean())
difference = float(np.abs(probabilities - pipeline.predict_proba(x_test)).max())
print(f"{len(file):,} bytes; held out: {accuracy:.4f}")
print(f"probabilities differ by at most {difference:.1e}")

# %%
# The probabilities of the held-out wines, by their true class.

order = np.argsort(y_test, kind="stable")
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
columns = probabilities[order].T
ax.stackplot(
    range(len(order)), columns, step="mid", labels=wine.target_names, colors=COLORS
)
for start in np.flatnonzero(y_test[order][1:] != y_test[order][:-1]):
    ax.axvline(start + 0.5, color="black", linestyle="--")
ax.set(xlabel="held-out wine, by true class", ylabel="probability", ylim=(0, 1))
ax.margins(x=0)
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
plt.show()
