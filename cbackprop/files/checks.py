"""Checks of what model files hold beside weights: names of classes and columns, and the mixture of an ensemble."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._catalog import OUTPUTS


def check_names(what: str, names: Any, size: int) -> None:
    """Names of `size` classes or columns, all different."""
    if not (isinstance(names, list) and len(names) == size and all(isinstance(name, str) for name in names)):
        raise ValueError(f"its {what} must be {size} strings")
    if len(set(names)) != size:
        raise ValueError(f"its {what} must be different from each other")
    "".join(names).encode()  # raises UnicodeEncodeError for lone surrogates, which JSON can hold


def check_standardization(settings: Any, statistics: Any, output: str) -> None:
    """How samples are standardized, by the statistics of inputs and, if they are numbers, of targets."""
    if settings is None and statistics is None:
        return
    if settings is None or statistics is None:
        raise ValueError("its standardize and its statistics belong together")
    if not (isinstance(settings, dict) and settings.keys() == {"missing", "required"}):
        raise ValueError("its standardize must have the names missing and required")
    if settings["missing"] not in ("error", "mean") or not isinstance(settings["required"], bool):
        raise ValueError(f"its standardize is {settings}; missing must be 'error' or 'mean', and required a flag")
    if bool(statistics[1].size) == OUTPUTS[output].probabilities:
        raise ValueError(f"its target_statistics are of {statistics[1].shape[1]} targets of {output} outputs")


def check_categories(categories: Any, features: list[str] | None) -> None:
    """Levels by column, whose indicators are the last features."""
    if not (isinstance(categories, dict) and all(isinstance(levels, list) for levels in categories.values())):
        raise ValueError("its categories must be lists of levels by column")
    names = indicators(categories)
    if not all(isinstance(level, str) for levels in categories.values() for level in levels):
        raise ValueError("its categories must be strings")
    if features is None or features[len(features) - len(names) :] != names:
        raise ValueError("its last features must be the indicators of its categories")


def indicators(categories: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of the inputs that are 1 where a column has a level, and else 0."""
    return [f"{column}={level}" for column, levels in categories.items() for level in levels]


def check_hash(hashed: Any, features: list[str] | None, D: int) -> None:
    """The number of bits of D hashed inputs, and the columns of numbers and of texts."""
    if features is not None:
        raise ValueError("its inputs are both named and hashed")
    if not (isinstance(hashed, dict) and hashed.keys() == {"bits", "numbers", "texts"}):
        raise ValueError("its hash must be bits, numbers and texts")
    bits, numbers, texts = hashed["bits"], hashed["numbers"], hashed["texts"]
    if type(bits) is not int or not 0 < bits < 32 or 2**bits != D:
        raise ValueError(f"its hash has {bits!r} bits; the {D} inputs must be 2**bits")
    if not (isinstance(numbers, list) and isinstance(texts, list)):
        raise ValueError("its hash must have lists of columns")
    check_names("hashed columns", numbers + texts, len(numbers) + len(texts))


def check_mixture(log_weights: np.ndarray, dropped: np.ndarray, limits: np.ndarray, scale: np.ndarray) -> None:
    """Raise ValueError if these are not the numbers of a mixture."""
    none = (limits == [[np.inf], [-np.inf]]).all() or (limits == [[-np.inf], [np.inf]]).all()  # yet, or ever
    if not (none or (np.isfinite(limits).all() and (limits[0] <= limits[1]).all())):
        raise ValueError("limits must be finite, none of the first above the second, or all be infinite")
    if not (np.isin(dropped, (0, 1)).all() and (log_weights[dropped == 1] == -np.inf).all()):
        raise ValueError("dropped must be 0 or 1, and log_weights -infinity where it is 1")
    if not (log_weights <= 1e-9).all() or abs(np.exp(log_weights).sum() - 1) > 1e-9:
        raise ValueError("log_weights must be logarithms of numbers that sum to 1")
    if not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise ValueError("scale must be finite and not negative")
