"""The stand-in for mmcv's compiled operators suppresses the same boxes, and says what it does not have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab import operators
from pose_extract.estimators.openmmlab.operators import Operators

pytestmark = pytest.mark.openmmlab

Case = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture
def nms(monkeypatch: pytest.MonkeyPatch):
    """The stand-in's own NMS, also where torchvision's would be taken."""
    monkeypatch.setattr(operators, "_torchvision_runs_on", lambda device: False)
    return Operators.nms


def random_boxes(count: int, seed: int, coarse: bool) -> Case:
    """Boxes that overlap in every degree; coarse ones have equal corners and scores, and some are empty."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 200
    boxes = torch.cat([corners, corners + torch.rand(count, 2, generator=generator) * 100], dim=1)
    scores = torch.rand(count, generator=generator)
    return ((boxes / 20).round() * 20, (scores * 5).round() / 5) if coarse else (boxes, scores)


def by_definition(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, offset: int) -> list[int]:
    """Greedy NMS, a pair at a time, in single precision as mmcv's."""
    b, one = boxes.numpy(), np.float32
    area = (b[:, 2] - b[:, 0] + one(offset)) * (b[:, 3] - b[:, 1] + one(offset))
    order = sorted(range(len(b)), key=lambda i: -float(scores[i]))  # sorted() keeps the order of equal ones
    kept: list[int] = []
    for i in order:
        for k in kept:
            w = max(one(0), min(b[i, 2], b[k, 2]) - max(b[i, 0], b[k, 0]) + one(offset))
            h = max(one(0), min(b[i, 3], b[k, 3]) - max(b[i, 1], b[k, 1]) + one(offset))
            union = area[k] + area[i] - w * h
            if union != 0 and w * h / union > one(threshold):
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.65, 1.0])
@pytest.mark.parametrize("coarse", [False, True], ids=["fine", "coarse"])
def test_nms_keeps_the_boxes_that_its_definition_keeps(nms, coarse, threshold, offset):
    for seed in range(25):
        for count in (2, 13, 50):
            boxes, scores = random_boxes(count, 100 * seed + count, coarse)
            kept = nms(boxes, scores, threshold, offset)
            assert kept.dtype == torch.int64
            assert kept.tolist() == by_definition(boxes, scores, threshold, offset)


@pytest.mark.parametrize("coarse", [False, True], ids=["fine", "coarse"])
def test_torchvisions_nms_is_taken_where_it_loads_and_keeps_the_same(openmmlab, coarse, monkeypatch):
    operators._torchvision_runs_on.cache_clear()
    if not operators._torchvision_runs_on("cpu"):
        pytest.skip("torchvision's operators do not load here")
    monkeypatch.setattr(operators, "_greedy", None)
    for seed in range(100):
        boxes, scores = random_boxes(50, seed, coarse)
        for threshold in (0.0, 0.3, 0.65):
            assert Operators.nms(boxes, scores, threshold, 0).tolist() == by_definition(
                boxes, scores, threshold, 0
            )


@pytest.mark.parametrize("block", [1, 7, 50])
def test_how_many_boxes_are_compared_at_once_changes_nothing(nms, monkeypatch, block):
    monkeypatch.setattr(operators, "_BLOCK", block)
    for seed in range(10):
        boxes, scores = random_boxes(50, seed, coarse=seed % 2 == 0)
        assert nms(boxes, scores, 0.5, 0).tolist() == by_definition(boxes, scores, 0.5, 0)


def test_of_equal_boxes_with_equal_scores_the_first_stays(nms):
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(4, 1)
    assert nms(boxes, torch.full((4,), 0.5), 0.5, 0).tolist() == [0]


def test_an_overlap_of_exactly_the_threshold_stays(nms):
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0]])
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5, 0).tolist() == [0, 1]
    assert nms(boxes, scores, 0.4999, 0).tolist() == [0]


def test_no_boxes_and_empty_boxes_are_no_trouble(nms, recwarn):
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 0).tolist() == []
    assert nms(torch.zeros(3, 4), torch.tensor([0.1, 0.3, 0.2]), 0.5, 0).tolist() == [1, 2, 0]
    assert not recwarn.list


def test_half_precision_and_gradients_are_taken(nms):
    boxes, scores = random_boxes(20, 1, coarse=True)
    expected = nms(boxes, scores, 0.5, 0)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert torch.equal(nms(boxes.to(dtype), scores.to(torch.float64), 0.5, 0), expected)
    assert torch.equal(nms(boxes.requires_grad_(), scores, 0.5, 0), expected)


def test_an_operator_that_is_missing_is_named_when_it_is_called():
    module = Operators("mmcv._ext")
    operator = module.modulated_deform_conv_forward
    with pytest.raises(EstimatorError, match="modulated_deform_conv_forward") as caught:
        operator(torch.zeros(1), kernel_h=3)
    assert "mmcv==2.1.0" in str(caught.value)


def test_mmcvs_own_functions_run_on_the_stand_in(openmmlab):
    from mmcv.ops import RoIAlign, batched_nms, nms

    boxes, scores = random_boxes(50, 3, coarse=False)
    kept, indices = nms(boxes, scores, 0.5)
    assert indices.tolist() == by_definition(boxes, scores, 0.5, 0)
    torch.testing.assert_close(kept, torch.cat([boxes, scores[:, None]], dim=1)[indices])

    labels = torch.arange(50) % 3
    _, indices = batched_nms(boxes, scores, labels, {"type": "nms", "iou_threshold": 0.5})
    expected = []
    for label in range(3):
        own = torch.nonzero(labels == label)[:, 0]
        expected += [int(own[i]) for i in by_definition(boxes[own], scores[own], 0.5, 0)]
    assert sorted(indices.tolist()) == sorted(expected)

    with pytest.raises(EstimatorError, match="roi_align_forward"):
        RoIAlign(7)(torch.zeros(1, 1, 8, 8), torch.zeros(1, 5))
