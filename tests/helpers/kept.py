"""What takes long to make, made once for all test processes and kept between runs.

A folder is keyed by the code and the installed packages that it depends on and by what it was made from, so that a
change of any makes it anew.
`GEPC_TEST_CACHE` names another place than ``~/.cache/gepc-pipeline-tests``; deleting that is always safe.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from pipeline.versions import versions
from tests.helpers import ROOT

_MOST_KEPT = 3  # versions of one thing


def kept(name: str, make: Callable[[Path], object], code: Sequence[str], *facts: object) -> Path:
    """The folder that ``make`` has filled; nobody may change it: copy what a test changes.

    Args:
        name: of the thing, for people who look into the cache.
        make: gets an empty folder and fills it.
        code: files and folders of the repository that it depends on.
        facts: what else it depends on, by their ``repr``.
    """
    root = Path(os.environ.get("GEPC_TEST_CACHE") or Path.home() / ".cache" / "gepc-pipeline-tests")
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{name}-{_digest(code, facts)}"
    with FileLock(root / f"{name}.lock"):
        if not folder.is_dir():
            for old in sorted(root.glob(f"{name}-*/"), key=os.path.getmtime)[: 1 - _MOST_KEPT]:
                shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
                made = Path(scratch) / "made"
                made.mkdir()
                make(made)
                made.rename(folder)
    return folder


def _digest(code: Sequence[str], facts: tuple[object, ...]) -> str:
    # Not our own version: it changes with every commit, and our code is hashed below.
    packages = sorted((name, made) for name, made in versions().items() if name != "gepc-pipeline")
    hashed = hashlib.sha256(repr((facts, packages)).encode())
    for name in sorted(code):
        place = ROOT / name
        files = [p for p in place.rglob("*") if p.suffix in (".py", ".yaml")] if place.is_dir() else [place]
        for path in sorted(files):
            hashed.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]
