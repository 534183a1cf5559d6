"""Tell which videos browsers play, and provide the page with one of the others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.progress import stage
from pose_extract.errors import VideoError
from pose_extract.files import complete_or_absent, open_input
from pose_extract.tracks.clip_time import ShownTime
from pose_extract.video import VideoReader, VideoSettings, VideoSource, VideoWriter
from pose_extract.video.ffmpeg import command_line, find_ffmpeg, input_stream

_MAX_SIDE = 1280  # of a transcoded video: it is to be looked at beside its curve


@dataclass(frozen=True)
class PageVideo:
    """How the page shows a clip.

    Attributes:
        url: relative address of the video; None: skeletons alone.
        how: "linked", "copied", "transcoded" or "none".
        cuts: of a film without the clip's holes, when each stretch begins, in seconds of the film and of the clip.
    """

    url: str | None
    how: str
    cuts: tuple[tuple[float, float], ...] = ()


def browser_plays(path: Path) -> bool:
    """Whether every browser of today plays a file: H.264 in 8 bits and mp4 (or mov), or VP8, VP9 or AV1 in WebM."""
    command = command_line(input_stream(path).output("-", map="0:V:0", f="null", t=0), find_ffmpeg())
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        return False
    log = done.stderr.decode(errors="replace").partition("Stream mapping:")[0]
    container = re.search(r"Input #0, (\S+), from", log)
    video = re.search(r"Stream #0:.*: Video: (\w+)(.*)", log)
    if container is None or video is None:
        return False
    codec, details = video[1], video[2]
    if "mp4" in container[1].split(","):
        return codec == "h264" and re.search(r"\byuvj?420p\b", details) is not None
    # Matroska is WebM to ffmpeg; browsers go by the ending.
    return (
        "webm" in container[1].split(",")
        and path.suffix.lower() == ".webm"
        and codec in ("vp8", "vp9", "av1")
    )


def provide_video(
    source: VideoSource, folder: Path, name: str, way: str, quiet: bool = False, whole: bool = True
) -> PageVideo:
    """Make a clip's video playable from the page in ``folder``.

    Args:
        source: the clip.
        folder: of the page.
        name: of a file that may have to be written, without its ending. One that is there is used again: names are
            made of the content.
        way: "link" leaves a playable video where it is, "copy" copies it beside the page, so that the folder can be
            handed on. What browsers do not play is transcoded in both. "none": no video.
        quiet: no progress.
        whole: the clip has no holes in its time. One that has some is transcoded without them, and without its sound.

    Raises:
        VideoError: the video cannot be read.
        OutputError: it cannot be written.
    """
    if way == "none":
        return PageVideo(None, "none")
    if source.kind == "video" and browser_plays(source.path):
        if way == "link":
            return PageVideo(relative_url(source.path, folder), "linked")
        copy = folder / "videos" / f"{name}{source.path.suffix.lower()}"
        if not (copy.is_file() and copy.stat().st_size == source.path.stat().st_size):
            with open_input(source.path) as original, complete_or_absent(copy, "wb") as file:
                shutil.copyfileobj(original, file, 1 << 20)
        return PageVideo(relative_url(copy, folder), "copied")
    made = folder / "videos" / f"{name}{'' if whole else '-cut'}.mp4"
    if not made.is_file():
        _transcode(source, made, quiet, whole)
    return PageVideo(relative_url(made, folder), "transcoded")


def _transcode(source: VideoSource, path: Path, quiet: bool, whole: bool) -> None:
    with VideoReader(source, VideoSettings(max_side=_MAX_SIDE)) as reader:
        info = reader.info
        sound = source.path if info.has_audio and whole else None
        shown = ShownTime(info.fps)
        with (
            VideoWriter(path, info.fps, info.frame_size, audio_from=sound) as writer,
            stage(f"transcode {source.name}", "frames", info.frame_count, quiet) as progress,
        ):
            for frame in reader:
                writer.write(frame.image, frame.time_s if whole else shown(frame.time_s))
                progress.advance()
            if writer.frames == 0:
                raise VideoError(f"{source.path}: not one frame could be read")


def relative_url(path: Path, folder: Path) -> str:
    """Address of a file as seen from a page in ``folder``: relative where they share a drive, else absolute."""
    try:
        relative = os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:  # another drive of Windows
        return path.resolve().as_uri()
    parts = Path(relative).parts
    # The leading ./ keeps a name such as "http:x" from being taken for an address.
    return "./" + "/".join(quote(os.fsencode(part), safe="") for part in parts)
