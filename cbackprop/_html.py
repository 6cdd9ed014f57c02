"""HTML of networks and trainings for notebooks: a small drawing and a table, without scripts or style sheets."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from ._catalog import OUTPUTS

Network = Any  # whose module imports this one

WIDTH, HEIGHT = 300, 124  # of the drawings
MAX_UNITS = 5  # of a layer that are drawn
MAX_NETWORKS = 20  # of an ensemble that are listed
MAX_POINTS = 200  # of a learning curve


def networks_html(title: str, networks: Sequence[Network], states: Sequence[str] | None = None) -> str:
    """The layers and the parameters of a network or, with the states of its members, of an ensemble."""
    first, widths = networks[0], sorted({len(network.w) for network in networks})
    rows: dict[str, Any] = {} if states is None else {"networks": f"{len(networks):,}"}
    rows["parameters"] = f"{sum(network.w.size + network.v.size for network in networks):,}"
    if len(widths) == 1:
        R = () if states is None else (len(networks),)
        rows |= {"w": (*R, *first.w.shape), "v": (*R, *first.v.shape)}
    rows["dtype"] = first.w.dtype
    if states is None:
        rows["learning rate"] = _rate(first)
    if first.standardize:
        what = "inputs" if OUTPUTS[first.functions.output].probabilities else "inputs and targets"
        rows["standardized"] = what + (", missing inputs are the mean" if first.missing == "mean" else "")
    for r, (network, state) in enumerate(zip(networks, states or (), strict=False)):
        if r == MAX_NETWORKS:
            rows["…"] = f"{len(networks) - r:,} more"
            break
        units = network.functions.hidden if len(widths) == 1 else f"{len(network.w):,} {network.functions.hidden}"
        rows[f"network {r}"] = f"{units}, learning rate {_rate(network)}, {state}"
    names = ", ".join(dict.fromkeys(network.functions.hidden for network in networks))  # each once
    hidden = f"{' to '.join(f'{M:,}' for M in widths[:: len(widths) - 1 or 1])} {names}"
    return _page(title, _layers(max(networks, key=lambda network: len(network.w)), hidden), rows)


def _rate(network: Network) -> str:
    return f"{network.learning_rate:g}{', adapted to each unit' if network.accumulators else ''}"


def _layers(network: Network, hidden: str) -> list[str]:
    (M, D1), K = network.w.shape, len(network.v)
    layers = [(D1 - 1, f"{D1 - 1:,} inputs"), (M, hidden), (K, f"{K:,} {network.functions.output}")]
    units = [_places(size, 40 + 110 * column) for column, (size, _) in enumerate(layers)]
    shapes = [
        f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="currentColor" stroke-opacity="0.25"/>'
        for first, second in pairwise(units)
        for x0, y0 in first
        for x1, y1 in second
    ]
    for (size, label), column, color in zip(layers, units, ("#56B4E9", "#E69F00", "#009E73"), strict=True):
        shapes += [f'<circle cx="{x}" cy="{y}" r="6" fill="{color}" stroke="currentColor"/>' for x, y in column]
        x = column[0][0]
        if size > MAX_UNITS:
            shapes.append(_text(x, 56, "⋮"))
        shapes.append(_text(x, HEIGHT - 6, label))
    return shapes


def history_html(E: Sequence[float], samples: int) -> str:
    """The learning curve of a training, on a logarithmic scale where E is positive, and its last and lowest error."""
    losses = np.array(E, dtype=np.float64)
    rows = {"epochs": f"{losses.size:,}", "samples": f"{samples:,}"}
    if not losses.size:
        return _page("History", [], rows)
    lowest = int(losses.argmin())
    rows |= {"last E": f"{losses[-1]:.4g}", "lowest E": f"{losses[lowest]:.4g} in epoch {lowest + 1:,}"}
    shown = np.unique(np.linspace(0, losses.size - 1, MAX_POINTS).round().astype(int))
    heights = np.log(losses[shown]) if losses.min() > 0 else losses[shown]
    x = 60 + (WIDTH - 70) * shown / max(1, losses.size - 1)
    y = 10 + 90 * (heights.max() - heights) / (np.ptp(heights) or 1)
    points = " ".join(f"{x_n:.1f},{y_n:.1f}" for x_n, y_n in zip(x, y, strict=True))
    curve = f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-width="2"/>'
    dot = f'<circle cx="{x[-1]:.1f}" cy="{y[-1]:.1f}" r="3" fill="#0072B2"/>'
    labels = [
        _text(52, 14, f"{losses[shown].max():.3g}", "end"),
        _text(52, 104, f"{losses[shown].min():.3g}", "end"),
        _text(60, HEIGHT - 6, "epoch 1", "start"),
        _text(WIDTH - 4, HEIGHT - 6, f"{losses.size:,}", "end"),
    ]
    return _page("History", [curve, dot, *labels], rows)


def _places(size: int, x: int) -> list[tuple[int, int]]:
    """Where the units of a layer are drawn; in a large layer, a gap stands for most of them."""
    shown = [k for k in range(min(size, MAX_UNITS)) if size <= MAX_UNITS or k != MAX_UNITS // 2]
    middle = (min(size, MAX_UNITS) - 1) / 2
    return [(x, round(52 + 20 * (k - middle))) for k in shown]


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="11" fill="currentColor">{escape(text)}</text>'


def _page(title: str, shapes: list[str], rows: dict[str, Any]) -> str:
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">{"".join(shapes)}</svg>'
        if shapes
        else ""
    )
    table = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<div><b>{escape(title)}</b><br/>{drawing}<table>{table}</table></div>"
