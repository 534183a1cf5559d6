"""Say what the name of an output stands for, and refuse names that would cost something that is there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from pose_extract.errors import OutputError

_BUNDLE = ("card.json", "normality.npz")  # tell a model's folder


def is_stream(path: Path) -> bool:
    """Whether ``path`` stands for standard output, an open descriptor, a pipe or a device: nothing to be renamed."""
    if descriptor_of(path) is not None:
        return True
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def is_standard_output(path: Path | None) -> bool:
    """Whether what is written to ``path`` appears among what a command prints."""
    return path is not None and descriptor_of(path) == 1


def check_outputs(outputs: Sequence[tuple[str, Path]], inputs: Sequence[tuple[str, Path | None]]) -> None:
    """Refuse outputs that would overwrite what a command reads, or each other.

    Args:
        outputs: what each is, and its path.
        inputs: what each is, and its path: a file, or a folder whose files are inputs; None is passed over.

    Raises:
        OutputError: an output is an input, or would overwrite a file in a folder that is one or be added to a model's
            bundle; or two outputs are the same file.
    """
    seen: dict[Path, str] = {}
    for what, path in outputs:
        if is_stream(path):
            if os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode):
                raise OutputError(f"{path} is a disk; name a file for the {what}")
            if path in seen or (is_standard_output(path) and any(is_standard_output(p) for p in seen)):
                raise OutputError("two outputs have the same name; give each its own")
            seen[path] = what
            continue
        real = Path(os.path.realpath(path))
        if real in seen:
            raise OutputError("two outputs have the same name; give each its own")
        seen[real] = what
        for name, given in inputs:
            if given is None:
                continue
            place = Path(os.path.realpath(given))
            within = place in real.parents and (real.is_file() or _is_model(place))
            if real == place or within or _same_file(real, place):
                where = f"{path} lies in {given}, which" if within else f"{path}"
                raise OutputError(f"{where} is the {name}; name another file for the {what}")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def spare_models(path: str | Path) -> None:
    """Raise `OutputError` where a file would lie in a model's folder: it is whole, or it is no model any more."""
    place = os.path.realpath(path)
    while (folder := os.path.dirname(place)) != place:
        if _is_model(folder):
            raise OutputError(f"cannot write {path}: {folder} is a model's folder; name another place")
        place = folder


def _is_model(folder: str | Path) -> bool:
    return all(os.path.isfile(os.path.join(folder, name)) for name in _BUNDLE)


def descriptor_of(path: Path) -> int | None:
    """The open file that a name stands for: "-", ``/dev/stdout``, ``/dev/fd/63``."""
    text = os.fspath(path)
    if text in ("-", "/dev/stdout"):
        return 1
    if text == "/dev/stderr":
        return 2
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d{1,6})", text)
    return None if found is None else int(found[1])
