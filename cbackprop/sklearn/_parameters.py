"""Parameters of both estimators: descriptions, constraints, and advice where scikit-learn has others."""

import functools
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from cbackprop._catalog import HIDDEN_FUNCTIONS
from cbackprop._parameters import ESTIMATOR
from cbackprop._parameters import describe as describe_by

Estimator = TypeVar("Estimator")

ACTIVATIONS = {function.activation: name for name, function in HIDDEN_FUNCTIONS.items()}  # scikit-learn's names of h

CONSTRAINTS = {  # in scikit-learn's format
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "solver": [StrOptions({"sgd"})],
    "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "n_threads": [Interval(Integral, 1, None, closed="left")],
}

describe = describe_by(
    ESTIMATOR,
    """
solver : {"sgd"}
    Stochastic gradient descent. The parameter exists for compatibility with code for scikit-learn's perceptrons.
alpha : float or "auto"
    Strength of the L2 penalty, divided by the number of samples in the batch, as in scikit-learn, or by the sum of
    their weights. Biases are not penalized. "auto": in `fit` with "auto" rates, for inputs that are not sparse,
    sqrt(D + 1) / 15 / (1 + n/m)**2 with n updates in an epoch and m = 32 (D + 1)**(1/3), which keeps probabilities of
    small or noisy tables modest; otherwise 0: docs/guides/auto.md.
batch_size : int or "auto"
    Samples per update; "auto" is min(200, n_samples). 1 is an update after each sample.
learning_rate : {"constant", "invscaling", "adaptive"}
    How a number as `learning_rate_init` changes. "constant": it does not. "invscaling":
    ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive": divided by 5 whenever training would otherwise stop,
    until a smaller rate brings no improvement; only in `fit`.
learning_rate_init : "auto" or float
    "auto": `fit` standardizes inputs that are not sparse and, for regression, y, and learning rates adapt to each unit;
    see `fit`. `partial_fit` goes on with adaptive rates, and with the standardization of `fit` or, without `fit`, by
    running means and deviations. A number: α of (17), for inputs and, for regression, y with a standard deviation near
    1; 0.1 suits a classifier with ``activation="logistic"``, 0.01 all others. A change takes effect in the next call of
    `fit` or `partial_fit`.
power_t : float
    Exponent of "invscaling".
max_iter : int
    Maximum number of epochs; "auto" rates need at most 30, for regression 20.
shuffle : bool
    Draw a new order of the samples for each epoch.
tol : float
    Minimum improvement of the loss, or of that of the validation set with `early_stopping`. With "auto" rates,
    training stops when the loss is below it.
verbose : bool
    Print the loss of each epoch.
warm_start : bool
    Start `fit` from the current weights.
momentum : float
    Fraction in [0, 1] of the previous update that is added to the next; 0 with sparse X or "auto" rates.
early_stopping : bool
    Stop when the loss of a validation set no longer improves in this call, and keep the weights of the best epoch. With
    "auto" rates, only keep these.
validation_fraction : float
    Fraction of the samples that `early_stopping` uses for validation, unless `fit` receives a validation set.
n_iter_no_change : int or numpy.inf
    Maximum number of consecutive epochs without improvement, if `learning_rate_init` is a number; with infinity,
    training takes max_iter epochs.
n_threads : int
    Maximum number of threads. The result is bit-identical for any number.
network_ : Network
    The underlying network. It is shared: training either trains both.
coefs_ : list of two ndarrays, (D, M) and (M, n_outputs)
    Weights in scikit-learn's orientation, as views of the arrays of `network_`. Setting them copies.
intercepts_ : list of two ndarrays, (M,) and (n_outputs,)
    Biases, likewise.
loss_curve_ : list of float
    `loss_` of each epoch of `fit`; `partial_fit` does not extend it.
n_iter_ : int
    Number of epochs of the last call.
t_ : int
    Number of samples seen in all calls.
n_outputs_ : int
    K, the number of outputs.
""",
)

UNSUPPORTED = {  # parameters of scikit-learn's multilayer perceptrons, and why there is none of that name
    "beta_1": "which belongs to solver='adam'",
    "beta_2": "which belongs to solver='adam'",
    "epsilon": "which belongs to solver='adam'",
    "loss": "since the outputs determine the loss",
    "max_fun": "which belongs to solver='lbfgs'",
    "nesterovs_momentum": "since momentum is classical",
}
UNSUPPORTED_VALUES = {  # values of scikit-learn's that there are not, and what to write
    ("solver", "adam"): "leave it out, and learning_rate_init, too, whose default is 'auto'",
    ("solver", "lbfgs"): "leave it out; training is by gradient descent",
    ("activation", "identity"): "write 'tanh', or use a linear model of scikit-learn",
}


def check_supported(model: Any, parameters: dict[str, Any]) -> None:
    """Raise TypeError that says what to do about parameters of scikit-learn's that the model lacks."""
    if unsupported := [name for name in UNSUPPORTED if name in parameters]:
        reasons = "; ".join(f"no parameter {name!r}, {UNSUPPORTED[name]}" for name in unsupported)
        raise TypeError(f"{type(model).__name__} has {reasons}: leave {'it' if len(unsupported) == 1 else 'them'} out")


def check_values(model: Any) -> None:
    """Raise ValueError that says what to write instead of values that only scikit-learn's parameters have."""
    for (name, value), remedy in UNSUPPORTED_VALUES.items():
        if isinstance(given := getattr(model, name), str) and given == value:
            known = " or ".join(sorted(map(repr, CONSTRAINTS[name][0].options)))
            raise ValueError(f"{name} is {value!r}; there is only {known} here: {remedy}")


def explain_unsupported(kind: type[Estimator]) -> type[Estimator]:
    """Make the ``__init__`` of a class say what to do about parameters of scikit-learn's that it lacks."""
    init: Any = kind.__init__

    @functools.wraps(init)
    def explaining(self: Any, *args: Any, **parameters: Any) -> None:
        check_supported(self, parameters)
        init(self, *args, **parameters)

    kind.__init__ = explaining  # type: ignore[method-assign]
    return kind


@explain_unsupported
@dataclass(eq=False, repr=False)
class Parameters:
    """The parameters of both estimators, with the defaults of the regressor."""

    hidden_layer_sizes: Any = (100,)
    activation: str = "tanh"
    _: KW_ONLY
    solver: str = "sgd"
    alpha: float | str = 0.0
    batch_size: int | str = 1
    learning_rate: str = "adaptive"
    learning_rate_init: float | str = "auto"
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-3
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.0
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: float = 2
    n_threads: int = 1
