"""cbackprop: its public functions, called as users do. The regression check runs them on older commits, too."""

import ctypes
from collections.abc import Callable

import numpy as np

import cbackprop

from ..work import DEFAULTS, Job, Work, each, each_target, one_row_each, only, predicting, predicting_each


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


def learning_job(work: Work, network, run: Callable[[], object]) -> Job:
    def restore():
        work.restore(network.w, network.v)
        for sums in getattr(network, "accumulators", None) or ():
            sums[:] = 0

    return Job(run, lambda: (network.w, network.v), restore)


def fit(work: Work, adaptive: bool = False, **options) -> Job:
    network = network_of(work, adaptive)
    options |= {"epochs": work.epochs, "batch_size": work.batch_size, "shuffle": False}
    return learning_job(work, network, lambda: network.fit(work.x, work.t, **options))


fit_sparse = fit


def fit_ensemble(work: Work) -> Job:
    rates = [work.learning_rate] * len(work.w)
    ensemble = cbackprop.Ensemble(*sizes_of(work), learning_rates=rates, **options_of(work))
    work.restore(ensemble.w, ensemble.v)
    return learning_job(work, ensemble, lambda: ensemble.fit(work.x, work.t, shuffle=False))


def learn_one(work: Work, adaptive: bool = False) -> Job:
    network = network_of(work, adaptive)
    samples = list(zip(work.x, each_target(work), strict=True))
    return learning_job(work, network, each(network.learn_one, samples))


def learn_from_c(work: Work) -> Job:
    """The functions of cbackprop.c_api, called by a loop in C."""
    from cbackprop import c_api

    from .c_loops import compiled

    only(work.t.ndim == 1)
    capsule, pythonapi = c_api.__pyx_capi__["learn"], ctypes.pythonapi
    pythonapi.PyCapsule_GetName.restype, pythonapi.PyCapsule_GetPointer.restype = ctypes.c_char_p, ctypes.c_void_p
    name = ctypes.c_char_p(pythonapi.PyCapsule_GetName(ctypes.py_object(capsule)))
    function = ctypes.c_void_p(pythonapi.PyCapsule_GetPointer(ctypes.py_object(capsule), name))
    loop, network, x, labels = compiled(__file__), network_of(work), work.x, work.t.astype(np.intp)

    def run():
        with c_api.Handle(network) as handle:
            sizes = ctypes.c_long(len(x)), ctypes.c_long(x.strides[0])
            loop.learn(function, ctypes.c_void_p(handle.address), *sizes, x.ctypes, labels.ctypes)

    return learning_job(work, network, run)


def learn_one_sparse(work: Work) -> Job:
    network = network_of(work)
    learn, rows = network.learn_one_sparse, np.split(work.x.indices, work.x.indptr[1:-1])
    samples = list(zip(rows, work.t.tolist(), strict=True))
    ones = work.x.data[: len(rows[0])]

    def run():
        for indices, t_n in samples:
            learn(indices, ones, t_n)

    return learning_job(work, network, run)


def partial_fit_one(work: Work) -> Job:
    """The scikit-learn estimator, called like its peer."""
    network = network_of(work)
    if work.functions.output == "linear":
        from cbackprop.sklearn import BackpropRegressor

        model = BackpropRegressor.from_network(network, learning_rate_init=work.learning_rate)
    else:
        from cbackprop.sklearn import BackpropClassifier

        model = BackpropClassifier.from_network(network, range(len(work.v)), learning_rate_init=work.learning_rate)
    return learning_job(work, network, each(model.partial_fit, one_row_each(work)))


def predict_proba_one(work: Work) -> Job:
    network = network_of(work)
    return predicting_each(
        network.predict_one if work.functions.output == "linear" else network.predict_proba_one, list(work.x)
    )


def predict_proba(work: Work) -> Job:
    network = network_of(work)
    predict = network.predict if work.functions.output == "linear" else network.predict_proba
    return predicting(lambda: predict(work.x))


def predict(work: Work) -> Job:
    network = network_of(work)
    return predicting(lambda: network.predict(work.x))
