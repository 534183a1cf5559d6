"""Models of other kinds than the presets', their joints, their configs and checkpoints; detectors of other kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab.detector import PersonDetector
from pose_extract.estimators.openmmlab.joints import JointMap, joint_names
from pose_extract.estimators.openmmlab.names import (
    DETECTOR_NAMES,
    POSE_NAMES,
    PRESETS,
    detector_source,
    pose_source,
)
from pose_extract.estimators.openmmlab.networks import Network
from pose_extract.estimators.openmmlab.poses import OneStagePose, TopDownPose, pose_model
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.skeletons import get_skeleton
from tests.helpers.openmmlab_models import POSE_CONFIGS, RTMPOSE_T, config_path, save_random, slim

pytestmark = pytest.mark.openmmlab

BOXES = np.array([[10, 20, 90, 200], [100, 30, 180, 230], [200, 10, 310, 235]], np.float32)
SCORES = np.ones(3, np.float32)
HEATMAP = f"{POSE_CONFIGS}/topdown_heatmap"
REGRESSION = f"{POSE_CONFIGS}/topdown_regression/coco"
WHOLE_BODY = "configs/wholebody_2d_keypoint/rtmpose"
HALPE26 = f"{POSE_CONFIGS}/rtmpose/body8/rtmpose-t_8xb1024-700e_body8-halpe26-256x192.py"


def make_network(config, checkpoint, scope="mmpose", stage="pose"):
    return Network(config, checkpoint, scope, "cpu", "fp32", stage, {})


def people_of(network, picture, **settings):
    pose = pose_model(network, OpenMMLabSettings(**settings), 16)
    assert isinstance(pose, TopDownPose)
    (people,) = pose.estimate([picture], [(BOXES, SCORES)])
    return people


def mmposes(config, checkpoint, picture):
    """Keypoints (P, J, 2) and scores (P, J) by mmpose's own inference."""
    from mmpose.apis import inference_topdown, init_model

    model = init_model(str(config), str(checkpoint), device="cpu")
    model.test_cfg["flip_test"] = False
    found = [sample.pred_instances for sample in inference_topdown(model, picture, BOXES)]
    names = joint_names(model.dataset_meta)
    return (
        names,
        np.concatenate([one.keypoints for one in found]),
        np.concatenate([one.keypoint_scores for one in found]),
    )


# -- heads and backbones -----------------------------------------------------------------------------------------------

KINDS = {
    "udp": f"{HEATMAP}/coco/cspnext-tiny_udp_8xb256-210e_coco-256x192.py",
    "plain heat maps": f"{HEATMAP}/coco/td-hm_mobilenetv2_8xb64-210e_coco-256x192.py",
    "shuffled channels": f"{HEATMAP}/coco/td-hm_shufflenetv2_8xb64-210e_coco-256x192.py",
    "simcc": f"{POSE_CONFIGS}/simcc/coco/simcc_mobilenetv2_wo-deconv-8xb64-210e_coco-256x192.py",
    "regression": f"{REGRESSION}/td-reg_mobilenetv2_rle-pretrained-8xb64-210e_coco-256x192.py",
}
SLOW_KINDS = {
    "dark": f"{HEATMAP}/coco/td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192.py",
    "hrnet with udp": f"{HEATMAP}/coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py",
    "udp by regression": f"{HEATMAP}/coco/td-hm_hrnet-w32_udp-regress-8xb64-210e_coco-256x192.py",
    "simcc with deconvolutions": f"{POSE_CONFIGS}/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py",
    "regression by resnet": f"{REGRESSION}/td-reg_res50_8xb64-210e_coco-256x192.py",
    "vitpose-simple": f"{HEATMAP}/coco/td-hm_ViTPose-small-simple_8xb64-210e_coco-256x192.py",
    "swin": f"{HEATMAP}/coco/td-hm_swin-t-p4-w7_8xb32-210e_coco-256x192.py",
    "litehrnet": f"{HEATMAP}/coco/td-hm_litehrnet-18_8xb64-210e_coco-256x192.py",
    "vipnas": f"{HEATMAP}/coco/td-hm_vipnas-mbv3_8xb64-210e_coco-256x192.py",
    "stages": f"{HEATMAP}/coco/td-hm_mspn50_8xb32-210e_coco-256x192.py",
}
REFINED = ("udp", "dark", "hrnet with udp")


def calmed(checkpoint):
    """The same with an output that is small and above 0, as of trained heads; rounding matters less to it."""
    content = torch.load(checkpoint, weights_only=True)
    state = content["state_dict"]
    for name in ("head.fc", "head.final_layer"):
        if f"{name}.weight" in state and not any("head.mlp" in other for other in state):
            state[f"{name}.weight"] *= 0.1
            state[f"{name}.bias"].fill_(0.5)
    torch.save(content, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW_KINDS)]
)
def test_joints_of_every_kind_of_model_are_those_of_mmpose(kind, openmmlab, picture, tmp_path):
    config = slim(config_path((KINDS | SLOW_KINDS)[kind]), tmp_path)
    checkpoint = calmed(save_random(config, "mmpose", tmp_path / "pose.pth"))
    _, theirs, scores = mmposes(config, checkpoint, picture)
    ours = people_of(make_network(config, checkpoint), picture)
    apart = np.abs(ours.keypoints[..., :2] - theirs).max(-1)
    # Refinement divides by a peak's curvature. Some of a random network's peaks have hardly any, and rounding shows.
    assert (apart < 0.01).mean() > (0.9 if kind in REFINED else 0.9999)
    assert apart.max() < 1
    assert np.abs(ours.keypoints[..., 2] - scores.clip(0, 1)).max() < 1e-3
    assert np.ptp(theirs, axis=1).min() > 0.1  # joints in different places


# -- joints ------------------------------------------------------------------------------------------------------------


def test_coco18_has_a_neck_between_the_shoulders(openmmlab, checkpoints, picture):
    config = config_path(RTMPOSE_T)
    network = make_network(config, checkpoints(config))
    coco17, coco18 = (people_of(network, picture, skeleton=name).keypoints for name in ("coco17", "coco18"))
    names, others = get_skeleton("coco17").joints, get_skeleton("coco18").joints
    assert set(others) == {*names, "neck"}
    for joint in names:
        np.testing.assert_array_equal(coco18[:, others.index(joint)], coco17[:, names.index(joint)])
    left, right = (coco17[:, names.index(f"{side}_shoulder")] for side in ("left", "right"))
    neck = coco18[:, others.index("neck")]
    np.testing.assert_allclose(neck[:, :2], (left + right)[:, :2] / 2, atol=1e-3)
    np.testing.assert_array_equal(neck[:, 2], np.minimum(left[:, 2], right[:, 2]))


@pytest.mark.parametrize("skeleton", ["halpe26", "coco17", "coco18"])
def test_a_model_of_26_joints_gives_these_and_their_subsets(skeleton, openmmlab, checkpoints, picture):
    config = config_path(HALPE26)
    checkpoint = checkpoints(config)
    names, theirs, scores = mmposes(config, checkpoint, picture)
    assert len(names) == 26
    ours = people_of(make_network(config, checkpoint), picture, skeleton=skeleton).keypoints
    order = [names.index(joint) for joint in get_skeleton(skeleton).joints]  # its own neck too
    assert np.abs(ours[..., :2] - theirs[:, order]).max() < 0.01
    assert np.abs(ours[..., 2] - scores[:, order].clip(0, 1)).max() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        f"{WHOLE_BODY}/ubody/rtmpose-t_8xb64-270e_coco-ubody-wholebody-256x192.py",
        f"{WHOLE_BODY}/coco-wholebody/rtmpose-m_8xb64-270e_coco-wholebody-256x192.py",
        f"{WHOLE_BODY}/cocktail14/rtmw-m_8xb1024-270e_cocktail14-256x192.py",
    ],
)
def test_of_a_whole_body_model_the_body_is_taken(name, openmmlab, picture, tmp_path):
    config = config_path(name)
    checkpoint = save_random(config, "mmpose", tmp_path / "pose.pth")
    names, theirs, _ = mmposes(config, checkpoint, picture)
    assert len(names) == 133
    network = make_network(config, checkpoint)
    ours = people_of(network, picture).keypoints
    assert np.abs(ours[..., :2] - theirs[:, :17]).max() < 0.01
    with pytest.raises(EstimatorError, match="halpe26: the model has no head; its 133 joints are nose"):
        people_of(network, picture, skeleton="halpe26")


@pytest.mark.parametrize(
    ("data_set", "lacking"),
    [
        ("mpii", "nose"),
        ("aic", "nose"),
        ("crowdpose", "nose"),
        ("jhmdb", "nose"),
        ("posetrack18", "left_eye"),
    ],
)
def test_a_model_that_lacks_joints_says_which(data_set, lacking, openmmlab):
    from mmengine.config import Config
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    base = Config.fromfile(config_path(f"configs/_base_/datasets/{data_set}.py"))
    names = joint_names(parse_pose_metainfo(base.dataset_info))
    with pytest.raises(EstimatorError, match=f"openmmlab.skeleton coco17: the model has no {lacking}; its"):
        JointMap(names, get_skeleton("coco17"))


# -- configs and checkpoints of users ----------------------------------------------------------------------------------


@pytest.fixture
def usual(openmmlab, checkpoints, picture):
    """Checkpoint and joints of the small model as it is shipped."""
    config = config_path(RTMPOSE_T)
    return checkpoints(config), people_of(make_network(config, checkpoints(config)), picture).keypoints


def test_a_config_of_ones_own_inherits_from_mmposes(usual, picture, tmp_path):
    checkpoint, joints = usual
    config = tmp_path / "own.py"
    config.write_text(f"_base_ = 'mmpose::{RTMPOSE_T.removeprefix('configs/')}'\nwork_dir = 'elsewhere'\n")
    np.testing.assert_array_equal(people_of(make_network(config, checkpoint), picture).keypoints, joints)


@pytest.mark.parametrize("form", ["bare", "module", "averaged", "safetensors"])
def test_checkpoints_of_other_forms_hold_the_same_weights(form, usual, picture, tmp_path):
    from safetensors.torch import save_file

    checkpoint, joints = usual
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    path = tmp_path / "weights.pth"
    if form == "bare":
        torch.save(state, path)
    elif form == "module":
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, path)
    elif form == "averaged":
        # What mmengine's EMA hook saves: the averaged weights in their place, the others beside them.
        plain = {f"module.{name}": torch.zeros_like(value) for name, value in state.items()}
        torch.save({"state_dict": state, "ema_state_dict": {"steps": torch.tensor(3), **plain}}, path)
    else:
        path = tmp_path / "weights.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    ours = people_of(make_network(config_path(RTMPOSE_T), path), picture)
    np.testing.assert_array_equal(ours.keypoints, joints)


def test_the_joints_are_those_that_the_checkpoint_names(usual, picture, tmp_path):
    from mmengine.config import Config
    from mmpose.apis.inference import dataset_meta_from_config

    checkpoint, joints = usual
    meta = dict(make_network(config_path(RTMPOSE_T), checkpoint).dataset_meta)
    assert not meta  # this checkpoint names none: they are the config's
    meta = dict(dataset_meta_from_config(Config.fromfile(config_path(RTMPOSE_T)), "train"))
    assert any(isinstance(value, np.ndarray) for value in meta.values())  # as in published checkpoints
    order = np.arange(17)[::-1]
    names = {i: meta["keypoint_id2name"][int(j)] for i, j in enumerate(order)}
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    path = tmp_path / "reversed.pth"
    torch.save({"state_dict": state, "meta": {"dataset_meta": {**meta, "keypoint_id2name": names}}}, path)
    ours = people_of(make_network(config_path(RTMPOSE_T), path), picture)
    np.testing.assert_array_equal(ours.keypoints, joints[:, order])


# -- detectors ---------------------------------------------------------------------------------------------------------

DETECTORS = {
    "rtmdet": "rtmdet/rtmdet_tiny_8xb32-300e_coco.py",
    "yolox": "yolox/yolox_tiny_8xb8-300e_coco.py",
    "yolov3": "yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py",
    "centernet": "centernet/centernet_r18_8xb16-crop512-140e_coco.py",
    "retinanet": "retinanet/retinanet_r18_fpn_1xb8-1x_coco.py",
}


def small_config(name, folder):
    """One of mmdet's configs, for small pictures."""
    path = folder / "detector.py"
    path.write_text(
        f"_base_ = 'mmdet::{name}'\n"
        "pipeline = _base_.test_dataloader.dataset.pipeline\n"
        "for step in [step for part in pipeline for step in (part, *part.get('transforms', ()))]:\n"
        "    if step['type'] == 'Resize':\n"
        "        step['scale'] = (320, 320)\n"
        "    elif step['type'] == 'Pad' and 'size' in step:\n"
        "        step['size'] = (320, 320)\n"
        "test_dataloader = dict(dataset=dict(pipeline=pipeline))\n"
        "test_pipeline = pipeline\n"
        "model = dict(backbone=dict(init_cfg=None))\n"
        "del step, pipeline\n"
    )
    return path


def random_detector(config, path):
    """A random checkpoint whose model takes most things for people, of reasonable sizes."""
    save_random(config, "mmdet", path, box_gain=0.1)
    content = torch.load(path, weights_only=True)
    for name, value in content["state_dict"].items():
        outputs = len(value) if value.dim() else 0
        classes = next((n for n in (85, 81, 80) if outputs and outputs % n == 0), 0)
        if not classes and outputs not in (1, 2, 4, 36):
            continue
        if value.dim() > 1:
            value *= 0.02
        elif classes and name.endswith("bias"):
            scores = value.view(-1, classes)[:, 4 if classes == 85 else 0 :]
            scores[:] = -4.0
            scores[:, : 2 if classes == 85 else 1] = 1.0  # anything at all, a person
        elif "obj" in name:
            value.fill_(1.0)
        elif "wh_head" in name:
            value.fill_(30.0)
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind != "rtmdet" else ()) for kind in DETECTORS]
)
def test_boxes_of_every_kind_of_detector_are_those_of_mmdet(kind, openmmlab, picture, tmp_path):
    from mmdet.apis import inference_detector, init_detector

    config = small_config(DETECTORS[kind], tmp_path)
    checkpoint = random_detector(config, tmp_path / "detector.pth")
    settings = OpenMMLabSettings(min_score=0.1, nms=1.0, max_people=1000)
    detector = PersonDetector(make_network(config, checkpoint, "mmdet", "detector"), settings)
    images = [picture, picture[:, ::-1].copy()]
    model = init_detector(str(config), str(checkpoint), device="cpu")
    for (boxes, scores), image in zip(detector.detect(images), images, strict=True):
        found = inference_detector(model, image).pred_instances
        people = (found.labels == 0) & (found.scores > 0.1)
        theirs = found.bboxes[people].numpy()
        assert len(boxes) == min(len(theirs), 1000) > 3
        assert np.abs(boxes[:, None] - theirs).max(2).min(1).max() < 0.5
        best = -np.sort(-found.scores[people].numpy())[: len(scores)]
        assert np.abs(scores - best).max() < 1e-3


def test_only_people_count_among_a_detectors_classes(openmmlab, picture, tmp_path):
    config = small_config(DETECTORS["rtmdet"], tmp_path)
    network = make_network(config, random_detector(config, tmp_path / "detector.pth"), "mmdet", "detector")
    found = {}
    for label in (0, 1, 79):
        settings = OpenMMLabSettings(min_score=0.1, nms=1.0, person_label=label)
        ((boxes, _),) = PersonDetector(network, settings).detect([picture])
        found[label] = len(boxes)
    assert found[0] > 3
    assert found[1] == found[79] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", "compiled operator 'roi_align_forward'"),
        ("tood/tood_r50_fpn_1x_coco.py", "compiled operator 'deform_conv_forward'"),
        # A defect of mmdet 3.3.0.
        (
            "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py",
            "SingleStageDetector of .* fails: AttributeError",
        ),
    ],
)
def test_a_detector_that_cannot_run_says_why(name, message, openmmlab, picture, tmp_path):
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    config = small_config(name, tmp_path)
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = MODELS.build(Config.fromfile(config).model)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "detector.pth")
    network = make_network(config, tmp_path / "detector.pth", "mmdet", "detector")
    with pytest.raises(EstimatorError, match=message):
        PersonDetector(network, OpenMMLabSettings()).detect([picture])


# -- published names ---------------------------------------------------------------------------------------------------


def wanted(name):
    """Skeletons that a published model is documented to give."""
    if name.startswith("rtmpose") or name in PRESETS:
        return ("coco17", "coco18", "halpe26")
    return ("coco17", "coco18")


@pytest.mark.parametrize("name", [*PRESETS, *POSE_NAMES])
def test_every_name_is_of_a_model_with_the_skeletons_joints(name, openmmlab):
    from mmengine.config import Config
    from mmpose.apis.inference import dataset_meta_from_config

    for skeleton in wanted(name):
        source = pose_source(OpenMMLabSettings(model=name, skeleton=skeleton))
        config = Config.fromfile(source.config)
        assert config.model.type in ("TopdownPoseEstimator", "BottomupPoseEstimator")
        assert config.get("default_scope") == "mmpose"
        JointMap(joint_names(dataset_meta_from_config(config, "train")), get_skeleton(skeleton))


@pytest.mark.parametrize("name", DETECTOR_NAMES)
def test_every_name_of_a_detector_is_of_one_that_finds_people(name, openmmlab):
    from mmengine.config import Config

    source = detector_source(OpenMMLabSettings(detector=name))
    config = Config.fromfile(source.config)
    assert config.get("default_scope") == "mmdet"
    assert config.model.bbox_head.num_classes in (1, 80)  # people alone, or those of COCO, people first


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightweight", "rtmpose-t", "rtmpose-s", "rtmo-t", "vitpose-s", "rtmw-m"])
def test_small_models_are_built_by_name(name, openmmlab, tmp_path):
    config = pose_source(OpenMMLabSettings(model=name)).config
    network = make_network(config, save_random(config, "mmpose", tmp_path / "pose.pth"))
    kind = OneStagePose if name.startswith("rtmo") else TopDownPose
    assert isinstance(pose_model(network, OpenMMLabSettings(), 1), kind)
