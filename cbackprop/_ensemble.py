"""The class Ensemble: networks that learn the same samples, and the mixture of their predictions."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _engines as engines
from . import _ensemble_predictions as predictions
from . import _standardizing as scaling
from . import _validation as validate
from ._catalog import HIDDEN_FUNCTIONS
from ._docstrings import inherits
from ._ensemble_training import EnsembleTraining
from ._layout import Arrays, memory, new_vectors, new_weights
from ._mixture import Mixture
from ._names import Hidden, Missing, Output
from ._network import ARTICLE, BaseNetwork, Network, owned
from ._one_sample import OneSampleOfAll
from ._rates import SHARE
from ._results import EnsembleHistory
from ._settings import Data, Settings
from ._sparse import CSR, input_arrays
from ._training import Epochs
from .files.model_file import Model


class Ensemble(BaseNetwork, OneSampleOfAll):
    """R networks that learn the same samples in the same order, and predict together.

    They differ in learning rate and initial weights, and may differ in their hidden units. Their predictions are
    averaged with weights that follow from their losses so far: the more a network has erred, the less it counts. With
    cross-entropies and no share, the total loss of this mixture exceeds that of the best network by at most log R, on
    any sequence of samples.

    Parameters
    ----------
    n_inputs, n_outputs : int
        D and K of each network, as for `Network`.
    n_hidden : int, or sequence of R of these
        M: the same for all networks, or one for each.
    learning_rates : sequence of float
        α of (17) for each of the R networks.
    output : {"softmax", "linear", "logistic"}
        The outputs and their error.
    hidden : {"sigmoid", "tanh", "relu"}, or sequence of R of these
        The hidden function: one for all networks, or one for each.
    adaptive : bool
        Whether α adapts to each unit, by row-wise AdaGrad: see the notes of `cbackprop.fit`.
    eta : float, optional
        The rate η of the mixture, instead of the one in the notes.
    share : float
        Fraction in [0, 1] of the mixture's weights that is spread evenly over the networks after each sample, so that
        the mixture follows when another network becomes the best.
    standardize, missing
        Whether inputs and, if outputs are linear, targets are standardized by those learned so far, and what a NaN
        among the inputs is: as for `Network`, once for all networks. By default, they are not.
    dtype : {float64, float32}
        Data type of the weights, and so of all arithmetic of the networks.
    rng : None, int, numpy.random.Generator, or sequence of R of these
        Source of random initial weights: one from which all networks draw in turn, or one for each, whose weights are
        then those of ``Network(..., rng=rng[r])``.

    Notes
    -----
    The mixture's weights are p_r ∝ exp(−η ΣE_nr), with each loss E_nr of network r taken before its update. η is 1
    for softmax outputs and 1/K for logistic ones. For linear outputs it is 1/4, divided by the mean loss so far, and
    predictions are clipped to the interval of the targets so far. The guide to mixtures derives this, and the bounds.
    With targets of variance 1, ``eta=0.5`` is a choice that does not depend on earlier losses; with standardized
    targets, it is η, and predictions are not clipped.

    A network that diverges keeps its last finite weights, stops learning and has the weight 0 in the mixture. One whose
    sums overflow for a sample is left out of the prediction for it: the weights of the others are divided by their sum.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> ensemble = cbackprop.Ensemble(2, 4, 2, learning_rates=[0.01, 0.1, 1], rng=0)
    >>> x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])
    >>> for _ in range(500):
    ...     for x_n, t_n in zip(x, t.tolist()):
    ...         losses = ensemble.learn_one(x_n, t_n)
    >>> ensemble.best
    2
    >>> ensemble.predict(x)
    array([0, 1, 1, 0])
    >>> ensemble[2]
    Network(2, 4, 2, learning_rate=1.0, dtype=float64)

    Networks of different widths:

    >>> ensemble = cbackprop.Ensemble(2, [4, 64], 2, learning_rates=[0.1, 0.1])
    >>> ensemble.n_hidden
    (4, 64)
    >>> [w_r.shape for w_r in ensemble.w]
    [(4, 3), (64, 3)]
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int | Sequence[int],
        n_outputs: int,
        *,
        learning_rates: ArrayLike,
        output: Output = "softmax",
        hidden: Hidden | Sequence[Hidden] = "sigmoid",
        adaptive: bool = False,
        eta: float | None = None,
        share: float = SHARE,
        standardize: bool | None = None,
        missing: Missing = "error",
        dtype: DTypeLike = np.float64,
        rng: Any = None,
    ) -> None:
        rates = validate.learning_rates(learning_rates, validate.float_dtype(dtype))
        R = len(rates)
        widths = validate.for_each("n_hidden", n_hidden, R, validate.count)
        hidden_functions = validate.for_each("hidden", hidden, R, partial(validate.choice, among=HIDDEN_FUNCTIONS))
        sources = validate.for_each("rng", rng, R, lambda name, source: validate.generator(source, name))
        share = validate.in_range("share", share, 1, np.dtype(np.float64))
        adaptive = validate.flag("adaptive", adaptive)
        eta = None if eta is None else validate.learning_rate(eta, validate.FLOAT64, "eta")
        networks = [
            Network(n_inputs, M, n_outputs, output=output, hidden=function, adaptive=adaptive, dtype=dtype, rng=source)
            for M, function, source in zip(widths, hidden_functions, sources, strict=True)
        ]
        w, v = (tuple(getattr(network, name) for network in networks) for name in "wv")
        functions = validate.Functions(output=output)
        model = Model(w, v, np.array(rates), functions=functions, hidden=hidden_functions, eta=eta, share=share)
        if adaptive:
            pairs: Any = (network.accumulators for network in networks)
            s_w, s_v = zip(*pairs, strict=True)
            model.states = {"accumulators": (s_w, s_v)}
        scaling.add_standardization(model, scaling.new_standardization(w[0], v[0], output, standardize, missing, False))
        self._set(model)

    def _set(self, model: Model) -> None:
        w, v = new_weights(model.w, model.v)
        sums: Any = tuple(map(new_vectors, model.states["accumulators"])) if "accumulators" in model.states else None
        standardized = model.standardize is not None and model.states["standardization"][1].size > 0
        options = model.functions.output, model.share, model.eta, standardized
        mixture, networks = Mixture(len(w), len(v[0]), *options), []
        if "mixture" in model.states:
            mixture.restore({name: model.states[name] for name in mixture.states})
        for r, (rate, hidden) in enumerate(zip(model.learning_rate.tolist(), model.hidden, strict=True)):
            states = model.states if sums is None else model.states | {"accumulators": (sums[0][r], sums[1][r])}
            functions = validate.Functions(hidden, mixture.output)
            part = Model(w[r], v[r], rate, states=states, functions=functions, standardize=model.standardize)
            networks.append(Network._of(part))
        self._bind(w, v, sums, networks, mixture)

    def _bind(self, w: Arrays, v: Arrays, accumulators: Any, networks: list[Network], mixture: Mixture) -> None:
        whole = (w, v) if isinstance(w, np.ndarray) else ()
        self._memory = memory(w), memory(v)
        OneSampleOfAll.__init__(self, networks, engines.kernels_for(w[0], v[0], 1), mixture, self._memory, whole)
        self._w, self._v, self._accumulators, self._networks, self._mixture = w, v, accumulators, networks, mixture

    @property
    def w(self) -> Arrays:  # type: ignore[override]
        """Hidden weights of all networks, shape (R, M, D+1), updated in place; a tuple of R arrays if M differs.

        Those of each network have order "F" of `cbackprop.init_weights`, whose padding is not part of the array.
        """
        return self._w

    @property
    def v(self) -> Arrays:  # type: ignore[override]
        """Output weights of all networks, shape (R, K, M+1), updated in place; a tuple of R arrays if M differs."""
        return self._v

    @property
    def n_hidden(self) -> int | tuple[int, ...]:
        """The number of hidden units M; a tuple of R numbers if it is not the same for all."""
        return common(len(network.w) for network in self._networks)

    @property
    def hidden(self) -> str | tuple[str, ...]:
        """The hidden function: "sigmoid", "tanh" or "relu"; a tuple of R names if it is not the same for all."""
        return common(network.hidden for network in self._networks)

    @property
    def accumulators(self) -> tuple[Arrays, Arrays] | None:  # type: ignore[override]
        """Sums of squared gradients of shapes (R, M) and (R, K), updated in place, or None if α does not adapt.

        The first is a tuple of R arrays if M differs.
        """
        return self._accumulators

    @property
    def eta(self) -> float | None:
        """The rate η of the mixture as given, or None."""
        return self._mixture.eta

    @property
    def share(self) -> float:
        """Fraction of the mixture's weights that is spread evenly after each sample."""
        return self._mixture.share

    @property
    def learning_rates(self) -> np.ndarray:
        """α of each network, shape (R,): a copy. Assign all of them, or one as ``ensemble[r].learning_rate``."""
        return np.array([network.learning_rate for network in self._networks])

    @learning_rates.setter
    def learning_rates(self, values: ArrayLike) -> None:
        rates = validate.learning_rates(values, self.dtype)
        if len(rates) != len(self):
            raise ValueError(f"learning_rates has {len(rates)} entries; it must have {len(self)}, one per network")
        for network, rate in zip(self._networks, rates, strict=True):
            network.learning_rate = rate

    @property  # type: ignore[misc]
    def learning_rate(self) -> float:
        """Not one, but `learning_rates`."""
        raise AttributeError("an ensemble has learning_rates, one for each network")

    @property
    def weights(self) -> np.ndarray:
        """The weights p_r of the networks in the mixture, shape (R,), which sum to 1."""
        return self._mixture.weights

    @property
    def best(self) -> int:
        """The index of the network with the largest weight in the mixture; of equal ones the first."""
        return int(self._mixture.log_weights.argmax())

    @property
    def diverged(self) -> np.ndarray:
        """Whether each network has diverged, shape (R,)."""
        return ~self._mixture.members

    def __len__(self) -> int:
        """R."""
        return len(self._networks)

    def __getitem__(self, r: int) -> Network:
        """Network r, live: it shares its weights with the ensemble."""
        return self._networks[r]

    def __iter__(self) -> Iterator[Network]:
        """All networks."""
        return iter(self._networks)

    @inherits(Network.fit)
    def fit(
        self,
        x: ArrayLike | CSR,
        t: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int | None = 1,
        shuffle: bool = True,
        rng: Any = None,
        sample_weight: ArrayLike | None = None,
        l2: float = 0.0,
        n_threads: int = 1,
        callback: Callable[[int, np.ndarray], object] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 1,
        resume: bool = False,
    ) -> EnsembleHistory:
        """Learn from all samples for a number of epochs: each network as by `Network.fit`, in the same order.

        The mixture learns in the first epoch of each call only: losses of later ones are those of samples that the
        networks have learned before, and would favor the one that memorizes best.

        Parameters
        ----------
        sample_weight : array_like of shape (N,) or (R, N), optional
            Weights of the samples, the same for all networks or a row for each: with random numbers of a Poisson
            distribution, the networks learn different samples (online bagging). Weights of shape (N,) are factors of
            the losses in the mixture, too; with a row for each network, they all count as 1 there.
        callback : callable, optional
            Called as ``callback(epoch, losses)`` after each epoch, counted from 1, with the losses of all networks. If
            it returns True, training stops.

        Returns
        -------
        EnsembleHistory
            Mean E of each epoch and network, number of epochs, number of samples seen, networks that diverged.

        Raises
        ------
        DivergenceError
            If E or a weight of every network is no longer finite. The weights are finite, those from before some of the
            last samples; the last networks are not marked as diverged, and may learn with other learning rates.
        OSError
            If the checkpoint cannot be read or written.

        Notes
        -----
        Ctrl-C raises KeyboardInterrupt. Each network's weights are then those after a whole number of samples.

        Examples
        --------
        >>> import cbackprop, numpy as np
        >>> ensemble = cbackprop.Ensemble(2, 4, 2, learning_rates=[0.1, 1], rng=1)
        >>> ensemble.fit(np.eye(2), [0, 1], epochs=3).losses.shape
        (3, 2)
        """
        check_weights(self._w, self._v, self._mixture.members)
        if validate.is_sparse(x):
            self._for_sparse(True)
        standardization = self._standardization
        missing = None if standardization is None else standardization.missing
        data = self._data(x, t, sample_weight, missing)
        first = self._networks[0]
        settings = Settings.validated(
            self.dtype, data.x, first.functions, learning_rate=first.learning_rate, batch_size=batch_size,
            method="auto", momentum=0, l2=l2, adaptive=self.adaptive, shuffle=shuffle,
        )  # fmt: skip
        n_threads = validate.count("n_threads", n_threads)
        model, standardizing = self._model(), None
        loop = Epochs(model, data, settings, resume, epochs, rng, callback, checkpoint, checkpoint_every)
        states: Any = self._mixture.states
        if self._accumulators is not None:
            states["accumulators"] = tuple(map(memory, self._accumulators))
        if standardization is not None:
            standardizing = scaling.Standardizing(standardization, data, self.dtype)
            states["standardization"] = standardization.statistics
        training = EnsembleTraining(self._networks, self._mixture, data, settings, n_threads, standardizing)
        loop.run(training, self._memory, states)
        E = np.array(loop.losses)
        diverged = {r: int((E[:, r] == np.inf).argmax()) + 1 for r in (E[-1] == np.inf).nonzero()[0].tolist()}
        return EnsembleHistory(E, len(E), len(data.x) * len(E), diverged)

    def _data(self, x: ArrayLike | CSR, t: ArrayLike, sample_weight: Any, missing: str | None) -> Data:
        """Validate samples, which must not lie in the memory of any network."""
        data = Data.validated(x, t, self._w[0], self._v[0], self.output, writeable=True, missing=missing)
        for name, arrays in (("x", input_arrays(data.x)), ("t", (data.rows,))):
            for array in arrays:
                if array is not None:
                    validate.check_no_overlap(name, array, *self._memory, True)
        weight = validate.sample_weights(sample_weight, len(self), len(data.x), *self._memory)
        return data._replace(sample_weight=weight)

    def _outputs(self, x: ArrayLike | CSR, n_threads: int) -> tuple[np.ndarray, np.ndarray]:
        x = scaling.standardized(self._networks[0], x)
        rows, n_threads = validate.inputs(x, self._w[0], self._v[0]), validate.count("n_threads", n_threads)
        y = scaling.restored(self, x, predictions.mean(self._mixture, self._networks, rows, n_threads))
        return y, y

    @inherits(Network.loss)
    def loss(self, x: ArrayLike | CSR, t: ArrayLike) -> float:
        """Mean error E (2) of the predictions of the mixture.

        Cross-entropies are computed from logits, so that no probability is rounded to 0 before its logarithm is taken.
        """
        x, t = scaling.standardized_samples(self._networks[0], x, t)
        data = Data.validated(x, t, self._w[0], self._v[0], self.output)
        return predictions.loss(self._mixture, self._networks, data)

    def _model(self) -> Model:
        functions, hidden = validate.Functions(output=self.output), [network.hidden for network in self._networks]
        states: dict[str, Any] = {} if self._accumulators is None else {"accumulators": self._accumulators}
        model = Model(self._w, self._v, self.learning_rates, functions=functions, hidden=hidden)
        model.states = states | self._mixture.states
        model.eta, model.share = self.eta, self.share
        scaling.add_standardization(model, self._standardization)
        return model

    @classmethod
    def _of(cls, model: Model) -> Ensemble:
        ensemble = cls.__new__(cls)
        if model.standardize is not None:
            inputs, targets = model.states["standardization"]
            model.states = model.states | {"standardization": (owned(inputs), owned(targets))}
        ensemble._set(model)
        return ensemble

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in ("hidden", "output", "adaptive", "eta", "share")}
        default = {**ARTICLE._asdict(), "adaptive": False, "eta": None, "share": SHARE}
        chosen = "".join(f"{name}={value!r}, " for name, value in values.items() if value != default[name])
        return (
            f"{type(self).__name__}({self._w[0].shape[1] - 1}, {self.n_hidden}, {len(self._v[0])}, "
            f"learning_rates={self.learning_rates.tolist()}, {chosen}{scaling.described(self)}dtype={self.dtype})"
        )

    def _repr_html_(self) -> str:
        from ._html import networks_html

        pairs = zip(self.diverged, self.weights, strict=True)
        states = ["diverged" if diverged else f"weight {weight:.3f}" for diverged, weight in pairs]
        return networks_html(type(self).__name__, self._networks, states)

    def __copy__(self) -> Ensemble:
        copy = type(self).__new__(type(self))
        copy._bind(self._w, self._v, self._accumulators, self._networks, self._mixture)
        vars(copy).update(vars(self))
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return self._of, (self._model(),)


def check_weights(w: Arrays, v: Arrays, members: np.ndarray) -> None:
    """Raise ValueError if the weights of networks that are members cannot be trained."""
    finite = all(np.isfinite(memory(arrays)).all() for arrays in (w, v))
    for r in members.nonzero()[0]:
        try:
            validate.weights(w[r], v[r], writeable=True)
            if not finite:
                validate.finite_weights(w[r], v[r])
        except ValueError as error:
            raise ValueError(f"in network {r}, {error}") from None


def common(values: Iterable[Any]) -> Any:
    """The value of all networks, or a tuple if they differ."""
    each = tuple(values)
    return each if len(set(each)) > 1 else each[0]
