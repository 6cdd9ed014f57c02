"""Plots contain the data they show."""

from itertools import pairwise

import numpy as np
import pytest

import cbackprop

pytest.importorskip("matplotlib")
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from cbackprop import plot
from cbackprop.plot import GRID_POINTS


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def pyplot():
    """Pyplot without a display and without figures."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    pyplot.close("all")
    yield pyplot
    pyplot.close("all")


@pytest.fixture
def corners():
    """A network that classifies three corners of a square of side 100, with the corners and their classes."""
    pytest.importorskip("sklearn")
    x, t = np.array([[0.0, 0], [100, 0], [0, 100]]), np.array([0, 1, 2])
    network = cbackprop.Network(2, 6, 3, learning_rate=0.5, rng=0)
    network.fit(x / 100, t, epochs=500, rng=0)
    assert network.predict(x / 100).tolist() == [0, 1, 2]
    return network, x, t


def texts(artists):
    return [text.get_text() for text in artists]


def legend(ax):
    return texts(ax.get_legend().get_texts())


# --------------------------------------------------------------------------------------------------------------- axes


def test_each_plot_opens_a_figure_of_its_own(pyplot):
    axes = [plot.learning_curve([1.0]), plot.learning_curve([1.0]), *plot.mixture([[0.5, 0.5]], [[1, 2]])]
    assert [pyplot.figure(number).axes for number in pyplot.get_fignums()] == [axes[:1], axes[1:2], axes[2:]]
    assert [line.get_label() for line in axes[3].lines] == ["0", "1"]
    axes[3].figure.canvas.draw()  # of a single sample, too


def test_missing_matplotlib_is_reported_with_the_command_that_installs_it(python):
    done = python(
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'matplotlib': raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent)\n"
        "from cbackprop import plot\n"
        "try: plot.learning_curve([1.0])\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    assert done.stdout == 'matplotlib is not installed; to install it: pip install "cbackprop[plot]"\n'


def test_colors_are_distinct_to_every_eye():
    """The first three colors and white differ in luminance alone, for any kind of color blindness."""
    luminance = [np.dot([0.2126, 0.7152, 0.0722], np.array(to_rgb(color)) ** 2.2) for color in plot.COLORS[:3]]
    assert np.diff(sorted([*luminance, 1.0])).min() > 0.08


# ----------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("epochs", [1, 3])
def test_learning_curve(ax, epochs):
    history = cbackprop.History(losses=[1.0, 0.1, 0.01][:epochs], epochs=epochs, samples=9)
    assert plot.learning_curve(history, held_out=[1.0, 0.5, 0.4], ax=ax) is ax
    training, held_out = ax.lines
    assert training.get_xydata().tolist() == [[1, 1.0], [2, 0.1], [3, 0.01]][:epochs]
    assert held_out.get_ydata().tolist() == [1.0, 0.5, 0.4]
    assert [line.get_marker() for line in ax.lines] == ["o" if epochs == 1 else "None", "None"]  # a point is visible
    assert legend(ax) == ["training", "held out"]
    assert ax.get_yscale() == "log"
    ticks = plot.learning_curve([0.9] * epochs, ax=Figure().subplots()).get_xticks()
    assert np.array_equal(ticks, np.round(ticks))


@pytest.mark.parametrize(
    ("losses", "numbers"), [([0.9, 0.8], {"0.8", "0.9"}), ([1.5, 0.1, 0.04], {"1", "0.5", "0.2", "0.1", "0.05"})]
)
def test_axes_of_errors_have_several_numbers(ax, losses, numbers):
    plot.learning_curve(losses, ax=ax)
    assert ax.get_legend() is None
    ax.figure.draw_without_rendering()
    low, high = ax.get_ylim()
    shown = set()
    for minor in (False, True):
        places = zip(ax.get_yticks(minor=minor), texts(ax.get_yticklabels(minor=minor)), strict=True)
        shown |= {label for place, label in places if low <= place <= high}
    assert shown - {""} >= numbers
    assert len(shown) <= 12


def test_hidden_units(ax):
    w = np.arange(3 * 7.0).reshape(3, 7) - 10
    assert plot.hidden_units(w, (2, 3), columns=2, ax=ax) is ax
    assert len(ax.images) == 3
    for image, w_j in zip(ax.images, w, strict=True):
        assert np.array_equal(image.get_array(), w_j[:-1].reshape(2, 3))  # without the bias
        assert image.get_clim() == (-10, 10)  # one scale for all, with white at 0
    left, _, bottom, _ = ax.images[2].get_extent()
    assert left == 0  # the third begins the second row
    assert bottom > ax.images[0].get_extent()[2]


def test_network():
    drawn, x = cbackprop.Network(2, 3, 2, rng=0), [0.5, -2.0]
    drawn.w[:, -1], drawn.v[:, -1] = [0.3, 0.2, -0.1], [0.4, -0.5]
    ax, named = Figure().subplots(1, 2)
    assert plot.network(drawn, x, ax=ax) is ax
    of_w, of_v = (lines for lines in ax.collections if hasattr(lines, "get_segments"))
    for lines, weights in ((of_w, drawn.w.ravel()), (of_v, drawn.v.ravel())):
        assert np.array_equal(np.argsort(lines.get_linewidths()), np.argsort(np.abs(weights)))
        assert np.array_equal(lines.get_colors()[:, 0] > lines.get_colors()[:, 2], weights > 0)  # red or blue
    (x0, y0), (x1, y1) = of_w.get_segments()[2 * 3 + 0]
    place = {text.get_text(): text.get_position() for text in plot.network(drawn, ax=named).texts}
    assert (place["$x_{0}$"], place["$z_{2}$"]) == ((x0, y0), (x1, y1))  # of w[2, 0]
    y, _, z, _ = cbackprop.forward([x], drawn.w, drawn.v)
    numbers = [f"{number:.2g}" for number in np.concatenate([drawn.w, drawn.v, x, z, y], axis=None)]
    names = ["$1$", "$1$", *(f"${unit}$" for unit in ("x_{0}", "x_{1}", "z_{0}", "z_{1}", "z_{2}", "y_{0}", "y_{1}"))]
    assert sorted(texts(ax.texts)) == sorted(numbers + names)
    many = plot.network(cbackprop.Network(10, 10, 3, rng=0), ax=Figure().subplots())
    assert len(many.texts) == 25  # without numbers, which would cover each other


def test_mixture():
    """Of three networks, of which the second diverges."""
    losses = np.random.default_rng(0).exponential(size=(5000, 3)) * [1, 2, 3]
    losses[3000:, 1] = np.inf
    weights = np.exp(-np.minimum(losses, 100))
    weights /= weights.sum(axis=1, keepdims=True)
    axes = Figure().subplots(2, 1)
    above, below = plot.mixture(weights, losses, labels=[0.1, 0.3, 1], window=10, axes=axes)
    assert (above, below) == tuple(axes)
    assert legend(above) == ["0.1", "0.3", "1"]
    for r, (line, area) in enumerate(zip(below.lines, above.collections, strict=True)):
        n, E = line.get_data()
        assert (n[0], n[-1]) == (1, 5000)
        wanted = [losses[max(0, last - 10) : last, r].mean() for last in n]
        finite = np.isfinite(wanted)
        assert finite.all() == (r != 1)
        np.testing.assert_allclose(E[finite], np.array(wanted)[finite])
        assert not np.isfinite(E[~finite]).any()
        assert line.get_color() == plot.COLORS[r]
        np.testing.assert_allclose(area.get_facecolor()[0, :3], to_rgb(plot.COLORS[r]))
    assert max(path.vertices[:, 1].max() for path in above.collections[-1].get_paths()) == pytest.approx(1)
    assert len(n) <= 1000
    assert below.get_yscale() == "log"
    above.figure.canvas.draw()


# ------------------------------------------------------------------------------------------------------------- classes


def predicted_in(mesh, point):
    """The class whose color the plane has at a point, and the middle of that part of the plane."""
    corners = np.asarray(mesh.get_coordinates())[:-1, :-1]
    row = np.abs(corners[:, 0, 1] - point[1]).argmin()
    column = np.abs(corners[0, :, 0] - point[0]).argmin()
    return mesh.get_array().reshape(corners.shape[:2])[row, column], corners[row, column]


def test_decision_regions(ax, corners):
    network, x, t = corners
    assert plot.decision_regions(network, x, t, scale=100, classes=["a", "b", "c"], ax=ax) is ax
    mesh, *points = ax.collections
    # the color of the plane, at samples and far from them, is that of the predicted class
    for point in ([0, 0], [100, 0], [0, 100], [60, 40], [90, 90]):
        shown, place = predicted_in(mesh, point)
        assert shown == network.predict(place[np.newaxis] / 100)[0]
    assert [each.get_offsets().tolist() for each in points] == [[corner] for corner in x.tolist()]
    assert legend(ax) == ["a", "b", "c"]


@pytest.mark.parametrize("K", [3, 8, 9])
def test_colors_of_classes(ax, K):
    pytest.importorskip("sklearn")
    network, x = cbackprop.Network(2, 5, K, rng=0), np.random.default_rng(0).normal(size=(K, 2))
    mesh, *points = plot.decision_regions(network, x, np.arange(K), ax=ax).collections
    colors = mesh.cmap(mesh.norm(np.arange(K)))[:, :3]
    assert len(np.unique(colors, axis=0)) == K
    assert K > 8 or np.allclose(colors, [to_rgb(color) for color in plot.COLORS[:K]])
    np.testing.assert_allclose(colors, [point.get_facecolor()[0, :3] for point in points])


def test_plots_of_classifiers(corners):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    from cbackprop.sklearn import BackpropClassifier

    network, x, t = corners
    names = np.array(["a", "b", "c"])
    model = BackpropClassifier.from_network(network, names, random_state=0)
    wanted, drawn, one, other = Figure().subplots(1, 4)
    plot.decision_regions(network, x, t, scale=100, classes=names, ax=wanted)
    plot.decision_regions(make_pipeline(MaxAbsScaler().fit(x), model), x, names[t], ax=drawn)
    for first, second in zip(wanted.collections, drawn.collections, strict=True):
        assert np.array_equal(first.get_array(), second.get_array())
        assert np.array_equal(first.get_offsets(), second.get_offsets())
    assert legend(drawn) == ["a", "b", "c"]

    model.fit(x / 100, names[t], X_val=x / 100, y_val=names[t])
    curves = [plot.learning_curve(model, ax=one), plot.learning_curve(model, held_out=np.array([3.0, 2.0]), ax=other)]
    (training, held_out), (_, given) = ([line.get_ydata().tolist() for line in ax.lines] for ax in curves)
    assert (training, held_out, given) == (model.loss_curve_, model.validation_loss_curve_, [3.0, 2.0])


def test_decision_regions_of_a_single_logistic_output(ax):
    pytest.importorskip("sklearn")
    x, t = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([False, False, True, True])
    network = cbackprop.Network(2, 4, 1, output="logistic", learning_rate=0.5, rng=0)
    network.fit(x, t, epochs=200, rng=0)
    mesh, first, second = plot.decision_regions(network, x, t, ax=ax).collections
    assert [predicted_in(mesh, point)[0] for point in x] == [0, 0, 1, 1]
    assert (first.get_offsets().tolist(), second.get_offsets().tolist()) == (x[:2].tolist(), x[2:].tolist())


def test_names_are_drawn_verbatim(corners):
    """Matplotlib parses text between two $ as mathematics and omits legend labels that begin with _."""
    network, x, t = corners
    names = ["$0-$10k", r"$\frac$", "_c"]
    regions, matrix, images = Figure().subplots(1, 3)
    plot.decision_regions(network, x, t, scale=100, classes=names, ax=regions)
    plot.confusion(np.eye(3, dtype=int), classes=names, ax=matrix)
    plot.misclassified(np.zeros((3, 2, 2)), [0, 1, 2], [1, 2, 0], classes=names, ax=images)
    assert legend(regions) == names
    labels = [*matrix.get_xticklabels(), *matrix.get_yticklabels()]
    assert texts(labels) == 2 * names
    drawn = [*regions.get_legend().get_texts(), *labels, *images.texts]
    assert not any(text.get_parse_math() for text in drawn)


def test_confusion(ax):
    matrix = np.array([[3, 1, 0], [0, 7, 0], [0, 0, 0]])  # the third class has no samples: no division by 0
    assert plot.confusion(matrix, classes=["x", "y", "z"], ax=ax) is ax
    assert {text.get_position(): text.get_text() for text in ax.texts} == {(0, 0): "3", (1, 0): "1", (1, 1): "7"}
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert texts(ax.get_xticklabels()) == ["x", "y", "z"]
    assert to_rgb(ax.texts[0].get_color()) == (1, 1, 1)  # legible on the dark cell


@pytest.mark.parametrize(
    ("true", "predicted", "classes", "names"),
    [
        ([0, 1, 1, 2], [0, 1, 2, 2], None, "012"),
        (["a", "b", "b", "c"], ["a", "b", "c", "c"], None, "abc"),
        ([0, 1, 1, 2], [0, 1, 2, 2], ["x", "y", "z"], "xyz"),
        (["x", "y", "y", "z"], [0, 1, 2, 2], ["x", "y", "z"], "xyz"),
        ([0.0, 1.0, 1.0, 2.0], np.array([0, 1, 2, 2], np.uint8), None, "012"),
        ([0, 1, 1, 2], np.eye(4)[[0, 1, 2, 2]], None, "0123"),
        (["a", "b", "b", "c"], np.eye(3)[[0, 1, 2, 2]], None, "abc"),
        (["a", "b", "b", "c"], np.eye(3)[[0, 1, 2, 2]], np.array(["a", "b", "c"]), "abc"),
        ([-1, 5, 5, 7], [-1, 5, 7, 7], None, ["-1", "5", "7"]),
        ([False, True, True], [False, True, False], None, ["False", "True"]),
    ],
)
def test_confusion_of_what_was_predicted(ax, true, predicted, classes, names):
    plot.confusion(true, predicted, classes=classes, ax=ax)
    cells = {(text.get_position(), text.get_text()) for text in ax.texts}
    wrong = {((0, 1), "1")} if len(true) == 3 else {((2, 1), "1"), ((2, 2), "1")}
    assert cells == {((0, 0), "1"), ((1, 1), "1")} | wrong
    assert texts(ax.get_xticklabels()) == texts(ax.get_yticklabels()) == list(names)


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        (["setosa", "versicolor"], None),
        (["international business", "x" * 60, "cargo"], "constrained"),
        ([f"class {k}" for k in range(30)], None),
    ],
)
def test_names_beside_a_confusion_matrix_are_legible(names, layout):
    figure = Figure(figsize=(5, 4), layout=layout)
    ax = plot.confusion(np.eye(len(names), dtype=int), classes=names, ax=figure.subplots())
    figure.draw_without_rendering()
    columns, rows = ax.get_xticklabels(), ax.get_yticklabels()
    assert [text[:20] for text in texts(columns)] == [name[:20] for name in names]
    assert max(map(len, texts(rows))) <= 24
    horizontal = columns[0].get_rotation() == 0
    assert horizontal == (len(names) == 2)
    for labels in (rows, columns) if horizontal else (rows,):
        assert not any(one.overlaps(other) for one, other in pairwise(label.get_window_extent() for label in labels))
    assert columns[0].get_fontsize() == rows[0].get_fontsize() >= 4


def test_names_and_counts_of_many_classes_are_omitted(ax):
    plot.confusion(np.ones((60, 60), dtype=int), classes=[f"class {k}" for k in range(60)], ax=ax)
    ax.figure.draw_without_rendering()
    labels = texts(ax.get_xticklabels())
    assert texts(ax.texts) == []
    assert {"0", "50"} <= set(labels)
    assert len(labels) < 10


def test_misclassified(ax):
    images = np.arange(5 * 4.0).reshape(5, 2, 2)
    assert plot.misclassified(images, [0, 1, 2, 0, 1], [0, 2, 2, 1, 1], classes=["a", "b", "c"], ax=ax) is ax
    assert texts(ax.texts) == ["b → c", "a → b"]
    assert [image.get_array().tolist() for image in ax.images] == images[[1, 3]].tolist()
    for image, text in zip(ax.images, ax.texts, strict=True):
        left, right, bottom, _ = image.get_extent()
        assert left < text.get_position()[0] < right
        assert text.get_position()[1] > bottom  # below it: y grows downward
    ax = plot.misclassified(np.zeros((2, 3, 3)), [0, 1], [0, 1], ax=Figure().subplots())
    assert texts(ax.texts) == ["none misclassified"]


# ------------------------------------------------------------------------------------------------------------- numbers


def test_pairs_of_numbers():
    first, second = Figure().subplots(1, 2)
    true, predicted = np.array([1, 2, 5], np.float32), [1.5, 2.0, 4.0]
    assert plot.predicted_against_true(true, predicted, ax=first) is first
    assert plot.residuals(true, predicted, ax=second) is second
    assert first.collections[0].get_offsets().tolist() == [[1, 1.5], [2, 2], [5, 4]]
    assert second.collections[0].get_offsets().tolist() == [[1.5, -0.5], [2, 0], [4, 1]]
    (diagonal,) = first.lines
    assert (diagonal.get_xy1(), diagonal.get_slope(), second.lines[0].get_ydata()) == ((1, 1), 1, [0, 0])
    assert (first.get_xlabel(), first.get_ylabel(), first.get_aspect()) == ("true", "predicted", 1)
    assert (second.get_xlabel(), second.get_ylabel()) == ("predicted", "true − predicted")


@pytest.mark.parametrize("column", [False, True])
def test_fitted_curve(ax, column):
    network = cbackprop.Network(1, 5, 1, output="linear", hidden="tanh", rng=0)
    x, t = np.array([4.0, 2.0, 3.0]), np.array([7.0, 8.0, 9.0])
    scaling = {"mean": np.array([3.0]), "scale": 0.5, "target_mean": 8.0, "target_scale": np.array([2.0])}
    assert plot.fitted_curve(network, x[:, np.newaxis] if column else x, t, **scaling, ax=ax) is ax
    assert ax.collections[0].get_offsets().tolist() == [[4, 7], [2, 8], [3, 9]]
    (curve,) = ax.lines
    points, y = curve.get_data()
    assert (points[0], points[-1], len(points)) == (2, 4, GRID_POINTS)
    np.testing.assert_allclose(y, network.predict((points[:, np.newaxis] - 3) / 0.5) * 2 + 8, rtol=1e-14)
    assert legend(ax) == ["samples", "fitted"]
    assert curve.get_color() == plot.COLORS[5]  # samples and curve differ in luminance
    line = other_model("LinearRegression", [[0.0], [1.0]], [1.0, 3.0])
    drawn = plot.fitted_curve(line, [0.0, 2.0], [1.0, 6.0], ax=Figure().subplots()).lines[0]
    np.testing.assert_allclose(drawn.get_ydata()[[0, -1]], [1, 5])


# ------------------------------------------------------------------------------------------------------- invalid input


SQUARE, PAIRS = np.zeros((4, 2)), [0, 1, 1, 0]
IMAGE = np.zeros((1, 3, 3))
FOR_NUMBERS = "for numbers, use predicted_against_true, residuals or fitted_curve"


def network(D, K, output="softmax"):
    return cbackprop.Network(D, 2, K, output=output, rng=0)


def not_finite():
    return cbackprop.Network.from_weights(np.full((2, 3), np.nan), np.ones((2, 3)))


def other_model(name, x=SQUARE, t=PAIRS):
    """A fitted model of scikit-learn."""
    return getattr(pytest.importorskip("sklearn.linear_model"), name)().fit(x, t)


def regions(model, x=SQUARE, t=PAIRS, **options):
    return plot.decision_regions(model, x, t, **options)


def mixture(**changed):
    return plot.mixture(**{"weights": np.ones((4, 3)), "losses": np.ones((4, 3))} | changed)


FAILING = [
    (lambda: plot.confusion([0, 1], [0, 1, 1]), "have shapes .2,. and .3,.; they must be"),
    (lambda: plot.confusion(["a"], ["c"], classes=["a", "b"]), "predicted contains 'c', which is"),
    (lambda: plot.confusion([0], [2], classes=["a", "b"]), "predicted contains 2, which is not"),
    (lambda: plot.confusion(["a"], np.eye(2)[:1]), "predicted has 2 columns and there are 1 class"),
    (lambda: plot.confusion([0.5], [0.2]), f"true holds numbers that are not whole.*{FOR_NUMBERS}"),
    (lambda: plot.confusion(["a", "b"], [0, 1]), "only one of true and predicted holds text; name all classes in"),
    (lambda: plot.confusion(SQUARE), r"must be \(K, K\)"),
    (lambda: plot.confusion([0.5, 1.5]), rf"matrix has shape \(2,\); it must be \(K, K\), counts .*; {FOR_NUMBERS}"),
    (lambda: plot.confusion(np.eye(3), classes=[]), "classes has 0 names; it must have 3, one for each class"),
    (lambda: plot.learning_curve(["x"]), "history has dtype"),
    (lambda: plot.learning_curve([1.0], held_out=[[1.0]]), "held_out has 2 dimensions"),
    (lambda: regions(network(3, 2)), r"need \(N, 2\) and 2 inputs"),
    (lambda: regions(network(3, 2), [[1, 2, 3]], [0]), r"x has shape \(1, 3\) and the network 3 inputs"),
    (lambda: regions(network(2, 2), t=[0, 1, 1, 2]), r"t contains \[2\], which .* classes \[0 1\]"),
    (lambda: regions(network(2, 2), t=[0, 1, 1]), "t has 3 entries; it must have 4, as many as x has"),
    (lambda: regions(network(2, 2, "linear")), "has output='linear' and K = 2; .* softmax"),
    (lambda: regions(network(2, 2, "logistic")), "has output='logistic' and K = 2; .* softmax"),
    (lambda: regions(other_model("LinearRegression")), f"LinearRegression without classes; .*{FOR_NUMBERS}"),
    (lambda: regions(other_model("LogisticRegression"), t=[0, 1, 1, 9]), r"t contains \[9\], which are not among"),
    (lambda: regions(not_finite()), "weights must be finite"),
    (lambda: plot.hidden_units(np.zeros((3, 7)), (3, 3)), r"shape \(3, 3\) has 9 pixels; it must have D = 6"),
    (lambda: plot.hidden_units(network(6, 2), (2, 3)), "w has dtype object; it must hold real numbers"),
    (lambda: plot.hidden_units(np.zeros((3, 7)), (2, 3), columns=0), "columns is 0; it must be at least 1"),
    (lambda: plot.misclassified(np.zeros((2, 3, 3)), [0], [1]), "have shapes"),
    (lambda: plot.misclassified(IMAGE, [0], [1], columns=-1), "columns is -1; it must be at least 1"),
    (lambda: plot.misclassified(IMAGE, [0.5], [1]), f"true has dtype float64; it must .*; {FOR_NUMBERS}"),
    (lambda: plot.misclassified(IMAGE, [0], [2], classes=["a"]), "has 1 names; it must have at least 3"),
    (lambda: plot.predicted_against_true([1, 2], [1]), "predicted has 1 entries; it must have 2, as many as true"),
    (lambda: plot.residuals([[1], [2]], [1, 2]), r"true has 2 dimensions; it must have 1: \(N,\)"),
    (lambda: plot.residuals([1, 2], [1, np.nan]), r"predicted\[1\] is nan; it must be finite"),
    (lambda: plot.fitted_curve(network(1, 2), [0, 1], [0, 1]), "softmax outputs, not linear ones; for classes, use"),
    (lambda: plot.fitted_curve(other_model("LogisticRegression"), [0, 1], [0, 1]), "which predicts classes; use deci"),
    (lambda: plot.fitted_curve(network(1, 2, "linear"), [0, 1], [0, 1]), "network has 2 outputs; a curve needs one"),
    (lambda: plot.fitted_curve(network(2, 1, "linear"), [0, 1], [0, 1]), "x has 1 columns; it must have 2"),
    (lambda: plot.network(network(11, 2)), r"has layers of \(11, 2, 2\) units; a picture needs at most 10 in each"),
    (lambda: plot.network(network(3, 2), [1, 2]), "x has 2 columns; it must have 3"),
    (lambda: mixture(losses=np.ones((4, 2))), r"losses has shape \(4, 2\); it must be \(4, 3\)"),
    (lambda: mixture(weights=np.ones(4)), r"weights has 1 dimensions; it must have 2: \(N, R\)"),
    (lambda: mixture(labels=["a"]), "labels has 1 names; it must have 3, one for each network"),
    (lambda: mixture(window=0), "window is 0"),
]


@pytest.mark.parametrize(("draw", "message"), FAILING, ids=[message[:30] for _, message in FAILING])
def test_a_plot_that_fails_leaves_no_figure(pyplot, draw, message):
    pytest.importorskip("sklearn")
    with pytest.raises((TypeError, ValueError), match=message):
        draw()
    assert pyplot.get_fignums() == []
