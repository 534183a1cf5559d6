"""Watch cameras: take their frames in turn, tell what happens, look after those that give nothing any more."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from pipeline.live.capture.feed import LiveFrame
from pipeline.live.capture.pace import Pace, Paced
from pipeline.live.events.record import LiveEvent
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.camera import Context, WatchedCamera
from pipeline.live.watching.involved import people_of, things_of
from pipeline.live.watching.judge import Told
from pipeline.live.watching.open_events import OpenEvents
from pose_extract.tracks.records import Frame, PoseDetections

logger = logging.getLogger(__name__)

_PATROL_S = 0.25  # between two looks at the cameras' states
_FIRST_PICTURE_S = 10.0
_KICK_AGAIN_S = 15.0  # that a new connection may take to give its first picture
_DELAYS = 1000  # of the latest events
_COMPLAIN_S = 60.0  # between two complaints about the same camera's frames


class Sinks(Protocol):
    """Where events go."""

    def send(self, event: LiveEvent, context: object = None) -> None:
        """Take an event, without waiting for anybody."""


class TakesEvents(Protocol):
    """Keeps events."""

    def add(self, event: LiveEvent) -> None:
        """Take an event that is over."""


class NoHistory:
    """Keeps nothing."""

    def add(self, event: LiveEvent) -> None:
        """Let the event go."""


class Watcher:
    """Judges the frames of cameras, one after the other, until it is told to stop or all recordings are over.

    Args:
        cameras: what is watched.
        live: how.
        sinks: where events go.
        open_events: those that go on, on disk.
        arrivals: told of every frame.
        recorder: takes every frame that is judged, the people in it, and the seconds that it took to find them; None:
            nobody wants them.
        patrol: called now and then.
        history: takes every event that is over; None: nobody wants them.
    """

    def __init__(
        self,
        cameras: Iterable[WatchedCamera],
        live: LiveSettings,
        sinks: Sinks,
        open_events: OpenEvents,
        arrivals: threading.Condition,
        recorder: Any = None,
        patrol: Callable[[], None] | None = None,
        history: TakesEvents | None = None,
    ) -> None:
        self.cameras = list(cameras)
        self.live, self.sinks = live, sinks
        self._open, self._arrivals, self.recorder = open_events, arrivals, recorder
        self._patrol_too = patrol
        self.history = history or NoHistory()
        self._stopping = threading.Event()
        self._turn = 0
        self._pace = Pace()
        self._looked_s = -np.inf

    def stop(self) -> None:
        """Ask for the end; `run` returns soon."""
        self._stopping.set()

    @property
    def stopped(self) -> bool:
        """Whether the end was asked for."""
        return self._stopping.is_set()

    def run(self) -> None:
        """Watch; ends what goes on before it returns."""
        self._end_what_was_left()
        for camera in self.cameras:
            if camera.capture.ident is None:
                camera.capture.start()
        try:
            while not self._stopping.is_set():
                self._patrol()
                found = self._next()
                if found is None:
                    if all(camera.done for camera in self.cameras):
                        break
                    with self._arrivals:
                        self._arrivals.wait(_PATROL_S / 2)
                    continue
                for camera, frame, people, took_s in self._together(*found):
                    camera.judging_s += took_s
                    with self._on_its_own(camera):
                        self._judge(camera, frame, people, took_s)
        finally:
            for camera in self.cameras:
                camera.capture.stop()
            for camera in self.cameras:
                self.leave(camera)

    def leave(self, camera: WatchedCamera) -> None:
        """Watch a camera no more: what goes on there is over."""
        camera.capture.stop()
        self._finish(camera, "shutdown")
        if camera.capture.ident is not None:
            camera.capture.join(2.0)

    def _next(self) -> tuple[WatchedCamera, LiveFrame] | None:
        """The frame of the camera whose turn it is, who has been served coming last; None: there is no frame."""
        for step in range(len(self.cameras)):
            place = (self._turn + step) % len(self.cameras)
            frame = self.cameras[place].capture.mailbox.take()
            if frame is not None:
                self._turn = place + 1
                return self.cameras[place], frame
        return None

    def _together(
        self, camera: WatchedCamera, frame: LiveFrame
    ) -> Iterator[tuple[WatchedCamera, LiveFrame, PoseDetections | None, float]]:
        """A frame, and those of other cameras that its estimator takes in the same batch; their people, and seconds.

        Only where frames of different videos may be in one batch; otherwise the frame alone, nobody being known yet.
        """
        first = None if camera.judge is None else camera.judge.estimator
        if first is None or not first.mixes or first.batch_size < 2:
            yield camera, frame, None, 0.0
            return
        batch = [(camera, frame)]
        for other in self.cameras:
            judge = other.judge
            # A twin shares the networks, and with them the one description of them.
            if other is camera or judge is None or judge.estimator.identity is not first.identity:
                continue
            if len(batch) < first.batch_size and other.frame_size == frame.size:
                waiting = other.capture.mailbox.take()
                batch += [(other, waiting)] if waiting is not None else []
        same = [each for each in batch if each[1].size == frame.size]
        began_s = time.monotonic()
        try:
            found = first.estimate([Frame(0, each.time_s, each.image) for _, each in same])
        except Exception as error:  # each is looked at alone, and whose frame it was is said
            logger.debug("a batch of frames failed", exc_info=error)
            same, found = [], []
        people = {camera.name: who for (camera, _), who in zip(same, found, strict=True)}
        took_s = (time.monotonic() - began_s) / len(batch)
        for each, picture in batch:
            yield each, picture, people.get(each.name), took_s

    @contextmanager
    def _on_its_own(self, camera: WatchedCamera) -> Iterator[None]:
        """Let nothing that fails for one camera trouble another; it is counted, and who was followed is forgotten."""
        try:
            yield
        except Exception as error:
            camera.failed += 1
            now = time.monotonic()
            if now - camera.complained_s > _COMPLAIN_S:
                camera.complained_s = now
                logger.error("camera %s: a frame could not be judged", camera.name, exc_info=error)
            if camera.judge is not None:
                camera.judge.abandon()
            event, camera.open_event = camera.open_event, None
            if event is not None:
                now_at = max(datetime.now().astimezone(), event.start_time)
                self._send(camera, replace(event, type="end", end_time=now_at, end_reason="error"), Context())

    def _judge(
        self, camera: WatchedCamera, frame: LiveFrame, people: PoseDetections | None, took_s: float
    ) -> None:
        start = time.monotonic()
        camera.frame_size = frame.size
        if frame.connection != camera.connection:
            camera.connection = frame.connection
            if camera.picture is not None:
                camera.picture.reconnected()
        seen = "online" if camera.picture is None else camera.picture.look(frame.image, frame.time_s)
        if camera.judge is None:
            self._change(camera, "no-model", camera.no_model)
        else:
            self._change(camera, seen, "" if camera.picture is None else camera.picture.reason)
        if camera.judge is None or seen != "online":
            camera.unjudged += 1
            return
        for told in camera.judge.take(frame, people):
            self._tell(camera, told, "quiet")
        if self.recorder is not None:
            judge = camera.judge
            self.recorder.push(camera.name, frame, judge.people, judge.skeleton, judge.took_s + took_s)
        camera.judging_s += time.monotonic() - start

    def _patrol(self) -> None:
        now = time.monotonic()
        if now - self._looked_s < _PATROL_S:
            return
        self._looked_s = now
        self._pace.look([Paced(camera.capture.mailbox, camera.judging_s) for camera in self.cameras], now)
        for camera in self.cameras:
            capture = camera.capture
            if camera.done:  # its recordings are over, though others go on
                self._finish(camera, "shutdown")
            elif camera.open_event is not None and camera.limits.holds(camera.open_event):
                self._send(camera, camera.open_event, camera.context)  # nothing may keep it back by now
            if not capture.mailbox.drop:  # a recording, whose frames come when they come
                continue
            # The first picture may take longer, unless it is known why there is none.
            first = not capture.received and not capture.trouble
            patience_s = max(self.live.lost_after_s, _FIRST_PICTURE_S) if first else self.live.lost_after_s
            if capture.finished or len(capture.mailbox) or capture.age_s < patience_s:
                continue
            why = capture.trouble or f"no picture for {self.live.lost_after_s:g} s"
            self._change(camera, "lost", why)
            tried_s = max(camera.kicked_s, capture.began_s)
            if now - tried_s > max(self.live.lost_after_s, _KICK_AGAIN_S):
                camera.kicked_s = now
                capture.kick()
        if self._patrol_too is not None:
            self._patrol_too()

    def _change(self, camera: WatchedCamera, state: str, why: str) -> None:
        """Tell that a camera's state is another one, if it is."""
        if state == camera.state:
            return
        before, camera.state = camera.state, state
        if state == "online":
            camera.kicked_s = -np.inf
        if before == "online":  # nobody is judged any more: what went on there is over
            self._finish(camera, "lost")
        logger.log(
            logging.INFO if state == "online" else logging.WARNING,
            "camera %s is %s%s", camera.name, state, f": {why}" if why else "",
        )  # fmt: skip
        now = datetime.now().astimezone()
        event = LiveEvent(
            type="new",
            kind="state",
            id=_new_id(camera.name, now),
            camera=camera.name,
            start_time=now,
            state=state,
            reasons=(why,) if why else (),
            model_id=camera.model_id,
        )
        self.sinks.send(event, Context(frame_size=camera.frame_size))

    def _finish(self, camera: WatchedCamera, reason: str) -> None:
        if camera.judge is not None:
            with self._on_its_own(camera):
                for told in camera.judge.finish():
                    self._tell(camera, told, reason)

    def _tell(self, camera: WatchedCamera, told: Told, reason: str) -> None:
        """Send an event, or news of it."""
        known = camera.open_event
        start = told.start if known is None else known.start_time
        event = LiveEvent(
            type=told.type,
            kind="anomaly",
            id=_new_id(camera.name, told.start) if known is None else known.id,
            camera=camera.name,
            start_time=start,
            end_time=max(told.end, start) if told.type == "end" else None,  # the clock may have been set back
            score=told.event.score,
            percentile=told.event.percentile,
            threshold=told.threshold,
            people=people_of(told.event),
            things=things_of(told.event),
            reasons=told.reasons,
            zone=_zone(camera, told),
            end_reason=("long" if told.cut else reason) if told.type == "end" else None,
            model_id=camera.model_id,
        )
        camera.open_event = None if told.type == "end" else event
        camera.context = Context(told, camera.frame_size)
        self._send(camera, event, camera.context)

    def _send(self, camera: WatchedCamera, event: LiveEvent, context: Context) -> None:
        """Send it unless a rule keeps it back; what is open is on disk before it is sent, what is over after it was."""
        sent = camera.limits.let_through(event, datetime.now().astimezone())
        if sent is None:
            return
        late, event = sent is not event, sent  # late: it was kept back at its beginning
        if late:  # no delay is counted: it would be since the event's first frame
            camera.events += 1
        elif event.type == "new" and context.told is not None:
            delay_s = time.monotonic() - context.told.arrived_s
            camera.delays_s = [*camera.delays_s[1 - _DELAYS :], delay_s]
            camera.events += 1
            context = replace(context, delay_s=delay_s)
        if event.type != "end":
            self._open.put(event)
        self.sinks.send(event, context)
        self._open.told(event)
        if event.type == "end":
            self._open.remove(event)
            self.history.add(event)

    def _end_what_was_left(self) -> None:
        """Events that an earlier run could not end; the same id makes a beginning that was told twice harmless."""
        for left in self._open.left:
            event = left.event
            now = max(datetime.now().astimezone(), event.start_time)
            logger.warning("event %s of camera %s was left open: it is ended", event.id, event.camera)
            if not left.told:
                self.sinks.send(replace(event, type="new"), Context())
            event = replace(event, type="end", end_time=now, end_reason="restart")
            self.sinks.send(event, Context())
            self.history.add(event)
        self._open.close_left()


def _zone(camera: WatchedCamera, told: Told) -> str | None:
    """Where the person stands, or the thing, that an event is about first."""
    boxes = told.event.thing_boxes if told.event.things else told.event.boxes
    if camera.frame_size is None or not len(boxes):
        return None
    return camera.zones.place(boxes[:1], camera.frame_size)[2][0]


def _new_id(camera: str, at: datetime) -> str:
    return f"{camera}-{at.astimezone().strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:8]}"
