"""Networks that grow with a stream: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from operator import methodcaller
from typing import Any

import numpy as np

from . import _engines as engines
from . import _validation as validate
from ._functions import init_weights, initial_ranges
from ._mixture_weights import mean, update, update_one
from ._network import Network
from ._results import REMEDY, DivergenceError
from ._running import RunningScaler, RunningSparseScaler
from ._sparse import SparseRows, aligned_zeros
from ._training_lock import TrainingLock

# The inputs of a sample: all of them, or the indices and values of some, the others being 0
Row = np.ndarray | tuple[np.ndarray, np.ndarray]

# Scale of the initial hidden weights relative to `init_weights` if the rate is constant: smaller ones make fewer errors
# on the first samples, which count in the evaluation of a stream.
HIDDEN_WEIGHT_SCALE = 0.5

# Networks of a mixture: hidden function and learning rate, which adapts to each unit. benchmarks/streams.py compares
# the mixture to other models.
MEMBERS = (("tanh", 0.1), ("tanh", 0.3), ("relu", 0.1), ("relu", 0.3))
# The same for sparse inputs: see GrowingMixture. benchmarks/sparse_peers.py compares the mixture to other models.
SPARSE_MEMBERS = (("tanh", 0.03), ("tanh", 0.1), ("relu", 0.03), ("relu", 0.1))
SPARSE_START = 0.1  # of the accumulators of hidden units
SPARSE_WEIGHT_SCALE = 0.1  # of hidden weights: those of inputs that appear late are noise until then
SHARE = 0.01  # of the weights of a mixture, spread evenly after each sample
# Factor of the losses in a mixture; that of squared errors is for errors up to 1.4 standard deviations of the target.
ETA = {"softmax": 1.0, "logistic": 1.0, "linear": 0.5}


def _caller(method: str, row: Row, *arguments: Any) -> Callable[[Network], Any]:
    """What calls a method of networks for one sample, or the one that takes indices and values."""
    if type(row) is tuple:
        return methodcaller(method + "_sparse", *row, *arguments)
    return methodcaller(method, row, *arguments)


def _learner(row: Row, t: Any, missing: np.ndarray | None, *weight: float) -> Callable[[Network], float]:
    """What lets networks learn from one sample, but not from targets that are missing."""
    if missing is None:
        return _caller("learn_one", row, t, *weight)

    def learn(network: Network) -> float:
        y = _caller("predict_one" if network.output == "linear" else "predict_proba_one", row)(network)
        return _caller("learn_one", row, np.where(missing, y, t), *weight)(network)  # (12), y_k - t_k, is 0 where y is

    return learn


def _additional_inputs(known_D: int, D: int, M: int, K: int, hidden: str, generator: np.random.Generator) -> np.ndarray:
    """Initial weights of the inputs from `known_D` to D, as `init_weights` would draw them."""
    r_w, _ = initial_ranges(D, M, K, hidden)
    weights = np.empty((M, D - known_D))
    for row in weights:
        _skip(generator, known_D)
        row[:] = generator.uniform(-r_w, r_w, D - known_D)
    return weights


def _skip(generator: np.random.Generator, count: int) -> None:
    """Pass over `count` numbers of PCG64, one step of which is one number."""
    generator.bit_generator.advance(count)  # type: ignore[attr-defined]


class GrowingNetwork:
    """A network to which samples add inputs and outputs, each at an amortized cost that does not depend on the others.

    The weights of an input lie side by side, and there is room for more inputs behind them.

    Parameters
    ----------
    network : Network
        The network, whose weights are trained in place.
    scale : float
        Factor of the initial weights of added inputs.
    """

    def __init__(self, network: Network, scale: float) -> None:
        self.network, self._scale = network, scale
        self.sizes = network.w.shape[1] - 1, len(network.v)
        self._room = network.w  # memory that begins with w
        self.lent = False  # to others: its memory must stay as it is

    @classmethod
    def new(cls, D: int, M: int, K: int, output: str, hidden: str, rate: float | None, seed: Any) -> GrowingNetwork:
        """Create a network; if it has a rate, that adapts to each unit."""
        scale = HIDDEN_WEIGHT_SCALE if rate is None else 1.0
        w, v = init_weights(D, M, K, hidden=hidden, order="F", rng=seed)
        w *= scale
        if rate is None:
            return cls(Network.from_weights(w, v, output=output, hidden=hidden), scale)
        accumulators = validate.new_accumulators(w, v)
        options: Any = {"output": output, "hidden": hidden, "learning_rate": rate, "accumulators": accumulators}
        return cls(Network.from_weights(w, v, **options), scale)

    def grown(self, D: int, K: int, seed: Any) -> GrowingNetwork:
        """Create a network of D inputs and K outputs that begins with the weights of this one.

        The additional weights have the bits of `init_weights` with this seed, those of hidden units times the scale.
        No others are drawn: the number of random numbers depends on what is added, not on the size of the network.
        Unless this network is lent, both share memory, and additional inputs may lie where its bias was: if the new
        network is not used, `restore_bias`.
        """
        old, room = self.network, self._room
        M, known_D, known_K = len(old.w), old.w.shape[1] - 1, len(old.v)
        generator = np.random.default_rng(seed)
        added = _additional_inputs(known_D, D, M, K, old.hidden, generator) * self._scale
        _skip(generator, known_K * M)
        _, r_v = initial_ranges(D, M, K, old.hidden)
        v = np.zeros((K, M + 1), old.dtype)
        v[:known_K] = old.v
        v[known_K:, :M] = generator.uniform(-r_v, r_v, (K - known_K, M))
        bias = old.w[:, -1].copy()
        if self.lent or room.shape[1] <= D:
            room = aligned_zeros(M, D + 1 if known_D == D else 2 * (D + 1), old.dtype)
            room[:, :known_D] = old.w[:, :-1]
        accumulators = old.accumulators
        if accumulators is not None:
            accumulators = accumulators[0].copy(), np.append(accumulators[1], np.zeros(K - known_K, old.dtype))
        options: Any = {"learning_rate": old.learning_rate, "accumulators": accumulators, **old.functions._asdict()}
        new = GrowingNetwork(Network.from_weights(room[:, : D + 1], v, **options), self._scale)
        new._room = room
        room[:, known_D:D], room[:, D] = added, bias
        return new

    def restore_bias(self, larger: GrowingNetwork) -> None:
        """Take the bias back from a network that has grown from this one, but has not learned."""
        self.network.w[:, -1] = larger.network.w[:, -1]

    @property
    def networks(self) -> list[Network]:
        """The network."""
        return [self.network]

    @property
    def log_weights(self) -> np.ndarray:
        """The logarithm of its weight, as in a mixture of one."""
        return np.zeros(1)

    def learn_one(self, row: Row, t: Any, missing: np.ndarray | None, *weight: float) -> None:
        """Learn from a sample, but not from targets that are missing. A call that raises changes nothing."""
        if missing is None and type(row) is np.ndarray:  # a shortcut
            self.network.learn_one(row, t, *weight)
        else:
            _learner(row, t, missing, *weight)(self.network)

    def learn_many(self, x: Any, t: np.ndarray) -> None:
        """Learn from samples in their order. A call that raises may have changed something: see `saved`."""
        self.network.fit(x, t, shuffle=False)

    def saved(self, inputs: Any) -> Any:
        """Copies of what `learn_many` changes if all inputs but these are 0; the bias is among them."""
        return self.network.w[:, inputs].copy(), self.network.v.copy(), deepcopy(self.network.accumulators)

    def restore(self, saved: Any, inputs: Any) -> None:
        """Take changes back."""
        self.network.w[:, inputs], self.network.v[...], accumulators = saved
        for array, before in zip(self.network.accumulators or (), accumulators or (), strict=True):
            array[...] = before

    def predict_one(self, row: Row) -> Any:
        """What the network predicts for a sample."""
        return self.network.predict_one_sparse(*row) if type(row) is tuple else self.network.predict_one(row)

    def predict_proba_one(self, row: Row) -> np.ndarray:
        """The probabilities that it predicts."""
        return _caller("predict_proba_one", row)(self.network)

    def predict(self, x: Any) -> np.ndarray:
        """What the network predicts for each of several samples."""
        return self.network.predict(x)

    def predict_proba(self, x: Any) -> np.ndarray:
        """The probabilities that it predicts."""
        return self.network.predict_proba(x)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.network, self._scale)


class GrowingMixture:
    """Networks that grow together and predict by their mixture: see MEMBERS.

    Inputs are standardized by those so far, and so are numbers to predict. Sparse inputs are scaled only, rare ones to
    larger numbers: standardized, all would differ from 0. Row-wise AdaGrad divides the square of a row's gradient by
    their number, most of which are 0, so that its rates would be too large by far: accumulators of hidden units start
    at SPARSE_START. The initial weights are SPARSE_WEIGHT_SCALE times those of a network with the inputs of the first
    sample alone.

    Parameters
    ----------
    members : list of GrowingNetwork
        The networks, of which each learns all samples. Those that diverge are left out.
    log_weights : ndarray
        The logarithm of the weight of each in the mixture.
    inputs : RunningScaler or RunningSparseScaler
        How to standardize inputs.
    targets : RunningScaler or None
        How to standardize targets, if these are numbers.
    """

    def __init__(
        self,
        members: list[GrowingNetwork],
        log_weights: np.ndarray,
        inputs: RunningScaler | RunningSparseScaler,
        targets: RunningScaler | None,
    ) -> None:
        self.members, self.log_weights, self.inputs, self.targets = members, log_weights, inputs, targets
        self.networks, self.sizes = [member.network for member in members], members[0].sizes
        self._sparse = isinstance(inputs, RunningSparseScaler)

    @classmethod
    def new(
        cls, D: int, M: int, K: int, output: str, hidden: str | None, seed: Any, non_zeros: int | None
    ) -> GrowingMixture:
        """Create a mixture, of networks with the same hidden function if one is given.

        If the inputs are sparse, `non_zeros` is their number in the first sample.
        """
        members = [
            GrowingNetwork.new(D, M, K, output, name if hidden is None else hidden, rate, [*seed, r])
            for r, (name, rate) in enumerate(MEMBERS if non_zeros is None else SPARSE_MEMBERS)
        ]
        log_weights = np.full(len(members), -np.log(len(members)))
        inputs = RunningScaler(D) if non_zeros is None else RunningSparseScaler(D)
        if non_zeros is not None:
            for member in members:
                member.network.w[...] *= SPARSE_WEIGHT_SCALE * np.sqrt((D + M) / (non_zeros + M))
                member.network.accumulators[0][...] = SPARSE_START  # type: ignore[index]
        return cls(members, log_weights, inputs, RunningScaler(K, np.inf) if output == "linear" else None)

    def grown(self, D: int, K: int, seed: Any) -> GrowingMixture:
        """Create a mixture of D inputs and K outputs that begins with what this one has learned."""
        members = [member.grown(D, K, [*seed, r]) for r, member in enumerate(self.members)]
        inputs, targets = self.inputs, self.targets
        if isinstance(inputs, RunningScaler):
            inputs = inputs.grown(D, inputs.state[2].max())  # added inputs were 0 in all samples so far
        if targets is not None:
            targets = targets.grown(K, 0)
        return GrowingMixture(members, self.log_weights.copy(), inputs, targets)

    def restore_bias(self, larger: GrowingMixture) -> None:
        """Take the biases back from a mixture that has grown from this one, but has not learned."""
        for member, other in zip(self.members, larger.members, strict=False):
            member.restore_bias(other)

    @property
    def lent(self) -> bool:
        """Whether others have a network."""
        return self.members[0].lent

    @lent.setter
    def lent(self, value: bool) -> None:
        for member in self.members:
            member.lent = value

    @property
    def network(self) -> Network:
        """The network that counts most."""
        return self.networks[int(self.log_weights.argmax())]

    def learn_one(self, row: Any, t: Any, missing: np.ndarray | None, *weight: float) -> None:
        """Learn from a sample, but not from targets that are missing. A call that raises changes nothing."""
        losses: list[float] = []
        updated: list[Any] = []
        try:
            row = self.inputs.learn(row if self._sparse else self._dense(row))
            updated.append(self.inputs)
            if self.targets is not None:
                t = self.targets.learn(np.array(t, ndmin=1))
                updated.append(self.targets)
            learn = _learner(row, t, missing, *weight)
            for network in self.networks:
                try:
                    losses.append(learn(network))
                except DivergenceError:
                    losses.append(np.inf)
            if np.inf in losses:
                losses = self._drop(losses)
        except BaseException:
            for scaler in updated:
                scaler.undo()
            raise
        update_one(self.log_weights, losses, self._eta, SHARE, *weight)

    def learn_many(self, x: Any, t: np.ndarray) -> None:
        """Learn from samples in their order. A call that raises may have changed something: see `saved`."""
        x = self.inputs.learn(x)
        if self.targets is not None:
            t = self.targets.learn(t[:, np.newaxis])
        losses = self._drop([_learn_all(network, x, t) for network in self.networks])
        update(self.log_weights, np.zeros(2), np.stack(losses, axis=1), self._eta, False, SHARE)

    def _drop(self, losses: list[Any]) -> list[Any]:
        """Leave out networks that have diverged; return the losses of the others."""
        finite = [r for r, E in enumerate(losses) if np.max(E) < np.inf]
        if not finite:
            raise DivergenceError(f"learning of all networks diverged: {REMEDY}")
        self.members, self.networks = [self.members[r] for r in finite], [self.networks[r] for r in finite]
        self.log_weights = self.log_weights[finite]
        return [losses[r] for r in finite]

    @property
    def _eta(self) -> float:
        """Factor of the losses in the mixture: those of several outputs are sums."""
        network = self.networks[0]
        return ETA[network.output] / (1 if network.output == "softmax" else len(network.v))

    def saved(self, inputs: Any) -> Any:
        """Copies of what `learn_many` changes if all inputs but these are 0; the bias is among them."""
        state = deepcopy((self.log_weights, self.targets)), self.members, self.networks
        statistics = self.inputs.saved(inputs[:-1] if self._sparse else inputs)  # there are none of the bias
        return state, statistics, [member.saved(inputs) for member in self.members]

    def restore(self, saved: Any, inputs: Any) -> None:
        """Take changes back."""
        ((self.log_weights, self.targets), self.members, self.networks), statistics, weights = saved
        self.inputs.restore(statistics)
        for member, each in zip(self.members, weights, strict=True):
            member.restore(each, inputs)

    def predict_one(self, row: Row) -> Any:
        """What the mixture predicts for a sample."""
        if self.targets is None:
            return int(self.predict_proba_one(row).argmax())
        y = self._mixed("predict_one", row)
        return float(self.targets.inverse([y])[0]) if type(y) is float else self.targets.inverse(y)

    def predict_proba_one(self, row: Row) -> np.ndarray:
        """The probabilities that it predicts."""
        return self._mixed("predict_proba_one", row)

    def predict(self, x: Any) -> np.ndarray:
        """What the mixture predicts for each of several samples."""
        if self.targets is None:
            return self.predict_proba(x).argmax(axis=1)
        return self.targets.inverse(self._mixed("predict", x)[:, np.newaxis])[:, 0]

    def predict_proba(self, x: Any) -> np.ndarray:
        """The probabilities that it predicts."""
        return self._mixed("predict_proba", x)

    def _mixed(self, method: str, x: Any) -> Any:
        """The mean of what a method of the networks returns, by their weights."""
        x = self.inputs.transform(x if self._sparse else self._dense(x))
        return mean(self.log_weights, list(map(_caller(method, x), self.networks)))

    def _dense(self, x: Any) -> np.ndarray:
        """All inputs of a sample, or of several."""
        if not isinstance(x, tuple):
            return x
        row = np.zeros(self.sizes[0])
        row[x[0]] = x[1]
        return row


def _learn_all(network: Network, x: Any, t: np.ndarray) -> np.ndarray:
    """Learn from samples in their order; return their losses, which are infinite if that would diverge."""
    w, v = network.w, network.v
    rows = validate.inputs(x, w, v, writeable=True)
    targets = validate.targets(t, len(rows), w, v, network.output)
    engine = (
        engines.sparse_engine(rows, w, v, network.functions, adaptive=True)
        if isinstance(rows, SparseRows)
        else engines.make_engine(w, v, network.functions, 1, "auto", adaptive=True)
    )
    states: engines.States = {"accumulators": network.accumulators}  # type: ignore[dict-item]

    def learn() -> np.ndarray:
        losses = np.empty(len(rows))
        engine.load(w, v, states)
        total = engine.learn(engine.samples(rows, *targets), np.arange(len(rows)), network.learning_rate, 1, losses)
        if not (np.isfinite(total) and engine.finite()):
            return np.full(len(rows), np.inf)
        engine.store(w, v, states)
        return losses

    return TrainingLock(w, v).run(learn)


def copy_weights(old: Network, new: Network, kept: Any = None) -> Network:
    """Copy the weights of a network into a larger one.

    The inputs of `old` come first in `new`. Additional inputs that are 0 leave all hidden activations unchanged, and so
    the logits of the old outputs.

    Parameters
    ----------
    old, new : Network
        Networks with the same number of hidden units. The additional weights of `new` are not changed.
    kept : array of int, optional
        Indices of the old outputs among the new ones. By default, they come first.

    Returns
    -------
    Network
        `new`.
    """
    D, K = old.w.shape[1] - 1, len(old.v)
    new.w[:, :D], new.w[:, -1] = old.w[:, :-1], old.w[:, -1]
    kept = np.arange(K) if kept is None else kept
    new.v[kept] = old.v
    if old.accumulators is not None and new.accumulators is not None:
        new.accumulators[0][:], new.accumulators[1][kept] = old.accumulators
    return new
