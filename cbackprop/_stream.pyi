from collections.abc import Callable
from typing import Any

from numpy import ndarray
from typing_extensions import disjoint_base

__test__: dict[str, str]

@disjoint_base
class Stream:
    def __init__(self, growing: Any = None) -> None: ...
    @property
    def growing(self) -> Any: ...
    @property
    def version(self) -> int: ...
    def learn_one(
        self, version: int, growing: Any, row: Any, t: Any, missing: ndarray | None, sample_weight: float
    ) -> bool: ...
    def learn_many(self, version: int, learn: Callable[[], Any], arrays: list[Any], scalers: list[Any]) -> bool: ...
