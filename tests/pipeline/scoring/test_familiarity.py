"""A clip unlike those of training is said to be so, and scores that are nobody's are."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from anomaly.settings import WindowSettings
from pipeline.scoring.familiarity import Coverage, Seen, left_out, strange, strange_clips, too_slow
from pose_extract.tracks.cache import save_tracks
from pose_extract.video.scene import sketch_to_text
from tests.helpers.two_walkers import walkers

WINDOWS = WindowSettings()


def clip(**changes):
    found = replace(walkers(frames=60), provenance={"estimator": {"name": "blazepose"}})
    return replace(found, **changes)


@pytest.fixture(scope="module")
def seen():
    return Seen.from_clips([clip(), clip(fps=25.0)])


def test_a_clip_like_those_of_training_is_not_strange(seen):
    assert strange(clip(), seen, WINDOWS) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"frame_size": (1920, 1080)}, "1920x1080 pixels, those of training 640x360"),
        ({"frame_size": (480, 480)}, "480x480 pixels"),
        ({"fps": 240.0}, "240 frames a second, training had 24 to 25"),
        ({"boxes": clip().boxes * 5}, "pixels tall, in training"),
        (
            {"provenance": {"estimator": {"name": "openpose"}}},
            "found by openpose, those of training by blazepose",
        ),
        ({"fps": 2.0}, "4 or more are needed"),
    ],
)
def test_what_differs_is_said_with_both_values(seen, changes, said):
    assert said in " ".join(strange(clip(**changes), seen, WINDOWS))


def test_clips_on_disk_are_compared_each_and_a_damaged_one_stops_nothing(seen, tmp_path):
    for name, changes in (("alike", {}), ("fast", {"fps": 240.0, "time_s": np.arange(60) / 240})):
        save_tracks(tmp_path / f"{name}.npz", clip(clip=name, **changes))
    (tmp_path / "damaged.npz").write_bytes(b"x")
    found = sorted(strange_clips(list(tmp_path.iterdir()), seen, WINDOWS))
    assert len(found) == 2
    assert "damaged.npz: expected a tracks file" in found[0]
    assert found[1] == "fast: it has 240 frames a second, training had 24 to 25"


def test_of_a_model_that_does_not_tell_nothing_is_strange():
    assert strange(clip(frame_size=(9, 9)), Seen(), WINDOWS) == []
    assert Seen.from_card({"seen": {"fps": "fast"}}) == Seen()
    assert Seen.from_card({}) == Seen()


def test_a_card_keeps_what_was_seen(seen):
    import json

    assert Seen.from_card(json.loads(json.dumps({"seen": asdict(seen)}))) == seen


def test_clips_without_people_or_size_cost_nothing(seen):
    empty = replace(walkers(frames=2), frame_size=(0, 0))
    assert isinstance(strange(empty, seen, WINDOWS), list)
    assert Seen.from_clips([]).heights == ()


def test_the_slowest_rate_is_that_at_which_windows_end():
    assert not too_slow(clip(fps=4.0), WINDOWS)
    assert "118 people" in too_slow(clip(fps=3.9), WINDOWS)


def test_people_who_cannot_be_judged_are_counted():
    none, few, much = Coverage(), Coverage(), Coverage()
    none.add(np.full(7, np.nan))
    assert "none of the 7 people" in none.remarks()[0]
    few.add(np.r_[np.full(60, np.nan), np.full(40, 50.0)])
    assert few.remarks() == [text for text in few.remarks() if text.startswith("60%")]
    much.add(np.r_[np.full(30, 99.5), np.full(70, 50.0)])
    assert "30% of the people are above the 99th percentile" in much.remarks()[0]
    assert Coverage().remarks() == []


def test_what_is_in_no_score_is_said_with_its_count():
    tracks, coverage, judged = clip(fps=25.0, time_s=np.arange(60) / 25), Coverage(), np.ones(60, bool)
    coverage.add(np.full(100, 50.0))
    assert left_out(tracks, coverage, judged) == []
    coverage.add(np.full(18, np.nan))
    (text,) = left_out(tracks, coverage, judged)
    assert text == "18 of 118 sightings (a person in a frame) were too brief or unclear to judge"
    judged[:10] = False
    report = {"poses": 144, "kept": 118, "left_out": {"without joints": 26}}
    texts = left_out(replace(tracks, provenance={"summary": {"report": report}}), coverage, judged)
    assert texts[0].startswith("its file: 144 poses read, 26 left out, 26 without joints")
    assert texts[1].endswith("; for 0.4 s those of everybody in view")


def test_a_model_knows_the_scenes_that_it_was_trained_on_once_each():
    rng = np.random.default_rng(0)
    door, yard = (rng.integers(0, 255, (45, 80)).astype(np.float32) for _ in range(2))
    alike = np.clip(door + rng.normal(0, 20, door.shape), 0, 255)
    clips = [clip(provenance={"scene": sketch_to_text(each)}) for each in (door, alike, yard, door)]
    found = Seen.from_clips(clips)
    np.testing.assert_array_equal(found.sketches, [door, yard])
    again = Seen.from_card({"seen": asdict(found)})
    assert again.scenes == found.scenes
    assert Seen.from_clips([*clips, clip()]).scenes == ()  # of one clip it is not known
    assert Seen.from_card({"seen": {"scenes": ["x", found.scenes[0]]}}).sketches[0].shape == (45, 80)
