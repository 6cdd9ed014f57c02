"""Networks that grow with a stream: new inputs and outputs, with the trained weights kept."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from . import _engines as engines
from . import _layout as layout
from . import _validation as validate
from ._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from ._ensemble_predictions import mean
from ._ensemble_training import EnsembleTraining
from ._initial_weights import init_weights
from ._mixture import Mixture
from ._network import Network
from ._one_sample import OneSampleOfAll
from ._rates import DENSE_STREAM, SHARE, SPARSE_STREAM, WIDTH, StreamRates
from ._running import RunningScaler, RunningSparseScaler
from ._settings import Data, Settings
from ._training_lock import TrainingLock

# The inputs of a sample: all of them, or the indices and values of some, the others being 0
Row = np.ndarray | tuple[np.ndarray, np.ndarray]

# Scale of the initial hidden weights relative to `init_weights` if the rate is constant: smaller ones make fewer errors
# on the first samples, which count in the evaluation of a stream.
HIDDEN_WEIGHT_SCALE = 0.5


class Growing:
    """Networks that grow together, learn the same samples, and predict by their mixture.

    There is one network at a constant rate, which learns samples as they are, or there are several: see
    `_rates.StreamRates`. Those take inputs standardized by the ones so far, and so are numbers to predict. Sparse
    inputs are scaled but not centered, to stay sparse; rare features are scaled up.

    Samples add inputs and outputs, each at an amortized cost that does not depend on the others: the weights of an
    input lie side by side, and there is room for more inputs behind them.

    Parameters
    ----------
    networks : list of Network
        The networks, whose weights are trained in place.
    mixture : Mixture
        The mixture of their predictions. Those that diverge are left out.
    inputs, targets : RunningScaler, RunningSparseScaler or None
        How to standardize them.
    names : pair of int
        How many features and outputs have names; networks have at least one input and one output even so.
    """

    def __init__(
        self,
        networks: list[Network],
        mixture: Mixture,
        inputs: RunningScaler | RunningSparseScaler | None,
        targets: RunningScaler | None,
        names: tuple[int, int],
    ) -> None:
        self._networks, self._mixture = networks, mixture
        self.inputs, self.targets = inputs, targets
        self.names = names
        self.rate: Any = None  # that the user has asked for
        self.lent = False  # whether others have the networks: their memory must stay as it is
        self.added: list[tuple[np.ndarray, np.ndarray]] = []  # weights of added inputs, after their places
        self._rooms = [network.w for network in networks]  # memory that begins with w
        w, v = networks[0].w, networks[0].v
        self.one_sample: Any = OneSampleOfAll(networks, engines.kernels_for(w, v, 1), mixture)

    @classmethod
    def new(
        cls,
        names: tuple[int, int],
        sizes: tuple[int, int | None, int],
        output: str,
        hidden: Any,
        rate: Any,
        seed: list[Any],
        non_zeros: int | None,
    ) -> Growing:
        """Create a network that learns samples as they are, at a constant rate or, if it is "auto", a mixture.

        All networks have the hidden function, and the number of hidden units, that is not None. If inputs are sparse,
        `non_zeros` is their number in the first sample.
        """
        (D, width, K), auto = sizes, rate == "auto"
        rates = StreamRates(((hidden, rate),), (WIDTH,), HIDDEN_WEIGHT_SCALE, 0)
        active, inputs, targets = D, None, None
        if auto:
            rates = DENSE_STREAM if non_zeros is None else SPARSE_STREAM
            active = D if non_zeros is None else non_zeros
            inputs = RunningScaler(D) if non_zeros is None else RunningSparseScaler(D)
            targets = None if OUTPUTS[output].probabilities else RunningScaler(K)
        networks = []
        for r, (M, (function, member_rate)) in enumerate(product((width,) if width else rates.widths, rates.members)):
            function = function if hidden is None else hidden
            w, v = init_weights(D, M, K, hidden=function, order="F", rng=[*seed, r] if auto else seed)
            w *= rates.weight_scale * np.sqrt((D + M) / (active + M))
            options: Any = {"output": output, "hidden": function, "learning_rate": member_rate}
            if auto:
                options["accumulators"] = validate.new_accumulators(w, v)
                options["accumulators"][0][...] = rates.accumulator
            networks.append(Network.from_weights(w, v, **options))
        return cls(networks, _mixture(len(networks), K, output), inputs, targets, names)

    def grown(self, names: tuple[int, int], D: int, K: int, seed: list[Any]) -> Growing:
        """Create networks of D inputs and K outputs that begin with what these have learned.

        The additional weights have the bits of `init_weights` with this seed, those of hidden units at a constant rate
        times `HIDDEN_WEIGHT_SCALE`. No others are drawn: the number of random numbers depends on what is added, not on
        the size of a network. Unless these networks are lent, both share memory, which changes only when `added` is put
        into it.
        """
        kept = np.flatnonzero(self._mixture.members).tolist()
        grown = [self._grown(r, D, K, seed if self.inputs is None else [*seed, place]) for place, r in enumerate(kept)]
        inputs, targets = self.inputs, self.targets
        if isinstance(inputs, RunningScaler):
            inputs = inputs.grown(D, inputs.state[2].max())  # added inputs were 0 in all samples so far
        if targets is not None:
            targets = targets.grown(K, 0)
        mixture = _mixture(len(kept), K, self.network.output)
        mixture.log_weights[...] = self._mixture.log_weights[kept]
        larger = Growing([network for network, *_ in grown], mixture, inputs, targets, names)
        larger._rooms = [room for _, room, _ in grown]
        larger.added = [added for *_, added in grown]
        return larger

    def _grown(self, r: int, D: int, K: int, seed: list[Any]) -> tuple[Network, np.ndarray, Any]:
        """Network r with D inputs and K outputs, its room, and what is to be added to it."""
        old, room = self._networks[r], self._rooms[r]
        M, known_D, known_K = len(old.w), old.w.shape[1] - 1, len(old.v)
        generator: Any = np.random.default_rng(seed)
        skip = generator.bit_generator.advance  # by numbers, one step of PCG64 each
        r_w, r_v = HIDDEN_FUNCTIONS[old.hidden].initial_ranges(D, M, K)
        added = np.empty((M, D - known_D + 1))
        for row, bias in zip(added, old.w[:, -1], strict=True):
            skip(known_D)
            row[:-1], row[-1] = generator.uniform(-r_w, r_w, D - known_D), bias
        if self.inputs is None:
            added[:, :-1] *= HIDDEN_WEIGHT_SCALE
        skip(known_K * M)
        v = layout.zeros_by_row(K, M + 1, old.dtype)
        v[:known_K] = old.v
        v[known_K:, :M] = generator.uniform(-r_v, r_v, (K - known_K, M))
        if self.lent or room.shape[1] <= D:
            room = layout.zeros_by_column(M, D + 1 if known_D == D else 2 * (D + 1), old.dtype)
            room[:, :known_D] = old.w[:, :-1]
        accumulators = old.accumulators
        if accumulators is not None:
            accumulators = accumulators[0].copy(), np.append(accumulators[1], np.zeros(K - known_K, old.dtype))
        options: Any = {"learning_rate": old.learning_rate, "accumulators": accumulators, **old.functions._asdict()}
        return Network.from_weights(room[:, : D + 1], v, **options), room, (room[:, known_D : D + 1], added)

    @property
    def sizes(self) -> tuple[int, int]:
        """D and K."""
        return self._networks[0].w.shape[1] - 1, len(self._networks[0].v)

    def lend(self) -> Growing:
        """Leave the networks where they are in memory from now on: others have them."""
        self.lent = True
        return self

    @property
    def networks(self) -> list[Network]:
        """The networks that have not diverged."""
        return [self._networks[r] for r in np.flatnonzero(self._mixture.members)]

    @property
    def network(self) -> Network:
        """The network that counts most."""
        return self._networks[int(self._mixture.log_weights.argmax())]

    @property
    def weights(self) -> np.ndarray:
        """The weight of each of the networks in the mixture."""
        return self._mixture.weights[self._mixture.members]

    def row(self, row: Row) -> Row:
        """A sample as `inputs` takes it: the standardized inputs are dense."""
        if not (isinstance(row, tuple) and isinstance(self.inputs, RunningScaler)):
            return row
        dense = np.zeros(self.sizes[0])
        dense[row[0]] = row[1]
        return dense

    def learn_many(self, x: Any, t: np.ndarray) -> None:
        """Learn from samples in their order. A call that raises may have changed something: see `saved`."""
        for place, initial in self.added:
            place[...] = initial
        self.added = []
        if self.inputs is not None:
            x = self.inputs.learn(x)
        if self.targets is not None:
            t = self.targets.learn(t[:, np.newaxis])
        first = self._networks[0]
        x = validate.inputs(x, first.w, first.v, writeable=True)
        data = Data(x, *validate.targets(t, len(x), first.w, first.v, first.output), None)
        settings = Settings.validated(
            first.dtype, x, first.functions, learning_rate=first.learning_rate, batch_size=1, method="auto",
            momentum=0, l2=0, adaptive=first.adaptive, shuffle=False,
        )  # fmt: skip
        learn: Any = EnsembleTraining(self._networks, self._mixture, data, settings, 1).epochs
        for network in self._networks:
            learn = partial(TrainingLock(network.w, network.v).run, learn)
        learn(1, np.arange(len(x)), 1)

    def saved(self, inputs: Any) -> list[tuple[np.ndarray, Any, np.ndarray]]:
        """What `learn_many` changes if all inputs but these are 0: arrays, places in them, and copies."""
        changed: list[tuple[np.ndarray, Any]] = [(array, ...) for array in self._mixture.arrays]
        for network in self._networks:
            changed += [(array, ...) for array in (network.v, *(network.accumulators or ()))]
            changed += [(network.w, (slice(None), inputs)), (network.w, (slice(None), -1))]
        saved = [(array, where, array[where].copy()) for array, where in changed]
        for scaler in (self.inputs, self.targets):
            saved += [] if scaler is None else scaler.saved(inputs)
        return saved

    def predict_one(self, row: Row, method: str = "predict_one") -> Any:
        """What a method of networks predicts for a sample, by the mixture; numbers are in the unit of the targets."""
        model: Any = self.one_sample
        if self.inputs is None:
            model = self._networks[0]  # without the mixture, whose only network it is
        else:
            row = self.inputs.transform(self.row(row))
        y = getattr(model, method + "_sparse")(*row) if type(row) is tuple else getattr(model, method)(row)
        if self.targets is None:
            return y
        return float(self.targets.inverse([y])[0]) if type(y) is float else self.targets.inverse(y)

    def predict(self, x: Any) -> np.ndarray:
        """The mean y of the mixture for each of several samples; numbers are in the unit of the targets."""
        if x.shape[0] == 0:
            return np.empty((0, self.sizes[1]))
        if self.inputs is not None:
            x = self.inputs.transform(x)
        y = mean(self._mixture, self._networks, validate.inputs(x, self._networks[0].w, self._networks[0].v))
        return y if self.targets is None else self.targets.inverse(y)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._networks, self._mixture, self.inputs, self.targets, self.names)


def _mixture(R: int, K: int, output: str) -> Mixture:
    """The mixture of R networks, the loss of which is a sum over all outputs."""
    return Mixture(R, K, output, SHARE if R > 1 else 0.0, standardized=True)
