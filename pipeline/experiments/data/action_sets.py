"""Clips with an action each, to train and to test on: those of a data set, or synthetic ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.datasets.dataset import Dataset, import_clips, prepare
from pipeline.datasets.layout import clip_of, video_of
from pipeline.experiments.data.frames import FrameCache
from pipeline.experiments.data.splits import Split, splits_of_config
from pipeline.experiments.published import TABLE2_DATA
from pipeline.experiments.running.cells import digest
from pipeline.experiments.settings import ExperimentSettings
from pipeline.io.import_poses import ImportReport
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks


@dataclass(frozen=True)
class LabelledClip:
    """A clip of one action.

    Attributes:
        name: of the clip.
        action: its number.
        load: gives its people.
        frames: puts its picture into a cache and gives the file; None where there is no picture.
    """

    name: str
    action: int
    load: Callable[[], ClipTracks]
    frames: Callable[[FrameCache], Path] | None = None


@dataclass(frozen=True)
class ActionSet:
    """Clips of many actions.

    Attributes:
        train: clips to train on, of all actions.
        test: clips to test on.
    """

    train: tuple[LabelledClip, ...]
    test: tuple[LabelledClip, ...]


class DatasetActions:
    """A data set's clips of actions, imported into a workspace.

    Args:
        settings: with the section ``dataset``.
        workspace: where the tracks go.
        quiet: no progress.

    Attributes:
        name: of the data set.
        published: what table 2 calls it, or "" if it is not in there.
        splits: which actions belong together.
        has_frames: whether clips have pictures.

    Raises:
        UsageError: the data set has no actions, or is not where the settings say.
        FormatError: its lists are damaged.
    """

    def __init__(self, settings: ExperimentSettings, workspace: Workspace, quiet: bool = False) -> None:
        if settings.dataset.label_kind != "actions":
            raise UsageError(
                f"{settings.dataset.name or 'this config'} has no clips of actions: expected the config of a data set "
                "that has, for example --config ntu, or --config actions, which makes its own"
            )
        self.name, self.published = settings.dataset.name, TABLE2_DATA.get(settings.dataset.format, "")
        self.splits: Sequence[Split] = splits_of_config(settings.dataset.splits)
        videos, train_videos = settings.experiment.videos, settings.experiment.train_videos
        self.has_frames = bool(videos)
        # All actions: which of them are normal is a matter of the cell.
        every = replace(settings.dataset, splits={"": ()}, split="", normal="rest")
        dataset = prepare(every, settings.tracking)
        test, train = import_clips(dataset, workspace, True, quiet)
        self._clips = ActionSet(
            _labelled(train, dataset, dataset.train_actions, workspace, train_videos or videos),
            _labelled(test, dataset, dataset.actions, workspace, videos),
        )
        keys = {e.clip: e.key for report in (train, test) for e in (*report.made, *report.reused)}
        made_of = [
            [(clip.name, keys[clip.name], clip.action) for clip in part]
            for part in (self._clips.train, self._clips.test)
        ]
        self._identity = {"dataset": self.name, "clips": digest(made_of)}

    def clips(self, seed: int) -> ActionSet:
        """All clips; they are the same for every seed."""
        return self._clips

    def identity(self, seed: int) -> dict[str, Any]:
        """What the clips are made of."""
        return self._identity


def _labelled(
    report: ImportReport, dataset: Dataset, actions: Mapping[str, int], workspace: Workspace, videos: str
) -> tuple[LabelledClip, ...]:
    format = dataset.settings.format
    entries = sorted((*report.made, *report.reused), key=lambda entry: entry.clip)
    return tuple(
        LabelledClip(
            entry.clip,
            actions[clip_of(Path(entry.source), format)],
            partial(load_tracks, workspace.tracks_path(entry.clip), features=False),
            partial(_frames_of, videos.replace("{clip}", video_of(Path(entry.source), format)))
            if videos
            else None,
        )
        for entry in entries
    )


def _frames_of(video: str, cache: FrameCache) -> Path:
    return cache.video(video)
