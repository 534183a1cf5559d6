"""Options that several commands share mean the same in each."""

import pytest

from pipeline.commands.options import pose_overrides
from pipeline.settings import load_settings
from pose_extract.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "estimator", "model"),
    [
        (None, "auto", "balanced"),
        ("blazepose", "blazepose", "balanced"),
        ("openmmlab", "openmmlab", "balanced"),
        ("openmmlab:rtmpose-m", "openmmlab", "rtmpose-m"),
        ("openmmlab:C:/my models/a: b, [c] é.py", "openmmlab", "C:/my models/a: b, [c] é.py"),
        ("openmmlab:123", "openmmlab", "123"),
    ],
)
def test_pose_names_an_estimator_and_its_model(text, estimator, model):
    settings = load_settings("default", pose_overrides(text))
    assert (settings.pose.estimator, settings.openmmlab.model) == (estimator, model)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("openmlab:rtmpose-m", "unknown estimator 'openmlab'"),
        ("", "unknown estimator ''"),
        ("openmmlab:", "openmmlab.model: expected"),
        ("blazepose:full", "unknown key 'blazepose.model'"),
    ],
)
def test_what_pose_cannot_mean_is_told(text, message):
    with pytest.raises(ConfigError, match=message):
        load_settings("default", pose_overrides(text))
