"""The coarse-grained setting (paper, section 4.2): methods on clips of a few actions, or of all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly.baselines.frames import mean_of_frames
from anomaly.evaluation.metrics import average_precision, frame_auc
from anomaly.training.held_out import split_held_out
from pipeline.experiments.data.action_sets import ActionSet, LabelledClip
from pipeline.experiments.data.clip_windows import ClipWindows
from pipeline.experiments.data.frames import FrameCache, FrameClips
from pipeline.experiments.data.splits import Split
from pipeline.experiments.methods.frame_methods import frame_size, make_frame_baseline
from pipeline.experiments.methods.our_model import train_or_load
from pipeline.experiments.methods.window_methods import Methods
from pipeline.experiments.options import OF_FRAMES, OURS
from pipeline.experiments.running.cells import Cell, digest
from pipeline.experiments.settings import SECTIONS, ExperimentSettings, shaping
from pose_extract.errors import TrainingError, UsageError
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks

if TYPE_CHECKING:
    from anomaly.scoring.torch_model import TrainedModel


class Actions(Protocol):
    """Where clips come from; see `pipeline.experiments.data.action_sets`."""

    name: str
    published: str
    splits: Sequence[Split]
    has_frames: bool

    def clips(self, seed: int) -> ActionSet:
        """The clips of a seed."""
        ...

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes them, as JSON can hold it."""
        ...


@dataclass(frozen=True)
class Task:
    """What is to be told apart.

    Attributes:
        split: which actions.
        direction: whether these are normal, or all others.
        seed: of everything random.
        share: of abnormal clips among the training clips.
    """

    split: Split
    direction: str
    seed: int
    share: float = 0.0

    @property
    def cell(self) -> Cell:
        """The cell of this task."""
        noise = f", {100 * self.share:g} % abnormal" if self.share else ""
        return Cell(
            f"{self.direction}, {self.split.name}{noise}, seed {self.seed}",
            self.seed,
            {
                "split": self.split.name,
                "kind": self.split.kind,
                "actions": list(self.split.actions),
                "direction": self.direction,
                "share": self.share,
            },
        )


@dataclass
class Shared:
    """What the methods of a cell share.

    Attributes:
        methods: fits them.
        held_out: windows of normal clips that nothing is learned from.
        test: windows of the test clips.
        abnormal: (clips,) which test clips are abnormal; for the figures only.
        learned: training clips that are learned from.
        spared: those that are held out.
        tested: test clips.
    """

    methods: Methods
    held_out: ClipWindows
    test: ClipWindows
    abnormal: NDArray[np.bool_]
    learned: tuple[LabelledClip, ...]
    spared: tuple[LabelledClip, ...]
    tested: tuple[LabelledClip, ...]


class Coarse:
    """Every task with every method: an `Experiment`.

    Args:
        settings: of the model, the baselines and the windows.
        actions: where clips come from.
        tasks: what is measured.
        methods: by which.
        folder: where models are kept.
        device: where networks run.

    Raises:
        UsageError: windows are not whole clips.
    """

    def __init__(
        self,
        settings: ExperimentSettings,
        actions: Actions,
        tasks: Sequence[Task],
        methods: Sequence[str],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        if settings.windows.extent != "clip":
            raise UsageError(
                "clips of actions are scored as wholes: expected a config with windows.extent clip, for example "
                f"--config actions, got windows.extent {settings.windows.extent}"
            )
        self.settings, self.actions = settings, actions
        self.methods: Sequence[str] = tuple(methods)
        self.folder, self.device = folder, device
        self.tasks = {task.cell.name: task for task in tasks}
        self._cells = [task.cell for task in tasks]
        self._test: tuple[int, ClipWindows] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_test": None}  # each process makes its own

    def cells(self) -> Sequence[Cell]:
        """As `Experiment.cells`."""
        return self._cells

    def made_from(self, cell: Cell, method: str) -> dict[str, Any]:
        """As `Experiment.made_from`."""
        own: dict[str, Any] = {}
        if method in SECTIONS:
            own = {SECTIONS[method]: asdict(getattr(self.settings, SECTIONS[method]))}
        if method in OURS:
            own = self._kind(method)
        options = self.settings.experiment
        if method in OF_FRAMES and options.videos:
            own["videos"] = [options.videos, options.train_videos]
        return {**self._shaped_by(cell, method), **own, "method": method}

    def _kind(self, method: str) -> dict[str, Any]:
        """Which of our scores, and what it is the sum of."""
        scoring = self.settings.scoring
        by = scoring.by if method == "ours" else "clustering"
        return {"by": by, "parts": list(scoring.parts) if by == "sum" else []}

    def _shaped_by(self, cell: Cell, method: str) -> dict[str, Any]:
        """Scoring's modes mean nothing for whole clips."""
        return {
            "clips": self.actions.identity(cell.seed),
            "task": {**cell.facts, "seed": cell.seed},
            "settings": {name: asdict(getattr(self.settings, name)) for name in shaping(method)},
            "held_out": self.settings.calibration.held_out,
        }

    def begin(self, cell: Cell) -> Shared:
        """As `Experiment.begin`."""
        task, clips, settings = self.tasks[cell.name], self.actions.clips(cell.seed), self.settings
        picked = training_clips(clips.train, task)
        tracks = [self._cleaned(clip) for clip in picked]
        # As `anomaly.training.train.fit_network` divides them, so that all methods learn from the same windows.
        rng = np.random.default_rng(task.seed)
        fit, held_out = split_held_out(tracks, settings.calibration.held_out, rng, whole=True)
        held = {id(clip) for clip in held_out}
        learned, spared = (
            tuple(clip for clip, its in zip(picked, tracks, strict=True) if (id(its) in held) == wanted)
            for wanted in (False, True)
        )
        windows = ClipWindows.from_clips(fit, settings.windows)

        def model() -> TrainedModel:
            made_from = {**self._shaped_by(cell, "ours"), "parts": list(settings.scoring.parts)}
            folder = self.folder / "models" / digest(made_from)[:16]
            return train_or_load(folder, tracks, settings.for_model(), task.seed, self.device, made_from)

        def labels() -> NDArray[np.int64]:
            return np.array([clip.action for clip in learned], np.int64)[windows.clip]

        abnormal = [not task.split.is_normal(clip.action, task.direction) for clip in clips.test]
        return Shared(
            Methods(settings, task.seed, self.device, windows.windows, model, labels),
            ClipWindows.from_clips(held_out, settings.windows),
            self._test_windows(task.seed, clips),
            np.array(abnormal, np.bool_),
            learned,
            spared,
            clips.test,
        )

    def measure(self, shared: Shared, method: str) -> dict[str, Any]:
        """As `Experiment.measure`: AUC and average precision of the test clips, and of how many."""
        scores, abnormal = self.scores(shared, method), shared.abnormal
        if not 0 < abnormal.sum() < len(abnormal):
            raise TrainingError(
                f"expected normal and abnormal test clips, got {int(abnormal.sum())} abnormal ones of {len(abnormal)}"
            )
        return {
            "auc": frame_auc(scores, abnormal),
            "ap": average_precision(scores, abnormal),
            "test_clips": len(abnormal),
            "abnormal_test_clips": int(abnormal.sum()),
            "training_clips": len(shared.learned),
        }

    def scores(self, shared: Shared, method: str) -> NDArray[np.float64]:
        """(clips,) anomaly of each test clip.

        Raises:
            GepcError: the method cannot be fitted.
        """
        if method in OF_FRAMES:
            return self._by_frames(shared, method)
        score = shared.methods.score(method)
        held_out = shared.held_out.windows
        floor = score(held_out if len(held_out) else shared.methods.windows).min()
        return shared.test.highest(score(shared.test.windows), floor)

    def _by_frames(self, shared: Shared, method: str) -> NDArray[np.float64]:
        """(clips,) mean over each test clip's frames (section 4.2.2); the floor where it is too short to be scored."""
        cache = FrameCache(self.folder / "frames", frame_size(method, self.settings))
        baseline = make_frame_baseline(method, self.settings, shared.methods.seed, self.device)
        baseline.fit(_frames(cache, shared.learned))
        tested, spared = (
            mean_of_frames(baseline, _frames(cache, clips)) for clips in (shared.tested, shared.spared)
        )
        floor = np.nanmin(spared if not np.isnan(spared).all() else tested)
        return np.where(np.isnan(tested), floor, tested)

    def _test_windows(self, seed: int, clips: ActionSet) -> ClipWindows:
        if self._test is None or self._test[0] != seed:
            self._test = None
            self._test = seed, ClipWindows.from_clips(map(self._cleaned, clips.test), self.settings.windows)
        return self._test[1]

    def _cleaned(self, clip: LabelledClip) -> ClipTracks:
        return clean_tracks(clip.load(), self.settings.cleaning)


def _frames(cache: FrameCache, clips: Sequence[LabelledClip]) -> FrameClips:
    return FrameClips([clip.frames(cache) for clip in clips if clip.frames is not None])


def training_clips(clips: Sequence[LabelledClip], task: Task) -> list[LabelledClip]:
    """The normal training clips, and as many of the others as the share wants, drawn at random (section 4.4).

    A larger share has the same clips and some more. The actions play no other part.

    Raises:
        TrainingError: there are no normal clips, or not so many others.
    """
    normal = [clip for clip in clips if task.split.is_normal(clip.action, task.direction)]
    others = [clip for clip in clips if not task.split.is_normal(clip.action, task.direction)]
    if not normal:
        raise TrainingError(
            f"split {task.split.name}, {task.direction}: there are no normal clips to train on"
        )
    count = round(len(normal) * task.share / (1 - task.share))
    if count > len(others):
        raise TrainingError(
            f"split {task.split.name}, {task.direction}: a share of {task.share:g} takes {count} abnormal training "
            f"clips, there are {len(others)}"
        )
    drawn = np.random.default_rng((task.seed, 44)).permutation(len(others))[:count]
    return normal + [others[i] for i in sorted(drawn)]
