"""Compute figures of frame scores against frame labels, as the field reports them and as older literature did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.event_metrics import count_events, total
from anomaly.evaluation.metrics import average_precision, equal_error_rate, frame_auc
from pose_extract.checking import expect_one_of
from pose_extract.errors import UsageError

LEGACY_SIGMA_FRAMES = 40.0
NORMALISATIONS = ("none", "clip")


@dataclass(frozen=True)
class LabelledScores:
    """Scores and labels of the F frames of one clip.

    Attributes:
        clip: its name.
        time_s: (F,) seconds.
        score: (F,) anomaly, smoothed within the clip or not at all.
        abnormal: (F,) bool, the label.
        kept: (F,) bool, False for frames that are left out of every figure.
        alarm: (F,) bool, whether the score is above the calibrated threshold; None where there is no such threshold.
        fps: mean frame rate.
        found: events that the alarms were put together to, first frame and frame after the last; None: runs of alarms.
        judged: (F,) bool, False where people are there and none could be scored; None: everywhere true.
    """

    clip: str
    time_s: NDArray[np.float64]
    score: NDArray[np.float64]
    abnormal: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    alarm: NDArray[np.bool_] | None = None
    fps: float | None = None
    found: Sequence[tuple[int, int]] | None = None
    judged: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        lengths = {
            len(a)
            for a in (self.time_s, self.score, self.abnormal, self.kept, self.alarm, self.judged)
            if a is not None
        }
        if len(lengths) > 1:
            raise UsageError(
                f"clip {self.clip}: expected times, scores and labels of the same frames, got {sorted(lengths)}"
            )
        if not np.isfinite(self.score).all():
            raise UsageError(f"clip {self.clip}: expected finite scores")


@dataclass(frozen=True)
class Figures:
    """What scores are worth. NaN stands for what cannot be computed: a ROC curve needs both kinds of frames.

    Attributes:
        clips: number of clips.
        frames: number of frames that count.
        abnormal: how many of them are abnormal.
        auc_micro: area under the ROC curve of the frames of all clips together, the field's usual figure.
        auc_macro: mean of the areas of each clip's own ROC curve, over the clips with both kinds of frames.
        macro_clips: number of those clips.
        not_judged: number of frames that count in which people are and none could be scored. By the published
            protocols they count with the floor's score, smoothed, in all other figures.
        auc_judged: the micro figure without them.
        auc_clips: area under the ROC curve of whole clips, each with the score of its highest frame, abnormal if any of
            its frames is. What is reported where a clip is one action (section 4.2).
        ap: average precision of the frames of all clips together; chance is the share of abnormal frames.
        eer: equal error rate of the frames of all clips together.
        events: number of events; these and all that follow as `EventCounts` defines them.
        detected: how many of them are detected.
        event_recall: share of them that are.
        event_miss: share of them that are not.
        event_f1: of events that the product reports, matched to true ones that share half of their time.
        delay_s: median time from an event's start to its first alarm, over the detected ones.
        false_alarms: number of false alarms.
        normal_hours: hours of normal video.
        false_alarms_per_hour: of normal video; NaN of less than ten minutes of it.
        normal_alarm_share: share of the normal video's time with an alarm.
    """

    clips: float
    frames: float
    abnormal: float
    auc_micro: float
    auc_macro: float
    macro_clips: float
    not_judged: float
    auc_judged: float
    auc_clips: float
    ap: float
    eer: float
    events: float
    detected: float
    event_recall: float
    event_miss: float
    event_f1: float
    delay_s: float
    false_alarms: float
    normal_hours: float
    false_alarms_per_hour: float
    normal_alarm_share: float


def evaluate(clips: Sequence[LabelledScores]) -> Figures:
    """The figures of one model's scores over clips.

    Micro figures take all frames together, the scores of one clip being compared with those of another; the macro one
    does not compare clips. Neither needs every clip to have both kinds of frames.

    Raises:
        UsageError: there is no clip.
    """
    if not clips:
        raise UsageError("expected at least one clip to evaluate, got none")
    score = np.concatenate([c.score[c.kept] for c in clips])
    abnormal = np.concatenate([c.abnormal[c.kept] for c in clips])
    both = 0 < abnormal.sum() < len(abnormal)
    own = [auc for auc in map(clip_auc, clips) if not np.isnan(auc)]
    judged = np.concatenate([c.kept[c.kept] if c.judged is None else c.judged[c.kept] for c in clips])
    alarms = [
        count_events(c.time_s, c.alarm, c.abnormal, c.kept, c.fps, c.found)
        for c in clips
        if c.alarm is not None
    ]
    events = total(alarms)
    return Figures(
        clips=len(clips),
        frames=len(abnormal),
        abnormal=int(abnormal.sum()),
        auc_micro=frame_auc(score, abnormal) if both else np.nan,
        auc_macro=float(np.mean(own)) if own else np.nan,
        macro_clips=len(own),
        not_judged=int((~judged).sum()),
        auc_judged=frame_auc(score[judged], abnormal[judged])
        if 0 < abnormal[judged].sum() < judged.sum()
        else np.nan,
        auc_clips=_auc_of_clips(clips),
        ap=average_precision(score, abnormal) if both else np.nan,
        eer=equal_error_rate(score, abnormal) if both else np.nan,
        events=events.events if alarms else np.nan,
        detected=events.detected if alarms else np.nan,
        event_recall=events.recall,
        event_miss=1 - events.recall,
        event_f1=events.f1 if alarms else np.nan,
        delay_s=events.median_delay_s,
        false_alarms=events.false_alarms if alarms else np.nan,
        normal_hours=events.normal_s / 3600 if alarms else np.nan,
        false_alarms_per_hour=events.false_alarms_per_hour,
        normal_alarm_share=events.normal_alarm_share,
    )


def clip_auc(clip: LabelledScores) -> float:
    """The area under the ROC curve of one clip's kept frames; NaN unless they are of both kinds."""
    abnormal = clip.abnormal[clip.kept]
    return frame_auc(clip.score[clip.kept], abnormal) if 0 < abnormal.sum() < len(abnormal) else np.nan


def _auc_of_clips(clips: Sequence[LabelledScores]) -> float:
    counted = [c for c in clips if c.kept.any()]
    abnormal = np.array([c.abnormal[c.kept].any() for c in counted], bool)
    if not 0 < abnormal.sum() < len(abnormal):
        return np.nan
    return frame_auc([c.score[c.kept].max() for c in counted], abnormal)


def by_scene(
    clips: Sequence[LabelledScores], scene_of: Mapping[str, str]
) -> dict[str, Sequence[LabelledScores]]:
    """The clips of each scene, in order of the scenes' names; ``scene_of`` has the scene of every clip."""
    scenes: dict[str, list[LabelledScores]] = {}
    for clip in clips:
        scenes.setdefault(scene_of[clip.clip], []).append(clip)
    return dict(sorted(scenes.items()))


def legacy(
    clips: Sequence[LabelledScores],
    sigma_frames: float = LEGACY_SIGMA_FRAMES,
    normalise: str = "none",
) -> list[LabelledScores]:
    """The clips with the scores that the older literature took its one AUC of.

    Frame scores of all clips, unsmoothed, are put one after another and smoothed together, so that a clip's end
    changes the beginning of the next one; the result depends on the order of the clips. The Gaussian counts frames,
    whatever the frame rate, sees the future, is cut off at 4 sigmas, and is mirrored at both ends of the whole.
    There is no calibrated threshold for such scores, so there are no alarms.

    Args:
        clips: in the order to put them one after another, with **unsmoothed** scores.
        sigma_frames: sigma of the Gaussian; 40 in the paper. 0 does not smooth.
        normalise: "clip" first brings each clip's scores to 0..1 by its own lowest and highest one, as the papers on
            frame prediction and some later ones did (it makes any clip's highest frame abnormal); "none" does not.

    Raises:
        ConfigError: ``normalise`` is something else.
    """
    from scipy.ndimage import gaussian_filter1d

    expect_one_of("normalise", normalise, NORMALISATIONS)
    scores = [_to_unit(c.score) if normalise == "clip" else c.score for c in clips]
    joined = np.concatenate([np.zeros(0), *scores])
    if sigma_frames > 0 and len(joined):
        joined = gaussian_filter1d(joined, sigma_frames, mode="reflect", truncate=4.0)
    ends = np.cumsum([len(c.score) for c in clips])
    parts = np.split(joined, ends[:-1]) if len(clips) else []
    return [replace(c, score=part, alarm=None, found=None) for c, part in zip(clips, parts, strict=True)]


def _to_unit(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores as shares of the way from the lowest to the highest; 0 where all are the same."""
    if not len(score):
        return score
    width = score.max() - score.min()
    return (score - score.min()) / width if width > 0 else np.zeros(len(score))


@dataclass(frozen=True)
class Spread:
    """A figure over several models.

    Attributes:
        mean: over the models.
        deviation: sample standard deviation (n - 1); NaN for a single model.
    """

    mean: float
    deviation: float


def over_models(figures: Sequence[Figures]) -> dict[str, Spread]:
    """Mean and deviation of each figure over models; NaN where it is NaN for one of them."""
    spreads = {}
    for field in fields(Figures):
        values = np.array([getattr(f, field.name) for f in figures], np.float64)
        deviation = float(values.std(ddof=1)) if len(values) > 1 else np.nan
        spreads[field.name] = Spread(float(values.mean()), deviation)
    return spreads
