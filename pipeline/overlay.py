"""The overlay video: skeletons and boxes coloured by anomaly, and below the picture the score over time.

Knows nothing of models: it draws plain arrays, percentiles 0..1 among normal behaviour and alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.drawing import TEXT, UNKNOWN, Colour, anomaly_colour, draw_lines, draw_people, write_text
from pose_extract.errors import ConfigError
from pose_extract.records import ClipTracks
from pose_extract.skeleton import Skeleton
from pose_extract.skeletons import SKELETONS
from pose_extract.sources import VideoSource
from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video_writer import VideoWriter

_PANEL: Colour = (32, 28, 26)
_GRID: Colour = (70, 64, 60)
_ALARM: Colour = (40, 40, 235)
_SHADE: Colour = (60, 45, 110)


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay looks.

    Attributes:
        min_confidence: joints below this confidence, 0..1, and their bones are not drawn.
        seconds_shown: the score curve shows this many seconds around the current one, the whole clip if it is shorter.
        panel: height of the panel with the score below the picture, as a share of the picture's height; 0: no panel.
        draw_ids: whether to write each person's track id above the box.
        audio: whether to keep the sound of the source.
    """

    min_confidence: float = 0.3
    seconds_shown: float = 60.0
    panel: float = 0.16
    draw_ids: bool = True
    audio: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ConfigError(f"overlay.min_confidence: expected 0..1, got {self.min_confidence}")
        if not self.seconds_shown > 0:
            raise ConfigError(
                f"overlay.seconds_shown: expected more than 0 seconds, got {self.seconds_shown}"
            )
        if not 0 <= self.panel <= 1:
            raise ConfigError(f"overlay.panel: expected a share of 0..1, got {self.panel}")


def clock_text(seconds: float) -> str:
    """``seconds`` as minutes:seconds, or hours:minutes:seconds, cut to tenths."""
    tenths = int(seconds * 10 + 1e-6)
    minutes, rest = divmod(tenths, 600)
    text = f"{minutes % 60:02}:{rest // 10:02}.{rest % 10}"
    return f"{minutes // 60}:{text}" if minutes >= 60 else text.removeprefix("0")


class ScorePanel:
    """The strip below the picture: time, alarm state, score bar, and the curve of the percentile over time.

    Args:
        width: pixels.
        height: pixels.
        time_s: (F,) time of each frame in seconds.
        percentile: (F,) score of each frame as a percentile 0..1 of normal frames; NaN: none.
        alarm: (F,) bool.
        seconds_shown: how much of the time axis is shown at once.
    """

    def __init__(
        self,
        width: int,
        height: int,
        time_s: NDArray[np.floating],
        percentile: NDArray[np.floating],
        alarm: NDArray[np.bool_],
        seconds_shown: float = 60.0,
    ) -> None:
        self._time, self._percentile, self._alarm = time_s, percentile, alarm
        self._size = (width, height)
        self._margin = max(2, height // 10)
        self._left = min(width // 3, round(height * 2.2))  # the words stand left of the curve
        self._seconds = seconds_shown
        self._window: tuple[float, float] | None = None
        self._canvas = np.empty((height, width, 3), np.uint8)

    def draw(self, index: int) -> NDArray[np.uint8]:
        """(height, width, 3) BGR panel for frame ``index``."""
        now, last = float(self._time[index]), float(self._time[-1])
        span = min(self._seconds, max(last, 1e-6))
        start = float(np.clip(now - span / 2, 0.0, max(0.0, last - span)))
        x1, _, x2, _ = self._curve_area()
        start -= start % (span / (x2 - x1))  # scrolls by whole pixels, so not every frame plots anew
        if self._window != (start, span):  # a clip that fits in the window is plotted only once
            self._window = (start, span)
            self._plot(start, span)
        image = self._canvas.copy()
        self._mark_now(image, index, (now - start) / span)
        self._words(image, index, now)
        return image

    def _curve_area(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 of the curve in the panel."""
        width, height = self._size
        bar = max(4, height // 8)
        return (
            self._left,
            self._margin,
            max(self._left + 1, width - 3 * self._margin - bar),
            height - self._margin,
        )

    def _plot(self, start: float, span: float) -> None:
        """The curve between ``start`` and ``start + span`` seconds, alarms shaded, into the canvas."""
        x1, y1, x2, y2 = self._curve_area()
        self._canvas[:] = _PANEL
        for level in (0.0, 0.5, 1.0):
            y = round(y2 - level * (y2 - y1))
            cv2.line(self._canvas, (x1, y), (x2, y), _GRID, 1)
        first, past = np.searchsorted(self._time, (start, start + span), side="left")
        end = min(len(self._time), int(past) + 1)
        column = (x1 + (self._time[first:end] - start) / span * (x2 - x1)).astype(int).clip(x1, x2)
        column, at = np.unique(column, return_index=True)  # of the frames in one column the highest is drawn
        values = np.fmax.reduceat(self._percentile[first:end], at)
        alarm = np.logical_or.reduceat(self._alarm[first:end], at)
        rights = np.append(column[1:], column[-1] + 1)
        for left, right in zip(column[alarm], rights[alarm], strict=True):
            self._canvas[y1 : y2 + 1, left:right] = _SHADE
        points = np.column_stack((column, y2 - np.clip(np.nan_to_num(values), 0.0, 1.0) * (y2 - y1)))
        thick = max(1, self._size[1] // 60)
        known = np.isfinite(values[:-1]) & np.isfinite(values[1:])
        pieces = np.stack((points[:-1], points[1:]), axis=1)[known]  # (pieces, 2 ends, x y)
        shades = np.round(np.maximum(values[:-1], values[1:])[known], 2)
        for shade in np.unique(shades):  # all pieces of a colour at once
            draw_lines(self._canvas, pieces[shades == shade], anomaly_colour(float(shade)), thick)

    def _mark_now(self, image: NDArray[np.uint8], index: int, share: float) -> None:
        """The line at the present moment, and the bar that shows its value."""
        x1, y1, x2, y2 = self._curve_area()
        x = round(x1 + share * (x2 - x1))
        cv2.line(image, (x, y1), (x, y2), TEXT, max(1, self._size[1] // 80))
        left, right = x2 + self._margin, self._size[0] - self._margin
        cv2.rectangle(image, (left, y1), (right, y2), _GRID, -1)
        value = float(self._percentile[index])
        if np.isfinite(value):
            top = round(y2 - np.clip(value, 0.0, 1.0) * (y2 - y1))
            cv2.rectangle(image, (left, top), (right, y2), anomaly_colour(value), -1)

    def _words(self, image: NDArray[np.uint8], index: int, now: float) -> None:
        height = self._size[1]
        letter = max(7, round(height * 0.16))
        x, step = self._margin, (height - 2 * self._margin - letter) / 2
        baselines = [round(self._margin + letter + i * step) for i in range(3)]
        write_text(image, clock_text(now), (x, baselines[0]), letter)
        value = float(self._percentile[index])
        text = f"score {100 * value:.1f} %" if np.isfinite(value) else "score -"
        write_text(image, text, (x, baselines[1]), letter, anomaly_colour(value))
        if self._alarm[index]:
            pad = max(1, letter // 3)
            plate = self._left - 3 * self._margin
            top = baselines[2] - letter - pad
            cv2.rectangle(image, (x - pad, top), (x + plate, baselines[2] + pad), _ALARM, -1)
            write_text(image, "ALARM", (x, baselines[2]), letter, (255, 255, 255))
        else:
            write_text(image, "normal", (x, baselines[2]), letter, UNKNOWN)


def write_overlay(
    source: VideoSource | str | Path,
    tracks: ClipTracks,
    path: str | Path,
    *,
    percentile: NDArray[np.floating],
    alarm: NDArray[np.bool_],
    row_percentile: NDArray[np.floating],
    video: VideoSettings | None = None,
    settings: OverlaySettings | None = None,
    skeleton: Skeleton | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a video of ``source`` with its people and scores drawn in; memory does not grow with its length.

    Args:
        source: the clip that the tracks come from.
        tracks: its people; M rows, F frames.
        path: the mp4 to write.
        percentile: (F,) each frame's score as a percentile 0..1 of normal frames.
        alarm: (F,) bool, whether each frame raises the alarm.
        row_percentile: (M,) the same scale for each person and frame; NaN: not scored.
        video: the settings that the tracks were extracted with; ``fps`` must be the same, ``max_side`` may differ.
        settings: how it looks.
        skeleton: the tracks' own, if it does not come with the package. Of one that nobody knows, joints are drawn
            without bones.
        progress: called after every frame with the number of frames done.

    Returns:
        the number of frames read.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the overlay cannot be written.
        ValueError: an array has another length than the tracks.
    """
    settings = settings or OverlaySettings()
    percentile, row_percentile = np.asarray(percentile, np.float64), np.asarray(row_percentile, np.float64)
    alarm = np.asarray(alarm, bool)
    for name, array, length in (
        ("percentile", percentile, tracks.frame_count),
        ("alarm", alarm, tracks.frame_count),
        ("row_percentile", row_percentile, len(tracks)),
    ):
        if array.shape != (length,):
            raise ValueError(f"write_overlay: expected {name} of shape ({length},), got {array.shape}")
    if skeleton is None or skeleton.name != tracks.skeleton:
        skeleton = SKELETONS.get(tracks.skeleton) or _without_bones(tracks)
    starts = np.searchsorted(tracks.frame, np.arange(tracks.frame_count + 1))
    done = 0
    with VideoReader(source, video) as reader:
        width, height = reader.info.frame_size
        ratio = np.array((width / tracks.frame_size[0], height / tracks.frame_size[1]))
        panel_height = 2 * round(height * settings.panel / 2)
        panel = (
            ScorePanel(width, panel_height, tracks.time_s, percentile, alarm, settings.seconds_shown)
            if panel_height
            else None
        )
        canvas = np.empty((height + panel_height, width, 3), np.uint8)
        sound = reader.source.path if settings.audio and reader.info.has_audio else None
        with VideoWriter(path, tracks.fps, (width, height + panel_height), audio_from=sound) as writer:
            for frame in reader:
                canvas[:height] = frame.image
                if frame.index < tracks.frame_count:
                    rows = slice(starts[frame.index], starts[frame.index + 1])
                    keypoints = tracks.keypoints[rows].astype(np.float64)
                    keypoints[..., :2] *= ratio
                    boxes = tracks.boxes[rows] * np.tile(ratio, 2)
                    if keypoints.shape[2] == 4:
                        keypoints[~_in_pixels(keypoints, boxes), :, -1] = 0.0
                    ids = tracks.track[rows] if settings.draw_ids else None
                    draw_people(
                        canvas[:height],
                        keypoints,
                        boxes,
                        ids,
                        row_percentile[rows],
                        skeleton,
                        settings.min_confidence,
                    )
                    if alarm[frame.index]:
                        border = max(2, round(height / 160))
                        cv2.rectangle(canvas, (0, 0), (width - 1, height - 1), _ALARM, border)
                if panel is not None and tracks.frame_count:
                    canvas[height:] = panel.draw(min(frame.index, tracks.frame_count - 1))
                writer.write(canvas, frame.time_s)
                done += 1
                if progress is not None:
                    progress(done)
    return done


def _without_bones(tracks: ClipTracks) -> Skeleton:
    count = tracks.keypoints.shape[1]
    return Skeleton(
        tracks.skeleton, tuple(map(str, range(count))), (), 0, tuple(range(count)), (1.0,) * count
    )


def _in_pixels(keypoints: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whose joints in space (P, V, 4) lie about their boxes (P, 4), and so are pixels; a Kinect's are metres."""
    missing = (keypoints[..., -1] <= 0) | ~np.isfinite(keypoints).all(axis=2)
    xy = np.ma.masked_array(keypoints[..., :2], np.repeat(missing[..., None], 2, axis=2))
    middle = xy.mean(axis=1).filled(np.nan)
    return np.asarray(((middle >= boxes[:, :2]) & (middle <= boxes[:, 2:])).all(axis=1))
