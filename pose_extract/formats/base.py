"""Read and write tracks of other tools and data sets by the name of their format.

A format is a module with three functions: ``find(path)`` lists the files or folders that hold a clip (or several) each;
``read(part, options)`` gives the clips of one of them, and an error for each piece that is damaged and left out;
``write(clips, path)`` is the way back.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from pose_extract.errors import FormatError, UsageError
from pose_extract.formats.options import ImportOptions
from pose_extract.tracks.records import ClipTracks

FORMATS: dict[str, str] = {
    "alphapose": "pose_extract.formats.alphapose",
    "openpose": "pose_extract.formats.openpose",
    "kinetics-skeleton": "pose_extract.formats.kinetics_skeleton",
    "ntu": "pose_extract.formats.ntu",
    "mped-rnn": "pose_extract.formats.mped_rnn",
    "coco": "pose_extract.formats.coco",
    "posetrack": "pose_extract.formats.posetrack",
    "chad": "pose_extract.formats.chad",
    "gepc": "pose_extract.formats.gepc",
}
"""Name -> module. It is imported when the format is asked for, not before."""


class Format(Protocol):
    """What a format's module offers."""

    def find(self, path: Path) -> list[Path]:
        """The files or folders under ``path`` that hold a clip each; raises FormatError if there is none."""

    def read(self, part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
        """The clips of one of them. Raises FormatError if nothing of it can be used."""

    def write(self, clips: Iterable[ClipTracks], path: Path, **options: Any) -> None:
        """Write clips; ``path`` is a folder, or a file where the format puts a clip into one."""


def check_format(name: str, known: Iterable[str]) -> None:
    """Raise `UsageError` that lists the known ones, unless ``name`` is one of them."""
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown format {name!r}; known: {', '.join(known)}{hint}")


def get_format(name: str) -> Format:
    """The format called ``name``; raises `UsageError` that lists the known ones."""
    check_format(name, FORMATS)
    return cast(Format, import_module(FORMATS[name]))


def import_clips(
    format: str,
    path: Path | str,
    fps: float | None = None,
    frame_size: tuple[int, int] | None = None,
    **options: Any,
) -> Iterator[ClipTracks | FormatError]:
    """Read clips one by one; what is damaged comes as an error in its place, and the rest goes on.

    Only one file's (or, for formats with a file a frame or a person, one clip's) content is in memory at a time.

    Args:
        format: a name in `FORMATS`.
        path: a file, or a folder of them.
        fps: frames a second, if the format does not tell.
        frame_size: (width, height) in pixels, if the format does not tell.
        **options: the other fields of `ImportOptions`.

    Raises:
        UsageError: the format or an option is unknown, or the format needs ``fps`` or ``frame_size``.
        FormatError: there is nothing of this format at ``path``.
    """
    chosen = get_format(format)
    try:
        checked = ImportOptions(fps=fps, frame_size=frame_size, **options)
    except TypeError as error:
        raise UsageError(f"import: {error}") from None
    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path}: there is no such file or folder")
    return _read_all(chosen, chosen.find(path), checked)


def _read_all(
    chosen: Format, parts: list[Path], options: ImportOptions
) -> Iterator[ClipTracks | FormatError]:
    for part in parts:
        yield from read_part(chosen, part, options)


def read_part(chosen: Format, part: Path, options: ImportOptions) -> Iterator[ClipTracks | FormatError]:
    """The clips of one of the parts that ``chosen.find`` gives; what is damaged comes as an error in its place."""
    try:
        yield from chosen.read(part, options)
    except FormatError as error:
        yield error
    except OSError as error:
        yield FormatError(f"{part}: cannot be read: {error.strerror or error}")
    except MemoryError:
        yield FormatError(f"{part}: too large for this machine's memory; split it")


def export_clips(format: str, clips: Iterable[ClipTracks], path: Path | str, **options: Any) -> None:
    """Write clips, one by one as they come.

    Args:
        format: a name in `FORMATS`.
        clips: what to write.
        path: a folder, or a file where the format puts a clip into one.
        **options: the format's own, see its ``write``.

    Raises:
        UsageError: the format cannot be written, or an option is unknown.
        FormatError: the format cannot hold these tracks (another skeleton, 3-D).
        OutputError: the files cannot be written.
    """
    try:
        get_format(format).write(clips, Path(path), **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UsageError(f"export to {format}: {error}") from None


def files_in(path: Path, *patterns: str) -> list[Path]:
    """The file itself, or the files under a folder that match one of the patterns, in order of their names.

    Raises:
        FormatError: there is none.
    """
    if path.is_file():
        return [path]
    found = sorted({file for pattern in patterns for file in path.rglob(pattern) if file.is_file()})
    if not found:
        raise FormatError(f"{path}: expected files named {' or '.join(patterns)}, found none")
    return found


def checked_for_export(clip: ClipTracks, format: str, skeletons: tuple[str, ...], size: int = 3) -> None:
    """Raise FormatError unless the format can hold a clip's skeleton and its keypoints of ``size`` numbers."""
    if clip.skeleton not in skeletons:
        raise FormatError(
            f"clip {clip.clip}: {format} files hold the skeletons {', '.join(skeletons)}, not {clip.skeleton}"
        )
    if clip.keypoints.shape[2] != size:
        kinds = {3: "2-D", 4: "3-D"}
        raise FormatError(
            f"clip {clip.clip}: {format} files hold {kinds[size]} joints, these are "
            f"{kinds[clip.keypoints.shape[2]]}"
        )


class ExportFolders:
    """The folders of one export that hold a file for each frame or person, a clip's each."""

    def __init__(self) -> None:
        self._clips: dict[Path, str] = {}

    def check(self, folder: Path, clip: str, pattern: str, names: Collection[str]) -> None:
        """Raise UsageError if a clip's files would mix with others.

        Args:
            folder: where they go.
            clip: whose.
            pattern: what such files are called.
            names: of those that are to be written.
        """
        other = self._clips.setdefault(folder, clip)
        if other != clip:
            raise UsageError(
                f"{folder}: the clips {other} and {clip} would both be there; export them to two folders"
            )
        strange = next((f.name for f in sorted(folder.glob(pattern)) if f.name not in names), None)
        if strange is not None:
            raise UsageError(
                f"{folder}: {strange} is there, which is not of the clip {clip} as it is now, and would be read as a "
                "part of it; remove that folder, or export to another one"
            )


def targets(clips: Iterable[ClipTracks], path: Path, ending: str) -> Iterator[tuple[ClipTracks, Path]]:
    """Each clip with its file: ``path`` itself if it ends like one, else one in the folder ``path``.

    Raises:
        UsageError: several clips are to go into one file.
    """
    single = path.suffix == Path(f"x{ending}").suffix and not path.is_dir()
    if single:
        some = list(islice(clips, 2))
        if len(some) > 1:  # before the first is written
            raise UsageError(f"{path}: one file holds one clip, and there are several; name a folder")
        clips = some
    for clip in clips:
        yield clip, path if single else path / f"{clip.clip}{ending}"
