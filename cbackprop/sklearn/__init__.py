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

Methods raise TypeError for an array of a type that scikit-learn does not accept, a masked array or a sparse y, and
ValueError if a parameter is invalid, shapes do not fit, X is not finite, y is not of the kind that the estimator
predicts, or training diverges. A call that raises leaves a fitted model unchanged; so does Ctrl-C in ``partial_fit``.
In ``fit``, Ctrl-C ends training and keeps the weights.
"""

from cbackprop._extras import require

require("sklearn", "sklearn")
from cbackprop.sklearn._classifier import BackpropClassifier  # noqa: E402
from cbackprop.sklearn._regressor import BackpropRegressor  # noqa: E402

__all__ = ["BackpropClassifier", "BackpropRegressor"]

for _estimator in (BackpropClassifier, BackpropRegressor):
    _estimator.__module__ = __name__  # where they are imported from, and by pickles too
