"""Tracks of a clip's pieces become those of the clip."""

import numpy as np
import pytest

from pose_extract.tracks.joining import JoinError, joined
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.things import LEFT, PERSON, ClipThings, Things

FRAMES = 40


def clip(people, things=(), frames=FRAMES):
    """Tracks of {id: (first frame, last frame, x)}, and things (kind, id, first look, x, still from) at even frames."""
    rows = sorted((f, i, x) for i, (first, last, x) in people.items() for f in range(first, last))
    frame, track, left = (np.array([row[n] for row in rows], np.int32) for n in range(3))
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 30], axis=1).astype(np.float32)
    keypoints = np.repeat(boxes[:, None, :3], 17, axis=1)
    looked = np.arange(0, frames, 2, dtype=np.int32)
    seen = [(f, *thing) for f in looked.tolist() for thing in things if f >= thing[2]]
    none = np.zeros((len(seen), 2), np.float32)
    age = np.array([(f - first) / 10 for f, _, _, first, _, _ in seen], np.float32)
    still = np.array([(f - since) / 10 for f, *_, since in seen], np.float32)
    found = ClipThings(
        looked,
        np.array([row[0] for row in seen], np.int32),
        Things(
            np.array([row[2] for row in seen], np.int32),
            np.array([row[1] for row in seen], np.uint8),
            np.array([(x, 50, x + 8, 58) for *_, x, _ in seen], np.float32).reshape(-1, 4),
            none,
            age,
            still,
            np.ones(len(seen), np.float32),
            np.array([row[2] if row[1] == PERSON else 0 for row in seen], np.int32),
        ),
    )
    return ClipTracks(
        "c", "coco17", 10.0, (640, 96), np.arange(frames) / 10, frame, track, keypoints, boxes, things=found
    )


def later(tracks, first):
    """What the piece that is looked at from a frame on has seen."""
    return cut_frames(tracks, first, tracks.frame_count)


def one(parts):
    """All of it, as arrays."""
    parts, borders = zip(*parts, strict=True)
    starts = np.cumsum([0, *(part.frame_count for part in parts)])
    frame = np.concatenate([part.frame + n for part, n in zip(parts, starts, strict=False)])
    things = ClipThings.concatenate([part.things for part in parts], starts[:-1].tolist())
    return frame, np.concatenate([part.track for part in parts]), things, borders[:-1]


def test_ids_go_on_and_new_people_get_new_ones():
    before = cut_frames(clip({1: (0, 40, 100), 2: (0, 12, 300), 3: (18, 40, 500)}), 0, 25)
    # the other one counts anew, and saw them in another order; 4 comes after the border, 5 had gone before it
    after = later(clip({3: (0, 40, 101), 1: (18, 40, 501), 4: (30, 40, 200), 5: (0, 12, 301)}), 10)
    frame, track, _, [border] = one(joined([(before, 0), (after, 15)]))
    assert (border.time_s, border.people, border.same) == (2.5, 2, False)  # no box is the same to the bit
    assert sorted(set(track.tolist())) == [1, 2, 3, 4]
    assert [np.count_nonzero(track == i) for i in (1, 2, 3, 4)] == [40, 12, 22, 10]
    assert (np.diff(frame) >= 0).all()
    assert (np.diff(track)[np.diff(frame) == 0] > 0).all()


def test_it_goes_over_when_both_see_nobody():
    people = {1: (0, 18, 100), 2: (22, 40, 300)}
    before, after = cut_frames(clip(people), 0, 25), later(clip({1: (0, 18, 100), 2: (23, 40, 301)}), 5)
    frame, track, _, [border] = one(joined([(before, 0), (after, 20)]))
    assert (border.time_s, border.people, border.same) == (2.1, 0, True)
    assert frame[track == 2].tolist() == list(range(23, 40))  # as the later piece has it


def test_things_keep_their_ids_and_how_long_they_have_stayed():
    people, things = {7: (0, 40, 100)}, [(LEFT, 4, 2, 200, 6), (PERSON, 7, 0, 100, 0)]
    before = cut_frames(clip(people, things), 0, 30)
    fresh = [(LEFT, 1, 14, 201, 16), (PERSON, 1, 12, 101, 12), (LEFT, 2, 32, 400, 32)]
    after = later(clip({1: (10, 40, 101)}, fresh), 10)
    _, track, found, _ = one(joined([(before, 0), (after, 20)]))
    assert set(track.tolist()) == {7}
    whole = clip(people, [*things, (LEFT, 5, 32, 400, 32)]).things
    for name in ("ids", "kinds", "person"):
        np.testing.assert_array_equal(getattr(found.things, name), getattr(whole.things, name), err_msg=name)
    stays = found.things.kinds == PERSON
    np.testing.assert_allclose(found.things.still_s[stays], whole.things.still_s[stays], atol=1e-5)
    np.testing.assert_allclose(found.things.age_s[~stays], whole.things.age_s[~stays], atol=1e-5)


def test_three_pieces_hand_ids_on():
    whole = clip({1: (0, 40, 100), 2: (5, 40, 300)})
    parts = [(cut_frames(whole, 0, 15), 0), (cut_frames(whole, 8, 28), 7), (cut_frames(whole, 20, 40), 8)]
    frame, track, things, borders = one(joined(parts))
    assert [(border.time_s, border.same) for border in borders] == [(1.4, True), (2.7, True)]
    np.testing.assert_array_equal(frame, whole.frame)
    np.testing.assert_array_equal(track, whole.track)
    np.testing.assert_array_equal(things.looked, whole.things.looked)


def test_pieces_that_have_not_seen_the_same_frames_are_refused():
    whole = clip({1: (0, 40, 100)})
    with pytest.raises(JoinError, match="same frames"):
        list(joined([(cut_frames(whole, 0, 20), 0), (cut_frames(whole, 11, 40), 10)]))
