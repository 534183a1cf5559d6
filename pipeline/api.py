"""Run the commands as functions: `extract`, `train`, `score`, to be imported from `pipeline`; see docs/api.md."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.defaults import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from anomaly.scoring.scores import FrameScores
    from pipeline.events.events import Event
    from pipeline.extraction.run import ExtractReport
    from pipeline.training import TrainReport
    from pose_extract.tracks.records import ClipTracks

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class ScoredClip:
    """How unusual a clip is: F frames, M rows (a person in a frame each), in the order of their frames.

    Attributes:
        tracks: its people, cleaned: the M rows.
        frames: its F frames: when each is shown, its score, percentile, alarm, people, and who is to blame.
        row_score: (M,) anomaly of each person and frame; NaN where the track is shorter than a window.
        row_percentile: (M,) the same as a percentile, 0 to 100, among held-out normal people.
        events: the stretches of alarms, in order of time.
        threshold: the score above which a frame raises the alarm.
    """

    tracks: ClipTracks
    frames: FrameScores
    row_score: NDArray[np.float64]
    row_percentile: NDArray[np.float64]
    events: tuple[Event, ...]
    threshold: float

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


def extract(
    videos: PathLike | Iterable[PathLike],
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    config: str = "default",
    overrides: Sequence[str] = (),
    train: bool = True,
    quiet: bool = True,
) -> ExtractReport:
    """Find people, poses and tracks in normal videos, as `gepc-pipeline extract` does; what is done is not done again.

    Args:
        videos: a video, a folder of videos, a folder of numbered images or a glob, or several of them.
        workspace: folder for the tracks; made if need be.
        config: a shipped config's name, or the path of a YAML file.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        train: whether `train` shall learn from these clips.
        quiet: show no progress.

    Returns:
        What was made, what was there already, and what could not be used, with its error.

    Raises:
        VideoError: an argument names no video.
        GepcError: the config is wrong, or the estimator cannot run.
    """
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace

    names = [videos] if isinstance(videos, (str, os.PathLike)) else list(videos)
    sources = find_all_sources([os.fspath(name) for name in names])
    settings = load_settings(config, overrides)
    return extract_all(sources, Workspace(Path(workspace)), settings, train=train, quiet=quiet)


def train(
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    config: str = "default",
    overrides: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    fresh: bool = False,
    quiet: bool = True,
) -> TrainReport:
    """Learn what is normal from every training clip of the workspace, as `gepc-pipeline train` does.

    Args:
        workspace: where the tracks are and the model goes.
        config: a shipped config's name, or the path of a YAML file.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        seed: of everything random.
        device: cpu, cuda, cuda:N, mps or auto.
        fresh: begin anew, whatever a training that was cut off has left.
        quiet: show no progress.

    Returns:
        What was learned from, and what training found.

    Raises:
        TrainingError: there is nothing to learn from, or too little.
        GepcError: the config is wrong, or the model cannot be written.
    """
    from pipeline.settings import load_settings
    from pipeline.training import train as run
    from pipeline.workspace import Workspace

    settings = load_settings(config, overrides)
    report = run(Workspace(Path(workspace)), settings, seed=seed, device=device, fresh=fresh, quiet=quiet)
    assert report is not None  # only torchrun's further processes have none
    return report


def score(
    source: PathLike,
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    model: PathLike | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    quiet: bool = True,
) -> ScoredClip:
    """Say how unusual each frame of a video is, as `gepc-pipeline score` does.

    Args:
        source: a video, a folder of numbered images, or a tracks file (``.npz``).
        workspace: where the model is and the video's tracks are kept.
        model: another model's folder.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        device: where the model runs, and openmmlab's networks: cpu, cuda, cuda:N, mps or auto.
        quiet: show no progress.

    Raises:
        ModelError: there is no model, or it does not fit the tracks.
        VideoError: the video cannot be read.
        UsageError: ``source`` names several videos.
    """
    from anomaly.scoring.scores import FrameScores
    from pipeline.events.events import EventFinder
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.scoring import load_scorer, score_chunks
    from pipeline.workspace import Workspace
    from pose_extract.errors import UsageError

    place = Workspace(Path(workspace))
    scorer = load_scorer(place.model if model is None else Path(model), overrides, device)
    path, video = Path(source), None
    if path.suffix != ".npz":
        sources = find_all_sources([os.fspath(source)])
        if len(sources) > 1:
            raise UsageError(f"score takes one video, but {source} holds {len(sources)}; call it for each")
        report = extract_all(sources, place, scorer.settings, train=False, quiet=quiet)
        for _, error in report.failed:
            raise error
        path, video = place.tracks_path((*report.made, *report.reused)[0].clip), str(sources[0].path)
    tracks = scorer.load(path, video, quiet)
    finder = EventFinder(tracks.fps, scorer.settings.events)
    parts, events = [], []
    for begin, part, scores in score_chunks(scorer, tracks):
        events += finder.add(begin, part, scores)
        parts.append((begin, part, scores))
    frames = FrameScores.concatenate(s.frames for _, _, s in parts)
    rows = {
        name: np.concatenate([getattr(s, name) for _, _, s in parts] or [np.zeros(0)])
        for name in ("row_score", "row_percentile")
    }
    cleaned = _joined(tracks, [(begin, part) for begin, part, _ in parts])
    return ScoredClip(
        cleaned, frames, **rows, events=(*events, *finder.finish()), threshold=scorer.alarm_above()
    )


def _joined(tracks: ClipTracks, parts: list[tuple[int, ClipTracks]]) -> ClipTracks:
    """The cleaned parts of a clip in one piece."""
    from dataclasses import replace

    if not parts:
        return tracks
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for _, part in parts])
        for name in ("time_s", "track", "keypoints", "boxes")
    }
    frame = np.concatenate([part.frame + begin for begin, part in parts]).astype(np.int32)
    return replace(tracks, **columns, frame=frame, features=None)
