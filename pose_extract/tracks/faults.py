"""Say what makes tracks unusable, whoever wrote them: values that would break, or take all memory, further on."""

from __future__ import annotations

import numpy as np

from pose_extract.tracks.clip_time import FASTEST, SLOWEST
from pose_extract.tracks.records import ClipTracks

_MOST_SIDE, _MOST_PIXELS = 100_000, 1e6


def fault_of(clip: ClipTracks, no_frames: bool = False) -> str | None:
    """What was expected of a clip's tracks, and found; None if they are sound, for which they may have no frames."""
    if not (clip.frame_count or no_frames):
        return "expected one frame or more, found none"
    width, height = clip.frame_size
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
        return f"expected a frame size of 1 to {_MOST_SIDE} pixels, found {width:.6g}x{height:.6g}"
    if not SLOWEST <= clip.fps <= FASTEST:
        return f"expected {SLOWEST:g} to {FASTEST:g} frames a second, found {clip.fps:.6g}"
    time_s = clip.time_s
    if not (np.isfinite(time_s).all() and (np.diff(time_s) > 0).all()):
        return "expected times in seconds that grow from frame to frame"
    same = np.diff(clip.frame) == 0
    if not (np.diff(clip.track)[same] > 0).all():
        return "expected the rows of a frame in order of their people, each person once"
    # fmin and fmax pass over NaN, which is a missing joint.
    for name, values, low, high in (
        ("coordinates", clip.keypoints[..., :-1], -_MOST_PIXELS, _MOST_PIXELS),
        ("confidences", clip.keypoints[..., -1], 0.0, 1.0),
        ("boxes", clip.boxes, -10 * _MOST_PIXELS, 10 * _MOST_PIXELS),
    ):
        least = float(np.fmin.reduce(values, axis=None, initial=low))
        most = float(np.fmax.reduce(values, axis=None, initial=low))
        if least < low or most > high:
            return f"expected {name} of {low:g} to {high:g}, found {least if least < low else most:g}"
    return None
