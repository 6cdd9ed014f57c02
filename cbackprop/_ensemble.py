"""The class Ensemble: networks that learn the same samples, and the mixture of their predictions."""

from __future__ import annotations  # annotations that name numpy.random must not import it

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import _engines as engines
from . import _validation as validate
from ._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from ._docstrings import inherits
from ._ensemble_arrays import Arrays, States, memory, new_vectors, new_weights, of_network
from ._ensemble_training import EnsembleTraining
from ._mixture import MixedLoss, Mixture, class_losses
from ._network import ARTICLE, Network
from ._one_sample import OneSampleOfAll
from ._rates import SHARE
from ._sparse import CSR, SparseRows
from ._training import Data, Epochs, Settings

CHUNK = 1 << 18  # numbers of a prediction whose loss is computed at a time, which keeps temporary arrays small


class EnsembleHistory(NamedTuple):
    """The course of the training of an ensemble, as returned by `Ensemble.fit`.

    Attributes
    ----------
    losses : ndarray of shape (epochs, R)
        Mean E of each epoch and network, where E_n of each sample is taken before the update that uses the sample.
        Infinity from the epoch on in which a network diverged.
    epochs : int
        Number of epochs run.
    samples : int
        Number of samples seen in all epochs.
    diverged : dict
        The epoch, counted from 1, of each network that diverged, by its index. Networks that had diverged before are
        named with epoch 1.
    """

    losses: np.ndarray
    epochs: int
    samples: int
    diverged: dict[int, int]


class Ensemble:
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
    With targets of variance 1, ``eta=0.5`` is a choice that does not depend on earlier losses.

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
        output: str = "softmax",
        hidden: str | Sequence[str] = "sigmoid",
        adaptive: bool = False,
        eta: float | None = None,
        share: float = SHARE,
        dtype: DTypeLike = np.float64,
        rng: Any = None,
    ) -> None:
        rates = check_rates(learning_rates, validate.float_dtype(dtype))
        R = len(rates)
        widths, hidden_functions = for_each("n_hidden", n_hidden, R, validate.count), check_hidden(hidden, R)
        sources = for_each("rng", rng, R, lambda name, source: validate.generator(source, name))
        share, adaptive, eta = check_share(share), validate.flag("adaptive", adaptive), check_eta(eta)
        networks = [
            Network(n_inputs, M, n_outputs, output=output, hidden=function, adaptive=adaptive, dtype=dtype, rng=source)
            for M, function, source in zip(widths, hidden_functions, sources, strict=True)
        ]
        w, v = (tuple(getattr(network, name) for network in networks) for name in "wv")
        states = {"accumulators": zip(*(network.accumulators for network in networks), strict=True)} if adaptive else {}
        self._set(w, v, states, rates, hidden_functions, Mixture(R, len(v[0]), output, share, eta))

    def _set(
        self,
        w: Arrays,
        v: Arrays,
        states: dict[str, Any],
        rates: list[float],
        hidden: Sequence[str],
        mixture: Mixture,
    ) -> None:
        self._w, self._v = new_weights(w, v)
        self._states: States = {name: (new_vectors(s_w), new_vectors(s_v)) for name, (s_w, s_v) in states.items()}
        self._mixture = mixture
        self._networks = [
            Network.from_weights(
                self._w[r],
                self._v[r],
                learning_rate=rate,
                accumulators=of_network(r, self._states).get("accumulators"),
                hidden=function,
                output=mixture.output,
            )
            for r, (rate, function) in enumerate(zip(rates, hidden, strict=True))
        ]
        whole = (self._w, self._v) if isinstance(self._w, np.ndarray) else ()
        module = engines.kernels_for(self._w[0], self._v[0], 1)
        self._one_sample: Any = OneSampleOfAll(self._networks, module, mixture, self._memory, whole)

    @property
    def _memory(self) -> tuple[np.ndarray, np.ndarray]:
        return memory(self._w), memory(self._v)

    @property
    def w(self) -> Arrays:
        """Hidden weights of all networks, shape (R, M, D+1), updated in place; a tuple of R arrays if M differs.

        Those of each network have order "F" of `cbackprop.init_weights`, whose padding is not part of the array.
        """
        return self._w

    @property
    def v(self) -> Arrays:
        """Output weights of all networks, shape (R, K, M+1), updated in place; a tuple of R arrays if M differs."""
        return self._v

    @property
    def dtype(self) -> np.dtype:
        """Data type of the weights: float32 or float64."""
        return self._w[0].dtype

    @property
    def n_hidden(self) -> int | tuple[int, ...]:
        """The number of hidden units M; a tuple of R numbers if it is not the same for all."""
        return common(len(network.w) for network in self._networks)

    @property
    def output(self) -> str:
        """The outputs and their error: "softmax", "linear" or "logistic"."""
        return self._mixture.output

    @property
    def hidden(self) -> str | tuple[str, ...]:
        """The hidden function: "sigmoid", "tanh" or "relu"; a tuple of R names if it is not the same for all."""
        return common(network.hidden for network in self._networks)

    @property
    def adaptive(self) -> bool:
        """Whether α adapts to each unit, by row-wise AdaGrad."""
        return bool(self._states)

    @property
    def accumulators(self) -> tuple[Arrays, Arrays] | None:
        """Sums of squared gradients of shapes (R, M) and (R, K), updated in place, or None if α does not adapt.

        The first is a tuple of R arrays if M differs.
        """
        return self._states.get("accumulators")

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
        rates = check_rates(values, self.dtype)
        if len(rates) != len(self):
            raise ValueError(f"learning_rates has {len(rates)} entries; it must have {len(self)}, one per network")
        for network, rate in zip(self._networks, rates, strict=True):
            network.learning_rate = rate

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

    @inherits(Network.learn_one)
    def learn_one(self, x: ArrayLike | CSR, t: ArrayLike, sample_weight: float = 1.0) -> np.ndarray:
        """Learn from one sample: one update (17) of the weights of each network, and of the mixture.

        A call that raises leaves everything unchanged. A network whose weights are not finite is left out from then on.

        Returns
        -------
        ndarray of shape (R,)
            E_n of each network before its update, without the weight. Infinity for networks that have diverged.

        Raises
        ------
        DivergenceError
            If E_n or an updated weight of every network would not be finite. If this happens to some networks only,
            they are left out from then on.

        Examples
        --------
        >>> import cbackprop
        >>> ensemble = cbackprop.Ensemble(2, 3, 2, learning_rates=[0.1, 1], rng=0)
        >>> first = ensemble.learn_one([0.5, -1.0], 1)
        >>> bool((ensemble.learn_one([0.5, -1.0], 1) < first).all())
        True
        """
        return self._one_sample.learn_one(x, t, sample_weight)

    @inherits(Network.learn_one_sparse)
    def learn_one_sparse(
        self, indices: ArrayLike, values: ArrayLike, t: ArrayLike, sample_weight: float = 1.0
    ) -> np.ndarray:
        """Learn from one sample given by its non-zeros, as `learn_one`, in time proportional to their number.

        Returns
        -------
        ndarray of shape (R,)
            As for `learn_one`.

        Raises
        ------
        DivergenceError
            As for `learn_one`.
        """
        return self._one_sample.learn_one_sparse(indices, values, t, sample_weight)

    @inherits(Network.fit, without=["method", "momentum", "velocity"])
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
        R, w, v = len(self), self._w[0], self._v[0]
        self._check_weights()
        weights = self._memory
        x = validate.inputs(x, w, v, writeable=True)
        N = len(x)
        rows, labels = validate.targets(t, N, w, v, self.output, writeable=True)
        weight = check_sample_weight(sample_weight, R, N, *weights)
        data = Data(x, rows, labels, weight)
        for name, array in zip("xt", (x, rows), strict=True):
            for part in array.arrays if isinstance(array, SparseRows) else () if array is None else (array,):
                validate.check_no_overlap(name, part, *weights, True)
        settings = Settings.validated(
            w.dtype, N, learning_rate=self._networks[0].learning_rate, batch_size=batch_size, method="auto", momentum=0,
            l2=l2, adaptive=self.adaptive, shuffle=shuffle, functions=self._networks[0].functions,
        )  # fmt: skip
        if isinstance(x, SparseRows):
            settings.check_sparse()
        n_threads = validate.count("n_threads", n_threads)
        course = Epochs(
            N, settings, epochs=epochs, rng=rng, callback=callback, checkpoint=checkpoint,
            checkpoint_every=checkpoint_every, resume=resume,
        )  # fmt: skip
        described = settings._asdict() | {"eta": str(self.eta), "share": str(self.share)}
        del described["learning_rate"], described["hidden"]  # the file has those of each network
        course.keep(self._model(), data, described)
        training = EnsembleTraining(self._networks, self._mixture, data, settings, n_threads)
        states = {name: (memory(first), memory(second)) for name, (first, second) in self._states.items()}
        course.run(training.epoch, weights, states | self._mixture.states)
        E = np.array(course.losses)
        diverged = {r: int((E[:, r] == np.inf).argmax()) + 1 for r in np.flatnonzero(E[-1] == np.inf).tolist()}
        return EnsembleHistory(E, len(E), N * len(E), diverged)

    def _check_weights(self) -> None:
        finite = all(np.isfinite(memory(arrays)).all() for arrays in (self._w, self._v))
        for r in np.flatnonzero(self._mixture.members):
            try:
                validate.weights(self._w[r], self._v[r], writeable=True)
                if not finite:
                    validate.finite_weights(self._w[r], self._v[r])
            except ValueError as error:
                raise ValueError(f"in network {r}, {error}") from None

    # --------------------------------------------------------------------------------------------------- predictions

    @inherits(Network.predict_proba_one)
    def predict_proba_one(self, x: ArrayLike | CSR) -> np.ndarray:
        """Probabilities y of one sample by the mixture: the mean of those of the networks, weighted by `weights`."""
        return self._one_sample.predict_proba_one(x)

    @inherits(Network.predict_proba_one_sparse)
    def predict_proba_one_sparse(self, indices: ArrayLike, values: ArrayLike) -> np.ndarray:
        """Probabilities y by the mixture for one sample given by its non-zeros, as `predict_proba_one`."""
        return self._one_sample.predict_proba_one_sparse(indices, values)

    @inherits(Network.predict_one)
    def predict_one(self, x: ArrayLike | CSR) -> Any:
        """What the mixture predicts for one sample: its class, numbers or labels."""
        return self._one_sample.predict_one(x)

    @inherits(Network.predict_one_sparse)
    def predict_one_sparse(self, indices: ArrayLike, values: ArrayLike) -> Any:
        """What the mixture predicts for one sample given by its non-zeros, as `predict_one`."""
        return self._one_sample.predict_one_sparse(indices, values)

    @inherits(Network.predict_proba)
    def predict_proba(self, x: ArrayLike | CSR, *, n_threads: int = 1) -> np.ndarray:
        """Probabilities y of each sample by the mixture: the mean of those of the networks, weighted by `weights`."""
        self._networks[0]._require_probabilities()
        return self._mean(x, n_threads)

    def _mean(self, x: ArrayLike | CSR, n_threads: int) -> np.ndarray:
        x = validate.inputs(x, self._w[0], self._v[0])
        return self._mixture.mean(self._networks, x, validate.count("n_threads", n_threads))

    @inherits(Network.predict)
    def predict(self, x: ArrayLike | CSR, *, n_threads: int = 1) -> np.ndarray:
        """What the mixture predicts for each sample: its class, numbers or labels."""
        prediction = OUTPUTS[self.output].prediction(self._mean(x, n_threads))
        return prediction[:, 0] if prediction.shape[1:] == (1,) else prediction

    @inherits(Network.loss)
    def loss(self, x: ArrayLike | CSR, t: ArrayLike) -> float:
        """Mean error E (2) of the predictions of the mixture.

        Cross-entropies are computed from logits, so that no probability is rounded to 0 before its logarithm is taken.
        """
        given, x = x, validate.inputs(x, self._w[0], self._v[0])
        targets: tuple[Any, Any] = validate.targets(t, len(x), self._w[0], self._v[0], self.output)
        with np.errstate(over="ignore"):  # E may be infinite, as that of a network
            if not OUTPUTS[self.output].cross_entropy:
                return float(((self._mean(given, 1).astype(np.float64) - targets[0]) ** 2).sum(axis=1).mean() / 2)
            E, step = np.empty(len(x)), max(1, CHUNK // len(self._v[0]))
            for start in range(0, len(x), step):
                part = slice(start, start + step)
                E[part] = self._cross_entropies(x[part], *(None if each is None else each[part] for each in targets))
            return float(E.mean())

    @np.errstate(all="ignore")  # of numbers that are not chosen
    def _cross_entropies(
        self, x: np.ndarray | SparseRows, rows: np.ndarray | None, labels: np.ndarray | None
    ) -> np.ndarray:
        """E_n of the mixture."""
        exclusive = OUTPUTS[self.output].exclusive
        shares: list[Any] = [np.ones(1) if rows is None else rows.astype(np.float64)]  # of y and ...
        if not exclusive:
            shares.append(1 - shares[0])  # ... of 1 - y
        mixed = [MixedLoss() for _share in shares]
        for finite, p, _y, a in self._mixture.outputs(self._networks, x, 1):
            logits = np.where(finite[:, np.newaxis], a, 0).astype(np.float64)
            if exclusive:
                d = class_losses(logits)
                losses = [d if labels is None else np.take_along_axis(d, labels[:, np.newaxis], axis=1)]
            else:
                losses = [np.logaddexp(0, -logits), np.logaddexp(0, logits)]
            for loss, d in zip(mixed, losses, strict=True):
                d[~finite] = np.inf
                loss.add(p, d)
        terms = (np.where(share > 0, share * loss.value, 0) for share, loss in zip(shares, mixed, strict=True))
        return np.add.reduce(list(terms)).sum(axis=1)

    # --------------------------------------------------------------------------------------------- files and copies

    def _model(self) -> Any:
        from .files.model_file import Model

        return Model(
            self._w,
            self._v,
            self.learning_rates,
            states=self._states | self._mixture.states,
            functions=validate.Functions(output=self.output),
            hidden=[network.hidden for network in self._networks],
            eta=self.eta,
            share=self.share,
        )

    @inherits(Network.save)
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save weights, functions, learning rates and the mixture to a safetensors file."""
        from .files.model_file import save_model

        save_model(path, self._model())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ensemble:
        """Load an ensemble from a file written by `save` or by a checkpoint.

        Parameters
        ----------
        path : path-like
            File to read.

        Returns
        -------
        Ensemble
            An ensemble with the saved weights, functions, learning rates and mixture.

        Raises
        ------
        OSError
            If the file cannot be read.

        Examples
        --------
        >>> import cbackprop, tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "ensemble.safetensors"
        ...     cbackprop.Ensemble(2, 3, 2, learning_rates=[0.1, 1]).save(path)
        ...     cbackprop.Ensemble.load(path)
        Ensemble(2, 3, 2, learning_rates=[0.1, 1.0], dtype=float64)
        """
        from .files.model_file import load_model

        model = load_model(path, ensemble=True)
        rates, output = model.learning_rate.tolist(), model.functions.output
        return _restore(cls, model.w, model.v, rates, model.hidden, output, model.eta, model.share, model.states)

    def __repr__(self) -> str:
        values = {name: getattr(self, name) for name in ("hidden", "output", "adaptive", "eta", "share")}
        default = {**ARTICLE._asdict(), "adaptive": False, "eta": None, "share": SHARE}
        chosen = "".join(f"{name}={value!r}, " for name, value in values.items() if value != default[name])
        return (
            f"{type(self).__name__}({self._w[0].shape[1] - 1}, {self.n_hidden}, {len(self._v[0])}, "
            f"learning_rates={self.learning_rates.tolist()}, {chosen}dtype={self.dtype})"
        )

    def _repr_html_(self) -> str:
        from ._html import ensemble_html

        return ensemble_html(self)

    def __copy__(self) -> Ensemble:
        copy = type(self).__new__(type(self))
        vars(copy).update(vars(self))
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        rates, states = self.learning_rates.tolist(), self._states | self._mixture.states
        hidden = [network.hidden for network in self._networks]
        return _restore, (type(self), self._w, self._v, rates, hidden, self.output, self.eta, self.share, states)


def _restore(
    cls: type[Ensemble],
    w: Arrays,
    v: Arrays,
    rates: list[float],
    hidden: Sequence[str],
    output: str,
    eta: float | None,
    share: float,
    states: dict[str, Any],
) -> Ensemble:
    ensemble = cls.__new__(cls)
    mixture = Mixture(len(rates), len(v[0]), output, share, eta)
    mixture.restore({name: states[name] for name in mixture.states})
    states = {name: pair for name, pair in states.items() if name not in mixture.states}
    ensemble._set(w, v, states, rates, hidden, mixture)
    return ensemble


def check_rates(values: Any, dtype: np.dtype) -> list[float]:
    """Learning rates, at least one, each positive and finite in the dtype."""
    if isinstance(values, str) or not np.iterable(values):
        raise TypeError(f"learning_rates is {values!r}; it must be a sequence of numbers, one per network")
    rates = list(values)
    if not rates:
        raise ValueError(f"learning_rates is {values!r}; it must hold at least one number")
    numbers = []
    for r, value in enumerate(rates):
        number = validate.real(f"learning_rates[{r}]", value)
        rounded = validate.rounded(number, dtype)
        if not (np.isfinite(rounded) and rounded > 0):
            raise ValueError(f"learning_rates[{r}] is {value!r}; it must be positive and finite in {dtype}")
        numbers.append(number)
    return numbers


def for_each(name: str, value: Any, R: int, check: Callable[[str, Any], Any]) -> list[Any]:
    """What ``check(name, value)`` returns for each of R networks, from one value or R."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return [check(name, value)] * R
    if len(value) != R:
        raise ValueError(f"{name} has {len(value)} entries; it must have {R}, one per learning rate")
    return [check(f"{name}[{r}]", each) for r, each in enumerate(value)]


def common(values: Iterable[Any]) -> Any:
    """The value of all networks, or a tuple if they differ."""
    each = tuple(values)
    return each if len(set(each)) > 1 else each[0]


def check_hidden(value: Any, R: int) -> list[str]:
    """Names of the hidden functions of R networks, from one name or R."""
    return for_each("hidden", value, R, lambda name, each: validate.choice(name, each, HIDDEN_FUNCTIONS))


def check_eta(value: Any) -> float | None:
    """A rate of the mixture, positive and finite, or None."""
    number = None if value is None else validate.real("eta", value)
    if number is not None and not 0 < number < np.inf:
        raise ValueError(f"eta is {value!r}; it must be positive and finite")
    return number


def check_share(value: Any) -> float:
    """A fraction in 0..1."""
    return validate.in_range("share", value, 1, np.dtype(np.float64))


def check_sample_weight(value: Any, R: int, N: int, w: np.ndarray, v: np.ndarray) -> np.ndarray | None:
    """Weights of the samples, shape (N,) or (R, N), or None if all are 1."""
    if value is None:
        return None
    array = validate.as_array("sample_weight", value, f"numbers of shape ({N},) or ({R}, {N})")
    if array.ndim != 2:
        return validate.sample_weight(array, N, w, v)
    if len(array) != R:
        raise ValueError(f"sample_weight has {len(array)} rows; it must have {R}, one per network")
    rows = []
    for r, row in enumerate(array):
        try:
            rows.append(validate.sample_weight(row, N, w, v))
        except (TypeError, ValueError) as error:
            raise type(error)(f"in row {r}, {error}") from None
    return np.stack(rows)  # type: ignore[arg-type]
