"""The features of a joint are those of the place in the network's input where the joint is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.poses import pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from tests.helpers.known_maps import (
    BOXES,
    CHANNELS,
    crop_of,
    estimate,
    give_joints,
    give_map,
    make_network,
    ramp,
    uniform,
)
from tests.helpers.openmmlab_models import POSE_CONFIGS, RTMPOSE_T

pytestmark = pytest.mark.openmmlab

UDP = f"{POSE_CONFIGS}/topdown_heatmap/coco/cspnext-tiny_udp_8xb256-210e_coco-256x192.py"
VITPOSE = f"{POSE_CONFIGS}/topdown_heatmap/coco/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py"
RTMO = f"{POSE_CONFIGS}/rtmo/body7/rtmo-t_8xb32-600e_body7-416x416.py"


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [4, 8, 32])
@pytest.mark.parametrize("config", [RTMPOSE_T, UDP])
def test_what_is_sampled_is_what_the_picture_shows_at_the_joint(config, stride, checkpoints):
    """The map is the network's own input made smaller, of a picture that shows its own coordinates."""
    from torch.nn.functional import avg_pool2d

    network = make_network(checkpoints, config)
    give_map(network, lambda pictures: (avg_pool2d(pictures, stride),))
    joints = []
    for box in BOXES.values():
        center, scale = crop_of(box)
        cell = stride * scale / (192, 256)  # the cells around a joint have to show the frame only
        low = np.maximum(center - scale / 2 + cell / 2, 1.5 * cell)
        high = np.minimum(center + scale / 2 - cell / 2, (255, 249) - 1.5 * cell)
        assert (low < high).all()
        joints.append(uniform(low, high))
    give_joints(network, joints)
    people = estimate(network, ramp(250, 256), list(BOXES.values()))
    assert people.features.dtype == np.float16
    assert people.features.shape == (len(BOXES), 17, 3)
    assert np.abs(people.keypoints[..., :2] - np.concatenate(joints)).max() < 1e-3
    seen = people.features[..., :2].astype(np.float64) * CHANNELS[:, 1] + CHANNELS[:, 0]
    for box, places, truth in zip(BOXES.values(), seen, people.keypoints[..., :2], strict=True):
        error = np.abs(places - truth).max()
        assert error < min(0.1, 0.5 * crop_of(box)[1][0] / 192), (box, error)  # px of the frame, of the input


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
@pytest.mark.parametrize("config", [RTMPOSE_T, UDP])
def test_a_map_of_its_cells_centres_gives_the_joints_place_in_the_input(config, stride, checkpoints):
    import torch
    from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

    def centres(pictures):
        count, _, height, width = pictures.shape
        rows = (torch.arange(height // stride) + 0.5) * stride - 0.5
        columns = (torch.arange(width // stride) + 0.5) * stride - 0.5
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
        return (grid.expand(count, -1, -1, -1),)

    network = make_network(checkpoints, config)
    give_map(network, centres)
    low, high = stride / 2 - 0.5, np.array([192, 256]) - stride / 2 - 0.5
    joints, truth = [], []
    for box in BOXES.values():
        center, scale = crop_of(box)
        joints.append(uniform(center - 0.6 * scale, center + 0.6 * scale))
        warp = (get_udp_warp_matrix if config == UDP else get_warp_matrix)(center, scale, 0, (192, 256))
        # Outside of the input: what is nearest on its border.
        truth.append(cv2.transform(joints[-1], warp).clip(low, high))
    give_joints(network, joints)
    people = estimate(network, ramp(250, 256), list(BOXES.values()))
    assert np.abs(people.features - np.concatenate(truth)).max() < 0.2  # float16 has steps of 1/8 there


@pytest.mark.parametrize("size", [(250, 256), (120, 256), (250, 100)])
def test_one_stage_models_are_sampled_in_the_whole_frame(size, checkpoints):
    from torch.nn.functional import avg_pool2d

    network = make_network(checkpoints, RTMO)
    give_map(network, lambda pictures: (avg_pool2d(pictures, 8),))
    margin = 12 * max(size) / 416
    joints = [uniform(margin, np.array(size[::-1]) - 1 - margin, (p, 17, 2)) for p in (3, 0, 1)]
    give_joints(network, joints)
    pose = pose_model(network, OpenMMLabSettings(features="backbone", nms=1), 16)
    found = pose.estimate([ramp(*size)] * 3)
    assert [len(people) for people in found] == [3, 0, 1]
    for people, places in zip(found, (places[::-1] for places in joints), strict=True):
        assert people.features.shape == (len(people), 17, 3)
        seen = people.features[..., [2, 1]]  # blue, green, red, not normalised
        assert np.abs(people.keypoints[..., :2] - places).max(initial=0) < 1e-3
        assert np.abs(seen - places).max(initial=0) < 0.15  # float16 has steps of 1/8 there


def test_a_painted_patch_changes_the_features_of_the_joint_under_it_most(checkpoints, picture):
    box = (60, 20, 213.6, 224.8)
    columns, rows = np.meshgrid(np.linspace(80, 190, 4), np.linspace(40, 205, 4))
    joints = np.stack([columns.ravel(), rows.ravel()], axis=1)
    joints = np.concatenate([joints, [[135, 122]]])[None].astype(np.float32)
    network = make_network(checkpoints, RTMPOSE_T)
    give_joints(network, [joints])
    pose = pose_model(network, OpenMMLabSettings(features="backbone.stage1"), 16)
    boxes = [(np.array([box], np.float32), np.ones(1, np.float32))]
    before = pose.estimate([picture], boxes)[0].features.astype(np.float32)
    for joint in range(0, 17, 3):
        x, y = joints[0, joint].astype(int)
        painted = picture.copy()
        painted[y - 3 : y + 4, x - 3 : x + 4] = (255, 0, 255)
        change = np.linalg.norm(pose.estimate([painted], boxes)[0].features - before, axis=2)
        assert change[0].argmax() == joint


# -- what is sampled ---------------------------------------------------------------------------------------------------


def calls_of(module):
    """How often the module's forward was called, as a list that grows."""
    calls, forward = [], module.forward

    def counted(*args, **kwargs):
        calls.append(1)
        return forward(*args, **kwargs)

    module.forward = counted
    return calls


@pytest.mark.parametrize("flip", [False, True])
def test_features_need_no_further_pass_and_are_of_the_picture_as_it_is(flip, checkpoints, picture):
    joints = [uniform(60, 180)]
    found, passes = {}, {}
    for name, settings in {
        "without": {"features": ""},
        "with": {"features": "backbone.stage2"},
        "flip": {"features": "backbone.stage2", "flip_test": flip},
    }.items():
        network = make_network(checkpoints, RTMPOSE_T)
        give_joints(network, joints)
        calls = calls_of(network.model.backbone)
        found[name] = estimate(network, picture, [BOXES["as large as the input"]], **settings)
        passes[name] = len(calls)
    assert passes == {"without": 1, "with": 1, "flip": 1 + flip}
    assert found["without"].features is None
    assert found["with"].features.shape == (1, 17, 96)
    assert np.ptp(found["with"].features.astype(np.float32), axis=1).max() > 0.1
    np.testing.assert_array_equal(found["flip"].features, found["with"].features)


def test_people_in_one_batch_have_the_features_that_each_has_alone(checkpoints, picture):
    network = make_network(checkpoints, RTMPOSE_T)
    boxes = [BOXES["top left"], BOXES["wide"], BOXES["tall"]]
    settings = OpenMMLabSettings(features="backbone.stage2")
    poses = [pose_model(network, settings, batch) for batch in (16, 2)]
    people = [
        (np.array(boxes, np.float32), np.ones(3, np.float32)),
        (np.zeros((0, 4), np.float32), np.zeros(0)),
    ]
    (all_at_once, nobody), (in_two, _) = (pose.estimate([picture, picture], people) for pose in poses)
    assert len(nobody) == 0
    for row, box in enumerate(boxes):
        alone = estimate(network, picture, [box], features="backbone.stage2").features[0].astype(np.float32)
        for together in (all_at_once, in_two):
            assert np.abs(together.features[row] - alone).max() < 0.02
            assert np.abs(together.features[row - 1] - alone).max() > 0.2


def test_it_is_what_the_module_gave_even_if_others_work_on_it_in_place(checkpoints, picture):
    people = estimate(
        make_network(checkpoints, RTMPOSE_T), picture, [BOXES["wide"]], features="backbone.stem.0.conv"
    )
    assert people.features.min() < -0.3  # an activation follows that gives no less than -0.28


def test_one_of_several_maps_is_chosen_by_its_number(checkpoints, picture):
    def give(pictures):
        means = pictures.mean(1, keepdim=True)
        return tuple((means * 0 + value)[..., ::step, ::step] for value, step in ((1, 4), (2, 8), (3, 16)))

    for name, value in (("", 3), ("[0]", 1), ("[1]", 2), ("[-2]", 2)):
        network = make_network(checkpoints, RTMPOSE_T)
        give_map(network, give)
        give_joints(network, [np.full((1, 17, 2), 100.0)])
        people = estimate(network, picture, [BOXES["wide"]], features=f"backbone{name}")
        assert (people.features == value).all(), name


@pytest.mark.parametrize(
    ("config", "module", "channels"),
    [(VITPOSE, "backbone", 384), (VITPOSE, "head.deconv_layers", 256), (UDP, "head", 17)],
)
def test_other_modules_give_maps_too(config, module, channels, checkpoints, picture):
    people = estimate(make_network(checkpoints, config), picture, [BOXES["wide"]], features=module)
    assert people.features.shape == (1, 17, channels)
    assert np.isfinite(people.features).all()
    assert np.ptp(people.features.astype(np.float32), axis=1).max() > 0.01


def test_features_of_a_one_stage_model(checkpoints, picture):
    network = make_network(checkpoints, RTMO)
    network.model.test_cfg["score_thr"] = 0.55  # random weights find somebody everywhere
    for module in ("neck", "neck[0]", "backbone.stage2"):
        pose = pose_model(network, OpenMMLabSettings(features=module, min_score=0.55), 16)
        both = pose.estimate([picture, picture[:200]])
        (alone,) = pose.estimate([picture[:200]])
        assert min(len(people) for people in both) > 1
        assert np.abs(both[1].features - alone.features.astype(np.float32)).max() < 0.02
        assert np.ptp(alone.features.astype(np.float32), axis=1).max() > 0.1


def test_low_precision_is_enough(checkpoints, picture):
    joints = [uniform(60, 180)]
    found = []
    for precision in ("fp32", "bf16"):
        network = make_network(checkpoints, RTMPOSE_T, precision)
        give_joints(network, joints)
        people = estimate(network, picture, [BOXES["wide"]], features="backbone.stage2")
        found.append(people.features.astype(np.float32))
    exact, rough = found
    assert 0 < np.abs(exact - rough).max() < 0.1 * np.abs(exact).max()


def test_values_that_float16_does_not_have(checkpoints, picture):
    def give(pictures):
        values = [1e9, -1e9, float("nan"), float("inf"), float("-inf"), 1.5]
        return (pictures.new_tensor(values).view(1, -1, 1, 1).expand(len(pictures), -1, 8, 6),)

    network = make_network(checkpoints, RTMPOSE_T)
    give_map(network, give)
    joints = np.full((1, 17, 2), 100.0)
    joints[0, 3], joints[0, 4] = np.nan, 1e30
    give_joints(network, [joints])
    features = estimate(network, picture, [BOXES["wide"]]).features
    assert (features[0, [0, 4]] == [65504, -65504, 0, 0, 0, 1.5]).all()
    assert (features[0, 3] == 0).all()  # nowhere


def test_joints_that_were_not_found_have_zeros_and_a_neck_the_mean_of_the_shoulders(checkpoints, picture):
    network = make_network(checkpoints, RTMPOSE_T)
    joints = [uniform(60, 180)] * 2
    scores = np.ones((1, 17))
    scores[0, 9] = 0
    give_joints(network, joints, scores)
    boxes = [BOXES["wide"], BOXES["tall"]]
    coco17 = estimate(network, picture, boxes, features="backbone.stage2").features
    assert (coco17[:, 9] == 0).all()
    assert (np.abs(coco17).max(2) > 0).sum(1).tolist() == [16, 16]
    network = make_network(checkpoints, RTMPOSE_T)
    give_joints(network, joints, scores)
    people = estimate(network, picture, boxes, features="backbone.stage2", skeleton="coco18")
    neck = coco17[:, 5:7].astype(np.float32).mean(1)
    assert np.abs(people.features[:, 1] - neck).max() < 2e-3 * np.abs(neck).max()
    scores[0, 5] = 0  # a shoulder
    people = estimate(network, picture, boxes, features="backbone.stage2", skeleton="coco18")
    assert (people.features[:, 1] == 0).all()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("backbone.stage7", "no module backbone.stage7; nearest: backbone.stage"),
        ("zzzz", "nearest: data_preprocessor, backbone, head"),
        ("[0]", r"no module \[0\]"),
        ("backbone[x]", r"no module backbone\[x\]"),
        ("backbone[3]", "the module gives 1 maps, numbered from 0"),
        ("head", r"gives tuple of a tensor of shape \(1, 17, 384\), a tensor"),
        ("head.gau", r"maps of shape \(N, C, H, W\), this one gives a tensor of shape \(1, 17, 256\)"),
        ("data_preprocessor", "gives a dict"),
        ("head.loss_module", "it was not used"),
    ],
)
def test_a_module_that_will_not_do_is_named(module, message, checkpoints, picture):
    network = make_network(checkpoints, RTMPOSE_T)
    with pytest.raises(EstimatorError, match=message) as raised:
        estimate(network, picture, [BOXES["wide"]], features=module)
    assert f"openmmlab.features {module}" in str(raised.value)
