"""Models are opened for scoring, with what may be changed."""

import shutil

import pytest

from anomaly.bundle import save_bundle
from pipeline.scoring import load_scorer, scorer
from pose_extract.errors import ConfigError
from tests.helpers import walkers


@pytest.fixture
def folder(tmp_path):
    save_bundle(walkers.trained(), tmp_path / "model", {"clips": {"a": {"key": "first"}}})
    return tmp_path / "model"


@pytest.mark.parametrize("text", ["weights=equal", "surroundings=[flow]", "parts=[clustering]"])
def test_what_is_fixed_in_training_cannot_be_set(folder, text):
    with pytest.raises(ConfigError, match="train again"):
        load_scorer(folder, [f"scoring.{text}"])


def test_what_stays_as_it_is_may_be_set(folder):
    assert load_scorer(folder, ["scoring.weights=learned", "scoring.smoothing_s=1"])


def test_a_model_and_its_card_are_of_one_bundle(folder, monkeypatch):
    load = scorer.load_bundle

    def load_while_another_comes(where, device):
        monkeypatch.setattr(scorer, "load_bundle", load)
        loaded = load(where, device)
        loaded.facts["of"] = "the first one"
        shutil.rmtree(folder)
        save_bundle(walkers.trained(), folder, {"clips": {"a": {"key": "second"}}})
        return loaded

    monkeypatch.setattr(scorer, "load_bundle", load_while_another_comes)
    opened = load_scorer(folder)
    assert opened.learned == {"second"}
    assert "of" not in opened.model.facts
