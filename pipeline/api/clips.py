"""A scored clip: arrays, tables, a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas
    import polars

    from anomaly.scoring.scores import FrameScores
    from pipeline.events.events import Event
    from pipeline.scoring import Scorer
    from pose_extract.tracks.records import ClipTracks


@dataclass(frozen=True, repr=False)
class ScoredClip:
    """How unusual a clip is: F frames, M rows (a person in a frame each), in the order of their frames.

    Attributes:
        tracks: its people, cleaned: the M rows.
        frames: its F frames: when each is shown, its score, percentile, alarm, people, and who is to blame.
        row_score: (M,) anomaly of each person and frame; NaN where the track is shorter than a window.
        row_percentile: (M,) the same as a percentile, 0 to 100, among held-out normal people.
        events: the stretches of alarms, in order of time.
        threshold: the score above which a frame raises the alarm.
        threshold_percentile: the same as a percentile of held-out normal frames, 0 to 100.
        joints: names of the V joints of its people.
    """

    tracks: ClipTracks
    frames: FrameScores
    row_score: NDArray[np.float64]
    row_percentile: NDArray[np.float64]
    events: tuple[Event, ...]
    threshold: float
    threshold_percentile: float
    joints: tuple[str, ...]

    @classmethod
    def of(cls, scorer: Scorer, tracks: ClipTracks) -> ScoredClip:
        """Score a clip's tracks, as extracted."""
        from anomaly.scoring.scores import FrameScores
        from pipeline.events.events import EventFinder
        from pipeline.io.export_scores import skeleton_of
        from pipeline.scoring import score_chunks

        finder = EventFinder(tracks.fps, scorer.settings.events)
        parts, events = [], []
        for begin, part, scores in score_chunks(scorer, tracks):
            events += finder.add(begin, part, scores)
            parts.append((begin, part, scores))
        rows = {
            name: np.concatenate([getattr(s, name) for _, _, s in parts] or [np.zeros(0)])
            for name in ("row_score", "row_percentile")
        }
        return cls(
            _joined(tracks, [(begin, part) for begin, part, _ in parts]),
            FrameScores.concatenate(s.frames for _, _, s in parts),
            **rows,
            events=(*events, *finder.finish()),
            threshold=scorer.alarm_above(),
            threshold_percentile=scorer.alarm_percentile,
            joints=tuple(skeleton_of(tracks, scorer).joints),
        )

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        tracks = self.tracks
        judged = self.percentile[self.judged] if len(self) else self.percentile
        highest = f", highest percentile {judged.max():.1f}" if len(judged) else ""
        return (
            f"<ScoredClip {tracks.clip}: {len(self)} frames, {tracks.fps:.4g} a second, {tracks.num_tracks} people, "
            f"{len(self.events)} events{highest}>"
        )

    def figure(self) -> Any:
        """Draw the score over time, with its threshold, alarms and events; returns a matplotlib figure."""
        from pipeline.events.timeline import ScoredTimeline
        from pipeline.pictures.plot import score_figure

        timeline = ScoredTimeline(
            self.time_s, self.score, self.percentile, self.alarm, self.threshold, self.threshold_percentile,
            events=self.events, judged=self.judged,
        )  # fmt: skip
        return score_figure(self.tracks.clip, timeline)

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it."""
        from io import BytesIO

        picture = BytesIO()
        self.figure().savefig(picture, format="png", dpi=80)
        return picture.getvalue()

    def to_pandas(self, rows: str = "frames") -> pandas.DataFrame:
        """A pandas table; see `columns`. Raises `UsageError` where pandas is not installed."""
        return _module("pandas").DataFrame(self.columns(rows))

    def to_polars(self, rows: str = "frames") -> polars.DataFrame:
        """A polars table; see `columns`. Raises `UsageError` where polars is not installed."""
        return _module("polars").DataFrame(self.columns(rows))

    def columns(self, rows: str = "frames") -> dict[str, Any]:
        """The columns of a table, as `gepc-pipeline export parquet` has them.

        Args:
            rows: "frames", or "people" for a row a person and frame, with boxes and joints.
        """
        from pipeline.io.columns import frame_columns, people_columns
        from pose_extract.errors import UsageError

        if rows == "frames":
            return frame_columns(self.tracks.clip, self.tracks, self.frames)
        if rows == "people":
            return people_columns(self.tracks.clip, self.tracks, self.joints, self)
        raise UsageError(f"rows: expected frames or people, got {rows!r}")

    @property
    def time_s(self) -> NDArray[np.float64]:
        """(F,) when each frame is shown, in seconds."""
        return self.frames.time_s

    @property
    def score(self) -> NDArray[np.float64]:
        """(F,) anomaly, higher is more abnormal."""
        return self.frames.score

    @property
    def percentile(self) -> NDArray[np.float64]:
        """(F,) share of held-out normal frames that score lower, 0 to 100."""
        return self.frames.percentile

    @property
    def alarm(self) -> NDArray[np.bool_]:
        """(F,) whether the score is above the threshold."""
        return self.frames.alarm

    @property
    def judged(self) -> NDArray[np.bool_]:
        """(F,) False where people are in the frame and none of them could be scored."""
        return self.frames.judged

    @property
    def people(self) -> NDArray[np.int32]:
        """(F,) people in the frame."""
        return self.frames.people

    @property
    def track_id(self) -> NDArray[np.int32]:
        """(F,) the person with the highest anomaly in the frame, 0 where nobody was scored."""
        return self.frames.track_id

    @property
    def thing_id(self) -> NDArray[np.int32]:
        """(F,) the thing that the frame's score is about, 0 where it is about none."""
        return self.frames.thing_id


def _joined(tracks: ClipTracks, parts: list[tuple[int, ClipTracks]]) -> ClipTracks:
    """The cleaned parts of a clip in one piece."""
    if not parts:
        return tracks
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for _, part in parts])
        for name in ("time_s", "track", "keypoints", "boxes")
    }
    frame = np.concatenate([part.frame + begin for begin, part in parts]).astype(np.int32)
    return replace(tracks, **columns, frame=frame, features=None)


def _module(name: str) -> Any:
    from pose_extract.errors import UsageError

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise UsageError(f"this needs {name}, which is not installed: pip install {name}") from None
