"""Names of models lead to configs and addresses, by the wheels' own indices."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pose_extract.errors import ConfigError, EstimatorError
from pose_extract.estimators.openmmlab import names
from pose_extract.estimators.openmmlab.compat import INSTALL
from pose_extract.estimators.openmmlab.names import detector_source, is_one_stage, pose_source
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings

pytestmark = pytest.mark.openmmlab
if importlib.util.find_spec("mmpose") is None or importlib.util.find_spec("mmdet") is None:
    pytest.skip("mmpose or mmdet is not installed", allow_module_level=True)


def pose(model, **settings):
    return pose_source(OpenMMLabSettings(model=model, **settings))


def detector(name="", **settings):
    return detector_source(OpenMMLabSettings(detector=name, **settings))


@pytest.mark.parametrize(
    ("preset", "model", "person_detector"),
    [
        ("lightweight", "rtmpose-s_8xb256-420e_body8-256x192", "rtmdet_nano_320-8xb32_coco-person"),
        ("balanced", "rtmpose-m_8xb256-420e_body8-256x192", "rtmdet_m_640-8xb32_coco-person"),
        ("performance", "rtmpose-x_8xb256-700e_body8-halpe26-384x288", "rtmdet_m_640-8xb32_coco-person"),
    ],
)
def test_a_preset_is_a_pose_model_with_its_detector(preset, model, person_detector):
    assert pose(preset).name == model
    assert detector(model=preset).name == person_detector


@pytest.mark.parametrize("name", [*names.PRESETS, *names.POSE_NAMES])
@pytest.mark.parametrize("skeleton", ["coco17", "halpe26"])
def test_every_short_name_has_a_config_and_an_address(name, skeleton):
    source = pose(name, skeleton=skeleton)
    assert source.config.is_file()
    assert source.config.stem == source.name
    assert source.weights.startswith("https://download.openmmlab.com/mmpose/v1/")


@pytest.mark.parametrize("name", names.DETECTOR_NAMES)
def test_every_short_name_of_a_detector_has_a_config_and_an_address(name):
    source = detector(name)
    assert source.config.is_file()
    assert source.config.stem == source.name
    assert source.weights.startswith("https://download.openmmlab.com/")
    assert source.name.startswith(name.removesuffix("-person").replace("-", "_"))


@pytest.mark.parametrize("size", ["t", "s", "m", "l", "x"])
def test_halpe26_takes_the_models_of_these_joints(size):
    source = pose(f"rtmpose-{size}", skeleton="halpe26")
    assert source.name.startswith(f"rtmpose-{size}_")
    assert "halpe26" in source.name
    assert "halpe26" in source.weights


def test_published_names_and_their_other_names_are_known():
    name = "td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192"
    assert pose(name).name == name
    assert pose("human").name == pose("rtmpose-m").name
    assert detector("faster-rcnn_r50_fpn_1x_coco").config.parent.name == "faster_rcnn"
    assert detector("rtmdet-t").name == detector("rtmdet-tiny").name


def test_every_published_model_has_a_config_that_is_there():
    for package in ("mmpose", "mmdet"):
        found = names._published(package)
        assert len(found) > 300
        assert all(s.config.is_file() and "://" in s.weights for s in found.values())


def test_the_address_is_that_of_the_wheels_index():
    assert pose("rtmpose-m").weights == (
        "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/"
        "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.pth"
    )


def test_addresses_of_files_that_were_saved_anew_say_that_the_name_s_hash_is_not_theirs():
    assert re.search(
        r"-person-05d8511e\.pth#sha256=0e2da635[0-9a-f]{56}$", detector("rtmdet-nano-person").weights
    )
    assert detector("rtmdet-m-person").weights.endswith("-person-235e8209.pth#sha256=")
    assert pose("rtmpose-m_8xb256-420e_coco-256x192").weights.endswith("_20230127.pth#sha256=")
    assert "#" not in detector("rtmdet-m").weights


def test_a_detector_is_chosen_by_name_and_else_fits_the_pose_model():
    assert detector(model="rtmpose-t").name == detector("rtmdet-nano-person").name
    assert detector(model="vitpose-h").name == detector("rtmdet-m-person").name
    assert detector("rtmdet-tiny", model="balanced").name == "rtmdet_tiny_8xb32-300e_coco"


def test_a_checkpoint_of_one_s_own_takes_the_place_of_the_published_one(tmp_path):
    assert pose("rtmpose-m", checkpoint="a.pth").weights == "a.pth"
    assert detector("rtmdet-m", detector_checkpoint="d.pth").weights == "d.pth"
    assert pose("rtmpose-m", checkpoint="~/a.pth").weights == str(Path.home() / "a.pth")


def test_a_config_of_one_s_own_needs_a_checkpoint(tmp_path):
    config = tmp_path / "mine.py"
    config.write_text("model = None\n")
    source = pose(str(config), checkpoint="mine.pth")
    assert (source.name, source.config, source.weights) == ("mine", config, "mine.pth")
    with pytest.raises(ConfigError, match=r"openmmlab\.checkpoint"):
        pose(str(config))
    with pytest.raises(ConfigError, match=r"openmmlab\.detector_checkpoint"):
        detector(str(config))


def test_the_path_of_a_shipped_config_brings_its_weights():
    assert pose(str(pose("hrnet-w32").config)) == pose("hrnet-w32")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("rtmpos-m", "rtmpose-m"),
        ("RTMPose-M", "rtmpose-m"),
        ("balance", "balanced"),
        ("rtmpose-m_8xb256_body8-256x192", "rtmpose-m_8xb256-420e_body8-256x192"),
        ("rtmpose-m_8xb256-420e_body8-256x192.py", "rtmpose-m_8xb256-420e_body8-256x192"),
        ("xyz", "lightweight, balanced, performance"),
    ],
)
def test_an_unknown_name_is_told_with_its_nearest(name, near):
    with pytest.raises(ConfigError, match=r"openmmlab\.model") as caught:
        pose(name)
    assert near in str(caught.value)
    assert repr(name) in str(caught.value)


def test_an_unknown_detector_is_told_with_its_nearest():
    with pytest.raises(ConfigError, match=r"openmmlab\.detector: unknown name: 'rtmdet-q'.*rtmdet-x"):
        detector("rtmdet-q")
    with pytest.raises(ConfigError, match="yolox_"):
        detector("yolox")


def test_a_config_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match="no such config file"):
        pose("nowhere/config.py")


@pytest.mark.parametrize("name", ["rtmo-s", "yoloxpose_s_8xb32-300e_coco-640"])
def test_one_stage_models_need_no_detector(name, tmp_path):
    assert is_one_stage(pose(name).config)
    assert not is_one_stage(pose("rtmpose-m").config)
    mine = tmp_path / "mine.py"
    mine.write_text("model = dict(type='BottomupPoseEstimator')")
    assert is_one_stage(mine)


def test_missing_packages_are_told_with_the_line_that_installs_them(monkeypatch):
    names._published.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EstimatorError, match="needs mmpose, which is not installed") as caught:
        pose("rtmpose-m")
    assert INSTALL in str(caught.value)
    with pytest.raises(EstimatorError, match="needs mmdet"):
        detector("rtmdet-m")


def test_a_damaged_index_is_told(tmp_path, monkeypatch):
    names._published.cache_clear()
    (tmp_path / "model-index.yml").write_text("Import: [\n")
    monkeypatch.setattr(names, "_mim_folder", lambda package: tmp_path)
    with pytest.raises(EstimatorError, match=r"model-index\.yml: cannot be read"):
        pose("rtmpose-m")


def test_neither_torch_nor_openmmlab_is_loaded_for_names():
    code = (
        "import sys; from pose_extract.estimators.openmmlab.names import pose_source, detector_source; "
        "from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings as S; "
        "pose_source(S()), detector_source(S()); "
        "heavy = {'torch', 'mmengine', 'mmpose', 'mmdet', 'mmcv', 'cv2'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
