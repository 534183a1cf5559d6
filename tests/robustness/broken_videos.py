"""Two hundred broken or odd videos, made with a fixed seed out of a few small sound ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.helpers.videos import run_ffmpeg

COUNT = 200
_FRAMES = 12
_SIZE = "80x60"
# Name -> options of its encoder.
_SOUND = {
    "a.mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "4"),
    "fast.mp4": ("-c:v", "libx264", "-preset", "ultrafast", "-movflags", "+faststart"),
    "a.mkv": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "4"),
    "a.ts": ("-c:v", "libx264", "-preset", "ultrafast", "-g", "4"),
    "a.avi": ("-c:v", "mpeg4", "-g", "4"),
    "a.mov": ("-c:v", "mjpeg"),
    "a.264": ("-c:v", "libx264", "-preset", "ultrafast", "-f", "h264"),
    "a.mjpeg": ("-c:v", "mjpeg", "-f", "mjpeg"),
    "a.flv": ("-c:v", "flv1",),
    "a.gif": ("-c:v", "gif"),
    "a.m2t": ("-c:v", "mpeg2video", "-f", "mpegts"),
    "a.y4m": ("-pix_fmt", "yuv420p"),
}  # fmt: skip


@dataclass(frozen=True)
class Video:
    """One of them: what was done to it, and its file."""

    what: str
    path: Path


def broken_videos(folder: Path, count: int = COUNT, seed: int = 0) -> Iterator[Video]:
    """The first ``count`` of them, written into ``folder``, each when it is asked for."""
    rng = np.random.default_rng(seed)
    sound = _sound_ones(folder / "sound")
    for number in range(count):
        place = folder / f"{number:03d}"
        place.mkdir()
        kind = _KINDS[number % len(_KINDS)]
        yield kind(place, sound, rng)


def _sound_ones(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    for name, options in _SOUND.items():
        run_ffmpeg(
            "-f", "lavfi", "-i", f"testsrc2=s={_SIZE}:r=25", "-frames:v", str(_FRAMES), *options, folder / name
        )  # fmt: skip
    return {name: (folder / name).read_bytes() for name in _SOUND}


def _pick(sound: dict[str, bytes], rng: np.random.Generator) -> tuple[str, bytes]:
    name = sorted(sound)[rng.integers(len(sound))]
    return name, sound[name]


def _cut_off(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name, data = _pick(sound, rng)
    length = int(rng.integers(0, len(data)))
    return _write(f"{name} cut off after {length} of {len(data)} bytes", place / name, data[:length])


def _flipped(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name, data = _pick(sound, rng)
    count = int(rng.choice([1, 3, 20, 200]))
    changed = bytearray(data)
    for where in rng.integers(0, len(data), count):
        changed[where] ^= int(rng.integers(1, 256))
    return _write(f"{name} with {count} bytes changed", place / name, bytes(changed))


def _flipped_at_the_start(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name, data = _pick(sound, rng)
    changed = bytearray(data)
    for where in rng.integers(0, min(200, len(data)), 4):
        changed[where] ^= int(rng.integers(1, 256))
    return _write(f"{name} with 4 bytes of its header changed", place / name, bytes(changed))


def _hole_in_the_file(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name, data = _pick(sound, rng)
    first, last = sorted(rng.integers(0, len(data), 2).tolist())
    filling = [b"", bytes(last - first), rng.bytes(last - first)][rng.integers(3)]
    return _write(
        f"{name} without bytes {first} to {last}", place / name, data[:first] + filling + data[last:]
    )


def _wrong_name(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name, data = _pick(sound, rng)
    other = "a" + str(rng.choice([".mp4", ".avi", ".mkv", ".ts", ".mjpeg", ".264", ".dav", ".txt", ""]))
    return _write(f"{name} called {other}", place / other, data)


def _joined(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    (name, data), (other, more) = _pick(sound, rng), _pick(sound, rng)
    return _write(f"{name} and {other} in one file", place / name, data + more)


def _no_video(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    contents = (
        b"", b"\0", b"words\n" * 200, b"<html></html>", b'{"a": 1}', b"PK\x03\x04" + rng.bytes(500), rng.bytes(4000),
        bytes(5000), b"\x00\x00\x00\x18ftypmp42" + rng.bytes(300), b"RIFF" + rng.bytes(300),
        b"#EXTM3U\n#EXTINF:1,\nx.ts\n",
        b"\x1aE\xdf\xa3" + rng.bytes(100), b"GIF89a" + rng.bytes(60), b"\x00\x00\x00\x01\x67" + rng.bytes(400),
    )  # fmt: skip
    number = int(rng.integers(len(contents)))
    name = "a" + str(rng.choice([".mp4", ".avi", ".mkv", ".ts", ".mjpeg", ".h264", ".gif"]))
    return _write(f"no video, number {number}, called {name}", place / name, contents[number])


def _no_picture(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    name = str(rng.choice(["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mp3"]))
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.3", place / name)
    return Video(f"{name} of sound alone", place / name)


def _odd_size(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    width, height = (int(side) for side in rng.choice([1, 2, 3, 16, 17, 33, 641, 2000], 2))
    path = place / "a.mkv"
    run_ffmpeg("-f", "lavfi", "-i", f"color=s={width}x{height}:r=10", "-frames:v", "4", "-c:v", "png", path)
    return Video(f"{width}x{height} pixels", path)


def _odd_rate(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    rate = str(rng.choice(["1/10", "1/3", "1", "3.7", "24000/1001", "59.94", "240", "480", "1000", "5000"]))
    path = place / str(rng.choice(["a.mkv", "a.avi", "a.mp4"]))
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={_SIZE}:r={rate}", "-frames:v", "8", "-c:v", "mjpeg", path)
    return Video(f"{rate} frames a second in {path.name}", path)


def _odd_times(place: Path, sound: dict[str, bytes], rng: np.random.Generator) -> Video:
    times = {
        "a hole of 100 s": "PTS+gte(N,6)*100/TB",
        "a hole of 30 hours": "PTS+gte(N,6)*108000/TB",
        "every frame a minute apart": "N*60/TB",
        "a negative start": "PTS-5/TB",
        "a late start": "PTS+5000/TB",
        "random times": "(N+random(0)*0.9)*0.04/TB",
        "many holes": "PTS+floor(N/3)*20/TB",
        "all frames at once": "N",
    }
    what = sorted(times)[rng.integers(len(times))]
    path = place / "a.mkv"
    run_ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s={_SIZE}:r=25", "-frames:v", str(_FRAMES), "-vf", f"setpts='{times[what]}'",
        "-fps_mode", "passthrough", "-c:v", "mjpeg", path,
    )  # fmt: skip
    return Video(what, path)


def _write(what: str, path: Path, data: bytes) -> Video:
    path.write_bytes(data)
    return Video(what, path)


_KINDS = (
    _cut_off, _flipped, _hole_in_the_file, _flipped_at_the_start, _no_video, _cut_off, _flipped, _odd_times,
    _wrong_name,
    _joined, _odd_size, _flipped_at_the_start, _hole_in_the_file, _odd_rate, _flipped, _no_picture,
)  # fmt: skip
