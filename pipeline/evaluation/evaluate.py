"""Evaluate models on labelled clips: scores, and the figures that they come to."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.bundle.card import CARD, read_card
from anomaly.evaluation.bootstrap import auc_intervals
from anomaly.evaluation.figures import (
    LEGACY_SIGMA_FRAMES,
    NORMALISATIONS,
    Figures,
    LabelledScores,
    by_scene,
    evaluate,
    legacy,
)
from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.scores import FrameScores
from anomaly.settings import FRAME_MODES, ScoringSettings
from pipeline.evaluation.labelled import LabelledClips
from pipeline.events.events import spans
from pipeline.progress import stage
from pipeline.scoring import NamedModel, Scorer, score_chunks
from pipeline.workers import Jobs, Tell, jobs_for, side_by_side
from pose_extract.checking import expect_one_of
from pose_extract.errors import ConfigError, MemoryShortError, UsageError
from pose_extract.tracks.cache import load_tracks

logger = logging.getLogger(__name__)

PROTOCOLS = ("current", "legacy")
SCENE = r"[^_]+"  # ShanghaiTech's clips are called SS_CCCC, by scene and clip
_WORTH_A_PROCESS = 5_000  # frames, which take about as long to score as a process to start


@dataclass(frozen=True)
class EvaluationSettings:
    """How scores are turned into figures.

    Attributes:
        protocol: "current", scores smoothed inside each clip as the model's settings say; or "legacy", see
            `anomaly.evaluation.figures.legacy`.
        normalise: of the legacy protocol, "none" or "clip".
        scene: regular expression that finds a clip's scene at the start of its name: its first group, or all of it.
    """

    protocol: str = "current"
    normalise: str = "none"
    scene: str = SCENE

    def __post_init__(self) -> None:
        expect_one_of("protocol", self.protocol, PROTOCOLS)
        expect_one_of("normalise", self.normalise, NORMALISATIONS)
        if self.normalise != "none" and self.protocol != "legacy":
            raise UsageError("normalise: scores are only brought to 0..1 in the legacy protocol")
        try:
            re.compile(self.scene)
        except re.error as error:
            raise ConfigError(f"scene: expected a regular expression, got {self.scene!r}: {error}") from None

    def scene_of(self, clip: str) -> str:
        """The scene of a clip; "-" if its name has none."""
        found = re.match(self.scene, clip)
        return (found[1] if found.re.groups else found[0]) or "-" if found else "-"

    def describe(self) -> str:
        """Which protocol the figures are of, in a sentence or two."""
        if self.protocol == "current":
            return (
                "current protocol: scores are smoothed inside each clip only; the micro AUC is of the frames of all "
                "clips together."
            )
        text = (
            "LEGACY protocol, only for comparison with figures published that way: the frame scores of all clips "
            "are put one after another, in order of their names, and smoothed together across the clips' borders "
            f"(Gaussian, sigma {LEGACY_SIGMA_FRAMES:.0f} frames); one AUC of the whole."
        )
        if self.normalise == "clip":
            text += " Before that each clip's scores are brought to 0..1 by its own lowest and highest."
        return text


@dataclass(frozen=True)
class ModelEvaluation:
    """What one model's scores come to.

    Attributes:
        folder: the model.
        identity: what it is: hash of its card, seed, versions that trained it.
        settings: of scoring and calibration, in use; and what alarms follow in each mode.
        curves: "backtracked" or "online" -> scores of each clip.
        figures: mode -> figures over all clips.
        intervals: mode -> 95 % intervals of AUCs over clips, as `auc_intervals` returns them.
        scenes: mode -> scene -> figures.
        clips: mode -> clip -> figures.
    """

    folder: Path
    identity: dict[str, Any]
    settings: dict[str, Any]
    curves: dict[str, list[LabelledScores]]
    figures: dict[str, Figures]
    intervals: dict[str, dict[str, tuple[float, float] | None]]
    scenes: dict[str, dict[str, Figures]]
    clips: dict[str, dict[str, Figures]]

    @property
    def main(self) -> str:
        """The mode that the model is set to."""
        return self.settings["scoring"]["frames"]

    def without_curves(self) -> ModelEvaluation:
        """The same without the scores, which take some 30 bytes a frame."""
        return replace(self, curves={})


def evaluate_model(
    folder: Path,
    clips: LabelledClips,
    settings: EvaluationSettings | None = None,
    overrides: Sequence[str] = (),
    device: str = "cpu",
    quiet: bool = False,
    jobs: Jobs = 1,
) -> ModelEvaluation:
    """Score every clip in both modes, or for the legacy protocol in the model's own one, and compute all figures.

    Args:
        folder: the model bundle.
        clips: what to score.
        settings: how figures are made.
        overrides: ``section.key=value`` texts, as `load_scorer` takes them. The legacy protocol leaves out
            ``scoring.smoothing_s``.
        device: where the model runs.
        quiet: no progress.
        jobs: see `score_labelled`.

    Raises:
        ModelError: as `load_scorer`, as do ConfigError and UsageError.
    """
    settings = settings or EvaluationSettings()
    model = NamedModel(folder, tuple(overrides), device)
    scorer, card = model.scorer, read_card(folder)
    _warn_of_training_clips(card, clips)
    curves, scoring = score_labelled(scorer, clips, settings, f"score with {folder}", quiet, jobs, model)
    scene_of = {clip: settings.scene_of(clip) for clip in clips.paths}
    return ModelEvaluation(
        folder,
        _identity(folder, card),
        {
            "scoring": asdict(scoring),
            "calibration": asdict(scorer.settings.calibration),
            "alarms_follow": {m: scorer.threshold_from(replace(scoring, frames=m)) for m in curves},
        },
        curves,
        {mode: evaluate(scored) for mode, scored in curves.items()},
        {mode: auc_intervals(scored) for mode, scored in curves.items()},
        {
            mode: {scene: evaluate(its) for scene, its in by_scene(scored, scene_of).items()}
            for mode, scored in curves.items()
        },
        {mode: {c.clip: evaluate([c]) for c in scored} for mode, scored in curves.items()},
    )


def score_labelled(
    scorer: Scorer,
    clips: LabelledClips,
    settings: EvaluationSettings,
    title: str,
    quiet: bool = False,
    jobs: Jobs = 1,
    model: NamedModel | None = None,
) -> tuple[dict[str, list[LabelledScores]], ScoringSettings]:
    """Score every clip as `evaluate_model` does.

    Args:
        scorer: the model.
        clips: what to score.
        settings: how figures are made.
        title: of the progress.
        quiet: no progress.
        jobs: how many clips at once; None: what the machine carries, if there is enough to do.
        model: what another process opens; None: there is none.

    Returns:
        Mode -> scores of each clip; and how they were scored.
    """
    scoring = scorer.settings.scoring
    if settings.protocol == "legacy":
        scoring = replace(scoring, smoothing_s=0.0)
        scorings = [scoring]
    else:
        scorings = [replace(scoring, frames=mode) for mode in FRAME_MODES]
    enough = len(clips.paths) if jobs is not None else min(len(clips.paths), clips.frames // _WORTH_A_PROCESS)
    workers = 1 if model is None else jobs_for(enough, jobs)
    with stage(title, "frames", clips.frames * len(scorings), quiet) as progress:
        if model is None or workers == 1:
            found = {clip: _curves(scorer, clips, scorings, progress.advance, clip) for clip in clips.paths}
        else:
            make = partial(_worker, model, clips, scorings)
            found = {}
            for done in side_by_side(make, list(clips.paths), workers, progress.advance):
                if done.result is None:
                    raise MemoryShortError(
                        f"{done.job}: the process that scored it {done.lost}, twice; try --jobs 1"
                    )
                found[done.job] = done.result
    curves = {each.frames: [found[clip][each.frames] for clip in clips.paths] for each in scorings}
    if settings.protocol == "legacy":
        curves = {mode: legacy(scored, normalise=settings.normalise) for mode, scored in curves.items()}
    return curves, scoring


Curves = dict[str, LabelledScores]
"""Of one clip: "backtracked" or "online" -> its scores."""


@contextmanager
def _worker(
    model: NamedModel, clips: LabelledClips, scorings: Sequence[ScoringSettings], tell: Tell
) -> Iterator[Callable[[str], Curves]]:
    yield partial(_curves, model.scorer, clips, scorings, tell)


def _curves(
    scorer: Scorer,
    clips: LabelledClips,
    scorings: Sequence[ScoringSettings],
    advance: Callable[[int], object],
    clip: str,
) -> Curves:
    tracks = clips.load(clip, scorer)
    ends_s = tracks.time_s + frame_seconds(tracks.time_s, tracks.fps)
    curves = {}
    for each in scorings:
        chunks: list[FrameScores] = []
        in_this_way = replace(scorer, settings=replace(scorer.settings, scoring=each))
        for _, _, scores in score_chunks(in_this_way, tracks):
            chunks.append(scores.frames)
            advance(len(scores.frames))
        frames = FrameScores.concatenate(chunks)
        curves[each.frames] = LabelledScores(
            clip=clip,
            time_s=np.asarray(tracks.time_s),
            score=frames.score,
            abnormal=clips.abnormal[clip],
            kept=clips.kept[clip],
            alarm=frames.alarm,
            fps=tracks.fps,
            found=spans(tracks.time_s, ends_s, frames.alarm, scorer.settings.events),
            judged=frames.judged,
        )
    return curves


def _identity(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    return {
        "folder": str(folder.resolve()),
        "card_sha256": hashlib.sha256((folder / CARD).read_bytes()).hexdigest(),
        **{key: card[key] for key in ("seed", "versions") if key in card},
    }


def _warn_of_training_clips(card: dict[str, Any], clips: LabelledClips) -> None:
    """Data sets use the same names for training and test clips, so it takes the same frames and people as well."""
    learned, known = card.get("clips") or {}, []
    for clip in sorted(set(learned) & set(clips.paths)):
        tracks = load_tracks(clips.paths[clip], features=False)
        same = {"frames": tracks.frame_count, "tracks": tracks.num_tracks}
        if isinstance(learned[clip], dict) and same.items() <= learned[clip].items():
            known.append(clip)
    if known:
        more = f" and {len(known) - 3} more" if len(known) > 3 else ""
        names = ", ".join(known[:3]) + more
        logger.warning("the model was trained on clips that it is evaluated on: %s", names)
