"""JAX: a whole epoch in one compiled scan; for one-sample calls, a compiled step with donated weights.

Sample by sample, the bias of a small network's hidden units is a column of its weights, and products are written as
sums, which XLA fuses with what follows; matrix products are calls, which pay off for larger ones. Slower: `jax.grad`
instead of the gradient written out, by up to a fifth, and for one sample up to four times; a call for each sample.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..work import Functions, Job, Work, predicting, targets, with_bias, with_one, without_bias

jax.config.update("jax_enable_x64", True)  # otherwise float64 silently becomes float32
jax.config.update("jax_cpu_enable_async_dispatch", False)  # a second thread only costs on one processor

MAX_WEIGHTS_SUMS = 1000  # hidden weights up to which sums are faster than products


class Settings(NamedTuple):
    """What is compiled in."""

    functions: Functions
    learning_rate: float


# the hidden function and its derivative; y
HIDDEN = {"sigmoid": (jax.nn.sigmoid, lambda z: z * (1 - z)), "relu": (jax.nn.relu, lambda z: z > 0)}
OUTPUT = {"softmax": jax.nn.softmax, "linear": lambda a: a}


def learn_batch(weights, batch, settings):
    (w, w_bias, v, v_bias), (x, t) = weights, batch
    h, derivative = HIDDEN[settings.functions.hidden]
    z = h(x @ w.T + w_bias)
    y = OUTPUT[settings.functions.output](z @ v.T + v_bias)
    change_a = settings.learning_rate / len(x) * (y - t)
    change_b = (change_a @ v) * derivative(z)
    return w - change_b.T @ x, w_bias - change_b.sum(0), v - change_a.T @ z, v_bias - change_a.sum(0)


def learn_sample(weights, sample, settings):
    (w, w_bias, v, v_bias), (x, t) = weights, sample
    h, derivative = HIDDEN[settings.functions.hidden]
    z = h(w @ x + w_bias)
    y = OUTPUT[settings.functions.output](v @ z + v_bias)
    change_a = settings.learning_rate * (y - t)
    change_b = (change_a @ v) * derivative(z)
    return w - change_b[:, None] * x, w_bias - change_b, v - change_a[:, None] * z, v_bias - change_a


def learn_sample_by_sums(weights, sample, settings):
    """The same for a small network: w (M, D+1), x (D+1,)."""
    (w, v, v_bias), (x, t) = weights, sample
    h, derivative = HIDDEN[settings.functions.hidden]
    z = h((w * x).sum(1))
    y = OUTPUT[settings.functions.output]((v * z).sum(1) + v_bias)
    change_a = settings.learning_rate * (y - t)
    change_b = (change_a[:, None] * v).sum(0) * derivative(z)
    return w - change_b[:, None] * x, v - change_a[:, None] * z, v_bias - change_a


def learn_online(weights, sample, settings):
    return (learn_sample_by_sums if len(weights) == 3 else learn_sample)(weights, sample, settings)


@partial(jax.jit, static_argnums=(3, 4))
def epochs(weights, x, t, settings, epochs):
    learn = learn_online if x.ndim == 2 else learn_batch

    def step(weights, part):
        return learn(weights, part, settings), None

    def epoch(_, weights):
        return lax.scan(step, weights, (x, t))[0]

    return lax.fori_loop(0, epochs, epoch, weights)


@partial(jax.jit, static_argnums=3, donate_argnums=0)
def one_step(weights, x, t, settings):
    return learn_online(weights, (x, t), settings)


@partial(jax.jit, static_argnums=2)
def outputs(weights, x, functions):
    w, w_bias, v, v_bias = weights
    return OUTPUT[functions.output](HIDDEN[functions.hidden][0](x @ w.T + w_bias) @ v.T + v_bias)


def settings_of(work: Work) -> Settings:
    return Settings(work.functions, work.learning_rate)


def start(work: Work) -> tuple:
    return tuple(map(jnp.array, (*without_bias(work.w), *without_bias(work.v))))


def start_online(work: Work) -> tuple[tuple, jax.Array]:
    """Weights, and inputs to match."""
    if work.w.size > MAX_WEIGHTS_SUMS:
        return start(work), jnp.array(work.x)
    return (jnp.array(work.w), *start(work)[2:]), jnp.array(with_one(work.x))


class Weights:
    """Holds the current arrays, since JAX arrays are immutable."""

    def __init__(self, start: tuple):
        self.start = start
        self.restore()

    def restore(self):
        self.now = jax.block_until_ready(jax.tree.map(jnp.copy, self.start))  # since a step overwrites them

    def job(self, learn: Callable[[tuple], tuple]) -> Job:
        """A job of what returns the weights learned."""

        def run():
            self.now = jax.block_until_ready(learn(self.now))

        def result():
            *w, v, v_bias = self.now
            return np.asarray(w[0]) if len(w) == 1 else with_bias(*w), with_bias(v, v_bias)

        return Job(run, result, self.restore)


def fit(work: Work) -> Job:
    settings, t = settings_of(work), jnp.array(targets(work))
    if work.batch_size == 1:
        weights, x = start_online(work)
    else:  # a sample is a vector, a batch a matrix
        weights = start(work)
        x, t = (array.reshape(-1, work.batch_size, array.shape[1]) for array in (jnp.array(work.x), t))
    return Weights(weights).job(lambda weights: epochs(weights, x, t, settings, work.epochs))


def fit_ensemble(work: Work) -> Job:
    settings, t = settings_of(work), jnp.array(targets(work))
    weights, x = start_online(work)
    return Weights(weights).job(jax.jit(jax.vmap(lambda weights: epochs(weights, x, t, settings, 1))))


def learn_one(work: Work) -> Job:
    (weights, x), settings = start_online(work), settings_of(work)
    samples = list(zip(x, jnp.array(targets(work)), strict=True))

    def learn(weights):
        for x_n, t_n in samples:
            weights = one_step(weights, x_n, t_n, settings)
        return weights

    return Weights(weights).job(learn)


def predict_proba_one(work: Work) -> Job:
    weights, rows = start(work), list(jnp.array(work.x))
    return predicting(lambda: jax.block_until_ready([outputs(weights, x_n, work.functions) for x_n in rows]))


def predict_proba(work: Work) -> Job:
    weights, x = start(work), jnp.array(work.x)
    return predicting(lambda: jax.block_until_ready(outputs(weights, x, work.functions)))
