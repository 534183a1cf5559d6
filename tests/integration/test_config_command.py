"""`gepc-pipeline config`: what a workspace's commands go by."""

from __future__ import annotations

import yaml

from pipeline.defaults import config_for
from pipeline.settings import load_settings


def test_what_is_set_is_what_later_commands_go_by(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("GEPC_CONFIG", raising=False)
    root = tmp_path / "workspace"
    assert config_for(root) == "default"
    done = cli("config", "set", "video.fps=12", "--base", "moving-camera", "--workspace", root)
    assert done.code == 0, done.err
    cli("config", "set", "events.min_s=0.5", "--workspace", root)
    settings = load_settings(config_for(root))
    assert (settings.video.fps, settings.events.min_s) == (12, 0.5)
    assert settings.scoring.parts == load_settings("moving-camera").scoring.parts
    shown = cli("config", "show", "video", "--workspace", root, "--set", "video.max_side=960")
    assert (
        yaml.safe_load(shown.out)["video"] | {"fps": 12, "max_side": 960}
        == yaml.safe_load(shown.out)["video"]
    )
    monkeypatch.setenv("GEPC_CONFIG", "paper")
    assert config_for(root) == "paper"
    monkeypatch.delenv("GEPC_CONFIG")
    assert cli("config", "set", "--clear", "--workspace", root).code == 0
    assert config_for(root) == "default"


def test_what_is_wrong_is_not_kept(cli, tmp_path):
    root = tmp_path / "workspace"
    wrong = cli("config", "set", "video.fpss=12", "--workspace", root)
    assert (wrong.code, "did you mean" in wrong.err) == (3, True), wrong.err
    assert not (root / "config.yaml").exists()
    assert cli("config", "show", "nothing", "--workspace", root).code == 2
    assert cli("config", "list", "--clear").code == 2


def test_the_shipped_configs_are_listed_with_what_they_are_for(cli):
    lines = cli("config", "list").out.splitlines()
    assert any(line.startswith("default ") and "product's defaults" in line for line in lines)
    assert all(len(line.split(maxsplit=1)) == 2 for line in lines)


def test_a_config_that_is_named_as_for_other_commands_is_not_passed_over(cli, tmp_path):
    root = tmp_path / "workspace"
    wrong = cli("config", "set", "video.fps=12", "--config", "moving-camera", "--workspace", root)
    assert (wrong.code, "--base moving-camera" in wrong.err) == (2, True), wrong.err
    assert not (root / "config.yaml").exists()
