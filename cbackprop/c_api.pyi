from typing import Any

from typing_extensions import disjoint_base

from ._network import Network as Network

__pyx_capi__: dict[str, Any]  # capsules of learn and predict
__test__: dict[str, str]

@disjoint_base
class Handle:
    def __init__(self, network: Network) -> None: ...
    @property
    def network(self) -> Network: ...
    @property
    def address(self) -> int: ...
    def __enter__(self) -> Handle: ...
    def __exit__(self, *error: object) -> None: ...
