# What every module variant_precision offers. All arrays are C-contiguous and of the module's DTYPE, indices are intp.
from typing import ClassVar, Final

import numpy as np
from numpy import ndarray

from cbackprop._sparse import SparseRows as SparseRows

COMPILER: str
DTYPE: np.dtype
LANES_IN_REGISTER: int
ONE_SAMPLE: object  # a capsule for cbackprop._one_sample
HIDDEN_FUNCTIONS: dict[str, int]
OUTPUTS: dict[str, int]

class Samples:
    def __new__(
        cls,
        x: ndarray | SparseRows,
        t: ndarray | None = None,
        labels: ndarray | None = None,
        sample_weight: ndarray | None = None,
    ) -> Samples: ...
    def __len__(self) -> int: ...

class Engine:
    def __new__(
        cls,
        D: int,
        M: int,
        K: int,
        batch_size: int = 1,
        *,
        block: int = 8,
        momentum: float = 0,
        l2: float = 0,
        adaptive: bool = False,
        hidden: str = "sigmoid",
        output: str = "softmax",
    ) -> Engine: ...
    D: Final[int]
    M: Final[int]
    K: Final[int]
    states: Final[tuple[str, ...]]
    supports: Final[tuple[str, ...]]
    @property
    def in_place(self) -> bool: ...
    samples: ClassVar[type[Samples]]
    def load(self, w: ndarray, v: ndarray, states: dict[str, tuple[ndarray, ndarray]] | None = None) -> None: ...
    def store(self, w: ndarray, v: ndarray, states: dict[str, tuple[ndarray, ndarray]] | None = None) -> None: ...
    def finite(self) -> bool: ...
    def defer_signals(self) -> None: ...
    def stop(self) -> None: ...
    def learn(
        self,
        samples: Samples,
        order: ndarray,
        learning_rate: float,
        threads: int = 1,
        losses: ndarray | None = None,
    ) -> float: ...
    def learn_epochs(self, samples: Samples, order: ndarray, learning_rate: float, totals: ndarray) -> int: ...
    def loss(self, samples: Samples) -> float: ...
    def gradient(self, samples: Samples, dw: ndarray, dv: ndarray) -> float: ...
    def forward(self, samples: Samples, b: ndarray | None, z: ndarray | None, a: ndarray, y: ndarray) -> bool: ...

class SampleEngine(Engine): ...
class DirectEngine(SampleEngine): ...
class SamplesInLanesEngine(Engine): ...
class BlockedEngine(Engine): ...
class SparseEngine(SampleEngine): ...

class LanesEngine(Engine):
    @staticmethod
    def learn_together(
        engines: list[LanesEngine],
        samples: list[Samples],
        order: ndarray,
        learning_rates: ndarray,
        sums: list[ndarray],
        losses: list[ndarray | None],
    ) -> None: ...

class Equations(DirectEngine):
    def __setitem__(self, symbol: str, array: ndarray) -> None: ...
    def compute(self, symbol: str) -> ndarray: ...

def elementary_of(name: str, x: ndarray) -> ndarray: ...
def softmax_derivative_of(y: ndarray) -> ndarray: ...
def mean_square_of(x: ndarray) -> float: ...
def sum_of_squares_of(s_j: float, e_j: float, mean_square_x: float) -> float: ...
def adaptive_rate_of(alpha: float, s_j: float) -> float: ...
