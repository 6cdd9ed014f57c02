"""Networks to and from other libraries: ONNX models out, weights of scikit-learn and PyTorch in.

`to_onnx` and `register_converter` need the extra `onnx`: ``pip install "cbackprop[onnx]"``. The model holds operators
of the standard set only, so whatever runs ONNX runs it. Pipelines, such as a scaler in front of the network, are
converted by skl2onnx, once `register_converter` has told it about `BackpropClassifier`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import cbackprop
from cbackprop import Network
from cbackprop._extras import require
from cbackprop._gate import FLOATS

if TYPE_CHECKING:
    from onnx import ModelProto

    from cbackprop.sklearn import BackpropClassifier

OPSET = 13  # the first with these operators as they are today: older runtimes can read the model, too


def to_onnx(model: Network | BackpropClassifier) -> ModelProto:
    """The network as an ONNX model.

    Parameters
    ----------
    model : Network or BackpropClassifier
        Copied: what it learns later does not change the result.

    Returns
    -------
    onnx.ModelProto
        Checked by onnx. The input ``X`` (N, D) has the dtype of the weights; the outputs, with the names that
        scikit-learn's converters use, are ``label`` (N,), labels or class indices, and ``probabilities`` (N, K).

    Raises
    ------
    TypeError
        The model is something else.
    ValueError
        A label is 2**63 or more: ONNX has no such ones.
    sklearn.exceptions.NotFittedError
        The classifier has not learned anything.

    Examples
    --------
    >>> import cbackprop
    >>> from cbackprop.onnx import to_onnx
    >>> model = to_onnx(cbackprop.Network(2, 3, 2, rng=0))
    >>> [node.op_type for node in model.graph.node]
    ['Gemm', 'Sigmoid', 'Gemm', 'Softmax', 'ArgMax', 'Gather']
    """
    onnx = require("onnx", "onnx")
    network, labels = _parts(model)
    constants, nodes = [], []

    def add_constant(name: str, array: np.ndarray) -> None:
        constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))

    def add_node(operator: str, inputs: list[str], output: str, **attributes: int) -> None:
        nodes.append(onnx.helper.make_node(operator, inputs, [output], **attributes))

    _write(network, labels, add_constant, add_node)
    (D, K), element = (network.w.shape[1] - 1, len(network.v)), onnx.helper.np_dtype_to_tensor_dtype(network.dtype)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "cbackprop",
        inputs=[value("X", element, ["N", D])],
        outputs=[value("label", constants[-1].data_type, ["N"]), value("probabilities", element, ["N", K])],
        initializer=constants,
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    result = onnx.helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=onnx.helper.find_min_ir_version_for([opset]),
        producer_name="cbackprop",
        producer_version=cbackprop.__version__,
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def register_converter() -> None:
    """Let skl2onnx convert `BackpropClassifier`, alone and in pipelines, with the options of its classifiers.

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
    from cbackprop.sklearn import BackpropClassifier

    skl2onnx.update_registered_converter(
        BackpropClassifier,
        "CbackpropBackpropClassifier",
        shapes.calculate_linear_classifier_output_shapes,
        _convert,
        options={"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]},
    )


def from_sklearn(model: Any) -> BackpropClassifier:
    """A classifier with the weights of a fitted `MLPClassifier` of one logistic hidden layer.

    Two classes get two outputs, each with half of the weights of MLPClassifier's one, negative for the first class:
    the probabilities are the same.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier
        Its weights are copied.

    Returns
    -------
    BackpropClassifier
        Ready to predict and to learn on, with default parameters.

    Raises
    ------
    TypeError, ValueError
        It is no MLPClassifier, or not of one logistic hidden layer, or has several labels for a sample.
    sklearn.exceptions.NotFittedError
        It has no weights yet.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neural_network import MLPClassifier
    >>> from cbackprop.onnx import from_sklearn
    >>> x, y = np.eye(4), [0, 1, 0, 1]
    >>> theirs = MLPClassifier((3,), activation="logistic", solver="lbfgs", random_state=0).fit(x, y)
    >>> bool(np.allclose(from_sklearn(theirs).predict_proba(x), theirs.predict_proba(x)))
    True
    """
    from sklearn.neural_network import MLPClassifier
    from sklearn.utils.validation import check_is_fitted

    from cbackprop.sklearn import BackpropClassifier

    if not isinstance(model, MLPClassifier):
        raise TypeError(f"model is a {type(model).__name__}; it must be an MLPClassifier")
    check_is_fitted(model)
    if model.n_layers_ != 3 or model.activation != "logistic":
        raise ValueError(
            f"model has {model.n_layers_ - 2} hidden layers and activation {model.activation!r}; "
            "it must have one hidden layer and activation 'logistic'"
        )
    if model.out_activation_ == "logistic" and model.n_outputs_ > 1:
        raise ValueError("model gives a sample several labels; it must give it one")
    w, v = (
        np.column_stack([coefficients.T, intercepts])
        for coefficients, intercepts in zip(model.coefs_, model.intercepts_, strict=True)
    )
    if model.n_outputs_ == 1:
        v = np.concatenate([-v / 2, v / 2])
    network = Network.from_weights(np.ascontiguousarray(w), np.ascontiguousarray(v))
    result = BackpropClassifier.from_network(network, model.classes_)
    if hasattr(model, "feature_names_in_"):
        result.feature_names_in_ = model.feature_names_in_
    return result


def from_torch(state: Mapping[str, Any]) -> Network:
    """A network with the weights of a PyTorch model of two linear layers, the logistic function between them.

    Parameters
    ----------
    state : mapping
        What ``state_dict()`` returns: weight (M, D), bias (M,), weight (K, M) and bias (K,), in this order, under any
        names. It does not tell the functions between the layers: that they are a sigmoid and, after the second layer,
        a softmax or the cross-entropy of one, is for the caller to know. Anything that NumPy takes for an array will
        do; tensors on another device have to be brought to the CPU.

    Returns
    -------
    Network
        With copies of the weights, in their dtype if it is float32 or float64.

    Raises
    ------
    TypeError, ValueError
        The entries are not those of two linear layers that fit together, or not finite; the message names the one at
        fault.

    Examples
    --------
    >>> import numpy as np
    >>> from cbackprop.onnx import from_torch
    >>> from_torch({"0.weight": np.eye(3), "0.bias": np.ones(3), "2.weight": np.ones((2, 3)), "2.bias": np.zeros(2)})
    Network(3, 3, 2, learning_rate=0.1, dtype=float64)
    """
    names = list(state)
    if len(names) != 4:
        raise ValueError(f"state has the entries {names}; it must have four: weight, bias, weight, bias")
    arrays = {name: _entry(name, state[name]) for name in names}
    first, _, second, _ = names
    layers = []
    for weight, bias in (names[:2], names[2:]):
        weights, biases = arrays[weight], arrays[bias]
        if weights.ndim != 2 or weights.size == 0 or biases.shape != weights.shape[:1]:
            raise ValueError(
                f"{weight} has shape {weights.shape} and {bias} {biases.shape}; "
                "they must be (units, inputs) and (units,), at least one of each"
            )
        layers.append(np.column_stack([weights, biases]))
    M = len(arrays[first])
    if arrays[second].shape[1] != M:
        raise ValueError(
            f"{second} has shape {arrays[second].shape}; it must be (K, {M}), "
            f"since {first} has shape {arrays[first].shape}"
        )
    for name, array in arrays.items():
        if array.dtype != arrays[first].dtype:
            raise TypeError(
                f"{first} is {arrays[first].dtype} and {name} is {array.dtype}; they must have the same dtype"
            )
    return Network.from_weights(*layers)


def _entry(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in FLOATS:
        raise TypeError(f"{name} has dtype {array.dtype}; it must be float32 or float64")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; weights must be finite")
    return array


def _parts(model: Any) -> tuple[Network, np.ndarray]:
    """The network, and the labels as ONNX can hold them."""
    if isinstance(model, Network):
        return model, np.arange(len(model.v))
    from sklearn.utils.validation import check_is_fitted

    from cbackprop.sklearn import BackpropClassifier

    if not isinstance(model, BackpropClassifier):
        raise TypeError(f"model is a {type(model).__name__}; it must be a Network or a BackpropClassifier")
    check_is_fitted(model)
    labels = model.classes_
    if labels.dtype.kind in "iub":
        if int(labels[-1]) > np.iinfo(np.int64).max:
            raise ValueError(f"model has the label {labels[-1]}; ONNX needs labels below 2**63")
        labels = labels.astype(np.int64)
    return model.network_, labels


def _write(
    network: Network,
    labels: np.ndarray,
    add_constant: Callable[[str, np.ndarray], None],
    add_node: Callable[..., None],
) -> None:
    """The equations from ``X`` to ``probabilities`` and ``label`` as operators."""
    for layer, weights in (("hidden", network.w), ("output", network.v)):
        add_constant(f"{layer}_weights", weights[:, :-1])
        add_constant(f"{layer}_biases", weights[:, -1])
    add_constant("classes", labels)
    add_node("Gemm", ["X", "hidden_weights", "hidden_biases"], "b", transB=1)
    add_node("Sigmoid", ["b"], "z")
    add_node("Gemm", ["z", "output_weights", "output_biases"], "a", transB=1)
    add_node("Softmax", ["a"], "probabilities", axis=1)
    add_node("ArgMax", ["a"], "k", axis=1, keepdims=0)
    add_node("Gather", ["classes", "k"], "label")


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """skl2onnx's kind of converter."""
    onnx = require("onnx", "onnx")
    network, labels = _parts(operator.raw_operator)
    wide = isinstance(operator.inputs[0].type, require("skl2onnx.common.data_types", "onnx").DoubleTensorType)
    real = np.dtype(np.float64 if wide else np.float32)
    element = onnx.helper.np_dtype_to_tensor_dtype
    names = {"label": operator.outputs[0].full_name, "probabilities": operator.outputs[1].full_name}

    def name_of(name: str) -> str:
        return names.setdefault(name, scope.get_unique_variable_name(name))

    def add_constant(name: str, array: np.ndarray) -> None:
        if array.dtype.kind == "f" and name != "classes":
            array = array.astype(real)
        tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(array))
        values = tensor.string_data if tensor.string_data else array.ravel()
        container.add_initializer(name_of(name), tensor.data_type, array.shape, values)

    def add_node(operator_name: str, inputs: list[str], output: str, **attributes: int) -> None:
        container.add_node(
            operator_name,
            [name_of(name) for name in inputs],
            name_of(output),
            name=scope.get_unique_operator_name(operator_name),
            op_version=OPSET,
            **attributes,
        )

    container.add_node("Cast", operator.inputs[0].full_name, name_of("X"), op_version=OPSET, to=element(real))
    _write(network, labels, add_constant, add_node)
