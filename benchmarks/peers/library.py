"""cbackprop: its public functions, called as users do. The regression check runs them on older commits, too."""

import cbackprop

from ..work import Job, Work


def fit(work: Work, library=cbackprop, **options) -> Job:
    w, v = work.w.copy(), work.v.copy()

    def run():
        library.fit(
            work.x,
            work.t,
            w,
            v,
            learning_rate=work.learning_rate,
            epochs=work.epochs,
            batch_size=work.batch_size,
            shuffle=False,
            **options,
        )

    return Job(run, lambda: (w, v), lambda: work.restore(w, v))


def network_of(work: Work) -> cbackprop.Network:
    return cbackprop.Network.from_weights(work.w.copy(), work.v.copy(), learning_rate=work.learning_rate)


def learn_one(work: Work) -> Job:
    network = network_of(work)
    samples = list(zip(work.x, work.t.tolist(), strict=True))

    def run():
        for x_n, t_n in samples:
            network.learn_one(x_n, t_n)

    return Job(run, lambda: (network.w, network.v), lambda: work.restore(network.w, network.v))


def partial_fit_one(work: Work) -> Job:
    """The scikit-learn classifier, called like its peer."""
    from cbackprop.sklearn import BackpropClassifier

    network = network_of(work)
    model = BackpropClassifier.from_network(network, range(len(work.v)), learning_rate_init=work.learning_rate)
    rows = [(work.x[n : n + 1], work.t[n : n + 1]) for n in range(len(work.x))]

    def run():
        for x_n, t_n in rows:
            model.partial_fit(x_n, t_n)

    return Job(run, lambda: (network.w, network.v), lambda: work.restore(network.w, network.v))


def predict_proba_one(work: Work) -> Job:
    network = network_of(work)
    rows = list(work.x)
    y = []

    def run():
        y[:] = [network.predict_proba_one(x_n) for x_n in rows]

    return Job(run, lambda: (y,))


def predict_proba(work: Work) -> Job:
    network = network_of(work)
    y = []

    def run():
        y[:] = [network.predict_proba(work.x)]

    return Job(run, lambda: y)
