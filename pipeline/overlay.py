"""The overlay video: skeletons and boxes coloured by anomaly, and below the picture the score over time.

Knows nothing of models: it draws plain arrays, percentiles 0..1 among normal behaviour and alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pose_extract.errors import ConfigError
from pose_extract.records import ClipTracks
from pose_extract.skeletons import Skeleton, get_skeleton
from pose_extract.sources import VideoSource
from pose_extract.video import VideoReader, VideoSettings
from pose_extract.video_writer import VideoWriter

Colour = tuple[int, int, int]

# Percentiles of normal people spread evenly over 0..1, so green reaches far up: a normal scene must look green.
_SCALE_AT = (0.0, 0.6, 0.85, 0.95, 1.0)
_SCALE_BGR = ((80, 190, 60), (70, 205, 120), (40, 210, 245), (20, 130, 250), (40, 40, 235))
_UNKNOWN: Colour = (170, 170, 170)
_TEXT: Colour = (240, 240, 240)
_PANEL: Colour = (32, 28, 26)
_GRID: Colour = (70, 64, 60)
_ALARM: Colour = (40, 40, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS = 4  # drawing coordinates are sixteenths of a pixel: joints do not jitter by rounding


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


def anomaly_colour(anomaly: float) -> Colour:
    """BGR colour of a percentile: green for what is usual, yellow at 0.85 and red at 1; grey for NaN (not scored)."""
    if not np.isfinite(anomaly):
        return _UNKNOWN
    blue, green, red = (np.interp(anomaly, _SCALE_AT, channel) for channel in zip(*_SCALE_BGR, strict=True))
    return round(blue), round(green), round(red)


def _points(xy: ArrayLike) -> NDArray[np.int32]:
    """Pixels to OpenCV's fixed-point drawing coordinates; far outside values clipped so that they fit."""
    return np.round(np.clip(np.asarray(xy, np.float64), -1e5, 1e5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _line(image: NDArray[np.uint8], a: ArrayLike, b: ArrayLike, colour: Colour, width: int) -> None:
    start, end = _points(a), _points(b)
    cv2.line(image, tuple(start.tolist()), tuple(end.tolist()), colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)


def _write(
    image: NDArray[np.uint8], text: str, at: tuple[int, int], height: int, colour: Colour = _TEXT
) -> int:
    """Write ``text`` with capitals ``height`` pixels high, ``at`` its bottom left corner; returns its width."""
    width = max(1, round(height / 11))
    scale = cv2.getFontScaleFromHeight(_FONT, height, width)
    cv2.putText(image, text, at, _FONT, scale, colour, width, cv2.LINE_AA)
    return int(cv2.getTextSize(text, _FONT, scale, width)[0][0])


def draw_people(
    image: NDArray[np.uint8],
    keypoints: NDArray[np.floating],
    boxes: NDArray[np.floating],
    ids: NDArray[np.integer] | None,
    anomalies: NDArray[np.floating],
    skeleton: Skeleton,
    min_confidence: float = 0.3,
) -> None:
    """Draw P people into ``image``, the most abnormal last, so on top.

    Args:
        image: (H, W, 3) BGR uint8, changed in place. Line widths follow its height.
        keypoints: (P, V, 3) x px, y px, confidence (or (P, V, 4) with a z before the confidence).
        boxes: (P, 4) x1 y1 x2 y2 px.
        ids: (P,) track ids to write above the boxes, or None.
        anomalies: (P,) percentiles 0..1; NaN: not scored.
        skeleton: what the V joints are.
        min_confidence: joints below it are left out.
    """
    thin = max(1, round(image.shape[0] / 480))
    letter = max(8, round(image.shape[0] / 45))
    for row in np.argsort(np.nan_to_num(anomalies, nan=-1.0), kind="stable"):
        colour = anomaly_colour(float(anomalies[row]))
        x1, y1, x2, y2 = boxes[row]
        if np.isfinite(boxes[row]).all():
            start, end = _points((x1, y1)), _points((x2, y2))
            cv2.rectangle(
                image, tuple(start.tolist()), tuple(end.tolist()), colour, thin, cv2.LINE_AA, _SUBPIXEL_BITS
            )
        xy, confidence = keypoints[row, :, :2], keypoints[row, :, -1]
        seen = (confidence >= min_confidence) & (confidence > 0) & np.isfinite(xy).all(axis=1)
        # Widths follow the image, but a small person must not vanish under the lines.
        bone = max(1, round(min(image.shape[0] / 240, (y2 - y1) / 40))) if np.isfinite(y2 - y1) else thin
        bones = [(a, b) for a, b in skeleton.edges if seen[a] and seen[b]]
        for a, b in bones:  # a dark rim keeps the lines visible on any background
            _line(image, xy[a], xy[b], (20, 20, 20), bone + 2 * thin)
        for a, b in bones:
            _line(image, xy[a], xy[b], colour, bone)
        for point in xy[seen]:
            centre = tuple(_points(point).tolist())
            cv2.circle(
                image,
                centre,
                (bone + thin) << (_SUBPIXEL_BITS - 1),
                (255, 255, 255),
                -1,
                cv2.LINE_AA,
                _SUBPIXEL_BITS,
            )
        if ids is not None and np.isfinite(boxes[row]).all():
            _label(image, str(int(ids[row])), float(x1), float(y1), letter, colour)


def _label(image: NDArray[np.uint8], text: str, x: float, y: float, letter: int, colour: Colour) -> None:
    """``text`` on a small plate that stands on the point (x, y), kept inside the image."""
    pad = max(2, letter // 3)
    width = max(1, round(letter / 11))
    scale = cv2.getFontScaleFromHeight(_FONT, letter, width)
    plate = (cv2.getTextSize(text, _FONT, scale, width)[0][0] + 2 * pad, letter + 2 * pad)
    left = int(np.clip(round(x), 0, max(0, image.shape[1] - plate[0])))
    top = int(np.clip(round(y) - plate[1], 0, max(0, image.shape[0] - plate[1])))
    cv2.rectangle(image, (left, top), (left + plate[0], top + plate[1]), colour, -1)
    _write(image, text, (left + pad, top + plate[1] - pad), letter, (20, 20, 20))


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
        x = x1 + (self._time[first:end] - start) / span * (x2 - x1)
        values, alarm = self._percentile[first:end], self._alarm[first:end]
        for i in map(int, np.flatnonzero(alarm)):
            right = x[i + 1] if i + 1 < len(x) else x[i] + 1
            area = self._canvas[y1 : y2 + 1, int(x[i]) : max(int(right), int(x[i]) + 1)]
            area[:] = (60, 45, 110)
        y = y2 - np.clip(np.nan_to_num(values), 0.0, 1.0) * (y2 - y1)
        thick = max(1, self._size[1] // 60)
        for i in range(len(x) - 1):
            if np.isfinite(values[i]) and np.isfinite(values[i + 1]):
                colour = anomaly_colour(float(max(values[i], values[i + 1])))
                _line(self._canvas, (x[i], y[i]), (x[i + 1], y[i + 1]), colour, thick)

    def _mark_now(self, image: NDArray[np.uint8], index: int, share: float) -> None:
        """The line at the present moment, and the bar that shows its value."""
        x1, y1, x2, y2 = self._curve_area()
        x = round(x1 + share * (x2 - x1))
        cv2.line(image, (x, y1), (x, y2), _TEXT, max(1, self._size[1] // 80))
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
        minutes, seconds = divmod(now, 60)
        _write(image, f"{int(minutes)}:{seconds:04.1f}", (x, baselines[0]), letter)
        value = float(self._percentile[index])
        text = f"score {100 * value:.1f} %" if np.isfinite(value) else "score -"
        _write(image, text, (x, baselines[1]), letter, anomaly_colour(value))
        if self._alarm[index]:
            pad = max(1, letter // 3)
            plate = self._left - 3 * self._margin
            top = baselines[2] - letter - pad
            cv2.rectangle(image, (x - pad, top), (x + plate, baselines[2] + pad), _ALARM, -1)
            _write(image, "ALARM", (x, baselines[2]), letter, (255, 255, 255))
        else:
            _write(image, "normal", (x, baselines[2]), letter, _UNKNOWN)


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
    skeleton = get_skeleton(tracks.skeleton)
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
