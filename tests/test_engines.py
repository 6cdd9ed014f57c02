"""Whatever is asked of an engine, it stays within its own memory: what it has no room for is an error."""

import copy
import pickle

import numpy as np
import pytest

D, M, K, N = 50, 40, 10, 33
ENGINES = {  # arguments behind D, M and K
    "DirectEngine": (1,),
    "SideBySideEngine": (16,),
    "BlockedEngine": (1, 16),
}


@pytest.fixture(params=ENGINES)
def kind(request, kernels):
    """Each class of engines, and what it is made with behind D, M and K."""
    return getattr(kernels, request.param), ENGINES[request.param]


def weights(kernels):
    return np.ones((M, D + 1), kernels.DTYPE), np.ones((K, M + 1), kernels.DTYPE)


def loaded(kernels, name, *arguments, **keywords):
    engine = getattr(kernels, name)(D, M, K, *arguments, **keywords)
    engine.load(*weights(kernels))
    return engine


def samples(dtype):
    return np.ones((N, D), dtype), None, np.zeros(N, np.intp), None, np.arange(N), 0.1


def activations(dtype, rows=N):
    return [np.zeros((rows, size), dtype) for size in (M, M, K, K)]


def uses(engine, dtype):
    """What must have weights."""
    x, _rows, labels, _weight, *_ = samples(dtype)
    w, v = np.ones((M, D + 1), dtype), np.ones((K, M + 1), dtype)
    yield lambda: engine.learn(*samples(dtype))
    yield lambda: engine.store(w, v)
    if hasattr(engine, "learn_epochs"):
        yield lambda: engine.learn_epochs(*samples(dtype), np.zeros(2))
    else:
        yield engine.finite
        yield lambda: engine.forward(x, *activations(dtype))
    if hasattr(engine, "gradient"):
        yield lambda: engine.gradient(x, None, labels, w, v)
        yield lambda: engine.cross_entropy_sum(x, None, labels)


def test_weights_are_loaded_first(kernels, kind):
    engine, arguments = kind
    for use in uses(engine(D, M, K, *arguments), kernels.DTYPE):
        with pytest.raises(RuntimeError, match="must be loaded first"):
            use()


def test_an_engine_that_was_never_initialized(kernels, kind):
    engine, _ = kind
    bare = engine.__new__(engine)
    for use in uses(bare, kernels.DTYPE):
        with pytest.raises(RuntimeError, match="must be loaded first"):
            use()
    for w, v in (weights(kernels), (np.ones((0, 1), kernels.DTYPE), np.ones((0, 1), kernels.DTYPE))):
        with pytest.raises(RuntimeError, match="never initialized"):
            bare.load(w, v)
        if hasattr(bare, "load_velocity"):
            for use in (bare.load_velocity, bare.store_velocity):
                with pytest.raises(RuntimeError, match="no velocity"):
                    use(w, v)


def test_an_engine_is_initialized_once(kernels, kind):
    engine, arguments = kind
    ours = loaded(kernels, engine.__name__, *arguments)
    with pytest.raises(RuntimeError, match="initialized once"):
        ours.__init__(10 * D, M, K, *arguments)
    assert ours.learn(*samples(kernels.DTYPE)) > 0


@pytest.mark.parametrize("wrong", [0, -1, -(2**62)])
def test_sizes_below_1(kernels, kind, wrong):
    engine, arguments = kind
    good = (D, M, K, *arguments)
    for place in range(len(good)):
        with pytest.raises(ValueError, match="must be at least 1"):
            engine(*good[:place], wrong, *good[place + 1 :])


@pytest.mark.parametrize("huge", [2**40, 2**62, 2**63 - 1])
def test_sizes_whose_bytes_cannot_be_counted(kernels, kind, huge):
    engine, arguments = kind
    for sizes in ((huge, huge, K), (huge, M, huge), (D, huge, huge)):
        with pytest.raises(MemoryError):
            engine(*sizes, *arguments)


def test_no_copy_of_an_engine(kernels, kind):
    engine, arguments = kind
    ours = loaded(kernels, engine.__name__, *arguments)
    for use in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            use(ours)


WITHOUT_MOMENTUM = [
    ("DirectEngine", (1,), {}),
    ("DirectEngine", (16,), {"l2": 0.1}),
    ("BlockedEngine", (1, 16), {}),
    ("BlockedEngine", (16, 16), {}),
    ("BlockedEngine", (128, 16), {}),
    ("BlockedEngine", (16, 16), {"l2": 0.1}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), WITHOUT_MOMENTUM)
def test_velocity_needs_momentum(kernels, name, arguments, keywords):
    engine = loaded(kernels, name, *arguments, **keywords)
    before, velocity = weights(kernels), weights(kernels)
    engine.store(*before)
    for use in (engine.load_velocity, engine.store_velocity):
        with pytest.raises(RuntimeError, match="no velocity"):
            use(*velocity)
    for ours, as_loaded in zip((*before, *velocity), 2 * weights(kernels), strict=True):
        np.testing.assert_array_equal(ours, as_loaded)


@pytest.mark.parametrize("name", ["DirectEngine", "BlockedEngine"])
def test_momentum_that_rounds_to_0(name):
    from cbackprop.kernels import baseline_float32

    engine = loaded(baseline_float32, name, 16, *([16] if name == "BlockedEngine" else []), momentum=1e-50)
    with pytest.raises(RuntimeError, match="no velocity"):
        engine.load_velocity(*weights(baseline_float32))


@pytest.mark.parametrize(("name", "arguments"), [("DirectEngine", (1,)), ("BlockedEngine", (1, 16))])
def test_velocity_with_momentum(kernels, name, arguments):
    engine = loaded(kernels, name, *arguments, momentum=0.5)
    velocity, again = (2 * layer for layer in weights(kernels)), weights(kernels)
    engine.load_velocity(*velocity)
    engine.store_velocity(*again)
    assert all((layer == 2).all() for layer in again)


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_a_gradient_needs_room(kernels, batch_size):
    engine = loaded(kernels, "BlockedEngine", batch_size, 16)
    x, _rows, labels, *_ = samples(kernels.DTYPE)
    with pytest.raises(RuntimeError, match="gathers no gradient"):
        engine.gradient(x, None, labels, *weights(kernels))


def test_a_gradient_waits_for_no_other_thread(kernels):
    engine = loaded(kernels, "BlockedEngine", 128, 16)
    engine.set_threads(2)
    x, _rows, labels, *_ = samples(kernels.DTYPE)
    with pytest.raises(RuntimeError, match="taken by one"):
        engine.gradient(x, None, labels, *weights(kernels))


def test_one_sample_has_no_room_for_many(kernels):
    engine = loaded(kernels, "BlockedEngine", 1, 16)
    x, _rows, labels, *_ = samples(kernels.DTYPE)
    for use in (
        lambda: engine.forward(x, *activations(kernels.DTYPE)),
        lambda: engine.cross_entropy_sum(x, None, labels),
    ):
        with pytest.raises(RuntimeError, match="batch_size must be above 1"):
            use()


@pytest.mark.parametrize(("name", "arguments"), [("DirectEngine", (1,)), ("BlockedEngine", (16, 16))])
def test_activations_have_room_for_all_samples(kernels, name, arguments):
    engine = loaded(kernels, name, *arguments)
    x = samples(kernels.DTYPE)[0]
    good = activations(kernels.DTYPE)
    for place in range(4):
        for wrong in (good[place][1:], good[place][:, 1:].copy(), None):
            with pytest.raises(ValueError, match="no room for 33 samples"):
                engine.forward(x, *good[:place], wrong, *good[place + 1 :])
    assert engine.forward(x, None, None, *good[2:])


@pytest.mark.parametrize("threads", [0, -1, -(2**62), 2**21, 2**32, 2**63 - 1])
def test_threads_out_of_range(kernels, threads):
    engine = loaded(kernels, "BlockedEngine", 16, 16)
    with pytest.raises(ValueError, match="threads is"):
        engine.set_threads(threads)
    assert engine.learn(*samples(kernels.DTYPE)) > 0


@pytest.mark.parametrize("batch_size", [1, 16])
@pytest.mark.parametrize("thread", [-1, 1, 7, 2**62, -(2**62)])
def test_a_thread_that_is_none_of_them(kernels, batch_size, thread):
    engine = loaded(kernels, "BlockedEngine", batch_size, 16)
    with pytest.raises(ValueError, match="thread is"):
        engine.learn(*samples(kernels.DTYPE), thread)
