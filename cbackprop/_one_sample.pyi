from collections.abc import Sequence
from typing import Any

from numpy import ndarray
from numpy.typing import ArrayLike
from typing_extensions import disjoint_base

from ._catalog import OUTPUTS as OUTPUTS
from ._mixture import Mixture
from ._results import REMEDY as REMEDY
from ._sparse import SparseRows as SparseRows
from ._standardization import Standardization
from ._validation import Functions

__test__: dict[str, str]  # examples of docstrings, for doctest

@disjoint_base
class OneSample:
    def __init__(
        self,
        w: ndarray,
        v: ndarray,
        functions: Functions,
        learning_rate: float,
        module: object,
        accumulators: tuple[ndarray, ndarray] | None = None,
        standardization: Standardization | None = None,
        names: tuple[str, str] = ("x", "t"),
    ) -> None: ...
    @property
    def w(self) -> ndarray: ...
    @property
    def v(self) -> ndarray: ...
    @property
    def functions(self) -> Functions: ...
    @property
    def accumulators(self) -> tuple[ndarray, ndarray] | None: ...
    @property
    def learning_rate(self) -> float: ...
    @learning_rate.setter
    def learning_rate(self, value: float) -> None: ...
    @property
    def _standardization(self) -> Standardization | None: ...
    @property
    def standardize(self) -> bool: ...
    @property
    def missing(self) -> str: ...
    _until_look: int
    _looks: int
    _saturated: int
    def _for_sparse(self, learns: bool) -> None: ...
    def _lend(self) -> int: ...
    def _take_back(self) -> None: ...
    def _require_probabilities(self) -> None: ...
    def learn_one(self, x: ArrayLike, t: ArrayLike, sample_weight: float = 1.0) -> float: ...
    def learn_one_sparse(
        self, indices: ArrayLike, values: ArrayLike, t: ArrayLike, sample_weight: float = 1.0
    ) -> float: ...
    def predict_one(self, x: ArrayLike) -> int | float | ndarray: ...
    def predict_one_sparse(self, indices: ArrayLike, values: ArrayLike) -> int | float | ndarray: ...
    def predict_proba_one(self, x: ArrayLike) -> ndarray: ...
    def predict_proba_one_sparse(self, indices: ArrayLike, values: ArrayLike) -> ndarray: ...

@disjoint_base
class OneSampleOfAll(OneSample):
    def __init__(
        self,
        networks: Sequence[OneSample],
        module: object,
        mixture: Mixture,
        memory: tuple[ndarray, ndarray] | None = None,
        whole: tuple[Any, ...] = (),
    ) -> None: ...
    def learn_one(self, x: ArrayLike, t: ArrayLike, sample_weight: float = 1.0) -> ndarray: ...  # type: ignore[override]
    def learn_one_sparse(  # type: ignore[override]
        self, indices: ArrayLike, values: ArrayLike, t: ArrayLike, sample_weight: float = 1.0
    ) -> ndarray: ...
    def learn_present(
        self, x: ndarray, indices: ndarray | None, t: Any, missing: ndarray | None, sample_weight: float
    ) -> ndarray: ...
