"""The regressor."""

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from cbackprop import _validation as validate
from cbackprop.sklearn._parameters import describe
from cbackprop.sklearn._training import TrainableBackprop
from cbackprop.sklearn._validation import numbers_of_outputs


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
    loss_curve_
    validation_scores_, validation_loss_curve_ : list of float
        R² and mean E of the validation set, if any, after each epoch of `fit`; weighted by `sample_weight`, if it was
        set aside from X.
    n_iter_, t_, n_outputs_
    out_activation_ : {"identity"}
        The function of the outputs.
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

    _numeric_y = True
    _metric = staticmethod(r2_score)
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
