"""Options that several commands share mean the same in each."""

import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from pipeline.commands.options import config_option, pose_overrides
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


def test_what_comes_next_is_said_so_that_it_can_be_copied(tmp_path, monkeypatch):
    from pipeline.commands import import_, recalibrate
    from pipeline.settings import load_settings
    from tests.helpers.two_walkers import walkers

    monkeypatch.delenv("GEPC_CONFIG", raising=False)
    args = Namespace(
        workspace=tmp_path / "a shop", config="paper", path=[Path("my data")], format="dataset", scoring=False,
        set=["dataset.train=[a b]"], model=Path("old model"),
    )  # fmt: skip
    assert config_option(args) == " --config paper"
    assert config_option(Namespace(workspace=args.workspace, config="default")) == ""
    there = ["--workspace", str(args.workspace)]
    assert shlex.split(recalibrate._where(args)) == [*there, "--model", "old model"]
    _, evaluate = import_._next_steps(args, load_settings(), walkers())
    config = ["--config", "paper", "--set", "dataset.root=my data", "--set", "dataset.train=[a b]"]
    assert shlex.split(evaluate)[3:] == [*config, *there]
    args.format = "alphapose"
    [train] = import_._next_steps(args, load_settings(), walkers())
    assert shlex.split(train)[3:] == ["--config", "paper", *there]
