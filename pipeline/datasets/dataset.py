"""Prepare public data sets by config: find the user's copy, check its layout, hand over clips and labels.

`prepare` needs nothing but the config's section ``dataset``; `into_workspace` then brings the clips into a workspace
and gives what `pipeline.evaluation.evaluate.evaluate_model` takes:

    dataset = prepare(load_settings("hr-avenue", ["dataset.root=/data/HR-Avenue"]).dataset)
    clips = into_workspace(dataset, workspace)       # imports what is not there yet; training clips too
    train(workspace, settings)
    evaluate_model(workspace.model, clips)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.layout import clip_of, find_poses
from pipeline.evaluation.labelled import LabelledClips
from pipeline.io.import_checks import read_frame_counts
from pipeline.io.import_poses import ImportReport, import_all
from pipeline.labels.masks import Mask, match_masks, read_labels, read_masks
from pipeline.settings.dataset import DatasetSettings
from pipeline.workspace import Workspace
from pose_extract.errors import FormatError, UsageError
from pose_extract.formats.base import get_format, read_part
from pose_extract.formats.options import ImportOptions
from pose_extract.tracking import TrackingSettings
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_TOLD = ("masks", "shanghaitech", "chad")  # labels that tell by themselves how long their clips are


@dataclass(frozen=True)
class Dataset:
    """A data set whose layout is in order.

    Attributes:
        settings: its config section.
        train: files or folders of poses to train on, as the format's ``find`` lists them; normal ones only.
        test: the files or folders of the clips to test on.
        train_options: how they are read.
        test_options: how test clips are read, with their lengths where the labels tell them.
        actions: test clip -> its action, if clips are labelled as wholes.
        train_actions: training clip -> its action. Training makes no use of it.
    """

    settings: DatasetSettings
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    train_options: ImportOptions
    test_options: ImportOptions
    actions: Mapping[str, int]
    train_actions: Mapping[str, int]

    def test_clips(self) -> Iterator[ClipTracks]:
        """Read the test clips, one by one; what is damaged is logged and left out, and `masks` then reports it."""
        return self._read(self.test, self.test_options)

    def _read(self, parts: Iterable[Path], options: ImportOptions) -> Iterator[ClipTracks]:
        chosen = get_format(self.settings.format)
        for part in parts:
            for item in read_part(chosen, part, options):
                if isinstance(item, FormatError):
                    logger.error("%s", item)
                else:
                    yield item

    def masks(self, times: Mapping[str, NDArray[np.float64]]) -> dict[str, Mask]:
        """Which frames are abnormal.

        Args:
            times: test clip -> time of each of its frames in seconds.

        Returns:
            clip -> (F,), True where the frame is abnormal, of the clips' own lengths.

        Raises:
            UsageError: clips and labels do not fit each other; lists them.
            FormatError: the labels are damaged.
        """
        settings = self.settings
        if settings.label_kind == "actions":
            return {
                clip: np.full(len(t), not settings.is_normal(self.actions[clip]), np.bool_)
                for clip, t in times.items()
            }
        masks = read_labels(
            settings.label_kind,
            Path(settings.root) / settings.labels,
            times,
            settings.abnormal if settings.label_kind == "masks" else None,
            settings.label_prefix,
        )
        return self._matched(masks, times)

    def keep_masks(self, times: Mapping[str, NDArray[np.float64]]) -> dict[str, Mask]:
        """Which frames count, as `masks`: clip -> (F,), True where the frame counts."""
        kept = {clip: np.ones(len(t), np.bool_) for clip, t in times.items()}
        if self.settings.keep:
            kept = self._matched(read_masks(Path(self.settings.root) / self.settings.keep), times)
        unknown = sorted({clip for clip, _, _ in self.settings.excluded_frames} - set(kept))
        if unknown:
            raise UsageError(f"dataset.excluded_frames: there are no test clips {', '.join(unknown)}")
        for clip, first, end in self.settings.excluded_frames:
            if end > len(kept[clip]) + self.settings.tolerance:
                raise UsageError(
                    f"dataset.excluded_frames: the clip {clip} has {len(kept[clip])} frames, not {end}"
                )
            kept[clip][first:end] = False
        return kept

    def _matched(
        self, masks: Mapping[str, Mask], times: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Mask]:
        """The masks of test clips: some data sets have masks of the others as well."""
        test, train = ({clip_of(p, self.settings.format) for p in parts} for parts in (self.test, self.train))
        others = train - test | set(self.settings.excluded_test)
        wanted = {
            clip: mask
            for clip, mask in masks.items()
            if clip in test or not (clip in others or self.settings.test_list)
        }
        return match_masks(wanted, {clip: len(t) for clip, t in times.items()}, self.settings.tolerance)


def prepare(settings: DatasetSettings, tracking: TrackingSettings | None = None) -> Dataset:
    """Find a data set's files.

    Args:
        settings: the config section ``dataset``, with ``root`` set to the user's copy.
        tracking: how people are followed where the poses have no ids.

    Raises:
        UsageError: there is no root, or its layout is another one; lists everything that is missing, and where it was
            expected.
        FormatError: labels or lists are damaged.
    """
    if not settings.train and not settings.test:
        raise UsageError(
            "this config names no data set; take one that does, for example --config shanghaitech"
        )
    if not settings.root:
        raise UsageError(f"say where your copy of {settings.name} lies: --set dataset.root=FOLDER")
    root = Path(settings.root).expanduser()
    if not root.is_dir():
        raise UsageError(f"{root}: expected the folder of {settings.name} (dataset.root), found none")
    train, test, train_actions, actions = find_poses(settings, root)
    options = ImportOptions(
        fps=settings.fps,
        frame_size=settings.frame_size,
        first_frame=settings.first_frame,
        tracking=tracking or TrackingSettings(),
        trust_pickle=settings.trust_pickle,
    )
    return Dataset(
        settings=replace(settings, root=str(root)),
        train=tuple(train),
        test=tuple(test),
        train_options=options,
        test_options=_with_lengths(options, settings, root),
        actions=actions,
        train_actions=train_actions,
    )


def _with_lengths(options: ImportOptions, settings: DatasetSettings, root: Path) -> ImportOptions:
    """The options with the clips' lengths: poses do not tell how long a clip goes on without people."""
    kind, path = settings.label_kind, root / settings.labels
    counts = {}
    if kind in _TOLD or (kind == "avenue" and path.is_dir()):
        abnormal = settings.abnormal if kind == "masks" else None
        masks = read_labels(kind, path, None, abnormal, settings.label_prefix)
        counts = {clip: len(mask) for clip, mask in masks.items()}
    if settings.frame_counts:
        counts.update(read_frame_counts(root / settings.frame_counts))
    return replace(options, frame_counts=counts)


def into_workspace(
    dataset: Dataset, workspace: Workspace, train: bool = True, quiet: bool = False
) -> LabelledClips:
    """`import_clips`, then `labelled_clips`."""
    return labelled_clips(dataset, workspace, import_clips(dataset, workspace, train, quiet)[0])


def import_clips(
    dataset: Dataset,
    workspace: Workspace,
    train: bool = True,
    quiet: bool = False,
    jobs: int | None = 1,
) -> tuple[ImportReport, ...]:
    """Import a data set's clips that the workspace does not hold yet.

    Test clips come first, so that they have the names by which their labels know them; a training clip of the same name
    gets another one.

    Args:
        dataset: of `prepare`.
        workspace: where the tracks go.
        train: import the training clips too.
        quiet: no progress.
        jobs: how many files at once, see `import_all`.

    Returns:
        What was done with the test clips, and with the training clips.
    """
    name = dataset.settings.format
    parts = [(dataset.test, dataset.test_options, False)]
    if train and dataset.train:
        parts.append((dataset.train, dataset.train_options, True))
    return tuple(
        import_all(name, files, workspace, options, train=learn, quiet=quiet, jobs=jobs)
        for files, options, learn in parts
    )


def labelled_clips(dataset: Dataset, workspace: Workspace, report: ImportReport) -> LabelledClips:
    """The test clips with their labels.

    Args:
        dataset: of `prepare`.
        workspace: where the tracks are.
        report: of the test clips' import.

    Raises:
        UsageError: clips and labels do not fit each other, or the workspace has other clips of the test clips' names.
        FormatError: labels are damaged.
    """
    paths = {}
    for entry in (*report.made, *report.reused):
        renamed = re.fullmatch(r"(.+)-[0-9a-f]{8}", entry.clip)
        if renamed and renamed[1] == clip_of(Path(entry.source), dataset.settings.format):
            raise UsageError(
                f"{workspace.root} has another clip called {renamed[1]}; use an own --workspace for each data set"
            )
        if entry.clip not in dataset.settings.excluded_test:
            paths[entry.clip] = workspace.tracks_path(entry.clip)
    if not paths:
        raise UsageError("none of the test clips could be read")
    times = {clip: np.array(load_tracks(path, features=False).time_s) for clip, path in paths.items()}
    return LabelledClips(dict(sorted(paths.items())), dataset.masks(times), dataset.keep_masks(times))
