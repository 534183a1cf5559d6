"""Read which frames of clips are abnormal, from masks, intervals and data sets' own files.

Inside the program a clip's labels are a boolean array (F,), True where a frame is abnormal.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from anomaly.evaluation.intervals import stretches_of
from pipeline.labels import formats as label_formats
from pose_extract.errors import FormatError, UsageError
from pose_extract.files import complete_or_absent, open_input
from pose_extract.tracks.cache import load_tracks

Mask = NDArray[np.bool_]
MASK_KINDS = ("masks", "intervals", "ubnormal", "shanghaitech", "avenue", "chad")

_MOST_BYTES = 256 << 20  # of one mask: a week at 50 frames a second in eight bytes each


def read_masks(path: Path, abnormal: int = 1) -> dict[str, Mask]:
    """Read frame masks, one a clip.

    Args:
        path: a folder of ``.npy`` files (in folders of their own if need be), each named like its clip; one such
            file; or an ``.npz`` of one array a clip. Arrays are (F,) of 0 and 1.
        abnormal: which of 0 and 1 stands for an abnormal frame in these files. It is said, never guessed.

    Returns:
        clip name -> (F,), True where the frame is abnormal; in order of the names.

    Raises:
        UsageError: ``abnormal`` is something else.
        FormatError: names the file or member, what was expected and what was found. Nothing is ever unpickled.
    """
    if abnormal not in (0, 1):
        raise UsageError(f"abnormal: expected 0 or 1, the value of an abnormal frame, got {abnormal!r}")
    if path.suffix.lower() == ".npz":
        return dict(sorted(_from_npz(path, abnormal).items()))
    files = [path] if not path.is_dir() else sorted(path.rglob("*.npy"), key=lambda file: (file.stem, file))
    if not path.exists():
        raise FormatError(f"{path}: there is no such folder of masks")
    if not files:
        raise FormatError(f"{path}: expected files <clip>.npy, found none")
    masks: dict[str, Mask] = {}
    for file in files:
        if file.stem in masks:
            raise FormatError(f"{file}: there is another mask of the clip {file.stem} in {path}")
        try:
            with open_input(file) as stream:
                masks[file.stem] = _as_mask(
                    _read_npy(stream, file.stat().st_size, str(file)), abnormal, str(file)
                )
        except OSError as error:
            raise FormatError(f"{file}: cannot be read: {error.strerror or error}") from None
    return masks


def _from_npz(path: Path, abnormal: int) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    try:
        with open_input(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                where = f"{path}: [{name!r}]"
                if not name or re.search(r"[/\\]", name) or name.startswith("."):
                    raise FormatError(f"{where}: expected the name of a clip")
                if name in masks:
                    raise FormatError(f"{where}: there are two arrays of this name")
                with archive.open(member) as stream:
                    masks[name] = _as_mask(_read_npy(stream, member.file_size, where), abnormal, where)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except FormatError:
        raise
    except Exception as error:  # zipfile raises whatever the damaged bytes lead to
        raise FormatError(
            f"{path}: expected an .npz of one mask a clip; it is damaged or none: {error}"
        ) from None
    if not masks:
        raise FormatError(f"{path}: expected one array a clip, found none")
    return masks


def _read_npy(stream: IO[bytes], size: int, where: str) -> NDArray[Any]:
    """The numbers of a ``.npy`` file of ``size`` bytes; lengths are checked before anything is made of them."""
    expected = f"{where}: expected a .npy file of 0 and 1, one a frame"
    if size > _MOST_BYTES:
        raise FormatError(f"{expected}, found {size >> 20} MiB")
    try:
        version = npy_format.read_magic(stream)
        read_header = {
            (1, 0): npy_format.read_array_header_1_0,
            (2, 0): npy_format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read_header(stream)
    except KeyError:
        raise FormatError(f"{expected}, found one of an unknown version") from None
    except Exception as error:  # the header is Python text; a damaged one ends in about any error
        raise FormatError(
            f"{expected}; it is damaged or none: {' '.join(str(error).split())[:200]}"
        ) from None
    if dtype.kind not in "biuf":
        what = "Python objects, which are never unpickled" if dtype.hasobject else f"values of type {dtype}"
        raise FormatError(f"{expected}, found {what}")
    if max(shape, default=1) != np.prod(shape, dtype=float):
        raise FormatError(f"{expected}: an array of shape (frames,), found shape {shape}")
    wanted = max(shape, default=1) * dtype.itemsize
    if wanted > size:
        raise FormatError(
            f"{expected}; it is cut off: its {max(shape)} values take {wanted} bytes, found {size}"
        )
    data = stream.read(wanted)
    if len(data) < wanted:
        raise FormatError(f"{expected}; it is cut off: its values take {wanted} bytes, found {len(data)}")
    return np.frombuffer(data, dtype)


def _as_mask(values: NDArray[Any], abnormal: int, where: str) -> Mask:
    wrong = ~((values == 0) | (values == 1))
    if wrong.any():
        first = int(wrong.argmax())
        raise FormatError(f"{where}: expected only 0 and 1, found {values[first]} at frame {first}")
    return np.asarray(values == abnormal)


def match_masks(
    masks: Mapping[str, Mask], frame_counts: Mapping[str, int], tolerance: int = 0
) -> dict[str, Mask]:
    """Each clip's mask at the clip's length. Names match by equality.

    Args:
        masks: clip -> (F,).
        frame_counts: clip -> its number of frames.
        tolerance: by how many frames a mask may be shorter or longer than its clip. A longer one is cut, a shorter
            one goes on with its last value.

    Raises:
        UsageError: lists every clip without a mask, mask without a clip, and length that differs by more.
    """
    problems = []
    without = sorted(set(frame_counts) - set(masks))
    if without:
        problems.append(f"no mask for {names_of(without)}")
    unknown = sorted(set(masks) - set(frame_counts))
    if unknown:
        problems.append(f"no clip for the masks {names_of(unknown)}")
    different = [
        f"{clip} (clip {frames}, mask {len(masks[clip])})"
        for clip, frames in sorted(frame_counts.items())
        if clip in masks and (abs(len(masks[clip]) - frames) > tolerance or not len(masks[clip]))
    ]
    if different:
        allowed = f" by more than {tolerance}" if tolerance else ""
        problems.append(f"numbers of frames differ{allowed}: {names_of(different)}")
    if problems:
        raise UsageError("labels do not fit the clips: " + "; ".join(problems))
    return {
        clip: np.pad(masks[clip][:frames], (0, max(frames - len(masks[clip]), 0)), "edge")
        for clip, frames in frame_counts.items()
    }


def names_of(names: Sequence[str], most: int = 20) -> str:
    """The first of some names in a line, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def write_masks(masks: Mapping[str, Mask], folder: Path) -> None:
    """Write ``<clip>.npy`` files of uint8, 1 = abnormal, into ``folder``; raises `OutputError`."""
    for clip, mask in masks.items():
        with complete_or_absent(folder / f"{clip}.npy", "wb") as file:
            np.save(file, mask.astype(np.uint8), allow_pickle=False)


def read_labels(
    kind: str,
    path: Path,
    clips: Mapping[str, NDArray[np.float64]] | None = None,
    abnormal: int | None = None,
    prefix: str = "",
) -> dict[str, Mask]:
    """Read labels of any kind; what each holds is said in `pipeline.labels.formats`.

    Args:
        kind: "masks", "shanghaitech" (its ``test_frame_mask``) and "chad" (its ``anomaly_labels``): see `read_masks`;
            "intervals": a CSV; "ubnormal": a folder with its ``*_tracks.txt``; "avenue": a folder of its
            ``*_label.mat``, or ``avenue.mat``.
        path: the file or folder.
        clips: clip -> time of each of its frames (see `clip_times`). Intervals and UBnormal need them.
        abnormal: the value of an abnormal frame, 0 or 1, which "masks" need. ShanghaiTech's and CHAD's are 1.
        prefix: "avenue" calls its clips ``<prefix>01`` to ``<prefix>21``.

    Returns:
        clip -> (F,), True where the frame is abnormal.

    Raises:
        UsageError: the kind is unknown or needs something that is not given.
        FormatError: the labels are damaged or of another kind; says where, and what was expected.
    """
    if kind not in MASK_KINDS:
        raise UsageError(f"kind of labels: expected one of {', '.join(MASK_KINDS)}, got {kind!r}")
    if not path.exists():
        raise FormatError(f"{path}: there is no such file or folder of labels")
    if kind in ("shanghaitech", "chad"):
        if abnormal not in (None, 1):
            raise UsageError(f"in the frame masks of {kind} 1 is abnormal; read others as kind masks")
        return read_masks(path, 1)
    if kind == "masks":
        if abnormal is None:
            raise UsageError(f"{path}: say which value is an abnormal frame in these masks, 0 or 1")
        return read_masks(path, abnormal)
    if kind == "avenue":
        return label_formats.read_avenue(path, clips, prefix)
    if clips is None:
        raise UsageError(f"labels of kind {kind} need the tracks of their clips, to know how long these are")
    return (label_formats.read_intervals if kind == "intervals" else label_formats.read_ubnormal)(path, clips)


def read_stretches(
    path: Path, names: Sequence[str], time_s: NDArray[np.float64], abnormal: int = 1
) -> list[tuple[float, float]] | None:
    """When one clip is labelled abnormal: (start_s, end_s) in order of time.

    Args:
        path: a table of intervals; or masks as `read_masks` reads them, a single ``.npy`` whatever its name.
        names: what the clip may be called in there.
        time_s: (F,) time of each of its frames.
        abnormal: the value of an abnormal frame in masks.

    Returns:
        None if nothing is said of this clip; of a table, in which normal clips have no row, nothing but an empty list.

    Raises:
        FormatError: the labels are damaged.
        UsageError: the mask has another number of frames than the clip.
    """
    if not path.exists():
        raise FormatError(f"{path}: there is no such file or folder of labels")
    if not path.is_dir() and path.suffix.lower() not in (".npy", ".npz"):
        masks = label_formats.read_intervals(path, dict.fromkeys(names, time_s), others=True)
        found = [np.any(list(masks.values()), axis=0)]
    else:
        masks = read_masks(path, abnormal)
        found = [mask for name, mask in masks.items() if path.suffix.lower() == ".npy" or name in names][:1]
    if not found:
        return None
    if len(found[0]) != len(time_s):
        raise UsageError(f"{path}: the clip has {len(time_s)} frames, its mask {len(found[0])}")
    return [(start, end) for start, end in stretches_of(found[0], time_s).tolist()]


def clip_times(folder: Path) -> dict[str, NDArray[np.float64]]:
    """clip -> time in seconds of each of its frames, of the tracks (NPZ) in a folder.

    Raises:
        UsageError: there are none.
        CacheError: one of them is damaged.
    """
    times = {}
    for path in sorted(folder.glob("*.npz")):
        tracks = load_tracks(path, features=False)
        times[tracks.clip] = np.array(tracks.time_s)
    if not times:
        raise UsageError(f"{folder}: expected tracks of gepc-pipeline (<clip>.npz), found none")
    return times
