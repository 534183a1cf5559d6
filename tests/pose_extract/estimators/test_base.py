"""Estimators by name: ours, those that other packages bring, and the choice of the best one."""

import pytest

from pipeline.settings import load_settings
from pose_extract.errors import ConfigError, EstimatorError, WeightsError
from pose_extract.estimators.base import chosen_estimator, create_estimator, estimator_class
from pose_extract.estimators.movenet import weights
from tests.helpers.scarecrow import install


@pytest.fixture
def scarecrow(tmp_path, monkeypatch):
    """Another package, installed."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_an_estimator_that_cannot_be_imported_names_the_package_that_brings_it(scarecrow):
    with pytest.raises(EstimatorError, match="'broken' that scarecrow-poses brings cannot be imported"):
        estimator_class("broken")


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


def test_auto_is_the_best_one_where_its_weights_can_be_had(monkeypatch):
    monkeypatch.setattr(weights, "ensure_weights", dict)
    assert chosen_estimator("auto") == "movenet"


def test_auto_falls_back_and_says_so_in_one_line(monkeypatch, caplog):
    def fail():
        raise WeightsError("MoveNet's weights are not there.\n  npm said: npm error code ENOTFOUND\n  more")

    monkeypatch.setattr(weights, "ensure_weights", fail)
    assert chosen_estimator("auto") == "blazepose"
    (record,) = caplog.records
    assert "npm said: npm error code ENOTFOUND" in record.message
    assert "blazepose" in record.message
    assert "\n" not in record.message


def test_any_other_name_stands_for_itself():
    assert chosen_estimator("openmmlab") == "openmmlab"
