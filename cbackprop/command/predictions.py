"""What a model predicts: probabilities of classes or of labels, or numbers in the units of the targets."""

from typing import Any

import numpy as np

from cbackprop import Network
from cbackprop._catalog import OUTPUTS
from cbackprop.files.model_file import Model


class Predictions:
    """The outputs of a model, by name."""

    def __init__(self, model: Model, n_threads: int | None = None) -> None:
        self.network = Network._of(model)
        self.output = OUTPUTS[self.network.output]
        self.K, self.n_threads = len(model.v), n_threads or 1
        if self.output.probabilities:
            self.names = model.classes or [str(k) for k in range(self.K)]
        else:
            self.names = model.targets or [f"y{k}" for k in range(self.K)]
        self.mean = np.zeros(self.K) if model.target_mean is None else model.target_mean
        self.scale = np.ones(self.K) if model.target_scale is None else model.target_scale

    def __call__(self, x: Any) -> np.ndarray:
        """Return the predictions for inputs (n, D): float64 (n, K)."""
        y = self.outputs(x)
        if not self.output.probabilities:
            y = self.unscaled(y)
        if not np.isfinite(y).all():
            raise ValueError("the scaling of the targets is too large for the predictions")
        return y

    def outputs(self, x: Any) -> np.ndarray:
        """Return what the network predicts, which may be scaled."""
        predict = self.network.predict_proba if self.output.probabilities else self.network.predict
        return predict(x, n_threads=self.n_threads).reshape(-1, self.K).astype(float)

    def unscaled(self, y: np.ndarray) -> np.ndarray:
        """Convert what the network learns, (n, K), to the units of the targets."""
        with np.errstate(over="ignore"):
            return y * self.scale + self.mean
