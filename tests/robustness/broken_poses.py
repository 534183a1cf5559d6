"""Five hundred broken pose files of every format, made with a fixed seed out of sound ones."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.formats.base import export_clips
from tests.helpers.damaged_files import JSON_SOURCES
from tests.helpers.two_walkers import walkers

COUNT = 500
FOREIGN: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(10**20), 10**400, 0.5, -0.0, 1e-300, 1e300, float("nan"),
    float("inf"), "", "x", "12", "nan", "-5", "000012.jpg", "../../etc/x", "a\nb", "=1+1", "\x1b[31mred", "\ud800", "ü",
    "人", "x" * 5000, [], [[]], [None], [1, 2], {}, {"a": 1}, {"": []},
)  # fmt: skip
_SOURCES = (
    *JSON_SOURCES,
    ("gepc", "coco17", {}),
    ("mped-rnn", "coco17", {}),
    ("ntu", "ntu25", {}),
)


@dataclass(frozen=True)
class Poses:
    """One of them: what was done to it, its format and the folder to import."""

    what: str
    format: str
    path: Path


def broken_poses(folder: Path, count: int = COUNT, seed: int = 0) -> Iterator[Poses]:
    """The first ``count`` of them, written into ``folder``, each when it is asked for."""
    rng = np.random.default_rng(seed)
    sound = []
    for number, (format, skeleton, options) in enumerate(_SOURCES):
        place = folder / "sound" / str(number)
        depth = format == "ntu"
        name = "S001C001P001R001A001" if depth else "01_0001"
        export_clips(format, [walkers(name, skeleton, frames=6, depth=depth)], place, **options)
        sound.append((format, place))
    for number in range(count):
        format, whole = sound[number % len(sound)]
        place = folder / f"{number:03d}"
        files = sorted(path for path in whole.rglob("*") if path.is_file())
        file = files[rng.integers(len(files))]
        for path in files:
            (place / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
            (place / path.relative_to(whole)).write_bytes(path.read_bytes())
        kinds: list[Callable[[bytes, np.random.Generator], tuple[str, bytes]]] = [_bytes_changed, _cut_off]
        kinds += {
            ".json": [_value] * 8,
            ".csv": [_cell] * 4,
            ".skeleton": [_cell] * 4,
            ".npz": [_member] * 3,
        }[file.suffix]
        what, data = kinds[rng.integers(len(kinds))](file.read_bytes(), rng)
        (place / file.relative_to(whole)).write_bytes(data)
        yield Poses(f"{format}, {file.name}: {what}", format, place)


def _bytes_changed(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    count = int(rng.choice([1, 2, 10]))
    changed = bytearray(data)
    for where in rng.integers(0, len(data), count):
        changed[where] = int(rng.integers(0, 256))
    return f"{count} bytes changed", bytes(changed)


def _cut_off(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    length = int(rng.integers(0, len(data)))
    return f"cut off after {length} bytes", data[:length]


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of nested JSON is."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from paths_of(child, (*path, key))


def changed(whole: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    """A copy with the value there replaced, taken away, or twice."""
    if not path:
        return value
    whole = copy.deepcopy(whole)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    if how == "without":
        del holder[path[-1]]
    elif how == "twice" and isinstance(holder, list):
        holder.insert(path[-1], copy.deepcopy(holder[path[-1]]))
    else:
        holder[path[-1]] = value
    return whole


def _value(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    whole = json.loads(data)
    places = list(paths_of(whole))
    # Numbers of joints are most of a file; other places are as likely.
    few = [path for path in places if len(path) < 4] or places
    some = few if rng.random() < 0.6 else places
    path = some[rng.integers(len(some))]
    how = str(rng.choice(["other", "other", "other", "without", "twice"]))
    value = FOREIGN[rng.integers(len(FOREIGN))]
    text = json.dumps(changed(whole, path, how, value))
    return f"{how} at {path}: {value!r:.40}", text.encode("utf-8", "surrogatepass")


def _cell(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    between = b"," if b"," in data else b" "
    lines = data.split(b"\n")
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(between)
    column = int(rng.integers(len(cells)))
    words = (
        b"",
        b"x",
        b"-1",
        b"0",
        b"nan",
        b"inf",
        b"1e300",
        b"1e12",
        b"99999999999999999999",
        b"0x1f",
        b"\xff",
        b"1 2",
        b'"',
    )
    word = words[rng.integers(len(words))]
    how = str(rng.choice(["other", "without", "twice", "line twice", "no line"]))
    cells[column : column + 1] = {"without": [], "twice": [cells[column]] * 2}.get(how, [word])
    if how == "line twice":
        lines.insert(row, lines[row])
    elif how == "no line":
        del lines[row]
    else:
        lines[row] = between.join(cells)
    return f"{how} in line {row}, column {column}: {word!r}", b"\n".join(lines)


def _member(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """An array of an archive of arrays with odd values, of another type, or gone; or another header."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = sorted(members)[rng.integers(len(members))]
    if name == "header.npy" and rng.random() < 0.8:
        header = json.loads(bytes(np.load(io.BytesIO(members[name]))))
        places = [path for path in paths_of(header) if path]
        path = places[rng.integers(len(places))]
        value = FOREIGN[rng.integers(len(FOREIGN))]
        what = f"header {path}: {value!r:.40}"
        header = json.dumps(changed(header, path, "other", value)).encode("utf-8", "surrogatepass")
        array = np.frombuffer(header, np.uint8)
    else:
        array = np.load(io.BytesIO(members[name])).copy()
        odd = [np.nan, np.inf, -1.0, 1e9, 1e38, 0.0]
        if array.dtype.kind == "f" and array.size and rng.random() < 0.7:
            value = odd[rng.integers(len(odd))]
            array.reshape(-1)[rng.integers(array.size)] = value
            what = f"{name}: {value}"
        elif array.size and rng.random() < 0.5:
            array = array[: len(array) // 2]
            what = f"{name} half as long"
        else:
            array = array.astype(np.int64)
            what = f"{name} of int64"
    buffer = io.BytesIO()
    np.save(buffer, array)
    members[name] = buffer.getvalue()
    if rng.random() < 0.1:
        del members[name]
        what = f"no {name}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return what, packed.getvalue()
