"""scikit-learn classifier and regressor, replacements for `MLPClassifier` and `MLPRegressor` in existing code.

Requires the extra `sklearn`: ``pip install "cbackprop[sklearn]"``. The guide docs/guides/mlpclassifier.md compares
parameters, defaults and behavior. Two classes have two softmax outputs, as in the equations, where MLPClassifier has
one logistic output. The softmax of two logits is the logistic function of their difference, so both models can
represent the same probabilities. But each row of v moves as far as the weights of the single output, in opposite
directions: in one step, the difference moves twice as far, the hidden weights equally far. ``coefs_[1]`` has two
columns.

Methods raise TypeError for an array of a type that scikit-learn does not accept, a masked array or a sparse y, and
ValueError if a parameter is invalid, shapes do not fit, X is not finite, y is not of the kind that the estimator
predicts, or training diverges. A call that raises leaves a fitted model unchanged; so does Ctrl-C in ``partial_fit``.
In ``fit``, Ctrl-C ends training and keeps the weights.
"""

from cbackprop._extras import require

require("sklearn", "sklearn")
from cbackprop.sklearn._estimators import BackpropClassifier, BackpropRegressor  # noqa: E402

__all__ = ["BackpropClassifier", "BackpropRegressor"]

for _estimator in (BackpropClassifier, BackpropRegressor):
    _estimator.__module__ = __name__  # where they are imported from, and by pickles too
