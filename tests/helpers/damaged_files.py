"""Damaged files of every format: each case a name, the format, its files, and whether it may be usable after all."""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.formats.base import export_clips
from pose_extract.tracks.cache import save_tracks
from tests.helpers.two_walkers import walkers

CROWD = 1_000_000


@dataclass(frozen=True)
class Case:
    """One damaged input.

    Attributes:
        name: what is wrong.
        format: of the files.
        files: path -> content. A pair (head, item, tail) stands for head, a million items, tail.
        harmless: the reader may take it: a joint that is NaN is missing.
    """

    name: str
    format: str
    files: dict[str, bytes | tuple[bytes, bytes, bytes]]
    harmless: bool = False

    def write(self, folder: Path) -> None:
        """Put the files into a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                    continue
                head, item, tail = content
                file.write(head)
                for _ in range(CROWD // 1000):
                    file.write(item * 1000)
                file.write(tail)


def cases(scratch: Path) -> Iterator[Case]:
    """All of them."""
    for format, name, whole in _json_files(scratch):
        yield from _json_cases(format, name, whole)
    yield from _crowds()
    yield from _ntu_cases(scratch)
    yield from _mped_cases(scratch)
    yield from _npz_cases(scratch)
    yield from _chad_cases()


# -- JSON ------------------------------------------------------------------------------------------


# Format, skeleton, options of its export.
JSON_SOURCES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("alphapose", "coco17", {"layout": "tracked"}),
    ("alphapose", "coco17", {"layout": "results"}),
    ("openpose", "body25", {}),
    ("kinetics-skeleton", "coco18", {}),
    ("coco", "coco17", {}),
    ("posetrack", "posetrack17", {}),
    ("gepc", "coco17", {"kind": "json"}),
)


def _json_files(scratch: Path) -> Iterator[tuple[str, str, Any]]:
    for format, skeleton, options in JSON_SOURCES:
        folder = scratch / format / str(options.get("layout", "x"))
        frames = 2 if format == "openpose" else 4  # of which the last one is empty
        export_clips(format, [walkers("clip_1", skeleton, frames=frames)], folder, **options)
        file = sorted(
            p for p in folder.rglob("*.json") if "keypoints" in p.read_text() or format != "openpose"
        )[0]
        yield format, str(file.relative_to(folder)), json.loads(file.read_text())


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from _paths(child, (*path, key))


def _get(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _changed(whole: Any, path: tuple[Any, ...], value: Any) -> bytes:
    content = copy.deepcopy(whole)
    _get(content, path[:-1])[path[-1]] = value
    return json.dumps(content).encode()


def _json_cases(format: str, name: str, whole: Any) -> Iterator[Case]:
    def case(what: str, data: bytes, harmless: bool = False) -> Case:
        return Case(f"{format}: {what}", format, {name: data}, harmless)

    # A person without joints is one who was not annotated; PoseTrack's frames are those of the pictures' names.
    lax = {"openpose": ("no joints",), "posetrack": ("no joints", "null", "no key", "frame_id")}.get(
        format, ()
    )
    data = json.dumps(whole).encode()
    for share in (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95):
        yield case(f"cut off at {share:.0%}", data[: int(len(data) * share)])
    yield case("cut off before its last sign", data[:-1])
    yield case("rubbish at the start", b"\xff\xfe\x00" + data)
    yield case("zeros in the middle", data[:200] + bytes(200) + data[400:])
    for text in (b"null", b"3", b'"text"', b"[[]]", b"[1, 2]", b'{"a": 1}', b"<html></html>"):
        yield case(f"only {text.decode()}", text)
    yield case("lists 100,000 deep", b"[" * 100_000 + b"]" * 100_000)
    yield case("objects 100,000 deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)

    # The joints of a person: a list of numbers, or, in our own files, of triples.
    poses = [p for p in _paths(whole) if p and p[-1] in ("keypoints", "pose_keypoints_2d", "pose")]
    poses = [p for p in poses if isinstance(_get(whole, p), list) and not isinstance(_get(whole, p)[0], str)]
    pose = poses[0]
    joints = _get(whole, pose)
    first = (*pose, 0, 0) if isinstance(joints[0], list) else (*pose, 0)
    yield case(
        "a joint too few",
        _changed(whole, pose, joints[:-1] if first[-2] == 0 and len(first) > len(pose) + 1 else joints[:-3]),
    )
    yield case("a number too few", _changed(whole, pose, joints[:-1]))
    yield case("a number too many", _changed(whole, pose, [*joints, joints[0]]))
    yield case(
        "nine joints", _changed(whole, pose, joints[:27] if len(first) == len(pose) + 1 else joints[:9])
    )
    yield case("no joints", _changed(whole, pose, []), "no joints" in lax)
    value: Any
    for value in ("12.5", "abc", [1.0], {"x": 1}, True):
        yield case(f"{value!r} for a coordinate", _changed(whole, first, value), value is True)
    yield case("text for joints", _changed(whole, pose, "1,2,3"))
    yield case("null for joints", _changed(whole, pose, None), "null" in lax)
    for value in (float("nan"), float("inf"), None):
        yield case(f"{value} for a coordinate", _changed(whole, first, value), True)
    for value in (1e9, 1e30, 1e300, 10**30, 10**400, -1e12):
        yield case(
            f"{value:.3g} for a coordinate" if value < 10**300 else "10^400", _changed(whole, first, value)
        )
    nested: Any = 1.0
    for _ in range(800):
        nested = [nested]
    yield case("a coordinate 800 lists deep", _changed(whole, first, nested))
    unnamed = json.dumps(whole).replace(f'"{pose[-1]}"', '"x"').encode()
    yield case("no key for the joints", unnamed, "no key" in lax)
    for key in ("frame", "frame_index", "image_id", "frame_id"):
        for path in [p for p in _paths(whole) if p and p[-1] == key][:1]:
            for value in (10**12, 10**30, -5, "none", None, [[]], 1e300, float("nan")):
                yield case(
                    f"{value!r:.20} for {key}", _changed(whole, path, value), value == -5 or key in lax
                )
    if format == "gepc":
        for key, value in (
            ("fps", 0), ("fps", float("nan")), ("fps", "fast"), ("frame_size", [0, 0]), ("frame_size", [1e9, 1e9]),
            ("frame_size", "big"), ("time_s", [0, 0, 0, 0]), ("time_s", "now"), ("time_s", [None] * 4), ("clip", 3),
            ("skeleton", "coco18"), ("version", 99), ("provenance", []), ("rows", {}), ("keypoints_shape", [10**9, 3]),
        ):  # fmt: skip
            yield case(f"{key} {value!r:.20}", _changed(whole, (key,), value))


def _crowds() -> Iterator[Case]:
    """A million people in one file."""
    zeros = b",".join([b"0,0,0.5"] * 17)
    box = b'"box": [0, 0, 1, 1]'
    flat, flat25 = b"[" + zeros + b"]", b"[" + b",".join([b"0,0,0.5"] * 25) + b"]"
    rows = {
        "alphapose": (b"[", b'{"image_id": "1.jpg", "keypoints": ' + flat + b", " + box + b', "idx": 1},', b"{}]"),
        "openpose": (b'{"people": [', b'{"pose_keypoints_2d": ' + flat25 + b"},", b"{}]}"),
        "kinetics-skeleton": (
            b'{"data": [{"frame_index": 1, "skeleton": [',
            b'{"pose": [' + b",".join([b"0"] * 36) + b'], "score": [' + b",".join([b"0"] * 18) + b"]},",
            b'{}]}], "label": "x", "label_index": 1}',
        ),
        "coco": (b"[", b'{"image_id": 1, "keypoints": ' + flat + b', "score": 1},', b"{}]"),
        "posetrack": (
            b'{"images": [{"id": 1, "file_name": "a/1.jpg", "vid_id": "a", "frame_id": 1}], "annotations": [',
            b'{"image_id": 1, "track_id": 1, "keypoints": ' + flat + b"},",
            b"{}]}",
        ),
        "gepc": (
            b'{"format": "gepc-tracks", "version": 1, "clip": "a", "skeleton": "coco17", "fps": 24, "frame_size": [9,'
            b'9], "provenance": {}, "time_s": [0], "rows": [',
            b'{"frame": 0, "track": 1, "box": [0,0,1,1], "keypoints": [' + b",".join([b"[0,0,0]"] * 17) + b"]},",
            b"{}]}",
        ),
    }  # fmt: skip
    for format, content in rows.items():
        yield Case(f"{format}: a million people", format, {"clip_000001_keypoints.json": content})
    yield Case("alphapose: a million frames of nobody", "alphapose",
               {"a.json": (b'{"1": [', b"{},", b'{"0": 1}]}')})  # fmt: skip
    yield Case("alphapose: a million empty lists", "alphapose", {"a.json": (b"[", b"[],", b"[]]")})
    yield Case(
        "ntu: a million bodies", "ntu", {"a.skeleton": (b"1\n1000000\n", b"1 0 0 0 0 0 0 0 0 0\n0\n", b"")}
    )
    yield Case("mped-rnn: a million rows of one frame", "mped-rnn",
               {"01/1/1.csv": (b"", b"0" + b",1,1" * 9 + b"\n", b"")})  # fmt: skip


# -- text --------------------------------------------------------------------------------------------------------------


def _ntu_cases(scratch: Path) -> Iterator[Case]:
    export_clips("ntu", [walkers("S001C001P001R001A001", "ntu25", 4, depth=True)], scratch / "ntu")
    text = next((scratch / "ntu").rglob("*.skeleton")).read_text()
    lines = text.split("\n")

    def case(what: str, content: str, harmless: bool = False) -> Case:
        return Case(f"ntu: {what}", "ntu", {"S001C001P001R001A001.skeleton": content.encode()}, harmless)

    for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
        yield case(f"cut off at {share:.0%}", text[: int(len(text) * share)])
    for line, value in (
        (0, "1000000000"), (0, "-1"), (0, "nan"), (0, "x"), (0, "1e300"), (0, "99"), (1, "1000000"), (1, "-2"),
        (1, "two"),
        (1, "inf"), (3, "24"), (3, "26"), (3, "0"), (3, "1000000000"), (3, "joints"), (4, "abc"), (4, "1 2 3"), (4, ""),
        (4, lines[4].replace(" ", ",")),
    ):  # fmt: skip
        yield case(f"{value!r:.20} in line {line}", "\n".join([*lines[:line], value, *lines[line + 1 :]]))
    for value in ("nan", "1e300", "1e30", "-inf"):
        changed = " ".join([value, *lines[4].split()[1:]])
        harmless = value in ("nan", "-inf")
        yield case(f"{value} for a coordinate", "\n".join([*lines[:4], changed, *lines[5:]]), harmless)
    yield case("bytes", "\udcff".encode("utf-8", "surrogatepass").decode("latin-1") * 100)
    yield case("a page of a web site", "<html><body>404</body></html>")


def _mped_cases(scratch: Path) -> Iterator[Case]:
    export_clips("mped-rnn", [walkers("01_0001", frames=5)], scratch / "mped")
    text = sorted((scratch / "mped").rglob("*.csv"))[0].read_text()
    lines = text.split("\n")

    def case(what: str, content: str, harmless: bool = False) -> Case:
        return Case(
            f"mped-rnn: {what}", "mped-rnn", {"trajectories/01/0001/0001.csv": content.encode()}, harmless
        )

    yield case("empty", "")
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        yield case(f"cut off at {share:.0%}", text[: int(len(text) * share)].rpartition(",")[0])
    for value in ("abc", "", "1;2", "1 2", "[1]", "0x10"):
        yield case(f"{value!r} for a coordinate", text.replace(lines[0].split(",")[1], value, 1))
    for value in ("1e300", "1e30", "1e9", "nan", "inf"):
        changed = ",".join([lines[0].split(",")[0], value, *lines[0].split(",")[2:]])
        yield case(f"{value} for a coordinate", "\n".join([changed, *lines[1:]]), value in ("nan", "inf"))
    for value in ("1e12", "nan", "inf", "-1", "0.5", "x", "1e300"):
        yield case(f"{value} for a frame", value + text[text.index(",") :])
    yield case("a joint too few", "\n".join(line.rsplit(",", 2)[0] for line in lines))
    yield case("a number too few", "\n".join(line.rsplit(",", 1)[0] for line in lines))
    yield case("a web page", "<html><body>404, not found</body></html>")


# -- binary ------------------------------------------------------------------------------------------------------------


def _npz_cases(scratch: Path) -> Iterator[Case]:
    clip = walkers("a", frames=4)
    path = scratch / "a.npz"
    save_tracks(path, clip)
    data = path.read_bytes()

    def case(what: str, content: bytes, harmless: bool = False) -> Case:
        return Case(f"gepc: NPZ, {what}", "gepc", {"a.npz": content}, harmless)

    for share in (0.0, 0.1, 0.5, 0.9, 0.99):
        yield case(f"cut off at {share:.0%}", data[: int(len(data) * share)])
    for what, change in (
        ("no frame size", {"frame_size": (0, 0)}), ("a huge frame", {"frame_size": (10**9, 10**9)}),
        ("times of NaN", {"time_s": np.full(4, np.nan)}), ("times that stand", {"time_s": np.zeros(4)}),
        ("huge coordinates", {"keypoints": clip.keypoints * np.float32(1e20)}),
        ("endless coordinates", {"keypoints": clip.keypoints * np.float32(np.inf)}),
        ("confidences of 7", {"keypoints": clip.keypoints * 0 + 7}),
        ("boxes of infinity", {"boxes": clip.boxes * np.float32(np.inf)}),
        ("one person twice", {"track": np.ones_like(clip.track)}),
    ):  # fmt: skip
        save_tracks(path, replace(clip, **change))
        yield case(what, path.read_bytes())

    def members(**changed: Any) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                content = changed.get(name.removesuffix(".npy"), old.read(name))
                if content is not None:
                    new.writestr(name, content)
        return out.getvalue()

    def array(values: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, values)
        return file.getvalue()

    header = json.loads(zipfile.ZipFile(io.BytesIO(data)).read("header.npy")[128:])
    yield case("no header", members(header=None))
    yield case("no keypoints", members(keypoints=None))
    yield case("17 joints of 2 numbers", members(keypoints=array(np.zeros((6, 17, 2), np.float32))))
    yield case("16 joints", members(keypoints=array(np.zeros((6, 16, 3), np.float32))))
    yield case("rows too few", members(frame=array(np.zeros(3, np.int32))))
    yield case("frames out of order", members(frame=array(np.array([2, 1, 0, 0, 1, 2], np.int32))))
    yield case("text for numbers", members(frame=array(np.array(["a"] * 6))))
    yield case("pickled objects", members(frame=array(np.array([None] * 6, object))))
    yield case(
        "a shape beyond the file", members(frame=array(np.zeros(6, np.int32)).replace(b"(6,)", b"(9,)"))
    )
    for key, value in (
        ("fps", 0), ("fps", "x"), ("fps", None), ("version", 2), ("format", "x"), ("frame_size", 3),
        ("frame_size", [1]), ("provenance", 3), ("skeleton", "coco18"),
    ):  # fmt: skip
        text = json.dumps({**header, key: value}).encode()
        yield case(f"{key} {value!r}", members(header=array(np.frombuffer(text, np.uint8))))
    deep = b'{"a":' * 100_000
    yield case("a header 100,000 deep", members(header=array(np.frombuffer(deep, np.uint8))))


class _Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, ("touch pwned",)


def _chad_cases() -> Iterator[Case]:
    def pose(values: Any) -> Any:
        both = np.empty(2, object)
        both[0], both[1] = np.array([1, 2, 3, 4]), values
        return both

    good = {frame: {1: pose(np.full((17, 2), 30.0))} for frame in range(4)}
    data = pickle.dumps(good)

    def case(what: str, content: Any, harmless: bool = False) -> Case:
        raw = content if isinstance(content, bytes) else pickle.dumps(content)
        return Case(f"chad: {what}", "chad", {"1_066_0.pkl": raw}, harmless)

    for share in (0.0, 0.1, 0.5, 0.9):
        yield case(f"cut off at {share:.0%}", data[: int(len(data) * share)])
    yield case("a program", _Malice())
    yield case("a program inside", {1: {1: _Malice()}})
    for what, value in (
        ("a list", [1, 2]), ("text", "abc"), ("nothing", None), ("no people", {1: 3}),
        ("text for a pose", {1: {1: "pose"}}),
        ("9 joints", {1: {1: pose(np.zeros((9, 2)))}}), ("text for joints", {1: {1: pose(np.array(["a"] * 34))}}),
        ("huge numbers", {1: {1: pose(np.full((17, 2), 1e30))}}),
        ("a huge frame", {10**15: {1: pose(np.ones((17, 2)))}}),
        ("a frame of text", {"x": {1: pose(np.ones((17, 2)))}}),
        ("another number of joints", {**good, 5: {1: pose(np.ones((18, 2)))}}),
    ):  # fmt: skip
        yield case(what, value)
    yield case("joints of NaN", {1: {1: pose(np.full((17, 2), np.nan))}}, True)
    yield case("lists 100,000 deep", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    yield case("a bomb of appends", b"(" * 1_000_000 + b".")
