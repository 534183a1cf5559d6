"""What `watch` finds on the synthetic street, beside `score`: with every frame, and with some of them dropped.

    python -m benchmarks.live_street [--streets 100 101] [--quick]

Trains the default config on a street's normal clips, as `benchmarks.streets` does; people are joints with the errors
that were measured from rendered video. `score` and `watch` both see them through the tracker. Frames are dropped
evenly, and at random, as a machine drops them that is busy.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.event_metrics import EventCounts, count_events, total
from anomaly.training.train import train_model
from benchmarks.forms import FULL, LITTLE, Street, TestClip
from benchmarks.helpers.command import option_parser
from pipeline.events.events import EventFinder
from pipeline.following import PeopleFollower
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.judge import Judge, Told
from pipeline.scoring import Scorer, score_chunks
from pipeline.settings import load_settings
from pose_extract.estimators.base import PoseEstimator
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections, cut_frames

_START = datetime(2026, 1, 1).astimezone()
Span = tuple[int, int]


class KnownPeople(PoseEstimator):
    """Knows the people of a clip; which frame it is asked for, the frame's index says."""

    name = "known"
    network_stages = ()

    def __init__(self, clip: ClipTracks, kept: NDArray[np.intp]) -> None:
        self.skeleton, self.identity, self.timings = clip.skeleton, {"name": self.name}, {}
        self._clip, self._kept, self._next = clip, kept, 0

    def start(self, fps: float, frame_size: tuple[int, int]) -> None:
        """Nothing is remembered of a video."""

    def estimate(self, frames: Sequence[Frame]) -> list[PoseDetections]:
        """Return the people of the next frames that are not dropped."""
        found = []
        for _ in frames:
            number = self._kept[self._next]
            self._next += 1
            rows = slice(*np.searchsorted(self._clip.frame, [number, number + 1]))
            keypoints = self._clip.keypoints[rows]
            seen = keypoints[..., -1].max(axis=1) > 0
            ones = np.ones(int(seen.sum()), np.float32)
            found.append(PoseDetections(self._clip.boxes[rows][seen], keypoints[seen], ones))
        return found


def scored(scorer: Scorer, clip: ClipTracks) -> list[Span]:
    """Events of `score`, as frames of the clip."""
    picture = np.zeros((clip.frame_size[1], clip.frame_size[0], 3), np.uint8)
    follower = PeopleFollower(
        KnownPeople(clip, np.arange(clip.frame_count)), scorer.settings.tracking, clip.fps, clip.frame_size
    )
    people = []
    for number, time_s in enumerate(clip.time_s.tolist()):
        frame = Frame(number, time_s, picture)
        people += follower.track(frame, follower.estimate([frame])[1][0])
    people += follower.finish()
    tracks = dataclasses.replace(
        clip,
        frame=np.concatenate([np.full(len(each.ids), each.frame, np.int32) for each in people]),
        track=np.concatenate([each.ids for each in people]),
        keypoints=np.concatenate([each.people.keypoints for each in people]),
        boxes=np.concatenate([each.people.boxes for each in people]),
    )
    finder, events = EventFinder(clip.fps, scorer.settings.events), []
    for chunk in score_chunks(scorer, tracks):
        events += finder.add(*chunk)
    events += finder.finish()
    return [(event.start_frame, event.end_frame) for event in events]


def watched(scorer: Scorer, clip: ClipTracks, kept: NDArray[np.intp]) -> list[Span]:
    """Events of `watch` that sees only some of the frames, as frames of the clip."""
    picture = np.zeros((clip.frame_size[1], clip.frame_size[0], 3), np.uint8)
    every = len(kept) == clip.frame_count
    judge = Judge(clip.clip, scorer, KnownPeople(clip, kept), LiveSettings(), exact=every)
    fps = clip.fps if every else clip.fps * len(kept) / clip.frame_count
    told: list[Told] = []
    for time_s in clip.time_s[kept].tolist():
        told += judge.take(LiveFrame(time_s, picture, _START + timedelta(seconds=time_s), 0.0, fps, 1))
    told += judge.finish()
    ends = [each.event for each in told if each.type == "end"]
    spans = [np.searchsorted(clip.time_s, [event.start_s - 1e-6, event.end_s - 1e-6]) for event in ends]
    return [(int(first), int(stop)) for first, stop in spans]


def counts(tests: Sequence[TestClip], spans: Sequence[list[Span]]) -> EventCounts:
    """What the events of each clip are worth."""
    found = []
    for test, own in zip(tests, spans, strict=True):
        alarm = np.zeros(test.tracks.frame_count, bool)
        for first, stop in own:
            alarm[first:stop] = True
        found.append(count_events(test.tracks.time_s, alarm, test.labels > 0, fps=test.tracks.fps, found=own))
    return total(found)


def beginning(test: TestClip) -> TestClip:
    """The first ten seconds of a clip."""
    stop = min(test.tracks.frame_count, round(10 * test.tracks.fps))
    return dataclasses.replace(test, tracks=cut_frames(test.tracks, 0, stop), labels=test.labels[:stop])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--streets", nargs="+", type=int, default=[100, 101])
    parser.add_argument("--quick", action="store_true", help="little of the street, to try whether it runs")
    parser.add_argument("--set", nargs="+", default=[], metavar="A.B=C", help="of the config")
    args = parser.parse_args(arguments)
    settings = load_settings("default", args.set)
    results: dict[str, list[EventCounts]] = {}
    same = True
    for number in args.streets:
        street = Street(number, LITTLE if args.quick else FULL)
        model = train_model(list(street.normal), settings, seed=number)
        scoring = dataclasses.replace(model.settings.scoring, frames="online")
        scorer = Scorer(model, dataclasses.replace(settings, scoring=scoring))
        tests, rng = street.tests, np.random.default_rng(number)
        if args.quick:
            tests = [beginning(test) for test in tests[:2]]
        found = {"score": [scored(scorer, test.tracks) for test in tests]}
        for name, step in (
            ("watch, every frame", 1),
            ("watch, every second frame", 2),
            ("watch, every third", 3),
        ):
            found[name] = [watched(scorer, t.tracks, np.arange(0, t.tracks.frame_count, step)) for t in tests]
        found["watch, half at random"] = [
            watched(scorer, t.tracks, np.sort(rng.choice(n, n // 2, replace=False)))
            for t in tests
            for n in [t.tracks.frame_count]
        ]
        same &= found["score"] == found["watch, every frame"]
        for name, spans in found.items():
            results.setdefault(name, []).append(counts(tests, spans))
        print(f"street {number}: done", flush=True)
    print(
        "# watch beside score\n| | events | detected | recall | false alarms | F1 |\n|---|---|---|---|---|---|"
    )
    for name, each in results.items():
        of = total(each)
        print(f"| {name} | {of.events} | {of.detected} | {of.recall:.3f} | {of.false_alarms} | {of.f1:.3f} |")
    print(f"watch_finds_what_score_finds = {int(same)}")
    return 0


if __name__ == "__main__":
    logging.getLogger("anomaly").setLevel(logging.ERROR)  # few held-out frames
    sys.exit(main())
