"""Evaluate models on labelled clips: scores, and the figures that they come to."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from pipeline.events.events import spans
from pipeline.labels.masks import Mask, match_masks, read_masks
from pipeline.progress import stage
from pipeline.scoring import Scorer, load_scorer, score_chunks
from pipeline.workspace import Workspace
from pose_extract.checking import expect_one_of
from pose_extract.errors import ConfigError, UsageError
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

PROTOCOLS = ("current", "legacy")
SCENE = r"[^_]+"  # ShanghaiTech's clips are called SS_CCCC, by scene and clip
_TOLERANCE = 1  # frames: decoders differ in whether they show a video's last one
_MOST_PADDED = 10_000_000  # frames; a mask must not be able to ask for all memory


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
class LabelledClips:
    """Clips with their labels.

    Attributes:
        paths: tracks file of each clip, in order of the names.
        abnormal: (F,) of each, True where a frame is abnormal.
        kept: (F,) of each, False where a frame is left out of every figure.
    """

    paths: dict[str, Path]
    abnormal: dict[str, Mask]
    kept: dict[str, Mask]

    def load(self, clip: str, scorer: Scorer | None = None) -> ClipTracks:
        """A clip's tracks as a model needs them, with nobody in the frames that only its mask has."""
        path = self.paths[clip]
        tracks = load_tracks(path, features=False) if scorer is None else scorer.load(path)
        return lengthened(tracks, len(self.abnormal[clip]))

    @property
    def frames(self) -> int:
        """Number of frames of all clips."""
        return sum(map(len, self.abnormal.values()))


def find_labelled(
    tracks: Path | None,
    workspace: Workspace,
    masks: Path | Mapping[str, Mask],
    abnormal: int = 1,
    keep: Path | Mapping[str, Mask] | None = None,
    lengthen: bool = False,
) -> LabelledClips:
    """Bring tracks and masks together.

    Args:
        tracks: a folder of tracks files, each with a mask; or None for the clips of the workspace: those that were not
            extracted to train on, and those that have a mask.
        workspace: where they are if no folder is given.
        masks: a folder or file as `read_masks` reads it, or what it returns.
        abnormal: which value of the files in ``masks`` is an abnormal frame.
        keep: masks of the frames that count, 1 = counts, for the same clips; all count if left out.
        lengthen: take the frames that a mask has beyond its clip for frames without people. Files of poses do not tell
            how many such frames a clip ends with. Otherwise a difference of more than one frame is an error.

    Raises:
        UsageError: lists clips without a mask, masks without a clip, and lengths that differ.
        FormatError: a mask cannot be read.
        CacheError: a tracks file cannot be read.
    """
    if isinstance(masks, Path):
        masks = read_masks(masks, abnormal)
    if tracks is None:
        entries = workspace.entries()
        paths = {e.clip: workspace.tracks_path(e.clip) for e in entries if not e.train or e.clip in masks}
        where = f"{workspace.tracks} (clips that were extracted to train on count only if they have a mask)"
    else:
        files = sorted(tracks.glob("*.npz")) if tracks.is_dir() else [tracks]
        paths, where = {file.stem: file for file in files}, str(tracks)
    if not paths:
        raise UsageError(
            f"there are no clips to evaluate in {where}: expected tracks files <clip>.npz; make them with "
            "gepc-pipeline score or gepc-pipeline import"
        )
    counts = {clip: load_tracks(path, features=False).frame_count for clip, path in paths.items()}
    if lengthen:
        for clip, frames in counts.items():
            counts[clip] = min(max(frames, len(masks.get(clip, ()))), frames + _MOST_PADDED)
    labels = match_masks(masks, counts, _TOLERANCE)
    if keep is None:
        kept = {clip: np.ones(frames, bool) for clip, frames in counts.items()}
    else:
        keep = read_masks(keep) if isinstance(keep, Path) else keep
        kept = match_masks(keep, counts, _TOLERANCE)
    if not any(mask.any() for mask in kept.values()):
        raise UsageError("no frame is left to evaluate: every frame of every clip is to be left out")
    return LabelledClips(dict(sorted(paths.items())), labels, kept)


def lengthened(tracks: ClipTracks, frames: int) -> ClipTracks:
    """The clip with at least ``frames`` frames, those at the end being without people."""
    more = frames - tracks.frame_count
    if more <= 0:
        return tracks
    start = tracks.time_s[-1] + 1 / tracks.fps if tracks.frame_count else 0.0
    return replace(tracks, time_s=np.concatenate([tracks.time_s, start + np.arange(more) / tracks.fps]))


@dataclass(frozen=True)
class ModelEvaluation:
    """What one model's scores come to.

    Attributes:
        folder: the model.
        identity: what it is: hash of its card, seed, versions that trained it.
        settings: of scoring and calibration, in use.
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

    Raises:
        ModelError: as `load_scorer`, as do ConfigError and UsageError.
    """
    settings = settings or EvaluationSettings()
    scorer = load_scorer(folder, overrides, device)
    card = read_card(folder)
    _warn_of_training_clips(card, clips)
    curves, scoring = score_labelled(scorer, clips, settings, f"score with {folder}", quiet)
    scene_of = {clip: settings.scene_of(clip) for clip in clips.paths}
    return ModelEvaluation(
        folder,
        _identity(folder, card),
        {"scoring": asdict(scoring), "calibration": asdict(scorer.settings.calibration)},
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
    scorer: Scorer, clips: LabelledClips, settings: EvaluationSettings, title: str, quiet: bool = False
) -> tuple[dict[str, list[LabelledScores]], ScoringSettings]:
    """Score every clip as `evaluate_model` does.

    Returns:
        Mode -> scores of each clip; and how they were scored.
    """
    scoring = scorer.settings.scoring
    if settings.protocol == "legacy":
        scoring = replace(scoring, smoothing_s=0.0)
        scorings = [scoring]
    else:
        scorings = [replace(scoring, frames=mode) for mode in FRAME_MODES]
    curves: dict[str, list[LabelledScores]] = {each.frames: [] for each in scorings}
    with stage(title, "frames", clips.frames * len(scorings), quiet) as progress:
        for clip in clips.paths:
            tracks = clips.load(clip, scorer)
            ends_s = tracks.time_s + frame_seconds(tracks.time_s, tracks.fps)
            for each in scorings:
                chunks: list[FrameScores] = []
                in_this_way = replace(scorer, settings=replace(scorer.settings, scoring=each))
                for _, _, scores in score_chunks(in_this_way, tracks):
                    chunks.append(scores.frames)
                    progress.advance(len(scores.frames))
                frames = FrameScores.concatenate(chunks)
                curves[each.frames].append(
                    LabelledScores(
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
                )
    if settings.protocol == "legacy":
        curves = {mode: legacy(scored, normalise=settings.normalise) for mode, scored in curves.items()}
    return curves, scoring


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
