"""Find the clips that a user names (a file, a folder, images, a glob), and hash their content."""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pose_extract.errors import VideoError, printable
from pose_extract.files import open_input, plain_name

logger = logging.getLogger(__name__)

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".263", ".264", ".265", ".266", ".26l", ".3g2", ".3gp", ".3gpp", ".amv", ".asf", ".av1", ".avc", ".avi", ".dav",
    ".divx", ".dv", ".f4v", ".flv", ".gif", ".h261", ".h263", ".h264", ".h265", ".h266", ".hevc", ".insv", ".ivf",
    ".lrv", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjp", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mp4v",
    ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nsv", ".nut", ".obu", ".ogm", ".ogv", ".ps", ".qt", ".rm",
    ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vc1", ".vob", ".vvc", ".webm", ".wmv", ".wtv", ".xvid", ".y4m",
))
"""Endings that make a file in a folder a video. A file that is named itself may have any ending."""
# fmt: on
_KNOWN = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".ts")  # those that an error names

IMAGE_SUFFIXES = frozenset((".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""Endings of the numbered images that together make a clip."""
_EVENLY = 20  # so many images to a gap in their numbers, at least

# Of a file's name that tells when it was recorded and no more: digits, what stands between them, T, Z, h, m, s.
_LETTERS = re.compile(r"[^\W\d_TZhms]")
_DATE = re.compile(r"\d{6,}|\d{4}-\d\d?-\d\d?|\d\d?-\d\d?-\d{4}")
_MAX_NAME_BYTES = 180  # leaves room for endings such as .tracks.npz within the 255 bytes of a file name


@dataclass(frozen=True)
class VideoSource:
    """One clip to read.

    Attributes:
        path: the video file, or the folder of numbered images.
        kind: ``"video"`` or ``"images"``.
        name: the clip's name, unique among the sources found together; fit to be a file name.
        pattern: which file names of the folder belong to the clip, for ``kind == "images"``.
        address: of a video that is elsewhere (``s3://...``), whose ``path`` is no file until it is fetched; "": none.
    """

    path: Path
    kind: Literal["video", "images"]
    name: str
    pattern: str = "*"
    address: str = ""

    @property
    def location(self) -> str:
        """Where it is: its address, or its `place`."""
        return self.address or self.place

    @property
    def place(self) -> str:
        """Where it is on this machine: its absolute path, of some of a folder's images with their pattern."""
        path = os.path.realpath(self.path)
        return path if self.pattern == "*" else os.path.join(glob.escape(path), self.pattern)

    def images(self) -> list[Path]:
        """The image files in the order of their numbers; empty for a video or a folder that cannot be read."""
        if self.kind != "images":
            return []
        try:
            names = [entry.name for entry in os.scandir(self.path) if _is_file(entry)]
        except OSError:
            return []
        names = [name for name in names if _is_numbered_image(name) and fnmatch.fnmatch(name, self.pattern)]
        return [self.path / name for name in sorted(names, key=natural_key)]


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which ``img_10`` comes after ``img_9``."""
    parts = re.findall(r"\d+|\D+", text)
    key = tuple((0, int(part)) if part.isdecimal() else (1, part.casefold()) for part in parts)
    return (*key, (2, text))


def image_places(images: Sequence[Path]) -> list[int]:
    """When each image was taken, in usual steps after the first: numbers that are missing among them are time.

    Where names do not count evenly (many gaps, a clock's minutes), they tell no time, and images follow one another.
    """
    plain = list(range(len(images)))
    columns = [tuple(map(int, re.findall(r"\d{1,18}", image.stem))) for image in images]
    if len(set(map(len, columns))) != 1:
        return plain
    varying = [numbers for numbers in zip(*columns, strict=True) if len(set(numbers)) > 1]
    numbers = varying[-1] if varying else ()
    steps = [after - before for before, after in pairwise(numbers)]
    usual = sorted(steps)[len(steps) // 2] if steps else 0
    gaps = [place for place, step in enumerate(steps) if step != usual]
    clock = any(numbers[place] % 100 == 59 and numbers[place + 1] % 100 == 0 for place in gaps)
    if usual < 1 or min(steps) < usual or len(gaps) > len(images) // _EVENLY or clock:
        return plain
    return [round((number - numbers[0]) / usual) for number in numbers]


def find_sources(source: str | Path) -> list[VideoSource]:
    """The clips that ``source`` names, in a fixed order.

    Args:
        source: a file (whatever its ending: what is wrong with it shows when it is opened); a folder, whose videos are
            found at any depth, and in which every folder that holds numbered images and no video is one clip;
            or a glob pattern (``**`` crosses folders). Hidden files and folders are skipped.

    Raises:
        VideoError: nothing was found; the message says what was looked for.
    """
    path = Path(source)
    if path.is_dir():
        found = _in_folder(path)
        if not found:
            raise VideoError(
                f"{path} holds no video: looked, in its folders too, for files ending in "
                f"{', '.join(_KNOWN)} and {len(VIDEO_SUFFIXES) - len(_KNOWN)} other endings, and for folders of "
                "numbered images"
            )
        return with_unique_names(found, path)
    if os.path.lexists(path):
        return [VideoSource(path, "video", plain_name(path.stem))]
    if glob.has_magic(str(source)):
        found = _matching(str(source))
        if not found:
            raise VideoError(
                f"nothing matches {str(source)!r}: expected a pattern that matches videos or folders"
            )
        return with_unique_names(found, Path(os.path.commonpath([entry.path.parent for entry in found])))
    raise VideoError(
        f"{source}: there is no such file or folder, and it is no pattern such as 'videos/*.mp4'"
    )


def source_at(location: str) -> VideoSource | None:
    """The source whose `VideoSource.location` this is; None if no single one is there any more."""
    try:
        found = find_sources(location) if location else []
    except VideoError:
        found = []
    return found[0] if len(found) == 1 else None


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _folder_name(folder: Path) -> str:
    return plain_name(os.path.basename(os.path.realpath(folder)))


def _is_numbered_image(name: str) -> bool:
    stem, suffix = os.path.splitext(name)
    return not name.startswith(".") and suffix.lower() in IMAGE_SUFFIXES and bool(re.search(r"\d", stem))


def _in_folder(root: Path) -> list[VideoSource]:
    """Videos at any depth below ``root`` and folders of numbered images, sorted by path."""
    problems: list[OSError] = []
    found: list[VideoSource] = []
    others: Counter[str] = Counter()
    visited: set[str] = set()
    stems: dict[Path, list[str]] = {}  # of the videos in each folder that has been seen
    for folder, below, names in os.walk(root, followlinks=True, onerror=problems.append):
        real = os.path.realpath(folder)
        if real in visited:  # a link that leads back up
            below.clear()
            continue
        visited.add(real)
        below[:] = sorted((name for name in below if not name.startswith(".")), key=natural_key)
        here = Path(folder)
        videos = [
            VideoSource(here / name, "video", plain_name(Path(name).stem))
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES
        ]
        found += videos
        stems[here] = [entry.path.stem for entry in videos]
        pictures = not videos and any(_is_numbered_image(name) for name in names)
        if pictures and any(here.name.startswith(stem) for stem in stems.get(here.parent, ())):
            logger.info("%s: left out, its pictures belong to the video beside it", here)
            continue
        if pictures:
            found.append(VideoSource(here, "images", _folder_name(here)))
        others.update(
            Path(name).suffix.lower() or "(none)"
            for name in names
            if not name.startswith(".")
            and Path(name).suffix.lower() not in VIDEO_SUFFIXES
            and not (pictures and _is_numbered_image(name))
        )
    if others and found:
        counts = ", ".join(f"{count} {printable(ending)}" for ending, count in others.most_common(8))
        logger.info("%s: left out, by the endings of their names: %s", root, counts)
    for problem in problems:
        if found:
            logger.warning("%s cannot be read: %s", problem.filename, problem.strerror)
    if problems and not found:
        raise VideoError(f"{problems[0].filename} cannot be read: {problems[0].strerror}")
    return sorted(found, key=lambda entry: natural_key(entry.path.as_posix()))


def _matching(pattern: str) -> list[VideoSource]:
    """What a glob names: videos, folders (searched), and images (the matching ones of a folder are one clip)."""
    found: dict[Path, VideoSource] = {}
    any_ending = not glob.has_magic(Path(pattern).suffix) and Path(pattern).suffix != ""
    for path in sorted(
        map(Path, glob.glob(pattern, recursive=True)), key=lambda p: natural_key(p.as_posix())
    ):
        if path.is_dir():
            for entry in _in_folder(path):
                found.setdefault(entry.path, entry)
        elif _is_numbered_image(path.name):
            folder = path.parent
            source = VideoSource(folder, "images", _folder_name(folder), Path(pattern).name)
            found.setdefault(folder, source)
        elif any_ending or path.suffix.lower() in VIDEO_SUFFIXES:
            found.setdefault(path, VideoSource(path, "video", plain_name(path.stem)))
    return list(found.values())


def with_unique_names(found: list[VideoSource], root: Path) -> list[VideoSource]:
    """``found`` with names that differ even where upper and lower case are one; short names where they suffice."""

    def relative(entry: VideoSource, path: Path) -> str:
        parts = Path(os.path.relpath(path, root)).parts
        return (
            plain_name("_".join(part for part in parts if part not in (".", ".."))) if parts else entry.name
        )

    choices: tuple[Callable[[VideoSource], str], ...] = (
        lambda entry: entry.name,
        lambda entry: relative(entry, entry.path if entry.kind == "images" else entry.path.with_suffix("")),
        lambda entry: relative(entry, entry.path).replace(".", "_"),
        lambda entry: (
            relative(entry, entry.path).replace(".", "_") + "_" + _digest([str(entry.path).encode()])[:8]
        ),
    )
    found = _with_cameras(found, root)
    named: list[VideoSource] = []
    open_entries = found
    for choose in choices:
        names = {id(entry): _short(choose(entry)) for entry in open_entries}
        taken = {entry.name.casefold() for entry in named}
        counts = Counter(name.casefold() for name in names.values())
        left = []
        for entry in open_entries:
            name = names[id(entry)]
            if counts[name.casefold()] == 1 and name.casefold() not in taken:
                named.append(replace(entry, name=name))
            else:
                left.append(entry)
        open_entries = left
    order = {(entry.path, entry.pattern): i for i, entry in enumerate(found)}
    return sorted(named, key=lambda entry: order[entry.path, entry.pattern])


def _with_cameras(found: list[VideoSource], root: Path) -> list[VideoSource]:
    """``found`` with folders' names before names that tell when and not where: cam1/0800.mp4 is called cam1_0800.

    Only where there are several folders below ``root``, and for what lies in one of them.
    """
    if len({entry.path.parent for entry in found}) < 2:
        return found
    out = []
    for entry in found:
        folders = [plain_name(part) for part in Path(os.path.relpath(entry.path.parent, root)).parts]
        if folders and ".." not in folders and _tells_no_camera(entry.name):
            camera = next((part for part in folders if _LETTERS.search(part)), folders[0])
            folders.remove(camera)
            entry = replace(entry, name="_".join([camera.replace("_", "-"), *folders, entry.name]))
        out.append(entry)
    return out


def _tells_no_camera(name: str) -> bool:
    before, underscore, _ = name.partition("_")
    return not _LETTERS.search(name) and (not underscore or bool(_DATE.match(before)))


def _short(name: str) -> str:
    raw = name.encode(errors="surrogateescape")
    if len(raw) <= _MAX_NAME_BYTES:
        return name
    return raw[: _MAX_NAME_BYTES - 9].decode(errors="ignore") + "_" + _digest([raw])[:8]


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def content_hash(source: VideoSource) -> str:
    """Hash (BLAKE2b, 32 hex digits) of a clip's content: the file's bytes, or the images' names and bytes.

    A video's own name and place do not matter, so that a moved file keeps its cached tracks. Memory is constant.

    Raises:
        VideoError: the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        for path in source.images() if source.kind == "images" else [source.path]:
            if source.kind == "images":
                name = path.name.encode(errors="surrogateescape")
                digest.update(b"%d:%b:%d:" % (len(name), name, path.stat().st_size))
            with open_input(path) as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except FileNotFoundError:
        raise VideoError(f"{source.path}: there is no such file") from None
    except OSError as error:
        raise VideoError(f"{source.path} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
