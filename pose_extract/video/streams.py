"""Tell what kind of live source an address names, and how ffmpeg opens it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import ffmpeg

from pose_extract.errors import UsageError
from pose_extract.video.ffmpeg import ffmpeg_version, local_file

StreamKind = Literal["rtsp", "http", "device", "file"]

_SCHEMES: dict[str, StreamKind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
# What a camera or a server on the network may send; none of it makes ffmpeg open local files.
_PROTOCOLS = {"rtsp": "rtsp,rtsps,rtp,srtp,udp,tcp,tls,crypto", "http": "http,https,httpproxy,tcp,tls,crypto"}
_HTTP_FORMATS = (
    "hls,mpegts,mpjpeg,mjpeg,image2,jpeg_pipe,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,live_flv,aac,nut"
)
_TIMEOUT_US = 15_000_000  # a second net behind the watchdog: a half-open connection ends by itself


@dataclass(frozen=True)
class StreamSource:
    """Where live pictures come from.

    Attributes:
        kind: "rtsp", "http" (MJPEG, HLS or any other video), "device" (a camera of this machine) or "file", which is
            played at its own speed.
        address: URL, device or path.
    """

    kind: StreamKind
    address: str

    @property
    def shown(self) -> str:
        """The address without user, password and query, for messages and logs."""
        if self.kind in ("device", "file"):
            return self.address
        parts = urlsplit(self.address)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    @property
    def endless(self) -> bool:
        """Whether an end of the stream is a fault."""
        return self.kind != "file"


def live_source(text: str) -> StreamSource | None:
    """The live source that a text names; None where it is a file, a folder or a pattern of files.

    Raises:
        UsageError: it is an address of a kind that is not read.
    """
    text = text.strip()
    if re.fullmatch(r"\d+", text) and not Path(text).exists():
        return StreamSource("device", f"/dev/video{text}")
    if re.fullmatch(r"/dev/video\d+", text):
        return StreamSource("device", text)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme is None:
        return None
    kind = _SCHEMES.get(scheme[1].lower())
    if kind is None:
        raise UsageError(
            f"{scheme[1]}://…: expected an address that begins with {', '.join(f'{s}://' for s in _SCHEMES)}, a device "
            "(0, /dev/video0), or a file"
        )
    try:
        named = urlsplit(text).hostname
    except ValueError as error:
        raise UsageError(f"{scheme[1]}://…: not an address: {error}") from error
    if not named:
        raise UsageError(f"{text}: expected a host after {scheme[1]}://")
    return StreamSource(kind, text)


def stream_input(source: StreamSource, binary: str) -> ffmpeg.nodes.FilterableStream:
    """The source as an input of an ffmpeg command whose messages are read, with as little delay as may be."""
    options: dict[str, Any] = {
        "hide_banner": None,
        "nostdin": None,
        "nostats": None,
        "loglevel": "level+info",
    }
    if source.kind == "file":
        return local_file(source.address, re=None, **options)
    # Not "nobuffer": it throws away what the stream was recognised by, and with it the first key frame.
    options |= {"flags": "low_delay", "analyzeduration": 1_000_000}
    if source.kind == "device":
        return ffmpeg.input(source.address, f="v4l2", **options)
    options["protocol_whitelist"] = _PROTOCOLS[source.kind]
    if source.kind == "rtsp":
        version = ffmpeg_version(binary)
        key = "timeout" if version is None or version >= (5, 0) else "stimeout"
        return ffmpeg.input(source.address, rtsp_transport="tcp", **{key: _TIMEOUT_US}, **options)
    if (
        urlsplit(source.address).path.lower().endswith(".m3u8")
    ):  # HLS comes in pieces of seconds: as it was filmed
        options |= {"re": None, "live_start_index": -1}
    return ffmpeg.input(source.address, rw_timeout=_TIMEOUT_US, format_whitelist=_HTTP_FORMATS, **options)
