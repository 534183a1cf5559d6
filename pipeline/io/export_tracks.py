"""Export cached tracks to the files of other tools."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.workspace import Workspace
from pose_extract.errors import FormatError, UsageError
from pose_extract.formats.base import export_clips, get_format
from pose_extract.skeletons import SKELETONS, get_skeleton
from pose_extract.skeletons.skeleton import convert_joints
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks


def find_tracks(workspace: Workspace, tracks: Sequence[Path] = (), pattern: str = "*") -> list[Path]:
    """The tracks files to export: those named (folders hold some), or else the workspace's.

    Args:
        workspace: used if no ``tracks`` are given.
        tracks: NPZ files, or folders of them.
        pattern: the clips' names must match it, as a shell's file names do.

    Raises:
        UsageError: there is none.
    """
    if tracks:
        found = [f for path in tracks for f in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]
    else:
        found = [workspace.tracks_path(entry.clip) for entry in workspace.entries()]
    found = [path for path in found if fnmatch.fnmatchcase(path.stem, pattern)]
    if not found:
        where = ", ".join(map(str, tracks)) or workspace.tracks
        raise UsageError(f"no tracks of clips named {pattern!r} in {where}; see: gepc-pipeline info")
    return found


def export_all(
    format: str, paths: Sequence[Path], out: Path, skeleton: str | None = None, **options: Any
) -> int:
    """Write tracks files in another format, one after another; returns how many.

    Args:
        format: a name in `pose_extract.formats.base.FORMATS`.
        paths: the tracks files.
        out: a folder, or a file where the format puts a clip into one.
        skeleton: convert the joints to those of this skeleton first.
        **options: the format's own.

    Raises:
        UsageError: the format or an option is unknown, or two clips have the same name.
        FormatError: the format cannot hold a clip; those before it are written.
        CacheError: a tracks file is missing or damaged.
        OutputError: the files cannot be written.
    """
    get_format(format)
    count = 0

    def clips() -> Iterator[ClipTracks]:
        nonlocal count
        names: dict[str, Path] = {}
        for path in paths:
            clip = load_tracks(path, features=format == "gepc")
            if clip.clip in names:
                raise UsageError(
                    f"{path} and {names[clip.clip]} both hold a clip {clip.clip!r}; export them to two folders"
                )
            names[clip.clip] = path
            yield clip if skeleton is None else _converted(clip, skeleton)
            count += 1

    export_clips(format, clips(), out, **options)
    return count


def _converted(clip: ClipTracks, name: str) -> ClipTracks:
    target, source = get_skeleton(name), SKELETONS.get(clip.skeleton)
    if clip.skeleton == name:
        return clip
    keypoints = None if source is None else convert_joints(clip.keypoints, source, target)
    if keypoints is None:
        raise FormatError(
            f"clip {clip.clip}: its skeleton {clip.skeleton!r} lacks joints of {name!r}, so it cannot be converted"
        )
    return replace(clip, skeleton=name, keypoints=keypoints, features=None)
