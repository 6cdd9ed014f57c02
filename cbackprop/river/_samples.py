"""Samples of River as arrays: numbers by name, hashed names, the columns of data frames, labels."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import repeat
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from river import utils
from scipy.sparse import csr_array

from cbackprop import _validation as validate
from cbackprop._extras import require

NUMBERS = {bool, float, int, np.float64}  # the most frequent types of the values of features
MAX_NUMERIC_CLASSES = 1000  # more are hardly classes


def number(value: Any) -> float:
    """The value as a float; NaN if it is not a number."""
    try:
        return np.nan if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return np.nan


def truth(value: Any) -> float:
    """1 for True and 0 for False; NaN for any other value."""
    converted = number(value)
    return converted if converted in (0, 1) else np.nan


def numbers_by_name(
    values: Any,
    argument: str = "x",
    kind: str = "feature",
    convert: Callable[[Any], float] = number,
    needed: str = "a finite number",
    place: str = "",
) -> dict[Hashable, float]:
    """Validated numbers by name."""
    if not hasattr(values, "items"):  # dicts of River are not instances of Mapping
        raise TypeError(f"{argument} is a {type(values).__name__}; it must be a dict of values by {kind} name")
    numbers = {}
    for name, value in values.items():
        numbers[name] = convert(value)
        if not isfinite(numbers[name]):
            remedy = ""
            if kind == "feature" and isinstance(value, str):
                remedy = ": encode text, for example with River's OneHotEncoder, or hash names: n_features=2**18"
            elif value is None or (isinstance(value, float) and value != value):
                remedy = f": leave out {kind}s that are missing"
                if kind == "feature":
                    remedy += ", or use River's StatImputer"
            raise ValueError(f"{kind} {name!r} is {value!r}{place}; it must be {needed}{remedy}")
    return numbers


def new_names(names: Iterable[Any], known: Collection[Any]) -> list[Any]:
    """Names that are not known, in an order that does not depend on the given one, even if they cannot be compared."""
    return sorted((name for name in names if name not in known), key=repr)


def new_labels(labels: Iterable[Any], known: Collection[Any]) -> list[Any]:
    """New labels in the order in which they appear."""
    try:
        new = [label for label in dict.fromkeys(labels) if label not in known]
    except TypeError as error:
        raise TypeError(f"y is not a label: {error}; it must be hashable") from None
    for k, label in enumerate(new, len(known)):
        if label is None or label != label:
            raise ValueError(f"y is {label!r}; it must be a label")
        if isinstance(label, Real) and (label % 1 or k >= MAX_NUMERIC_CLASSES):
            found = "is not a whole number" if label % 1 else f"would be class {k + 1}, which suggests that it is none"
            raise ValueError(
                f"y is {label!r}, which {found}: to predict numbers, use BackpropRegressor; if they are labels, make "
                "them strings"
            )
    return new


def columns_by_name(X: Any) -> tuple[dict[Any, np.ndarray], int]:
    """Validated columns of a data frame, and its number of rows."""
    frame = utils.dataframe.into_frame(X)
    columns = {}
    for name, series in zip(frame.columns, frame.iter_columns(), strict=True):
        columns[name] = column = series.to_numpy()
        if column.dtype.kind not in "biuf":
            raise ValueError(f"feature {name!r} has dtype {column.dtype}; it must hold numbers")
        if not (finite := np.isfinite(column)).all():
            n = int(finite.argmin())
            raise ValueError(f"feature {name!r} is {column[n]} in row {n}; it must be a finite number")
    return columns, len(frame)


class Hasher:
    """Inputs by the hashes of their names, as by scikit-learn's FeatureHasher but for their order.

    Parameters
    ----------
    n_features : int
        The number of inputs.
    """

    def __init__(self, n_features: Any) -> None:
        self.n_features = validate.count("n_features", n_features)
        self.hash: Any = require("sklearn.utils", "sklearn").murmurhash3_32

    def row(self, x: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Indices and values of a sample."""
        names: Collection[Any] = x
        try:
            numbers: Iterable[Any] = x.values()
            types = set(map(type, numbers))
            if types == {str}:  # a shortcut
                names, numbers = list(map("%s=%s".__mod__, x.items())), repeat(1.0)
            elif not types <= NUMBERS:
                names, numbers = [], []
                for name, value in x.items():
                    text = isinstance(value, str)
                    names.append(f"{name}={value}" if text else name)
                    numbers.append(1.0 if text else number(value))
            values = np.fromiter(numbers, np.float64, len(x))
        except (AttributeError, OverflowError):
            self.check(x)  # raises an error: x is not a dict, or a number is too large
            raise
        try:
            hashes = np.fromiter(map(self.hash, map(str.encode, names)), np.int64, len(x))
        except (TypeError, UnicodeEncodeError):
            name = next(n for n in names if not isinstance(n, str) or n.encode(errors="ignore").decode() != n)
            raise TypeError(f"feature {name!r} cannot be hashed; its name must be a str, without surrogates") from None
        return np.abs(hashes) % self.n_features, values * np.copysign(1.0, hashes)

    def rows(self, X: Any) -> csr_array:
        """The inputs of the rows of a data frame."""
        frame = utils.dataframe.into_frame(X)
        rows = []
        for n, x in enumerate(frame.iter_rows(named=True)):
            rows.append(self.row(x))
            if not np.isfinite(rows[n][1]).all():
                self.check(x, f" in row {n}")
        indices = np.array([i for i, _ in rows], np.intp).ravel()
        values = np.array([x for _, x in rows], np.float64).ravel()
        bounds = np.arange(len(rows) + 1) * len(frame.columns)
        return csr_array((values, indices, bounds), (len(rows), self.n_features))

    @staticmethod
    def check(x: Any, place: str = "") -> None:
        """Raise an error that names the first feature whose value is neither a finite number nor a string."""
        if hasattr(x, "items"):
            x = {name: value for name, value in x.items() if not isinstance(value, str)}
        numbers_by_name(x, place=place)
