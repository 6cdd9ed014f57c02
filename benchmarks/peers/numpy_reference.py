"""cbackprop.reference: the equations in NumPy, written for readability."""

from cbackprop import reference

from ..work import Job, Work
from . import library


def fit(work: Work) -> Job:
    return library.fit(work, reference)


def learn_one(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()

    def run():
        for x_n, t_n in zip(work.x, work.t, strict=True):
            reference.step(x_n, t_n, w, v, work.learning_rate, **work.functions._asdict())

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def predict_proba_one(work: Work) -> Job:
    y = []

    def run():
        y[:] = [reference.forward(x_n[None], work.w, work.v, **work.functions._asdict()).y[0] for x_n in work.x]

    return Job(run, lambda: (y,))


def predict_proba(work: Work) -> Job:
    y = []

    def run():
        y[:] = [reference.forward(work.x, work.w, work.v, **work.functions._asdict()).y]

    return Job(run, lambda: y)
