"""Things in real video: three raw clips of one camera, where there are none, and what looking for them costs.

    GEPC_SAMPLE_DATA=... python -m benchmarks.things_real [--seed 0] [--frames 400]

ShanghaiTech's raw test clips 01_0014, 01_0015 and 01_0016 show a cyclist, walkers and a motorcycle. People and things
are found by this program; each clip is scored by a model of the normal frames of the other two, some twenty seconds:
frame AUC of each and over all three (micro), with what is around people and without. Of `pedestrians` and
`one_by_one`, which show people only: how many things are found a minute. Of the first clip's beginning: the time that
looking for things takes, as a share of that of finding and following people and things, in one run.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import runs_of
from anomaly.evaluation.metrics import frame_auc
from benchmarks.helpers.command import data_or_skip, option_parser
from pipeline.adding import add_clip
from pipeline.extraction.run import extract_all
from pipeline.following import PeopleFollower
from pipeline.scoring import load_scorer, score_chunks
from pipeline.settings import Settings, load_settings
from pipeline.training import train
from pipeline.workspace import Workspace
from pose_extract.estimators.base import chosen_estimator, create_estimator
from pose_extract.things.watch import ThingWatch
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.things import PERSON
from pose_extract.video import VideoReader, find_sources

CLIPS = ("01_0014", "01_0015", "01_0016")
PEOPLE_ONLY = ("pedestrians_480x360.avi", "one_by_one_768x432.mp4")
FORMS = {"things, stays and flow": [], "people's movement alone": ["scoring.surroundings=[]"]}
_SHORTEST = 30  # frames of a normal stretch that something is learned from


def normal_parts(tracks: ClipTracks, mask: NDArray[np.uint8]) -> list[ClipTracks]:
    """The stretches of a clip in which nothing is abnormal, each as a clip of its own."""
    found = []
    for first, stop in runs_of(mask[: tracks.frame_count] == 0):
        if stop - first >= _SHORTEST:
            part = cut_frames(tracks, first, stop)
            found.append(replace(part, clip=f"{tracks.clip}-{first}", time_s=part.time_s - part.time_s[0]))
    return found


def learn_from(folder: Path, clips: list[ClipTracks]) -> Workspace:
    """A workspace to train in."""
    workspace = Workspace(folder)
    for clip in clips:
        add_clip(workspace, clip, key=clip.clip)
    return workspace


def leave_one_out(folder: Path, every: Workspace, masks: dict[str, NDArray[np.uint8]], seed: int) -> None:
    """Train on two clips, score the third, in each way; prints the table."""
    tracks = {name: load_tracks(every.tracks_path(f"shanghaitech_{name}")) for name in CLIPS}
    rows: dict[str, list[float]] = {}
    for form, overrides in FORMS.items():
        scores = {}
        for name in CLIPS:
            others = [part for n in CLIPS if n != name for part in normal_parts(tracks[n], masks[n])]
            workspace = learn_from(folder / f"{name}-{len(overrides)}", others)
            settings = load_settings(
                "default", ["windows.train_stride=1", *overrides]
            )  # every window: there are few
            train(workspace, settings, seed=seed, device="cpu", quiet=True)
            chunks = score_chunks(load_scorer(workspace.model), tracks[name])
            scores[name] = np.concatenate([found.frames.score for _, _, found in chunks])
        labels = {name: masks[name][: len(scores[name])] for name in CLIPS}
        each = [frame_auc(scores[name], labels[name]) for name in CLIPS]
        micro = frame_auc(np.concatenate([*scores.values()]), np.concatenate([*labels.values()]))
        rows[form] = [*each, micro]
    print("### Things in real clips")
    print(f"| frame AUC | {' | '.join(CLIPS)} | all three |\n|---|{'---|' * 4}")
    for form, values in rows.items():
        print(f"| {form} | {' | '.join(f'{value:.3f}' for value in values)} |")
    for name, values in zip(("with", "without"), rows.values(), strict=True):
        for clip, value in zip((*CLIPS, "all"), values, strict=True):
            print(f"things_real_{clip}_{name}_auc = {value:.3f}")


def things_a_minute(tracks: ClipTracks) -> float:
    """How many things are found in a minute."""
    assert tracks.things is not None
    things = tracks.things.things
    return len(np.unique(things.ids[things.kinds != PERSON])) / (tracks.frame_count / tracks.fps / 60)


def cost(video: Path, settings: Settings, frames: int) -> float:
    """Share of the time of finding and following people and things that looking for things takes."""
    settings = settings.with_estimator(chosen_estimator(settings.pose.estimator))
    estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
    spent = {"things": 0.0}

    class Timed(ThingWatch):
        def look(self, *args: Any) -> None:
            began = time.perf_counter()
            super().look(*args)
            spent["things"] += time.perf_counter() - began

        def settle(self, *args: Any) -> Any:
            began = time.perf_counter()
            found = super().settle(*args)
            spent["things"] += time.perf_counter() - began
            return found

    try:
        with (
            patch("pipeline.following.ThingWatch", Timed),
            VideoReader(find_sources(video)[0], settings.video) as reader,
        ):
            info = reader.info
            follower = PeopleFollower(
                estimator, settings.tracking, info.fps, info.frame_size, things=settings.things
            )
            whole = 0.0
            for frame in reader:
                if frame.index >= frames:
                    break
                began = time.perf_counter()
                _, [people] = follower.estimate([frame])
                follower.track(frame, people)
                whole += time.perf_counter() - began
    finally:
        estimator.close()
    return spent["things"] / whole


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=400, help="for the time that looking for things takes")
    parser.add_argument("--out", type=Path, help="keep the tracks here")
    args = parser.parse_args(arguments)
    data = data_or_skip("things_real")
    if data is None:
        return 0
    clips = data / "clips"
    masks = {name: np.load(clips / f"shanghaitech_{name}.mask.npy") for name in CLIPS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        every, settings = Workspace(folder / "all"), load_settings()
        names = [*(f"shanghaitech_{name}.mp4" for name in CLIPS), *PEOPLE_ONLY]
        sources = [find_sources(clips / name)[0] for name in names]
        extract_all(sources, every, settings, train=False, quiet=True)
        leave_one_out(folder, every, masks, args.seed)
        for name in PEOPLE_ONLY:
            short = name.split("_4")[0].split("_7")[0]
            a_minute = things_a_minute(load_tracks(every.tracks_path(Path(name).stem)))
            print(f"things a minute in {name}, which shows none: {a_minute:.1f}")
            print(f"things_real_{short}_a_minute = {a_minute:.1f}")
        share = cost(clips / names[0], settings, args.frames)
        print(f"looking for things takes {100 * share:.1f} % of finding people and things")
        print(f"things_real_cost_percent = {100 * share:.1f}")
    return 0


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # few held-out frames
    sys.exit(main())
