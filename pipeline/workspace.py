"""Keep the workspace: the folder that holds the tracks and the model, with a manifest of its clips.

A clip is done when its NPZ is in place. The NPZ's own header says what made it, so the manifest is an index that can
be rebuilt, and a process may be killed at any moment.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.processes import locked, locked_part
from pose_extract.checking import MOST, build, expect_between
from pose_extract.errors import CacheError, ConfigError, short
from pose_extract.files import read_input, write_atomically
from pose_extract.patches.store import patches_path
from pose_extract.tracks.cache import load_header

logger = logging.getLogger(__name__)

MANIFEST_VERSION = 1
_SUMMARY = ("frames", "rows", "tracks", "seconds", "coverage", "damage")


@dataclass(frozen=True)
class ClipEntry:
    """One clip of the manifest.

    Attributes:
        clip: name of the clip; its tracks are ``tracks/<clip>.npz``.
        source: absolute path of the video, or of the imported file or folder, that it came from.
        key: hash of that content and of the settings that shaped the tracks.
        train: whether `train` learns from it (it came by `extract` or `import`, not by `score`).
        frames: number of frames.
        rows: number of rows, a person in a frame each.
        tracks: number of different people.
        seconds: duration of the clip.
        estimator: name of the pose estimator; of imported poses, the format that they came in.
        coverage: share of the frames that show at least one person.
        damage: what could not be read, as ``time: message``.
        report: of imported poses, what was read and left out: a `ReadReport`.
    """

    clip: str
    source: str
    key: str
    train: bool
    frames: int
    rows: int
    tracks: int
    seconds: float
    estimator: str
    coverage: float
    damage: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.clip in ("", ".", "..") or "/" in self.clip or "\0" in self.clip:
            raise ConfigError(f"clip: expected a name fit for a file, got {short(self.clip)}")
        expect_between("clip", self, 1, MOST, "frames")
        expect_between("clip", self, 0, MOST * 1000, "rows", "tracks")
        expect_between("clip", self, 0, 1e18, "seconds")
        expect_between("clip", self, 0, 1, "coverage")


class Workspace:
    """The folders of one project: ``tracks/``, ``model/``, ``training/``, ``tracks/manifest.json``, ``marks.json``.

    Args:
        root: the folder.
        wait: wait for other processes at work there, instead of a `BusyError`.
    """

    def __init__(self, root: Path, wait: bool = True) -> None:
        self.root, self.wait = root, wait
        self.tracks = root / "tracks"
        self.model = root / "model"
        self.training = root / "training"
        self.marks = root / "marks.json"
        self.patch_encoder = root / "patch_encoder.safetensors"
        self._manifest = self.tracks / "manifest.json"

    @contextmanager
    def writing_tracks(self) -> Iterator[None]:
        """Keep other processes from writing tracks here meanwhile; waits for those that are at it.

        Raises:
            BusyError: another process is at it, and `wait` is False.
        """
        with self._hold(self.tracks, "writing tracks into", shared=False):
            yield

    @contextmanager
    def adding_clips(self) -> Iterator[None]:
        """The same, but beside other processes that add single clips, each under `holding`."""
        with self._hold(self.tracks, "writing tracks into", shared=True):
            yield

    @contextmanager
    def writing_model(self) -> Iterator[None]:
        """Keep other processes from training in this workspace meanwhile; waits or raises as `writing_tracks` does."""
        with self._hold(self.training, "training in", shared=False):
            yield

    @contextmanager
    def holding(self, *what: str) -> Iterator[None]:
        """Keep other processes from making the same clip, or one of the same name, meanwhile; waits or raises."""
        with locked_part(self.tracks / ".clips.lock", what, self._busy(f"making {what[0]} in"), self.wait):
            yield

    def _hold(self, folder: Path, doing: str, shared: bool) -> AbstractContextManager[None]:
        return locked(folder / ".lock", self._busy(doing), shared=shared, wait=self.wait)

    def _busy(self, doing: str) -> str:
        return f"another gepc-pipeline is {doing} {self.root}"

    def tracks_path(self, clip: str) -> Path:
        """Where the clip's tracks lie."""
        return self.tracks / f"{clip}.npz"

    def entries(self) -> list[ClipEntry]:
        """The clips that are done, ordered by name. Entries whose tracks are gone are left out."""
        return sorted(
            (e for e in self._read().values() if self.tracks_path(e.clip).is_file()), key=lambda e: e.clip
        )

    def kept(self) -> list[tuple[str, Path]]:
        """What each file that is kept here is, and its path: no output may take its place."""
        return [
            ("workspace's list of clips", self._manifest),
            ("workspace's marks", self.marks),
            ("workspace's patch encoder", self.patch_encoder),
            *(("clip's tracks", self.tracks_path(entry.clip)) for entry in self.entries()),
        ]

    def training_clips(self) -> list[ClipEntry]:
        """The clips that `train` learns from."""
        return [entry for entry in self.entries() if entry.train]

    @contextmanager
    def index(self) -> Iterator[ClipIndex]:
        """The clips as one run looks them up and adds to them; in the end all are in the list."""
        index = ClipIndex(self)
        try:
            yield index
        finally:
            index.write()

    def record(self, *finished: ClipEntry) -> None:
        """Put finished clips into the manifest."""
        with locked(self.tracks / ".manifest.lock"):
            self._write(self._read(finished))

    def remove(self, *clips: ClipEntry) -> None:
        """Take clips out: their tracks first, so that a list that is rebuilt does not bring them back."""
        with locked(self.tracks / ".manifest.lock"):
            for entry in clips:
                self.tracks_path(entry.clip).unlink(missing_ok=True)
                shutil.rmtree(patches_path(self.tracks_path(entry.clip)), ignore_errors=True)
            gone = {entry.clip for entry in clips}
            self._write({name: entry for name, entry in self._read().items() if name not in gone})

    def signature(self) -> tuple[int, ...]:
        """Something that differs when the list of clips has been written anew."""
        try:
            found = self._manifest.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self, finished: Sequence[ClipEntry] = ()) -> dict[str, ClipEntry]:
        """The entries that the manifest has, those that are to be put into it, and of any other tracks."""
        entries = self._read_manifest() | {entry.clip: entry for entry in finished}
        for path in self.tracks.glob("*.npz"):  # finished, but the process was killed before it said so
            if path.stem not in entries:
                try:
                    entries[path.stem] = entry_of(load_header(path)["provenance"], path.stem)
                except CacheError as error:
                    logger.warning("%s is left out: %s", path, error)
        return entries

    def _read_manifest(self) -> dict[str, ClipEntry]:
        """The entries of the manifest that are ones; what it has of another clip is known from its tracks."""
        try:
            data = json.loads(read_input(self._manifest))
            if not isinstance(data, dict) or data.get("version") != MANIFEST_VERSION:
                raise ValueError(f"it is no list of version {MANIFEST_VERSION}")
            if not isinstance(clips := data.get("clips"), dict):
                raise ValueError(f"'clips': expected keys and values, got {short(clips)}")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("%s cannot be read (%s); it is rebuilt from the tracks", self._manifest, error)
            return {}
        entries = {}
        for name, values in clips.items():
            try:
                if not isinstance(values, dict):
                    raise ConfigError(f"expected keys and values, got {short(values)}")
                entries[name] = build(ClipEntry, {**values, "clip": name})
            except ConfigError as error:
                why = str(error).removeprefix("config: ")
                logger.warning("%s: [%s]: %s; its tracks tell it", self._manifest, short(name), why)
        return entries

    def _write(self, entries: dict[str, ClipEntry]) -> None:
        clips = {
            name: {k: v for k, v in vars(entry).items() if k != "clip"}
            for name, entry in sorted(entries.items())
        }
        text = json.dumps({"version": MANIFEST_VERSION, "clips": clips}, indent=1)
        write_atomically(self._manifest, text.encode())


class ClipIndex:
    """The clips of a workspace as one run knows them; what it costs a clip does not grow with their number.

    The list is read when another process has written it, and new clips are put into it now and then, both for a
    hundredth of the time at most: a clip's own file says all of it, so the list may be behind.

    Args:
        workspace: whose.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._new: dict[str, ClipEntry] = {}
        self._by_name: dict[str, ClipEntry] = {}
        self._by_key: dict[str, ClipEntry] = {}
        self._seen: tuple[int, ...] | None = None
        self._read_from = self._write_from = 0.0  # not before

    def find(self, key: str, name: str = "") -> ClipEntry | None:
        """The finished clip made from this content with these settings, if there is one.

        Args:
            key: of content and settings.
            name: which it may have been made under by a process that has not put it into the list.
        """
        self._read()
        names = (
            [self._by_key[key].clip]
            if key in self._by_key
            else [name, _other_name(name, key)]
            if name
            else []
        )
        for clip in names:
            path = self._workspace.tracks_path(clip)
            try:
                if path.is_file() and (made := load_header(path)["provenance"]).get("key") == key:
                    return self._by_key.get(key) or self._know(entry_of(made, clip))
            except CacheError as error:
                logger.warning("%s; it is made again", error)
        return None

    def name_for(self, name: str, source: str, key: str, train: bool = True) -> str:
        """A name not taken by another video, nor, if it is not to ``train`` from, by one that is: or with its key."""
        self._read()
        taken = self._by_name.get(name)
        if taken is None and (path := self._workspace.tracks_path(name)).is_file():
            try:
                taken = entry_of(load_header(path)["provenance"], name)
            except CacheError as error:
                logger.warning("%s; it is made again", error)
        own = taken is None or (taken.source == source and (train or not taken.train or taken.key == key))
        return name if own else _other_name(name, key)

    def named(self, clip: str) -> ClipEntry | None:
        """The clip of this name, if the list has it."""
        self._read()
        return self._by_name.get(clip)

    def add(self, entry: ClipEntry) -> None:
        """Take in a finished clip, which is put into the list soon."""
        self._new[entry.clip] = self._know(entry)
        if time.monotonic() >= self._write_from:
            self.write()

    def write(self) -> None:
        """Put what is new into the list."""
        if not self._new:
            return
        begun = time.monotonic()
        self._workspace.record(*self._new.values())
        self._new = {}
        self._write_from = _after(begun)

    def promote(self, entry: ClipEntry) -> ClipEntry:
        """Let `train` learn from a clip that had only been scored."""
        if not entry.train:
            entry = replace(entry, train=True)
            self.add(entry)
        return entry

    def _know(self, entry: ClipEntry) -> ClipEntry:
        self._by_name[entry.clip] = self._by_key[entry.key] = entry
        return entry

    def _read(self) -> None:
        if (now := self._workspace.signature()) == self._seen or time.monotonic() < self._read_from:
            return
        begun = time.monotonic()
        self._by_name, self._by_key = {}, {}
        for entry in (*self._workspace.entries(), *self._new.values()):
            self._know(entry)
        self._seen, self._read_from = now, _after(begun)


def _other_name(name: str, key: str) -> str:
    return f"{name}-{key[:8]}"


def _after(begun: float) -> float:
    """When what has been done since ``begun`` may be done again."""
    now = time.monotonic()
    return now + 100 * (now - begun)


def entry_of(provenance: dict[str, Any], clip: str) -> ClipEntry:
    """The manifest entry that a tracks file's provenance describes; raises CacheError if it does not."""
    try:
        summary = provenance["summary"]
        return build(
            ClipEntry,
            {
                "clip": clip,
                "estimator": provenance["estimator"]["name"],
                "report": summary.get("report") or {},
                **{name: provenance[name] for name in ("source", "key", "train")},
                **{name: summary[name] for name in _SUMMARY},
            },
        )
    except (AttributeError, TypeError) as error:
        raise CacheError(f"the provenance of clip {clip} is damaged: {error}") from error
    except KeyError as error:
        raise CacheError(
            f"the provenance of clip {clip} lacks {error}: no command made these tracks"
        ) from error
    except ConfigError as error:
        why = str(error).removeprefix("config: ")
        raise CacheError(f"the provenance of clip {clip} is damaged: {why}") from error
