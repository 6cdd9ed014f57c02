from ._kernel_api import *

__test__: dict[str, str]  # the examples in docstrings, for doctest
