"""The equations in operations of an array library, each into an existing array: NumPy's and PyTorch's peers at their
fastest. The bias is a column of w and v; x and z end in a 1, so that it needs no operation of its own.

Slower: one sample as a batch of one, which doubles the overhead; biases apart; new arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..work import Job, Work, batches, each, learning, targets, with_one


class Library(NamedTuple):
    """Operations. Those that end in `out` write their result there; samples are rows, of a vector or of a batch."""

    array: Callable[[np.ndarray], Any]  # an array of the library with the same memory
    vector: Callable[..., None]  # a matrix by a vector, out
    matrix: Callable[..., None]  # a matrix by a matrix, out
    multiply: Callable[..., None]  # a, b, out
    copy: Callable[[Any, Any], object]  # to, from
    hidden: dict[str, tuple[Callable, Callable]]  # h of b in place; h' of z, out
    error: Callable[..., Callable]  # of the outputs, a rate, dimensions: what makes an error of a and t, in place of a
    update: Callable[..., Callable]  # of weights, errors, a rate: what changes the weights by inputs


def update_of(library: Library, work: Work, w: Any, v: Any, *batch: int) -> Callable[[Any, Any], None]:
    """The update by a batch, x (B, D+1) and t (B, K), or by one sample, x (D+1,) and t (K,)."""
    M, K, rate = len(w), len(v), work.learning_rate / (batch[0] if batch else 1)

    def new(size: int) -> Any:
        return library.array(np.ones((*batch, size), work.w.dtype))

    z_and_one, b, e, slope, y = new(M + 1), new(M), new(M), new(M), new(K)
    z, v_of_z = z_and_one[..., :M], v[:, :M]
    hidden, derivative = library.hidden[work.functions.hidden]
    error = library.error(work.functions.output, rate, 1 + len(batch))
    multiply, copy = library.multiply, library.copy
    update_w, update_v = library.update(w, e, rate), library.update(v, y, rate)

    def learn_batch(x, t):
        product(x, w_T, out=b)
        hidden(b)
        copy(z, b)
        product(z_and_one, v_T, out=y)
        error(y, t)
        product(y, v_of_z, out=e)
        derivative(b, out=slope)
        multiply(e, slope, out=e)
        update_v(z_and_one)
        update_w(x)

    def learn_one(x, t):
        product(w, x, out=z)
        hidden(z)
        product(v, z_and_one, out=y)
        error(y, t)
        product(v_of_z_T, y, out=e)
        derivative(z, out=slope)
        multiply(e, slope, out=e)
        update_v(z_and_one)
        update_w(x)

    if batch:
        product, w_T, v_T = library.matrix, w.T, v.T
        return learn_batch
    product, v_of_z_T = library.vector, v_of_z.T
    return learn_one


def fit(library: Library, work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    x, t = with_one(work.x), targets(work)
    B = () if work.batch_size == 1 else (work.batch_size,)
    learn = update_of(library, work, library.array(w), library.array(v), *B)
    parts = batches(work) if B else range(len(x))
    samples = [(library.array(x[part]), library.array(t[part])) for part in parts]
    return learning(each(learn, samples, work.epochs), work, w, v)


def learn_one(library: Library, work: Work) -> Job:
    w, v = work.w.copy(), work.v.copy()
    learn, copy = update_of(library, work, library.array(w), library.array(v)), library.copy
    x_and_one = library.array(np.ones(w.shape[1], w.dtype))
    x = x_and_one[:-1]

    def learn_copy(x_n, t_n):
        copy(x, x_n)
        learn(x_and_one, t_n)

    samples = [tuple(map(library.array, sample)) for sample in zip(work.x, targets(work), strict=True)]
    return learning(each(learn_copy, samples), work, w, v)
