"""scikit-learn: MLPClassifier or MLPRegressor with plain stochastic gradient descent."""

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..work import Job, Work, predicting, together

warnings.simplefilter("ignore", ConvergenceWarning)


Model = MLPClassifier | MLPRegressor


def model_of(work: Work) -> Model:
    M, K = len(work.w), len(work.v)
    regression = work.functions.output == "linear"
    model = (MLPRegressor if regression else MLPClassifier)(
        hidden_layer_sizes=(M,),
        activation={"sigmoid": "logistic"}.get(work.functions.hidden, work.functions.hidden),
        solver="sgd",
        alpha=0,
        batch_size=min(work.batch_size, len(work.x)),
        learning_rate_init=work.learning_rate,
        momentum=0,
        nesterovs_momentum=False,
        shuffle=False,
        max_iter=work.epochs,
        n_iter_no_change=10**9,  # never stop early
    )
    # the first call creates the weights, which are then replaced
    options = {} if regression else {"classes": np.arange(K)}
    model.set_params(batch_size=1).partial_fit(work.x[:1], work.t[:1], **options)
    model.set_params(batch_size=min(work.batch_size, len(work.x)))
    restore(model, work)
    return model


def restore(model: Model, work: Work) -> None:
    for weights, coefficients, intercepts in zip((work.w, work.v), model.coefs_, model.intercepts_, strict=True):
        coefficients[:], intercepts[:] = weights[:, :-1].T, weights[:, -1]


def weights_of(model: Model) -> tuple:
    return tuple(np.column_stack([c.T, i]) for c, i in zip(model.coefs_, model.intercepts_, strict=True))


def fit(work: Work) -> Job:
    model = model_of(work)
    model.set_params(warm_start=True)  # fit() continues with the current weights
    learn = model.partial_fit if work.epochs == 1 else model.fit
    return Job(lambda: learn(work.x, work.t), lambda: weights_of(model), lambda: restore(model, work))


def learn_one(work: Work) -> Job:
    model = model_of(work.first(1))
    samples = [(work.x[n : n + 1], work.t[n : n + 1]) for n in range(len(work.x))]

    def run():
        for x_n, t_n in samples:
            model.partial_fit(x_n, t_n)

    return Job(run, lambda: weights_of(model), lambda: restore(model, work))


partial_fit_one = learn_one


def outputs_of(model: Model) -> Callable:
    return model.predict if isinstance(model, MLPRegressor) else model.predict_proba


def predict_proba_one(work: Work) -> Job:
    predict = outputs_of(model_of(work))
    rows = [work.x[n : n + 1] for n in range(len(work.x))]
    return predicting(lambda: [predict(x_n)[0] for x_n in rows], together)


def predict_proba(work: Work) -> Job:
    predict = outputs_of(model_of(work))
    return predicting(lambda: [predict(work.x)])
