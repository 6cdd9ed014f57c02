"""The network as an object: weights, learning rate, and the functions bound to them."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _functions as functions
from . import _gate as gate
from ._dispatch import kernels
from ._one_sample import OneSample
from ._results import History


class Network(OneSample):
    """A two-layer network: D inputs, M sigmoid hidden units, K softmax outputs, cross-entropy error.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        D, M and K.
    learning_rate : float
        α of (17). May be changed at any time.
    dtype : {float64, float32}
        Of the weights, and so of all arithmetic.
    rng : None, int or numpy.random.Generator
        For the initial weights; see `init_weights`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what is described here; the message names it.

    Attributes
    ----------
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last: the live array, updated in place.
    v : ndarray of shape (K, M+1)
        Output weights, bias last: the live array, updated in place.
    learning_rate : float
        α of (17).
    dtype : dtype
        float32 or float64.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> network = cbackprop.Network(2, 4, 2, learning_rate=0.5, rng=1)
    >>> network
    Network(2, 4, 2, learning_rate=0.5, dtype=float64)
    >>> x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])
    >>> for _ in range(2000):
    ...     for x_n, t_n in zip(x, t.tolist()):
    ...         _ = network.learn_one(x_n, t_n)
    >>> network.predict(x)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int,
        n_outputs: int,
        *,
        learning_rate: float = 0.1,
        dtype: DTypeLike = np.float64,
        rng: Any = None,
    ) -> None:
        w, v = functions.init_weights(n_inputs, n_hidden, n_outputs, dtype=dtype, rng=rng)
        super().__init__(w, v, learning_rate, kernels(w.dtype).ONE_SAMPLE)

    @classmethod
    def from_weights(cls, w: np.ndarray, v: np.ndarray, *, learning_rate: float = 0.1) -> "Network":
        """A network that shares the given arrays: learning changes them.

        Parameters
        ----------
        w : ndarray of shape (M, D+1)
            Hidden weights, bias last, float32 or float64. Read-only arrays can predict, not learn.
        v : ndarray of shape (K, M+1)
            Output weights, bias last, of the same dtype.
        learning_rate : float
            α of (17).

        Returns
        -------
        Network

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it.

        Examples
        --------
        >>> import cbackprop
        >>> w, v = cbackprop.init_weights(2, 3, 2)
        >>> cbackprop.Network.from_weights(w, v).w is w
        True
        """
        gate.weights(w, v, written=False)
        network = cls.__new__(cls)
        OneSample.__init__(network, w, v, learning_rate, kernels(w.dtype).ONE_SAMPLE)
        return network

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self.w.dtype

    def fit(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = 1,
        shuffle: bool = True,
        rng: Any = None,
        method: str = "auto",
        n_threads: int = 1,
        callback: Callable[[int, float], object] | None = None,
        sample_weight: ArrayLike | None = None,
        l2: float = 0.0,
        momentum: float = 0.0,
        velocity: tuple[np.ndarray, np.ndarray] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        resume: bool = False,
    ) -> History:
        """Learn from all samples, epoch after epoch: `cbackprop.fit` on the network's weights, at its learning rate.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Inputs.
        t : array_like of shape (N,) or (N, K)
            Class indices 0..K-1, or rows of probabilities that sum to 1.
        epochs : int
            Passes over all samples.
        batch_size : int or None
            1: an update after each sample. None: one with the mean gradient of all samples. Between them: mini-batches.
        shuffle, rng, method, n_threads, callback, sample_weight, l2, momentum, velocity
            As for `cbackprop.fit`.
        checkpoint, checkpoint_every, resume
            As for `cbackprop.fit`: the state of learning in a file, and whether to go on from it.

        Returns
        -------
        History
            Mean E of each epoch, epochs run, samples seen.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it. The weights are unchanged.
        DivergenceError
            If E or a weight is no longer finite. The weights are those at the start of that epoch.
        RuntimeError
            If another thread is training these weights.
        OSError
            If the checkpoint can't be read or written.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> network = cbackprop.Network(2, 4, 2, rng=1)
        >>> network.fit(np.eye(2), [0, 1], epochs=3).epochs
        3
        """
        return functions.fit(
            x,
            t,
            self.w,
            self.v,
            learning_rate=self.learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            rng=rng,
            method=method,
            n_threads=n_threads,
            callback=callback,
            sample_weight=sample_weight,
            l2=l2,
            momentum=momentum,
            velocity=velocity,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            resume=resume,
        )

    def predict_proba(self, x: ArrayLike, *, n_threads: int = 1) -> np.ndarray:
        """Class probabilities, y of (7).

        Parameters
        ----------
        x : array_like of shape (N, D)
            Inputs.
        n_threads : int
            Threads to use at most.

        Returns
        -------
        ndarray of shape (N, K)
            Rows that sum to 1.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> cbackprop.Network(2, 3, 5, rng=0).predict_proba(np.eye(2)).shape
        (2, 5)
        """
        return functions.probabilities(x, self.w, self.v, n_threads)[0]

    def predict(self, x: ArrayLike, *, n_threads: int = 1) -> np.ndarray:
        """The most probable class of each sample.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Inputs.
        n_threads : int
            Threads to use at most.

        Returns
        -------
        ndarray of shape (N,)
            Class indices, the first where several are equally probable.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> cbackprop.Network(2, 3, 5, rng=0).predict(np.eye(2)).shape
        (2,)
        """
        return functions.probabilities(x, self.w, self.v, n_threads)[1].argmax(axis=1)

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Mean cross-entropy E (2); see `cbackprop.cross_entropy`.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Inputs.
        t : array_like of shape (N,) or (N, K)
            Class indices 0..K-1, or rows of probabilities that sum to 1.

        Returns
        -------
        float
            E in nats.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> cbackprop.Network(2, 3, 2, rng=0).loss(np.eye(2), [0, 1]) > 0
        True
        """
        return functions.cross_entropy(x, t, self.w, self.v)

    def gradient(self, x: ArrayLike, t: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Mean gradient (3); see `cbackprop.gradient`.

        Parameters
        ----------
        x : array_like of shape (N, D)
            Inputs.
        t : array_like of shape (N,) or (N, K)
            Class indices 0..K-1, or rows of probabilities that sum to 1.

        Returns
        -------
        dw : ndarray of shape (M, D+1)
            dE/dw.
        dv : ndarray of shape (K, M+1)
            dE/dv.

        Raises
        ------
        TypeError, ValueError
            If an argument is not what is described here; the message names it.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> dw, dv = cbackprop.Network(2, 3, 2, rng=0).gradient(np.eye(2), [0, 1])
        >>> dw.shape, dv.shape
        ((3, 3), (2, 4))
        """
        return functions.gradient(x, t, self.w, self.v)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and learning rate to a safetensors file.

        Parameters
        ----------
        path : path-like
            The file; an existing one is replaced, and its permissions stay. A link leads to the file that is replaced.

        Raises
        ------
        OSError
            If it cannot be written. What was there is still there.
        TypeError, ValueError
            If path is no path, or a weight is not finite. What was there is still there.

        Examples
        --------
        >>> import cbackprop, numpy as np, tempfile, pathlib
        >>> network = cbackprop.Network(2, 3, 2, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     network.save(pathlib.Path(folder) / "model.safetensors")
        ...     again = cbackprop.Network.load(pathlib.Path(folder) / "model.safetensors")
        >>> np.array_equal(again.w, network.w)
        True
        """
        from ._model_file import Model, save_model

        save_model(path, Model(self.w, self.v, self.learning_rate))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Network":
        """Read a network that `save`, or the command, has written.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        Network
            With weights and learning rate as they were saved.

        Raises
        ------
        OSError
            If the file cannot be read.
        TypeError, ValueError
            If path is no path, or the file not a model file of this library, or of a newer version.

        Examples
        --------
        >>> import cbackprop, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "model.safetensors"
        ...     cbackprop.Network(2, 3, 2, learning_rate=0.5).save(path)
        ...     cbackprop.Network.load(path)
        Network(2, 3, 2, learning_rate=0.5, dtype=float64)
        """
        from ._model_file import load_model

        model = load_model(path)
        return cls.from_weights(model.w, model.v, learning_rate=model.learning_rate)

    def __repr__(self) -> str:
        M, D = self.w.shape[0], self.w.shape[1] - 1
        return (
            f"{type(self).__name__}({D}, {M}, {len(self.v)}, learning_rate={self.learning_rate!r}, dtype={self.dtype})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        state = getattr(self, "__dict__", None) or None
        return _restore, (type(self), self.w, self.v, self.learning_rate), state


def _restore(cls: type[Network], w: np.ndarray, v: np.ndarray, learning_rate: float) -> Network:
    return cls.from_weights(usable(w), usable(v), learning_rate=learning_rate)


def usable(array: np.ndarray) -> np.ndarray:
    """An array that was restored, copied if it lies where no kernel can read or write it.

    Whoever receives it, as Dask's workers do, may have restored it in read-only memory, at any address. What is mapped
    from a file, as joblib does on request, stays there as long as it can be read.
    """
    fine = array.flags.aligned and (array.flags.writeable or isinstance(array, np.memmap))
    return array if fine else array.copy()
