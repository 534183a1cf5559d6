"""The synthetic street: what its truth says is what its pictures show."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.synthetic.clips import render_clip, simulate_clip, write_clip
from pipeline.synthetic.drawing.clothes import random_look
from pipeline.synthetic.drawing.render import Renderer
from pipeline.synthetic.motion.behaviours import ABNORMAL, APPEARANCE, BEHAVIOURS, NORMAL
from pipeline.synthetic.motion.body import INDEX
from pipeline.synthetic.street.plan import Visit, carry_out, plan_visits
from pipeline.synthetic.street.scene import Camera, StreetSettings, background
from pipeline.synthetic.street.truth import COCO, exact_tracks, look_at
from pose_extract.errors import ConfigError
from pose_extract.skeletons import COCO17
from tests.helpers.street_body import BONES

SHORT = StreetSettings(seconds=6.0)


def people_doing(act: str, seed: int = 0, seconds: float = 3.0, fps: float = 24.0) -> list:
    """The people who do ``act`` for a whole clip, from a little before it to a little after."""
    settings = StreetSettings(seconds=seconds, fps=fps)
    visits = plan_visits(np.random.default_rng(seed), settings, act, seconds / 2, seconds)
    return [carry_out(v, settings) for v in visits]


@pytest.mark.parametrize("act", BEHAVIOURS)
def test_every_behaviour_moves_a_body_of_constant_bone_lengths_that_stays_above_the_ground(act):
    for seed in range(4):
        for person in people_doing(act, seed):
            assert np.isfinite(person.joints).all()
            a, b = np.array(BONES).T
            lengths = np.linalg.norm(person.joints[:, a] - person.joints[:, b], axis=-1)
            assert np.abs(lengths - lengths[0]).max() < 1e-6
            assert lengths[0].min() > 0.02
            assert person.joints[..., 2].min() > -1e-6
            assert person.joints[..., 2].max() < 3.2


@pytest.mark.parametrize("act", BEHAVIOURS)
def test_motion_is_continuous(act):
    for seed in range(4):
        for person in people_doing(act, seed, fps=60.0):
            step = np.linalg.norm(np.diff(person.joints[:, COCO], axis=0), axis=-1) * 60
            assert (
                step.max() < 15.0
            )  # metres a second; a jump of a joint between two frames would be far above


@pytest.mark.parametrize("act", NORMAL)
def test_normal_behaviours_keep_within_the_speeds_of_walking_people(act):
    for seed in range(6):
        for person in people_doing(act, seed):
            speed = np.linalg.norm(np.diff(person.joints, axis=0), axis=-1) * 24
            assert speed[:, INDEX["pelvis"]].max() < 2.0
            assert speed[:, COCO].max() < 6.0


def test_the_foot_that_stands_does_not_slide():
    settings = StreetSettings(seconds=4.0)
    for seed in range(5):
        for visit in plan_visits(np.random.default_rng(seed), settings, "walking", 2.0):
            person = carry_out(visit, settings)
            speed = np.linalg.norm(np.diff(person.path, axis=0), axis=1).mean() * 24
            balls = 0.3 * person.joints[:, [INDEX["left_heel"], INDEX["right_heel"]]]
            balls = balls + 0.7 * person.joints[:, [INDEX["left_toe"], INDEX["right_toe"]]]
            slide = np.linalg.norm(np.diff(balls[..., :2], axis=0), axis=-1).min(axis=1) * 24
            assert speed > 0.8
            assert np.median(slide) < 0.15 * speed
            assert np.quantile(slide, 0.9) < 0.35 * speed


def test_abnormal_behaviours_differ_from_walking_in_what_they_are_named_for():
    def hip_height(act):
        return np.mean([p.joints[:, 0, 2].min() for s in range(5) for p in people_doing(act, s, 5.0)])

    def speed(act):
        found = [p for s in range(5) for p in people_doing(act, s)]
        return np.mean([np.linalg.norm(np.diff(p.path, axis=0), axis=1).max() * 24 for p in found])

    def hands(act):
        found = [p for s in range(5) for p in people_doing(act, s)]
        return np.mean([p.joints[:, INDEX["left_wrist"], 2].max() for p in found])

    walking = hip_height("walking")
    assert hip_height("falling") < 0.4 * walking
    assert hip_height("crawling") < 0.75 * walking
    assert hip_height("crouching") < 0.85 * walking
    assert speed("running") > 1.6 * speed("walking")
    assert hands("panicking") > 1.4 * hands("walking")
    flights = [
        p.joints[:, [INDEX["left_toe"], INDEX["right_toe"]], 2].min(axis=1).max()
        for s in range(5)
        for p in people_doing("jumping", s)
    ]
    assert min(flights) > 0.1


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    first, again, other = (simulate_clip("a", seed, SHORT, ["running"]) for seed in (3, 3, 4))
    assert np.array_equal(first.truth.keypoints, again.truth.keypoints)
    assert first.intervals == again.intervals
    frames = [next(render_clip(c)) for c in (first, again, other)]
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])
    assert first.truth.keypoints.shape != other.truth.keypoints.shape or not np.array_equal(
        first.truth.keypoints, other.truth.keypoints
    )


def test_tracks_count_from_1_without_holes_and_rows_lie_in_the_picture():
    clip = simulate_clip("a", 5, SHORT)
    truth = clip.truth
    assert sorted(set(truth.track.tolist())) == list(range(1, len(clip.sights) + 1))
    assert truth.frame_count == 144
    assert truth.skeleton == "coco17"
    pairs = list(zip(truth.frame.tolist(), truth.track.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    xy, confidence = truth.keypoints[..., :2], truth.keypoints[..., 2]
    inside = ((xy >= 0) & (xy < [640, 360])).all(axis=-1)
    assert np.array_equal(confidence > 0, inside)
    assert set(np.unique(confidence)) <= {0.0, 0.5, 1.0}
    assert (inside.sum(axis=1) >= 6).all()
    grown = truth.boxes[:, None] + np.array([-1, -1, 1, 1])
    held = (xy >= grown[..., :2]) & (xy <= grown[..., 2:])
    assert held.all(axis=-1)[inside].all()


@pytest.mark.parametrize("act", ABNORMAL + APPEARANCE)
def test_labels_mark_exactly_the_frames_of_the_intervals(act):
    clip = simulate_clip("a", 11, StreetSettings(seconds=8.0), [act])
    marked = np.zeros_like(clip.labels)
    shown = set(zip(clip.truth.frame.tolist(), clip.truth.track.tolist(), strict=True))
    for start, end, behaviour, track in clip.intervals:
        assert behaviour == act
        marked[start:end] = 1
        assert all((frame, track) in shown for frame in range(start, end))
    assert np.array_equal(marked, clip.labels)
    assert clip.labels.dtype == np.uint8
    assert clip.labels.any()
    rows = np.array([name == act for name in clip.behaviours()])
    assert np.array_equal(np.unique(clip.truth.frame[rows]), np.flatnonzero(clip.labels))


def test_who_wears_a_costume_moves_as_everybody_and_looks_different():
    """The same people, walking and costumed: equal joints, other pixels around the trunk."""
    assert "costumed" not in ABNORMAL
    (walking,), (costumed,) = people_doing("walking"), people_doing("costumed")
    np.testing.assert_array_equal(walking.joints, costumed.joints)
    settings = StreetSettings(seconds=3.0, noise=0)
    pictures = [Renderer(settings, 0, [look_at(p, settings)]).draw(36) for p in (walking, costumed)]
    orange = [np.abs(p.astype(int) - (20, 120, 245)).sum(axis=2) < 90 for p in pictures]
    assert not orange[0].any()
    assert orange[1].sum() > 200


def test_a_normal_clip_has_no_label_and_shows_only_normal_behaviour():
    clip = simulate_clip("a", 2, SHORT)
    assert not clip.labels.any()
    assert clip.intervals == []
    assert set(clip.behaviours()) <= set(NORMAL)


def test_a_test_clip_is_abnormal_for_a_part_of_its_time_in_several_intervals():
    shares, counts = [], []
    for seed in range(4):
        clip = simulate_clip("a", seed, StreetSettings(), ["running", "falling", "fighting"])
        shares.append(clip.labels.mean())
        counts.append(np.count_nonzero(np.diff(clip.labels.astype(int)) == 1))
        kinds = clip.behaviours()
        abnormal = {t for t, k in zip(clip.truth.track, kinds, strict=True) if BEHAVIOURS[k].abnormal}
        assert len(abnormal) < clip.truth.num_tracks
        assert {"running", "falling", "fighting"} <= set(kinds)
    assert 0.25 <= np.mean(shares) <= 0.5
    assert min(counts) >= 2


def test_people_have_the_sizes_that_pose_estimators_want():
    heights = []
    for seed in range(6):
        truth = simulate_clip("a", seed, SHORT).truth
        whole = (truth.keypoints[..., 2] > 0).all(axis=1)
        heights.append(truth.boxes[whole, 3] - truth.boxes[whole, 1])
    heights = np.concatenate(heights)
    assert np.quantile(heights, 0.05) > 75
    assert np.quantile(heights, 0.95) < 280
    assert np.quantile(heights, 0.9) > 1.4 * np.quantile(heights, 0.1)


def _visit(act: str, at: tuple[float, float, float, float], seed: int) -> Visit:
    (visit,) = plan_visits(np.random.default_rng(seed), SHORT, act, 3.0)
    return Visit((act,), (), (6.0,), at, visit.body, visit.style, visit.look)


def test_the_truth_lies_on_the_drawn_body():
    settings = StreetSettings(seconds=4.0, people=(2, 2), noise=0.0)
    street, right, asked = background(settings).astype(int), 0, 0
    for seed in range(3):
        clip = simulate_clip("a", seed, settings)
        pictures = Renderer(settings, seed, clip.sights)
        for frame in range(0, settings.frames, 12):
            image = pictures.draw(frame)
            for row in np.flatnonzero(clip.truth.frame == frame):
                points = clip.truth.keypoints[row]
                person = clip.sights[clip.truth.track[row] - 1].person
                trunk = points[[5, 6, 11, 12]]
                if (trunk[:, 2] < 1).any():
                    continue
                # The middle of the shirt has the shirt's hue, up to its shading.
                x, y = (0.36 * trunk[:2] + 0.14 * trunk[2:]).sum(axis=0)[:2].astype(int)
                shirt = np.array(random_look(person.visit.look).shirt)
                pixel = image[y, x].astype(float)
                cosine = pixel @ shirt / np.linalg.norm(pixel) / np.linalg.norm(shirt)
                differs = np.abs(image.astype(int) - street).max(axis=-1) > 25
                visible = points[points[:, 2] == 1]
                on = [differs[int(v) - 2 : int(v) + 3, int(u) - 2 : int(u) + 3].any() for u, v, _ in visible]
                asked += 1
                right += cosine > 0.97 and np.mean(on) > 0.85
    assert asked > 20
    assert right > 0.8 * asked  # arms and stripes cover some shirts


def test_a_person_behind_another_is_marked_hidden_and_the_nearer_is_not():
    settings = StreetSettings(seconds=1.0)

    def hidden(*places: tuple[float, float]) -> list:
        people = [carry_out(_visit("standing", (0.5, x, y, 0.0), 1), settings) for x, y in places]
        truth = exact_tracks("a", 0, settings, [look_at(p, settings) for p in people])
        marks = truth.keypoints[..., 2] == 0.5
        return [marks[truth.track == track].mean() for track in (1, 2)]

    near, far = hidden((0.0, 9.0), (0.1, 12.0))
    assert near == 0
    assert far > 0.2
    assert hidden((0.0, 9.0), (3.0, 12.0)) == [0, 0]


def test_left_is_left():
    settings = StreetSettings(seconds=1.0)
    away = carry_out(_visit("standing", (0.5, 0.0, 10.0, np.pi / 2), 1), settings)
    pixels, _ = Camera(settings).project(away.joints[:, COCO])
    left, right = COCO17.index["left_shoulder"], COCO17.index["right_shoulder"]
    assert (pixels[:, left, 0] < pixels[:, right, 0]).all()


def test_files_are_written_beside_the_video(tmp_path):
    from pose_extract.tracks.cache import load_tracks

    clip = simulate_clip("walk", 1, StreetSettings(seconds=1.0), ["running"])
    video = write_clip(clip, tmp_path / "new")
    assert video == tmp_path / "new" / "walk.mp4"
    assert video.stat().st_size > 5000
    assert np.array_equal(load_tracks(tmp_path / "new" / "walk.truth.npz").keypoints, clip.truth.keypoints)
    assert np.array_equal(np.load(tmp_path / "new" / "walk.labels.npy"), clip.labels)
    events = json.loads((tmp_path / "new" / "walk.events.json").read_text())
    assert [tuple(e.values()) for e in events] == clip.intervals
    assert all(list(e) == ["start", "end", "behaviour", "track"] for e in events)


def test_an_unknown_or_normal_behaviour_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"unknown abnormal behaviour 'dancing'; known: .*running"):
        simulate_clip("a", 0, SHORT, ["dancing"])
    with pytest.raises(ConfigError, match="walking"):
        simulate_clip("a", 0, SHORT, ["walking"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 8), ("fps", 0.0), ("seconds", -1.0), ("people", (3, 2)), ("near", 30.0), ("noise", -1.0)],
)
def test_settings_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=f"street.{field}: expected"):
        StreetSettings(**{field: value})


@pytest.mark.slow
def test_a_real_pose_network_finds_the_joints_of_a_walker_where_the_truth_has_them():
    from pose_extract.errors import WeightsError
    from pose_extract.estimators.blazepose.estimator import BlazePoseEstimator
    from pose_extract.estimators.blazepose.settings import BlazePoseSettings
    from pose_extract.tracks.records import Frame

    settings = StreetSettings(seconds=2.0, people=(1, 1))
    sights = [look_at(carry_out(_visit("walking", (1.0, 0.0, 9.0, 0.3), 1), settings), settings)]
    truth = exact_tracks("a", 0, settings, sights)
    pictures = Renderer(settings, 0, sights)
    try:
        estimator = BlazePoseEstimator(BlazePoseSettings())
    except WeightsError as error:
        pytest.skip(f"no weights: {error}")
    estimator.start(settings.fps, (settings.width, settings.height))
    try:
        found, close = 0, []
        for index in range(settings.frames):
            (people_now,) = estimator.estimate([Frame(index, index / settings.fps, pictures.draw(index))])
            (row,) = np.flatnonzero(truth.frame == index)
            box, joints = truth.boxes[row], truth.keypoints[row]
            if len(people_now):
                gaps = np.linalg.norm(people_now.keypoints[..., :2] - joints[:, :2], axis=-1)
                found += 1
                close.append(np.mean(gaps < 0.1 * max(box[2:] - box[:2]), axis=1).max())
    finally:
        estimator.close()
    assert found > 0.8 * settings.frames
    assert np.mean(close) > 0.9
