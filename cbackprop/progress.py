"""Progress bars for training, drawn by tqdm.

Requires the extra `progress`: ``pip install "cbackprop[progress]"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cbackprop._extras import require


@contextmanager
def epoch_bar(epochs: int, **options: Any) -> Iterator[Callable[[int, float], None]]:
    """Progress bar over epochs, as a context manager that yields a callback for any `fit` of this library.

    Parameters
    ----------
    epochs : int
        Total number of epochs.
    **options
        Keyword arguments of `tqdm.tqdm`.

    Yields
    ------
    callable
        ``callback(epoch, loss)``, which advances the bar and shows the loss.

    Examples
    --------
    >>> import cbackprop, numpy as np
    >>> from cbackprop.progress import epoch_bar
    >>> network = cbackprop.Network(2, 3, 2, rng=0)
    >>> with epoch_bar(10, disable=True) as callback:
    ...     network.fit(np.eye(2), [0, 1], epochs=10, callback=callback).epochs
    10
    """
    with require("tqdm.auto", "progress").tqdm(total=epochs, unit="epoch", **options) as bar:

        def callback(epoch: int, loss: float) -> None:
            bar.set_postfix(E=f"{loss:.4g}", refresh=False)
            bar.update(epoch - bar.n)

        yield callback
