"""Export to ONNX, and import of weights from scikit-learn and PyTorch.

`to_onnx` and `register_converter` require the extra `onnx`: ``pip install "cbackprop[onnx]"``. The models consist of
standard operators, so that any ONNX runtime can run them. To convert a pipeline, such as a scaler and a network, call
`register_converter` first, then skl2onnx.

Models of other classes and entries of other types raise TypeError; shapes, functions, labels and sizes that cannot be
converted ValueError; an estimator that is not fitted `sklearn.exceptions.NotFittedError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import cbackprop
from cbackprop import Network
from cbackprop._catalog import HIDDEN_FUNCTIONS, OUTPUTS
from cbackprop._extras import require
from cbackprop._validation import FLOATS

if TYPE_CHECKING:
    from onnx import ModelProto

    from cbackprop.sklearn import BackpropClassifier, BackpropRegressor

OPSET = 13  # the first with the current definitions of these operators, for compatibility with older runtimes
MAX_BYTES = 2**31 - 2**20  # of weights: protobuf's limit, less what else a model holds


def to_onnx(model: Network | BackpropClassifier | BackpropRegressor) -> ModelProto:
    """Convert a network to an ONNX model.

    Parameters
    ----------
    model : Network, BackpropClassifier or BackpropRegressor
        The network, whose weights are copied.

    Returns
    -------
    onnx.ModelProto
        Model validated by ``onnx.checker``. Its input ``X`` (N, D) has the dtype of the weights. Its outputs are named
        as by scikit-learn's converters. Softmax outputs: ``label`` (N,), labels or class indices, and ``probabilities``
        (N, K). Logistic outputs: ``label`` (N, K) of 0 and 1, and ``probabilities`` (N, K). Linear outputs:
        ``variable`` (N, K).

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop.onnx import to_onnx
    >>> model = to_onnx(cbackprop.Network(2, 3, 2, rng=0))
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Sigmoid', 'Gemm', 'Softmax', 'ArgMax', 'Gather']
    >>> network = cbackprop.Network(2, 3, 1, output="linear", hidden="relu", rng=0)
    >>> model = to_onnx(network)
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Relu', 'Gemm']
    """
    network, labels = _network_and_labels(model)
    result = _onnx_model(network, labels, network.dtype)
    require("onnx", "onnx").checker.check_model(result, full_check=True)
    return result


def register_converter() -> None:
    """Register skl2onnx converters for `BackpropClassifier` and `BackpropRegressor`, alone and in pipelines.

    That of the classifier supports the options of skl2onnx for classifiers: ``zipmap``, ``nocl`` and
    ``output_class_labels``.

    Examples
    --------
    >>> import numpy as np, skl2onnx
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from cbackprop.onnx import register_converter
    >>> from cbackprop.sklearn import BackpropClassifier
    >>> x, y = np.eye(4, dtype=np.float32), [0, 1, 0, 1]
    >>> pipeline = make_pipeline(StandardScaler(), BackpropClassifier(3)).fit(x, y)
    >>> register_converter()
    >>> model = skl2onnx.to_onnx(pipeline, x, options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    skl2onnx = require("skl2onnx", "onnx")
    shapes = require("skl2onnx.common.shape_calculator", "onnx")
    from cbackprop.sklearn import BackpropClassifier, BackpropRegressor

    def calculate_shapes(operator: Any) -> None:
        network = operator.raw_operator.network_
        output = OUTPUTS[network.output]
        if output.probabilities:
            shapes.calculate_linear_classifier_output_shapes(operator)
        else:
            shapes.calculate_linear_regressor_output_shapes(operator)
        if not output.exclusive:
            operator.outputs[0].type.shape = [operator.inputs[0].get_first_dimension(), len(network.v)]

    options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}
    for estimator, supported in ((BackpropClassifier, options), (BackpropRegressor, None)):
        skl2onnx.update_registered_converter(
            estimator, f"Cbackprop{estimator.__name__}", calculate_shapes, _convert, options=supported
        )


def from_sklearn(model: Any) -> BackpropClassifier | BackpropRegressor:
    """Create an estimator with the weights of a fitted `MLPClassifier` or `MLPRegressor` with one hidden layer.

    For two classes, MLPClassifier has one output with weights u; the classifier has two, with weights -u/2 and u/2. The
    probabilities are the same.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor
        The fitted model, whose weights are copied.

    Returns
    -------
    BackpropClassifier or BackpropRegressor
        A fitted estimator with default parameters, except those that describe the network.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPClassifier
    >>> from cbackprop.onnx import from_sklearn
    >>> x, y = np.eye(4), [0, 1, 0, 1]
    >>> theirs = MLPClassifier((3,), "tanh", solver="lbfgs", random_state=0)
    >>> ours = from_sklearn(theirs.fit(x, y))
    >>> bool(np.allclose(ours.predict_proba(x), theirs.predict_proba(x)))
    True
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.utils.validation import check_is_fitted

    from cbackprop.sklearn import BackpropClassifier, BackpropRegressor
    from cbackprop.sklearn._parameters import ACTIVATIONS

    if not isinstance(model, (MLPClassifier, MLPRegressor)):
        raise TypeError(f"model is a {type(model).__name__}; it must be an MLPClassifier or an MLPRegressor")
    check_is_fitted(model)
    outputs = {output.activation: name for name, output in OUTPUTS.items()}
    if model.n_layers_ != 3 or model.activation not in ACTIVATIONS or model.out_activation_ not in outputs:
        raise ValueError(
            f"model has {model.n_layers_ - 2} hidden layers, activation {model.activation!r} and output activation "
            f"{model.out_activation_!r}; it must have one hidden layer, an activation among "
            f"{', '.join(map(repr, ACTIVATIONS))}, and no Poisson loss"
        )
    w, v = (
        np.column_stack([coefficients.T, intercepts])
        for coefficients, intercepts in zip(model.coefs_, model.intercepts_, strict=True)
    )
    output = outputs[model.out_activation_]
    if OUTPUTS[output].probabilities and model.n_outputs_ == 1:
        output, v = "softmax", np.concatenate([-v / 2, v / 2])
    network = Network.from_weights(
        np.ascontiguousarray(w), np.ascontiguousarray(v), output=output, hidden=ACTIVATIONS[model.activation]
    )
    result: BackpropClassifier | BackpropRegressor
    if isinstance(model, MLPRegressor):
        result = BackpropRegressor.from_network(network)
    else:
        result = BackpropClassifier.from_network(network, model.classes_)
    if hasattr(model, "feature_names_in_"):
        result.feature_names_in_ = model.feature_names_in_
    return result


def from_torch(state: Mapping[str, Any], *, output: str = "softmax", hidden: str = "sigmoid") -> Network:
    """Create a network with the weights of a PyTorch model: a linear layer, its activation and a linear layer.

    A ``state_dict`` does not contain activation functions, so `output` and `hidden` name them.

    Parameters
    ----------
    state : mapping
        The ``state_dict()`` of the model: weight (M, D), bias (M,), weight (K, M) and bias (K,), in this order, with
        any names. The values may be anything that NumPy can convert to an array, such as tensors on the CPU.
    output : {"softmax", "linear", "logistic"}
        What follows the second layer: "softmax" for Softmax or CrossEntropyLoss, "logistic" for Sigmoid or
        BCEWithLogitsLoss, "linear" for neither.
    hidden : {"sigmoid", "tanh", "relu"}
        What follows the first layer: Sigmoid, Tanh or ReLU.

    Returns
    -------
    Network
        A network with copies of the weights, in their dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from cbackprop.onnx import from_torch
    >>> state = {"0.weight": np.eye(3), "0.bias": np.ones(3)}
    >>> state |= {"2.weight": np.ones((2, 3)), "2.bias": np.zeros(2)}
    >>> from_torch(state)
    Network(3, 3, 2, learning_rate=0.1, dtype=float64)
    >>> from_torch(state, output="linear", hidden="relu")
    Network(3, 3, 2, hidden='relu', output='linear', learning_rate=0.1, dtype=float64)
    """
    names = list(state)
    if len(names) != 4:
        raise ValueError(f"state has the entries {names}; it must have four: weight, bias, weight, bias")
    arrays = [np.asarray(state[name]) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array.dtype.newbyteorder("=") not in FLOATS:
            raise TypeError(f"{name} has dtype {array.dtype}; it must be float32 or float64")
        if array.dtype != arrays[0].dtype:
            raise TypeError(
                f"{names[0]} is {arrays[0].dtype} and {name} is {array.dtype}; they must have the same dtype"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinity; weights must be finite")
    layers = []
    for n in (0, 2):
        weights, biases = arrays[n : n + 2]
        if weights.ndim != 2 or weights.size == 0 or biases.shape != weights.shape[:1]:
            raise ValueError(
                f"{names[n]} has shape {weights.shape} and {names[n + 1]} {biases.shape}; "
                "they must be (units, inputs) and (units,), at least one of each"
            )
        layers.append(np.column_stack([weights, biases]).astype(weights.dtype.newbyteorder("="), copy=False))
    if arrays[2].shape[1] != (M := len(arrays[0])):
        raise ValueError(
            f"{names[2]} has shape {arrays[2].shape}; it must be (K, {M}), since {names[0]} has shape {arrays[0].shape}"
        )
    return Network.from_weights(*layers, output=output, hidden=hidden)


def _network_and_labels(model: Any) -> tuple[Network, np.ndarray]:
    """The network and the labels of its outputs, in a dtype of ONNX."""
    if isinstance(model, Network):
        return model, np.arange(len(model.v))
    from sklearn.utils.validation import check_is_fitted

    from cbackprop.sklearn import BackpropClassifier, BackpropRegressor

    if not isinstance(model, (BackpropClassifier, BackpropRegressor)):
        raise TypeError(
            f"model is a {type(model).__name__}; it must be a Network, a BackpropClassifier or a BackpropRegressor"
        )
    check_is_fitted(model)
    if isinstance(model, BackpropRegressor):
        return _network_and_labels(model.network_)
    labels = model.classes_
    if labels.dtype.kind in "iub":
        if int(labels[-1]) > np.iinfo(np.int64).max:
            raise ValueError(f"model has the label {labels[-1]}; ONNX needs labels below 2**63")
        labels = labels.astype(np.int64)
    return model.network_, labels


def _onnx_model(network: Network, labels: np.ndarray, dtype: np.dtype, given: int | None = None) -> ModelProto:
    """The operators that compute the outputs described by `to_onnx` from ``X``, with weights in that dtype.

    X may have another type of elements, `given`.
    """
    count = network.w.size + network.v.size
    if (size := count * dtype.itemsize) > MAX_BYTES:
        convert = "convert the weights to float32, or " if dtype == np.float64 else ""
        raise ValueError(
            f"model has {count} weights in {dtype}, {size / 2**30:.1f} GiB; ONNX holds less than 2 GiB: "
            f"{convert}train fewer hidden units"
        )
    onnx = require("onnx", "onnx")
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    real, integer = onnx.helper.np_dtype_to_tensor_dtype(dtype), onnx.TensorProto.INT64
    (D, K), output = (network.w.shape[1] - 1, len(network.v)), OUTPUTS[network.output]
    y = "probabilities" if output.probabilities else "variable"
    a = y if output.onnx is None else "a"
    constants, outputs = {}, [value(y, real, ["N", K])]
    for layer, weights in (("hidden", network.w), ("output", network.v)):
        constants[f"{layer}_weights"] = weights[:, :-1].astype(dtype)
        constants[f"{layer}_biases"] = weights[:, -1].astype(dtype)
    before: list[Any] = []
    after: list[Any] = []
    if network.standardize:
        before, after, scaling = _standardization_nodes(node, network, real)
        constants |= scaling
    elif given is not None:
        before = [node("Cast", ["X"], ["x"], to=real)]
    nodes = [
        *before,
        node("Gemm", ["x" if before else "X", "hidden_weights", "hidden_biases"], ["b"], transB=1),
        node(HIDDEN_FUNCTIONS[network.hidden].onnx, ["b"], ["z"]),
        node("Gemm", ["z", "output_weights", "output_biases"], ["standardized" if after else a], transB=1),
        *after,
    ]
    if output.onnx is not None:
        nodes.append(node(output.onnx, [a], [y]))
    if output.exclusive:
        constants["classes"] = labels
        nodes += [
            node("ArgMax", [a], ["k"], axis=1, keepdims=0),
            node("Gather", ["classes", "k"], ["label"]),
        ]
        outputs.insert(0, value("label", onnx.numpy_helper.from_array(labels).data_type, ["N"]))
    elif output.probabilities:
        constants["half"] = np.full((), 0.5, dtype)
        nodes += [
            node("GreaterOrEqual", [y, "half"], ["holds"]),
            node("Cast", ["holds"], ["label"], to=integer),
        ]
        outputs.insert(0, value("label", integer, ["N", K]))
    for each in nodes:
        each.name = each.output[0]  # skl2onnx needs a name
    tensors = [onnx.numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    x = value("X", real if given is None else given, ["N", D])
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "cbackprop", [x], outputs, tensors),
        opset_imports=[opset],
        ir_version=onnx.helper.find_min_ir_version_for([opset]),
        producer_name="cbackprop",
        producer_version=cbackprop.__version__,
    )


def _standardization_nodes(node: Any, network: Network, real: int) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """What comes before and after the layers of a network that standardizes, in float64 as there, and its constants."""
    standardization: Any = network._standardization
    inputs, targets = standardization.inputs, standardization.targets
    double = require("onnx", "onnx").TensorProto.DOUBLE
    constants = {"mean": inputs.mean, "deviation": np.where(inputs.varies, inputs.scale, np.inf), "zero": np.zeros(())}
    constants |= {"lowest": np.array(-inputs.limit), "highest": np.array(inputs.limit)}
    before = [
        node("Cast", ["X"], ["x_double"], to=double),
        node("Sub", ["x_double", "mean"], ["difference"]),
        node("Div", ["difference", "deviation"], ["ratio"]),
        node("Clip", ["ratio", "lowest", "highest"], ["limited"]),
    ]
    last = "limited"
    if network.missing == "mean":
        before += [node("IsNaN", ["x_double"], ["missing"]), node("Where", ["missing", "zero", "limited"], ["known"])]
        last = "known"
    before.append(node("Cast", [last], ["x"], to=real))
    if not targets.size:
        return before, [], constants
    constants |= {"target_mean": targets.mean, "target_deviation": np.sqrt(targets.state[1])}
    after = [
        node("Cast", ["standardized"], ["y_double"], to=double),
        node("Mul", ["y_double", "target_deviation"], ["scaled"]),
        node("Add", ["scaled", "target_mean"], ["in_units"]),
        node("Cast", ["in_units"], ["variable"], to=real),
    ]
    return before, after, constants


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Converter for skl2onnx, which names the values of a graph anew."""
    network, labels = _network_and_labels(operator.raw_operator)
    types = require("skl2onnx.common.data_types", "onnx")
    given = operator.inputs[0].type
    dtype = np.dtype(np.float64 if isinstance(given, types.DoubleTensorType) else np.float32)
    model = _onnx_model(network, labels, dtype, types.guess_proto_type(given))
    require("skl2onnx.helpers.integration", "onnx").add_onnx_graph(scope, operator, container, model)
