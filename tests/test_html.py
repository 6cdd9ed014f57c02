"""The HTML of notebooks is well-formed, escaped and complete, and drawings lie within their frames."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from cbackprop import Ensemble, History, Network

SVG = "{http://www.w3.org/2000/svg}"


def parsed(thing):
    return ET.fromstring(thing._repr_html_())


def texts(page):
    return ["".join(element.itertext()) for element in page.iter() if element.tag in (f"{SVG}text", "td", "th", "b")]


def coordinates(page):
    """x and y of everything that is drawn."""
    for element in page.iter():
        for x, y in (("x", "y"), ("cx", "cy"), ("x1", "y1"), ("x2", "y2")):
            if x in element.attrib:
                yield float(element.attrib[x]), float(element.attrib[y])
        for point in element.attrib.get("points", "").split():
            x, y = point.split(",")
            yield float(x), float(y)


def within_the_frame(page):
    width, height = (float(page.find(f"{SVG}svg").attrib[side]) for side in ("width", "height"))
    return all(0 <= x <= width and 0 <= y <= height for x, y in coordinates(page))


@pytest.mark.parametrize("sizes", [(1, 1, 2), (2, 5, 3), (784, 100, 10), (5, 6, 100)])
def test_network(sizes):
    D, M, K = sizes
    network = Network(*sizes, hidden="tanh", dtype=np.float32, learning_rate=0.25)
    page = parsed(network)
    shown = texts(page)
    assert {f"{D} inputs", f"{M} tanh", f"{K} softmax", "Network", "0.25"} <= set(shown)
    assert f"{M * (D + 1) + K * (M + 1):,}" in shown
    assert {"float32", str(network.w.shape), str(network.v.shape)} <= set(shown)
    drawn = [min(size, 4) if size > 5 else size for size in sizes]
    assert len(list(page.iter(f"{SVG}circle"))) == sum(drawn)
    assert len(list(page.iter(f"{SVG}line"))) == drawn[0] * drawn[1] + drawn[1] * drawn[2]
    assert shown.count("⋮") == sum(size > 5 for size in sizes)
    assert within_the_frame(page)


def test_ensemble():
    ensemble = Ensemble(2, 5, 3, learning_rates=[0.25, 1e300], hidden=["tanh", "relu"], output="linear", rng=0)
    ensemble.learn_one([1, 2], [1, 2, 3])
    ensemble.learn_one([1, 2], [1, 2, 3])
    page = parsed(ensemble)
    shown = texts(page)
    assert {"Ensemble", "5 tanh, relu", "3 linear", "66", str(ensemble.w.shape), str(ensemble.v.shape)} <= set(shown)
    assert shown[shown.index("network 0") + 1] == "tanh, learning rate 0.25, weight 1.000"
    assert shown[shown.index("network 1") + 1] == "relu, learning rate 1e+300, diverged"
    assert within_the_frame(page)
    page = parsed(Ensemble(2, [8, 32, 1200], 3, learning_rates=[0.1] * 3))
    shown = texts(page)
    assert {"8 to 1,200 sigmoid", "7,449"} <= set(shown)
    assert shown[shown.index("network 1") + 1] == "32 sigmoid, learning rate 0.1, weight 0.333"
    assert within_the_frame(page)
    shown = texts(parsed(Ensemble(2, 3, 2, learning_rates=[0.1] * 25)))
    assert shown[-2:] == ["…", "5 more"]
    assert "network 19" in shown


def test_rates_that_adapt():
    assert "0.25, adapted to each unit" in texts(parsed(Network(2, 3, 2, learning_rate=0.25, adaptive=True)))
    shown = texts(parsed(Ensemble(2, 3, 2, learning_rates=[0.25], adaptive=True)))
    assert "sigmoid, learning rate 0.25, adapted to each unit, weight 1.000" in shown


def test_names_are_escaped():
    network = type("<script>&", (Network,), {})(2, 3, 2)
    assert "<script>" not in network._repr_html_()
    assert "<script>&" in texts(parsed(network))


@pytest.mark.parametrize(
    "losses", [[], [0.5], [0.5, 0.5], [2.0, 1.0, 0.5], [1.0, 0.0], np.linspace(3, 1, 5000).tolist()]
)
def test_history(losses):
    history = History(losses, len(losses), 10 * len(losses))
    page = parsed(history)
    shown = texts(page)
    assert {"History", f"{len(losses):,}", f"{10 * len(losses):,}"} <= set(shown)
    if losses:
        assert f"{losses[-1]:.4g}" in shown
        assert f"{min(losses):.4g} in epoch {losses.index(min(losses)) + 1:,}" in shown
        assert within_the_frame(page)
    assert len(history._repr_html_()) < 6000  # bytes, however many epochs there are


def test_the_repr_of_a_history_is_a_summary():
    assert repr(History([1.23456, 0.5], 2, 20)) == "History(losses=[1.235, 0.5], epochs=2, samples=20)"
    history = History([1 / n for n in range(1, 1001)], 1000, 10_000)
    text = "History(losses=[1, 0.5, 0.3333, ..., 0.001002, 0.001001, 0.001], epochs=1000, samples=10000)"
    assert repr(history) == str(history) == text
