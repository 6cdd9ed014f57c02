from collections.abc import Callable
from typing import Any, TypeVar

from numpy import ndarray
from typing_extensions import disjoint_base

_Result = TypeVar("_Result")

__pyx_capi__: dict[str, object]
__test__: dict[str, str]

@disjoint_base
class TrainingLock:
    def __new__(cls, w: ndarray, v: ndarray) -> TrainingLock: ...
    def run(self, function: Callable[..., _Result], *arguments: object) -> _Result: ...

def call_all(calls: list[tuple[Any, ...]], results: list[Any]) -> None: ...
def run_finally(function: Callable[[], _Result], cleanup: Callable[[BaseException | None], None]) -> _Result: ...
def learn_and_record(attributes: dict[str, Any], learn: Callable[..., float], *sample: object) -> None: ...
def forget_other_threads() -> None: ...
