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
    labels = getattr(model, "classes_", np.arange(len(model.network_.v)))
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
    names, real = onnx.TensorProto.DataType.Name, onnx.helper.np_dtype_to_tensor_dtype(dtype)
    x_type, y_type = (names(number).lower() for number in (real if given is None else given, real))
    K, output = len(network.v), OUTPUTS[network.output]
    y = "probabilities" if output.probabilities else "variable"
    lines, constants = _equations(network, y, dtype, convert=given is not None)
    results = [f"{y_type}[N, {K}] {y}"]
    if output.exclusive:
        constants["classes"] = labels
        lines += ["k = ArgMax<axis = 1, keepdims = 0>(a)", "label = Gather(classes, k)"]
        results.insert(0, f"{'int64' if labels.dtype.kind == 'i' else 'string'}[N] label")
    elif output.probabilities:
        constants["half"] = np.full((), 0.5, dtype)
        lines += [f"holds = GreaterOrEqual({y}, half)", f"label = Cast<to = {onnx.TensorProto.INT64}>(holds)"]
        results.insert(0, f"int64[N, {K}] label")
    graph = require("onnx.parser", "onnx").parse_graph(
        f"cbackprop ({x_type}[N, {network.w.shape[1] - 1}] X) => ({', '.join(results)}) {{ {' '.join(lines)} }}"
    )
    for node in graph.node:
        node.name = node.output[0]  # skl2onnx needs a name
    for name, array in constants.items():
        graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=onnx.helper.find_min_ir_version_for([opset]),
        producer_name="cbackprop",
        producer_version=cbackprop.__version__,
    )


def _equations(network: Network, y: str, dtype: np.dtype, *, convert: bool) -> tuple[list[str], dict[str, Any]]:
    """The operators from X to y, and their constants. Standardization is computed in float64, as by the network."""
    real, double = map(require("onnx", "onnx").helper.np_dtype_to_tensor_dtype, (dtype, np.dtype(np.float64)))
    operator, standardization = OUTPUTS[network.output].onnx, network._standardization
    w, v = network.w.astype(dtype), network.v.astype(dtype)
    constants: dict[str, Any] = {"w": w[:, :-1], "w_bias": w[:, -1], "v": v[:, :-1], "v_bias": v[:, -1]}
    x, lines = "X", []
    if standardization is not None:
        inputs, x = standardization.inputs, "limited"
        constants |= {"mean": inputs.mean, "deviation": np.where(inputs.varies, inputs.scale, np.inf)}
        constants |= {"lowest": np.array(-inputs.limit), "highest": np.array(inputs.limit)}
        lines += [
            f"x_double = Cast<to = {double}>(X)",
            "difference = Sub(x_double, mean)",
            "ratio = Div(difference, deviation)",
            "limited = Clip(ratio, lowest, highest)",
        ]
        if network.missing == "mean":
            x, constants["zero"] = "known", np.zeros(())
            lines += ["missing = IsNaN(x_double)", "known = Where(missing, zero, limited)"]
    if standardization is not None or convert:
        lines.append(f"x = Cast<to = {real}>({x})")
        x = "x"
    lines += [
        f"b = Gemm<transB = 1>({x}, w, w_bias)",
        f"z = {HIDDEN_FUNCTIONS[network.hidden].onnx}(b)",
        f"{'a' if operator or standardization else y} = Gemm<transB = 1>(z, v, v_bias)",
    ]
    if operator is not None:
        lines.append(f"{y} = {operator}(a)")
    elif standardization is not None:
        targets = standardization.targets
        constants |= {"target_mean": targets.mean, "target_deviation": np.sqrt(targets.state[1])}
        lines += [
            f"a_double = Cast<to = {double}>(a)",
            "scaled = Mul(a_double, target_deviation)",
            "in_units = Add(scaled, target_mean)",
            f"{y} = Cast<to = {real}>(in_units)",
        ]
    return lines, constants


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Converter for skl2onnx, which names the values of a graph anew."""
    network, labels = _network_and_labels(operator.raw_operator)
    types = require("skl2onnx.common.data_types", "onnx")
    given = operator.inputs[0].type
    dtype = np.dtype(np.float64 if isinstance(given, types.DoubleTensorType) else np.float32)
    model = _onnx_model(network, labels, dtype, types.guess_proto_type(given))
    require("skl2onnx.helpers.integration", "onnx").add_onnx_graph(scope, operator, container, model)
