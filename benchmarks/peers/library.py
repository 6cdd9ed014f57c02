"""cbackprop: its public functions, called as users do. The regression check runs them on older commits, too."""

import cbackprop

from ..work import DEFAULTS, Job, Work, each_target


def functions_of(work: Work) -> dict:
    """Keyword arguments; none for the default functions, since older commits have no others."""
    return {} if work.functions == DEFAULTS else work.functions._asdict()


def fit(work: Work, library=cbackprop, **options) -> Job:
    w, v = work.w.copy(), work.v.copy()
    options |= functions_of(work)

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
    w, v = work.w.copy(), work.v.copy()
    return cbackprop.Network.from_weights(w, v, learning_rate=work.learning_rate, **functions_of(work))


def fit_unscaled(work: Work) -> Job:
    """Inputs from 0 to 16, which saturate hidden units."""
    return fit(work._replace(x=16 * work.x))


def learn_one(work: Work) -> Job:
    network = network_of(work)
    samples = list(zip(work.x, each_target(work), strict=True))

    def run():
        for x_n, t_n in samples:
            network.learn_one(x_n, t_n)

    return Job(run, lambda: (network.w, network.v), lambda: work.restore(network.w, network.v))


def partial_fit_one(work: Work) -> Job:
    """The scikit-learn estimator, called like its peer."""
    network = network_of(work)
    if work.functions.output == "linear":
        from cbackprop.sklearn import BackpropRegressor

        model = BackpropRegressor.from_network(network, learning_rate_init=work.learning_rate)
    else:
        from cbackprop.sklearn import BackpropClassifier

        model = BackpropClassifier.from_network(network, range(len(work.v)), learning_rate_init=work.learning_rate)
    rows = [(work.x[n : n + 1], work.t[n : n + 1]) for n in range(len(work.x))]

    def run():
        for x_n, t_n in rows:
            model.partial_fit(x_n, t_n)

    return Job(run, lambda: (network.w, network.v), lambda: work.restore(network.w, network.v))


def predict_proba_one(work: Work) -> Job:
    network = network_of(work)
    predict_one = network.predict_one if work.functions.output == "linear" else network.predict_proba_one
    rows = list(work.x)
    y = []

    def run():
        y[:] = [predict_one(x_n) for x_n in rows]

    return Job(run, lambda: (y,))


def predict_proba(work: Work) -> Job:
    network = network_of(work)
    predict = network.predict if work.functions.output == "linear" else network.predict_proba
    y = []

    def run():
        y[:] = [predict(work.x)]

    return Job(run, lambda: y)
