"""The fine-grained setting (paper, section 4.1): methods on untrimmed video with labels of frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle import load_bundle
from anomaly.data.windows import Windows, make_windows
from anomaly.evaluation.figures import Figures, LabelledScores, evaluate
from anomaly.scoring.model import Model
from anomaly.scoring.smoothing import smooth
from anomaly.training.calibrate import calibrate
from anomaly.training.held_out import split_held_out
from pipeline.datasets.dataset import into_workspace, prepare
from pipeline.datasets.layout import video_of
from pipeline.evaluation.ablate import evaluated, trained
from pipeline.evaluation.evaluate import EvaluationSettings, score_labelled
from pipeline.evaluation.labelled import LabelledClips
from pipeline.experiments.data.frames import FrameCache, FrameClips, load_frames
from pipeline.experiments.methods.frame_methods import frame_size, make_frame_baseline
from pipeline.experiments.methods.window_methods import Methods, Score
from pipeline.experiments.options import OF_FRAMES
from pipeline.experiments.published import TABLE1_DATA
from pipeline.experiments.running.cells import Cell, digest
from pipeline.experiments.settings import SECTIONS, ExperimentSettings, shaping
from pipeline.scoring import Scorer
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.cleaning import clean_tracks
from pose_extract.tracks.records import ClipTracks

if TYPE_CHECKING:
    from anomaly.scoring.torch_model import TrainedModel


class Clips(Protocol):
    """Where clips come from: `DatasetClips`, or `pipeline.experiments.data.street_clips.StreetClips`."""

    name: str
    published: bool

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes them, as JSON can hold it."""
        ...

    def clips(self, seed: int) -> tuple[Workspace, LabelledClips]:
        """The workspace with the clips to train on, and the labelled clips to test on."""
        ...

    @property
    def has_frames(self) -> bool:
        """Whether clips have pictures."""
        ...

    def frames(self, seed: int, clip: str, train: bool, cache: FrameCache) -> Path:
        """The file of a clip's frames, put into the cache if need be; of one to train on, or to test on."""
        ...


class DatasetClips:
    """A data set's clips, imported into a workspace; the same for every seed.

    Args:
        settings: with the section ``dataset``.
        workspace: where the tracks go.
        quiet: no progress.

    Attributes:
        name: of the data set.
        published: whether it is table 1's.
        has_frames: whether clips have pictures: the settings say where their videos are.

    Raises:
        UsageError: the data set is not where the settings say, or has other labels.
        FormatError: labels are damaged.
    """

    def __init__(self, settings: ExperimentSettings, workspace: Workspace, quiet: bool = False) -> None:
        if settings.dataset.label_kind == "actions":
            raise UsageError(
                f"{settings.dataset.name} has clips of actions, not frames that are labelled: see "
                "gepc-pipeline experiment table2"
            )
        self.name = settings.dataset.name
        self.published = self.name == TABLE1_DATA and not settings.dataset.excluded_test
        self._workspace, options, self._format = workspace, settings.experiment, settings.dataset.format
        self._videos = options.train_videos or options.videos, options.videos
        self.has_frames = bool(options.videos)
        self._labelled = into_workspace(prepare(settings.dataset, settings.tracking), workspace, quiet=quiet)
        entries = {entry.clip: entry.key for entry in workspace.entries()}
        self._identity: dict[str, Any] = {
            "dataset": self.name,
            "train": [entry.key for entry in workspace.training_clips()],
            "test": [entries[clip] for clip in self._labelled.paths],
            "labels": digest(
                [
                    np.flatnonzero(np.diff(masks[clip], prepend=False)).tolist()
                    for masks in (self._labelled.abnormal, self._labelled.kept)
                    for clip in self._labelled.paths
                ]
            ),
        }

    def identity(self, seed: int) -> dict[str, Any]:
        """As `Clips.identity`."""
        return self._identity

    def make_patches(self, settings: ExperimentSettings, device: str) -> None:
        """Make features of crops of all clips, out of the videos in ``experiment.videos`` (and ``train_videos``)."""
        from pipeline.patches.clips import clip_of
        from pipeline.patches.making import encoder_for, make_all

        options, workspace = settings.experiment, self._workspace
        if not options.videos:
            raise UsageError(
                "features of crops need the clips' videos: --set experiment.videos='FOLDER/{clip}.avi'"
            )
        train = [workspace.tracks_path(entry.clip) for entry in workspace.training_clips()]
        normal = [clip_of(path, options.train_videos or options.videos) for path in train]
        tests = [clip_of(path, options.videos) for path in self._labelled.paths.values()]
        encoder, kind, _ = encoder_for(workspace, normal, settings.patches, 0, device, quiet=True)
        make_all([*normal, *tests], kind, encoder, settings.patches.most_gb, quiet=True)
        self._identity["patches"] = kind

    def clips(self, seed: int) -> tuple[Workspace, LabelledClips]:
        """As `Clips.clips`."""
        return self._workspace, self._labelled

    def frames(self, seed: int, clip: str, train: bool, cache: FrameCache) -> Path:
        """As `Clips.frames`."""
        path = self._workspace.tracks_path(clip) if train else self._labelled.paths[clip]
        name = video_of(Path(load_tracks(path, features=False).provenance["source"]), self._format)
        return cache.video(self._videos[0 if train else 1].replace("{clip}", name))


@dataclass
class WindowScorer(Model):
    """A method that scores windows, in the place of our model: calibrated, given to frames and smoothed like it.

    Attributes:
        score: anomaly of windows.
    """

    score: Score | None = None
    _last: tuple[Windows, NDArray[np.float64]] | None = None

    def score_windows(
        self, windows: Windows, by: str = "clustering"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Model.score_windows`; there is only one kind of anomaly beside "sum", whatever is asked for."""
        if by == "sum":
            return super().score_windows(windows, by)
        assert self.score is not None
        if self._last is None or self._last[0] is not windows:
            self._last = windows, self.score(windows)
        return self._last[1], np.zeros((0, len(windows)))


@dataclass
class Shared:
    """What the methods of a cell share.

    Attributes:
        methods: fits them.
        held_out: normal clips that nothing is learned from; they calibrate.
        workspace: with the training clips.
        clips: to test on.
        seed: of the cell.
    """

    methods: Methods
    held_out: list[ClipTracks]
    workspace: Workspace
    clips: LabelledClips
    seed: int


class Fine:
    """Every method with every seed on untrimmed clips: an `Experiment`.

    Args:
        settings: of the model, the baselines and how windows become frame scores.
        clips: to train and to test on.
        seeds: of everything random.
        methods: which.
        folder: where models are kept.
        device: where networks run.
    """

    def __init__(
        self,
        settings: ExperimentSettings,
        clips: Clips,
        seeds: Sequence[int],
        methods: Sequence[str],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        self.settings, self.clips, self.folder, self.device = settings, clips, folder, device
        self.methods: Sequence[str] = tuple(methods)
        self._cells = [Cell(f"seed {seed}", seed, {"data": clips.name}) for seed in seeds]

    def cells(self) -> Sequence[Cell]:
        """As `Experiment.cells`."""
        return self._cells

    def made_from(self, cell: Cell, method: str) -> dict[str, Any]:
        """As `Experiment.made_from`."""
        own: dict[str, Any] = {}
        if method in SECTIONS:
            own = {SECTIONS[method]: asdict(getattr(self.settings, SECTIONS[method]))}
        if method in OF_FRAMES:
            own["videos"] = [self.settings.experiment.videos, self.settings.experiment.train_videos]
        return {
            "clips": self.clips.identity(cell.seed),
            "seed": cell.seed,
            "settings": {
                name: asdict(getattr(self.settings, name))
                for name in (*shaping(method), "scoring", "calibration", "events")
            },
            "method": method,
            **own,
        }

    def begin(self, cell: Cell) -> Shared:
        """As `Experiment.begin`."""
        workspace, clips = self.clips.clips(cell.seed)
        settings = self.settings
        tracks = [
            clean_tracks(load_tracks(workspace.tracks_path(entry.clip), features=False), settings.cleaning)
            for entry in workspace.training_clips()
        ]
        # As `anomaly.training.train.fit_network` divides them, so that all methods learn from the same windows.
        rng = np.random.default_rng(cell.seed)
        fit, held_out = split_held_out(tracks, settings.calibration.held_out, rng)
        stride = settings.windows.train_stride
        windows = Windows.concatenate(make_windows(clip, settings.windows, stride) for clip in fit)

        def model() -> TrainedModel:
            own = trained(workspace, settings, cell.seed, self.folder, self.device, quiet=True)
            return load_bundle(own / "model", self.device)  # type: ignore[return-value]

        methods = Methods(settings, cell.seed, self.device, windows, model)
        return Shared(methods, held_out, workspace, clips, cell.seed)

    def measure(self, shared: Shared, method: str) -> dict[str, Any]:
        """As `Experiment.measure`: the figures of both modes."""
        settings, how = self.settings, EvaluationSettings()
        if method == "ours":
            own = trained(shared.workspace, settings, shared.seed, self.folder, self.device, quiet=True)
            return flat(evaluated(own, settings, shared.clips, how, self.device, quiet=True))
        if method in OF_FRAMES:
            return flat({"backtracked": evaluate(self._by_frames(shared, method))})
        score = shared.methods.score(method)
        # One kind of score only, so "by" has no say.
        scoring = replace(settings.scoring, by="clustering")
        plain = replace(settings.for_model(), scoring=scoring)
        model = WindowScorer(plain, normality=None, score=score)  # type: ignore[arg-type]
        model.calibration = calibrate(model, shared.held_out, lambda *stage: None)
        scorer = Scorer(model, replace(settings, scoring=scoring))
        curves, _ = score_labelled(scorer, shared.clips, how, method, quiet=True)
        return flat({mode: evaluate(its) for mode, its in curves.items()})

    def _by_frames(self, shared: Shared, method: str) -> list[LabelledScores]:
        """Scores of a method of frames, smoothed inside each clip as all others are."""
        cache = FrameCache(self.folder / "frames", frame_size(method, self.settings))
        baseline = make_frame_baseline(method, self.settings, shared.seed, self.device)
        normal = [entry.clip for entry in shared.workspace.training_clips()]
        baseline.fit(FrameClips([self.clips.frames(shared.seed, clip, True, cache) for clip in normal]))
        curves = []
        for clip in shared.clips.paths:
            tracks = shared.clips.load(clip)
            raw = baseline.score_frames(load_frames(self.clips.frames(shared.seed, clip, False, cache)))
            count = len(shared.clips.abnormal[clip])
            raw = np.pad(
                raw[:count], (0, max(count - len(raw), 0)), mode="edge"
            )  # decoders differ by a frame
            score = smooth(raw, tracks.time_s, self.settings.scoring.smoothing_s, causal=False)
            curves.append(
                LabelledScores(
                    clip,
                    np.asarray(tracks.time_s),
                    score,
                    shared.clips.abnormal[clip],
                    shared.clips.kept[clip],
                )
            )
        return curves


def flat(figures: dict[str, Figures]) -> dict[str, float | None]:
    """Figures of each mode by ``mode_name``; None for what cannot be computed."""
    return {
        f"{mode}_{name}": None if value != value else value
        for mode, its in figures.items()
        for name, value in asdict(its).items()
    }
