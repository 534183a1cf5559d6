"""The model that comes with the package."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from gepc_pipeline import Model
from pipeline.builtin import NAMES, builtin_model, worth_of
from pipeline.cli import main
from pipeline.synthetic.clips import simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.errors import ModelError
from tests.helpers import ROOT


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_says_what_it_is_worth(name, caplog):
    folder = builtin_model(f"builtin:{name}")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2e6
    with caplog.at_level(logging.WARNING, "pipeline"):
        model = Model.load(f"builtin:{name}")
    assert "has never seen this camera" in caplog.text
    clip = simulate_clip("street", 5, StreetSettings(seconds=8), ["running"])
    found = model.score(clip.truth)
    abnormal = clip.labels.astype(bool)
    assert np.median(found.score[abnormal]) > np.median(found.score[~abnormal])


def test_what_it_is_worth_is_what_was_measured():
    told = json.loads((ROOT / "pipeline" / "builtin" / "walkers.json").read_text())
    measured = json.loads((ROOT / "docs" / "figures" / "walkers.json").read_text())["values"]
    assert told.items() <= measured.items()


def test_other_models_are_what_their_path_says(tmp_path):
    assert builtin_model(tmp_path) == tmp_path
    assert worth_of(tmp_path) == ""
    with pytest.raises(ModelError, match="known: builtin:walkers"):
        builtin_model("builtin:runners")


def test_commands_that_would_change_it_or_need_one_of_their_own_say_so(tmp_path, capsys):
    there = ["--workspace", str(tmp_path)]
    assert main(["recalibrate", "--model", "builtin:walkers", *there]) == 2
    assert "builtin:walkers comes with the package" in capsys.readouterr().err
    assert main(["recalibrate", "--reset", "--model", str(builtin_model("builtin:walkers")), *there]) == 2
    assert "builtin:walkers comes with the package" in capsys.readouterr().err
    assert main(["onnx", "--out", str(tmp_path / "exported"), *there]) == 7
    assert "--model" not in capsys.readouterr().err  # it has no such option


def test_what_it_takes_for_normal_can_be_drawn(tmp_path):
    words = ["words", "--model", "builtin:walkers", "--workspace", str(tmp_path)]
    code = main([*words, "--out", str(tmp_path / "words.png")])
    assert (code, (tmp_path / "words.png").exists()) == (0, True)
