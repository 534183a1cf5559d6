"""Clips of one person doing one action, of many actions in groups that belong together: coarse-grained data (paper,
section 4.2) that need no download.

The people are the street's. Somebody in a clip stands or passes before a camera of their own, seen from ahead or from
the side; the clip is given as joints in pixels, as a pose estimator would find them, or in metres, as a depth camera
would.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.synthetic.actions import legs as action_legs
from pipeline.synthetic.actions import poses as action_poses
from pipeline.synthetic.actions.tracks import tracks_2d, tracks_3d
from pipeline.synthetic.motion.behaviours import BEHAVIOURS, Behaviour
from pipeline.synthetic.motion.body import Body, place
from pipeline.synthetic.motion.gait import Moment, Style, random_style
from pipeline.synthetic.street.plan import Person, Visit, random_body
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.synthetic.street.truth import Sight, look_at
from pose_extract.checking import expect_between
from pose_extract.tracks.records import ClipTracks

FAR = 11.0  # metres from the camera to the middle of a person's path


@dataclass(frozen=True)
class Action:
    """One class of clips.

    Attributes:
        name: of the action.
        group: of the actions that belong with it.
        behaviour: what the body does, and where it goes.
        course: seconds that it takes the quickest and the slowest; None if it is done over and over.
    """

    name: str
    group: str
    behaviour: Behaviour = field(repr=False)
    course: tuple[float, float] | None = None


_FALL = Behaviour("fall", True, action_legs.falling, (0.6, 1.1), drive=action_legs.fall_drive)
_ALL = (
    ("gait", "walk", BEHAVIOURS["walking"], None),
    ("gait", "run", BEHAVIOURS["running"], None),
    ("gait", "sneak", BEHAVIOURS["crouching"], None),
    ("gait", "limp", BEHAVIOURS["limping"], None),
    ("leaps", "jump", BEHAVIOURS["jumping"], None),
    ("leaps", "jumping_jack", action_legs.jumping_jack, None),
    ("leaps", "skip", BEHAVIOURS["skipping"], None),
    ("leaps", "hop", Behaviour("hop", False, action_legs.hopping, (0.3, 0.9)), None),
    ("gestures", "wave", action_poses.waving, None),
    ("gestures", "wave_both", action_poses.waving_both, None),
    ("gestures", "clap", action_poses.clapping, None),
    ("gestures", "point", action_poses.pointing, (0.5, 0.9)),
    ("fighting", "punch", action_poses.punching, None),
    ("fighting", "kick", action_poses.kicking, None),
    ("fighting", "push", action_poses.pushing, None),
    ("fighting", "dodge", action_poses.dodging, None),
    ("ball", "throw", action_poses.throwing, (1.1, 1.6)),
    ("ball", "roll", action_poses.rolling, (1.2, 1.8)),
    ("ball", "bat", action_poses.batting, (1.0, 1.6)),
    ("ball", "dribble", action_poses.dribbling, None),
    ("lowering", "squat", action_legs.squatting, None),
    ("lowering", "pick_up", action_legs.picking_up, (1.3, 1.9)),
    ("lowering", "sit_down", action_legs.sitting_down, (0.9, 1.5)),
    ("lowering", "fall", _FALL, (0.9, 1.3)),
)
ACTIONS = tuple(
    Action(name, group, what if isinstance(what, Behaviour) else Behaviour(name, False, what), course)
    for group, name, what, course in _ALL
)
"""All actions; an action's number is its place in here, from 0."""


def meaningful_splits() -> dict[str, tuple[int, ...]]:
    """Group -> numbers of its actions."""
    groups = dict.fromkeys(action.group for action in ACTIONS)
    return {group: tuple(i for i, a in enumerate(ACTIONS) if a.group == group) for group in groups}


@dataclass(frozen=True)
class ActionSettings:
    """How many clips of actions are made, and how they are seen: the config section ``actions``.

    Attributes:
        clips: clips of each action.
        performers: people, who do every action about equally often.
        train_share: share of the performers whose clips are for training; the others' are for testing.
        seconds: length of a clip.
        fps: frames a second.
        dimensions: 2, joints of coco17 in pixels with a confidence, or 3, joints of ntu25 in metres from the camera:
            to the right, up and away from it.
        noise: size and frequency of the errors of a pose estimator, or of a depth camera, relative to the usual; 0 for
            exact joints.
        view: degrees by which a person is turned away from the camera at most, to either side; at 0 all face it.
        width: of the picture, pixels.
        height: of the picture, pixels.
    """

    clips: int = 60
    performers: int = 20
    train_share: float = 0.5
    seconds: float = 2.0
    fps: float = 24.0
    dimensions: int = 2
    noise: float = 1.0
    view: float = 75.0
    width: int = 640
    height: int = 360

    def __post_init__(self) -> None:
        expect_between("actions", self, 2, 3, "dimensions")
        expect_between("actions", self, 1, 100_000, "clips")
        expect_between("actions", self, 2, 10_000, "performers")
        expect_between("actions", self, 0.01, 0.99, "train_share")
        expect_between("actions", self, 0.5, 60, "seconds")
        expect_between("actions", self, 4, 240, "fps")
        expect_between("actions", self, 0, 3, "noise")
        expect_between("actions", self, 0, 180, "view")
        expect_between("actions", self, 64, 8192, "width", "height")

    @property
    def train_performers(self) -> tuple[int, ...]:
        """Numbers of the performers, from 1, whose clips are for training; at least one, and not all."""
        count = round(self.train_share * self.performers)
        return tuple(range(1, min(max(count, 1), self.performers - 1) + 1))


@dataclass(frozen=True)
class ActionClip:
    """One performer doing one action.

    Attributes:
        name: of the clip.
        action: its number, the place in `ACTIONS`.
        performer: who does it, from 1; training and test clips are told apart by this.
        tracks: the person's joints over time, of one track, with the errors of an estimator if asked for.
        sight: the exact motion as the camera sees it.
        camera: the camera, and the picture's size.
    """

    name: str
    action: int
    performer: int
    tracks: ClipTracks
    sight: Sight = field(repr=False)
    camera: StreetSettings = field(repr=False)


def make_action_clips(settings: ActionSettings, seed: int) -> list[ActionClip]:
    """The clips of all actions, one action after the other.

    A clip does not depend on how many clips there are of each action; the performers do not depend on the actions.
    """
    people = [_performer(np.random.default_rng((seed, 31, p))) for p in range(settings.performers)]
    return [
        _make_clip(settings, (seed, action, take), people[take % settings.performers])
        for action in range(len(ACTIONS))
        for take in range(settings.clips)
    ]


def _performer(rng: np.random.Generator) -> tuple[Body, Style, int]:
    """Build, way of moving and seed of the clothes of a person with free hands."""
    return random_body(rng), replace(random_style(rng), carry=(0, 0)), int(rng.integers(2**31))


def _make_clip(
    settings: ActionSettings, key: tuple[int, int, int], performer: tuple[Body, Style, int]
) -> ActionClip:
    seed, number, take = key
    rng = np.random.default_rng((seed, 32, number, take))
    action = ACTIONS[number]
    body, usual, look = performer
    style = replace(
        usual,
        pace=float(rng.random()),
        arms=usual.arms * float(rng.uniform(0.88, 1.12)),
        lean=usual.lean + float(rng.uniform(-0.03, 0.03)),
        side=usual.side if rng.random() < 0.8 else -usual.side,
        seed=int(rng.integers(2**31)),
    )
    camera = _camera(settings, rng)
    person = _perform(action, body, style, look, camera, settings, rng)
    sight = look_at(person, camera)
    name = f"{action.name}_{take + 1:03d}"
    noise = int(rng.integers(2**31))
    make = tracks_2d if settings.dimensions == 2 else tracks_3d
    tracks = make(name, sight, camera, settings.noise, noise)
    who = take % settings.performers + 1
    return ActionClip(name, number, who, tracks, sight, camera)


def _camera(settings: ActionSettings, rng: np.random.Generator) -> StreetSettings:
    """A camera at a random height that looks at the middle of a body, far enough off to see a runner pass by."""
    high = float(rng.uniform(1.2, 3.0))
    return StreetSettings(
        width=settings.width,
        height=settings.height,
        fps=settings.fps,
        seconds=settings.seconds,
        camera_height=high,
        camera_pitch=float(np.degrees(np.arctan2(max(high - 1.0, 0.0), FAR))),
        focal=1.25,
    )


def _perform(
    action: Action,
    body: Body,
    style: Style,
    look: int,
    camera: StreetSettings,
    settings: ActionSettings,
    rng: np.random.Generator,
) -> Person:
    """The motion in the world: the middle of the path is straight ahead of the camera."""
    frames = camera.frames
    if action.course is None:
        seconds = settings.seconds
        t = np.arange(frames) / settings.fps + float(rng.uniform(0, 5))
    else:
        slow, share = action.course[1], 1 - style.pace
        seconds = action.course[0] + share * (slow - action.course[0])
        t = np.arange(frames) / settings.fps - float(rng.uniform(0, max(settings.seconds - seconds, 0.05)))
    move = action.behaviour.move(t, seconds, body, style)
    side = float(rng.choice([-1.0, 1.0]))
    turn = np.cumsum(move.turn) / settings.fps
    phase = np.cumsum(move.rate) / settings.fps + float(rng.random())
    # At -90 degrees a person faces the camera.
    away = np.radians(settings.view) * float(rng.random())
    heading = -np.pi / 2 + side * away + turn - turn.mean()
    cos, sin = np.cos(heading), np.sin(heading)
    step = np.stack([move.forward * cos - move.left * sin, move.forward * sin + move.left * cos], axis=-1)
    path = np.cumsum(step, axis=0) / settings.fps
    where = np.array([float(rng.uniform(-0.3, 0.3)), FAR + float(rng.uniform(-0.8, 0.8))])
    path += where - (path.min(axis=0) + path.max(axis=0)) / 2
    moment = Moment(t, seconds, phase, move.forward, move.rate, body, style)
    joints, head = place(body, action.behaviour.pose(moment), path, heading)
    visit = Visit((action.name,), (), (seconds,), (0.0, 0.0, 0.0, 0.0), body, style, look)
    nothing = np.zeros(frames, np.int64)
    without = nothing.astype(bool)
    return Person(visit, 0, joints, head, path, heading, phase, nothing, without, without)
