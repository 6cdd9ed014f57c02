"""Parameters of both estimators: descriptions, constraints, and advice where scikit-learn has others."""

import functools
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_origin, get_type_hints

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, Options, StrOptions

from cbackprop._catalog import HIDDEN_FUNCTIONS
from cbackprop._docstrings import inherits
from cbackprop._parameters import ESTIMATOR
from cbackprop._parameters import describe as describe_by

Estimator = TypeVar("Estimator")

ACTIVATIONS = {function.activation: name for name, function in HIDDEN_FUNCTIONS.items()}  # scikit-learn's names of h

describe = describe_by(
    ESTIMATOR,
    """
solver : {"sgd"}
    Stochastic gradient descent. The parameter exists for compatibility with code for scikit-learn's perceptrons.
alpha : float or "auto"
    Strength of the L2 penalty, divided by the number of samples in the batch, as in scikit-learn, or by the sum of
    their weights. Biases are not penalized. "auto": in `fit` with "auto" rates, for inputs that are not sparse, the
    larger, the more inputs and the fewer updates an epoch has; otherwise 0: docs/guides/auto.md.
batch_size : int or "auto"
    Samples per update; "auto" is min(200, n_samples). 1 is an update after each sample.
learning_rate : {"constant", "invscaling", "adaptive"}
    How a number as `learning_rate_init` changes. "constant": it does not. "invscaling":
    ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive": divided by 5 whenever training would otherwise stop,
    until a smaller rate brings no improvement; only in `fit`.
learning_rate_init : "auto" or float
    "auto": `fit` standardizes inputs that are not sparse and, for regression, y, and learning rates adapt to each unit.
    `partial_fit` goes on with both, or standardizes by running means and deviations. A number: α of (17), for inputs
    and, for regression, y with a standard deviation near 1; 0.1 suits a classifier with ``activation="logistic"``, 0.01
    all others. A change takes effect in the next call of `fit` or `partial_fit`.
power_t : float
    Exponent of "invscaling".
max_iter : int
    Maximum number of epochs; "auto" rates need at most 30, for regression 20, and fewer on wide tables.
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
out_activation_ : {"softmax", "logistic", "identity"}
    The function of the outputs, by the name that it has in scikit-learn.
validation_scores_, validation_loss_curve_ : list of float
    Accuracy or R², and mean E, of the validation set, if any, after each epoch of `fit`; weighted as training is, if it
    was set aside from X.
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


def explain_unsupported(kind: type[Estimator]) -> type[Estimator]:
    """Make the ``__init__`` of a class say what to do about parameters of scikit-learn's that it lacks."""
    init: Any = kind.__init__

    @functools.wraps(init)
    def explaining(self: Any, *args: Any, **parameters: Any) -> None:
        self._check_supported(parameters)
        init(self, *args, **parameters)

    kind.__init__ = explaining  # type: ignore[method-assign]
    return kind


AT_LEAST_0 = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
AUTO = StrOptions({"auto"})


@explain_unsupported
@dataclass(eq=False, repr=False)
class Parameters(BaseEstimator):
    """Parameters of both estimators, with constraints in scikit-learn's format, and defaults of the regressor."""

    hidden_layer_sizes: Annotated[Any, "array-like", COUNT] = (100,)
    activation: Annotated[str, StrOptions(set(ACTIVATIONS))] = "tanh"
    _: KW_ONLY
    solver: Annotated[str, StrOptions({"sgd"})] = "sgd"
    alpha: Annotated[float | str, AUTO, AT_LEAST_0] = 0.0
    batch_size: Annotated[int | str, AUTO, COUNT] = 1
    learning_rate: Annotated[str, StrOptions({"constant", "invscaling", "adaptive"})] = "adaptive"
    learning_rate_init: Annotated[float | str, AUTO, Interval(Real, 0, None, closed="neither")] = "auto"
    power_t: Annotated[float, AT_LEAST_0] = 0.5
    max_iter: Annotated[int, COUNT] = 200
    shuffle: Annotated[bool, "boolean"] = True
    random_state: Annotated[Any, "random_state"] = None
    tol: Annotated[float, AT_LEAST_0] = 1e-3
    verbose: Annotated[bool, "verbose"] = False
    warm_start: Annotated[bool, "boolean"] = False
    momentum: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.0
    early_stopping: Annotated[bool, "boolean"] = False
    validation_fraction: Annotated[float, Interval(Real, 0, 1, closed="neither")] = 0.1
    n_iter_no_change: Annotated[float, COUNT, Options(Real, {np.inf})] = 2
    n_threads: Annotated[int, COUNT] = 1

    _parameter_constraints: ClassVar[dict[str, Any]]  # part of scikit-learn's protocol
    _parameters_are_valid = False

    @inherits(BaseEstimator.set_params)
    def set_params(self, **params: Any) -> Self:
        """Set parameters. They are validated by the next call of `fit` or `partial_fit`."""
        self._check_supported(params)
        super().set_params(**params)
        self._parameters_are_valid = False
        return self

    def _check_supported(self, parameters: dict[str, Any]) -> None:
        """Raise TypeError that says what to do about parameters of scikit-learn's that there are not."""
        if unsupported := [name for name in UNSUPPORTED if name in parameters]:
            reasons = "; ".join(f"no parameter {name!r}, {UNSUPPORTED[name]}" for name in unsupported)
            them = "it" if len(unsupported) == 1 else "them"
            raise TypeError(f"{type(self).__name__} has {reasons}: leave {them} out")

    def _validate_params(self) -> None:
        for (name, value), remedy in UNSUPPORTED_VALUES.items():
            if isinstance(given := getattr(self, name), str) and given == value:
                known = " or ".join(sorted(map(repr, self._parameter_constraints[name][0].options)))
                raise ValueError(f"{name} is {value!r}; there is only {known} here: {remedy}")
        super()._validate_params()


Parameters._parameter_constraints = {
    name: list(hint.__metadata__)
    for name, hint in get_type_hints(Parameters, include_extras=True).items()
    if get_origin(hint) is Annotated
}
