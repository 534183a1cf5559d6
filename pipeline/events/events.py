"""Find events, the stretches of alarms of a clip, each with its peak and its people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomaly.evaluation.intervals import frame_seconds, runs_of
from anomaly.scoring.scores import ClipScores, FrameScores
from anomaly.settings.scoring import CAUSES, FLOW, STAYS, THINGS
from pipeline.events.settings import EventSettings
from pose_extract.tracks.clip_time import after_holes, longest_step
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import KINDS, PERSON

CULPRIT_SHARE = 0.1
_OF_PEOPLE = (CAUSES.index("movement"), CAUSES.index(STAYS))  # causes that are about somebody
_ROUNDING_S = 1e-6  # times are sums of fractions: a gap of exactly the limit is not above it


def in_words(cause: str, kind: int | None = None) -> str:
    """What a cause is in a few words; empty for how somebody moves.

    Args:
        cause: of `CAUSES`.
        kind: of `KINDS`, what the thing is that is the cause.
    """
    if cause == THINGS and kind is not None:
        return f"{KINDS[kind]}, unusual here"
    return {
        STAYS: "somebody stays unusually long here",
        FLOW: "many move as they usually do not here",
    }.get(cause, "")


def spans(
    time_s: NDArray[np.float64], end_s: NDArray[np.float64], alarm: NDArray[np.bool_], settings: EventSettings
) -> list[tuple[int, int]]:
    """The events that alarms become, by the rule of `EventFinder`: first frame, frame after the last.

    Args:
        time_s: (F,) when each frame is shown.
        end_s: (F,) until when.
        alarm: (F,) whether its alarm is on.
        settings: the rule.
    """
    hole = time_s[1:] - end_s[:-1] > 1e-6  # nothing goes on through a hole in the clip's time
    begins = np.flatnonzero(hole) + 1
    runs = np.array(runs_of(alarm, begins), np.int64).reshape(-1, 2)
    if not len(runs):
        return []
    gaps = time_s[runs[1:, 0]] - end_s[runs[:-1, 1] - 1]
    through = np.append(0, np.cumsum(hole))
    apart = through[runs[1:, 0]] > through[runs[:-1, 1] - 1]
    cut = np.flatnonzero((gaps > settings.merge_gap_s + 1e-6) | apart)
    first, stop = runs[np.append(0, cut + 1), 0], runs[np.append(cut, len(runs) - 1), 1]
    long = end_s[stop - 1] - time_s[first] >= settings.min_s - 1e-6
    return list(zip(first[long].tolist(), stop[long].tolist(), strict=True))


@dataclass(frozen=True)
class Event:
    """A stretch of a clip in which alarms are on, short gaps included.

    Attributes:
        start_frame: its first frame, from 0.
        end_frame: the frame after its last.
        start_s: when its first frame is shown, in seconds of the clip.
        end_s: when its last frame is no longer shown.
        peak_frame: the frame with the highest score; the first of equals.
        peak_s: when that is shown.
        score: the score of the peak.
        percentile: its percentile, 0 to 100.
        people: track ids of those who are scored in its alarm frames, the one with the highest score first.
        people_percentile: (P,) percentile of each one's highest score there, 0 to 100, among held-out normal people.
        boxes: (P, 4) their boxes at the peak, x1 y1 x2 y2 in pixels; NaN of who is not in that frame.
        culprits: who of them the alarm is about: where it is about movement the first, and whoever is the most unusual
            person, or stays, in a tenth of the alarm frames; the others are bystanders. Nobody where it is about a
            thing or a crowd.
        cause: what the alarm is about in most of its frames, of `CAUSES`.
        things: ids of the things that it is about, the one in most frames first.
        thing_kinds: what each one is, of `KINDS`.
        thing_boxes: (T, 4) their boxes where each was seen nearest to the peak, as those of people.
    """

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    peak_frame: int
    peak_s: float
    score: float
    percentile: float
    people: tuple[int, ...]
    people_percentile: NDArray[np.float64]
    boxes: NDArray[np.float64]
    culprits: tuple[int, ...] = ()
    cause: str = CAUSES[0]
    things: tuple[int, ...] = ()
    thing_kinds: tuple[int, ...] = ()
    thing_boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))

    @property
    def about(self) -> str:
        """What it is about in a few words; empty where it is how somebody moves."""
        return in_words(self.cause, self.thing_kinds[0] if self.thing_kinds else None)

    @property
    def length_s(self) -> float:
        """How long it lasts, in seconds."""
        return self.end_s - self.start_s


class EventFinder:
    """Finds events in a clip that comes part by part, as `pipeline.scoring.chunks.score_chunks` gives it.

    It keeps one unfinished event; memory grows with the people of that one only.

    Args:
        fps: frame rate of the clip: how long its last frame is shown.
        settings: how alarms become events; the defaults if left out.
    """

    def __init__(self, fps: float, settings: EventSettings | None = None) -> None:
        self.settings = settings or EventSettings()
        self._fps, self._longest = fps, longest_step(fps)
        self._open: _Unfinished | None = None
        self._last_s = np.inf
        self._hole_s = -np.inf  # when the latest hole ended: what was before does not go on

    def add(
        self, begin: int, part: ClipTracks, scores: ClipScores, alarm: NDArray[np.bool_] | None = None
    ) -> list[Event]:
        """Take in the next part of the clip; returns the events that are complete with it.

        Args:
            begin: first frame of the part.
            part: its cleaned tracks; frames count from the part's first, times are the clip's.
            scores: its scores.
            alarm: (F,) to be used in place of the scores' own alarms.
        """
        frames = scores.frames
        if not len(frames):
            return []
        done = []
        ends = frames.time_s + frame_seconds(frames.time_s, self._fps)
        whole = frames.time_s[0] - self._last_s <= self._longest
        if not whole:
            self._hole_s = float(frames.time_s[0])
        elif (
            self._open is not None and self._open.end_frame == begin
        ):  # now it is known how long its last one was
            self._open.end_s = float(frames.time_s[0])
        self._last_s = float(frames.time_s[-1])
        begins = after_holes(frames.time_s, self._fps)
        for first, stop in runs_of(frames.alarm if alarm is None else alarm, begins):
            if len(earlier := begins[begins <= first]):
                self._hole_s = float(frames.time_s[earlier[-1]])
            run = _Unfinished(begin + first, begin + stop, float(frames.time_s[first]), float(ends[stop - 1]))
            run.update(begin, first, stop, part, scores)
            if self._open is not None and not self._apart(run.start_s):
                self._open.absorb(run)
            else:
                done += self._close()
                self._open = run
        if len(begins):  # also one after the part's last alarm
            self._hole_s = float(frames.time_s[begins[-1]])
        if self._open is not None and self._apart(float(frames.time_s[-1])):
            done += self._close()
        return done

    def finish(self) -> list[Event]:
        """The clip's last event, if it was not complete yet."""
        return self._close()

    @property
    def unfinished(self) -> Event | None:
        """The event that still goes on, as it is so far; None if there is none, or if it is too short as yet."""
        event = self._open
        if event is None or event.end_s - event.start_s < self.settings.min_s - _ROUNDING_S:
            return None
        return event.finished(self.settings.most_people)

    @property
    def begun_s(self) -> float | None:
        """When the unfinished event began, however short it is; None if there is none."""
        return None if self._open is None else self._open.start_s

    def _apart(self, start_s: float) -> bool:
        """Whether alarms that begin then are no longer part of the unfinished event."""
        assert self._open is not None
        late = start_s - self._open.end_s > self.settings.merge_gap_s + _ROUNDING_S
        return late or self._open.start_s < self._hole_s <= start_s

    def _close(self) -> list[Event]:
        event, self._open = self._open, None
        if event is None or event.end_s - event.start_s < self.settings.min_s - _ROUNDING_S:
            return []
        return [event.finished(self.settings.most_people)]


@dataclass
class _Unfinished:
    """An event in the making: `Event`'s fields, and for each person the highest score and its percentile."""

    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    peak_frame: int = -1
    peak_s: float = np.nan
    score: float = -np.inf
    percentile: float = np.nan
    people: dict[int, tuple[float, float]] = field(default_factory=dict)
    boxes: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    worst: Counter[int] = field(
        default_factory=Counter
    )  # of how many alarm frames each was the most unusual person
    causes: Counter[int] = field(default_factory=Counter)  # how many alarm frames are about what
    things: Counter[int] = field(default_factory=Counter)  # of how many alarm frames each thing is the cause
    sights: dict[int, tuple[int, NDArray[np.float64]]] = field(default_factory=dict)  # their kinds and boxes

    def update(self, begin: int, first: int, stop: int, part: ClipTracks, scores: ClipScores) -> None:
        """See what is in the frames first..stop-1 of a part of the clip, which begins at frame ``begin``."""
        frames: FrameScores = scores.frames
        peak = first + int(np.argmax(frames.score[first:stop]))
        self.peak_frame, self.peak_s = begin + peak, float(frames.time_s[peak])
        self.score, self.percentile = float(frames.score[peak]), float(frames.percentile[peak])
        low, high = np.searchsorted(part.frame, [peak, peak + 1])
        self.boxes = {
            int(track): np.asarray(box, np.float64)
            for track, box in zip(part.track[low:high], part.boxes[low:high], strict=True)
        }
        of_people = np.isin(frames.cause[first:stop], _OF_PEOPLE)
        self.worst.update(np.asarray(frames.track_id[first:stop])[of_people].tolist())
        self.causes.update(np.asarray(frames.cause[first:stop]).tolist())
        self.things.update(i for i in np.asarray(frames.thing_id[first:stop]).tolist() if i)
        self._see_things(first, stop, peak, part)
        low, high = np.searchsorted(part.frame, [first, stop])
        score, track = scores.row_score[low:high], part.track[low:high]
        scored = np.flatnonzero(~np.isnan(score))
        rows = scored[np.lexsort((score[scored], track[scored]))]  # each person's highest comes last
        for row in rows[np.flatnonzero(np.diff(track[rows], append=-1))]:
            self.people[int(track[row])] = float(score[row]), float(scores.row_percentile[low + row])

    def _see_things(self, first: int, stop: int, peak: int, part: ClipTracks) -> None:
        if part.things is None or not self.things:
            return
        rows = np.arange(*np.searchsorted(part.things.frame, [first, stop]))
        away = np.abs(part.things.frame[rows] - peak)
        seen = part.things.things.select(
            rows[np.argsort(-away, kind="stable")]
        )  # what is nearest to it stays
        for i, kind, box in zip(seen.ids.tolist(), seen.kinds.tolist(), seen.boxes, strict=True):
            if i in self.things and kind != PERSON:
                self.sights[i] = kind, np.asarray(box, np.float64)

    def absorb(self, later: _Unfinished) -> None:
        """Become one with a later one."""
        self.end_frame, self.end_s = later.end_frame, later.end_s
        self.sights = {**later.sights, **self.sights}
        if later.score > self.score:
            self.sights |= later.sights
            self.peak_frame, self.peak_s = later.peak_frame, later.peak_s
            self.score, self.percentile, self.boxes = later.score, later.percentile, later.boxes
        self.worst += later.worst
        self.causes += later.causes
        self.things += later.things
        for track, found in later.people.items():
            self.people[track] = max(found, self.people.get(track, found))

    def finished(self, most_people: int) -> Event:
        worst = sorted(self.people, key=lambda track: (-self.people[track][0], track))[:most_people]
        nowhere = np.full(4, np.nan)
        enough = CULPRIT_SHARE * sum(self.worst.values())
        cause = max(self.causes, key=lambda cause: (self.causes[cause], -cause), default=0)
        culprits = tuple(t for i, t in enumerate(worst) if (i == 0 and not cause) or self.worst[t] > enough)
        if cause not in _OF_PEOPLE:
            culprits = ()
        things = [i for i, _ in self.things.most_common() if i in self.sights][:most_people]
        return Event(
            self.start_frame,
            self.end_frame,
            self.start_s,
            self.end_s,
            self.peak_frame,
            self.peak_s,
            self.score,
            self.percentile,
            tuple(worst),
            np.array([self.people[track][1] for track in worst], np.float64),
            np.array([self.boxes.get(track, nowhere) for track in worst], np.float64).reshape(-1, 4),
            culprits,
            CAUSES[cause],
            tuple(things),
            tuple(self.sights[i][0] for i in things),
            np.array([self.sights[i][1] for i in things], np.float64).reshape(-1, 4),
        )
