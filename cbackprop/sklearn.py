"""scikit-learn classifier and regressor, replacements for `MLPClassifier` and `MLPRegressor` in existing code.

Requires the extra `sklearn`: ``pip install "cbackprop[sklearn]"``.

Differences from scikit-learn's multilayer perceptrons, besides one hidden layer and plain SGD:

- Two classes have two softmax outputs, as in the equations, where MLPClassifier has one logistic output. The softmax of
  two logits is the logistic function of their difference, so both models can represent the same probabilities. But each
  row of v moves as far as the weights of the single output, in opposite directions: in one step, the difference moves
  twice as far, the hidden weights equally far. ``coefs_[1]`` has two columns; ``decision_function`` returns the
  difference.
- ``learning_rate_init="auto"``, the default, takes care of the learning rate and of the scale of the data: rates adapt
  to each unit, by row-wise AdaGrad (see the notes of `cbackprop.fit`), and ``fit`` trains on standardized inputs and
  numbers. Afterwards it converts the weights: ``network_`` takes the inputs as they are.
- ``batch_size`` is 1, and ``momentum`` and ``alpha`` are 0 by default: an update after each sample. Momentum is
  classical, without Nesterov's correction.
- ``loss_`` is the mean of E_n, without the penalty. For regression, E_n is half the squared error, summed over the
  outputs; MLPRegressor reports its mean over the outputs. The gradients are the same: those of the sum.
- ``partial_fit`` never restarts training: it accepts single rows, changing learning rates, rows that lack some of the
  classes, and new classes listed in ``classes``.
- ``learning_rate="adaptive"`` stops when a smaller rate brings no improvement, where scikit-learn divides the rate
  until it is below 1e-6.
- Sparse X is learned in time proportional to its non-zeros, without a dense copy of X or of a gradient.
- ``early_stopping`` goes by the loss of the validation set, where scikit-learn goes by its score, and keeps the best
  weights. Its criterion is reset by each call of ``fit``, even with ``warm_start``.
- The callbacks of scikit-learn 1.9, which are experimental there, can be set by ``set_callbacks``, for example
  ``ProgressBar()`` or ``ScoringMonitor(scoring=...)``. Each epoch is a task, after which a callback may stop training.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np

from cbackprop import Activations, DivergenceError, Network, forward, init_weights, reference
from cbackprop import _layout as layout
from cbackprop import _validation as validate
from cbackprop import fit as learn
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._extras import require
from cbackprop._growth import copy_weights
from cbackprop._training_lock import learn_and_record, run_finally

require("sklearn", "sklearn")
from scipy.sparse import issparse  # noqa: E402
from sklearn.base import (  # noqa: E402
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.metrics import r2_score  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils import check_consistent_length, check_random_state, compute_sample_weight  # noqa: E402
from sklearn.utils._param_validation import Interval, StrOptions  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets, unique_labels  # noqa: E402
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data  # noqa: E402

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:  # before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """The part of scikit-learn's protocol that `fit` uses, for an estimator without callbacks."""

        def _init_callback_context(self, **task: Any) -> Any:
            return NoCallbacks()


class NoCallbacks:
    """A task that nothing watches."""

    def subcontext(self, **task: Any) -> NoCallbacks:  # noqa: D102
        return self

    def call_on_fit_task_begin(self, **data: Any) -> NoCallbacks:  # noqa: D102
        return self

    def call_on_fit_task_end(self, **data: Any) -> bool:
        """Whether to stop."""
        return False


# of "auto": the steps of many inputs add up, so the rate is divided by sqrt(D + 1); an epoch begins with the squared
# gradients of some updates of the one before, without which its first updates would be large, whatever has been learned
AUTO_RATE, AUTO_MEMORY = 0.3, 30
MAX_RMS = 5  # of the inputs; that of standardized ones is 1
MAX_TARGET_STD = 5  # of the numbers to be predicted
FEW_CLASSES = 100  # numbers that may be classes even if most have a single row

ACTIVATIONS = {function.activation: name for name, function in HIDDEN_FUNCTIONS.items()}  # scikit-learn's names of h

UNSUPPORTED = {  # parameters of scikit-learn's multilayer perceptrons, and why there is none of that name
    "beta_1": "which belongs to solver='adam'",
    "beta_2": "which belongs to solver='adam'",
    "epsilon": "which belongs to solver='adam'",
    "loss": "since the outputs determine the loss",
    "max_fun": "which belongs to solver='lbfgs'",
    "nesterovs_momentum": "since momentum is classical",
}
UNSUPPORTED_VALUES = {  # values of scikit-learn's that there are not, and what to write
    ("solver", "adam"): "leave it out, and learning_rate_init, too, whose default is {rate!r}",
    ("solver", "lbfgs"): "leave it out; training is by gradient descent",
    ("activation", "identity"): "write 'tanh', or use a linear model of scikit-learn",
}
LABEL_MATRIX = (
    "a matrix must hold 1 for each label of a sample, and 0: for several targets with classes of their own, use "
    "sklearn.multioutput.MultiOutputClassifier"
)
Init = TypeVar("Init", bound=Callable[..., None])


def refuse_unsupported(model: Any, parameters: dict[str, Any]) -> None:
    """Raise TypeError that says what to do about parameters of scikit-learn's that the model lacks."""
    if unsupported := [name for name in UNSUPPORTED if name in parameters]:
        reasons = "; ".join(f"no parameter {name!r}, {UNSUPPORTED[name]}" for name in unsupported)
        raise TypeError(f"{type(model).__name__} has {reasons}: leave {'it' if len(unsupported) == 1 else 'them'} out")


def explain_unsupported(init: Init) -> Init:
    """Make ``__init__`` say what to do about parameters of scikit-learn's that it lacks."""

    @functools.wraps(init)
    def explaining(self: Any, *args: Any, **parameters: Any) -> None:
        refuse_unsupported(self, parameters)
        init(self, *args, **parameters)

    return explaining  # type: ignore[return-value]


class _Backprop(CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the estimators share: everything but the meaning of y, which subclasses define."""

    _parameter_constraints = {  # noqa: RUF012 # part of scikit-learn's protocol
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
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
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
    }

    _parameters_are_valid = False

    network_: Network
    n_features_in_: int
    loss_: float
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    t_: int
    _generator: np.random.Generator
    _velocity: tuple[np.ndarray, np.ndarray] | None
    _units: Units  # of the last `fit`

    @explain_unsupported
    def __init__(  # with the defaults of the regressor
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "tanh",
        *,
        solver: str = "sgd",
        alpha: float = 0.0,
        batch_size: int | str = 1,
        learning_rate: str = "adaptive",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-3,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 2,
        n_threads: int = 1,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.n_threads = n_threads

    # ------------------------------------------------------------------------------------------------- the meaning of y

    _numeric_y: bool  # whether y holds numbers, even if its dtype is object
    _fewest_validation_samples: int
    _to_scale: str  # if training diverges
    _auto_epochs: int  # that "auto" rates take to fall to 0

    def _define_outputs(self, y: np.ndarray, classes: Any) -> tuple[int, str]:
        """Define the outputs for the first y; return their number and their function."""
        raise NotImplementedError

    def _check_outputs(self, y: np.ndarray) -> None:
        """Raise ValueError if `fit` with y cannot continue with the trained outputs."""

    def _extend_outputs(self, classes: Any) -> None:
        """Add the outputs that `partial_fit` asks for."""

    def _targets(self, name: str, y: Any, N: int) -> np.ndarray:
        """Targets of N samples: class indices (N,) or numbers (N, K)."""
        raise NotImplementedError

    def _target_of_row(self, y: Any) -> Any:
        """Target of a single sample for `learn_one`, or None if y needs scikit-learn's validation."""
        raise NotImplementedError

    def _validation_score(self, predicted: np.ndarray, t: np.ndarray, weights: np.ndarray | None) -> float:
        """Score of what the network predicts for a validation set."""
        raise NotImplementedError

    @classmethod
    def _from_network(cls, network: Network, parameters: dict[str, Any]) -> Self:
        """Create an estimator around a network whose outputs suit it."""
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}; it must be a Network")
        outputs = [name for name, output in OUTPUTS.items() if output.probabilities != cls._numeric_y]
        if network.output not in outputs:
            raise ValueError(f"network has output {network.output!r}; it must have {' or '.join(map(repr, outputs))}")
        activation = HIDDEN_FUNCTIONS[network.hidden].activation
        model = cls(hidden_layer_sizes=len(network.w), activation=activation, **parameters)
        model.n_features_in_ = network.w.shape[1] - 1
        model._reset(network, model._random_generators()[1])
        return model

    # --------------------------------------------------------------------------------------------------------- training

    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None) -> Self:
        """Train until the loss, or that of the validation set, no longer improves.

        With ``learning_rate_init="auto"``, training takes 30 epochs, 20 for regression, or max_iter if that is less,
        unless the loss falls below tol. The learning rate falls to 0 on a straight line, from 0.3 / sqrt(D + 1), and
        adapts to each unit by the squared gradients of the present epoch; for the sake of its first updates, those of
        30 updates are carried over. The network learns inputs and, for regression, numbers of mean 0 and standard
        deviation 1; its weights are converted in the end. Sparse inputs are learned as they are: they would lose their
        zeros.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs, sparse ones ideally with a maximum near 1, and others, if learning_rate_init is a number, with a
            standard deviation near 1. float32 data are processed in float32, all others in float64. Sparse formats
            other than CSR are converted to it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted, as described for the class.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.
        X_val, y_val : optional
            Validation set, of the kinds of X and y. Its score and loss are recorded for each epoch; `early_stopping`
            uses the loss.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        TypeError
            If an array is of a type that scikit-learn does not accept, or y is sparse.
        ValueError
            If a parameter is invalid, the shapes of the arrays do not fit, X is not finite, y or y_val is not of the
            kind that the estimator predicts, or training diverges. A fitted model is unchanged.
        """
        fit = functools.partial(self._fit, X, y, sample_weight, X_val, y_val)
        converged = run_finally(fit, Rollback(self))
        if not converged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any) -> bool:
        """Train, and return whether training has converged."""
        self._parameters_are_valid = True
        continued = self.warm_start and self.__sklearn_is_fitted__()
        X, y = self._validated_training_data(X, y, first=not continued)
        if not self._adaptive or issparse(X):
            warn_unscaled(X)
        N = X.shape[0]
        weights = self._sample_weights(sample_weight, X, y)
        random_state, generator = self._random_generators()
        if continued:  # train copies, so that an error leaves the model unchanged
            self._check_sizes()
            self._check_outputs(y)
            self._set_network(copy_of(self.network_), generator)
            self._match_rates()
            self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = map(
                list, (self.loss_curve_, self.validation_loss_curve_, self.validation_scores_)
            )
        else:
            n_outputs, output = self._define_outputs(y, None)
            network = self._new_network(n_outputs, X.dtype, generator, output, sparse=issparse(X))
            self._reset(network, generator)
        t = self._targets("y", y, N)
        if self._numeric_y and not self._adaptive:
            warn_unscaled_targets(t if weights is None else t[weights > 0])

        held_out = None
        if X_val is not None or y_val is not None:
            held_out = self._validated_held_out(X_val, y_val, X.dtype)
        elif self.early_stopping:
            learned, held = train_test_split(
                np.arange(N),
                test_size=self.validation_fraction,
                stratify=t if t.ndim == 1 else None,
                random_state=random_state,
            )
            held_out = X[held], t[held], None if weights is None else weights[held]
            if weights is not None and not weights[held].any():
                raise ValueError(
                    "sample_weight is 0 for all samples that early_stopping sets aside; it must be above 0 for some"
                )
            X, y, t, weights = X[learned], y[learned], t[learned], None if weights is None else weights[learned]
        if held_out is not None and len(held_out[1]) < self._fewest_validation_samples:
            raise ValueError(
                f"the validation set has {len(held_out[1])} sample; its score needs at least "
                f"{self._fewest_validation_samples}: set a larger validation_fraction, or pass X_val and y_val"
            )
        self._units = Units.standard(X, t, weights, self.network_) if self._adaptive else Units()
        if continued:
            self._units.convert(self.network_)
        return self._run_epochs(X, y, t, weights, held_out)

    def _run_epochs(self, X: Any, y: np.ndarray, t: np.ndarray, weights: np.ndarray | None, held_out: Any) -> bool:
        """Run epochs in the units of `_units` until training stops; return False if max_iter stopped it."""
        network, units, self.n_iter_, earlier = self.network_, self._units, 0, len(self.loss_curve_)
        most = min(self.max_iter, self._auto_epochs) if self._adaptive else self.max_iter
        rate, unimproved, improved = self._rate, 0, False  # at this rate
        best, best_weights = np.inf, None
        accumulators = network.accumulators or ()
        totals = [sums.copy() for sums in accumulators]  # of all epochs, for `partial_fit`
        callback_data = {"estimator": self, "X": X, "y": y}
        X, t = units.inputs(X), units.targets(t)
        if held_out is not None:
            held_out = units.inputs(held_out[0]), units.targets(held_out[1]), held_out[2]
        if weights is not None:
            callback_data["metadata"] = {"sample_weight": weights}
        context = self._init_callback_context(max_subtasks=most)
        context.call_on_fit_task_begin(**callback_data)
        stopped = False
        try:
            while not stopped and self.n_iter_ < most:
                epoch = context.subcontext(task_name="epoch").call_on_fit_task_begin(**callback_data)
                updates = -(-X.shape[0] // self._samples_per_update(X.shape[0]))
                for sums in accumulators:
                    sums *= min(1, AUTO_MEMORY / updates)
                begun = [sums.copy() for sums in accumulators]
                self._run_epoch(X, t, weights, rate, self.n_iter_ + 1)
                for total, before, sums in zip(totals, begun, accumulators, strict=True):
                    total += sums - before
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held_out is not None:
                    self._score_validation_set(*held_out)
                stopped = epoch.call_on_fit_task_end(
                    **callback_data, reconstruction_attributes=self._current_attributes
                )

                loss = self.validation_loss_curve_[-1] if self.early_stopping else self.loss_
                unimproved = unimproved + 1 if loss > best - self.tol else 0
                improved = improved or unimproved == 0
                if loss < best:
                    best = loss
                    if self.early_stopping:
                        best_weights = network.w.copy("K"), network.v.copy()
                if self._adaptive:
                    stopped = stopped or loss < self.tol
                    rate = self._rate * (1 - self.n_iter_ / most)
                elif unimproved > self.n_iter_no_change:
                    stopped = stopped or self.learning_rate != "adaptive" or not improved
                    rate, unimproved, improved = rate / 5, 0, False
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            stopped = True
            if len(self.loss_curve_) < earlier + self.n_iter_:
                self.loss_curve_.append(self.loss_)
        if best_weights is not None:
            network.w[:], network.v[:] = best_weights
        context.call_on_fit_task_end(**callback_data, reconstruction_attributes=self._current_attributes)
        units.restore(network)
        for sums, total in zip(accumulators, totals, strict=True):
            sums[:] = total
        return stopped or (self._adaptive and self.n_iter_ == self._auto_epochs)

    def set_params(self, **params: Any) -> Self:
        """Set parameters. They are validated by the next call of `fit` or `partial_fit`.

        Parameters
        ----------
        **params
            Values of parameters by name.

        Returns
        -------
        estimator
            The estimator itself.

        Raises
        ------
        ValueError
            If a name is not that of a parameter.
        TypeError
            If it is one that only scikit-learn's multilayer perceptrons have.
        """
        refuse_unsupported(self, params)
        super().set_params(**params)
        self._parameters_are_valid = False
        return self

    def _validate_params(self) -> None:
        for (name, value), remedy in UNSUPPORTED_VALUES.items():
            if isinstance(given := getattr(self, name), str) and given == value:
                known = " or ".join(sorted(map(repr, self._parameter_constraints[name][0].options)))
                rate = inspect.signature(type(self)).parameters["learning_rate_init"].default
                raise ValueError(f"{name} is {value!r}; there is only {known} here: {remedy.format(rate=rate)}")
        super()._validate_params()

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        self._validate_params()
        rollback = Rollback(self)
        run_finally(functools.partial(self._update, rollback, X, y, sample_weight, classes), rollback)
        return self

    def _update(self, rollback: Rollback, X: Any, y: Any, sample_weight: Any, classes: Any) -> None:
        self._parameters_are_valid = True
        first = not self.__sklearn_is_fitted__()
        X, y = self._validated_training_data(X, y, first=first)
        if first:
            generator = self._random_generators()[1]
            n_outputs, output = self._define_outputs(y, classes)
            network = self._new_network(n_outputs, X.dtype, generator, output, sparse=issparse(X))
            self._reset(network, generator)
        else:
            self._check_sizes()
            self._extend_outputs(classes)
            self._match_rates()
        t = self._targets("y", y, X.shape[0])
        weights = self._sample_weights(sample_weight, X, y, partial=True)
        if not first:
            rollback.save_weights(X)
        self._learn_in_units(X, t, weights)

    def _learn_in_units(self, X: Any, t: np.ndarray, weights: np.ndarray | None) -> None:
        """Run an epoch of `partial_fit`, with adaptive rates in the units of `fit`."""
        network, units = self.network_, self._units
        if not (self._adaptive and units.known):
            return self._run_epoch(X, t, weights, self._rate, 1)
        self.network_ = copy_of(network)
        try:
            units.convert(self.network_)
            self._run_epoch(units.inputs(X), units.targets(t), weights, self._rate, 1)
            units.restore(self.network_)
            copy_weights(self.network_, network)
            network.learning_rate = self.network_.learning_rate
        finally:
            self.network_ = network

    def _partial_fit_row(self, X: Any, y: Any, classes: Any = None) -> bool:
        """Update the model with one row without scikit-learn's validation, which takes a hundred times as long.

        Return False, with the model unchanged, if the row or the parameters need that validation.
        """
        attributes = self.__dict__
        if not (
            (type(X) is np.ndarray or is_csr(X))
            and "network_" in attributes
            and self._parameters_are_valid
            and X.shape == (1, self.n_features_in_)
            and "feature_names_in_" not in attributes
            and isinstance(y, (np.ndarray, list, tuple))
            and (classes is None or np.array_equal(classes, self.classes_))
        ):
            return False
        network = self.network_
        wanted: Any = self.learning_rate_init
        rate, adaptive = network.learning_rate, isinstance(wanted, str)
        if adaptive:
            wanted = self._rate
        try:
            if (network.accumulators is None) == adaptive or (t := self._target_of_row(y)) is None:
                return False
            plain = self.alpha == 0 == self.momentum or (
                validate.rounded(self.alpha, network.dtype) == 0 == validate.rounded(self.momentum, network.dtype)
            )
            if plain and not (self._units.known if adaptive else self.learning_rate == "invscaling"):
                if rate != wanted:
                    network.learning_rate = wanted
                if type(X) is np.ndarray:
                    learn_and_record(attributes, network.learn_one, X[0], t)
                elif X.indptr.tolist() == [0, len(X.indices)]:
                    learn_and_record(attributes, network.learn_one_sparse, X.indices, X.data, t)
                else:
                    return False
            else:
                rollback = Rollback(self)
                rollback.save_weights(X)
                run_finally(functools.partial(self._learn_in_units, X, self._targets("y", y, 1), None), rollback)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            network.learning_rate = rate
            return False
        return True

    def _run_epoch(self, X: Any, t: np.ndarray, weights: np.ndarray | None, rate: float, epoch: int) -> None:
        """Run one epoch. An error may have changed the weights: see `Rollback`."""
        network, velocity, N = self.network_, None, X.shape[0]
        batch_size = validate.batch_size(self._samples_per_update(N), N)
        single = N == 1 and weights is None  # which learn_one learns if the parameters are known to be valid
        if self._adaptive and validate.rounded(self.momentum, network.dtype):
            raise ValueError(
                f"momentum is {self.momentum} and learning_rate_init is 'auto'; momentum must be 0, the default, or "
                "learning_rate_init a number"
            )
        l2 = validate.in_range("alpha", self.alpha, float(np.finfo(network.dtype).max), network.dtype)
        if not self._adaptive:
            validate.learning_rate(self._rate, network.dtype, "learning_rate_init")
        if self.learning_rate == "invscaling" and not self._adaptive:
            try:
                rate = self._rate / (self.t_ + 1) ** float(self.power_t)
            except OverflowError:
                raise ValueError(
                    f"power_t is {self.power_t}; it must be smaller: after {self.t_} samples the learning rate is 0"
                ) from None
        if validate.rounded(self.momentum, network.dtype):
            if issparse(X):
                raise ValueError(
                    f"momentum is {self.momentum} and X is sparse; it must be 0, the default, because momentum changes "
                    "all weights at every update, not only those of the non-zeros"
                )
            velocity = self._velocity or layout.zeros_like(network.w, network.v)
        try:
            history = learn(
                X,
                t,
                network.w,
                network.v,
                **network.functions._asdict(),
                learning_rate=rate,
                batch_size=1 if single else batch_size,
                shuffle=self.shuffle,
                rng=self._generator,
                method="direct" if N == 1 else "auto",
                n_threads=self.n_threads,
                sample_weight=weights,
                l2=l2,
                momentum=self.momentum,
                velocity=velocity,
                adaptive=self._adaptive,
                accumulators=network.accumulators,
            )
        except DivergenceError as error:
            raise ValueError(
                f"Learning diverged in epoch {epoch}: "
                f"{'' if self._adaptive else 'try a smaller learning_rate_init, or '}scale {self._to_scale} "
                "to a standard deviation near 1"
            ) from error
        network.learning_rate = rate
        (loss,) = history.losses
        self.__dict__.update(
            _velocity=velocity, loss_=loss, n_iter_=epoch, t_=self.t_ + N
        )  # at once: see `_run_epochs`

    def _score_validation_set(self, X: Any, t: np.ndarray, weights: np.ndarray | None) -> None:
        predicted = self.network_.predict(X, n_threads=self.n_threads)
        self.validation_scores_.append(self._validation_score(predicted, t, weights))
        self.validation_loss_curve_.append(mean_error(self.network_, X, t, weights))
        if self.verbose:
            print(f"Validation score: {self.validation_scores_[-1]:f}")

    def _random_generators(self) -> tuple[np.random.RandomState, np.random.Generator]:
        """Sources of random numbers for scikit-learn and for this library, from `random_state`."""
        random_state = check_random_state(self.random_state)
        return random_state, np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))

    def _hidden_units(self) -> int:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.shape != (1,):
            raise ValueError(
                f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; there is exactly one hidden layer: write (100,), "
                "or keep scikit-learn's multilayer perceptron for several"
            )
        (M,) = sizes
        most = np.iinfo(np.intp).max
        if isinstance(M, bool) or not isinstance(M, Integral) or not 1 <= int(M) <= most:
            raise ValueError(f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; it must be an integer in 1..{most}")
        return int(M)

    def _check_sizes(self) -> None:
        """Raise ValueError if the trained network does not have the hidden units that the parameters ask for."""
        network = self.network_
        for name, wanted, trained in (
            ("hidden_layer_sizes", self._hidden_units(), len(network.w)),
            ("activation", self.activation, HIDDEN_FUNCTIONS[network.hidden].activation),
        ):
            if wanted != trained:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; the model has learned with {trained!r} and keeps it: to begin "
                    "anew, use fit without warm_start, or sklearn.base.clone"
                )

    def _new_network(
        self, n_outputs: int, dtype: np.dtype, generator: np.random.Generator, output: str, *, sparse: bool
    ) -> Network:
        hidden = ACTIVATIONS[self.activation]
        sizes = self.n_features_in_, self._hidden_units(), n_outputs
        order = "F" if sparse else "C"
        w, v = init_weights(*sizes, hidden=hidden, dtype=dtype, order=order, rng=generator)
        accumulators = validate.new_accumulators(w, v) if self._adaptive else None
        return Network.from_weights(w, v, output=output, hidden=hidden, accumulators=accumulators)  # of one class, too

    def _samples_per_update(self, N: int) -> Any:
        return min(200, N) if self.batch_size == "auto" else self.batch_size

    def _match_rates(self) -> None:
        """Make the rates of the network adaptive or constant, as the parameters say."""
        network = self.network_
        if network.adaptive != self._adaptive:
            accumulators = validate.new_accumulators(network.w, network.v) if self._adaptive else None
            functions = network.functions._asdict()
            self.network_ = Network.from_weights(network.w, network.v, **functions, accumulators=accumulators)

    @property
    def _adaptive(self) -> bool:
        """Whether learning rates adapt to each unit."""
        return isinstance(self.learning_rate_init, str)

    @property
    def _rate(self) -> Any:
        """α, by which adaptive rates are multiplied."""
        return AUTO_RATE / (self.n_features_in_ + 1) ** 0.5 if self._adaptive else self.learning_rate_init

    def _reset(self, network: Network, generator: np.random.Generator) -> None:
        """Set an untrained network and reset the record of training."""
        self._set_network(network, generator)
        self.t_, self.n_iter_, self._units = 0, 0, Units()
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []

    def _set_network(self, network: Network, generator: np.random.Generator) -> None:
        self.network_, self._generator, self._velocity = network, generator, None

    # ------------------------------------------------------------------------------------------------------- prediction

    def _predictions(self, X: Any) -> np.ndarray:
        X = self._validated_inputs(X)
        return self.network_.predict(X, n_threads=self.n_threads)

    def transform(self, X: Any) -> np.ndarray:
        """Hidden activations z.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, M)
        """
        return self._forward(X).z

    def _forward(self, X: Any) -> Activations:
        X, network = self._validated_inputs(X), self.network_
        return forward(X, network.w, network.v, **network.functions._asdict(), n_threads=self.n_threads)

    # ------------------------------------------------------------------------------------------------------- validation

    def _validated_training_data(self, X: Any, y: Any, *, first: bool) -> tuple[Any, np.ndarray]:
        # of several dtypes, scikit-learn converts others to the first: float64
        dtype = validate.FLOATS[::-1] if first else self.network_.dtype
        validate.refuse_masked("X", X)  # whose mask scikit-learn ignores
        check_structure("X", X)
        refuse_masked_or_sparse("y", y)
        options = {"multi_output": np.asarray(y).ndim == 2, "y_numeric": self._numeric_y}
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=dtype, order="C", reset=first, **options)
        return X, column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y

    def _validated_held_out(self, X: Any, y: Any, dtype: np.dtype) -> tuple[Any, np.ndarray, None]:
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together")
        validate.refuse_masked("X_val", X)
        check_structure("X_val", X)
        refuse_masked_or_sparse("y_val", y)
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        check_consistent_length(X, y)
        return X, self._targets("y_val", y, X.shape[0]), None

    def _validated_inputs(self, X: Any) -> Any:
        """Validate inputs for prediction, without scikit-learn if they need no conversion: ten times as fast."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        if (
            (type(X) is np.ndarray or is_csr(X))
            and X.dtype == self.network_.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.shape[0]
            and not hasattr(self, "feature_names_in_")
            and (issparse(X) or np.isfinite(X).all())  # the network checks sparse rows
        ):
            return X
        validate.refuse_masked("X", X)
        check_structure("X", X)
        return validate_data(self, X, accept_sparse="csr", dtype=self.network_.dtype, order="C", reset=False)

    def _sample_weights(self, sample_weight: Any, X: Any, y: np.ndarray, *, partial: bool = False) -> np.ndarray | None:
        """Factor of each sample's gradient; None if all are 1."""
        if sample_weight is None:
            return None
        validate.refuse_masked("sample_weight", sample_weight)
        return _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)

    # ------------------------------------------------------------------------------------------------ fitted attributes

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights in scikit-learn's orientation, as views of the arrays of `network_`."""
        return [weights[:, :-1].T for weights in (self.network_.w, self.network_.v)]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases, as views of the arrays of `network_`."""
        return [weights[:, -1] for weights in (self.network_.w, self.network_.v)]

    @property
    def n_layers_(self) -> int:
        """Number of layers, as scikit-learn counts: inputs, hidden units and outputs."""
        return 3

    @property
    def best_loss_(self) -> float | None:
        """The smallest `loss_` of the epochs of `fit`; None with `early_stopping`, or before."""
        return None if self.early_stopping else min(self.loss_curve_, default=None)

    @property
    def best_validation_score_(self) -> float | None:
        """The largest validation score of the epochs of `fit`; None without a validation set."""
        return max(self.validation_scores_, default=None)

    @property
    def n_outputs_(self) -> int:
        """K, the number of outputs."""
        return len(self.network_.v)

    @property
    def out_activation_(self) -> str:
        """The function of the outputs, by the name that it has in scikit-learn."""
        return OUTPUTS[self.network_.output].activation

    @property
    def _n_features_out(self) -> int:
        return len(self.network_.w)

    def _current_attributes(self) -> dict[str, Any]:
        """Attributes with which a callback can predict with the current weights, in `fit`."""
        network = copy_of(self.network_)
        self._units.restore(network)
        return {"network_": network}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if velocity := vars(self).get("_velocity"):
            self._velocity = layout.copies(*velocity)

    def __sklearn_is_fitted__(self) -> bool:  # part of scikit-learn's protocol
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


class BackpropClassifier(ClassifierMixin, _Backprop):
    """Classifier with one hidden layer, trained by stochastic gradient descent.

    Each sample has one of several classes, with softmax outputs, or, if y is a matrix of 0 and 1, any number of labels,
    with logistic outputs.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    activation : {"logistic", "tanh", "relu"}, default="relu"
        Function of the hidden units; "logistic" is the sigmoid.
    solver : {"sgd"}, default="sgd"
        Stochastic gradient descent. The parameter exists for compatibility with code for MLPClassifier.
    alpha : float, default=0.0
        Strength of the L2 penalty, divided by the number of samples in the batch, as in scikit-learn, or by the sum of
        their weights. Biases are not penalized.
    batch_size : int or "auto", default=1
        Samples per update; "auto" is min(200, n_samples). 1 is an update after each sample.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        How a number as `learning_rate_init` changes. "constant": it does not. "invscaling":
        ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive": divided by 5 whenever training would otherwise stop,
        until a smaller rate brings no improvement; only in `fit`.
    learning_rate_init : "auto" or float, default="auto"
        "auto": `fit` standardizes the inputs, unless they are sparse, and learning rates adapt to each unit; see `fit`.
        `partial_fit` goes on with adaptive rates, and with the standardization of `fit`; without `fit`, it standardizes
        nothing. A number: α of (17), for inputs with a standard deviation near 1; 0.1 suits ``activation="logistic"``,
        0.01 the others. A change takes effect in the next call of `fit` or `partial_fit`.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Maximum number of epochs; "auto" rates need at most 30.
    shuffle : bool, default=True
        Draw a new order of the samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the initial weights, the order of the samples and the validation set.
    tol : float, default=1e-3
        Minimum improvement of the loss, or of that of the validation set with `early_stopping`. With "auto" rates,
        training stops when the loss is below it.
    verbose : bool, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Start `fit` from the current weights.
    momentum : float, default=0.0
        Fraction in [0, 1] of the previous update that is added to the next; 0 with sparse X or "auto" rates.
    early_stopping : bool, default=False
        Stop when the loss of a validation set no longer improves, and keep the weights of the best epoch. With "auto"
        rates, only keep these.
    validation_fraction : float, default=0.1
        Fraction of the samples that `early_stopping` uses for validation, unless `fit` receives a validation set.
    n_iter_no_change : int, default=5
        Maximum number of consecutive epochs without improvement, if `learning_rate_init` is a number.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which `sample_weight` is multiplied.
    n_threads : int, default=1
        Maximum number of threads. The result is bit-identical for any number.

    Attributes
    ----------
    network_ : Network
        The underlying network. It is shared: training either trains both.
    classes_ : ndarray of shape (n_classes,)
        Class labels; the numbers of the columns if y is a matrix.
    coefs_ : list of two ndarrays, (D, M) and (M, n_classes)
        Weights in scikit-learn's orientation, as views of the arrays of `network_`.
    intercepts_ : list of two ndarrays, (M,) and (n_classes,)
        Biases, as views of the arrays of `network_`.
    loss_ : float
        Mean cross-entropy E of the last epoch in nats, where E_n is taken before the update that uses the sample. With
        logistic outputs, E_n is the sum over the labels.
    loss_curve_ : list of float
        `loss_` of each epoch of `fit`; `partial_fit` does not extend it.
    validation_scores_, validation_loss_curve_ : list of float
        Accuracy and mean E of the validation set, if any, after each epoch of `fit`; weighted, like accuracy, by
        `sample_weight` and `class_weight`, if it was set aside from X.
    n_iter_ : int
        Number of epochs of the last call.
    t_ : int
        Number of samples seen in all calls.
    n_outputs_ : int
        K, the number of outputs.
    out_activation_ : {"softmax", "logistic"}
        The function of the outputs.
    n_features_in_ : int
        D, the number of inputs.
    feature_names_in_ : ndarray of shape (D,)
        Names of the inputs, if they have names.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from cbackprop.sklearn import BackpropClassifier
    >>> x, y = load_wine(return_X_y=True)
    >>> model = BackpropClassifier(random_state=0).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.95
    True

    Two labels that may hold together: whether a number is above 2, and whether it is above 4.

    >>> x, y = [[1.0], [3.0], [5.0]], [[0, 0], [1, 0], [1, 1]]
    >>> BackpropClassifier(8, random_state=0).fit(x * 50, y * 50).predict(x)
    array([[0, 0],
           [1, 0],
           [1, 1]])
    """

    _parameter_constraints = _Backprop._parameter_constraints | {
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    classes_: np.ndarray
    _class_indices: dict[Any, int]

    @explain_unsupported
    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "sgd",
        alpha: float = 0.0,
        batch_size: int | str = 1,
        learning_rate: str = "constant",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-3,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        n_threads: int = 1,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            n_threads=n_threads,
        )
        self.class_weight = class_weight

    @classmethod
    def from_network(cls, network: Network, classes: Any, **parameters: Any) -> Self:
        """Create a classifier from a trained network.

        Parameters
        ----------
        network : Network
            The network, which is shared, not copied. Its outputs are softmax, or logistic with at least two labels.
        classes : array-like of shape (n_classes,)
            Labels of the outputs, sorted; those of logistic outputs are 0 to K-1.
        **parameters
            Parameters of the classifier except `hidden_layer_sizes` and `activation`, which are those of the network.

        Returns
        -------
        BackpropClassifier
            A fitted classifier. `partial_fit`, or `fit` with `warm_start`, trains it further.

        Raises
        ------
        TypeError
            If `network` is not a Network.
        ValueError
            If the outputs of the network are linear, or `classes` is not a sorted sequence of distinct labels, one per
            output.
        """
        model = cls._from_network(network, parameters)
        classes = np.asarray(classes)
        try:
            valid = classes.shape == (len(network.v),) and np.array_equal(classes, np.unique(classes))
        except TypeError:  # labels that cannot be compared
            valid = False
        if not valid:
            raise ValueError(f"classes are {classes}; they must be {len(network.v)} different labels, sorted")
        model._set_classes(classes, network.output)
        return model

    # --------------------------------------------------------------------------------------------------------- training

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with one epoch over the given samples; the first call creates the network.

        A single row, passed as an array of floats or in CSR format, bypasses most of scikit-learn's validation.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, which need not contain every class; or 1 for each label of a sample, and 0.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.
        classes : array-like, optional
            All labels that may occur, required in the first call; if y is a matrix, the numbers of its columns,
            ``range(n_classes)``. Later calls may add classes to those of softmax outputs: each new class gets a new row
            of v, and the other weights keep their bits.

        Returns
        -------
        BackpropClassifier
            The classifier itself.

        Raises
        ------
        TypeError
            If an array is of a type that scikit-learn does not accept, or y is sparse.
        ValueError
            If a parameter is invalid, the shapes of the arrays do not fit, X is not finite, y contains unknown classes,
            `classes` is missing in the first call or lacks a known class, or training diverges. A fitted model is
            unchanged, as it is if Ctrl-C interrupts.
        """
        if sample_weight is None and self._partial_fit_row(X, y, classes):
            return self
        if classes is None and not self.__sklearn_is_fitted__():
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return self._partial_fit(X, y, sample_weight, classes)

    # ------------------------------------------------------------------------------------------------- the meaning of y

    _numeric_y = False
    _fewest_validation_samples = 1
    _to_scale = "the inputs"
    _auto_epochs = 30

    def _validated_training_data(self, X: Any, y: Any, *, first: bool) -> tuple[Any, np.ndarray]:
        X, y = super()._validated_training_data(X, y, first=first)
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise ValueError(f"{error} To predict numbers, use BackpropRegressor.") from None
        return X, y

    def _define_outputs(self, y: np.ndarray, classes: Any) -> tuple[int, str]:
        output = "softmax" if y.ndim == 1 else "logistic"
        if classes is None and y.ndim == 1:
            refuse_quantities(np.unique(y), len(y))
        self._set_classes(labels_of(y) if classes is None else unique_labels(classes), output)
        return len(self.classes_), output

    def _check_outputs(self, y: np.ndarray) -> None:
        labels = labels_of(y)
        if not np.array_equal(labels, self.classes_) or (y.ndim == 1) != self._exclusive:
            raise ValueError(
                "warm_start can only be used where `self.classes_` is the same as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {labels}"
            )

    def _extend_outputs(self, classes: Any) -> None:
        """Add a row to v for each new class."""
        if classes is None:
            return
        classes = unique_labels(classes)
        if missing := sorted(set(self.classes_.tolist()) - set(classes.tolist())):
            raise ValueError(
                f"`classes={classes}` is not the same as on last call to partial_fit, was: {self.classes_}; "
                f"classes may be added, but these are missing: {missing}"
            )
        if len(classes) > len(self.classes_):
            old, kept = self.network_, class_indices("classes", self.classes_, classes)
            sizes = self.n_features_in_, len(old.w), len(classes)
            options = old.functions._asdict() | {"adaptive": old.adaptive, "dtype": old.dtype}
            options["order"] = layout.order_of(old.w)
            new = Network(*sizes, **options, rng=self._generator)
            self._set_classes(classes, old.output)
            self._set_network(copy_weights(old, new, kept=kept), self._generator)

    @property
    def _exclusive(self) -> bool:
        """Whether each sample has one of the classes, and not any number of labels."""
        return OUTPUTS[self.network_.output].exclusive

    def _set_classes(self, classes: np.ndarray, output: str) -> None:
        if not OUTPUTS[output].exclusive and not np.array_equal(classes, np.arange(max(2, len(classes)))):
            raise ValueError(
                f"classes are {classes}; they must be the numbers of the columns of y, of which there are at least two"
            )
        self.classes_ = classes
        self._class_indices = {label: k for k, label in enumerate(classes.tolist())}

    def _targets(self, name: str, y: Any, N: int) -> np.ndarray:
        if self._exclusive:
            return class_indices(name, y, self.classes_)
        if np.asarray(y).dtype.kind not in "biuf":
            raise ValueError(f"{name} is a matrix of {np.asarray(y).dtype}; {LABEL_MATRIX}")
        t = numbers_of_outputs(name, y, N, self.network_)
        if (wrong := (t != 0) & (t != 1)).any():
            n, k = np.unravel_index(wrong.argmax(), t.shape)
            raise ValueError(f"{name}[{n}, {k}] is {t[n, k]:g}; {LABEL_MATRIX}")
        return t

    def _target_of_row(self, y: Any) -> Any:
        if self.class_weight is not None:
            return None
        (label,) = y.tolist() if isinstance(y, np.ndarray) else y
        if not isinstance(label, list):
            return self._class_indices[label]
        return label if not self._exclusive and all(number in (0, 1) for number in label) else None

    def _validation_score(self, predicted: np.ndarray, t: np.ndarray, weights: np.ndarray | None) -> float:
        correct = predicted == t
        return float(np.average(correct if t.ndim == 1 else correct.all(axis=1), weights=weights))

    def _sample_weights(self, sample_weight: Any, X: Any, y: np.ndarray, *, partial: bool = False) -> np.ndarray | None:
        """Factor of each sample's gradient, from sample_weight and class_weight; None if all are 1."""
        if self.class_weight is None:
            return super()._sample_weights(sample_weight, X, y)
        if partial and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all samples; pass the "
                "weights of sklearn.utils.compute_class_weight('balanced', ...) as a dict"
            )
        if y.ndim == 2:
            raise ValueError(
                f"class_weight is {self.class_weight!r}; it must be None if y is a matrix of labels: use sample_weight"
            )
        given = super()._sample_weights(np.ones(len(y)) if sample_weight is None else sample_weight, X, y)
        return given * compute_sample_weight(self.class_weight, y).astype(X.dtype)

    # ------------------------------------------------------------------------------------------------------- prediction

    def predict(self, X: Any) -> np.ndarray:
        """Most probable label of each sample, or the labels with a probability of at least 1/2.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) if y was a matrix
        """
        predicted = self._predictions(X)
        return self.classes_[predicted] if self._exclusive else predicted

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities y (7) of each sample, or the probability of each label by itself.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated_inputs(X)
        return self.network_.predict_proba(X, n_threads=self.n_threads)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, finite even where a probability rounds to 0.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        a = self._forward(X).a
        return reference.LOG_PROBABILITIES[self.network_.output](a)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits a (13); for two classes, the logit of the second minus that of the first.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
        """
        a = self._forward(X).a
        return a[:, 1] - a[:, 0] if self._exclusive and len(self.classes_) == 2 else a

    def __sklearn_tags__(self) -> Any:  # noqa: D105
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class BackpropRegressor(RegressorMixin, MultiOutputMixin, _Backprop):
    """Regressor with one hidden layer and linear outputs, trained by stochastic gradient descent.

    The error E_n of a sample is half the squared error, summed over the outputs.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    activation : {"logistic", "tanh", "relu"}, default="tanh"
        Function of the hidden units; "logistic" is the sigmoid.
    solver : {"sgd"}, default="sgd"
        Stochastic gradient descent. The parameter exists for compatibility with code for MLPRegressor.
    alpha : float, default=0.0
        Strength of the L2 penalty, divided by the number of samples in the batch, as in scikit-learn, or by the sum of
        their weights. Biases are not penalized.
    batch_size : int or "auto", default=1
        Samples per update; "auto" is min(200, n_samples). 1 is an update after each sample.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="adaptive"
        How a number as `learning_rate_init` changes. "constant": it does not. "invscaling":
        ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive": divided by 5 whenever training would otherwise stop,
        until a smaller rate brings no improvement; only in `fit`.
    learning_rate_init : "auto" or float, default="auto"
        "auto": `fit` standardizes y, and the inputs unless they are sparse, and learning rates adapt to each unit; see
        `fit`. `partial_fit` goes on with adaptive rates, and with the standardization of `fit`; without `fit`, it
        standardizes nothing. A number: α of (17), such as 0.01, for inputs and y with a standard deviation near 1. A
        change takes effect in the next call of `fit` or `partial_fit`. With a number, training after each sample
        diverges if α exceeds about 2 / (1 + sum of z_j**2): 0.02 if all of 100 hidden units are at 1, and less for
        "relu", whose z_j have no upper bound.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Maximum number of epochs; "auto" rates need at most 20.
    shuffle : bool, default=True
        Draw a new order of the samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the initial weights, the order of the samples and the validation set.
    tol : float, default=1e-3
        Minimum improvement of the loss, or of that of the validation set with `early_stopping`. With "auto" rates,
        training stops when the loss is below it.
    verbose : bool, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Start `fit` from the current weights.
    momentum : float, default=0.0
        Fraction in [0, 1] of the previous update that is added to the next; 0 with sparse X or "auto" rates.
    early_stopping : bool, default=False
        Stop when the loss of a validation set no longer improves, and keep the weights of the best epoch. With "auto"
        rates, only keep these.
    validation_fraction : float, default=0.1
        Fraction of the samples that `early_stopping` uses for validation, unless `fit` receives a validation set.
    n_iter_no_change : int, default=2
        Maximum number of consecutive epochs without improvement, if `learning_rate_init` is a number.
    n_threads : int, default=1
        Maximum number of threads. The result is bit-identical for any number.

    Attributes
    ----------
    network_ : Network
        The underlying network. It is shared: training either trains both.
    coefs_ : list of two ndarrays, (D, M) and (M, n_outputs)
        Weights in scikit-learn's orientation, as views of the arrays of `network_`.
    intercepts_ : list of two ndarrays, (M,) and (n_outputs,)
        Biases, as views of the arrays of `network_`.
    loss_ : float
        Mean error E of the last epoch, where E_n is taken before the update that uses the sample; of standardized y, if
        `fit` standardized it. MLPRegressor's `loss_` is E / K, plus the penalty.
    loss_curve_ : list of float
        `loss_` of each epoch of `fit`; `partial_fit` does not extend it.
    validation_scores_, validation_loss_curve_ : list of float
        R² and mean E of the validation set, if any, after each epoch of `fit`; weighted by `sample_weight`, if it was
        set aside from X.
    n_iter_ : int
        Number of epochs of the last call.
    t_ : int
        Number of samples seen in all calls.
    n_outputs_ : int
        K, the number of outputs.
    out_activation_ : {"identity"}
        The function of the outputs.
    n_features_in_ : int
        D, the number of inputs.
    feature_names_in_ : ndarray of shape (D,)
        Names of the inputs, if they have names.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from cbackprop.sklearn import BackpropRegressor
    >>> x, y = make_friedman1(800, random_state=0)
    >>> model = BackpropRegressor(random_state=0).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.9
    True
    """

    @classmethod
    def from_network(cls, network: Network, **parameters: Any) -> Self:
        """Create a regressor from a trained network.

        Parameters
        ----------
        network : Network
            The network, which is shared, not copied. Its outputs are linear.
        **parameters
            Parameters of the regressor except `hidden_layer_sizes` and `activation`, which are those of the network.

        Returns
        -------
        BackpropRegressor
            A fitted regressor. `partial_fit`, or `fit` with `warm_start`, trains it further.

        Raises
        ------
        TypeError
            If `network` is not a Network.
        ValueError
            If the outputs of the network are not linear.
        """
        return cls._from_network(network, parameters)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Update the model with one epoch over the given samples; the first call creates the network.

        A single row, passed as an array of floats or in CSR format, bypasses most of scikit-learn's validation.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers to be predicted.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.

        Returns
        -------
        BackpropRegressor
            The regressor itself.

        Raises
        ------
        TypeError
            If an array is of a type that scikit-learn does not accept, or y is sparse or does not hold numbers.
        ValueError
            If a parameter is invalid, the shapes of the arrays do not fit, X or y is not finite, or training diverges.
            A fitted model is unchanged, as it is if Ctrl-C interrupts.
        """
        if sample_weight is None and self._partial_fit_row(X, y):
            return self
        return self._partial_fit(X, y, sample_weight)

    # ------------------------------------------------------------------------------------------------- the meaning of y

    _numeric_y = True
    _fewest_validation_samples = 2  # of which R² is defined
    _to_scale = "the inputs and y"
    _auto_epochs = 20  # more overfit small tables

    def _define_outputs(self, y: np.ndarray, classes: Any) -> tuple[int, str]:
        return 1 if y.ndim == 1 else y.shape[1], "linear"

    def _targets(self, name: str, y: Any, N: int) -> np.ndarray:
        return numbers_of_outputs(name, y, N, self.network_)

    def _target_of_row(self, y: Any) -> Any:
        t = y[0]
        return None if len(y) > 1 or validate.is_masked(t) or (self.n_outputs_ == 1 and np.ndim(t)) else t

    def _validation_score(self, predicted: np.ndarray, t: np.ndarray, weights: np.ndarray | None) -> float:
        return r2_score(t, predicted, sample_weight=weights)

    # ------------------------------------------------------------------------------------------------------- prediction

    def predict(self, X: Any) -> np.ndarray:
        """Outputs y of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) for several outputs
        """
        return self._predictions(X)


class Units(NamedTuple):
    """Units in which a network is trained: a mean and a scale of each input, and of each target; None are as given."""

    x: tuple[np.ndarray, np.ndarray] | None = None
    t: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def standard(cls, X: Any, t: np.ndarray, weights: np.ndarray | None, network: Network) -> Units:
        """Units in which inputs that are not sparse, and numbers to be predicted, have mean 0 and deviation 1."""
        return cls(
            None if issparse(X) else standard_scale("X", X, weights),
            None if OUTPUTS[network.output].probabilities else standard_scale("y", t, weights),
        )

    @property
    def known(self) -> bool:
        """Whether a unit is not that of the user."""
        return self.x is not None or self.t is not None

    def inputs(self, X: Any) -> Any:
        """X in these units; dense, if they are not the user's."""
        if self.x is None:
            return X
        mean, scale = self.x
        standard = (X.toarray() if issparse(X) else X).astype(mean.dtype)
        standard -= mean
        standard /= scale
        return standard

    def targets(self, t: np.ndarray) -> np.ndarray:
        """Targets in these units."""
        return t if self.t is None else (t - self.t[0]) / self.t[1]

    def convert(self, network: Network) -> None:
        """Convert weights for the user's units to these."""
        w, v = network.w, network.v
        if self.x is not None:
            mean, scale = self.x
            w[:, -1] += w[:, :-1] @ mean
            w[:, :-1] *= scale
        if self.t is not None:
            mean, scale = self.t
            v[:, -1] -= mean
            v /= scale[:, np.newaxis]

    def restore(self, network: Network) -> None:
        """Convert weights for these units to the user's."""
        w, v = network.w, network.v
        if self.x is not None:
            mean, scale = self.x
            w[:, :-1] /= scale
            w[:, -1] -= w[:, :-1] @ mean
        if self.t is not None:
            mean, scale = self.t
            v *= scale[:, np.newaxis]
            v[:, -1] += mean


def standard_scale(name: str, columns: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of columns; 1 instead of a deviation by which weights could not be divided."""
    if weights is not None and not weights.any():  # which training refuses
        weights = None
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = StandardScaler().fit(columns, sample_weight=weights)
        mean, scale = scaler.mean_.astype(columns.dtype), scaler.scale_.astype(columns.dtype)
    scale[scale < np.sqrt(np.finfo(scale.dtype).tiny)] = 1
    finite = np.isfinite(mean) & np.isfinite(scale)
    if not finite.all():
        raise ValueError(f"the variance of column {finite.argmin()} of {name} overflows; divide it by a constant")
    return mean, scale


class Rollback:
    """Restores an estimator as it was, if called with an error: its attributes, learning rate and generator."""

    def __init__(self, model: _Backprop) -> None:
        self.model, self.attributes = model, model.__dict__.copy()
        self.network, self.generator = self.attributes.get("network_"), self.attributes.get("_generator")
        self.rate = self.network and self.network.learning_rate
        self.random_state = self.generator and self.generator.bit_generator.state
        self.saved: list[tuple[np.ndarray, Any, np.ndarray]] = []  # arrays, parts of them, and copies of these

    def save_weights(self, X: Any) -> None:
        """Restore also what learning from X in place may change."""
        model, network = self.model, self.model.network_
        columns: Any = slice(None)
        if issparse(X) and model.alpha == 0 and not model._units.known:
            columns = np.append(np.unique(X.indices), model.n_features_in_)  # the last are biases
        others = network.v, *(network.accumulators or ()), *(model._velocity or ())
        for array, part in ((network.w, (slice(None), columns)), *((array, ...) for array in others)):
            self.saved.append((array, part, array[part].copy()))

    def __call__(self, error: BaseException | None) -> None:
        """Restore all of it, if there was an error."""
        if error is None:
            return
        for array, part, values in self.saved:
            array[part] = values
        if self.network and self.generator:
            self.network.learning_rate = self.rate
            self.generator.bit_generator.state = self.random_state
        self.model.__dict__ = self.attributes


def refuse_quantities(labels: np.ndarray, N: int) -> None:
    """Raise ValueError if the different labels of N samples are numbers that are hardly classes."""
    if labels.dtype.kind not in "iuf":
        return
    fractions = labels[labels % 1 != 0]
    if len(fractions) or len(labels) > max(FEW_CLASSES, N // 2):
        found = f"{fractions[0]}" if len(fractions) else f"{len(labels)} different numbers in {N} rows"
        raise ValueError(
            f"y holds {found}, hardly classes; to predict numbers, use BackpropRegressor; to have them as labels, pass "
            "strings: y.astype(str)"
        )


def is_csr(X: Any) -> bool:
    """Whether X is a CSR array or matrix."""
    return issparse(X) and X.format == "csr"


def check_structure(name: str, X: Any) -> None:
    """Raise ValueError for sparse rows whose indices or row pointers are wrong: scipy.sparse would use them."""
    if is_csr(X):
        dtype = X.dtype if X.dtype in validate.FLOATS else np.dtype(np.float64)
        w, v = np.empty((1, X.shape[-1] + 1), dtype), np.empty((1, 2), dtype)  # stand for weights: D and dtype count
        validate.sparse_rows(name, X, w, v, False)


def warn_unscaled(X: Any) -> None:
    """Warn of inputs so large that hidden units saturate, or that their sums do not change in sign."""
    numbers, remedy = X, "its columns to mean 0 and standard deviation 1, for example by make_pipeline(StandardScaler()"
    if issparse(X):
        numbers, remedy = X.data, "its columns to at most 1, for example by make_pipeline(MaxAbsScaler()"
    rms = float(np.sqrt(np.vdot(numbers, numbers) / np.prod(X.shape)))
    if rms > MAX_RMS:
        warnings.warn(
            f"the root mean square of X is {rms:.3g}, with which little is learned; scale {remedy}, ...)",
            stacklevel=5,  # the caller of fit
        )


def warn_unscaled_targets(t: np.ndarray) -> None:
    """Warn of numbers whose errors, and so the steps, are so large that hidden units saturate."""
    deviation = float(t.std(axis=0, dtype=np.float64).max())
    if deviation > MAX_TARGET_STD:
        warnings.warn(
            f"the standard deviation of y is {deviation:.3g}, with which little is learned; scale it to 1, for example "
            "by TransformedTargetRegressor(..., transformer=StandardScaler())",
            stacklevel=5,  # the caller of fit
        )


def class_indices(name: str, y: Any, classes: np.ndarray) -> np.ndarray:
    """Indices of the labels y in the sorted `classes`."""
    validate.refuse_masked(name, y)
    y = column_or_1d(y, warn=True)
    t = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    if (unknown := classes[t] != y).any():
        raise ValueError(f"{name} contains {np.unique(y[unknown])}, which are not among the classes {classes}")
    return t


def labels_of(y: np.ndarray) -> np.ndarray:
    """Labels that y contains, or the numbers of its columns."""
    return np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])


def numbers_of_outputs(name: str, y: Any, N: int, network: Network) -> np.ndarray:
    """One finite number for each sample and output, shape (N, K), in the dtype of the network."""
    rows, _ = validate.targets(y, N, network.w, network.v, "linear", name=name)
    assert rows is not None
    return rows


def refuse_masked_or_sparse(name: str, y: Any) -> None:
    """Raise TypeError for y that scikit-learn's validation would let through."""
    validate.refuse_masked(name, y)
    if issparse(y):
        raise TypeError(f"{name} is a sparse {type(y).__name__}; it must be dense: use {name}.toarray()")


def copy_of(network: Network) -> Network:
    """A network with copies of the weights."""
    w, v = layout.copies(network.w, network.v)
    sums = network.accumulators and (network.accumulators[0].copy(), network.accumulators[1].copy())
    return Network.from_weights(w, v, **network.functions._asdict(), accumulators=sums)


def mean_error(network: Network, X: Any, t: np.ndarray, weights: np.ndarray | None) -> float:
    """Mean of E_n, weighted."""
    if weights is None:
        return network.loss(X, t)
    a = forward(X, network.w, network.v, **network.functions._asdict()).a
    rows = np.eye(len(network.v))[t] if t.ndim == 1 else t
    _y, errors = reference.OUTPUTS[network.output]
    return float(np.average(errors(rows, a), weights=weights))
