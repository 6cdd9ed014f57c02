"""``{learning}`` shows a network that learns: an animation of what it computed.

The weights after each sample are computed when the page is built, and stand in it; the
script beside them draws.
"""

import base64
import json
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cbackprop import Network
from cbackprop.command import article
from cbackprop.plot import COLORS

TEMPLATE = Path(__file__).with_suffix(".html")
HIDDEN, LEARNING_RATE, SCALE = 8, 0.3, 1000
EACH_CLASS = (128, 176, 96)  # as often as in the article


def learn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, class indices, and all weights before the first and after each sample."""
    rng = np.random.default_rng(2)
    x, t = article.draw_samples(EACH_CLASS, rng)
    order = rng.permutation(len(t))
    x, t = ((x - x.mean(axis=0)) / x.std(axis=0))[order], t[order]
    network = Network(2, HIDDEN, 3, learning_rate=LEARNING_RATE, rng=2)
    weights = [np.concatenate([network.w, network.v], axis=None)]
    for x_n, t_n in zip(x, t.tolist(), strict=True):
        network.learn_one(x_n, t_n)
        weights.append(np.concatenate([network.w, network.v], axis=None))
    return x, t, np.array(weights)


def thousandths(numbers: np.ndarray) -> str:
    """Numbers in thousandths, as 16-bit integers in base64."""
    return base64.b64encode(np.rint(numbers * SCALE).astype("<i2").tobytes()).decode()


def page(x: np.ndarray, t: np.ndarray, weights: np.ndarray) -> str:
    """The animation, as HTML."""
    data = {
        "x": thousandths(x),
        "t": t.tolist(),
        "weights": thousandths(weights),
        "hidden": HIDDEN,
        "alpha": LEARNING_RATE,
        "scale": SCALE,
        "colors": COLORS[:3],
    }
    return TEMPLATE.read_text(encoding="utf-8").replace("DATA", json.dumps(data))


class Learning(SphinxDirective):
    """Show the animation."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(TEMPLATE))
        return [nodes.raw("", page(*learn()), format="html")]


def setup(app):
    app.add_directive("learning", Learning)
    return {"parallel_read_safe": True}
