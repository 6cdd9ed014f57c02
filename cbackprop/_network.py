"""The class Network: weights, a learning rate, and the public functions as methods."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _functions as functions
from . import _layout as layout
from . import _standardizing as scaling
from . import _threads as threads
from . import _validation as validate
from ._catalog import OUTPUTS
from ._docstrings import inherits
from ._engines import kernels_for
from ._initial_weights import init_weights
from ._names import Hidden, Method, Missing, Order, Output
from ._one_sample import OneSample, OneSampleOfAll
from ._rates import network_rate
from ._results import History
from ._saturation import FIRST_LOOK, MOST_LOOKS, watch_fit, watch_stream
from ._sparse import CSR
from .files.model_file import Model, load_model, save_model

ARTICLE = validate.Functions()


class BaseNetwork(OneSample):
    """What networks and ensembles have in common besides calls for one sample."""

    _outputs: Callable[[ArrayLike | CSR, int], tuple[np.ndarray, np.ndarray]]  # y, and from what to predict
    _model: Callable[[], Model]
    _of: Callable[[Model], Self]

    @property
    def dtype(self) -> np.dtype:
        """Data type of the weights: float32 or float64."""
        return self.w[0].dtype

    @property
    def adaptive(self) -> bool:
        """Whether α adapts to each unit, by row-wise AdaGrad."""
        return self.accumulators is not None

    @property
    def output(self) -> str:
        """The outputs and their error: "softmax", "linear" or "logistic"."""
        return self.functions.output

    @inherits(functions.forward)
    def predict_proba(self, x: ArrayLike | CSR, *, n_threads: int = 1) -> np.ndarray:
        """Probabilities y of each sample: of its classes (7), or of each label by itself.

        Those of an ensemble are the mean of those of its networks, weighted by `weights`.

        Returns
        -------
        ndarray of shape (N, K)
            Rows that sum to 1 with softmax outputs, or numbers in [0, 1] with logistic ones.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> cbackprop.Network(2, 3, 5, rng=0).predict_proba(np.eye(2)).shape
        (2, 5)
        """
        self._require_probabilities()
        return self._outputs(x, n_threads)[0]

    @inherits(functions.forward)
    def predict(self, x: ArrayLike | CSR, *, n_threads: int = 1) -> np.ndarray:
        """The prediction for each sample: its class, numbers or labels.

        Returns
        -------
        ndarray of shape (N,) or (N, K)
            Softmax outputs: the index of the most probable class, of equally probable ones the first. Linear outputs: y
            itself. Logistic outputs: 1 where the probability is at least 1/2, else 0. The shape is (N, K) if K > 1 and
            outputs are not softmax.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> cbackprop.Network(2, 3, 5, rng=0).predict(np.eye(2)).shape
        (2,)
        """
        return OUTPUTS[self.output].predictions(self._outputs(x, n_threads)[1])

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Save weights, functions, learning rates and the mixture of an ensemble to a safetensors file.

        Parameters
        ----------
        path : path-like or binary file object
            File to write. An existing file is replaced atomically and keeps its permissions, owner and group where
            possible; symbolic links are followed, and other hard links keep the old content.

        Raises
        ------
        OSError
            If the file cannot be written. An existing file is unchanged.

        Examples
        --------
        >>> import cbackprop, io, numpy as np, tempfile, pathlib
        >>> network = cbackprop.Network(2, 3, 2, rng=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "model.safetensors"
        ...     network.save(path)
        ...     again = cbackprop.Network.load(path)
        >>> np.array_equal(again.w, network.w)
        True

        In memory, for a database or a request:

        >>> file = io.BytesIO()
        >>> network.save(file)
        >>> cbackprop.Network.load(file.getvalue())
        Network(2, 3, 2, learning_rate=0.1, dtype=float64)
        """
        save_model(path, self._model())

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO | bytes) -> Self:
        """Load a network, or an ensemble, from a file written by `save`, by a checkpoint, or by the command.

        Parameters
        ----------
        path : path-like, binary file object or bytes
            File to read, or its content.

        Returns
        -------
        Network or Ensemble
            What was saved: weights, functions and learning rates. If the command scaled its inputs or targets, a
            network takes scaled inputs and predicts scaled targets: the tensors mean, scale, target_mean and
            target_scale of the file convert them.

        Raises
        ------
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import cbackprop, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "model.safetensors"
        ...     cbackprop.Network(2, 3, 2, learning_rate=0.5).save(path)
        ...     cbackprop.Network.load(path)
        Network(2, 3, 2, learning_rate=0.5, dtype=float64)
        """
        return cls._of(load_model(path, ensemble=issubclass(cls, OneSampleOfAll)))


class Network(BaseNetwork):
    """Two-layer network with D inputs, M hidden units and K outputs, by default that of the article.

    Parameters
    ----------
    n_inputs, n_hidden, n_outputs : int
        D, M and K, each at least 1. Softmax needs K of at least 2.
    output : {"softmax", "linear", "logistic"}
        The outputs y, and with them the error: probabilities of K classes with the cross-entropy (1); any K numbers
        with half the squared error (regression); or the probabilities of K labels, of which any number may hold
        (multi-label targets), with the sum of their cross-entropies. A single logistic output is the probability of the
        second of two classes.
    hidden : {"sigmoid", "tanh", "relu"}
        The hidden function h.
    learning_rate : float or "auto"
        α of (17). It may be changed at any time. "auto" makes it adaptive and the smaller one of 0.3 and 1 / √(D+1),
        which suits most streams of standardized inputs: see docs/guides/auto.md.
    adaptive : bool
        Whether α adapts to each unit, by row-wise AdaGrad: see the notes of `cbackprop.fit`.
    standardize : bool, optional
        Whether inputs and, if outputs are linear, targets are standardized by the mean and variance of those learned so
        far, so that they may be of any scale; see the notes. By default, they are with "auto", and are not with a
        number. Sparse inputs cannot be; with "auto", those of a network that begins with sparse inputs are not.
    missing : {"error", "mean"}
        What a NaN or None among the inputs is: an error, or the mean of that input, if inputs are standardized.
    dtype : {float64, float32}
        Data type of the weights, and so of all arithmetic.
    order : {"F", "C"}
        Order of the weights in memory: lines of the cache that hold the hidden units of an input, which is several
        times as fast with sparse inputs, or plain C-contiguous arrays. See `init_weights`.
    rng : None, int or numpy.random.Generator
        Source of random initial weights; see `init_weights`.

    Attributes
    ----------
    w : ndarray of shape (M, D+1)
        Hidden weights, bias last. Training updates this array in place.
    v : ndarray of shape (K, M+1)
        Output weights, bias last. Training updates this array in place.

    Notes
    -----
    With `standardize`, the k-th sample first changes the mean m and the variance q of each input, with d = x − m, by
    m ← m + d/k and q ← q + (d² (1 − 1/k) − q)/k; from the 1000th on, k stays 1000, so that they follow a stream that
    changes. What is learned is (x − m)/√q, limited to ±5, as d is to 5 √q. Weights are those for standardized inputs;
    the errors of linear outputs are in standard deviations of the targets, and predictions in their units. A sample
    weight makes no difference to m and q, and a NaN that counts as the mean does not change them.

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

    Regression, with one output:

    >>> network = cbackprop.Network(1, 8, 1, output="linear", hidden="tanh", rng=0)
    >>> x = np.linspace(-2, 2, 50)[:, np.newaxis]
    >>> history = network.fit(x, np.sin(x), epochs=500, rng=0)
    >>> bool(abs(network.predict_one([1.0]) - np.sin(1.0)) < 0.05)
    True
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int,
        n_outputs: int,
        *,
        output: Output = "softmax",
        hidden: Hidden = "sigmoid",
        learning_rate: float | str = 0.1,
        adaptive: bool = False,
        standardize: bool | None = None,
        missing: Missing = "error",
        dtype: DTypeLike = np.float64,
        order: Order = "F",
        rng: Any = None,
    ) -> None:
        names = validate.functions(hidden, output)
        w, v = init_weights(n_inputs, n_hidden, n_outputs, hidden=hidden, dtype=dtype, order=order, rng=rng)
        if OUTPUTS[names.output].exclusive and len(v) == 1:
            raise ValueError(
                f"n_outputs is 1, and a single {names.output} output is always 1; for two classes, write "
                f"output='logistic', or n_outputs=2; for numbers, output='linear'"
            )
        rate: Any = learning_rate
        adaptive = validate.flag("adaptive", adaptive)
        auto = validate.is_auto("learning_rate", rate)
        if auto:
            rate, adaptive = network_rate(w.shape[1] - 1), True
        accumulators = validate.new_accumulators(w, v) if adaptive else None
        standardization = scaling.new_standardization(w, v, names.output, standardize, missing, auto)
        super().__init__(w, v, names, rate, kernels_for(w, v, 1), accumulators, standardization)
        if standardization is None:  # which the warning of saturation advises
            self._looks, self._until_look = MOST_LOOKS, FIRST_LOOK

    @classmethod
    @inherits(functions.forward)
    def from_weights(
        cls,
        w: np.ndarray,
        v: np.ndarray,
        *,
        output: str = "softmax",
        hidden: str = "sigmoid",
        learning_rate: float = 0.1,
        accumulators: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "Network":
        """Create a network from existing weights, which are shared, not copied.

        Parameters
        ----------
        w : ndarray of shape (M, D+1)
            Hidden weights, bias last: float32 or float64, C- or Fortran-contiguous. With read-only arrays, the network
            can predict but not learn. Between columns, as between the rows of v, there may be zeros of the array's own
            memory, which stay 0: see the order of `init_weights`.
        learning_rate : float
            α of (17).
        accumulators : pair of ndarray of shapes (M,) and (K,), optional
            Sums of squared gradients, shared, too, with which α adapts to each unit; zeros to begin with.

        Returns
        -------
        Network
            A network whose training updates the given arrays.

        Examples
        --------
        >>> import cbackprop
        >>> w, v = cbackprop.init_weights(2, 3, 2)
        >>> cbackprop.Network.from_weights(w, v).w is w
        True
        """
        states = {} if accumulators is None else {"accumulators": accumulators}
        return cls._of(Model(w, v, learning_rate, states=states, functions=validate.functions(hidden, output)))

    @property
    def hidden(self) -> str:
        """The hidden function: "sigmoid", "tanh" or "relu"."""
        return self.functions.hidden

    def _look(self, x: Any, indices: Any, E_n: float) -> None:
        if indices is None:
            watch_stream(self, x, E_n)

    @inherits(functions.fit)
    def fit(
        self,
        x: ArrayLike | CSR,
        t: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = 1,
        shuffle: bool = True,
        rng: Any = None,
        method: Method = "auto",
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
        """Learn from all samples for a number of epochs, as `cbackprop.fit`."""
        sparse = validate.is_sparse(x)
        if sparse:
            self._for_sparse(False)
        try:
            return functions.train(
                x, t, self.w, self.v, self.functions, None if sparse else self._standardization,
                partial(watch_fit, self), learning_rate=self.learning_rate, batch_size=batch_size, shuffle=shuffle,
                method=method, n_threads=n_threads, sample_weight=sample_weight, l2=l2, momentum=momentum,
                velocity=velocity, adaptive=self.adaptive, accumulators=self.accumulators, resume=resume,
                course=(epochs, rng, callback, checkpoint, checkpoint_every),
            )  # fmt: skip
        except (TypeError, ValueError):
            sparse = False  # nothing has been learned
            raise
        finally:
            if sparse:
                self._for_sparse(True)

    def _outputs(self, x: ArrayLike | CSR, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
        x = scaling.standardized(self, x)
        y, a, _z, _b = threads.activations(x, self.w, self.v, self.functions, n_threads)
        if OUTPUTS[self.output].exclusive:
            return y, a  # y may have rounded to equal numbers
        y = scaling.restored(self, x, y)
        return y, y

    @inherits(functions.loss)
    def loss(self, x: ArrayLike | CSR, t: ArrayLike) -> float:
        """Mean error E (2)."""
        return functions.loss(*scaling.standardized_samples(self, x, t), self.w, self.v, **self.functions._asdict())

    @inherits(functions.gradient)
    def gradient(self, x: ArrayLike | CSR, t: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the mean error (3) by backpropagation."""
        return functions.gradient(*scaling.standardized_samples(self, x, t), self.w, self.v, **self.functions._asdict())

    def _model(self) -> Model:
        states = {} if self.accumulators is None else {"accumulators": self.accumulators}
        model = Model(self.w, self.v, self.learning_rate, functions=self.functions, states=states)
        scaling.add_standardization(model, self._standardization)
        return model

    @classmethod
    def _of(cls, model: Model) -> "Network":
        w, v, accumulators = model.w, model.v, model.states.get("accumulators")
        validate.weights(w, v, writeable=False)
        states = validate.states(None, 0, accumulators, accumulators is not None, w, v, ())
        network, given = cls.__new__(cls), (w, v, model.functions, model.learning_rate, kernels_for(w, v, 1))
        OneSample.__init__(network, *given, states.get("accumulators"), scaling.of_model(model))
        return network

    def __repr__(self) -> str:
        (M, D1), K, names = self.w.shape, len(self.v), self.functions._asdict()
        chosen = "".join(f"{name}={value!r}, " for name, value in names.items() if value != ARTICLE._asdict()[name])
        adaptive = "adaptive=True, " if self.adaptive else ""
        return (
            f"{type(self).__name__}({D1 - 1}, {M}, {K}, {chosen}"
            f"learning_rate={self.learning_rate!r}, {adaptive}{scaling.described(self)}dtype={self.dtype})"
        )

    def _repr_html_(self) -> str:
        from ._html import networks_html

        return networks_html(type(self).__name__, [self])

    def __copy__(self) -> "Network":
        copy = self._of(self._model())
        vars(copy).update(vars(self))
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        model = self._model()
        if layout.order_of(self.w) == "F":
            model.w = np.asfortranarray(self.w)  # NumPy would pickle rows
        return _restore, (type(self), model), getattr(self, "__dict__", None) or None


def _restore(cls: type[Network], model: Model) -> Network:
    model.w, model.v = layout.copies(model.w, model.v)
    model.states = {name: (owned(s_w), owned(s_v)) for name, (s_w, s_v) in model.states.items()}
    return cls._of(model)


def owned(array: np.ndarray) -> np.ndarray:
    """Return a copy of an unpickled array.

    Its memory may be anyone's: out-of-band buffers and memory-mapped files are shared, read-only or misaligned.
    """
    copy = np.empty(array.shape, array.dtype.type)
    copy[...] = array
    return copy
