"""Write the operations of graph models as ONNX nodes.

TensorFlow keeps pictures as (N, H, W, C), ONNX as (N, C, H, W): a picture is kept the ONNX way from the first
convolution on, and put back only where an operation is about its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pose_extract.estimators.movenet.graph_model import GraphModel, Node

TO_ONNX, FROM_ONNX = [0, 3, 1, 2], [0, 2, 3, 1]
"""Axes of a picture as TensorFlow has it in the order of ONNX, and the other way round."""

_ACTIVATIONS = {"Relu", "Relu6"}


@dataclass(frozen=True)
class Value:
    """An output of the graph.

    Attributes:
        name: of the ONNX value.
        turned: whether it is a picture that TensorFlow has as (N, H, W, C) and the ONNX value as (N, C, H, W).
        size: height and width of such a picture, at the graph's own input size.
    """

    name: str
    turned: bool = False
    size: tuple[int, int] | None = None


class OnnxWriter:
    """Writes ONNX nodes for a graph's nodes.

    Attributes:
        nodes: what has been written.
        constants: what those read besides each other, by name.
    """

    def __init__(self, graph: GraphModel) -> None:
        self._graph = graph
        self._values: dict[str, Value] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, values: Any, dtype: Any) -> str:
        """The name of a constant."""
        array = np.asarray(values, dtype)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def emit(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Write a node of one output, whose name is returned."""
        name = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def put(self, name: str, value: Value) -> None:
        """Say which ONNX value is the graph's output ``name``."""
        self._values[name] = value

    def convert(self, nodes: Sequence[Node]) -> None:
        """Write the nodes, which are in order."""
        for node in nodes:
            method = getattr(self, f"_{node.op.strip('_').lower()}", None)
            if method is None:
                raise ValueError(f"{node.name}: the operation {node.op} is not known")
            result = method(node)
            if result is not None:
                self.put(node.name, result)

    def array(self, name: str) -> NDArray[Any]:
        """A constant of the graph."""
        return self._graph.constants[name]

    def value(self, name: str) -> Value:
        """The ONNX value that is the graph's output ``name``."""
        return self._values[name]

    def as_written(self, name: str) -> str:
        """The ONNX value of a graph's output, with its axes as TensorFlow has them."""
        value = self._values[name]
        return self.emit("Transpose", [value.name], perm=FROM_ONNX) if value.turned else value.name

    def _turned(self, name: str) -> Value:
        value = self._values[name]
        if value.turned:
            return value
        return Value(self.emit("Transpose", [value.name], perm=TO_ONNX), True, value.size)

    def _operand(self, name: str, turned: bool) -> str:
        """An operand of an element-wise operation whose other one is ``turned`` or not."""
        if name not in self._graph.constants:
            value = self._values[name]
            assert value.turned == turned, f"{name}: its axes are in another order than its neighbour's"
            return value.name
        array = self.array(name)
        if turned and array.size > 1:
            array = np.broadcast_to(array, (*(1,) * (4 - array.ndim), *array.shape)).transpose(TO_ONNX)
        return self.constant(array, np.float32)

    def _binary(self, op: str, node: Node) -> Value:
        values = [self._values[i] for i in node.inputs if i in self._values]
        turned = values[0].turned
        inputs = [self._operand(i, turned) for i in node.inputs]
        return Value(self.emit(op, inputs), turned, values[0].size)

    def _add(self, node: Node) -> Value:
        return self._binary("Add", node)

    _addv2 = _add

    def _sub(self, node: Node) -> Value:
        return self._binary("Sub", node)

    def _mul(self, node: Node) -> Value:
        return self._binary("Mul", node)

    def _unary(self, op: str, node: Node, **attributes: Any) -> Value:
        value = self._values[node.inputs[0]]
        return Value(self.emit(op, [value.name], **attributes), value.turned, value.size)

    def _sigmoid(self, node: Node) -> Value:
        return self._unary("Sigmoid", node)

    def _leakyrelu(self, node: Node) -> Value:
        return self._unary("LeakyRelu", node, alpha=float(node.attributes["alpha"]))

    def _identity(self, node: Node) -> Value:
        return self._values[node.inputs[0]]

    def _transpose(self, node: Node) -> Value:
        value, perm = self._values[node.inputs[0]], self.array(node.inputs[1]).tolist()
        if perm == FROM_ONNX and not value.turned:
            return Value(value.name, True, value.size)
        if perm == TO_ONNX and value.turned:
            return Value(value.name, False, value.size)
        return Value(self.emit("Transpose", [self.as_written(node.inputs[0])], perm=perm))

    def _conv2d(self, node: Node, depthwise: bool = False) -> Value:
        source = self._turned(node.inputs[0])
        kernel = self.array(
            node.inputs[1]
        )  # height, width, in, out; depthwise: height, width, channels, multiplier
        group = 1
        if depthwise:
            assert kernel.shape[3] == 1
            group = kernel.shape[2]
        weights = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        inputs = [source.name, self.constant(weights, np.float32)]
        if len(node.inputs) > 2:
            inputs.append(self.constant(self.array(node.inputs[2]), np.float32))
        strides = node.attributes["strides"][1:3]
        assert node.attributes["dilations"] in ([1, 1, 1, 1], [])
        padding, assumed = node.attributes["padding"], source.size
        assert assumed is not None
        pads, size = _padding(padding, assumed, kernel.shape[:2], strides)
        name = self.emit(
            "Conv", inputs, kernel_shape=kernel.shape[:2], strides=strides, pads=pads, group=group
        )
        for fused in node.attributes.get("fused_ops", [])[1:]:
            assert fused in _ACTIVATIONS, fused
            name = self.emit("Relu", [name]) if fused == "Relu" else self._relu6(name)
        return Value(name, True, size)

    _fusedconv2d = _conv2d

    def _depthwiseconv2dnative(self, node: Node) -> Value:
        return self._conv2d(node, depthwise=True)

    _fuseddepthwiseconv2dnative = _depthwiseconv2dnative

    def _relu6(self, name: str) -> str:
        return self.emit("Clip", [name, self.constant(0, np.float32), self.constant(6, np.float32)])

    def _pad(self, node: Node, value: float = 0.0) -> Value:
        source, pads = self._values[node.inputs[0]], self.array(node.inputs[1])
        rows, columns = (1, 2) if source.turned else (2, 3)
        if source.turned:
            pads = pads[TO_ONNX]
        assert source.size is not None
        grown = self.array(node.inputs[1])[[rows, columns]].sum(1)
        size = (source.size[0] + int(grown[0]), source.size[1] + int(grown[1]))
        inputs = [source.name, self.constant(pads.T.ravel(), np.int64), self.constant(value, np.float32)]
        return Value(self.emit("Pad", inputs), source.turned, size)

    def _padv2(self, node: Node) -> Value:
        return self._pad(node, float(self.array(node.inputs[2])))

    def _maxpool(self, node: Node) -> Value:
        source = self._turned(node.inputs[0])
        kernel, strides = node.attributes["ksize"][1:3], node.attributes["strides"][1:3]
        assert source.size is not None
        pads, size = _padding(node.attributes["padding"], source.size, kernel, strides)
        name = self.emit("MaxPool", [source.name], kernel_shape=kernel, strides=strides, pads=pads)
        return Value(name, True, size)

    def _resizebilinear(self, node: Node) -> Value:
        source, size = self._turned(node.inputs[0]), tuple(self.array(node.inputs[1]).tolist())
        assert source.size is not None
        assert node.attributes["half_pixel_centers"]
        assert not node.attributes["align_corners"]
        scales = [1.0, 1.0, size[0] / source.size[0], size[1] / source.size[1]]
        inputs = [source.name, "", self.constant(scales, np.float32)]
        name = self.emit("Resize", inputs, mode="linear", coordinate_transformation_mode="half_pixel")
        return Value(name, True, (size[0], size[1]))

    def _concatv2(self, node: Node) -> Value:
        values, axis = [self._values[i] for i in node.inputs[:-1]], int(self.array(node.inputs[-1]))
        assert not any(value.turned for value in values)
        return Value(self.emit("Concat", [v.name for v in values], axis=axis), False, values[0].size)

    def _splitv(self, node: Node) -> None:
        parts = self.constant(self.array(node.inputs[1]), np.int64)
        axis = int(self.array(node.inputs[2]))
        names = [f"value_{len(self.nodes)}_{i}" for i in range(node.attributes["num_split"])]
        source = self.as_written(node.inputs[0])
        self.nodes.append(helper.make_node("Split", [source, parts], names, axis=axis))
        for number, name in enumerate(names):
            self.put(f"{node.name}:{number}" if number else node.name, Value(name))


def _padding(
    padding: str, size: tuple[int, int], kernel: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], tuple[int, int]]:
    """ONNX's pads for TensorFlow's padding, and the height and width of the result."""
    if padding == "VALID":
        rows, columns = ((n - k) // s + 1 for n, k, s in zip(size, kernel, strides, strict=True))
        return [0, 0, 0, 0], (rows, columns)
    assert padding == "SAME", padding
    result = [-(-n // s) for n, s in zip(size, strides, strict=True)]
    needed = [max(0, (r - 1) * s + k - n) for n, k, s, r in zip(size, kernel, strides, result, strict=True)]
    before = [n // 2 for n in needed]
    return [*before, *(n - b for n, b in zip(needed, before, strict=True))], (result[0], result[1])
