"""Heads of the models as ONNX graphs that take embeddings, float32 (n, d).

All but the perceptrons computes in float64, as the models themselves do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from facestats.attributes.calibration import LEAST
from facestats.attributes.estimators.nodes import Node
from facestats.attributes.estimators.take_apart import take_apart
from facestats.attributes.model import AttributeModel
from facestats.errors import ModelError
from facestats.export.extra import extra
from facestats.scores.regressor import Regressor

OPSET, IR = 17, 8  # read by onnxruntime from 1.12 on
INPUT = "embedding"
_SMALLEST = 1e-300  # width of a step between two equal knots


class UnknownKindError(ModelError):
    """An estimator that has no ONNX form here; the text is its kind."""


class _Graph:
    """Nodes, constants and outputs under way."""

    def __init__(self):
        self.onnx = extra("onnx", "the model's ONNX files", "--only tables,landmarks,embeddings")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def constant(self, values: Any, kind: Any = np.float64) -> str:
        name = self._name()
        array = np.asarray(values, dtype=kind)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node; numbers and arrays among its inputs become constants of float64."""
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        name = self._name()
        self.nodes.append(self.onnx.helper.make_node(operator, names, [name], **attributes))
        return name

    def cast(self, value: str, kind: str) -> str:
        return self.add("Cast", value, to=getattr(self.onnx.TensorProto, kind))

    def output(self, name: str, value: str, kind: str, shape: list[Any]) -> None:
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], [name]))
        element = getattr(self.onnx.TensorProto, kind)
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, element, shape))

    def model(self, dimension: int, text: str) -> bytes:
        helper = self.onnx.helper
        given = helper.make_tensor_value_info(INPUT, self.onnx.TensorProto.FLOAT, ["n", dimension])
        graph = helper.make_graph(
            self.nodes, "head", [given], self.outputs, self.constants, doc_string=text
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR,
            producer_name="facestats",
        )
        self.onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def row_sum(self, values: str) -> str:
        return self.add("ReduceSum", values, self.constant([1], np.int64), keepdims=1)

    def interpolate(self, values: str, x: np.ndarray, y: np.ndarray) -> str:
        """`np.interp` of a column (n, 1): what each stretch between two knots adds up to."""
        if len(x) == 1:
            return self.add("Add", self.add("Mul", values, 0.0), y[0])
        width = np.maximum(np.diff(x), _SMALLEST)
        part = self.add("Div", self.add("Sub", values, x[:-1]), width)
        rise = self.add("Mul", self.add("Clip", part, 0.0, 1.0), np.diff(y))
        return self.add("Add", self.row_sum(rise), y[0])


def regressor_graph(model: Regressor) -> bytes:
    """The regressor as ONNX: `raw` in rating units, `score` 0 to 100 and `pct` 0 to 1, each (n,).

    Parameters
    ----------
    model : Regressor
        With a scale and a reference distribution.

    Returns
    -------
    bytes
    """
    assert model.scale is not None
    assert model.reference is not None
    graph = _Graph()
    wide = graph.cast(INPUT, "DOUBLE")
    inputs = graph.add("Div", graph.add("Sub", wide, model.x_mean.numpy()), model.x_std.numpy())
    members = graph.cast(_members(graph, model, inputs), "DOUBLE")
    out = graph.add("Mul", members, model.correction_factor)
    if model.slopes is not None:
        line = graph.add("MatMul", inputs, model.slopes.double().numpy()[:, None])
        out = graph.add("Add", out, line)
    out = graph.add("Add", graph.add("Mul", out, model.y_std), model.y_mean)
    raw = _calibrated(graph, model, out)
    low, high = model.scale
    share = graph.add("Div", graph.add("Sub", raw, low), high - low)
    score = graph.add("Clip", graph.add("Mul", share, 100.0), 0.0, 100.0)
    values, first, count = np.unique(model.reference, return_index=True, return_counts=True)
    places = (first + count / 2) / len(model.reference)
    pct = graph.interpolate(raw, values.astype(np.float64), places)
    flat = graph.constant([-1], np.int64)
    for name, value in (("raw", raw), ("score", score), ("pct", pct)):
        graph.output(name, graph.add("Reshape", value, flat), "DOUBLE", ["n"])
    return graph.model(model.dimension, "Predicted rating of a face's CLIP embedding.")


def _members(graph: _Graph, model: Regressor, inputs: str) -> str:
    """Mean output of the ensemble, (n, 1), in float32."""
    hidden = graph.add("Unsqueeze", graph.cast(inputs, "FLOAT"), graph.constant([0], np.int64))
    network = model.network
    layers = list(zip(network.weights, network.biases, strict=True))
    for number, (weight, bias) in enumerate(layers):
        product = graph.add("MatMul", hidden, graph.constant(weight.detach().numpy(), np.float32))
        hidden = graph.add("Add", product, graph.constant(bias.detach().numpy(), np.float32))
        if number < len(network.hidden):
            hidden = graph.add("Relu", hidden)
    return graph.add("ReduceMean", hidden, axes=[0], keepdims=0)


def _calibrated(graph: _Graph, model: Regressor, out: str) -> str:
    curve = model.calibration
    below = graph.add("Min", graph.add("Sub", out, curve.x[0]), 0.0)
    above = graph.add("Max", graph.add("Sub", out, curve.x[-1]), 0.0)
    beyond = graph.add("Mul", graph.add("Add", below, above), curve.slope)
    return graph.add("Add", graph.interpolate(out, curve.x, curve.y), beyond)


def attribute_graph(model: AttributeModel) -> bytes:
    """An attribute's model as ONNX.

    A classification gives calibrated `probabilities` (n, classes) and `answer` (n,), the number of
    the class; a regression gives `value` (n,).

    Raises
    ------
    UnknownKindError
        Its estimator has no ONNX form here.
    """
    graph = _Graph()
    node = take_apart(model.pipeline).node
    raw = _node(graph, node, graph.cast(INPUT, "DOUBLE"), len(model.classes))
    if not model.classes:
        flat = graph.add("Reshape", raw, graph.constant([-1], np.int64))
        graph.output("value", flat, "DOUBLE", ["n"])
        return graph.model(model.dimension, f"{model.target} of a face's CLIP embedding.")
    shares = raw
    if model.calibration:
        logs = graph.add("Log", graph.add("Max", raw, LEAST))
        scaled = graph.add("Mul", logs, model.calibration.slope)
        shifted = graph.add("Add", scaled, model.calibration.shift)
        shares = graph.add("Softmax", shifted, axis=1)
    graph.output("probabilities", shares, "DOUBLE", ["n", len(model.classes)])
    answer = graph.add("ArgMax", raw, axis=1, keepdims=0)
    graph.output("answer", answer, "INT64", ["n"])
    return graph.model(model.dimension, f"{model.target} of a face's CLIP embedding.")


def _node(graph: _Graph, node: Node, x: str, classes: int) -> str:
    """What an estimator makes of `x`: features, probabilities (n, classes) or values (n, 1)."""
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in node.arrays.items()}
    if node.kind == "pipeline":
        for part in node.parts:
            x = _node(graph, part, x, classes)
        return x
    if node.kind == "standard scaler":
        return graph.add("Div", graph.add("Sub", x, arrays["mean"]), arrays["scale"])
    if node.kind == "principal components":
        turned = graph.add(
            "MatMul", graph.add("Sub", x, arrays["mean"]), arrays["components"].T.copy()
        )
        if not node.facts["whiten"]:
            return turned
        return graph.add("Div", turned, np.sqrt(arrays["variance"]))
    if node.kind == "ridge regression":
        product = graph.add("MatMul", x, arrays["coef"].reshape(-1, 1))
        return graph.add("Add", product, float(arrays["intercept"]))
    if node.kind not in ("logistic regression", "one against rest"):
        raise UnknownKindError(node.kind)
    margins = graph.add("MatMul", x, arrays["coef"].T.copy())
    margins = graph.add("Add", margins, arrays["intercept"])
    if classes > 2 and node.kind == "logistic regression":
        return graph.add("Softmax", margins, axis=1)
    shares = graph.add("Sigmoid", margins)
    if classes == 2:
        return graph.add("Concat", graph.add("Sub", 1.0, shares), shares, axis=1)
    return graph.add("Div", shares, graph.row_sum(shares))
