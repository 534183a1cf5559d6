"""Detections become people who keep their ids."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17
from pose_extract.tracking import PeopleTracker, TrackedPeople, TrackingSettings
from pose_extract.tracking.crossings import Clothes
from pose_extract.tracking.linking import Tracklet
from pose_extract.tracks.metrics import idf1
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections
from tests.helpers.generated_people import Walker, as_tracks, detect, picture, true_tracks, without_ids

FPS = 20.0
RED, BLUE, GREEN = (40, 40, 200), (200, 60, 40), (60, 180, 60)


def blank(frame: int, time_s: float, size: tuple[int, int] = (640, 360)) -> Frame:
    return Frame(frame, time_s, np.full((size[1], size[0], 3), 128, np.uint8))


def track(
    truth: ClipTracks,
    detections: list[PoseDetections],
    walkers: list[Walker] | None = None,
    settings: TrackingSettings | None = None,
) -> ClipTracks:
    """Run a tracker over a clip; ``walkers``: draw them."""
    tracker = PeopleTracker(settings or TrackingSettings(), truth.fps, truth.frame_size, COCO17)
    out: list[TrackedPeople] = []
    for i, people in enumerate(detections):
        time_s = float(truth.time_s[i])
        out += tracker.update(picture(walkers, time_s, i) if walkers else blank(i, time_s), people)
    return as_tracks(out + tracker.finish(), truth)


def street(seed: int, count: int = 7) -> list[Walker]:
    """People who walk to and fro at different depths."""
    rng = np.random.default_rng(seed)
    walkers = []
    for _ in range(count):
        right, y = rng.random() < 0.5, rng.uniform(180, 340)
        height = 60 + (y - 180) * 0.5
        pace = height * rng.uniform(0.5, 1.0) * (1 if right else -1)
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        walkers.append(
            Walker((0.0 if right else 640.0, y), (pace, 0.0), height, colour, enters=rng.uniform(0, 6))
        )
    return walkers


@pytest.mark.parametrize("fps", [5.0, 10.0, 25.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_people_in_a_street_keep_their_ids_at_any_frame_rate(fps: float) -> None:
    for seed in range(2):
        walkers = street(seed)
        truth = true_tracks(walkers, 10, fps)
        found = detect(truth, np.random.default_rng(seed), missed=0.1)
        assert idf1(track(truth, found, walkers), truth) > 0.85


@pytest.mark.parametrize(("fps", "people"), [(5.0, 1), (7.0, 1), (8.0, 2), (10.0, 2), (20.0, 2)])
def test_at_few_frames_a_second_less_similarity_is_enough(fps: float, people: int) -> None:
    """Somebody jumps so that the boxes overlap by 0.22: enough below 0.3 times the share of 10 frames a second."""
    width = 40.0
    jump = width * (1 - 2 * 0.22 / 1.22)  # of two equal boxes, overlap o / (2 - o) of the union
    settings = TrackingSettings(min_hits=1, pose_weight=0.0, direction_weight=0.0, reattach_s=0.0)
    tracker = PeopleTracker(settings, fps, (640, 360), COCO17)
    ids: set[int] = set()
    for i in range(8):
        x = 300 + (jump if i >= 4 else 0)
        box = np.array([[x, 100, x + width, 200]], np.float32)
        found = PoseDetections(box, np.zeros((1, 17, 3), np.float32), np.ones(1, np.float32))
        for out in tracker.update(blank(i, i / fps), found):
            ids.update(out.ids.tolist())
    for out in tracker.finish():
        ids.update(out.ids.tolist())
    assert len(ids) == people


def test_ids_start_at_one_and_leave_no_holes() -> None:
    truth = true_tracks(street(1), 12, FPS)
    tracks = track(truth, detect(truth, np.random.default_rng(0)))
    assert sorted(set(tracks.track.tolist())) == list(range(1, tracks.num_tracks + 1))


def test_two_videos_at_once_do_not_share_ids_nor_people() -> None:
    truths = [true_tracks(street(seed, 4), 6, FPS) for seed in (1, 2)]
    found = [detect(truth, np.random.default_rng(seed)) for seed, truth in enumerate(truths)]
    alone = [track(truth, people) for truth, people in zip(truths, found, strict=True)]
    trackers = [PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17) for _ in truths]
    outs: list[list[TrackedPeople]] = [[], []]
    for i in range(truths[0].frame_count):
        for tracker, out, people in zip(trackers, outs, found, strict=True):
            out += tracker.update(blank(i, i / FPS), people[i])
    for tracker, out, truth, expected in zip(trackers, outs, truths, alone, strict=True):
        interleaved = as_tracks(out + tracker.finish(), truth)
        assert interleaved.track.min() == 1
        assert np.array_equal(interleaved.track, expected.track)
        assert np.array_equal(interleaved.keypoints, expected.keypoints)


@pytest.mark.parametrize("apart", [0.0, 12.0, 30.0])
def test_people_who_cross_keep_their_ids(apart: float) -> None:
    walkers = [
        Walker((200, 300), (60, 0), 100, RED),
        Walker((400, 300 - apart), (-60, 0), 100, BLUE),
    ]
    truth = true_tracks(walkers, 3.5, FPS)
    for seed in range(4):
        found = detect(truth, np.random.default_rng(seed), false_people=0)
        tracks = track(truth, found, walkers)
        assert tracks.num_tracks == 2
        assert idf1(tracks, truth) > 0.9
        right = tracks.boxes[:, 0] > 300
        early, late = tracks.frame < 20, tracks.frame >= 50
        assert set(tracks.track[early & right]) == set(tracks.track[late & ~right])
        assert set(tracks.track[early & ~right]) == set(tracks.track[late & right])


def test_people_exchanged_behind_someone_s_back_get_their_own_ids_again() -> None:
    """Two people meet, nobody is seen for a moment, and each goes back where he came from: motion says they passed."""
    meet, part = 2.0, 3.0
    red = Walker((200, 300), (60, 0), 100, RED, leaves=meet)
    blue = Walker((460, 300), (-60, 0), 100, BLUE, leaves=meet)
    red_back = Walker((310, 300), (-60, 0), 100, RED, enters=part)
    blue_back = Walker((350, 300), (60, 0), 100, BLUE, enters=part)
    walkers = [red, blue, red_back, blue_back]
    truth = true_tracks(walkers, 5, FPS)
    found = detect(truth, np.random.default_rng(0), missed=0, false_people=0, hide_overlap=1.0)
    tracks = track(truth, found, walkers)
    left = tracks.boxes[:, 0] < 300
    early, late = tracks.frame < 30, tracks.frame > 85
    assert set(tracks.track[early & left]) == set(tracks.track[late & left])
    assert set(tracks.track[early & ~left]) == set(tracks.track[late & ~left])


def test_someone_behind_an_obstacle_comes_back_with_the_same_id() -> None:
    walkers = [Walker((100, 300), (60, 0), 100, RED)]
    truth = true_tracks(walkers, 8, FPS)
    found = detect(truth, np.random.default_rng(0), missed=0, false_people=0)
    hidden = range(60, 60 + int(2.0 * FPS))
    found = [PoseDetections.empty(17) if i in hidden else people for i, people in enumerate(found)]
    assert track(truth, found, walkers).num_tracks == 1


def test_someone_who_comes_back_later_than_the_stated_time_is_somebody_new() -> None:
    walkers = [Walker((100, 300), (20, 0), 100, RED)]
    truth = true_tracks(walkers, 10, FPS)
    found = detect(truth, np.random.default_rng(0), missed=0, false_people=0)
    hidden = range(60, 60 + int(4.0 * FPS))
    found = [PoseDetections.empty(17) if i in hidden else people for i, people in enumerate(found)]
    assert track(truth, found, walkers, TrackingSettings(reattach_s=3.0)).num_tracks == 2
    assert track(truth, found, walkers, TrackingSettings(reattach_s=6.0)).num_tracks == 1


def test_clothes_tell_who_comes_back() -> None:
    """Somebody goes behind a pillar; somebody else, or the same person, comes out."""
    first = Walker((200, 300), (40, 0), 100, RED, leaves=3.0)
    for colour, people in ((RED, 1), (BLUE, 2)):
        second = Walker((345, 300), (40, 0), 100, colour, enters=4.0)
        truth = true_tracks([first, second], 7, FPS)
        found = detect(truth, np.random.default_rng(0), missed=0, false_people=0)
        assert track(truth, found, [first, second]).num_tracks == people


def test_who_walks_out_of_the_picture_is_not_taken_for_who_comes_in() -> None:
    leaver = Walker((560, 300), (70, 0), 100, RED)
    comer = Walker((640, 300), (-70, 0), 100, RED, enters=2.4)
    truth = true_tracks([leaver, comer], 6, FPS)
    found = detect(truth, np.random.default_rng(0), missed=0, false_people=0)
    assert track(truth, found, [leaver, comer]).num_tracks == 2


def test_who_comes_in_while_somebody_walks_out_at_the_same_place_is_somebody_else() -> None:
    leaver = Walker((600, 300), (40, 0), 100, RED, leaves=1.0)
    comer = Walker((640, 300), (-40, 0), 100, RED, enters=1.0)
    truth = true_tracks([leaver, comer], 2.5, FPS)
    tracks = track(truth, detect(truth, np.random.default_rng(0), missed=0, false_people=0), [leaver, comer])
    assert tracks.num_tracks == 2
    first = {person: tracks.frame[tracks.track == person].min() for person in (1, 2)}
    assert first[1] == 0
    assert abs(first[2] - 20) <= 4


def test_joints_decide_where_boxes_cannot() -> None:
    """Two people share one box, one standing and one with the arms up; the detections' order changes at every frame."""
    standing = Walker((300, 300), (0, 0), 120)
    truth = true_tracks([standing, standing], 3, FPS)
    keypoints = truth.keypoints.copy()
    second = truth.track == 2
    keypoints[second, 7:11, 1] -= 60
    keypoints[second, 13:17, 0] += 25
    truth = replace(truth, keypoints=keypoints)
    rng = np.random.default_rng(0)
    found = [without_ids(truth, i).select(rng.permutation(2)) for i in range(truth.frame_count)]
    tracks = track(truth, found, settings=TrackingSettings(pose_weight=0.5))
    arms_up = tracks.keypoints[:, 9, 1] < tracks.boxes[:, 1] + 30
    for person in (1, 2):
        assert len(set(arms_up[tracks.track == person].tolist())) == 1


def test_an_id_is_never_in_two_places_and_rows_are_ordered_by_id() -> None:
    for seed in range(4):
        truth = true_tracks(street(seed, 12), 6, 10.0)
        found = detect(truth, np.random.default_rng(seed), noise=0.03, missed=0.3, false_people=0.5)
        tracks = track(truth, found)
        assert np.array_equal(np.lexsort((tracks.track, tracks.frame)), np.arange(len(tracks)))
        pairs = np.stack([tracks.frame, tracks.track])
        assert np.unique(pairs, axis=1).shape == pairs.shape


def test_every_frame_comes_out_once_in_order_with_the_stated_lag() -> None:
    truth = true_tracks(street(0), 5, FPS)
    found = detect(truth, np.random.default_rng(0))
    tracker = PeopleTracker(TrackingSettings(delay_s=0.4), FPS, (640, 360), COCO17)
    assert tracker.lag_frames == 8
    seen = []
    for i, people in enumerate(found):
        seen += [out.frame for out in tracker.update(blank(i, i / FPS), people)]
        assert seen == list(range(max(0, i + 1 - 8)))
    seen += [out.frame for out in tracker.finish()]
    assert seen == list(range(len(found)))
    assert tracker.finish() == []


def test_joints_scores_and_features_stay_with_their_person() -> None:
    truth = true_tracks(street(0), 4, FPS)
    tracker = PeopleTracker(TrackingSettings(min_hits=1), FPS, (640, 360), COCO17)
    given, got = {}, {}
    for i in range(truth.frame_count + 1):
        if i == truth.frame_count:
            outs = tracker.finish()
        else:
            people = without_ids(truth, i)
            marks = 1000.0 * i + np.arange(len(people))
            people = replace(people, features=np.broadcast_to(marks[:, None, None], (len(people), 17, 2)))
            given.update({m: people.keypoints[j].tobytes() for j, m in enumerate(marks)})
            outs = tracker.update(blank(i, i / FPS), people)
        for out in outs:
            assert out.people.features is not None
            for j in range(len(out.ids)):
                got[out.people.features[j, 0, 0]] = out.people.keypoints[j].tobytes()
    assert got == {m: given[m] for m in got}
    assert len(got) >= 0.9 * len(given)


def test_a_flicker_of_a_single_frame_is_nobody() -> None:
    truth = true_tracks([Walker((100, 300), (60, 0))], 3, FPS)
    found = [without_ids(truth, i) for i in range(truth.frame_count)]
    ghost = true_tracks([Walker((500, 200), (0, 0))], 0.05, FPS)
    both = PoseDetections(
        np.vstack([found[20].boxes, ghost.boxes]),
        np.concatenate([found[20].keypoints, ghost.keypoints]),
        np.ones(2, np.float32),
    )
    found[20] = both
    assert track(truth, found).num_tracks == 1
    assert track(truth, found, settings=TrackingSettings(min_hits=1)).num_tracks == 2


def test_memory_does_not_grow_with_the_video() -> None:
    """Ghosts all over make thousands of tracklets; none of them is kept for long."""
    tracker = PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17)
    rng = np.random.default_rng(0)
    sizes = []
    for i in range(300):
        ghosts = [Walker(tuple(rng.uniform((50, 150), (600, 350))), (0, 0), 80) for _ in range(3)]
        people = PoseDetections(
            np.array([g.box(0) for g in ghosts], np.float32),
            np.array([np.column_stack([g.pose(0), np.ones(17)]) for g in ghosts], np.float32),
            np.ones(3, np.float32),
        )
        tracker.update(blank(i, i / FPS), people)
        sizes.append(len(tracker._tracklets) + len(tracker._people) + len(tracker._waiting))
    assert max(sizes[200:]) <= 1.2 * max(sizes[100:200])


def test_the_same_detections_give_the_same_tracks() -> None:
    walkers = street(3)
    truth = true_tracks(walkers, 8, FPS)
    found = detect(truth, np.random.default_rng(0), missed=0.2, false_people=0.3)
    first, second = (track(truth, found, walkers) for _ in range(2))
    assert np.array_equal(first.track, second.track)
    assert np.array_equal(first.keypoints, second.keypoints)


def test_frames_without_people_and_whole_videos_without_them() -> None:
    truth = true_tracks([], 2, FPS)
    tracks = track(truth, [PoseDetections.empty(17)] * truth.frame_count)
    assert len(tracks) == 0


def test_times_that_stand_still_and_boxes_that_are_flat_or_not_finite_do_no_harm() -> None:
    truth = true_tracks([Walker((100, 300), (60, 0))], 3, FPS)
    tracker = PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17)
    out: list[TrackedPeople] = []
    for i in range(truth.frame_count):
        people = without_ids(truth, i)
        boxes = np.vstack([people.boxes, [[10, 10, 10, 10]], [[np.nan] * 4]]).astype(np.float32)
        people = PoseDetections(boxes, np.repeat(people.keypoints, 3, 0), np.ones(3, np.float32))
        out += tracker.update(blank(i, 1.0), people)
    out += tracker.finish()
    assert [o.frame for o in out] == list(range(truth.frame_count))
    assert max(len(o.ids) for o in out) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("min_similarity", 1.5), ("coast_s", 0.0), ("reattach_s", -1.0), ("min_hits", 0)]
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"tracking\.{name}.*{value}"):
        TrackingSettings(**{name: value})


@pytest.mark.parametrize("clip", ["shanghaitech_01_0014", "shanghaitech_01_0015"])
def test_real_people_keep_the_ids_that_others_gave_them(clip: str) -> None:
    folder = os.environ.get("GEPC_SAMPLE_DATA")
    if not folder:
        pytest.skip("GEPC_SAMPLE_DATA is not set: no real tracks to compare with")
    with np.load(Path(folder) / "clips" / f"{clip}.tracks.npz") as data:
        order = np.lexsort((data["person"], data["frame"]))
        frame, person, joints = (data[name][order] for name in ("frame", "person", "kp"))
    seen = (joints != 0).any((1, 2))
    frame, person, joints = frame[seen], person[seen], joints[seen]
    known = (joints != 0).any(-1)
    low = np.where(known[..., None], joints, np.inf).min(1)
    high = np.where(known[..., None], joints, -np.inf).max(1)
    truth = ClipTracks(
        clip=clip,
        skeleton="coco17",
        fps=24.97,
        frame_size=(856, 480),
        time_s=np.arange(frame.max() + 1) / 24.97,
        frame=frame.astype(np.int32),
        track=person.astype(np.int32),
        keypoints=np.concatenate([joints, known[..., None]], -1).astype(np.float32),
        boxes=np.concatenate([low, high], -1).astype(np.float32),
    )
    tracks = track(truth, [without_ids(truth, i) for i in range(truth.frame_count)])
    # Their ids are not the last word: a person who sits throughout has four of them there, and one here.
    assert idf1(tracks, truth) > 0.85
    assert tracks.num_tracks < truth.num_tracks


def test_somebody_whose_joints_are_not_seen_for_a_while_keeps_the_id() -> None:
    walkers = [
        Walker((200.0, 300.0), (10.0, 0.0), 120.0, RED),
        Walker((420.0, 300.0), (-4.0, 0.0), 120.0, BLUE),
    ]
    truth = true_tracks(walkers, 6.0, FPS)
    detections = detect(truth, np.random.default_rng(0), missed=0, false_people=0)
    for people in detections[40:90]:
        people.keypoints[people.boxes[:, 0].argmin(), :, 2] = 0
    found = track(truth, detections, walkers)
    assert found.num_tracks == 2
    assert len(found) == len(truth)
    hidden = (found.keypoints[..., 2] == 0).all(1)
    assert hidden.sum() == 50
    assert len(np.unique(found.track[hidden])) == 1


def test_who_was_taken_for_lost_and_found_again_can_be_exchanged_too() -> None:
    """One goes on as the other, who is lost, and what is found where the first was is taken for the lost one."""
    tracker = PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17)
    first, lost, found = Tracklet(1, person=10), Tracklet(2, person=20), Tracklet(3, person=20)
    red, blue = np.eye(2)
    tracker._tracklets = {t.key: t for t in (first, lost, found)}
    tracker._people = {10: first, 20: found}
    tracker._clothing.clothes = {
        1: Clothes(profile=red, sightings=9, fresh=blue, fresh_sightings=9, met={2}),
        2: Clothes(profile=blue, sightings=9, met={1}),
        3: Clothes(profile=blue, sightings=9),
    }
    tracker._exchange(
        1, 2
    )  # what is found wears the lost one's clothes itself: nothing tells that it is another
    assert (first.person, found.person) == (10, 20)
    tracker._clothing.clothes[1].met.add(2)
    tracker._clothing.clothes[3].profile = red
    tracker._exchange(1, 2)
    assert (first.person, found.person) == (20, 10)
    assert tracker._people == {20: first, 10: found}


# ---- what a tracker decides by


def one_person(index: int, x: float, score: float = 1.0) -> PoseDetections:
    walker = Walker((x, 300), (0, 0), 100)
    points = np.column_stack([walker.pose(0), np.ones(17)])[None].astype(np.float32)
    return PoseDetections(np.array([walker.box(0)], np.float32), points, np.array([score], np.float32))


def rows_of(tracker: PeopleTracker, people: list[PoseDetections], fps: float = FPS) -> list[TrackedPeople]:
    out: list[TrackedPeople] = []
    for i, found in enumerate(people):
        out += tracker.update(blank(i, i / fps), found)
    return out + tracker.finish()


@pytest.mark.parametrize(("score", "tracked"), [(0.39, False), (0.41, True)])
def test_people_below_the_least_score_are_nobody(score: float, tracked: bool) -> None:
    tracker = PeopleTracker(TrackingSettings(min_score=0.4), FPS, (640, 360), COCO17)
    out = rows_of(tracker, [one_person(i, 300, score) for i in range(20)])
    assert [len(frame.ids) for frame in out] == [int(tracked)] * 20
    exactly = PeopleTracker(TrackingSettings(min_score=0.5), FPS, (640, 360), COCO17)
    assert all(len(frame.ids) for frame in rows_of(exactly, [one_person(i, 300, 0.5) for i in range(20)]))


@pytest.mark.parametrize(("seen", "hits", "rows"), [(3, 3, 3), (3, 4, 0), (1, 1, 1), (1, 2, 0)])
def test_who_is_seen_as_often_as_asked_for_is_somebody_from_the_first_frame_on(seen, hits, rows) -> None:
    tracker = PeopleTracker(TrackingSettings(min_hits=hits, delay_s=0.5), FPS, (640, 360), COCO17)
    people = [one_person(i, 300) if i < seen else PoseDetections.empty(17) for i in range(30)]
    out = rows_of(tracker, people)
    assert sum(len(frame.ids) for frame in out) == rows
    assert [frame.frame for frame in out] == list(range(30))


@pytest.mark.parametrize(
    ("delay_s", "fps", "lag"), [(0.5, 20.0, 10), (0.5, 25.0, 12), (0.0, 20.0, 0), (0.26, 10.0, 3)]
)
def test_the_lag_is_the_delay_in_frames(delay_s: float, fps: float, lag: int) -> None:
    assert PeopleTracker(TrackingSettings(delay_s=delay_s), fps, (640, 360), COCO17).lag_frames == lag


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="frame rate above 0"):
        PeopleTracker(TrackingSettings(), fps, (640, 360), COCO17)


def test_ids_count_on_from_1_in_the_order_in_which_people_come_and_each_frame_lists_them_ascending() -> None:
    tracker = PeopleTracker(TrackingSettings(), FPS, (640, 360), COCO17)
    people = []
    for i in range(60):
        here = [one_person(i, x) for x, begins in ((500, 0), (100, 20), (300, 40)) if i >= begins]
        people.append(
            PoseDetections(
                np.concatenate([p.boxes for p in here[::-1]]),
                np.concatenate([p.keypoints for p in here[::-1]]),
                np.ones(len(here), np.float32),
            )
        )
    out = rows_of(tracker, people)
    assert [frame.ids.tolist() for frame in out] == [[1]] * 20 + [[1, 2]] * 20 + [[1, 2, 3]] * 20
    for frame in out:
        assert frame.ids.dtype == np.int32
        middles = frame.people.boxes[:, [0, 2]].mean(axis=1)
        np.testing.assert_allclose(middles, [500, 100, 300][: len(middles)], atol=2)


@pytest.mark.parametrize(("unseen_s", "people"), [(1.9, 1), (2.3, 2)])
def test_somebody_lost_is_kept_for_the_stated_seconds_and_then_forgotten(
    unseen_s: float, people: int
) -> None:
    tracker = PeopleTracker(TrackingSettings(reattach_s=2.0), FPS, (640, 360), COCO17)
    gone = range(40, 40 + round(unseen_s * FPS))
    frames = [PoseDetections.empty(17) if i in gone else one_person(i, 300) for i in range(130)]
    ids = {i for frame in rows_of(tracker, frames) for i in frame.ids.tolist()}
    assert ids == set(range(1, people + 1))
