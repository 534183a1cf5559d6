"""Write everything that is asked for of one scored clip, under the names that the user gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from anomaly.evaluation.intervals import frame_seconds
from pipeline.events.events import Event
from pipeline.events.files import SUFFIXES, EventList, check_events_file, write_events
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.plot import MOST_THUMBNAILS, check_picture, save_figure, score_figure
from pipeline.progress import stage
from pipeline.scoring import Scorer, score_tracks
from pipeline.scoring.chunks import TakesChunks
from pose_extract.errors import UsageError
from pose_extract.files import scratch_folder
from pose_extract.places import check_outputs
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader, VideoSettings, VideoSource


@dataclass(frozen=True)
class Outputs:
    """Which files to write.

    Attributes:
        scores: CSV, a row a frame.
        people: CSV, a row a person and frame.
        plot: picture of the score over time.
        overlay: video with people and scores drawn in.
        explain: CSV, a row a window.
        events: files of the events: JSON, CSV or WebVTT by their endings.
        thumbnails: folder for a JPEG of each event's peak.
        event_clips: folder for a short video of each event.
    """

    scores: Path
    people: Path | None = None
    plot: Path | None = None
    overlay: Path | None = None
    explain: Path | None = None
    events: tuple[Path, ...] = ()
    thumbnails: Path | None = None
    event_clips: Path | None = None

    def in_folder_for(self, clip: str) -> Outputs:
        """The same with every path taken as a folder, in it a file named after the clip."""

        def named(folder: Path | None, ending: str) -> Path | None:
            return None if folder is None else folder / f"{clip}{ending}"

        return replace(
            self,
            scores=self.scores / f"{clip}.csv",
            people=named(self.people, ".people.csv"),
            plot=named(self.plot, ".png"),
            overlay=named(self.overlay, ".overlay.mp4"),
            explain=named(self.explain, ".windows.csv"),
            events=tuple(
                folder / f"{clip}.events{suffix}"
                for folder in dict.fromkeys(self.events)
                for suffix in SUFFIXES
            ),
        )

    def check_clips(self, clips: Sequence[str]) -> None:
        """Raise UsageError if a file of one clip would be that of another, in folders (`in_folder_for`)."""
        whose = {self.events[0] / "events.csv": "list of all events"} if self.events else {}
        for clip in clips:
            for name, path in self.in_folder_for(clip).files():
                other = whose.setdefault(path, f"{name} of {clip}")
                if other != f"{name} of {clip}":
                    raise UsageError(
                        f"{path} would be the {name} of {clip} and the {other}; give {name} another folder, or the "
                        "video another name"
                    )

    def files(self) -> list[tuple[str, Path]]:
        """What each file to write is, and its path."""
        named = ("scores", "people", "plot", "overlay", "explain")
        paths = [(name, path) for name in named if (path := getattr(self, name)) is not None]
        return [*paths, *(("events", path) for path in self.events)]

    def folders(self) -> list[tuple[str, Path]]:
        """The same of each folder to fill; one may take both, their files have other endings."""
        named = {self.event_clips: "event clips", self.thumbnails: "thumbnails"}
        return [(name, path) for path, name in named.items() if path is not None]

    def check(self, inputs: Sequence[tuple[str, Path | None]] = ()) -> None:
        """Raise an error if an output would overwrite an input or another one, or a name's ending is unknown.

        Args:
            inputs: what each file or folder that is read is, and its path; None is passed over.

        Raises:
            OutputError: two names are one, or the plot is no picture.
            UsageError: a file of events is of no known format.
        """
        for path in self.events:
            check_events_file(path)
        check_outputs(
            [*self.files(), *self.folders()], [(f"{name} that is read", path) for name, path in inputs]
        )
        if self.plot is not None:
            check_picture(self.plot)


def write_outputs(
    scorer: Scorer,
    tracks: ClipTracks,
    outputs: Outputs,
    source: VideoSource | None = None,
    labelled: Sequence[tuple[float, float, str]] = (),
    quiet: bool = False,
    also: TakesChunks | None = None,
) -> ScoredTimeline:
    """Score a clip and write what is asked for.

    Args:
        scorer: the model.
        tracks: the clip, as extracted.
        outputs: which files.
        source: the video, needed for the overlay and for pictures of events.
        labelled: (start_s, end_s, name) of what is known to be abnormal, for the plot.
        quiet: no progress.
        also: takes in the scores too.
    """
    origin = tracks.provenance.get("source")
    known = Path(origin) if isinstance(origin, str) and origin and "\0" not in origin else None
    outputs.check([("video", None if source is None else source.path), ("source of the tracks", known)])
    with scratch_folder() as scratch:
        keep = scratch / "cleaned.npz" if outputs.overlay is not None else None
        files = outputs.scores, outputs.people, outputs.explain, keep
        timeline = score_tracks(scorer, tracks, *files, quiet, also)
        if outputs.plot is not None:
            _plot(outputs.plot, scorer, tracks, timeline, source, labelled)
        if outputs.overlay is not None and source is not None and keep is not None:
            from pipeline.pictures.overlay import write_overlay

            with stage(f"overlay {tracks.clip}", "frames", tracks.frame_count, quiet) as progress:
                write_overlay(
                    source,
                    load_tracks(keep),
                    outputs.overlay,
                    timeline,
                    video=_video_settings(source, tracks, scorer),
                    skeleton=scorer.model.settings.windows.person,
                    progress=lambda done: progress.update(done),
                )
    for path in outputs.events:
        write_events(path, event_list(scorer, tracks, timeline))
    wanted = outputs.thumbnails is not None or outputs.event_clips is not None
    if wanted and timeline.events and source is not None:
        from pipeline.pictures.event_pictures import write_event_pictures

        with stage(f"events {tracks.clip}", "frames", tracks.frame_count, quiet) as progress:
            write_event_pictures(
                source,
                tracks,
                timeline.events,
                outputs.thumbnails,
                outputs.event_clips,
                scorer.settings.events,
                _video_settings(source, tracks, scorer),
                lambda done: progress.update(done),
            )
    return timeline


def _plot(
    path: Path,
    scorer: Scorer,
    tracks: ClipTracks,
    timeline: ScoredTimeline,
    source: VideoSource | None,
    labelled: Sequence[tuple[float, float, str]],
) -> None:
    thumbnails = {}
    if source is not None and timeline.events:
        from pipeline.pictures.event_pictures import read_peaks

        thumbnails = read_peaks(
            source, tracks, timeline.events, MOST_THUMBNAILS, 480, _video_settings(source, tracks, scorer)
        )
    save_figure(score_figure(tracks.clip, timeline, labelled, thumbnails), path)


def event_list(scorer: Scorer, tracks: ClipTracks, timeline: ScoredTimeline) -> EventList:
    """A scored clip's events with what they were found in."""
    lasts = frame_seconds(tracks.time_s, tracks.fps)
    return EventList(
        clip=tracks.clip,
        source=str(tracks.provenance.get("source") or ""),
        fps=tracks.fps,
        frame_size=tracks.frame_size,
        frames=tracks.frame_count,
        seconds=float(lasts.sum()),
        threshold=timeline.threshold,
        threshold_percentile=scorer.alarm_percentile,
        threshold_from=scorer.threshold_from(),
        settings=scorer.settings.events,
        events=timeline.events,
        not_judged_s=float(lasts[~timeline.judged].sum()) if len(timeline.judged) else 0.0,
    )


def _video_settings(source: VideoSource, tracks: ClipTracks, scorer: Scorer) -> VideoSettings:
    """Those that the tracks were extracted with; of poses from elsewhere, those that give as many frames a second."""
    if isinstance(tracks.provenance.get("settings"), dict):
        return scorer.settings.video
    with VideoReader(source) as reader:
        same = math.isclose(reader.info.fps, tracks.fps, rel_tol=0.01)
    return VideoSettings(fps=None if same else tracks.fps)


def events_text(events: Sequence[Event], most: int = 10) -> list[str]:
    """One line an event, the longest ones if there are many: when, how unusual, and who."""
    shown = sorted(sorted(events, key=lambda event: -event.length_s)[:most], key=lambda event: event.start_s)
    lines = [
        f"  {event.start_s:9.2f} s to {event.end_s:9.2f} s   percentile {event.percentile:.1f}"
        + (f"   {event.about}" if event.about else "")
        + (f"   person {', '.join(map(str, event.culprits))}" if event.culprits else "")
        for event in shown
    ]
    return lines + ([f"  and {len(events) - most} shorter ones"] if len(events) > most else [])
