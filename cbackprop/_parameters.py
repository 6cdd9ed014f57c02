"""Descriptions of parameters that several estimators share, and the decorators that fill them in.

A line of names in a section of a docstring, such as ``alpha, batch_size``, stands for their entries in a text in the
format of numpydoc. `describe` replaces it, so that ``help()`` and Sphinx show a complete docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

Described = TypeVar("Described", bound=Callable[..., Any])

ESTIMATOR = """
hidden_layer_sizes : int or sequence of one int
    M, the number of hidden units.
activation : {"logistic", "tanh", "relu"}
    Function of the hidden units; "logistic" is the sigmoid.
shuffle : bool
    Draw a new order of the samples for each epoch.
random_state : int, RandomState instance or None
    Source of random numbers for the initial weights, the order of the samples and, if there is one, the validation set.
n_features_in_ : int
    D, the number of inputs.
feature_names_in_ : ndarray of shape (D,)
    Names of the inputs, if all of them have names that are strings.
"""  # of scikit-learn and of Dask


def describe(*texts: str) -> Callable[[Described], Described]:
    """Decorator that puts the entries of `texts` in place of names in the docstring of a class or function.

    The parameters of a class are described with their defaults, which come from the signature.
    """
    blocks = [block for text in texts for block in re.split(r"\n(?=\S)", text.strip())]
    entries = {name: block for block in blocks for name in block.partition(" : ")[0].split(", ")}

    def fill(described: Described) -> Described:
        parameters = inspect.signature(described).parameters if inspect.isclass(described) else {}

        def entry(indent: str, name: str) -> str:
            first, *rest = entries[name].split("\n")
            if name in parameters:
                first += f", default={parameters[name].default!r}".replace("'", '"')
            return "\n".join(indent + line for line in (first, *rest))

        def fill_line(line: re.Match[str]) -> str:
            names = line["names"].split(", ")
            if not entries.keys() >= set(names):
                return line[0]
            return "\n".join(dict.fromkeys(entry(line["indent"], name) for name in names))

        if described.__doc__:  # which Python -OO removes
            pattern = r"^(?P<indent> *)(?P<names>\w+(?:, \w+)*),?$"
            described.__doc__ = re.sub(pattern, fill_line, described.__doc__, flags=re.MULTILINE)
        return described

    return fill
