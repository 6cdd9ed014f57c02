from typing import Any

from numpy import ndarray

__pyx_capi__: dict[str, object]
__test__: dict[str, str]

def update(
    log_weights: ndarray,
    scale: ndarray,
    losses: ndarray,
    eta: float,
    relative: bool,
    share: float,
    sample_weight: ndarray | None = None,
) -> None: ...
def drop(log_weights: ndarray, dropped: ndarray) -> None: ...
def update_one(
    log_weights: ndarray, losses: list[float], eta: float, share: float, sample_weight: float = 1.0
) -> None: ...
def mean(log_weights: ndarray, outputs: list[Any]) -> Any: ...
