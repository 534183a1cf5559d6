"""The coarse-grained experiment (section 4.2 of the paper) on real clips of actions.

It runs as ``gepc-pipeline experiment`` does:

    GEPC_SAMPLE_DATA=... python -m benchmarks.action_data --out DIR [--data utd_mhad|nw_ucla|jhmdb] [--methods ours knn]
        [--splits drawing] [--seeds 0 1] [--processes 2] [--set training.pretrain_epochs=20]

utd_mhad: 861 clips, 27 actions, 8 people, 3-D joints of a Kinect. nw_ucla: 1,484 clips, 10 actions, 10 people,
the same. jhmdb: 609 clips of films, 14 actions, 2-D. Training and test clips are of different people
(jhmdb: its first division).
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.command import data_or_skip, option_parser
from pipeline.experiments.data.action_sets import ActionSet, LabelledClip
from pipeline.experiments.data.splits import Split, random_splits
from pose_extract.skeletons import SkeletonDeclaration
from pose_extract.tracks.records import ClipTracks

_LIMBS = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "foot")


def _sided(side: str, joints: Sequence[str]) -> list[str]:
    return [f"{side}_{joint}" for joint in joints]


_ARMS_LEGS = [
    name for part in (_LIMBS[:4], _LIMBS[4:]) for side in ("left", "right") for name in _sided(side, part)
]
# The first Kinect's 20 joints, named as ntu25's.
KINECT20 = SkeletonDeclaration(
    name="kinect20",
    joints=("spine_base", "spine_middle", "spine", "head", *_ARMS_LEGS),
    edges=(
        ("spine_base", "spine_middle"),
        ("spine_middle", "spine"),
        ("spine", "head"),
        *(
            (a, b)
            for side in ("left", "right")
            for first, chain in (("spine", _LIMBS[:4]), ("spine_base", _LIMBS[4:]))
            for a, b in zip((first, *_sided(side, chain[:-1])), _sided(side, chain), strict=True)
        ),
    ),
    centre="spine",
    mirror=tuple((f"left_{joint}", f"right_{joint}") for joint in _LIMBS),
)
_PAIRS = ("shoulder", "hip", "elbow", "knee", "wrist", "ankle")
JHMDB15 = SkeletonDeclaration(
    name="jhmdb15",
    joints=("neck", "belly", "face", *(f"{side}_{joint}" for joint in _PAIRS for side in ("right", "left"))),
    edges=(
        ("belly", "neck"),
        ("neck", "face"),
        *(
            (a.replace(".", f"{side}_"), b.replace(".", f"{side}_"))
            for side in ("left", "right")
            for a, b in (
                ("neck", ".shoulder"), (".shoulder", ".elbow"), (".elbow", ".wrist"),
                ("belly", ".hip"), (".hip", ".knee"), (".knee", ".ankle"),
            )
        ),
    ),
    centre="neck",
    mirror=tuple((f"left_{joint}", f"right_{joint}") for joint in _PAIRS),
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        file: below GEPC_SAMPLE_DATA.
        skeleton: of its clips.
        order: where the skeleton's joints are among the file's; None: as they are.
        fps: frames a second.
        groups: actions that belong together, numbers from 0.
    """

    file: str
    skeleton: SkeletonDeclaration
    order: tuple[int, ...] | None
    fps: float
    groups: dict[str, tuple[int, ...]]


SOURCES = {
    "utd_mhad": Source(
        "actions/utd_mhad.npz",
        KINECT20,
        (3, 2, 1, 0, *range(4, 20)),
        30.0,
        {
            "drawing": (7, 8, 9, 10),
            "ball": (4, 6, 11, 19),
            "bat": (13, 14, 16),
            "legs": (21, 22, 25, 26),
            "hands": (0, 1, 2, 3, 5),
        },
    ),
    "nw_ucla": Source(
        "actions/nw_ucla.npz",
        KINECT20,
        None,
        30.0,
        {"picking": (0, 1, 2), "chair": (4, 5), "clothes": (6, 7), "walking": (3, 9)},
    ),
    "jhmdb": Source(
        "actions/jhmdb.npz",
        JHMDB15,
        None,
        25.0,
        {"legs": (3, 8, 12), "chair": (4, 9, 10), "ball": (0, 2, 11), "arms": (1, 5, 7, 13)},
    ),
}
_PIXELS = 320  # JHMDB's clips are centred and scaled: a unit becomes half of a square picture


@dataclass(frozen=True)
class RealClip:
    """A real clip of one action, as `pipeline.synthetic.actions.clips.ActionClip`.

    Attributes:
        name: of the clip.
        action: its number.
        performer: who does it, from 1; of jhmdb 1 in clips to train on, 2 in the others.
        tracks: the person's joints.
    """

    name: str
    action: int
    performer: int
    tracks: ClipTracks


def real_action_clips(name: str, data: Path) -> list[RealClip]:
    """All clips of ``name``, one of `SOURCES`, below the folder ``data``."""
    source = SOURCES[name]
    with np.load(data / source.file, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    points = arrays["kp"] if source.order is None else arrays["kp"][:, list(source.order)]
    offsets, names = arrays["offsets"], [f"{name}_{n}" for n in arrays["name"]]
    clips = []
    for i, (begin, end) in enumerate(itertools.pairwise(offsets)):
        who = (
            _performer(str(arrays["name"][i]))
            if "train_split1" not in arrays
            else 2 - arrays["train_split1"][i]
        )
        tracks = _tracks(names[i], source, points[begin:end])
        clips.append(RealClip(names[i], int(arrays["label"][i]), int(who), tracks))
    return clips


def train_performers(clips: Sequence[RealClip]) -> tuple[int, ...]:
    """Those whose clips are for training: of odd number, as in the data sets' usual division by people."""
    return tuple(sorted({clip.performer for clip in clips if clip.performer % 2}))


def _performer(name: str) -> int:
    part = next(part for part in name.split("_") if part.startswith("s"))
    return int(part[1:])


def _tracks(name: str, source: Source, points: NDArray[Any]) -> ClipTracks:
    frames = len(points)
    seen = np.isfinite(points).all(axis=-1, keepdims=True) & (points != 0).any(axis=-1, keepdims=True)
    points = np.nan_to_num(points)
    if points.shape[2] == 2:
        points = (points + 1) * _PIXELS / 2
    low, high = np.zeros((frames, 2)), np.full((frames, 2), _PIXELS)
    return ClipTracks(
        clip=name,
        skeleton=source.skeleton.name,
        fps=source.fps,
        frame_size=(_PIXELS, _PIXELS),
        time_s=np.arange(frames) / source.fps,
        frame=np.arange(frames, dtype=np.int32),
        track=np.ones(frames, np.int32),
        keypoints=np.concatenate([points, seen], axis=-1).astype(np.float32),
        boxes=np.concatenate([low, high], axis=1).astype(np.float32),
        provenance={"source": source.file},
    )


class RealActions:
    """The clips as the experiments want them.

    Attributes:
        name: of the data.
        published: "", for they are not in the paper.
        splits: groups of actions that belong together, and random ones.
        has_frames: whether clips have pictures.
    """

    def __init__(self, name: str, data: Path, random: int = 4) -> None:
        clips = real_action_clips(name, data)
        self.name, self.published, self.has_frames = name, "", False
        count = 1 + max(clip.action for clip in clips)
        meaningful = [Split(group, "meaningful", actions) for group, actions in SOURCES[name].groups.items()]
        self.splits: Sequence[Split] = [*random_splits(count, random, 4, meaningful), *meaningful]
        odd = set(train_performers(clips))
        self._set = ActionSet(
            *(
                tuple(_labelled(c) for c in clips if (c.performer in odd) == wanted)
                for wanted in (True, False)
            )
        )

    def clips(self, seed: int) -> ActionSet:
        """All clips; the same for every seed."""
        return self._set

    def identity(self, seed: int) -> dict[str, Any]:
        """What the clips are made of."""
        return {"real": self.name, "clips": len(self._set.train) + len(self._set.test)}


def _labelled(clip: RealClip) -> LabelledClip:
    return LabelledClip(clip.name, clip.action, partial(_itself, clip.tracks))


def _itself(tracks: ClipTracks) -> ClipTracks:
    return tracks


def overrides(name: str) -> list[str]:
    """What a config for synthetic actions needs changed for the real ones."""
    skeleton = SOURCES[name].skeleton
    declared = {
        "name": skeleton.name,
        "joints": list(skeleton.joints),
        "edges": [list(edge) for edge in skeleton.edges],
        "centre": skeleton.centre,
        "mirror": [list(pair) for pair in skeleton.mirror],
    }
    features = "xyc" if name == "jhmdb" else "xyz"
    # The smallest splits have 42 clips to learn from: enough for 8 clusters.
    return [
        f"windows.skeleton={json.dumps(declared)}",
        f"windows.features={features}",
        "clustering.clusters=8",
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure; the tables go to the folder."""
    from pipeline.experiments import table2
    from pipeline.experiments.data.splits import pick_splits
    from pipeline.experiments.methods.coarse import Coarse
    from pipeline.experiments.options import METHODS, OF_FRAMES
    from pipeline.experiments.running import tables
    from pipeline.experiments.running.processes import run
    from pipeline.experiments.settings import load_experiment

    parser = option_parser(__doc__)
    parser.add_argument("--data", choices=tuple(SOURCES), default="utd_mhad")
    parser.add_argument("--config", default="actions")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="A.B=C")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--splits", nargs="+", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    data = data_or_skip("action_data")
    if data is None:
        return 0
    settings = load_experiment(args.config, [*overrides(args.data), *args.set])
    actions = RealActions(args.data, data)
    absent = dict.fromkeys(OF_FRAMES, "it needs the clips' videos")
    if settings.windows.depth:
        absent["mped-rnn"] = "it handles 2-D poses only, as in the paper"
    methods = [method for method in args.methods if method not in absent]
    tasks = table2.tasks(pick_splits(actions.splits, args.splits), settings.experiment.directions, args.seeds)
    experiment = Coarse(settings, actions, tasks, methods, args.out, "cpu")
    store = run(experiment, args.out, args.processes, False, lambda store: None)
    results = store.results()
    made = table2.tables(tasks, results, methods, absent, actions.name, actions.published)
    tables.write(args.out, made, results, {"data": args.data, "set": args.set})
    tables.show(made)
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
