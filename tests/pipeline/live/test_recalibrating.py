"""A threshold from what `watch` has seen."""

import json
import shutil
from datetime import date

import numpy as np
import pytest

from anomaly.scoring.threshold import reference_of
from pipeline.builtin import builtin_model
from pipeline.live.cameras import model_id
from pipeline.live.recalibrating import propose
from pipeline.live.watching.days import DayScores
from pipeline.scoring import load_scorer
from pose_extract.errors import UsageError

TODAY = date(2026, 11, 29)


@pytest.fixture
def model(tmp_path):
    shutil.copytree(builtin_model("builtin:walkers"), tmp_path / "model")
    return tmp_path / "model"


def watched(model, out, higher):
    """A day of the scores that the model was calibrated with, so much higher."""
    scorer = load_scorer(model, ["scoring.frames=online"], "cpu")
    reference = reference_of(scorer.model, scorer.settings.scoring)
    day = DayScores(out / "scores", "door", model_id(model), reference)
    day.add(np.resize(reference, 20_000) + higher, reference[-1], 0.05, TODAY, 0.0)
    day.close()
    return scorer


def test_the_threshold_goes_where_the_scores_have_gone(model, tmp_path):
    before = watched(model, tmp_path, 1.0).alarm_above()
    found = propose(model, tmp_path, 1, today=TODAY).marked
    assert found.score == pytest.approx(before + 1, abs=0.3)


def test_a_number_of_alarms_a_day_is_no_share_of_frames(model, tmp_path):
    card = json.loads((model / "card.json").read_text())
    del card["digests"]
    (model / "card.json").write_text(json.dumps(card))
    config = (model / "config.yaml").read_text()
    (model / "config.yaml").write_text(config.replace("alarms_per_day: null", "alarms_per_day: 24"))
    assert watched(model, tmp_path, 1.0).settings.calibration.alarms_per_day == 24
    with pytest.raises(UsageError, match="alarms_per_day"):
        propose(model, tmp_path, 1, today=TODAY)
