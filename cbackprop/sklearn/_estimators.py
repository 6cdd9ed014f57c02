"""The classifier and the regressor."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from cbackprop import Network, reference
from cbackprop import _layout as layout
from cbackprop._catalog import OUTPUTS
from cbackprop._docstrings import inherits
from cbackprop.sklearn._parameters import Parameters, describe, explain_unsupported
from cbackprop.sklearn._training import TrainableBackprop
from cbackprop.sklearn._validation import check_classes, class_indices

LABEL_MATRIX = (
    "a matrix must hold 1 for each label of a sample, and 0: for several targets with classes of their own, use "
    "sklearn.multioutput.MultiOutputClassifier"
)


@describe
@explain_unsupported
@dataclass(eq=False, repr=False)
class BackpropClassifier(ClassifierMixin, TrainableBackprop):
    """Classifier with one hidden layer, trained by stochastic gradient descent.

    Each sample has one of several classes, with softmax outputs, or, if y is a matrix of 0 and 1, any number of labels,
    with logistic outputs.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter
    shuffle, random_state, tol, verbose, warm_start, momentum, early_stopping, validation_fraction, n_iter_no_change
    n_threads
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which `sample_weight` is multiplied.

    Attributes
    ----------
    network_
    classes_ : ndarray of shape (n_classes,)
        Class labels; the numbers of the columns if y is a matrix.
    coefs_, intercepts_
    loss_ : float
        Mean cross-entropy E of the last epoch in nats, where E_n is taken before the update that uses the sample. With
        logistic outputs, E_n is the sum over the labels.
    loss_curve_, validation_scores_, validation_loss_curve_, n_iter_, t_, n_outputs_, out_activation_
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from cbackprop.sklearn import BackpropClassifier
    >>> x, y = load_wine(return_X_y=True)
    >>> model = BackpropClassifier(random_state=0).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.95
    True

    Two labels of a multi-label target: whether a number is above 2, and whether it is above 4.

    >>> x, y = [[1.0], [3.0], [5.0]], [[0, 0], [1, 0], [1, 1]]
    >>> BackpropClassifier(8, random_state=0).fit(x * 50, y * 50).predict(x)
    array([[0, 0],
           [1, 0],
           [1, 1]])
    """

    _parameter_constraints = Parameters._parameter_constraints | {
        "class_weight": [dict, StrOptions({"balanced"}), None]
    }

    activation: str = "relu"
    _: KW_ONLY
    alpha: float | str = "auto"
    learning_rate: str = "constant"
    n_iter_no_change: float = 5
    class_weight: Any = None

    @classmethod
    @inherits(TrainableBackprop.from_network)
    def from_network(cls, network: Network, classes: Any, **parameters: Any) -> Self:  # type: ignore[override]
        """Create a classifier from a trained network.

        Parameters
        ----------
        network : Network
            The network, which is shared, not copied. Its outputs are softmax, or logistic with at least two labels.
        classes : array-like of shape (n_classes,)
            Labels of the outputs, sorted; those of logistic outputs are 0 to K-1.
        """
        model = super().from_network(network, **parameters)
        classes = np.asarray(classes)
        try:
            valid = classes.shape == (len(network.v),) and np.array_equal(classes, np.unique(classes))
        except TypeError:  # labels that cannot be compared
            valid = False
        if not valid:
            raise ValueError(f"classes are {classes}; they must be {len(network.v)} different labels, sorted")
        model._set_classes(classes, network.output)
        return model

    @inherits(TrainableBackprop.partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Update the model with one epoch over the given samples; the first call creates the network.

        A single row, passed as an array of floats or in CSR format, bypasses most of scikit-learn's validation.

        Parameters
        ----------
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, which need not contain every class; or 1 for each label of a sample, and 0.
        classes : array-like, optional
            All labels that may occur, required in the first call; if y is a matrix, the numbers of its columns,
            ``range(n_classes)``. Later calls may add classes to those of softmax outputs: each new class gets a new row
            of v, and the other weights keep their bits.
        """
        if classes is None and not self.__sklearn_is_fitted__():
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return self._partial_fit(X, y, sample_weight, classes)

    # ------------------------------------------------------------------------------------------------- the meaning of y

    _numeric_y = False
    _metric = staticmethod(accuracy_score)
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
            check_classes(np.unique(y), len(y))
        self._set_classes(_labels_of(y) if classes is None else unique_labels(classes), output)
        return len(self.classes_), output

    def _check_outputs(self, y: np.ndarray) -> None:
        labels = _labels_of(y)
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
            new.w[...], new.v[kept] = old.w, old.v
            if old.accumulators is not None and new.accumulators is not None:
                new.accumulators[0][:], new.accumulators[1][kept] = old.accumulators
            self._set_classes(classes, old.output)
            self._set_network(new, self._generator)

    @property
    def _exclusive(self) -> bool:
        """Whether each sample has one of the classes, and not any number of labels."""
        return OUTPUTS[self.network_.output].exclusive

    def _set_classes(self, classes: np.ndarray, output: str) -> None:
        if not OUTPUTS[output].exclusive and not np.array_equal(classes, np.arange(max(2, len(classes)))):
            raise ValueError(
                f"classes are {classes}; they must be the numbers of the columns of y, of which there are at least two"
            )
        self.classes_: np.ndarray = classes
        self._class_indices: dict[Any, int] = {label: k for k, label in enumerate(classes.tolist())}

    def _targets(self, name: str, y: Any, N: int) -> np.ndarray:
        if self._exclusive:
            return class_indices(name, y, self.classes_)
        if np.asarray(y).dtype.kind not in "biuf":
            raise ValueError(f"{name} is a matrix of {np.asarray(y).dtype}; {LABEL_MATRIX}")
        t = super()._targets(name, y, N)
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

    @inherits(TrainableBackprop.predict)
    def predict(self, X: Any) -> np.ndarray:
        """Most probable label of each sample, or the labels with a probability of at least 1/2.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_classes) if y was a matrix
        """
        predicted = super().predict(X)
        return self.classes_[predicted] if self._exclusive else predicted

    @inherits(predict)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Class probabilities y (7) of each sample, or the probability of each label by itself.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        X = self._validated_inputs(X)
        return self.network_.predict_proba(X, n_threads=self.n_threads)

    @inherits(predict_proba)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, finite even where a probability rounds to 0."""
        a = self._forward(X).a
        return reference.LOG_PROBABILITIES[self.network_.output](a)

    @inherits(predict)
    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of each class or label, log y_k - log(1 - y_k); for two classes, those of the second.

        They are computed from the logits a (13), so that they are finite where a probability rounds to 0 or 1.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
        """
        a = self._forward(X).a
        if not self._exclusive:
            return a
        return a[:, 1] - a[:, 0] if len(self.classes_) == 2 else _log_odds(a)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@describe
class BackpropRegressor(RegressorMixin, MultiOutputMixin, TrainableBackprop):
    """Regressor with one hidden layer and linear outputs, trained by stochastic gradient descent.

    The error E_n of a sample is half the squared error, summed over the outputs. With a number as `learning_rate_init`,
    training after each sample diverges if it exceeds about 2 / (1 + sum of z_j**2): 0.02 if all of 100 hidden units are
    at 1, and less for "relu", whose z_j have no upper bound.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter
    shuffle, random_state, tol, verbose, warm_start, momentum, early_stopping, validation_fraction, n_iter_no_change
    n_threads

    Attributes
    ----------
    network_, coefs_, intercepts_
    loss_ : float
        Mean error E of the last epoch, where E_n is taken before the update that uses the sample; of standardized y, if
        `fit` standardized it. MLPRegressor's `loss_` is E / K, plus the penalty.
    loss_curve_, validation_scores_, validation_loss_curve_, n_iter_, t_, n_outputs_, out_activation_
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from cbackprop.sklearn import BackpropRegressor
    >>> x, y = make_friedman1(800, random_state=0)
    >>> model = BackpropRegressor(random_state=0).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.9
    True
    """


def _labels_of(y: np.ndarray) -> np.ndarray:
    """Labels that y contains, or the numbers of its columns."""
    return np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])


def _log_odds(a: np.ndarray) -> np.ndarray:
    """log y_k - log(1 - y_k) of softmax outputs: a_k minus the logarithm of the sum of all other e^a_l."""
    best = np.arange(len(a)), a.argmax(axis=1)
    a = a - a[best][:, np.newaxis]
    e = np.exp(a)
    with np.errstate(divide="ignore"):  # of the largest, from which the others may have been lost
        odds = a - np.log(e.sum(axis=1, keepdims=True) - e)
    a[best] = -np.inf
    odds[best] = -np.logaddexp.reduce(a, axis=1)
    return odds
