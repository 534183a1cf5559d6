"""Read a TensorFlow.js graph model: a JSON file of nodes and a file of weights, float16 or int32."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STORED = {"float16": np.float16, "float32": np.float32, "int32": np.int32}


@dataclass(frozen=True)
class Node:
    """One operation of the graph.

    Attributes:
        name: its own, which is that of its first output; output i > 0 is ``name:i``.
        op: TensorFlow's name of the operation.
        inputs: names of outputs of other nodes, or of constants.
        attributes: plain Python values by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class GraphModel:
    """A graph model.

    Attributes:
        nodes: all but the constants, each after those it reads from.
        constants: by name; float16 weights as the float32 numbers that they stand for.
        inputs: name -> shape of each input.
        outputs: names of the nodes whose outputs the model returns.
    """

    nodes: tuple[Node, ...]
    constants: dict[str, NDArray[Any]]
    inputs: dict[str, tuple[int, ...]]
    outputs: tuple[str, ...]

    @classmethod
    def from_bytes(cls, topology: bytes, weights: bytes) -> GraphModel:
        """Read a model from the contents of its two files.

        Raises:
            ValueError: they are no graph model, or do not belong together.
        """
        model = json.loads(topology)
        (manifest,) = model["weightsManifest"]
        constants: dict[str, NDArray[Any]] = {}
        at = 0
        for entry in manifest["weights"]:
            dtype = np.dtype(_STORED[entry.get("quantization", entry)["dtype"]])
            size = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(weights, dtype, size, at).reshape(entry["shape"])
            constants[entry["name"]] = values.astype(np.float32) if dtype == np.float16 else values
            at += size * dtype.itemsize
        if at != len(weights):
            raise ValueError(f"expected {at} bytes of weights, got {len(weights)}")
        nodes, inputs, outputs = [], {}, []
        for entry in model["modelTopology"]["node"]:
            attributes = {name: _plain(value) for name, value in entry.get("attr", {}).items()}
            node = Node(entry["name"], entry["op"], tuple(entry.get("input", ())), attributes)
            if node.op == "Placeholder":
                inputs[node.name] = attributes["shape"]
            elif node.op != "Const":
                nodes.append(node)
                if node.op == "Identity":
                    outputs.append(node.name)
        return cls(_ordered(nodes, {*constants, *inputs}), constants, inputs, tuple(sorted(outputs)))


def _plain(value: dict[str, Any]) -> Any:
    """An attribute, as protocol buffers write it in JSON, as a plain value."""
    ((kind, inner),) = value.items() if value else (("list", {}),)
    if kind == "list":
        (items,) = inner.values() if inner else ((),)
        return [_scalar(next(iter(inner)), item) for item in items]
    return _scalar(kind, inner)


def _scalar(kind: str, inner: Any) -> Any:
    if kind == "s":
        return base64.b64decode(inner).decode()
    if kind == "i":
        return int(inner)
    if kind == "shape":
        return tuple(int(axis["size"]) for axis in inner.get("dim", ()))
    return inner


def _ordered(nodes: list[Node], known: set[str]) -> tuple[Node, ...]:
    """The nodes, each after those it reads from."""
    found: list[Node] = []
    while nodes:
        ready = [node for node in nodes if all(i.partition(":")[0] in known for i in node.inputs)]
        if not ready:
            raise ValueError(f"{nodes[0].name}: reads from nodes that are not there")
        found += ready
        known |= {node.name for node in ready}
        nodes = [node for node in nodes if node.name not in known]
    return tuple(found)
