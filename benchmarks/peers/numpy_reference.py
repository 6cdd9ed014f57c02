"""cbackprop.reference: the equations in NumPy, written for readability."""

import numpy as np

from cbackprop import reference

from ..work import Job, Work, each, learning, predicting, predicting_each


def fit(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    options = {"learning_rate": work.learning_rate, "epochs": work.epochs, "batch_size": work.batch_size}
    options |= work.functions._asdict()
    return learning(lambda: reference.fit(work.x, work.t, w, v, shuffle=False, **options), work, w, v)


def learn_one(work: Work) -> Job:
    w, v, functions = work.w.copy(), work.v.copy(), work.functions._asdict()

    def learn(x_n, t_n):
        reference.step(x_n, t_n, w, v, work.learning_rate, **functions)

    return learning(each(learn, list(zip(work.x, work.t, strict=True))), work, w, v)


def outputs(work: Work, x: np.ndarray) -> np.ndarray:
    return reference.forward(x, work.w, work.v, **work.functions._asdict()).y


def predict_proba_one(work: Work) -> Job:
    return predicting_each(lambda x_n: outputs(work, x_n[None])[0], list(work.x))


def predict_proba(work: Work) -> Job:
    return predicting(lambda: outputs(work, work.x))
