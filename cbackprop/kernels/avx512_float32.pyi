from ._doors import *

__test__: dict[str, str]  # the examples in docstrings, for doctest
