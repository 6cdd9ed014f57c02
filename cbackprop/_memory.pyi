from numpy import ndarray

CONTIGUOUS: int
NOT_CONTIGUOUS: int
NOT_ZERO: int
__pyx_capi__: dict[str, object]
__test__: dict[str, str]

def span(array: ndarray) -> int: ...
def share(a: ndarray, b: ndarray) -> bool: ...
def lines(array: ndarray, axis: int) -> int: ...
