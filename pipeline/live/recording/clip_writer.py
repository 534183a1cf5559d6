"""Write one event's clip in a thread, while the camera goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from pipeline.live.recording.drawing import clip_frame
from pipeline.live.recording.ring import Moment
from pose_extract.errors import GepcError
from pose_extract.skeletons import Skeleton
from pose_extract.video import VideoWriter

logger = logging.getLogger(__name__)

NEAR_S = 0.5  # people of frames so near are blurred in a frame too
_BACK_S = 3.0  # a moment so long before the last is of a clock that was set back
_MOST_WAITING = 300  # frames that may wait for the encoder
_LOWEST_FPS, _HIGHEST_FPS, _USUAL_FPS = 2.0, 30.0, 10.0


class ClipWriter(threading.Thread):
    """Turns moments into a video file, which appears under its name when it is whole.

    Args:
        path: the file.
        before: what is remembered from before the event.
        until: the clip ends then at the latest.
        privacy: "none", "blur" or "skeletons".
        skeleton: of the people's joints.

    Attributes:
        until: the clip ends then; may be brought forward.
        ended: no more moments are taken.
        dropped: frames that the encoder had no time for.
        failed: why there is no file; empty: it is there, or will be.
    """

    def __init__(
        self, path: Path, before: Sequence[Moment], until: datetime, privacy: str, skeleton: Skeleton
    ) -> None:
        super().__init__(name=f"clip-{path.stem}", daemon=True)
        self.path, self.until = path, until
        self.dropped = 0
        self.failed = ""
        self._before, self._privacy, self._skeleton = list(before), privacy, skeleton
        self._last = before[-1].at if before else None
        self._waiting: queue.Queue[Moment | None] = queue.Queue(_MOST_WAITING + 1)
        self.ended = self._give_up = False
        self.start()

    def add(self, moment: Moment) -> None:
        """Take the next moment; waits for nothing.

        One that is no later than the last is left out; a clock that is set back ends the clip, or it would wait until
        the clock has caught up.
        """
        if self.ended:
            return
        if self._last is not None and moment.at <= self._last:
            if self._last - moment.at > timedelta(seconds=_BACK_S):
                self.end()
            return
        self._last = moment.at
        if moment.at > self.until:
            self.end()
        elif self._waiting.qsize() >= _MOST_WAITING:
            self.dropped += 1
        else:
            self._waiting.put(moment)

    def end(self) -> None:
        """No more moments come."""
        if not self.ended:
            self.ended = True
            self._waiting.put(None)

    def abort(self) -> None:
        """End without a file."""
        self._give_up = True
        self.end()

    def run(self) -> None:
        """Encode."""
        try:
            self._write()
        except GepcError as error:
            self.failed = str(error)
            logger.warning("%s", error)
        except Exception as error:
            self.failed = f"unexpected {type(error).__name__}: {error}"
            logger.error("clip %s", self.path, exc_info=error)

    def _write(self) -> None:
        near: deque[Moment] = (
            deque()
        )  # those of NEAR_S before the next frame to write, and all that wait after it
        first: Moment | None = None
        writer: VideoWriter | None = None
        place = 0  # in `near`, of the next frame to write
        try:
            for moment in self._moments():
                if moment is not None:
                    near.append(moment)
                while place < len(near):
                    head = near[place]
                    if moment is not None and near[-1].at - head.at < timedelta(seconds=NEAR_S):
                        break  # who comes next may have to be covered in it too
                    if writer is None:
                        first = head
                        writer = VideoWriter(self.path, rate_of(self._before), head.size, quick=True)
                        size = head.size
                    assert first is not None
                    around = [m.people for m in near if abs(m.at - head.at) <= timedelta(seconds=NEAR_S)]
                    image = clip_frame(head, around, self._privacy, self._skeleton)
                    if head.size != size:
                        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
                    writer.write(image, (head.at - first.at).total_seconds())
                    place += 1
                while place and near[place - 1].at < near[-1].at - timedelta(seconds=2 * NEAR_S):
                    near.popleft()
                    place -= 1
                if self._give_up:
                    raise GepcError(f"{self.path} was given up: there was no time to finish it")
            if writer is None:
                raise GepcError(f"{self.path} was not written: there was no frame to write")
            writer.close()
        finally:
            if writer is not None:
                writer.abort()  # does nothing to a file that is whole

    def _moments(self) -> Iterator[Moment | None]:
        """What was before, then what comes, then None."""
        yield from self._before
        while (moment := self._waiting.get()) is not None:
            yield moment
        yield None


def rate_of(moments: Sequence[Moment]) -> float:
    """Frames a second of a clip: the usual step between moments, within what players play."""
    steps = np.diff([moment.at.timestamp() for moment in moments])
    if len(steps) < 2:
        return _USUAL_FPS
    return float(np.clip(round(1 / max(float(np.median(steps)), 1e-3), 2), _LOWEST_FPS, _HIGHEST_FPS))
