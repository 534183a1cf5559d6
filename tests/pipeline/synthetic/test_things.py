"""Things in the synthetic street: their truth is what the pictures show, and nothing else in the clip changes."""

from __future__ import annotations

import csv
import json
import zlib

import numpy as np
import pytest

from pipeline.synthetic.clips import StreetClip, render_clip, simulate_clip, write_clip
from pipeline.synthetic.drawing.render import Renderer
from pipeline.synthetic.motion.body import INDEX
from pipeline.synthetic.street.plan import Visit, carry_out, plan_visits
from pipeline.synthetic.street.scene import Camera, StreetSettings
from pipeline.synthetic.street.truth import exact_tracks, look_at
from pipeline.synthetic.things.kinds import CHOOSE_FROM, KEPT_OUT, KINDS
from pipeline.synthetic.things.scenarios import ALONE, LONGEST_STAY
from pipeline.synthetic.things.thing import Thing, ThingSight, behind_things, look_at_thing
from pose_extract.errors import ConfigError

FPS = 6.0
STREET = StreetSettings(width=320, height=180, fps=FPS, seconds=13.0, noise=0.0, people=(2, 3))
SOLID = [name for name, kind in KINDS.items() if kind.things]


@pytest.fixture(scope="module")
def clips() -> dict[str, StreetClip]:
    """A clip of each kind, and one with nothing, all of one seed."""
    return {name: simulate_clip("a", 8, STREET, (), (name,) if name else ()) for name in ("", *KINDS)}


@pytest.fixture(scope="module", params=list(KINDS))
def clip(request, clips) -> StreetClip:
    return clips[request.param]


def standing_thing(kind: str, x: float, y: float, z: float = 0.0, heading: float = 0.4) -> ThingSight:
    """A thing that stays where it is for one frame."""
    one = np.ones(1, bool)
    place = np.array([[x, y, z]])
    return look_at_thing(Thing(kind, 3, 0, place, np.array([heading]), np.zeros(1), one, one), STREET)


def test_the_kinds_are_divided_once_and_for_all():
    assert CHOOSE_FROM == ("car", "pram", "bag", "fleeing")
    assert KEPT_OUT == ("bicycle", "dog", "ball", "skateboard", "loitering")
    assert set(KINDS) == {*CHOOSE_FROM, *KEPT_OUT}


@pytest.mark.parametrize(
    ("seed", "acts", "pixels", "joints"),
    [(3, (), 0x701C1D2, 0x2AA08B51), (5, ("cycling", "falling"), 0x42E7ECCB, 0x61A469D6)],
)
def test_clips_without_things_are_those_that_they_were_before_there_were_things(seed, acts, pixels, joints):
    clip = simulate_clip("a", seed, StreetSettings(width=160, height=90, fps=4, seconds=6), acts)
    assert zlib.crc32(b"".join(image.tobytes() for image in render_clip(clip))) == pixels
    assert zlib.crc32(clip.truth.keypoints.round(1).tobytes()) == joints
    assert len(clip.things) == 0


def test_labels_are_the_frames_in_which_the_unusual_is_in_the_picture(clip):
    (kind,) = {what for *_, what, _ in clip.intervals} - {"gliding"}
    marked = np.zeros_like(clip.labels)
    for start, end, *_ in clip.intervals:
        marked[start:end] = 1
    assert np.array_equal(marked, clip.labels)
    assert 0.1 < clip.labels.mean() < 0.95
    rows = clip.things
    if KINDS[kind].things:
        assert set(rows.kind) == {kind}
        shown = np.zeros_like(clip.labels)
        shown[rows.frame[rows.unusual]] = 1
        assert (clip.labels >= shown).all()
        # Who glides is labelled too where only they are in the picture.
        assert np.array_equal(shown, clip.labels) or kind == "skateboard"
    else:
        assert len(rows) == 0


def test_the_same_seed_gives_the_same_things_and_the_people_of_the_clip_without_them(clip, clips):
    (kind,) = {what for *_, what, _ in clip.intervals} - {"gliding"}
    again = simulate_clip("a", 8, STREET, (), (kind,))
    assert again.intervals == clip.intervals
    assert np.array_equal(again.things.boxes, clip.things.boxes)
    visits = [(sight.person.visit.anchor, sight.person.visit.look) for sight in clip.sights]
    usual = [(sight.person.visit.anchor, sight.person.visit.look) for sight in clips[""].sights]
    assert set(usual) <= set(visits)
    extra = len(visits) - len(usual)
    assert (
        extra >= 9 if kind == "fleeing" else extra == 0 if kind in ("car", "dog", "ball") else extra in (1, 2)
    )


@pytest.mark.parametrize("kind", SOLID)
def test_a_box_is_exactly_around_what_is_drawn(kind):
    for heading in (0.1, 1.9):
        sight = standing_thing(kind, 0.2, 12.0, 0.3 * (kind == "ball"), heading)
        image = np.zeros((STREET.height, STREET.width, 3), np.uint8)
        sight.draw(image, 0, Camera(STREET), 255.0)
        y, x = np.nonzero(image[..., 0] > 127)
        drawn = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
        assert np.abs(drawn - sight.boxes[0]).max() <= 2
        size = sight.boxes[0, 2:] - sight.boxes[0, :2]
        # Metres for metres: no kind is larger than a car or smaller than a ball.
        assert (size > 0.15 * 499 / 12.5).all() or kind == "skateboard"
        assert (size < 4.6 * 499 / 9.0).all()


@pytest.mark.parametrize(("kind", "slow", "fast"), [
    ("car", 2.0, 8.5), ("pram", 0.7, 2.0), ("bicycle", 0.7, 2.0), ("dog", 1.5, 3.5), ("ball", 0.5, 8.5),
    ("skateboard", 2.0, 4.5),
])  # fmt: skip
def test_things_move_at_the_speeds_of_their_kind(clips, kind, slow, fast):
    clip = clips[kind]
    for sight in clip.thing_sights:
        step = np.linalg.norm(np.diff(sight.thing.place[:, :2], axis=0), axis=1) * FPS
        inside = sight.present[1:] & sight.present[:-1]
        assert inside.any()
        assert slow < np.median(step[inside]) < fast
        assert step[inside].max() < 1.2 * fast


def test_a_ball_that_flies_falls_as_things_fall():
    falls = []
    street = StreetSettings(width=64, height=64, fps=60, seconds=2.5, people=(1, 1))
    for seed in range(4):
        for sight in simulate_clip("a", seed, street, (), ("ball",)).thing_sights:
            z = sight.thing.place[:, 2]
            flies = np.lib.stride_tricks.sliding_window_view(z > 0.2, 3).all(axis=1)
            falls.append(np.diff(z, 2)[flies] * 60**2)
    falls = np.concatenate(falls)
    assert len(falls) > 20
    assert np.median(falls) == pytest.approx(-9.81, abs=0.05)
    assert z.min() > 0.1


def test_a_bag_is_labelled_from_when_it_stands_there_alone_to_the_end(clips):
    clip = clips["bag"]
    (sight,) = clip.thing_sights
    start = int(np.flatnonzero(sight.thing.unusual)[0])
    assert clip.intervals == [(start, STREET.frames, "bag", 1)]
    assert np.ptp(sight.thing.place[start:], axis=0).max() == 0
    assert sight.thing.place[start, 2] == 0
    owner = sight.thing.person
    gone = np.linalg.norm(owner.path[start - owner.first] - sight.thing.place[start, :2])
    assert gone > ALONE
    # Before that it hangs at the owner's hand, above the ground.
    carried = int(np.flatnonzero(sight.present)[0])
    hands = owner.joints[carried - owner.first, [INDEX["left_hand"], INDEX["right_hand"]]]
    assert np.linalg.norm(hands[:, :2] - sight.thing.place[carried, :2], axis=1).min() < 0.1
    rows = clip.things
    assert set(rows.person[rows.frame >= start]) == {0}
    assert 0 not in rows.person[rows.frame == carried]


def test_who_pushes_walks_and_the_thing_goes_with_them(clips):
    for kind in ("bicycle", "pram", "skateboard"):
        clip = clips[kind]
        rows = clip.things
        for sight in clip.thing_sights:
            person = sight.thing.person
            assert person.visit.parts == (("gliding" if kind == "skateboard" else "walking"),)
            assert np.linalg.norm(person.path - sight.thing.place[:, :2], axis=1).max() < 0.8
        assert (rows.person > 0).mean() > 0.9
    # Beside a bicycle an arm is held as many hold theirs; legs, trunk and head are a walker's anyhow.
    carried = [set(sight.thing.person.visit.style.carry) for sight in clips["bicycle"].thing_sights]
    assert all(each == {0, 1} for each in carried)


def test_who_loiters_stands_and_is_labelled_once_they_stayed_longer_than_anybody_normal(clips):
    clip = clips["loitering"]
    ((start, end, what, track),) = clip.intervals
    assert (start, end, what) == (round(LONGEST_STAY * FPS), STREET.frames, "loitering")
    person = clip.sights[track - 1].person
    assert np.ptp(person.path, axis=0).max() < 0.01
    assert set(clip.behaviours()) <= {"walking", "standing", "talking", "stopping", "turning", "leaving"}
    with pytest.raises(ConfigError, match="expected more than 10 to show somebody who loiters"):
        simulate_clip("a", 0, StreetSettings(seconds=9), (), ("loitering",))


def test_a_crowd_walks_and_stands_and_then_all_of_it_runs(clips):
    clip = clips["fleeing"]
    begin = min(start for start, *_ in clip.intervals)
    crowd = [sight.person for sight in clip.sights if "fleeing" in sight.person.visit.parts]
    assert 9 <= len(crowd) <= 13
    for person in crowd:
        speed = np.linalg.norm(np.diff(person.path, axis=0), axis=1) * FPS
        assert speed[: begin - 2 - person.first].max() < 2.0
        assert speed[begin - person.first + round(2.0 * FPS)] > 2.5
    goals = [np.arctan2(*np.diff(person.path[-2:], axis=0)[0, ::-1]) for person in crowd]
    spread = abs(np.mean(np.exp(1j * np.array(goals))))
    assert spread > 0.9 or spread < 0.75  # in one direction, or apart


def test_what_is_nearer_hides_what_is_farther():
    (drawn,) = plan_visits(np.random.default_rng(1), STREET, "standing", 0.0)
    visit = Visit(("standing",), (), (6.0,), (0.0, 0.0, 12.0, 0.0), drawn.body, drawn.style, drawn.look)
    sight = look_at(carry_out(visit, STREET), STREET)
    truth = exact_tracks("a", 0, STREET, [sight])
    row, pictures, hidden = np.flatnonzero(truth.frame == 0)[0], {}, {}
    for name, distance in (("before", 10.0), ("behind", 14.0)):
        car = standing_thing("car", 0.0, distance, heading=0.0)
        marks = behind_things(truth, [sight], [car], STREET).keypoints[row, :, 2]
        hidden[name] = float(np.mean(marks == 0.5))
        pictures[name] = Renderer(STREET, 0, [sight], [car]).draw(0).astype(int)
        pictures[f"{name} alone"] = Renderer(STREET, 0, [], [car]).draw(0).astype(int)
    assert hidden["behind"] == 0
    assert 0.2 < hidden["before"] < 0.8  # a head looks over it
    x, y = truth.keypoints[row, [13, 14], :2].mean(axis=0).astype(int)  # the knees
    same = {
        name: np.abs(pictures[name] - pictures[f"{name} alone"])[y, x].max() for name in ("before", "behind")
    }
    assert same["before"] == 0
    assert same["behind"] > 20


def test_things_are_written_beside_the_video(tmp_path):
    street = StreetSettings(width=64, height=64, fps=2.0, seconds=6.0)
    clip = simulate_clip("go", 4, street, (), ("skateboard",))
    write_clip(clip, tmp_path)
    events = json.loads((tmp_path / "go.events.json").read_text())
    assert [tuple(event.values()) for event in events] == clip.intervals
    keys = {event["behaviour"]: list(event)[-1] for event in events}
    assert keys == {"gliding": "track", "skateboard": "thing"}
    rows = list(csv.DictReader((tmp_path / "go.things.csv").open()))
    assert len(rows) == len(clip.things) > 0
    assert [int(row["frame"]) for row in rows] == clip.things.frame.tolist()
    assert [float(row["right"]) for row in rows] == pytest.approx(clip.things.boxes[:, 2].tolist(), abs=0.01)
    assert {row["kind"] for row in rows} == {"skateboard"}


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"unknown kind of thing 'tank'; known: car, .*loitering"):
        simulate_clip("a", 0, STREET, (), ["tank"])
