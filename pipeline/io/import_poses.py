"""Import poses of other tools and data sets into the workspace."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.adding import summary_of
from pipeline.io.import_checks import plain_json
from pipeline.io.import_parts import LAST, PartReader, plain_options, read_parts
from pipeline.progress import stage
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, Workspace, entry_of
from pose_extract.errors import CacheError, FormatError, UsageError
from pose_extract.formats.base import get_format
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import clip_name
from pose_extract.formats.report import ReadReport
from pose_extract.tracks.cache import load_header, save_tracks
from pose_extract.tracks.records import ClipTracks

logger = logging.getLogger(__name__)

_RECORD_EVERY_S = 10.0  # the manifest is an index of all clips; it is not written anew after each of 100,000
_TESTING = frozenset(
    ("test", "testing")
)  # what releases call the folder of clips that nothing may be learned from
_MOST_DAMAGE = 20  # messages that are kept with a clip
_NAME_BYTES = 200  # file systems allow 255; "-<key>.npz.partial" is still to come


@dataclass(frozen=True)
class ImportReport:
    """What `import_all` did.

    Attributes:
        made: clips imported now.
        reused: clips that were there before.
        failed: what could not be used, each names its file.
        seconds: wall-clock time spent.
    """

    made: tuple[ClipEntry, ...]
    reused: tuple[ClipEntry, ...]
    failed: tuple[FormatError, ...]
    seconds: float


def import_all(
    format: str,
    path: Path | Sequence[Path],
    workspace: Workspace,
    options: ImportOptions | None = None,
    *,
    train: bool = True,
    quiet: bool = False,
    jobs: int | None = 1,
) -> ImportReport:
    """Import every clip at ``path`` that the workspace does not hold yet; what is damaged is reported and left out.

    Each clip is in the workspace complete or not at all, and nothing at all is written if there is no clip to import.

    Args:
        format: a name in `pose_extract.formats.base.FORMATS`.
        path: a file, a folder of them, or files and folders as the format's ``find`` lists them.
        workspace: where the tracks are kept.
        options: what the format does not tell.
        train: whether `train` shall learn from these clips.
        quiet: no progress.
        jobs: how many files at once; None: as many as the machine carries, if there is much to read. Only the time
            depends on it.

    Raises:
        UsageError: the format is unknown, or needs an option that is not given.
        FormatError: there is nothing of this format at ``path``.
        OutputError: a clip cannot be written; those before it are kept.
    """
    start = time.monotonic()
    chosen = get_format(format)
    options = options or ImportOptions()
    if not isinstance(path, Path):
        parts = list(path)
    elif path.exists():
        parts = chosen.find(path)
    else:
        raise FormatError(f"{path}: there is no such file or folder")
    own = workspace.tracks.resolve()
    if any(part.resolve().is_relative_to(own) for part in parts):
        raise UsageError(f"{own}: its tracks are this workspace's own; import from elsewhere")
    made: list[ClipEntry] = []
    reused: list[ClipEntry] = []
    failed: list[FormatError] = []
    with (
        _Importer(workspace) as importer,
        stage(f"import {format}", "files", len(parts), quiet) as bar,
        closing(
            read_parts(PartReader(format, options), parts, importer.keys(), workspace.tracks / "import", jobs)
        ) as read,
    ):
        for part, key, items in read:
            if isinstance(key, FormatError):
                failed.append(key)
                continue
            learn = train and not _is_for_testing(part, path)
            entries = importer.whole(key, learn)
            if entries is None:
                damage: list[str] = []
                names: set[str] = set()
                for item, number, last in _numbered(items):
                    if isinstance(item, FormatError):
                        failed.append(item)
                        damage.append(str(item))
                        if len(parts) > 1:  # of one, the command says it
                            logger.error("%s", item)
                        continue
                    clip_key = f"{key}-{number}" + (f"-{LAST}" if last else "")
                    provenance = _provenance(item, clip_key, part, format, options, learn, damage)
                    entry, new = importer.add(item, provenance)
                    (made if new else reused).append(entry)
                    names.add(entry.clip)
                    damage.clear()
                    bar.advance(0, f"{len(made)} clips, now {entry.clip}")
                importer.tell_of_gone(str(part.resolve()), names)
            else:
                reused += entries
            bar.advance(1)
    return ImportReport(tuple(made), tuple(reused), tuple(failed), time.monotonic() - start)


def _numbered(
    items: Iterable[ClipTracks | FormatError],
) -> Iterator[tuple[ClipTracks | FormatError, int, bool]]:
    """Each item, the number of clips before it, and whether it is a clip that completes a part without any damage."""
    count, held, sound = 0, None, True
    for item in items:
        if held is not None:
            yield held, count - 1, False
            held = None
        if isinstance(item, FormatError):
            sound = False
            yield item, count, False
        else:
            held, count = item, count + 1
    if held is not None:
        yield held, count - 1, sound


class _Importer:
    """Puts clips into a workspace, which is locked, and made if need be, only when there is a clip to put there."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._alone = ExitStack()
        self._locked = False
        self._unrecorded: list[ClipEntry] = []
        self._recorded_at = time.monotonic()
        self._written: set[str] = set()
        self._index()

    def _index(self) -> None:
        self._by_name = {entry.clip: entry for entry in self._workspace.entries()}
        self._by_key = {entry.key: entry for entry in self._by_name.values()}
        self._by_source: dict[str, set[str]] = {}
        for entry in self._by_name.values():
            self._by_source.setdefault(entry.source, set()).add(entry.clip)

    def __enter__(self) -> _Importer:
        return self

    def __exit__(self, *error: object) -> None:
        with self._alone:
            self._record()

    def keys(self) -> frozenset[str]:
        """Those of the clips that are there."""
        return frozenset(self._by_key)

    def whole(self, key: str, train: bool) -> list[ClipEntry] | None:
        """The clips of a part, if all of them are there; from now on for training if they are to be."""
        found: list[ClipEntry] = []
        while True:
            begin = f"{key}-{len(found)}"
            last = self._at(f"{begin}-{LAST}")
            entry = last or self._at(begin)
            if entry is None:
                return None
            found.append(entry)
            if last is not None:
                return [self._wanted(e, train) for e in found]

    def add(self, clip: ClipTracks, provenance: dict[str, Any]) -> tuple[ClipEntry, bool]:
        """Put a clip into the workspace, unless it is there; its entry, and whether it is new."""
        key, source = provenance["key"], provenance["source"]
        entry = self._at(key)
        if entry is not None:
            return self._wanted(entry, provenance["train"]), False
        self._lock()
        name = self._name(clip_name(clip.clip), source, key)
        save_tracks(self._workspace.tracks_path(name), replace(clip, clip=name, provenance=provenance))
        entry = entry_of(provenance, name)
        self._written.add(name)
        self._put(entry)
        return entry, True

    def tell_of_gone(self, source: str, names: Collection[str]) -> None:
        """Say which clips a file gave when it was imported before, and no longer does: they stay."""
        gone = sorted(self._by_source.get(source, set()).difference(names))
        if gone:
            logger.warning(
                "%s no longer gives the clip %s%s, which was imported from it and stays; delete %s to be rid of it",
                source,
                gone[0],
                f" (nor {len(gone) - 1} others)" if len(gone) > 1 else "",
                self._workspace.tracks_path(gone[0]),
            )

    def _at(self, key: str) -> ClipEntry | None:
        """The clip made from this content with these options, if its tracks are still those."""
        entry = self._by_key.get(key)
        if entry is None:
            return None
        try:
            header = load_header(self._workspace.tracks_path(entry.clip))
        except CacheError as error:
            logger.warning("%s; it is made again", error)
            return None
        return entry if header["provenance"].get("key") == key else None

    def _wanted(self, entry: ClipEntry, train: bool) -> ClipEntry:
        """The entry, for training from now on if these clips are."""
        if train and not entry.train:
            self._lock()
            entry = replace(entry, train=True)
            self._put(entry)
        return entry

    def _name(self, name: str, source: str, key: str) -> str:
        """A name that no other clip has: of another file, or of this one but made just now."""
        name = name.encode()[:_NAME_BYTES].decode(errors="ignore")
        taken = self._by_name.get(name)
        if taken is None or (taken.source == source and name not in self._written):
            return name
        return f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    def _lock(self) -> None:
        if not self._locked:
            self._alone.enter_context(self._workspace.writing_tracks())
            self._locked = True
            self._index()

    def _put(self, entry: ClipEntry) -> None:
        self._by_name[entry.clip] = self._by_key[entry.key] = entry
        self._unrecorded.append(entry)
        if time.monotonic() > self._recorded_at + _RECORD_EVERY_S:
            self._record()

    def _record(self) -> None:
        if self._unrecorded:
            self._workspace.record(*self._unrecorded)
            self._unrecorded.clear()
        self._recorded_at = time.monotonic()


def _is_for_testing(part: Path, root: Path | Sequence[Path]) -> bool:
    """Whether a part below the imported folder is in a release's folder of test clips, or called abnormal."""
    if not isinstance(root, Path):
        return False
    try:
        inside = part.relative_to(root)
    except ValueError:
        return False
    return any(name.lower() in _TESTING for name in inside.parts[:-1]) or inside.name.lower().startswith(
        "abnormal"
    )


def _provenance(
    clip: ClipTracks,
    key: str,
    part: Path,
    format: str,
    options: ImportOptions,
    train: bool,
    damage: list[str],
) -> dict[str, Any]:
    """What made the tracks. What our own files say of themselves is kept."""
    before = plain_json(clip.provenance)
    said = before.get("import")
    facts = said if isinstance(said, dict) else {}
    estimator = before.get("estimator")
    ours = format == "gepc" and isinstance(estimator, dict) and isinstance(estimator.get("name"), str)
    given = {name: value for name, value in plain_options(options).items() if value not in (None, {})}
    kept: dict[str, Any] = {"original": before} if format == "gepc" else {}
    if ours and isinstance(before.get("settings"), dict):
        kept["settings"] = before["settings"]
    return {
        **kept,
        "source": str(part.resolve()),
        "key": key,
        "train": train,
        "estimator": estimator if ours else {"name": format},
        "import": {**facts, "format": format, "options": given},
        "versions": versions(),
        "summary": {
            **summary_of(clip, damage[:_MOST_DAMAGE]),
            "report": ReadReport(poses=len(clip)).as_json(len(clip))
            if format == "gepc"
            else facts.get("report", {}),
        },
    }
