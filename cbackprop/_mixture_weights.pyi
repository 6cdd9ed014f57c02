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
