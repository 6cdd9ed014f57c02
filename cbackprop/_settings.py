"""The data and the settings of a training, validated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import _validation as validate
from ._catalog import OUTPUTS
from ._sparse import SparseRows, input_arrays


class Settings(NamedTuple):
    """Settings of a training, rounded to the dtype of the weights.

    A new setting needs a field, a check in `validated` and a keyword in the public functions.
    """

    learning_rate: float
    batch_size: int
    method: str
    momentum: float
    l2: float
    adaptive: bool
    shuffle: bool
    hidden: str
    output: str

    @classmethod
    def validated(
        cls,
        dtype: np.dtype,
        x: np.ndarray | SparseRows,
        functions: validate.Functions,
        *,
        learning_rate: Any,
        batch_size: Any,
        method: Any,
        momentum: Any,
        l2: Any,
        adaptive: Any,
        shuffle: Any,
    ) -> Settings:
        """Validate settings for validated inputs and weights of `dtype`."""
        settings = cls(
            learning_rate=validate.learning_rate(learning_rate, dtype),
            batch_size=validate.batch_size(batch_size, len(x)),
            method=validate.choice("method", method, validate.METHODS),
            momentum=validate.in_range("momentum", momentum, 1, dtype),
            l2=validate.in_range("l2", l2, float(np.finfo(dtype).max), dtype),
            adaptive=validate.flag("adaptive", adaptive),
            shuffle=validate.flag("shuffle", shuffle),
            hidden=functions.hidden,
            output=functions.output,
        )
        if settings.adaptive and settings.momentum:
            raise ValueError(f"momentum is {momentum!r} and rates are adaptive; momentum must be 0")
        if settings.momentum and isinstance(x, SparseRows):
            raise ValueError(
                f"momentum is {settings.momentum:g} and x is sparse; it must be 0, because momentum changes all "
                f"weights at every update, not only those of the non-zeros"
            )
        if settings.method == "blocked" and isinstance(x, SparseRows):
            raise ValueError("method is 'blocked' and x is sparse; it must be 'auto' or 'direct', or use x.toarray()")
        return settings


class Data(NamedTuple):
    """Validated training data. Either `rows` or `labels` holds the targets; the other is None."""

    x: np.ndarray | SparseRows
    rows: np.ndarray | None
    labels: np.ndarray | None
    sample_weight: np.ndarray | None

    @classmethod
    def validated(
        cls,
        x: Any,
        t: Any,
        w: np.ndarray,
        v: np.ndarray,
        output: str,
        sample_weight: Any = None,
        *,
        writeable: bool = False,
        finite: bool = True,
        missing: str | None = None,
    ) -> Data:
        """Validate samples, and the weights of the network that they are for, which must be writeable to be trained.

        With `missing`, samples are to be standardized: see `validate.inputs`.
        """
        validate.weights(w, v, writeable=writeable)
        x = validate.inputs(x, w, v, writeable=writeable, finite=finite, missing=missing)
        double = missing is not None and not OUTPUTS[output].probabilities
        rows, labels = validate.targets(t, len(x), w, v, output, writeable=writeable, double=double)
        return cls(x, rows, labels, validate.sample_weight(sample_weight, len(x), w, v))

    @property
    def arrays(self) -> tuple[np.ndarray | None, ...]:
        """All arrays."""
        return *input_arrays(self.x), self.rows, self.labels, self.sample_weight

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all samples."""
        return len(self.x) if self.sample_weight is None else float(self.sample_weight.sum(dtype=np.float64))
