"""Read single frames out of a video, without reading all that comes before them."""

from __future__ import annotations

import subprocess
from bisect import bisect
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pose_extract.video.ffmpeg import command_line, find_ffmpeg, local_file
from pose_extract.video.reader import VideoInfo, read_image
from pose_extract.video.sources import VideoSource, image_places

_TIMEOUT_S = 60.0
_LEAD_S = 5.0


def read_still(source: VideoSource, info: VideoInfo, time_s: float) -> NDArray[np.uint8] | None:
    """The frame of a clip that is shown at a time.

    Args:
        source: the clip.
        info: what its reader says of it; the frame has this size.
        time_s: seconds since the first frame.

    Returns:
        (H, W, 3) BGR; None if it cannot be read: the video is damaged there, or cannot be searched.
    """
    width, height = info.frame_size
    if source.kind == "images":
        images = source.images()
        number = bisect(image_places(images), round(time_s * info.fps)) - 1
        image = read_image(images[number]) if images else None
        return None if image is None else np.asarray(cv2.resize(image, (width, height)), np.uint8)
    at_s = info.start_s + time_s - 0.5 / info.fps  # half a frame: rounding must not bring the next one
    # Searched early and then read up to the frame itself: streams are searched by their key frames only.
    options: dict[str, Any] = {} if info.fps_stated else {"framerate": f"{info.fps:g}"}
    if time_s > _LEAD_S and not info.raw:
        options |= {"ss": f"{info.start_s + time_s - _LEAD_S:.6f}", "seek_timestamp": 1}
    output = local_file(
        source.path, hide_banner=None, nostdin=None, loglevel="quiet", copyts=None, **options
    ).output(
        "pipe:1",
        map="0:V:0",
        vf=f"select=gte(t\\,{at_s:.6f}),scale={width}:{height},format=bgr24",
        f="rawvideo",
        pix_fmt="bgr24",
        **{"frames:v": 1},
    )
    command = command_line(output, find_ffmpeg())
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if len(done.stdout) < height * width * 3:
        return None
    return np.frombuffer(done.stdout, np.uint8, height * width * 3).reshape(height, width, 3)
