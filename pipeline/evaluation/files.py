"""Write an evaluation's folder: evaluation.json, the curves of every frame, and pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.bundle.card import read_card
from anomaly.evaluation.figures import LabelledScores, clip_auc
from anomaly.evaluation.intervals import stretches_of
from pipeline.evaluation.evaluate import EvaluationSettings, ModelEvaluation, evaluate_model
from pipeline.evaluation.labelled import LabelledClips
from pipeline.evaluation.report import Evaluation, as_json
from pipeline.pictures.fonts import drawable
from pipeline.pictures.plot import save_figure, thin
from pipeline.scoring import load_scorer
from pipeline.workers import Jobs
from pose_extract.errors import UsageError
from pose_extract.files import complete_or_absent, write_atomically, writing

_COLOURS = {"backtracked": "#1f3b73", "online": "#e07b00"}
_MOST_POINTS = 2000


def evaluate_models(
    models: Sequence[Path],
    clips: LabelledClips,
    settings: EvaluationSettings,
    overrides: Sequence[str] = (),
    *,
    device: str = "cpu",
    quiet: bool = False,
    jobs: Jobs = 1,
    out: Path | None = None,
    inputs: dict[str, Any] | None = None,
) -> Evaluation:
    """Evaluate one model after another, as `evaluate_model` does.

    Args:
        models: their bundles.
        clips: what to score.
        settings: how figures are made.
        overrides: ``section.key=value`` texts, as `load_scorer` takes them.
        device: where the models run.
        quiet: no progress.
        jobs: see `score_labelled`.
        out: where `EvaluationFolder` writes; None: nowhere.
        inputs: where tracks and labels came from, for the record.

    Raises:
        UsageError: the legacy protocol is asked for, and models are set to different modes.
        ModelError: as `evaluate_model` does; of all models before any is evaluated.
    """
    if len(models) > 1:
        _check_together(models, settings, overrides, device)
    folder = EvaluationFolder(out, settings.protocol) if out else None
    done = []
    for path in models:
        model = evaluate_model(path, clips, settings, overrides, device, quiet, jobs)
        if folder:
            folder.add(model)
        done.append(model.without_curves())
    evaluation = Evaluation(settings, done, inputs or {})
    if folder:
        folder.finish(evaluation)
    return evaluation


def _check_together(
    models: Sequence[Path], settings: EvaluationSettings, overrides: Sequence[str], device: str
) -> None:
    """Raise now what would end an evaluation when the first models have been scored."""
    modes: dict[str, Path] = {}
    for path in models:
        read_card(path)
        if settings.protocol == "legacy":
            modes.setdefault(load_scorer(path, overrides, device).settings.scoring.frames, path)
    if len(modes) > 1:
        each = ", ".join(f"{path} is set to {mode}" for mode, path in modes.items())
        raise UsageError(
            f"the legacy protocol has one mode, but {each}; name the one to evaluate them all in "
            "(--set scoring.frames=backtracked)"
        )


class EvaluationFolder:
    """The folder that ``--out`` names. Models are added one by one, so that curves of one only are in memory.

    Args:
        folder: where to; made if need be.
        protocol: of the evaluation, for the pictures' titles.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, folder: Path, protocol: str) -> None:
        self.folder, self._protocol = folder, protocol
        with writing(folder):
            folder.mkdir(
                parents=True, exist_ok=True
            )  # what cannot be written is said before hours of scoring
        self._rocs: list[tuple[str, int, Any]] = []
        self._count = 0
        self._written: set[str] = set()  # names in the folder

    def add(self, model: ModelEvaluation) -> None:
        """Write the curves of a model: frames.csv (frames-2.csv for the second), and pictures of the first's clips."""
        self._count += 1
        ending = "" if self._count == 1 else f"-{self._count}"
        write_frames(self._new(f"frames{ending}.csv"), model)
        for mode, curves in model.curves.items():
            points = _roc_and_pr(curves)
            if points is not None:
                self._rocs.append((mode, self._count, points))
        if self._count == 1:
            of_clips = list(zip(*model.curves.values(), strict=True))
            for of_modes in of_clips:
                path = self._new(f"clips/{of_modes[0].clip}.png")
                plot_clip(path, list(model.curves), of_modes, self._protocol)

    def finish(self, evaluation: Evaluation) -> None:
        """Write the pictures of all models and, last, evaluation.json; what an earlier one has beside goes."""
        if self._rocs:
            self._plot_curves(evaluation)
        for name in _files_of(self.folder) - self._written:
            with writing(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)
        text = json.dumps(as_json(evaluation), indent=1, allow_nan=False, ensure_ascii=False)
        write_atomically(self.folder / "evaluation.json", text.encode(errors="backslashreplace"))

    def _new(self, name: str) -> Path:
        self._written.add(name)
        return self.folder / name

    def _plot_curves(self, evaluation: Evaluation) -> None:
        share = evaluation.models[0].figures[evaluation.main]
        chance = share.abnormal / share.frames
        for kind in ("roc", "pr"):
            figure, axes = _axes((5.2, 5.2))
            for mode in evaluation.modes:
                name = "auc_micro" if kind == "roc" else "ap"
                value = f"{'AUC' if kind == 'roc' else 'AP'} {evaluation.figure(name, mode):.3f}"
                for count, (_, _, points) in enumerate(r for r in self._rocs if r[0] == mode):
                    x, y = points[kind]
                    axes.plot(
                        x, y, color=_COLOURS[mode], lw=1.5, alpha=1 if len(evaluation.models) == 1 else 0.6,
                        label=f"{mode}: {value}" if count == 0 else None,
                        drawstyle="default" if kind == "roc" else "steps-post",
                    )  # fmt: skip
            line = ([0, 1], [0, 1]) if kind == "roc" else ([0, 1], [chance, chance])
            axes.plot(*line, color="#999999", lw=0.9, ls="--", label="chance")
            axes.set_xlabel(
                "share of normal frames flagged"
                if kind == "roc"
                else "share of abnormal frames flagged (recall)"
            )
            axes.set_ylabel(
                "share of abnormal frames flagged"
                if kind == "roc"
                else "share of flagged frames that are abnormal (precision)"
            )
            axes.set_xlim(-0.01, 1.01)
            axes.set_ylim(-0.01, 1.03)
            axes.set_aspect("equal")
            several = f", {len(evaluation.models)} models" if len(evaluation.models) > 1 else ""
            axes.set_title(
                f"{'ROC' if kind == 'roc' else 'precision-recall'} curve, {self._protocol} protocol{several}",
                loc="left",
            )
            axes.legend(loc="lower right" if kind == "roc" else "best", frameon=False, fontsize=9)
            save_figure(figure, self._new(f"{kind}.png"))


def _files_of(folder: Path) -> set[str]:
    """Names of the files in a folder that its evaluation.json goes with; none if it has no such file."""
    try:
        models = json.loads((folder / "evaluation.json").read_bytes())["models"]
        clips = {clip for of_mode in models[0]["clips"].values() for clip in of_mode}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()
    curves = {f"frames-{number}.csv" for number in range(2, len(models) + 1)}
    return (
        {"frames.csv", "roc.png", "pr.png"}
        | curves
        | {f"clips/{clip}.png" for clip in clips if "/" not in clip}
    )


FRAME_COLUMNS = {
    "clip": "name of the clip",
    "frame": "number of the frame, from 0",
    "time_s": "when it is shown, in seconds",
    "abnormal": "1 where the labels say so, else 0",
    "kept": "0 where the protocol leaves the frame out, else 1",
    "score_MODE": "its score in each mode, `backtracked` and `online`",
    "alarm_MODE": "1 where that is above the threshold, else 0; empty where there is no threshold",
}


def write_frames(path: Path, model: ModelEvaluation) -> None:
    """A row a frame: clip, frame, time, label, whether it counts, and each mode's score and alarm."""
    modes = list(model.curves)
    with complete_or_absent(path) as file:
        table = csv.writer(file)
        of_mode = [name for name in FRAME_COLUMNS if name.endswith("_MODE")]
        once = [name for name in FRAME_COLUMNS if name not in of_mode]
        table.writerow([*once, *(name.replace("MODE", mode) for mode in modes for name in of_mode)])
        for of_modes in zip(*model.curves.values(), strict=True):
            clip = of_modes[0]
            name = clip.clip.encode(errors="backslashreplace").decode()
            for i in range(len(clip.score)):
                values: list[Any] = []
                for its in of_modes:
                    values += [f"{its.score[i]:.6g}", "" if its.alarm is None else int(its.alarm[i])]
                table.writerow(
                    [name, i, f"{clip.time_s[i]:.6f}", int(clip.abnormal[i]), int(clip.kept[i]), *values]
                )


def _roc_and_pr(curves: Sequence[LabelledScores]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]] | None:
    """Points of both curves, thin enough to draw; None if frames are of one kind only."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    score = np.concatenate([c.score[c.kept] for c in curves])
    abnormal = np.concatenate([c.abnormal[c.kept] for c in curves])
    if not 0 < abnormal.sum() < len(abnormal):
        return None
    false, hits, _ = roc_curve(abnormal, score)
    precision, recall, _ = precision_recall_curve(
        abnormal, score
    )  # the last point, (0, 1), is by convention only
    return {"roc": _thinned(false, hits), "pr": _thinned(recall[:-1], precision[:-1])}


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).round().astype(int))
    return x[keep], y[keep]


def plot_clip(path: Path, modes: Sequence[str], curves: Sequence[LabelledScores], protocol: str) -> None:
    """One clip's scores over time, what is abnormal and what is left out, and the alarms.

    Args:
        path: .png, .svg or .pdf to write.
        modes: name of each curve.
        curves: the clip's scores in each mode.
        protocol: for the title.
    """
    figure, axes = _axes((11, 3.6))
    clip = curves[0]
    for mask, colour, name in (
        (clip.abnormal & clip.kept, "#f4c7c3", "labelled abnormal"),
        (~clip.kept, "#dddddd", "left out"),
    ):
        _draw_runs(axes, clip, mask, (0, 1), colour, name, transform=axes.get_xaxis_transform())
    low = min((float(c.score.min()) for c in curves if len(c.score)), default=0.0)
    high = max((float(c.score.max()) for c in curves if len(c.score)), default=1.0)
    step = 0.07 * max(high - low, 1e-6)
    for number, (mode, its) in enumerate(zip(modes, curves, strict=True)):
        keep = thin(its.score, _MOST_POINTS)
        auc = clip_auc(its)
        shown = "" if np.isnan(auc) else f", AUC {auc:.3f}"
        colour = _COLOURS[mode]
        axes.plot(its.time_s[keep], its.score[keep], color=colour, lw=1.2, label=f"{mode} score{shown}")
        if its.alarm is not None:
            at = (low - (number + 1) * step, 0.3 * step)
            _draw_runs(axes, clip, its.alarm, at, colour, f"{mode} alarm")
    axes.set_xlim(0, max(float(clip.time_s.max(initial=0.0)) + (1 / clip.fps if clip.fps else 0.0), 1e-3))
    axes.set_xlabel("time (s)")
    axes.set_ylabel("anomaly score")
    heading, families = drawable(f"{clip.clip}, {protocol} protocol")
    axes.set_title(heading, loc="left", family=list(families), parse_math=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, frameon=False, fontsize=9)
    save_figure(figure, path)


def _draw_runs(
    axes: Any,
    clip: LabelledScores,
    mask: NDArray[Any],
    at: tuple[float, float],
    colour: str,
    name: str,
    **how: Any,
) -> None:
    """Bars from ``at[0]``, ``at[1]`` high, for the runs of True; with an edge, so that the shortest can be seen."""
    stretches = stretches_of(mask, clip.time_s, clip.fps)
    spans = np.column_stack((stretches[:, 0], np.diff(stretches, axis=1)[:, 0]))
    if len(spans):  # one collection, for clips with thousands of them
        axes.broken_barh(spans, at, facecolor=colour, edgecolor=colour, lw=0.8, label=name, **how)


def _axes(size: tuple[float, float]) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
