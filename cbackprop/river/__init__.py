"""River classifiers and regressors, which learn samples, features, classes and targets as they appear in a stream.

A feature that is missing from a sample counts as 0; predictions ignore features that were not in training. New features
and outputs get random initial weights; the other weights keep their bits. A call that raises leaves the model as it
was.

Requires the extra `river`: ``pip install "cbackprop[river]"``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from cbackprop._catalog import OUTPUTS
from cbackprop._extras import require

require("river", "river")
from river import base, utils  # noqa: E402

from cbackprop.river import _samples as samples  # noqa: E402
from cbackprop.river._model import MiniBatchNetwork, StreamNetwork, describe  # noqa: E402


@describe
class BackpropClassifier(MiniBatchNetwork, base.MiniBatchClassifier):
    """Classifier with one hidden layer and softmax outputs, updated (17) after each sample.

    By default, it takes inputs as they come: it standardizes them, and chooses learning rates by itself. Before
    training, the predicted label is None, and the predicted probabilities are empty.

    Parameters
    ----------
    n_hidden, learning_rate, hidden, seed, n_features

    Notes
    -----
    With "auto", several networks learn every sample, at rates that adapt to each unit; docs/guides/auto.md lists them.
    Their predictions are averaged, with weights that depend on their losses so far (see `cbackprop.Ensemble`). A
    network that diverges is left out.

    Inputs are standardized by running means and variances, which follow the last 1,000 samples or so, and limited to 5
    standard deviations. So a sample takes time for all known features, not only for its own. Hashed inputs are scaled
    only: x_i becomes x_i / √q_i · (n / c_i)^(1/4) if c_i of the n samples so far have feature i, whose mean square is
    q_i. A rare feature takes larger steps, like with the AdaGrad of each feature.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> from cbackprop.river import BackpropClassifier
    >>> accuracy, stream = metrics.Accuracy(), datasets.Phishing()
    >>> model = BackpropClassifier(seed=0)
    >>> evaluate.progressive_val_score(stream, model, accuracy).get() > 0.89
    True
    """

    _output, _hidden = "softmax", "sigmoid"

    @property
    def classes(self) -> list[Any]:
        """Labels, in the order of the rows of v."""
        return self._outputs

    @property
    def _multiclass(self) -> bool:
        return True

    def _target(self, y: Hashable) -> tuple[int, None, list[Any]]:
        _, n_outputs = self._stream.names
        try:
            k = self._stream.outputs.get(y, n_outputs)
        except TypeError:  # not hashable: new_labels raises
            k = n_outputs
        return (k, None, []) if k < n_outputs else (n_outputs, None, samples.new_labels([y], self._known_outputs))

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        known = self._known_outputs
        new = samples.new_labels(y, known)
        indices = known | {label: k for k, label in enumerate(new, len(known))}
        return np.array([indices[label] for label in y]), new

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> Any:
        k = self._predicted("predict_one", x)
        return None if k is None else self._stream.labels[k]

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        y = self._predicted("predict_proba_one", x)
        # labels that are being added have no probability yet
        return {} if y is None else dict(zip(self._stream.labels, y.tolist(), strict=False))

    def predict_many(self, X: Any) -> Any:
        y = self._predicted_many(X)
        labels = [None] * len(X) if y is None else [self._stream.labels[k] for k in y.argmax(axis=1)]
        return self._series(labels, X)

    def predict_proba_many(self, X: Any) -> Any:
        """Predict the probability of each known label, for each row of a data frame.

        Parameters
        ----------
        X : DataFrame
            Data frame, as for `learn_many`.

        Returns
        -------
        DataFrame
            Data frame of the same library with the same index and one column per label.
        """
        frame = utils.dataframe.into_frame(X)
        y = self._predicted_many(X)
        if y is None:
            return utils.dataframe.to_native_frame(np.empty((len(frame), 0)), like=frame, columns=[])
        return utils.dataframe.to_native_frame(dict(zip(self.classes, y.T, strict=True)), like=frame)


@describe
class BackpropRegressor(MiniBatchNetwork, base.MiniBatchRegressor):
    """Regressor with one hidden layer and a linear output, updated (17) after each sample.

    The error is half the square of the difference; with a number as the learning rate, the target should be about as
    large as 1: scale it with River's TargetStandardScaler. Before training, the prediction is 0.

    Parameters
    ----------
    n_hidden, learning_rate, hidden, seed, n_features

    Notes
    -----
    "auto" is explained in the notes of `BackpropClassifier`. Targets are standardized like inputs. With a number,
    updates of v can grow without bound if α is above 2 / (1 + sum of z_j**2), which is at least 2 / (1 + M) for sigmoid
    and tanh units.

    Examples
    --------
    >>> from river import datasets, evaluate, metrics
    >>> from cbackprop.river import BackpropRegressor
    >>> error, stream = metrics.MAE(), datasets.TrumpApproval()
    >>> model = BackpropRegressor(seed=0)
    >>> evaluate.progressive_val_score(stream, model, error).get() < 0.4
    True
    """

    _output, _hidden = "linear", "tanh"

    def _target(self, y: Any) -> tuple[np.ndarray, None, list[Any]]:
        if not isfinite(t := samples.number(y)):
            raise ValueError(f"y is {y!r}; it must be a finite number")
        return np.array([t]), None, []

    def _targets(self, y: list[Any]) -> tuple[np.ndarray, list[Any]]:
        t = np.array([samples.number(value) for value in y])
        if not (finite := np.isfinite(t)).all():
            n = int(finite.argmin())
            raise ValueError(f"y is {y[n]!r} in row {n}; it must be a finite number")
        return t, []

    def predict_one(self, x: Mapping[Hashable, Any]) -> float:
        y = self._predicted("predict_one", x)
        return 0.0 if y is None else y

    def predict_many(self, X: Any) -> Any:
        y = self._predicted_many(X)
        return self._series(np.zeros(len(X)) if y is None else y[:, 0], X)


class _MultiOutputs(StreamNetwork):
    """A network with an output for each name in y. An output whose name is missing from y does not learn."""

    _kind: tuple[Any, ...]  # of numbers: arguments of `numbers_by_name`

    def _target(self, y: Any) -> tuple[np.ndarray, np.ndarray | None, list[Any]]:
        numbers = samples.numbers_by_name(y, "y", *self._kind)
        known = self._known_outputs
        new = samples.new_names(numbers, known)
        indices = known | {name: k for k, name in enumerate(new, len(known))}
        t = np.full(max(1, len(indices)), np.nan)
        for name, number in numbers.items():
            t[indices[name]] = number
        missing = np.isnan(t)
        return t, missing if missing.any() else None, new

    def _predict_one(self, x: Mapping[Hashable, Any]) -> dict[Any, float]:
        """y by name."""
        y = self._predicted("predict_proba_one" if OUTPUTS[self._output].probabilities else "predict_one", x)
        return {} if y is None else dict(zip(self._stream.labels, np.atleast_1d(y).tolist(), strict=False))


@describe
class BackpropMultiTargetRegressor(_MultiOutputs, base.MultiTargetRegressor):  # type: ignore[misc]
    """Regressor of several targets by name: one network, whose hidden layer all targets share.

    Outputs are linear; the error is half the sum of the squared differences, so with a number as the learning rate,
    scale the targets to about 1. Each sample gives its targets as a dict: new targets become new outputs, and a target
    that is missing from a sample is not learned from it. Predictions hold the targets seen in training; before it, they
    are empty.

    Parameters
    ----------
    n_hidden, learning_rate, hidden, seed, n_features

    Notes
    -----
    See the notes of `BackpropRegressor`.

    Examples
    --------
    >>> from cbackprop.river import BackpropMultiTargetRegressor
    >>> model = BackpropMultiTargetRegressor(seed=0)
    >>> for _ in range(200):
    ...     for x in (-1.0, 0.0, 1.0):
    ...         model.learn_one({"x": x}, {"double": 2 * x, "square": x * x})
    >>> y = model.predict_one({"x": -1.0})
    >>> {target: round(number, 1) for target, number in y.items()}
    {'double': -2.0, 'square': 1.0}
    """

    _output, _hidden, _kind = "linear", "tanh", ("target",)

    @property
    def targets(self) -> list[Any]:
        """Names of the targets, in the order of the rows of v."""
        return self._outputs

    def predict_one(self, x: Mapping[Hashable, Any]) -> dict[Any, float]:
        return self._predict_one(x)


@describe
class BackpropMultiLabelClassifier(_MultiOutputs, base.MultiLabelClassifier):
    """Classifier of multi-label targets: one network, whose hidden layer all labels share.

    Outputs are logistic, each the probability of one label. Each sample gives its labels as a dict of True and False:
    new labels become new outputs, and a label that is missing from a sample is not learned from it. A label is
    predicted if its probability is at least 1/2. Predictions hold the labels seen in training; before it, they are
    empty.

    Parameters
    ----------
    n_hidden, learning_rate, hidden, seed, n_features

    Examples
    --------
    >>> from cbackprop.river import BackpropMultiLabelClassifier
    >>> model = BackpropMultiLabelClassifier(seed=0)
    >>> for _ in range(200):
    ...     for x in (-1.0, 0.0, 1.0):
    ...         model.learn_one({"x": x}, {"positive": x > 0, "zero": x == 0})
    >>> model.predict_one({"x": 1.0})
    {'positive': True, 'zero': False}
    """

    _output, _hidden, _kind = "logistic", "sigmoid", ("label", samples.truth, "True or False")

    @property
    def labels(self) -> list[Any]:
        """Names of the labels, in the order of the rows of v."""
        return self._outputs

    def predict_proba_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, dict[bool, float]]:
        return {label: {False: 1 - y, True: y} for label, y in self._predict_one(x).items()}

    def predict_one(self, x: Mapping[Hashable, Any], **kwargs: Any) -> dict[Any, bool]:
        return {label: y >= 0.5 for label, y in self._predict_one(x).items()}
