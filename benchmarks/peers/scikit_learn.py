"""scikit-learn: MLPClassifier or MLPRegressor with plain stochastic gradient descent; of sparse rows, a CSR matrix.

For two classes it has one logistic output, which learns half as fast, so that its weights are not compared.
"""

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..work import Job, Work, each, one_row_each, predicting, predicting_each, with_bias

warnings.simplefilter("ignore", ConvergenceWarning)


Model = MLPClassifier | MLPRegressor


def model_of(work: Work) -> Model:
    M, K = len(work.w), len(work.v)
    regression = work.functions.output == "linear"
    batch_size = min(work.batch_size, work.x.shape[0])
    model = (MLPRegressor if regression else MLPClassifier)(
        hidden_layer_sizes=(M,),
        activation={"sigmoid": "logistic"}.get(work.functions.hidden, work.functions.hidden),
        solver="sgd",
        alpha=0,
        batch_size=1,
        learning_rate_init=work.learning_rate,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=False,
        max_iter=work.epochs,
        n_iter_no_change=10**9,  # never stop early
    )
    # the first call creates the weights, which are then replaced
    options = {} if regression else {"classes": np.arange(K)}
    model.partial_fit(work.x[:1], work.t[:1], **options).set_params(batch_size=batch_size)
    restore(model, work)
    return model


def restore(model: Model, work: Work) -> None:
    v = work.v if model.n_outputs_ == len(work.v) else np.diff(work.v, axis=0)
    for weights, coefficients, intercepts in zip((work.w, v), model.coefs_, model.intercepts_, strict=True):
        coefficients[:], intercepts[:] = weights[:, :-1].T, weights[:, -1]


def learning_job(model: Model, work: Work, run: Callable[[], object]) -> Job:
    def result() -> tuple:
        if model.n_outputs_ < len(work.v):
            return ()
        return tuple(with_bias(c.T, i) for c, i in zip(model.coefs_, model.intercepts_, strict=True))

    return Job(run, result, lambda: restore(model, work))


def fit(work: Work) -> Job:
    model = model_of(work)
    # with warm_start, fit() continues with the current weights, but samples of every class are needed
    learn = model.partial_fit if work.epochs == 1 else model.set_params(warm_start=True).fit
    return learning_job(model, work, lambda: learn(work.x, work.t))


def learn_one(work: Work) -> Job:
    model = model_of(work.first(1))
    return learning_job(model, work, each(model.partial_fit, one_row_each(work)))


fit_sparse, partial_fit_one = fit, learn_one


def outputs_of(model: Model) -> Callable:
    return model.predict if isinstance(model, MLPRegressor) else model.predict_proba


def predict_proba_one(work: Work) -> Job:
    predict = outputs_of(model_of(work))
    return predicting_each(lambda x_n: predict(x_n)[0], [x_n for x_n, _ in one_row_each(work)])


def predict_proba(work: Work) -> Job:
    predict = outputs_of(model_of(work))
    return predicting(lambda: predict(work.x))
