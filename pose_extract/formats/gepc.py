"""Read and write our own tracks: the NPZ of the cache and the same as JSON, lossless: features, things and NaN too.

In the JSON, null is NaN and 1e999 (which every reader takes for infinity) is infinity, so that it is plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose_extract.errors import CacheError, FormatError, UsageError, short
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import files_in, targets
from pose_extract.formats.json_files import load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import clip_name, numbers
from pose_extract.tracks.cache import FORMAT, FORMAT_VERSION, load_tracks, save_tracks
from pose_extract.tracks.clip_time import clip_rate
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import KINDS, THING_SHAPES, THING_TYPES, ClipThings, Things

_FEATURE_TYPES = {"float16": np.float16, "float32": np.float32}


def find(path: Path) -> list[Path]:
    """Every ``.npz`` and ``.json`` file, but not a workspace's manifest."""
    return [
        file for file in files_in(path, "*.npz", "*.json") if file == path or file.name != "manifest.json"
    ]


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clip of a file, as it was; everything that the options could say is in it."""
    if part.suffix == ".json":
        yield _from_json(part)
        return
    try:
        yield load_tracks(part)
    except CacheError as error:
        raise FormatError(str(error)) from None


def write(clips: Iterable[ClipTracks], path: Path, kind: str = "npz") -> None:
    """Write one file a clip.

    Args:
        clips: any. An NPZ keeps features in float16.
        path: a ``.npz`` or ``.json``, or a folder.
        kind: "npz" or "json", for a folder.
    """
    if kind not in ("npz", "json"):
        raise UsageError(f"kind: expected npz or json, got {kind!r}")
    if path.suffix in (".npz", ".json"):
        kind = path.suffix[1:]
    for clip, file in targets(clips, path, f".{kind}"):
        (save_tracks if kind == "npz" else _to_json)(file, clip)


def _to_json(path: Path, tracks: ClipTracks) -> None:
    head = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "clip": tracks.clip,
        "skeleton": tracks.skeleton,
        "fps": tracks.fps,
        "frame_size": list(tracks.frame_size),
        "provenance": tracks.provenance,
        "keypoints_shape": list(tracks.keypoints.shape[1:]),
    }
    if tracks.features is not None:
        head["features_shape"] = list(tracks.features.shape[1:])
        head["features_type"] = tracks.features.dtype.name
    with complete_or_absent(path) as file:
        file.write(json.dumps(head, allow_nan=False)[:-1] + f', "time_s": {_text(tracks.time_s)}, "rows": [')
        for i in range(len(tracks)):
            row = (
                f'{{"frame": {int(tracks.frame[i])}, "track": {int(tracks.track[i])}, '
                f'"box": {_text(tracks.boxes[i])}, "keypoints": {_text(tracks.keypoints[i])}'
            )
            if tracks.features is not None:
                row += f', "features": {_text(tracks.features[i])}'
            file.write(("," if i else "") + "\n" + row + "}")
        file.write(
            "\n]" + ("" if tracks.things is None else f', "things": {_things_text(tracks.things)}') + "}\n"
        )


def _things_text(found: ClipThings) -> str:
    """A list for each member that an NPZ has of things."""
    arrays = {"looked": found.looked, "frame": found.frame}
    arrays |= {name: getattr(found.things, name) for name in THING_TYPES}
    return "{" + ", ".join(f'"{name}": {_text(array)}' for name, array in arrays.items()) + "}"


def _text(array: NDArray[Any]) -> str:
    """Numbers as JSON, exactly."""
    text = json.dumps(np.asarray(array).tolist())
    return text.replace("NaN", "null").replace("Infinity", "1e999")


def _from_json(part: Path) -> ClipTracks:
    head = load_json(part)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise FormatError(f"{part}: expected tracks of gepc-pipeline (an object with 'format': {FORMAT!r})")
    if head.get("version") != FORMAT_VERSION:
        raise FormatError(
            f"{part}: expected format version {FORMAT_VERSION}, found {short(head.get('version'))}. "
            "Write the file again with this version of the program"
        )
    rows = _expect(part, head, "rows", list)
    frame_size = numbers(_expect(part, head, "frame_size", list), f"{part}: ['frame_size']")
    if frame_size.shape != (2,) or not ((frame_size > 0) & (frame_size <= 1e5)).all():
        raise FormatError(
            f"{part}: ['frame_size']: expected width and height in pixels, found {short(head['frame_size'])}"
        )
    columns: dict[str, list[Any]] = {name: [] for name in ("frame", "track", "box", "keypoints", "features")}
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise FormatError(f"{part}: ['rows'][{i}]: expected an object, found {short(row)}")
        for name, values in columns.items():
            if name in row:
                values.append(row[name])
            elif name != "features":
                raise FormatError(f"{part}: ['rows'][{i}]: expected an object with {name!r}")
    joints = _shape(part, head, "keypoints_shape") or (0, 3)
    features = None
    shape = _shape(part, head, "features_shape")
    if shape:
        kind = _FEATURE_TYPES.get(str(head.get("features_type")))
        if kind is None:
            raise FormatError(f"{part}: ['features_type']: expected float16 or float32")
        features = _column(part, columns["features"], "features", (len(rows), *shape)).astype(kind)
    try:
        # Larger than single precision is infinite.
        with np.errstate(over="ignore"):
            time_s = numbers(_expect(part, head, "time_s", list), f"{part}: ['time_s']").reshape(-1)
            return ClipTracks(
                clip=clip_name(_expect(part, head, "clip", str)),
                skeleton=_expect(part, head, "skeleton", str),
                fps=clip_rate(time_s, float(_expect(part, head, "fps", (int, float)))),
                frame_size=(int(frame_size[0]), int(frame_size[1])),
                time_s=time_s,
                frame=_whole(part, columns["frame"], "frame"),
                track=_whole(part, columns["track"], "track"),
                keypoints=_column(
                    part,
                    columns["keypoints"],
                    "keypoints",
                    (len(rows), *joints) if "keypoints_shape" in head else None,
                ).astype(np.float32),
                boxes=_column(part, columns["box"], "box", (len(rows), 4)).astype(np.float32),
                features=features,
                things=_things(part, head),
                provenance=_expect(part, head, "provenance", dict),
            )
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{part}: {error}") from None


def _things(part: Path, head: dict[str, Any]) -> ClipThings | None:
    """The things of a clip; None where nobody looked for them."""
    if head.get("things") is None:
        return None
    found = _expect(part, head, "things", dict)
    arrays = {}
    kinds: dict[str, type[np.generic]] = {"looked": np.int32, "frame": np.int32, **THING_TYPES}
    for name, kind in kinds.items():
        values = _expect(part, found, name, list)
        array = numbers(values, f"{part}: ['things'][{name!r}]")
        if np.issubdtype(kind, np.integer):
            known = np.isin(array, list(KINDS)) if name == "kinds" else (array >= 0) & (array < 2**31)
            if not (known & (array == np.floor(array))).all():
                raise FormatError(
                    f"{part}: ['things'][{name!r}]: expected whole numbers that are {name} of things"
                )
        arrays[name] = (array if len(values) else array.reshape(0, *THING_SHAPES.get(name, ()))).astype(kind)
    return ClipThings(arrays.pop("looked"), arrays.pop("frame"), Things(**arrays))


def _expect(part: Path, head: dict[str, Any], key: str, kind: Any) -> Any:
    value = head.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise FormatError(f"{part}: [{key!r}]: expected {names}, found {short(value)}")
    return value


def _shape(part: Path, head: dict[str, Any], key: str) -> tuple[int, ...]:
    """A shape in the header; () if there is none."""
    shape = head.get(key)
    if shape is None:
        return ()
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(n, int) and 0 <= n <= 1e5 for n in shape)
    ):
        raise FormatError(f"{part}: [{key!r}]: expected two whole numbers, found {short(shape)}")
    return tuple(shape)


def _column(part: Path, values: list[Any], name: str, shape: tuple[int, ...] | None) -> NDArray[np.float64]:
    """One column of all rows, of ``shape`` if that is known."""
    array = numbers(values, f"{part}: {name!r} of the rows")
    if shape is None:
        return array if array.ndim == 3 else np.zeros((0, 0, 3))
    if array.size == 0 and 0 in shape:
        return np.zeros(shape)
    if array.shape != shape:
        raise FormatError(
            f"{part}: {name!r} of the rows: expected numbers of shape {shape}, found {array.shape}"
        )
    return array


def _whole(part: Path, values: list[Any], name: str) -> NDArray[np.int32]:
    for i, value in enumerate(values):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
            raise FormatError(
                f"{part}: ['rows'][{i}][{name!r}]: expected a whole number, found {short(value)}"
            )
    return np.array(values, np.int32)
