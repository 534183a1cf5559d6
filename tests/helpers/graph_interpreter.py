"""Run a graph model node by node in plain NumPy, as TensorFlow defines the operations: the second reading of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.estimators.movenet.graph_model import GraphModel, Node

Array = NDArray[Any]


def interpret(graph: GraphModel, picture: Array) -> dict[str, Array]:
    """The model's outputs for its one input, by name."""
    (source,) = graph.inputs
    values: dict[str, Array] = {**graph.constants, source: picture}
    for node in graph.nodes:
        result = OPERATIONS[node.op.strip("_")](node, [values[i] for i in node.inputs])
        if isinstance(result, list):
            values.update({f"{node.name}:{i}": part for i, part in enumerate(result)})
            result = result[0]
        values[node.name] = result
    return {name: values[name] for name in graph.outputs}


def windows(x: Array, kernel: tuple[int, int], strides: list[int], padding: str, empty: float) -> Array:
    """Every place of a kernel on pictures (N, H, W, C): (N, rows, columns, C, height, width)."""
    if padding == "SAME":
        pads = []
        for length, size, stride in zip(x.shape[1:3], kernel, strides, strict=True):
            needed = max(0, (-(-length // stride) - 1) * stride + size - length)
            pads.append((needed // 2, needed - needed // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=empty)
    places = np.lib.stride_tricks.sliding_window_view(x, kernel, (1, 2))
    return places[:, :: strides[0], :: strides[1]]


def conv(node: Node, inputs: list[Array], depthwise: bool = False) -> Array:
    x, kernel = inputs[:2]
    strides = node.attributes["strides"][1:3]
    places = windows(x, kernel.shape[:2], strides, node.attributes["padding"], 0.0)
    if depthwise:
        out = np.einsum("nrcdhw,hwd->nrcd", places, kernel[..., 0], optimize=True)
    else:
        out = np.tensordot(places, kernel, ([4, 5, 3], [0, 1, 2]))
    for name in node.attributes.get("fused_ops", []):
        out = out + inputs[2] if name == "BiasAdd" else np.clip(out, 0, {"Relu": np.inf, "Relu6": 6}[name])
    return out


def resize(_: Node, inputs: list[Array]) -> Array:
    x, size = inputs

    def blend(x: Array, axis: int, length: int) -> Array:
        at = (np.arange(length) + 0.5) * x.shape[axis] / length - 0.5
        low = np.floor(at)
        share = (at - low).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        first, second = (np.clip(low + k, 0, x.shape[axis] - 1).astype(int) for k in (0, 1))
        return (1 - share) * x.take(first, axis) + share * x.take(second, axis)

    return blend(blend(x, 1, int(size[0])), 2, int(size[1])).astype(np.float32)


def max_pool(node: Node, inputs: list[Array]) -> Array:
    size = tuple(node.attributes["ksize"][1:3])
    places = windows(inputs[0], size, node.attributes["strides"][1:3], node.attributes["padding"], -np.inf)
    return places.max((4, 5))


def gather_nd(_: Node, inputs: list[Array]) -> Array:
    values, index = inputs
    return values[tuple(np.moveaxis(index, -1, 0))]


def split(_: Node, inputs: list[Array]) -> list[Array]:
    x, sizes, axis = inputs
    return np.split(x, np.cumsum(sizes)[:-1], int(axis))


def cast(node: Node, inputs: list[Array]) -> Array:
    return inputs[0].astype({"DT_FLOAT": np.float32, "DT_INT32": np.int32}[node.attributes["DstT"]])


OPERATIONS: dict[str, Any] = {
    "FusedConv2D": conv,
    "Conv2D": conv,
    "DepthwiseConv2dNative": lambda node, x: conv(node, x, depthwise=True),
    "FusedDepthwiseConv2dNative": lambda node, x: conv(node, x, depthwise=True),
    "ResizeBilinear": resize,
    "MaxPool": max_pool,
    "GatherNd": gather_nd,
    "SplitV": split,
    "Cast": cast,
    "Add": lambda _, x: x[0] + x[1],
    "AddV2": lambda _, x: x[0] + x[1],
    "Sub": lambda _, x: x[0] - x[1],
    "Mul": lambda _, x: x[0] * x[1],
    "RealDiv": lambda _, x: x[0] / x[1],
    "FloorDiv": lambda _, x: x[0] // x[1],
    "SquaredDifference": lambda _, x: (x[0] - x[1]) ** 2,
    "Sqrt": lambda _, x: np.sqrt(x[0]),
    "Sigmoid": lambda _, x: 1 / (1 + np.exp(-np.maximum(x[0], -80))),
    "LeakyRelu": lambda node, x: np.where(x[0] < 0, np.float32(node.attributes["alpha"]) * x[0], x[0]),
    "ArgMax": lambda _, x: x[0].argmax(int(x[1])).astype(np.int32),
    "Reshape": lambda _, x: x[0].reshape(x[1]),
    "Transpose": lambda _, x: x[0].transpose(x[1]),
    "ConcatV2": lambda _, x: np.concatenate(x[:-1], int(x[-1])),
    "Pad": lambda _, x: np.pad(x[0], x[1]),
    "PadV2": lambda _, x: np.pad(x[0], x[1], constant_values=x[2]),
    "ExpandDims": lambda _, x: np.expand_dims(x[0], int(x[1])),
    "Squeeze": lambda node, x: x[0].squeeze(tuple(node.attributes["squeeze_dims"])),
    "Pack": lambda node, x: np.stack(x, node.attributes["axis"]),
    "Unpack": lambda node, x: list(np.moveaxis(x[0], node.attributes["axis"], 0)),
    "SparseToDense": lambda _, x: np.full(x[1], x[3]),
    "Identity": lambda _, x: x[0],
}
