"""Convert the two kinds of graph models that the estimator uses to ONNX, with the freedom that their graphs lack.

The graphs take one crop (MoveNet) and one square (NanoDet); what depends on that is expressed so that MoveNet takes any
number of crops, and NanoDet any height and width that are multiples of 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from pose_extract.estimators.movenet.graph_model import GraphModel, Node
from pose_extract.estimators.movenet.onnx_writer import TO_ONNX, OnnxWriter, Value

_OPSET, _IR = 17, 8
_HEADS = {
    "center": "center_0/",
    "regress": "kpt_regress_0/",
    "heat": "kpt_heatmap_0/",
    "offset": "kpt_offset_0/",
}


def movenet_to_onnx(graph: GraphModel) -> onnx.ModelProto:
    """MoveNet for single people as ONNX.

    Returns:
        a model from ``crops`` (N, side, side, 3) uint8 RGB to ``joints`` (N, 17, 3): y, x of 0..1 in the crop, score.
    """
    (shape,) = graph.inputs.values()
    side = shape[1]
    converter = OnnxWriter(graph)
    heads = {role: _last(graph, part) for role, part in _HEADS.items()}
    trunk, first = _trunk(graph, list(heads.values()))
    real = converter.emit("Cast", ["crops"], to=TensorProto.FLOAT)
    converter.put(first, Value(real, False, (side, side)))
    converter.convert(trunk)
    # The weights of the middle, and the least distance, are constants of the graph's end.
    end = [node for node in graph.nodes if node.name not in {n.name for n in trunk}]
    grids = [graph.constants[i] for n in end if n.op == "Mul" for i in n.inputs if i in graph.constants]
    weights = next(grid for grid in grids if grid.ndim == 3)
    sums = [graph.constants[i] for n in end if n.op == "AddV2" for i in n.inputs if i in graph.constants]
    softening = next(float(summand) for summand in sums if summand.ndim == 0)
    scale = next(grid for grid in grids if grid.shape == (1, 1, 1, 2)).ravel()
    maps = {role: converter.as_written(head) for role, head in heads.items()}
    joints = _decode(converter, maps, weights, softening, scale)
    return _model(
        converter,
        helper.make_tensor_value_info("crops", TensorProto.UINT8, ["people", side, side, 3]),
        {joints: ("joints", ["people", 17, 3])},
    )


def _decode(
    c: OnnxWriter, maps: dict[str, str], weights: NDArray[Any], softening: float, scale: NDArray[Any]
) -> str:
    """From the four maps (N, H, W, ...) to joints (N, 17, 3), as the graph does it for one person.

    The middle of the person nearest to that of the crop says where each joint should be; of its heat map, the highest
    place counts, the less the further it is from there; the offset at that place makes it exact.
    """
    rows, columns, _ = weights.shape
    cells = rows * columns

    def floats(values: Any) -> str:
        return c.constant(values, np.float32)

    def shape(*axes: int) -> str:
        return c.constant(axes, np.int64)

    middle = c.emit("Mul", [c.emit("Sigmoid", [maps["center"]]), floats(weights)])
    best = c.emit("ArgMax", [c.emit("Reshape", [middle, shape(0, cells)])], axis=1, keepdims=1)  # (N, 1)
    regressed = c.emit("Reshape", [maps["regress"], shape(0, cells, 34)])
    regressed = c.emit("GatherND", [regressed, best], batch_dims=1)  # (N, 34)
    regressed = c.emit("Reshape", [regressed, shape(0, 17, 2)])
    at = c.emit("Reshape", [_cell(c, best, columns), shape(0, 1, 2)])
    expected = c.emit("Add", [regressed, at])  # (N, 17, 2)
    row, column = np.divmod(np.arange(cells), columns)
    squares = []
    for axis, grid in enumerate((row, column)):
        one = c.emit("Gather", [expected, c.constant([axis], np.int64)], axis=2)  # (N, 17, 1)
        away = c.emit("Sub", [one, floats(grid.reshape(1, 1, cells))])  # (N, 17, cells)
        squares.append(c.emit("Mul", [away, away]))
    distance = c.emit("Sqrt", [c.emit("Add", squares)])
    heat = c.emit("Sigmoid", [c.emit("Reshape", [maps["heat"], shape(0, cells, 17)])])
    heat = c.emit("Transpose", [heat], perm=[0, 2, 1])  # (N, 17, cells)
    near = c.emit("Div", [heat, c.emit("Add", [distance, floats(softening)])])
    place = c.emit("ArgMax", [near], axis=2, keepdims=1)  # (N, 17, 1)
    score = c.emit("GatherElements", [heat, place], axis=2)
    offsets = c.emit("Reshape", [maps["offset"], shape(0, cells, 17, 2)])
    offsets = c.emit("Transpose", [offsets], perm=[0, 2, 1, 3])  # (N, 17, cells, 2)
    offset = c.emit("GatherND", [offsets, place], batch_dims=2)  # (N, 17, 2)
    exact = c.emit("Add", [offset, _cell(c, place, columns)])
    return c.emit("Concat", [c.emit("Mul", [exact, floats(scale)]), score], axis=2)


def _cell(c: OnnxWriter, index: str, columns: int) -> str:
    """Row and column (N, ..., 2) of cells numbered row by row (N, ..., 1), float32."""
    width = c.constant(columns, np.int64)
    row = c.emit("Div", [index, width])
    column = c.emit("Mod", [index, width])
    both = c.emit("Concat", [row, column], axis=-1)
    return c.emit("Cast", [both], to=TensorProto.FLOAT)


def nanodet_to_onnx(graph: GraphModel) -> onnx.ModelProto:
    """NanoDet as ONNX.

    Returns:
        a model from ``picture`` (H, W, 3) uint8 BGR, H and W multiples of 32, to ``classes_STRIDE`` (cells, 80) and
        ``bins_STRIDE`` (cells, 44) for the strides 8, 16 and 32.
    """
    ((name, shape),) = graph.inputs.items()
    converter = OnnxWriter(graph)
    real = converter.emit("Cast", ["picture"], to=TensorProto.FLOAT)
    mean = converter.constant([103.53, 116.28, 123.675], np.float32)
    deviation = converter.constant([57.375, 57.12, 58.395], np.float32)
    normal = converter.emit("Div", [converter.emit("Sub", [real, mean]), deviation])
    normal = converter.emit("Unsqueeze", [normal, converter.constant([0], np.int64)])
    turned = converter.emit("Transpose", [normal], perm=TO_ONNX)
    converter.put(name, Value(turned, False, (shape[2], shape[3])))
    # The graph's end makes tables of the maps in a roundabout way, for one size.
    by_name = {node.name: node for node in graph.nodes}
    ends = [node for node in graph.nodes if node.op == "SplitV"]
    trunk, _ = _trunk(graph, [node.name for node in ends])
    converter.convert(trunk)
    sizes = {node.name: by_name[node.inputs[0]] for node in ends}
    outputs: dict[str, tuple[str, list[Any]]] = {}
    strided = sorted(ends, key=lambda node: -(converter.value(sizes[node.name].inputs[0]).size or (0, 0))[0])
    for stride, node in zip((8, 16, 32), strided, strict=True):
        for part, (kind, channels) in enumerate((("classes", 80), ("bins", 44))):
            value = converter.value(f"{node.name}:{part}" if part else node.name).name
            if kind == "classes":
                value = converter.emit("Sigmoid", [value])
            value = converter.emit("Reshape", [value, converter.constant([channels, -1], np.int64)])
            value = converter.emit("Transpose", [value], perm=[1, 0])
            outputs[value] = (f"{kind}_{stride}", [f"cells_{stride}", channels])
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, ["height", "width", 3])
    return _model(converter, picture, outputs)


def _last(graph: GraphModel, part: str) -> str:
    """Name of the last node of a head."""
    return [node.name for node in graph.nodes if part in node.name and "Conv2D" in node.op][-1]


def _trunk(graph: GraphModel, ends: list[str]) -> tuple[list[Node], str]:
    """The nodes that ``ends`` need, in order, from the first that is about numbers on; and the value that it reads."""
    by_name = {node.name: node for node in graph.nodes}
    needed: set[str] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop().partition(":")[0]
        if name in by_name and name not in needed:
            needed.add(name)
            waiting += by_name[name].inputs
    nodes = [node for node in graph.nodes if node.name in needed]
    (source,) = graph.inputs
    preparing = {"Cast", "Unpack", "ExpandDims", "Squeeze"}  # the identity, for a picture of the right size
    while nodes[0].op in preparing:
        source = nodes.pop(0).name
    return nodes, source


def _model(
    converter: OnnxWriter, source: onnx.ValueInfoProto, outputs: dict[str, tuple[str, list[Any]]]
) -> onnx.ModelProto:
    """The converter's nodes as a checked model."""
    for value, (name, _) in outputs.items():
        converter.nodes.append(helper.make_node("Identity", [value], [name]))
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.values()]
    graph = helper.make_graph(
        converter.nodes, "converted", [source], results, list(converter.constants.values())
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model, full_check=True)
    return model
