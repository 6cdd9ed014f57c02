from collections.abc import Sequence
from typing import Any

from typing_extensions import disjoint_base

__test__: dict[str, str]

@disjoint_base
class Stream:
    def __init__(self, growing: Any = None, features: Sequence[Any] = (), outputs: Sequence[Any] = ()) -> None: ...
    @property
    def growing(self) -> Any: ...
    @property
    def features(self) -> dict[Any, int]: ...
    @property
    def outputs(self) -> dict[Any, int]: ...
    @property
    def labels(self) -> list[Any]: ...
    @property
    def version(self) -> int: ...
    @property
    def names(self) -> tuple[int, int]: ...
    def learn(
        self,
        version: int,
        names: tuple[Sequence[Any], Sequence[Any]],
        growing: Any,
        sample: tuple[Any, Any, Any] | None = None,
        sample_weight: float = 1,
        saved: Sequence[tuple[Any, Any, Any]] = (),
    ) -> bool: ...
