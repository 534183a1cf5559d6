"""Open a trained model for scoring, with the settings of its tracks and the threshold of its alarms."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.bundle import load_bundle
from anomaly.bundle.card import CARD, ENCODER, read_card
from anomaly.scoring.model import Model
from anomaly.scoring.threshold import alarm_percentile, alarm_threshold, reference_of, score_at
from anomaly.settings import ScoringSettings
from pipeline.builtin import worth_of
from pipeline.patches.features import PatchKind, has_patches, load_with_patches, needed_by
from pipeline.scoring.familiarity import Seen
from pipeline.settings import Settings, override
from pose_extract.checking import build
from pose_extract.devices import check_device, pick_device
from pose_extract.errors import ConfigError, ModelError, UsageError
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scorer:
    """A trained model with the settings that its training clips were extracted and cleaned with.

    Attributes:
        model: the bundle.
        settings: of video, pose, tracking and cleaning, as in training; of scoring, calibration and events, as asked
            for.
        by_rate: alarms follow the false alarm rate of the settings even if marks have set a threshold.
        patches: the patch features that the model needs; None: none.
        folder: the bundle; None where there is none.
        seen: what the model was trained on.
        learned: keys of the clips that it has learned from.
    """

    model: Model
    settings: Settings
    by_rate: bool = False
    patches: PatchKind | None = None
    folder: Path | None = None
    seen: Seen = field(default_factory=Seen)
    learned: frozenset[str] = frozenset()

    def load(self, path: Path, videos: str | None = None, quiet: bool = True) -> ClipTracks:
        """A tracks file with the features that the model needs.

        Args:
            path: the tracks file.
            videos: the clip's video: features of crops that are not there are made from it. None: they are not.
            quiet: no progress.

        Raises:
            ModelError: there are none of the right kind; the message names the command that makes them.
        """
        needed, folder = self.patches, self.folder
        crops = needed is not None and needed["source"] == "crops" and not has_patches(path, needed)
        if needed is not None and folder is not None and videos is not None and crops:
            _need_torch("features of crops need it to be made")
            from pipeline.patches.making import prepare

            prepare(path, needed, folder, self.settings.patches.most_gb, videos, quiet)
        return load_with_patches(path, self.patches, self.folder)

    def alarm_above(self, scoring: ScoringSettings | None = None) -> float:
        """The score above which a frame raises the alarm, ``scoring`` being how scores are made (the settings' way)."""
        return alarm_threshold(self.model, scoring or self.settings.scoring, self.rate_for(scoring))

    def threshold_from(self, scoring: ScoringSettings | None = None) -> str:
        """What alarms follow: "marks", "alarms_per_day" or "false_alarm_rate"."""
        marked, scoring = self.model.marked, scoring or self.settings.scoring
        if self.by_rate:
            return "false_alarm_rate"
        if marked is not None and marked.fits(scoring):
            return "marks"
        return "false_alarm_rate" if self.settings.calibration.alarms_per_day is None else "alarms_per_day"

    def rate_for(self, scoring: ScoringSettings | None = None) -> float | None:
        """The false alarm rate that alarms follow; None where they follow marks, or a number of alarms a day."""
        by_rate = self.threshold_from(scoring) == "false_alarm_rate"
        return self.settings.calibration.false_alarm_rate if by_rate else None

    @property
    def alarm_percentile(self) -> float:
        """The percentile, 0 to 100, above which a frame raises the alarm."""
        rate = self.rate_for()
        return alarm_percentile(self.model, self.alarm_above()) if rate is None else 100 * (1 - rate)

    @property
    def normal_frames(self) -> int:
        """How many held-out normal frames percentiles are of."""
        return len(reference_of(self.model, self.settings.scoring))

    def score_at(self, *percentiles: float) -> dict[float, float]:
        """Percentile, 0 to 100, among held-out normal frames -> the frame score there."""
        scores = score_at(self.model, np.array(percentiles), self.settings.scoring)
        return dict(zip(percentiles, scores.tolist(), strict=True))


# What may differ from training without making the model's scores meaningless.
_CHANGEABLE = (
    "video",
    "pose",
    "blazepose",
    "movenet",
    "openmmlab",
    "tracking",
    "things",
    "cleaning",
    "scoring",
    "calibration",
    "events",
)


def load_scorer(folder: Path, overrides: Sequence[str] = (), device: str = "cpu") -> Scorer:
    """Open a model bundle for scoring.

    Args:
        folder: the bundle.
        overrides: ``section.key=value`` texts, for instance ``scoring.smoothing_s=0.5``.
        device: cpu, cuda, cuda:N, mps or auto: where the model runs, and the pose networks if they are OpenMMLab's.

    Raises:
        ModelError: there is no model, or it is damaged or from another version.
        ModelError: the model cannot reconstruct, which the settings ask for.
        ConfigError: an override is wrong, or would change what the model has learned.
        UsageError: there is no such device.
    """
    for text in overrides:
        section = text.partition(".")[0]
        if section not in _CHANGEABLE:
            raise ConfigError(
                f"--set {text}: a trained model can only be scored with other {', '.join(_CHANGEABLE)}"
            )
    model, card = _opened(folder, device)
    sections = dict(card.get("tracks") or {})
    overrides = [
        f"openmmlab.device={device}",
        *overrides,
    ]  # not the one that the training clips were extracted on
    sections["scoring"] = dataclasses.asdict(model.settings.scoring)
    sections["calibration"] = dataclasses.asdict(model.settings.calibration)
    try:
        build(Settings, sections)
    except ConfigError as error:
        raise ModelError(f"{folder / CARD} is damaged: tracks: {error}; train again") from error
    settings = build(Settings, override(sections, overrides))
    if settings.scoring.parts != model.settings.scoring.parts:
        raise ConfigError(
            f"scoring.parts: the model in {folder} was trained to add up {', '.join(model.settings.scoring.parts)}; "
            "train again to change that"
        )
    for name in ("weights", "surroundings"):
        if getattr(settings.scoring, name) != getattr(model.settings.scoring, name):
            raise ConfigError(f"scoring.{name}: fixed when a model is trained; train again to change that")
    if not model.can_reconstruct and settings.scoring.needs_decoder:
        raise ModelError(
            f"scoring.by {settings.scoring.by}: the exported model in {folder} cannot reconstruct; use clustering, or "
            "the trained model"
        )
    asked = override({}, overrides).get("calibration")
    asked = asked if isinstance(asked, dict) else {}
    by_rate = "false_alarm_rate" in asked and asked.get("alarms_per_day") is None
    calibrated = dataclasses.replace(model.settings, calibration=settings.calibration)
    model = dataclasses.replace(model, settings=calibrated)
    if asked.get("alarms_per_day") is not None:
        model = dataclasses.replace(model, marked=None)
    if worth := worth_of(folder):
        logger.warning("%s", worth)
    learned = frozenset(str(facts["key"]) for facts in (card.get("clips") or {}).values() if facts.get("key"))
    scorer = Scorer(model, settings, by_rate, needed_by(folder), folder, Seen.from_card(card), learned)
    if model.marked is not None and not scorer.by_rate and not model.marked.fits(settings.scoring):
        logger.warning(
            "the alarm threshold that marks have set does not count: it is for scores made with other settings "
            "(scoring.*). Alarms follow calibration.%s",
            scorer.threshold_from(),
        )
    return scorer


@dataclass
class NamedModel:
    """A model by its name, opened when it is first needed; another process, to which this is sent, opens it anew.

    Attributes:
        folder: the bundle.
        overrides: see `load_scorer`.
        device: see `load_scorer`.
    """

    folder: Path
    overrides: tuple[str, ...] = ()
    device: str = "auto"

    @cached_property
    def scorer(self) -> Scorer:
        """The model, opened."""
        return load_scorer(self.folder, self.overrides, self.device)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "scorer"}


def _opened(folder: Path, device: str) -> tuple[Model, dict[str, Any]]:
    """A model and its card, both of one bundle, if another is put in its place meanwhile."""
    while True:
        where = check_device(device) if (folder / ENCODER).is_file() else _device_for(device)
        before, model, card = read_card(folder), load_bundle(folder, where), read_card(folder)
        if repr(card) == repr(before):  # as text, in which NaN is like NaN
            return model, card


def _device_for(name: str) -> str:
    """`pick_device` for the trained model; without torch, the way to do without."""
    _need_torch(
        "to score without torch, export the model on another machine (gepc-pipeline onnx --out DIR) and score with "
        "--model DIR"
    )
    return pick_device(name)


def _need_torch(otherwise: str) -> None:
    """Raise UsageError unless torch is there."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this needs torch, which is not installed: pip install torch; {otherwise}"
        ) from error
