"""The converted networks against a plain reading of the published graphs."""

import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from pose_extract.estimators.downloads import weights_folder
from pose_extract.estimators.movenet.graph_model import GraphModel, Node
from tests.helpers.graph_interpreter import interpret


def graph_of(stem):
    return GraphModel.from_bytes(
        *((weights_folder() / f"{stem}.{end}").read_bytes() for end in ("json", "bin"))
    )


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.fixture(scope="module")
def pictures(street):
    """Frames with people: of the street, and a photograph where there are some."""
    found = [street[0][0], street[0][6][:, ::-1]]
    if data := os.environ.get("GEPC_SAMPLE_DATA"):
        photo = cv2.imread(str(Path(data) / "coco" / "000000197388.jpg"))
        assert photo is not None
        found.append(photo)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "side"), [("lightning", 192), ("thunder", 256)])
def test_movenet_finds_in_a_batch_what_the_graph_finds_one_by_one(networks, pictures, variant, side):
    crops = np.stack([cv2.resize(p[20:300, 100:380, ::-1], (side, side)) for p in pictures])
    found = run(networks[variant], crops=crops)["joints"]
    graph = graph_of(f"movenet-{variant}")
    for crop, joints in zip(crops, found, strict=True):
        (expected,) = interpret(graph, crop[None].astype(np.int32)).values()
        np.testing.assert_allclose(joints, expected[0, 0], atol=1e-3)
    assert found[..., 2].max() > 0.5  # there are people in them


@pytest.mark.slow
def test_nanodet_finds_what_the_graph_finds(networks, pictures):
    picture = cv2.resize(pictures[-1], (416, 416))
    found = run(networks["nanodet"], picture=picture)
    scaled = (picture - np.array([103.53, 116.28, 123.675])) / np.array([57.375, 57.12, 58.395])
    expected = interpret(graph_of("nanodet"), scaled.transpose(2, 0, 1)[None].astype(np.float32))
    by_shape = {values.shape[1:]: values[0] for values in expected.values()}
    assert len(found) == len(by_shape) == 6
    for values in found.values():
        np.testing.assert_allclose(values, by_shape[values.shape], atol=1e-3)
    assert found["classes_16"][:, 0].max() > 0.4


def test_nanodet_takes_any_multiple_of_its_stride(networks):
    found = run(networks["nanodet"], picture=np.zeros((96, 160, 3), np.uint8))
    assert found["classes_8"].shape == (12 * 20, 80)
    assert found["bins_32"].shape == (3 * 5, 44)


def test_weights_that_do_not_fit_their_graph_are_refused(networks):
    topology = (weights_folder() / "nanodet.json").read_bytes()
    weights = (weights_folder() / "nanodet.bin").read_bytes()
    with pytest.raises(ValueError, match="bytes of weights"):
        GraphModel.from_bytes(topology, weights + b"\0\0")


def test_a_graph_that_reads_from_nowhere_is_refused():
    topology = b"""{"modelTopology": {"node": [{"name": "a", "op": "Sigmoid", "input": ["b"]}]},
        "weightsManifest": [{"weights": []}]}"""
    with pytest.raises(ValueError, match="a: reads from nodes that are not there"):
        GraphModel.from_bytes(topology, b"")


def test_nodes_are_put_in_order_and_their_attributes_are_plain():
    topology = b"""{"modelTopology": {"node": [
        {"name": "b", "op": "LeakyRelu", "input": ["a"], "attr": {"alpha": {"f": 0.1}, "kind": {"s": "U0FNRQ=="}}},
        {"name": "a", "op": "Sigmoid", "input": ["x"], "attr": {"strides": {"list": {"i": ["1", "2"]}}}},
        {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": [{"size": "3"}]}}}}]},
        "weightsManifest": [{"weights": []}]}"""
    graph = GraphModel.from_bytes(topology, b"")
    assert graph.inputs == {"x": (3,)}
    assert graph.nodes == (
        Node("a", "Sigmoid", ("x",), {"strides": [1, 2]}),
        Node("b", "LeakyRelu", ("a",), {"alpha": 0.1, "kind": "SAME"}),
    )
