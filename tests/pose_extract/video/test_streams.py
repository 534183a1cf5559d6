"""Addresses of live sources."""

import pytest

from pose_extract.errors import UsageError
from pose_extract.video.ffmpeg import find_ffmpeg
from pose_extract.video.streams import StreamSource, live_source, stream_input


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("rtsp://me:pw@host:554/stream?x=1", "rtsp", None),
        ("RTSPS://host/stream", "rtsp", None),
        ("http://host/video.mjpg", "http", None),
        ("https://host/live/index.m3u8", "http", None),
        ("0", "device", "/dev/video0"),
        ("/dev/video3", "device", None),
    ],
)
def test_an_address_tells_its_kind(text, kind, address):
    source = live_source(text)
    assert source == StreamSource(kind, address or text)
    assert source.endless


def test_a_path_is_no_live_source(tmp_path, monkeypatch):
    assert live_source("videos/door.mp4") is None
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(b"")
    assert live_source("7") is None


@pytest.mark.parametrize(
    "text", ["ftp://host/x", "file:///etc/passwd", "rtsp://", "concat://a|b", "rtsp://[::1"]
)
def test_other_addresses_are_refused(text):
    with pytest.raises(UsageError):
        live_source(text)


def test_no_password_is_shown():
    shown = live_source("rtsp://me:secret@host:554/stream?token=hidden").shown
    assert shown == "rtsp://host:554/stream"


def test_a_stream_cannot_make_ffmpeg_open_files():
    for text in ("rtsp://host/x", "https://host/x.m3u8"):
        arguments = stream_input(live_source(text), find_ffmpeg()).output("-").get_args()
        protocols = arguments[arguments.index("-protocol_whitelist") + 1].split(",")
        assert not {"file", "concat", "subfile", "data", "pipe"} & set(protocols)
