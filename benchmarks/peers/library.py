"""cbackprop: its public functions, called as users do. The regression check runs them on older commits, too."""

from collections.abc import Callable

import cbackprop

from ..work import DEFAULTS, Clicks, Job, Work, each_target, predicting, together


def sizes_of(work: Work) -> tuple[int, int, int]:
    return work.x.shape[1], work.w.shape[-2], work.v.shape[-2]


def options_of(work: Work) -> dict:
    """Keyword arguments; none for the default functions, since older commits have no others."""
    return {"dtype": work.x.dtype, "rng": 0} | ({} if work.functions == DEFAULTS else work.functions._asdict())


def network_of(work: Work, adaptive: bool = False) -> cbackprop.Network:
    """A network whose weights lie in memory as the library has them."""
    options = options_of(work) | ({"adaptive": True} if adaptive else {})
    network = cbackprop.Network(*sizes_of(work), learning_rate=work.learning_rate, **options)
    work.restore(network.w, network.v)
    return network


def learning_job(work: Work | Clicks, network, run: Callable[[], object]) -> Job:
    def restore():
        work.restore(network.w, network.v)
        for sums in getattr(network, "accumulators", None) or ():
            sums[:] = 0

    return Job(run, lambda: (network.w, network.v), restore)


def fit(work: Work, adaptive: bool = False, **options) -> Job:
    network = network_of(work, adaptive)
    options |= {"epochs": work.epochs, "batch_size": work.batch_size, "shuffle": False}
    return learning_job(work, network, lambda: network.fit(work.x, work.t, **options))


def fit_ensemble(work: Work) -> Job:
    rates = [work.learning_rate] * len(work.w)
    ensemble = cbackprop.Ensemble(*sizes_of(work), learning_rates=rates, **options_of(work))
    work.restore(ensemble.w, ensemble.v)
    return learning_job(work, ensemble, lambda: ensemble.fit(work.x, work.t, shuffle=False))


def learn_one(work: Work, adaptive: bool = False) -> Job:
    network = network_of(work, adaptive)
    samples = list(zip(work.x, each_target(work), strict=True))

    def run():
        for x_n, t_n in samples:
            network.learn_one(x_n, t_n)

    return learning_job(work, network, run)


def sparse_network(data: Clicks) -> cbackprop.Network:
    M, D = data.w.shape[0], data.w.shape[1] - 1
    return cbackprop.Network(D, M, len(data.v), dtype="float32", learning_rate=data.learning_rate, rng=0)


def fit_sparse(data: Clicks, batch_size: int = 1) -> Job:
    network, x = sparse_network(data), data.x
    return learning_job(data, network, lambda: network.fit(x, data.t, batch_size=batch_size, shuffle=False))


def learn_one_sparse(data: Clicks) -> Job:
    network, values = sparse_network(data), data.x.data[: data.indices.shape[1]]
    samples = list(zip(data.indices, data.t.tolist(), strict=True))

    def run():
        for indices, t in samples:
            network.learn_one_sparse(indices, values, t)

    return learning_job(data, network, run)


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

    return learning_job(work, network, run)


def predict_proba_one(work: Work) -> Job:
    network = network_of(work)
    predict_one = network.predict_one if work.functions.output == "linear" else network.predict_proba_one
    rows = list(work.x)
    return predicting(lambda: [predict_one(x_n) for x_n in rows], together)


def predict_proba(work: Work) -> Job:
    network = network_of(work)
    predict = network.predict if work.functions.output == "linear" else network.predict_proba
    return predicting(lambda: [predict(work.x)])


def predict(work: Work) -> Job:
    network = network_of(work)
    return predicting(lambda: [network.predict(work.x)])
