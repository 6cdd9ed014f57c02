from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numpy import ndarray
from typing_extensions import disjoint_base

P = ParamSpec("P")
Result = TypeVar("Result")

__pyx_capi__: dict[str, object]
__test__: dict[str, str]

@disjoint_base
class InTraining:
    def __new__(cls, w: ndarray, v: ndarray) -> InTraining: ...
    def during(self, work: Callable[P, Result], *arguments: P.args, **keywords: P.kwargs) -> Result: ...

def whatever_ends(work: Callable[[], Result], at_end: Callable[[BaseException | None], None]) -> Result: ...
def forget_other_threads() -> None: ...
