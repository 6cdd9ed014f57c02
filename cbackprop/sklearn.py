"""scikit-learn classifier, a replacement for `MLPClassifier` in existing code.

Requires the extra `sklearn`: ``pip install "cbackprop[sklearn]"``.

Differences from `sklearn.neural_network.MLPClassifier`, besides one logistic hidden layer and plain SGD:

- Two classes have two softmax outputs, as in the equations, where MLPClassifier has one logistic output. The softmax of
  two logits is the logistic function of their difference, so both models can represent the same probabilities. But each
  row of v moves as far as the weights of the single output, in opposite directions: in one step, the difference moves
  twice as far, the hidden weights equally far. ``coefs_[1]`` has two columns; ``decision_function`` returns the
  difference.
- ``batch_size`` is 1, and ``momentum`` and ``alpha`` are 0 by default: the update (17) after each sample. Momentum is
  classical, without Nesterov's correction.
- ``partial_fit`` never restarts training: it accepts single rows, changing learning rates, rows that lack some of the
  classes, and new classes listed in ``classes``.
- ``early_stopping`` keeps the best weights. Its criterion is reset by each call of ``fit``, even with ``warm_start``.
- The callbacks of scikit-learn 1.9, which are experimental there, can be set by ``set_callbacks``, for example
  ``ProgressBar()`` or ``ScoringMonitor(scoring=...)``. Each epoch is a task, after which a callback may stop training.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np

from cbackprop import Activations, DivergenceError, Network, forward
from cbackprop import fit as learn
from cbackprop._extras import require
from cbackprop._growth import copy_weights
from cbackprop._network import ensure_usable
from cbackprop._validation import FLOATS, refuse_masked, rounded

require("sklearn", "sklearn")
from scipy.special import log_softmax  # noqa: E402
from sklearn.base import (  # noqa: E402
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.callback import CallbackSupportMixin  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.utils import check_consistent_length, check_random_state, compute_sample_weight  # noqa: E402
from sklearn.utils._param_validation import Interval, StrOptions  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets, unique_labels  # noqa: E402
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data  # noqa: E402

MIN_ADAPTIVE_RATE = 1e-6  # as in scikit-learn


class BackpropClassifier(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator
):
    """Classifier with one sigmoid hidden layer and softmax outputs, trained by stochastic gradient descent.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of one int, default=(100,)
        M, the number of hidden units.
    activation : {"logistic"}, default="logistic"
        Activation of the hidden units. Only one is supported, as for `solver`; both exist for compatibility with code
        for MLPClassifier.
    solver : {"sgd"}, default="sgd"
        Stochastic gradient descent.
    alpha : float, default=0.0
        Strength of the L2 penalty, divided by the number of samples in the batch, as in scikit-learn, or by the sum of
        their weights. Biases are not penalized.
    batch_size : int or "auto", default=1
        Samples per update; "auto" is min(200, n_samples). 1 is the update (17) after each sample.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        "constant": `learning_rate_init`. "invscaling": ``learning_rate_init / (t_ + 1) ** power_t``. "adaptive":
        divided by 5 whenever training would otherwise stop, until it is below 1e-6; only in `fit`.
    learning_rate_init : float, default=0.1
        α of (17). A change takes effect in the next call of `fit` or `partial_fit`.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Maximum number of epochs.
    shuffle : bool, default=True
        Draw a new order of the samples for each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of random numbers for the initial weights, the order of the samples and the validation set.
    tol : float, default=1e-3
        Minimum improvement of the loss, or of the validation score with `early_stopping`.
    verbose : bool, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        Start `fit` from the current weights.
    momentum : float, default=0.0
        Fraction in [0, 1] of the previous update that is added to the next.
    early_stopping : bool, default=False
        Stop when the score of a validation set no longer improves, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Fraction of the samples that `early_stopping` uses for validation, unless `fit` receives a validation set.
    n_iter_no_change : int, default=5
        Maximum number of consecutive epochs without improvement.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which `sample_weight` is multiplied.
    n_threads : int, default=1
        Maximum number of threads. The result is bit-identical for any number.

    Attributes
    ----------
    network_ : Network
        The underlying network. It is shared: training either trains both.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coefs_ : list of two ndarrays, (D, M) and (M, n_classes)
        Weights in scikit-learn's orientation, as views of the arrays of `network_`.
    intercepts_ : list of two ndarrays, (M,) and (n_classes,)
        Biases, as views of the arrays of `network_`.
    loss_ : float
        Mean cross-entropy E of the last epoch in nats, where E_n is taken before the update that uses the sample.
    loss_curve_ : list of float
        `loss_` of each epoch of `fit`; `partial_fit` does not extend it.
    validation_scores_, validation_loss_curve_ : list of float
        Accuracy and mean E of the validation set, if any, after each epoch of `fit`.
    n_iter_ : int
        Number of epochs of the last call.
    t_ : int
        Number of samples seen in all calls.
    n_features_in_ : int
        D, the number of inputs.
    feature_names_in_ : ndarray of shape (D,)
        Names of the inputs, if they have names.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cbackprop.sklearn import BackpropClassifier
    >>> x, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), BackpropClassifier(random_state=0)).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.95
    True
    """

    _parameter_constraints = {  # noqa: RUF012 # part of scikit-learn's protocol
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"logistic"})],
        "solver": [StrOptions({"sgd"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
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
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
    }

    _parameters_are_valid = False

    network_: Network
    classes_: np.ndarray
    n_features_in_: int
    loss_: float
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    t_: int
    _velocity: tuple[np.ndarray, np.ndarray] | None

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "logistic",
        *,
        solver: str = "sgd",
        alpha: float = 0.0,
        batch_size: int | str = 1,
        learning_rate: str = "constant",
        learning_rate_init: float = 0.1,
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
        self.class_weight = class_weight
        self.n_threads = n_threads

    @classmethod
    def from_network(cls, network: Network, classes: Any, **parameters: Any) -> BackpropClassifier:
        """Create a classifier from a trained network.

        Parameters
        ----------
        network : Network
            The network, which is shared, not copied.
        classes : array-like of shape (n_classes,)
            Labels of the outputs, sorted.
        **parameters
            Parameters of the classifier except `hidden_layer_sizes`, which is that of the network.

        Returns
        -------
        BackpropClassifier
            A fitted classifier. `partial_fit`, or `fit` with `warm_start`, trains it further.

        Raises
        ------
        TypeError
            If `network` is not a Network.
        ValueError
            If `classes` is not a sorted sequence of distinct labels, one per output.
        """
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}; it must be a Network")
        classes = np.asarray(classes)
        try:
            valid = classes.shape == (len(network.v),) and np.array_equal(classes, np.unique(classes))
        except TypeError:  # labels that cannot be compared
            valid = False
        if not valid:
            raise ValueError(f"classes are {classes}; they must be {len(network.v)} different labels, sorted")
        model = cls(hidden_layer_sizes=len(network.w), **parameters)
        model.n_features_in_ = network.w.shape[1] - 1
        model._reset(network, classes, model._random_generators()[1])
        return model

    # --------------------------------------------------------------------------------------------------------- training

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> BackpropClassifier:
        """Train until the loss, or the validation score, no longer improves.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, ideally with a standard deviation near 1. float32 data are processed in float32, all others in
            float64.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.
        X_val, y_val : array-like, optional
            Validation set. Its score and loss are recorded for each epoch; `early_stopping` uses the score.

        Returns
        -------
        BackpropClassifier
            The fitted classifier itself.

        Raises
        ------
        TypeError
            If an array is of a type that scikit-learn does not accept, such as a sparse matrix.
        ValueError
            If a parameter is invalid, the shapes of the arrays do not fit, X is not finite, y does not contain class
            labels, y_val contains unknown classes, or training diverges. A fitted model is unchanged.
        """
        with _rollback_on_error(self):
            converged = self._fit(X, y, sample_weight, X_val, y_val)
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
        classes, t = np.unique(y, return_inverse=True)
        if continued and not np.array_equal(classes, self.classes_):
            raise ValueError(
                "warm_start can only be used where `self.classes_` is the same as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}"
            )
        if continued and self._hidden_units() != (M := len(self.network_.w)):
            raise ValueError(f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; with warm_start it must stay {M}")
        weights = self._sample_weights(sample_weight, X, y)
        random_state, generator = self._random_generators()

        held_out = None
        if X_val is not None or y_val is not None:
            held_out = self._validated_held_out(X_val, y_val, X.dtype, classes)
        elif self.early_stopping:
            learned, held = train_test_split(
                np.arange(len(X)), test_size=self.validation_fraction, stratify=t, random_state=random_state
            )
            held_out = X[held], t[held], None if weights is None else weights[held]
            if weights is not None and not weights[held].any():
                raise ValueError(
                    "sample_weight is 0 for all samples that early_stopping sets aside; it must be above 0 for some"
                )
            X, t, weights = X[learned], t[learned], None if weights is None else weights[learned]

        if continued:  # train copies, so that an error leaves the model unchanged
            network = Network.from_weights(self.network_.w.copy(), self.network_.v.copy())
            self._set_network(network, classes, generator)
            self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = map(
                list, (self.loss_curve_, self.validation_loss_curve_, self.validation_scores_)
            )
        else:
            self._reset(self._new_network(len(classes), X.dtype, generator), classes, generator)
        return self._run_epochs(X, t, weights, held_out)

    def _run_epochs(self, X: np.ndarray, t: np.ndarray, weights: np.ndarray | None, held_out: Any) -> bool:
        """Run epochs until training stops; return False if max_iter stopped it."""
        network, self.n_iter_ = self.network_, 0
        rate, unimproved = self.learning_rate_init, 0
        best, best_weights = -np.inf, None
        callback_data = {"estimator": self, "X": X, "y": lambda: self.classes_[t]}
        if weights is not None:
            callback_data["metadata"] = {"sample_weight": weights}
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(**callback_data)
        stopped = False
        try:
            while not stopped and self.n_iter_ < self.max_iter:
                epoch = context.subcontext(task_name="epoch").call_on_fit_task_begin(**callback_data)
                self._run_epoch(X, t, weights, rate, self.n_iter_ + 1)
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if held_out is not None:
                    self._score_validation_set(*held_out)
                stopped = epoch.call_on_fit_task_end(
                    **callback_data, reconstruction_attributes=self._current_attributes
                )

                score = self.validation_scores_[-1] if self.early_stopping else -self.loss_
                unimproved = unimproved + 1 if score < best + self.tol else 0
                if score > best:
                    best = score
                    if self.early_stopping:
                        best_weights = network.w.copy(), network.v.copy()
                if unimproved > self.n_iter_no_change:
                    stopped = stopped or self.learning_rate != "adaptive" or rate <= MIN_ADAPTIVE_RATE
                    rate, unimproved = rate / 5, 0
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
            stopped = True
        if best_weights is not None:
            network.w[:], network.v[:] = best_weights
        context.call_on_fit_task_end(**callback_data, reconstruction_attributes=self._current_attributes)
        return stopped

    def set_params(self, **params: Any) -> BackpropClassifier:
        """Set parameters. They are validated by the next call of `fit` or `partial_fit`.

        Parameters
        ----------
        **params
            Values of parameters by name.

        Returns
        -------
        BackpropClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If a name is not that of a parameter.
        """
        super().set_params(**params)
        self._parameters_are_valid = False
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> BackpropClassifier:
        """Update the model with one epoch over the given samples; the first call creates the network.

        A single row, passed as an array of floats, bypasses most of scikit-learn's validation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,)
            Labels. They need not contain every class.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each sample: a factor of its gradient. The gradient of a batch is divided by the sum of its
            weights.
        classes : array-like, optional
            All labels that may occur, required in the first call. Later calls may add classes: each new class gets a
            new row of v, and the other weights keep their bits.

        Returns
        -------
        BackpropClassifier
            The classifier itself.

        Raises
        ------
        TypeError
            If an array is of a type that scikit-learn does not accept, such as a sparse matrix.
        ValueError
            If a parameter is invalid, the shapes of the arrays do not fit, X is not finite, y contains unknown classes,
            `classes` is missing in the first call or lacks a known class, or training diverges. A fitted model is
            unchanged.
        """
        if sample_weight is None and self._partial_fit_row(X, y, classes):
            return self
        self._validate_params()
        with _rollback_on_error(self):
            self._parameters_are_valid = True
            first = not self.__sklearn_is_fitted__()
            if first and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            X, y = self._validated_training_data(X, y, first=first)
            known = self.classes_ if classes is None else unique_labels(classes)
            t = class_indices("y", y, known)
            weights = self._sample_weights(sample_weight, X, y, partial=True)
            if first:
                generator = self._random_generators()[1]
                self._reset(self._new_network(len(known), X.dtype, generator), known, generator)
            elif classes is not None:
                self._add_classes(known)
            self._run_epoch(X, t, weights, self.learning_rate_init, 1)
        return self

    def _partial_fit_row(self, X: Any, y: Any, classes: Any) -> bool:
        """Update the model with one row without scikit-learn's validation, which takes a hundred times as long.

        Return False, with the model unchanged, if the row or the parameters need that validation.
        """
        attributes = vars(self)
        if not (
            type(X) is np.ndarray
            and "network_" in attributes
            and self._parameters_are_valid
            and X.shape == (1, self.n_features_in_)
            and self.class_weight is None
            and "feature_names_in_" not in attributes
            and isinstance(y, (np.ndarray, list, tuple))
            and (classes is None or np.array_equal(classes, self.classes_))
        ):
            return False
        network = self.network_
        try:
            (label,) = y.tolist() if isinstance(y, np.ndarray) else y
            k = self._class_indices[label]
            plain = self.alpha == 0 == self.momentum or (
                rounded(self.alpha, network.dtype) == 0 == rounded(self.momentum, network.dtype)
            )
            if plain and self.learning_rate != "invscaling":
                if network.learning_rate != self.learning_rate_init:
                    network.learning_rate = self.learning_rate_init
                self.loss_ = network.learn_one(X[0], k)
                self.n_iter_ = 1
                self.t_ += 1
            else:
                self._run_epoch(X, np.array([k]), None, self.learning_rate_init, 1)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            return False
        return True

    def _run_epoch(self, X: np.ndarray, t: np.ndarray, weights: np.ndarray | None, rate: float, epoch: int) -> None:
        """Run one epoch. An error leaves the model unchanged."""
        network, velocity = self.network_, None
        if self.learning_rate == "invscaling":
            try:
                rate = self.learning_rate_init / (self.t_ + 1) ** float(self.power_t)
            except OverflowError:
                raise ValueError(
                    f"power_t is {self.power_t}; it must be smaller: after {self.t_} samples the learning rate is 0"
                ) from None
        if rounded(self.momentum, network.dtype):
            velocity = self._velocity or (np.zeros_like(network.w), np.zeros_like(network.v))
        batch_size: Any = min(200, len(X)) if self.batch_size == "auto" else self.batch_size
        try:
            history = learn(
                X,
                t,
                network.w,
                network.v,
                learning_rate=rate,
                batch_size=batch_size,
                shuffle=self.shuffle,
                rng=self._generator,
                n_threads=self.n_threads,
                sample_weight=weights,
                l2=self.alpha,
                momentum=self.momentum,
                velocity=velocity,
            )
        except DivergenceError as error:
            raise ValueError(
                f"Learning diverged in epoch {epoch}: try a smaller learning_rate_init, or scale the inputs "
                "to a standard deviation near 1"
            ) from error
        network.learning_rate, self._velocity = rate, velocity
        (self.loss_,) = history.losses
        self.n_iter_ = epoch
        self.t_ += len(X)

    def _score_validation_set(self, X: np.ndarray, t: np.ndarray, weights: np.ndarray | None) -> None:
        correct = self.network_.predict(X, n_threads=self.n_threads) == t
        self.validation_scores_.append(float(np.average(correct, weights=weights)))
        self.validation_loss_curve_.append(self.network_.loss(X, t))
        if self.verbose:
            print(f"Validation score: {self.validation_scores_[-1]:f}")

    def _random_generators(self) -> tuple[np.random.RandomState, np.random.Generator]:
        """Sources of random numbers for scikit-learn and for this library, from `random_state`."""
        random_state = check_random_state(self.random_state)
        return random_state, np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))

    def _hidden_units(self) -> int:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object))
        if sizes.shape != (1,):
            raise ValueError(f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; there is exactly one hidden layer")
        (M,) = sizes
        most = np.iinfo(np.intp).max
        if isinstance(M, bool) or not isinstance(M, Integral) or not 1 <= int(M) <= most:
            raise ValueError(f"hidden_layer_sizes is {self.hidden_layer_sizes!r}; it must be an integer in 1..{most}")
        return int(M)

    def _new_network(self, n_classes: int, dtype: np.dtype, generator: np.random.Generator) -> Network:
        return Network(self.n_features_in_, self._hidden_units(), n_classes, dtype=dtype, rng=generator)

    def _reset(self, network: Network, classes: np.ndarray, generator: np.random.Generator) -> None:
        """Set an untrained network and reset the record of training."""
        self._set_network(network, classes, generator)
        self.t_, self.n_iter_ = 0, 0
        self.loss_curve_, self.validation_loss_curve_, self.validation_scores_ = [], [], []

    def _set_network(self, network: Network, classes: np.ndarray, generator: np.random.Generator) -> None:
        self.network_, self.classes_, self._generator = network, classes, generator
        self._class_indices = {label: k for k, label in enumerate(classes.tolist())}
        self._velocity = None

    def _add_classes(self, classes: np.ndarray) -> None:
        """Add a row to v for each new class."""
        if missing := sorted(set(self.classes_.tolist()) - set(classes.tolist())):
            raise ValueError(
                f"`classes={classes}` is not the same as on last call to partial_fit, was: {self.classes_}; "
                f"classes may be added, but these are missing: {missing}"
            )
        if len(classes) > len(self.classes_):
            old = self.network_
            new = Network(self.n_features_in_, len(old.w), len(classes), dtype=old.dtype, rng=self._generator)
            network = copy_weights(old, new, kept=class_indices("classes", self.classes_, classes))
            self._set_network(network, classes, self._generator)

    # ------------------------------------------------------------------------------------------------------- prediction

    def predict(self, X: Any) -> np.ndarray:
        """Most probable label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        X = self._validated_inputs(X)
        return self.classes_[self.network_.predict(X, n_threads=self.n_threads)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities y (7) of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated_inputs(X)
        return self.network_.predict_proba(X, n_threads=self.n_threads)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the class probabilities, finite even where a probability rounds to 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return log_softmax(self._forward(X).a, axis=1)

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits a (13); for two classes, the logit of the second minus that of the first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
        """
        a = self._forward(X).a
        return a[:, 1] - a[:, 0] if len(self.classes_) == 2 else a

    def transform(self, X: Any) -> np.ndarray:
        """Hidden activations z.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, M)
        """
        return self._forward(X).z

    def _forward(self, X: Any) -> Activations:
        X = self._validated_inputs(X)
        return forward(X, self.network_.w, self.network_.v, n_threads=self.n_threads)

    # ------------------------------------------------------------------------------------------------------- validation

    def _validated_training_data(self, X: Any, y: Any, *, first: bool) -> tuple[np.ndarray, np.ndarray]:
        # of several dtypes, scikit-learn converts others to the first: float64
        dtype = FLOATS[::-1] if first else self.network_.dtype
        refuse_masked("X", X)  # whose mask scikit-learn ignores
        refuse_masked("y", y)
        X, y = validate_data(self, X, y, dtype=dtype, order="C", reset=first)
        check_classification_targets(y)
        return X, y

    def _validated_held_out(
        self, X: Any, y: Any, dtype: np.dtype, classes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, None]:
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together")
        refuse_masked("X_val", X)
        X, t = validate_data(self, X, dtype=dtype, order="C", reset=False), class_indices("y_val", y, classes)
        check_consistent_length(X, t)
        return X, t, None

    def _validated_inputs(self, X: Any) -> np.ndarray:
        """Validate inputs for prediction, without scikit-learn if they need no conversion: ten times as fast."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        if (
            type(X) is np.ndarray
            and X.dtype == self.network_.dtype
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and len(X)
            and not hasattr(self, "feature_names_in_")
            and np.isfinite(X).all()
        ):
            return X
        refuse_masked("X", X)
        return validate_data(self, X, dtype=self.network_.dtype, order="C", reset=False)

    def _sample_weights(
        self, sample_weight: Any, X: np.ndarray, y: np.ndarray, *, partial: bool = False
    ) -> np.ndarray | None:
        """Factor of each sample's gradient, from sample_weight and class_weight; None if all are 1."""
        if sample_weight is None and self.class_weight is None:
            return None
        refuse_masked("sample_weight", sample_weight)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if self.class_weight is None:
            return weights
        if partial and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all samples; pass the "
                "weights of sklearn.utils.compute_class_weight('balanced', ...) as a dict"
            )
        return weights * compute_sample_weight(self.class_weight, y).astype(X.dtype)

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
    def _n_features_out(self) -> int:
        return len(self.network_.w)

    def _current_attributes(self) -> dict[str, Any]:
        """Attributes with which a callback can predict with the current weights."""
        return {"network_": Network.from_weights(self.network_.w.copy(), self.network_.v.copy())}

    def __setstate__(self, state: dict[str, Any]) -> None:  # noqa: D105
        super().__setstate__(state)
        if velocity := vars(self).get("_velocity"):
            self._velocity = ensure_usable(velocity[0]), ensure_usable(velocity[1])

    def __sklearn_is_fitted__(self) -> bool:  # noqa: D105 # part of scikit-learn's protocol
        return "network_" in vars(self)

    def __sklearn_tags__(self) -> Any:  # noqa: D105
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@contextmanager
def _rollback_on_error(model: BackpropClassifier) -> Iterator[None]:
    """Restore all attributes and the state of the generator if the block raises."""
    before = model.__dict__.copy()
    generator = before.get("_generator")
    random_state = generator and generator.bit_generator.state
    try:
        yield
    except BaseException:
        model.__dict__ = before
        if generator:
            generator.bit_generator.state = random_state
        raise


def class_indices(name: str, y: Any, classes: np.ndarray) -> np.ndarray:
    """Indices of the labels y in the sorted `classes`."""
    refuse_masked(name, y)
    y = column_or_1d(y, warn=True)
    t = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    if (unknown := classes[t] != y).any():
        raise ValueError(f"{name} contains {np.unique(y[unknown])}, which are not among the classes {classes}")
    return t
