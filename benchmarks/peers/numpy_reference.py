"""cbackprop.reference: the equations in NumPy, written for readability."""

from cbackprop import reference

from ..work import Job, Work


def fit(work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    options = {"learning_rate": work.learning_rate, "epochs": work.epochs, "batch_size": work.batch_size}
    options |= work.functions._asdict()
    return Job(
        lambda: reference.fit(work.x, work.t, w, v, shuffle=False, **options),
        lambda: (w, v),
        lambda: work.restore(w, v),
    )


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
