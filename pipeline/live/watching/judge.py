"""One camera's way from frames to scores and to what is told of its events."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from anomaly.data.resampling import LONGEST_STEP_S
from anomaly.scoring.scores import ClipScores, Counting
from anomaly.scoring.threshold import alarm_percentile
from anomaly.settings.scoring import CAUSES
from pipeline.events.events import Event
from pipeline.live.capture.feed import LiveFrame
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.followed import FollowedPeople
from pipeline.live.watching.machine import Alarms, EventMachine, Step
from pipeline.live.watching.unlike import UnlikeTraining
from pipeline.scoring import Scorer
from pipeline.scoring.reasons import Reason, rarity, reasons_of
from pose_extract.errors import ModelError
from pose_extract.estimators.base import PoseEstimator
from pose_extract.skeletons import Skeleton, get_skeleton
from pose_extract.tracks.clip_time import usual_rate
from pose_extract.tracks.records import ClipTracks, Frame, PoseDetections

logger = logging.getLogger(__name__)

_REMEMBERED = 4096  # frames whose times are known
_FIRST_LOOK_S, _LATER_LOOKS_S = 3.0, 30.0  # after which it is seen how many frames a second there really are
_RATE_TOLERANCE = 1.3
_MOST_REASONS = 64  # people whose reasons are remembered
_NO_RATE = 10.0  # frames a second until it is known how many there are


@dataclass(frozen=True)
class Told:
    """What is to be told of an event.

    Attributes:
        type: "new", "update" or "end".
        event: as it is now, in seconds of the camera's clock.
        start: when it began.
        end: when it ended.
        reasons: why, in plain words.
        threshold: the score above which a frame raises the alarm.
        arrived_s: when the frame that it began with came, on the monotonic clock; of one that a cooldown has kept back,
            the frame with which that ended.
        cut: whether it is ended although it goes on, since it has lasted so long.
    """

    type: str
    event: Event
    start: datetime
    end: datetime
    reasons: tuple[str, ...]
    threshold: float
    arrived_s: float
    cut: bool = False


@dataclass
class Counts:
    """What a camera's judge has done.

    Attributes:
        frames: that were looked at.
        scored: of them, those that have their score.
        alarms: of those, how many are above the threshold.
        restarts: so many times people were followed anew, since pictures changed their size or their rate,
            or one could not be judged.
    """

    frames: int = 0
    scored: int = 0
    alarms: int = 0
    restarts: int = 0


class Judge:
    """Follows the people of one camera, scores them and finds events.

    Args:
        camera: its name.
        scorer: its model.
        estimator: finds people; nobody else's.
        live: how cameras are watched.
        exact: of a recording every frame comes, at the rate that it states; of a camera as many as can be judged do.
        on_scores: hears of every block that is scored: its first frame, its tracks, its scores.
        counting: who of the people counts; everybody if left out.

    Attributes:
        counts: what has been done.
        people: who was seen in the latest frame.
        took_s: seconds that it took to find them.
        estimator: finds them.
        threshold: the score above which a frame raises the alarm.
        latest: when the latest frame was taken; None before the first.

    Raises:
        ModelError: the model is of whole clips, or needs pictures of joints.
    """

    def __init__(
        self,
        camera: str,
        scorer: Scorer,
        estimator: PoseEstimator,
        live: LiveSettings,
        exact: bool,
        on_scores: Callable[[int, ClipTracks, ClipScores], None] | None = None,
        counting: Counting | None = None,
    ) -> None:
        self.camera, self.scorer = camera, scorer
        self.estimator, self._live, self._exact = estimator, live, exact
        self.on_scores, self._counting = on_scores, counting
        self.threshold = live_threshold(camera, scorer)
        self.counts = Counts()
        self.people, self.took_s = PoseDetections.empty(0), 0.0
        self.latest: datetime | None = None
        self._fps = 0.0
        self._connection = -1
        self._size = (0, 0)
        self._followed: FollowedPeople | None = None
        self._machine: EventMachine | None = None
        self._alarms = Alarms()
        self._unlike = UnlikeTraining(scorer, dict(estimator.identity))
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._stamps: deque[tuple[datetime, float]] = deque(maxlen=_REMEMBERED)
        self._reasons: dict[int, tuple[float, tuple[str, ...]]] = {}
        self._rarest: dict[
            str, float
        ] = {}  # cause -> least share of normal moments that are as unusual in it
        self._look_s = np.inf
        self._next_ids, self._quiet_until_s = (1, 1), -np.inf
        self._slow = False  # whether too few frames a second can be judged, as was said

    def take(self, frame: LiveFrame, found: PoseDetections | None = None) -> Iterator[Told]:
        """Judge the next frame, whose people may be known; yields what is to be told by now."""
        if self._followed is None:
            known = 0.0 if self._exact else self._fps  # before the camera was lost, or a frame failed
            self._begin(frame, known or frame.fps or _NO_RATE)
        elif frame.size != self._size:
            yield from self.finish()
            self.counts.restarts += 1
            self._begin(frame, self._fps)
        elif not self._exact and frame.time_s >= self._look_s:
            yield from self._look_at_rate(frame)
        followed = self._followed
        assert followed is not None
        self.latest = frame.at
        self._times.append(frame.time_s)
        self._stamps.append((frame.at, frame.arrived_s))
        for block in followed.take(Frame(followed.frames, frame.time_s, frame.image), found):
            yield from self._scored(*block)
        self.people, self.took_s = followed.people, followed.took_s
        self.counts.frames += 1

    def finish(self) -> Iterator[Told]:
        """No frames follow: score those that wait, and end what goes on."""
        if self._followed is None or self._machine is None:
            return
        for block in self._followed.finish():
            yield from self._scored(*block)
        for step in self._machine.finish():
            yield self._told(step)
        self._let_go()

    def abandon(self) -> None:
        """Forget who is followed and what goes on; the next frame begins anew."""
        self._let_go()
        self.counts.restarts += 1

    def _let_go(self) -> None:
        """Follow nobody any more; ids are not given twice, and a cooldown goes on."""
        if self._followed is not None and self._machine is not None:
            self._next_ids, self._quiet_until_s = self._followed.next_ids, self._machine.quiet_until_s
            if self._machine.is_open:  # it is over now
                self._quiet_until_s = self._times[-1] + self._live.cooldown_s
        self._followed = self._machine = None

    @property
    def skeleton(self) -> Skeleton:
        """Of the people that are found."""
        return get_skeleton(self.estimator.skeleton)

    @property
    def fps(self) -> float:
        """Frames a second that people are followed at; 0 before the first."""
        return self._fps

    def _begin(self, frame: LiveFrame, fps: float) -> None:
        self._fps, self._size = fps, frame.size
        self._followed = FollowedPeople(
            self.camera, self.scorer, self.estimator, fps, self._size, self._next_ids, self._counting
        )
        self._machine = EventMachine(fps, self.scorer.settings.events, self._live, self._quiet_until_s)
        self._alarms = Alarms()
        self._unlike.restart()
        self._look_s = frame.time_s + _FIRST_LOOK_S

    def _look_at_rate(self, frame: LiveFrame) -> Iterator[Told]:
        """See how many frames a second can be judged; if it is another number, follow people anew at that."""
        self._look_s = frame.time_s + _LATER_LOOKS_S
        first = bisect_right(self._times, frame.time_s - _LATER_LOOKS_S)
        rate = usual_rate(np.array(self._times)[first:])
        if rate is None or self._machine is None or self._machine.is_open:
            return
        slow, self._slow = self._slow, rate < 1 / LONGEST_STEP_S
        if self._slow and not slow:
            logger.warning(
                "camera %s: only %.1f frames a second can be judged; below %.0f nobody's movement can be told. Watch "
                "fewer cameras, set video.max_side, or take a faster estimator",
                self.camera, rate, 1 / LONGEST_STEP_S,
            )  # fmt: skip
        if not 1 / _RATE_TOLERANCE < rate / self._fps < _RATE_TOLERANCE:
            logger.info("camera %s: %.1f frames a second are judged", self.camera, rate)
            yield from self.finish()
            self.counts.restarts += 1
            self._begin(frame, rate)
            self._look_s = frame.time_s + _LATER_LOOKS_S

    def _scored(self, begin: int, part: ClipTracks, scores: ClipScores) -> Iterator[Told]:
        assert self._machine is not None
        frames = scores.frames
        alarm = self._alarms.of(frames.score, self.threshold, self._release())
        self.counts.scored += len(frames)
        self.counts.alarms += int((frames.score > self.threshold).sum())
        for text in self._unlike.add(part, scores.row_percentile):
            logger.warning("camera %s: %s", self.camera, text)
        if self.on_scores is not None:
            self.on_scores(begin, part, scores)
        if alarm.any():
            self._remember_reasons(scores)
            self._remember_causes(scores, alarm)
        for step in self._machine.add(begin, part, scores, alarm):
            yield self._told(step)
        if not alarm.any() and not self._machine.is_open:
            self._reasons.clear()
            self._rarest.clear()

    def _release(self) -> float:
        if not self._live.hysteresis:
            return self.threshold
        model, scoring = self.scorer.model, self.scorer.settings.scoring
        percentile = max(0.0, alarm_percentile(model, self.threshold, scoring) - self._live.hysteresis)
        return min(self.threshold, self.scorer.score_at(percentile)[percentile])

    def _remember_reasons(self, scores: ClipScores) -> None:
        windows = scores.windows
        for track in np.unique(windows.windows.track).tolist():
            own = np.flatnonzero(windows.windows.track == track)
            best = own[np.argmax(windows.score[own])]
            score = float(windows.score[best])
            if score > self._reasons.get(track, (-np.inf, ()))[0]:
                why = reasons_of(self.scorer.model, windows, int(best))
                self._reasons[track] = score, tuple(map(str, why))
        while len(self._reasons) > _MOST_REASONS:
            del self._reasons[min(self._reasons, key=lambda t: self._reasons[t][0])]

    def _remember_causes(self, scores: ClipScores, alarm: NDArray[np.bool_]) -> None:
        if scores.around is None:
            return
        for number in np.unique(scores.frames.cause[alarm]).tolist():
            share = float(scores.around.p[alarm & (scores.frames.cause == number)].min())
            self._rarest[CAUSES[number]] = min(share, self._rarest.get(CAUSES[number], 1.0))

    def _about(self, event: Event) -> list[str]:
        """What it is about beside movement, and how rare that is."""
        learned, share = self.scorer.model.surroundings, self._rarest.get(event.cause)
        if not event.about or learned is None or share is None:
            return [event.about] if event.about else []
        return [str(Reason(event.about, rarity(100 * (1 - share), learned.looks)))]

    def _told(self, step: Step) -> Told:
        event = step.event
        start, arrived_s = self._stamp(event.start_s)[0], self._stamp(step.due_s)[1]
        end = self._stamp(event.end_s)[0]
        found = [self._reasons.get(track, (0.0, ()))[1] for track in event.culprits]
        reasons = tuple(dict.fromkeys([*self._about(event), *(reason for each in found for reason in each)]))
        return Told(step.type, event, start, max(end, start), reasons, self.threshold, arrived_s, step.cut)

    def _stamp(self, time_s: float) -> tuple[datetime, float]:
        """When a moment of the camera's clock was, and when its frame came."""
        frame = max(bisect_right(self._times, time_s + 1e-9) - 1, 0)
        at, arrived_s = self._stamps[frame]
        return at + timedelta(seconds=time_s - self._times[frame]), arrived_s


def live_threshold(camera: str, scorer: Scorer) -> float:
    """The score above which a camera's frames raise the alarm.

    Raises:
        ModelError: its model cannot be watched with, or has too little normal video for its budget of alarms.
    """
    windows = scorer.model.settings.windows
    if windows.extent == "clip" or scorer.patches is not None:
        what = "whole clips" if windows.extent == "clip" else "patch features"
        raise ModelError(f"camera {camera}: its model is one of {what}, which cannot be watched live")
    return scorer.alarm_above()
