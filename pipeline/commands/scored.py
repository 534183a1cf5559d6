"""What `gepc-pipeline score` writes and says of one video; of several, in processes of their own."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.options import counted

if TYPE_CHECKING:
    from pipeline.events.files import EventList
    from pipeline.outputs import Outputs
    from pipeline.review.files import NewPage
    from pipeline.review.write import PageClip, PageWriter
    from pipeline.scoring import NamedModel, Scorer
    from pipeline.scoring.chunks import TakesChunks
    from pipeline.workspace import ClipEntry
    from pose_extract.tracks.records import ClipTracks
    from pose_extract.video import VideoSource


@dataclass(frozen=True)
class Scored:
    """What there is to say of a scored clip.

    Attributes:
        lines: for a person.
        facts: the same for programs, as ``--json`` tells it.
        events: its events.
        alarms: whether there is an alarm in it.
        to_output: whether a file of it goes to standard output.
        page: what the review page lists of it; None: there is none.
    """

    lines: list[str]
    facts: dict[str, Any]
    events: EventList
    alarms: bool
    to_output: bool
    page: PageClip | None = None

    def say(self) -> None:
        """Print the lines."""
        for line in self.lines:
            print(line, file=sys.stderr if self.to_output else sys.stdout)


@dataclass
class Scoring:
    """What is done with each video's tracks, in this process or in another, which opens the model anew.

    Attributes:
        args: the command's.
        model: what scores.
        outputs: what to write; of several videos, folders.
        inputs: what must not be overwritten, see `score`.
        page: the review page that is begun; None: there is none.
        several: whether there are several videos.
    """

    args: argparse.Namespace
    model: NamedModel
    outputs: Outputs
    inputs: list[tuple[str, Path | None]]
    page: NewPage | None = None
    several: bool = False

    @property
    def scorer(self) -> Scorer:
        """The model, opened."""
        return self.model.scorer

    @cached_property
    def writer(self) -> PageWriter | None:
        """What writes clips into the page."""
        from pipeline.review.write import PageWriter

        return None if self.page is None else PageWriter(self.page, self.scorer)

    def __call__(self, source: VideoSource, entry: ClipEntry) -> Scored:
        """Score one video."""
        from pipeline.workspace import Workspace

        outputs = self.outputs.in_folder_for(source.name) if self.several else self.outputs
        outputs.check([("video", source.path), *self.inputs])
        path = Workspace(self.args.workspace).tracks_path(entry.clip)
        return self.clip(self.scorer.load(path, source.place, self.args.quiet), outputs, source)

    def clip(self, tracks: ClipTracks, outputs: Outputs, source: VideoSource | None) -> Scored:
        """Write what is asked for of one clip; it is scored once."""
        if self.writer is None:
            return _written(self, tracks, outputs, source)
        from pipeline.review.write import ReportClip

        scored: list[Scored] = []
        page = self.writer.add(
            ReportClip(tracks, source),
            lambda files: scored.append(_written(self, tracks, outputs, source, files)),
            self.args.quiet,
        )
        return replace(scored[0], page=page)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "writer"}


def _labelled(
    args: argparse.Namespace, tracks: ClipTracks, source: VideoSource | None, several: bool
) -> list[tuple[float, float, str]]:
    """What ``--labels`` say of a clip; of several clips, some may have none."""
    from pipeline.labels.masks import read_stretches
    from pose_extract.errors import UsageError

    names = [tracks.clip] if source is None else [tracks.clip, source.name]
    found = read_stretches(args.labels, names, tracks.time_s, args.abnormal)
    if found is None and not several:
        raise UsageError(f"{args.labels}: there are no labels of {names[-1]}")
    return [(start, end, "") for start, end in found or []]


def _written(
    scoring: Scoring,
    tracks: ClipTracks,
    outputs: Outputs,
    source: VideoSource | None,
    also: TakesChunks | None = None,
) -> Scored:
    """Write the files of one clip; ``also`` takes in its scores too."""
    import logging

    import numpy as np

    from pipeline.events.files import events_plain
    from pipeline.outputs import event_list, events_text, write_outputs
    from pose_extract.places import is_standard_output

    args, scorer = scoring.args, scoring.scorer
    labelled = _labelled(args, tracks, source, scoring.several) if args.labels is not None else []
    timeline = write_outputs(scorer, tracks, outputs, source, labelled, args.quiet, also)
    for remark in timeline.remarks:
        logging.getLogger(__name__).warning("%s: %s", tracks.clip, remark)
    share = timeline.alarm.mean() if len(timeline.alarm) else 0.0
    judged = not len(tracks) or bool(timeline.judged[np.unique(tracks.frame)].any())
    alarms = (
        f"alarm in {share:.1%} of the frames"
        if judged
        else "nobody could be judged, so no alarm says anything"
    )
    people = counted(tracks.num_tracks, "person", "people")
    lines = [f"{tracks.clip}: {tracks.frame_count} frames, {people}; {alarms}"]
    lines += [*(f"  {text}" for text in timeline.left_out), *events_text(timeline.events)]
    lines += [f"  {name}: {path}" for name, path in outputs.files()]
    for name, folder in (("thumbnails", outputs.thumbnails), ("event clips", outputs.event_clips)):
        if folder is not None and timeline.events:
            lines.append(f"  {name}: {folder}")
    # What is printed must not stand among the rows of a file that goes to standard output.
    to_output = any(is_standard_output(path) for _, path in outputs.files())
    found = event_list(scorer, tracks, timeline)
    facts = {
        "clip": tracks.clip,
        "frames": tracks.frame_count,
        "people": tracks.num_tracks,
        "alarm_share": float(share),
        "threshold": timeline.threshold,
        "judged": judged,
        "remarks": list(timeline.remarks),
        "left_out": list(timeline.left_out),
        "files": {name: str(path) for name, path in outputs.files()},
        "events": events_plain(found),
    }
    return Scored(lines, facts, found, bool(share), to_output)
