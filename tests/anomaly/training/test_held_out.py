"""Which normal video is held out of training."""

from dataclasses import replace

import numpy as np
import pytest

from anomaly.settings import settings_from_dict
from anomaly.training.held_out import holds_out_whole_clips, split_held_out
from anomaly.training.surroundings import see_surroundings
from pose_extract.errors import TrainingError
from tests.helpers import walkers
from tests.helpers.things import clip_things


@pytest.mark.parametrize("count", [1, 3, 7])
def test_few_clips_lose_their_ends(count):
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=100) for i in range(count)]
    fit, held = split_held_out(clips, 0.2, np.random.default_rng(0))
    assert [len(c.time_s) for c in fit] == [80] * count
    assert [len(c.time_s) for c in held] == [20] * count
    for a, b in zip(fit, held, strict=True):
        assert a.time_s[-1] < b.time_s[0]  # no window of one shares a frame with the other


def test_of_many_clips_whole_ones_are_held_out():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=50) for i in range(10)]
    fit, held = split_held_out(clips, 0.2, np.random.default_rng(0))
    assert len(held) == 2
    assert {c.clip for c in fit} | {c.clip for c in held} == {c.clip for c in clips}
    assert not {c.clip for c in fit} & {c.clip for c in held}
    again = split_held_out(clips, 0.2, np.random.default_rng(0))[1]
    assert [c.clip for c in held] == [c.clip for c in again]


def test_one_giant_clip_is_never_all_that_there_is_to_train_on():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=2000 if i == 3 else 20) for i in range(8)]
    fit, held = split_held_out(clips, 0.5, np.random.default_rng(1))
    assert fit
    assert held


def test_no_clip_is_an_error_that_says_what_to_do():
    with pytest.raises(TrainingError, match="extract"):
        split_held_out([], 0.2, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("whole", [False, True])
def test_whatever_the_clips_lengths_there_is_something_to_train_on_and_something_to_calibrate_with(
    seed, whole
):
    rng = np.random.default_rng(seed)
    count = 2 if whole else 8
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=4 + 500 * (i == 0)) for i in range(count)]
    fit, held = split_held_out(clips, 0.9, rng, whole)  # with the giant held out last, all would be
    assert fit
    assert held
    assert len(fit) + len(held) == count


def test_clips_are_held_out_until_they_have_the_share_and_no_longer():
    clips = [walkers.clip(f"c{i}", seed=i, people=1, frames=10) for i in range(10)]
    for share, count in ((0.2, 2), (0.25, 3), (0.5, 5)):
        assert len(split_held_out(clips, share, np.random.default_rng(0))[1]) == count


def test_whole_clips_are_held_out_of_eight_and_more():
    assert holds_out_whole_clips(8)
    assert not holds_out_whole_clips(7)


def test_a_model_of_whole_clips_needs_two():
    clips = [walkers.clip(people=1, frames=10)]
    with pytest.raises(TrainingError, match="whole clips"):
        split_held_out(clips, 0.2, np.random.default_rng(0), whole=True)
    assert split_held_out(clips, 0.2, np.random.default_rng(0))[0][0].frame_count == 8


@pytest.mark.parametrize(("frames", "share"), [(1, 0.2), (2, 0.2), (1, 0.7)])
def test_a_clip_of_which_nothing_is_held_out_or_nothing_left_has_surroundings(frames, share):
    parts = {"scoring": {"by": "sum", "surroundings": ["things", "stays", "flow"]}}
    clips = [replace(walkers.clip(frames=n), things=clip_things(n)) for n in (frames, 60)]
    fit, held = split_held_out(clips, share, np.random.default_rng(0))
    seen = see_surroundings(fit, held, settings_from_dict(parts))
    assert sorted(map(len, seen.clips))[0] == 0
    assert [len(fold) for fold in seen.folds] == [len(clip) for clip in seen.clips]
