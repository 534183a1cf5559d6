"""Find the ffmpeg binary, what it can do, and what it says about a file.

Only ``ffmpeg`` itself is needed, no ``ffprobe``: the wheel `imageio-ffmpeg` carries none. ffmpeg 4.3 and newer will do.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import VideoError
from pose_extract.tracks.clip_time import FASTEST, usual_rate
from pose_extract.video.metadata import Metadata

BINARY_VARIABLE = "GEPC_FFMPEG"
"""Environment variable that names the ffmpeg binary to use."""

_PROBE_TIMEOUT_S = 300.0
_DEFAULT_FPS = 25.0
_OTHER_FPS = 7.0  # no camera's
_ASIDE = 0x10F000 - 0xDC00  # to private use
_ASIDE_BYTES = "[\U0010f080-\U0010f0ff]"
_GLANCE, _MEASURED = 3, 60  # frames that show whether a rate is wrong, and what it is
_OFF = 1.5  # times the stated interval: no rounding, nor what a steady rate may vary

# Containers that may be opened. Left out are the formats that make ffmpeg open further files or addresses (playlists:
# hls, dash, concat, sdp, imf, avisynth, ...), those that "decode" any text file as a picture (tty, ansi), and devices.
_CONTAINERS = (
    # with pictures
    "3dostr,4xm,amv,anm,apng,argo_brp,asf,asf_o,av1,avi,avs,avs2,avs3,bethsoftvid,bfi,bink,c93,cavsvideo,cdxl,cine,"
    "dhav,dirac,dnxhd,dsicin,dv,dxa,ea,evc,film_cpk,filmstrip,flic,flv,frm,gdv,gif,gxf,h261,h263,h264,hevc,hnm,idcin,"
    "iff,ingenient,ipmovie,ivf,jv,kux,live_flv,lmlm4,lvf,lxf,m4v,matroska,webm,mgsts,mjpeg,mjpeg_2000,mlv,mm,moflex,"
    "mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,mpegvideo,mpjpeg,msnwctcp,mtv,mv,mvi,mxf,mxg,nc,nsv,nut,nuv,obu,ogg,paf,pmp,"
    "psxstr,pva,rl2,rm,roq,rpl,sdr2,ser,sga,smjpeg,smk,sol,swf,thp,tiertexseq,tmv,txd,ty,usm,vc1,vc1test,viv,vivo,"
    "vividas,vmd,vvc,wc3movie,webp_anim,wsvqa,wtv,xmv,yop,yuv4mpegpipe,"
    # sound only: let in so that the message can say so
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,au,caf,dts,eac3,flac,mp3,mpc,mpc8,tta,w64,wav,wv"
)


def find_ffmpeg() -> str:
    """Path of the ffmpeg binary: ``GEPC_FFMPEG``, else from PATH, else the one in the `imageio-ffmpeg` wheel.

    Raises:
        VideoError: there is none that runs.
    """
    named = os.environ.get(BINARY_VARIABLE)
    if named:
        path = shutil.which(named)
        if path is None or ffmpeg_version(path) is None:
            raise VideoError(
                f"{BINARY_VARIABLE} names {named!r}, which is no ffmpeg that runs; unset it or correct it"
            )
        return path
    path = shutil.which("ffmpeg")
    if path is not None and ffmpeg_version(path) is not None:
        return path
    try:
        import imageio_ffmpeg

        path = str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        path = None
    if path is None or ffmpeg_version(path) is None:
        raise VideoError(
            "no ffmpeg binary that runs was found in PATH or in the wheel imageio-ffmpeg; "
            f"`pip install imageio-ffmpeg`, or install ffmpeg, or name one in {BINARY_VARIABLE}"
        )
    return path


@lru_cache(maxsize=8)
def ffmpeg_version(binary: str) -> tuple[int, int] | None:
    """(major, minor) of ``binary``; (99, 0) for a development build without a number; None if it does not run."""
    try:
        done = subprocess.run(
            [binary, "-hide_banner", "-version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0 or not text.startswith("ffmpeg version"):
        return None
    match = re.match(r"ffmpeg version n?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (99, 0)


@lru_cache(maxsize=8)
def encoders(binary: str) -> frozenset[str]:
    """Names of the encoders that ``binary`` was built with."""
    done = subprocess.run(
        [binary, "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    return frozenset(re.findall(r"^ [VAS][\w.]{5} (\S+)", done.stdout.decode(errors="replace"), re.MULTILINE))


def passthrough(binary: str) -> dict[str, str]:
    """The output option that hands every decoded frame on exactly once (its name changed in ffmpeg 5.1)."""
    version = ffmpeg_version(binary)
    return {"fps_mode" if version is not None and version >= (5, 1) else "vsync": "passthrough"}


def file_word(path: str | Path) -> str:
    """How a file is named to ffmpeg-python, which takes text only: bytes of a name that are none stand aside."""
    return "file:" + re.sub(r"[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) + _ASIDE), str(path))


def command_line(output: Any, binary: str, **options: Any) -> list[str]:
    """The words of a command of ffmpeg-python's, with names of files as they are."""
    words = output.compile(cmd=binary, **options)
    return [re.sub(_ASIDE_BYTES, lambda byte: chr(ord(byte[0]) - _ASIDE), word) for word in words]


def local_file(path: str | Path, **options: Any) -> ffmpeg.nodes.FilterableStream:
    """``path`` as an ffmpeg-python input that can only ever be this one local file.

    The ``file:`` prefix keeps names such as ``-y.mp4``, ``concat:a|b`` or ``http:x`` plain file names; the white lists
    keep a file's content (a playlist) from sending ffmpeg to other files or to the network.
    """
    if Path(path).suffix.lower() in (".mjpeg", ".mjpg"):
        options["f"] = "mjpeg"  # by its content, a bare row of JPEGs would be taken for one still image
    return ffmpeg.input(file_word(path), protocol_whitelist="file", format_whitelist=_CONTAINERS, **options)


def input_stream(path: Path, **options: Any) -> ffmpeg.nodes.FilterableStream:
    """``path`` as the one input of a command whose messages are read: `local_file` with the options for that."""
    return local_file(path, hide_banner=None, nostdin=None, nostats=None, loglevel="level+info", **options)


def sound_start(path: str | Path) -> float | None:
    """When the first sound of ``path`` is heard, in seconds of the container's own clock.

    None if it has no sound stream that this ffmpeg can decode, or none in its first minute.
    """
    # copyts: without it ffmpeg counts from the first of those streams that it was asked for, in some containers.
    sound = local_file(path, hide_banner=None, nostdin=None, nostats=None, loglevel="info", copyts=None, t=60)
    output = sound.output("-", map="0:a:0", af="ashowinfo", f="null", map_metadata=-1, **{"frames:a": 1})
    command = command_line(output, find_ffmpeg())
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    log = done.stderr.decode(errors="replace")
    heard = re.search(r"^\[Parsed_ashowinfo.* n:0 pts:\S+ pts_time:(-?[\d.]+) ", log, re.MULTILINE)
    return float(heard[1]) if heard else None


def check_readable(path: Path) -> None:
    """Raise `VideoError` unless ``path`` is a regular file with something in it that may be read."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise VideoError(f"{path} is a folder, expected a video file")
        if not stat.S_ISREG(status.st_mode):
            raise VideoError(f"{path} is a device or a pipe, expected a video file")
        with open(path, "rb"):
            pass
    except FileNotFoundError:
        raise VideoError(f"{path}: there is no such file") from None
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror or error}") from None
    if status.st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes), expected a video")


@dataclass(frozen=True)
class Probe:
    """What ffmpeg says about a video after it has decoded the first frame.

    Attributes:
        size: (width, height) in pixels, display rotation applied.
        fps: frames a second between holes, as the file states it or its first frames show it.
        mean_fps: the same with the holes; the number of frames follows from it.
        fps_stated: whether the file tells when its frames are shown; raw streams may not.
        raw: whether it is a raw stream, in which no time can be looked up.
        duration_s: length in seconds as the container states it; None where it does not.
        has_audio: whether there is a sound stream.
        start_s: when the first frame is shown, in seconds of the container's own clock.
        end_s: when everything ends, in seconds since the first frame, as the container states it; None where it does
            not. Of a file whose sound goes on longer, that is the end of the sound.
        metadata: what it says of its recording.
    """

    size: tuple[int, int]
    fps: float
    mean_fps: float
    fps_stated: bool
    raw: bool
    duration_s: float | None
    has_audio: bool
    start_s: float
    end_s: float | None
    metadata: Metadata = field(default_factory=Metadata)


def probe(path: Path) -> Probe:
    """Decode the first frame of ``path`` and read what ffmpeg says about it.

    Raises:
        VideoError: the file is missing, unreadable, empty, no video, has no picture, or none of it can be decoded.
    """
    check_readable(path)
    log = _first_frames(path, _GLANCE)
    head = log.partition("\n[info] Stream mapping:")[0]
    frame = re.search(r"^\[Parsed_showinfo.* n: .* s:(\d+)x(\d+) ", log, re.MULTILINE)
    if frame is None:
        raise VideoError(_explain(path, log, head))
    shown = re.search(r"^\[Parsed_showinfo.* n: *0 pts: *\S+ pts_time:(-?[\d.]+)", log, re.MULTILINE)
    start_s = float(shown[1]) if shown else 0.0
    # At the beginning of a line: a title may hold such words too.
    said = re.search(
        r"^\[info\] +Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)(?:, start: (-?[\d.]+))?", head, re.MULTILINE
    )
    duration_s = int(said[1]) * 3600 + int(said[2]) * 60 + float(said[3]) if said is not None else None
    rate = _rate(path, log, head)
    return Probe(
        size=(int(frame[1]), int(frame[2])),
        fps=rate.fps,
        mean_fps=rate.mean,
        fps_stated=rate.stated,
        raw=rate.raw,
        duration_s=duration_s,
        has_audio=_has_stream(head, "Audio"),
        start_s=start_s,
        end_s=duration_s + float(said[4]) - start_s if duration_s is not None and said and said[4] else None,
        metadata=Metadata.from_log(head),
    )


def _first_frames(path: Path, count: int, **options: Any) -> str:
    """What ffmpeg says while it decodes the first frames of ``path``."""
    binary = find_ffmpeg()
    shown = {"vf": "showinfo=checksum=0", "frames:v": count}
    # 0:V: is the first stream of moving pictures: cover art and thumbnails do not count.
    output = input_stream(path, copyts=None, **options).output(
        "-", map="0:V:0", f="null", map_metadata=-1, **shown
    )
    command = command_line(output, binary)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise VideoError(f"{path}: no frame could be decoded within {_PROBE_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise VideoError(f"{binary} cannot be run: {error.strerror or error}") from None
    return done.stderr.decode(errors="replace")


@dataclass(frozen=True)
class _Rate:
    fps: float
    mean: float
    stated: bool = True
    raw: bool = False


def _rate(path: Path, log: str, head: str) -> _Rate:
    """The rate of the mapped stream; where ffmpeg's statements differ, that of the first frames."""
    mapped = re.search(r"Stream #0:(\d+) -> #0:0", log)
    line = re.search(rf"Stream #0:{mapped[1]}\b.*: Video: .*", log) if mapped else None
    stated = re.findall(r"([\d.]+)(k?) (?:fps|tbr)\b", line[0]) if line else []
    rates = [float(number) * (1000 if kilo else 1) for number, kilo in stated]
    exact = _exact_rate(log)
    if line is not None and "1200k tbn" in line[0] and "Duration: N/A" in head:
        # A raw stream has no clock. What ffmpeg takes without being told shows when it is told something else.
        other = _exact_rate(_first_frames(path, 1, framerate=_OTHER_FPS))
        if other == _OTHER_FPS or not 0 < exact <= FASTEST:
            return _Rate(_DEFAULT_FPS, _DEFAULT_FPS, stated=False, raw=True)
        return _Rate(exact, exact, raw=True)
    # Some containers state the ticks of their clock as their frame rate.
    rounded = next((rate for rate in rates if 0 < rate <= FASTEST), None)
    agreed = 0 < exact <= FASTEST and (rounded is None or abs(exact - rounded) < 0.01)
    if agreed and not _is_off(_shown_times(log), exact):
        return _Rate(exact, exact)
    mean = exact if agreed else rounded or _DEFAULT_FPS
    shown = _shown_times(_first_frames(path, _MEASURED))
    usual = usual_rate(shown) if len(shown) > 2 else None
    if usual is None or usual > FASTEST or (agreed and 1 / _OFF <= usual / exact <= _OFF):
        return _Rate(mean, mean)
    return _Rate(usual, usual if agreed else mean)


def _shown_times(log: str) -> NDArray[np.float64]:
    """When the first frames are shown, in order."""
    shown = re.findall(r"^\[Parsed_showinfo.* pts_time:(-?[\d.]+)", log, re.MULTILINE)
    return np.unique(np.array(shown, float))


def _is_off(time_s: NDArray[np.float64], fps: float) -> bool:
    """Whether frames come at another rate: what a recorder announced, perhaps, before its camera slowed down."""
    intervals = np.diff(time_s) * fps
    return bool(len(intervals) and ((intervals > _OFF) | (intervals < 1 / _OFF)).all())


def _exact_rate(log: str) -> float:
    config = re.search(r"config in time_base: \S+, frame_rate: (\d+)/(\d+)", log)
    return float(Fraction(int(config[1]), int(config[2]))) if config and int(config[2]) else 0.0


def _has_stream(head: str, kind: str) -> bool:
    return re.search(rf"^\[info\] +Stream #0:\d+.*?: {kind}: ", head, re.MULTILINE) is not None


def _explain(path: Path, log: str, head: str) -> str:
    """Why ffmpeg gave no frame of ``path``, in the user's words."""
    if "not on whitelist" in log:
        return f"{path} is not a video (a playlist, a still image or another format that is not opened as a video)"
    if _has_stream(head, "Audio") and not _has_stream(head, "Video"):
        return f"{path} has sound but no picture"
    if "attached pic" in head:
        return f"{path} has sound but no moving picture, only a cover image"
    # A text file is taken for a damaged mp4 too, but then ffmpeg doubts its own guess.
    if "moov atom not found" in log and "misdetection possible" not in log:
        return (
            f"{path} is incomplete: its index (moov) is missing, so the recording was cut off before its end"
        )
    reason = first_error(log)
    if "Input #0" not in log:
        return f"{path} is not a video that ffmpeg can read" + (f" ({reason})" if reason else "")
    if not _has_stream(head, "Video"):
        return f"{path} has no picture"
    return f"no frame of {path} could be decoded" + (f" ({reason})" if reason else "")


def first_error(log: str) -> str:
    """First error message in ffmpeg's log, without its prefixes; empty if there is none."""
    for line in log.splitlines():
        level = re.search(r"\[(error|fatal|panic)\] (.*)", line)
        if level is not None:
            return re.sub(r"^(Error opening input: |file:.*?: )", "", level[2]).strip().rstrip(".")
    return ""
