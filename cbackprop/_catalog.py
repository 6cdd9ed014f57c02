"""The hidden functions and the outputs by name, and all that tells one from another but the equations.

The equations are in the kernels (`equations.pxi`, chosen by number in `functions.pxi`) and, by name, in
`reference.py`. All else reads these tables, so that another function is a record here and its equations there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class HiddenFunction:
    """A hidden function h."""

    name: str
    number: int  # in the kernels
    gain: float  # initial weights are drawn from [-r, r] with r = gain·sqrt(6 / (D + M)) (Glorot), or if it is ...
    half_zero: bool  # ... 0 for half of all inputs, r = gain·sqrt(6 / D) (He)
    activation: str  # its name in scikit-learn
    onnx: str  # its operator

    def initial_ranges(self, D: int, M: int, K: int) -> tuple[float, float]:
        """r of the hidden and of the output weights."""
        return self.gain * np.sqrt(6 / (D if self.half_zero else D + M)), np.sqrt(6 / (M + K))


class Targets(NamedTuple):
    """What targets must be, in the words of errors: of one sample, or of many, which have rows or only one number."""

    one: str
    row: str
    many: str
    rows: str


CLASSES = Targets("a class index", "a row of {K} that sums to 1", "class indices", "rows of {K} that sum to 1")
NUMBERS = Targets("a number, if v has 1 row", "a row of {K} numbers", "numbers, if v has 1 row", "rows of {K} numbers")


@dataclass(frozen=True)
class Output:
    """The outputs y of a network, and their error E_n."""

    name: str
    number: int  # in the kernels
    targets: Targets
    prediction: Callable[[np.ndarray], np.ndarray]  # of y, along its last axis
    activation: str  # its name in scikit-learn
    onnx: str | None  # the operator that computes y from a, if they differ
    exclusive: bool = False  # whether one of K classes holds: targets are class indices or, as y, rows that sum to 1
    probabilities: bool = True  # whether y_k are, and E_n is a cross-entropy; if not, y are in the unit of the targets
    limits: tuple[float, float] | None = (0, 1)  # of t_k; None if they may be any finite numbers
    eta: float = 1  # of a mixture, for one class or label; relative to the mean loss if E_n is not a cross-entropy
    standardized_eta: float = 1  # the same where numbers have a standard deviation near 1, without a mean loss

    def predictions(self, y: np.ndarray) -> np.ndarray:
        """What is predicted from rows of y: one number for each, or a row of K."""
        prediction = self.prediction(y)
        return prediction[:, 0] if prediction.shape[1:] == (1,) else prediction


HIDDEN_FUNCTIONS = {
    function.name: function
    for function in (
        HiddenFunction("sigmoid", 0, gain=4, half_zero=False, activation="logistic", onnx="Sigmoid"),
        HiddenFunction("tanh", 1, gain=1, half_zero=False, activation="tanh", onnx="Tanh"),
        HiddenFunction("relu", 2, gain=1, half_zero=True, activation="relu", onnx="Relu"),
    )
}

OUTPUTS = {
    output.name: output
    for output in (
        Output("softmax", 0, CLASSES, lambda y: y.argmax(axis=-1), "softmax", "Softmax", exclusive=True),
        Output(
            "linear",
            1,
            NUMBERS,
            lambda y: y,
            "identity",
            None,
            probabilities=False,
            limits=None,
            eta=0.25,
            standardized_eta=0.5,  # for errors up to 1.4 standard deviations
        ),
        Output("logistic", 2, NUMBERS, lambda y: (y >= 0.5).astype(np.intp), "logistic", "Sigmoid"),
    )
}
