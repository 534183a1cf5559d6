"""Everything that can be written about one scored clip, under the names that the user asked for."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.events import runs_of
from pipeline.plot import check_picture, plot_scores
from pipeline.progress import stage
from pipeline.scoring import Curve, Scorer, score_tracks
from pose_extract.cache import load_tracks
from pose_extract.errors import OutputError
from pose_extract.records import ClipTracks
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
    """

    scores: Path
    people: Path | None = None
    plot: Path | None = None
    overlay: Path | None = None
    explain: Path | None = None

    def in_folder_for(self, clip: str) -> Outputs:
        """The same with every path taken as a folder, in it a file named after the clip."""

        def named(folder: Path | None, ending: str) -> Path | None:
            return None if folder is None else folder / f"{clip}{ending}"

        return Outputs(
            self.scores / f"{clip}.csv",
            named(self.people, ".people.csv"),
            named(self.plot, ".png"),
            named(self.overlay, ".overlay.mp4"),
            named(self.explain, ".windows.csv"),
        )

    def check(self, source: Path | None) -> None:
        """Raise `OutputError` if an output would overwrite the video or another one, or the plot is no picture."""
        paths = [p.resolve() for p in vars(self).values() if p is not None]
        if source is not None and source.resolve() in paths:
            raise OutputError(f"{source} is the video to score; name another file for the output")
        if len(set(paths)) < len(paths):
            raise OutputError("two outputs have the same name; give each its own")
        if self.plot is not None:
            check_picture(self.plot)


def write_outputs(
    scorer: Scorer,
    tracks: ClipTracks,
    outputs: Outputs,
    source: VideoSource | None = None,
    labelled: Sequence[tuple[float, float, str]] = (),
    quiet: bool = False,
) -> Curve:
    """Score a clip and write what is asked for.

    Args:
        scorer: the model.
        tracks: the clip, as extracted.
        outputs: which files.
        source: the video, needed for the overlay.
        labelled: (start_s, end_s, name) of what is known to be abnormal, for the plot.
        quiet: no progress.
    """
    outputs.check(None if source is None else source.path)
    with tempfile.TemporaryDirectory(prefix="gepc-") as scratch:
        keep = Path(scratch) / "cleaned.npz" if outputs.overlay is not None else None
        curve = score_tracks(scorer, tracks, outputs.scores, outputs.people, outputs.explain, keep, quiet)
        if outputs.plot is not None:
            threshold = 100 * (1 - scorer.settings.calibration.false_alarm_rate)
            plot_scores(
                outputs.plot, tracks.clip, curve.time_s, curve.percentile, curve.alarm, threshold, labelled
            )
        if outputs.overlay is not None and source is not None and keep is not None:
            from pipeline.overlay import write_overlay

            with stage(f"overlay {tracks.clip}", "frames", tracks.frame_count, quiet) as progress:
                write_overlay(
                    source,
                    load_tracks(keep),
                    outputs.overlay,
                    percentile=curve.percentile / 100,
                    alarm=curve.alarm,
                    row_percentile=curve.row_percentile / 100,
                    video=_video_settings(source, tracks, scorer),
                    skeleton=scorer.model.settings.windows.person,
                    progress=lambda done: progress.update(done),
                )
    return curve


def _video_settings(source: VideoSource, tracks: ClipTracks, scorer: Scorer) -> VideoSettings:
    """Those that the tracks were extracted with; of poses from elsewhere, those that give as many frames a second."""
    if isinstance(tracks.provenance.get("settings"), dict):
        return scorer.settings.video
    with VideoReader(source) as reader:
        same = math.isclose(reader.info.fps, tracks.fps, rel_tol=0.01)
    return VideoSettings(fps=None if same else tracks.fps)


def alarms_text(curve: Curve, most: int = 10) -> list[str]:
    """One line a stretch of alarms, the longest ones if there are many: when, and how unusual."""
    found = [(first, stop - 1) for first, stop in runs_of(curve.alarm)]
    shown = sorted(sorted(found, key=lambda run: run[0] - run[1])[:most])
    lines = [
        f"  {curve.time_s[a]:9.2f} s to {curve.time_s[b]:9.2f} s   percentile {curve.percentile[a : b + 1].max():.1f}"
        for a, b in shown
    ]
    return lines + ([f"  and {len(found) - most} shorter ones"] if len(found) > most else [])
