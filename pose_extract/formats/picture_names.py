"""Tell from the names of pictures which frame of which clip each of them is.

Which of the numbers in a name is the frame's shows only over the whole list: the one that varies from picture to
picture. Whatever else varies (a camera's number, a folder, other words) makes another clip.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pose_extract.errors import FormatError
from pose_extract.formats.parsing import short

_NUMBER = re.compile(r"\d+")
_ENDING = re.compile(r"\.[A-Za-z]\w{1,4}$")
_MOST_DIGITS = 18
_FAR_MORE = 2  # so many times as many values as the last number has make an earlier one the frame's
_OF_ITS_OWN = (
    0.5  # a number with so many values a picture comes with the frame's (a time stamp), and makes no clips
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a name says.

    Attributes:
        clip: name of its clip; empty if all pictures are of one whose folder is not named.
        frame: its number, as the name counts.
    """

    clip: str
    frame: int


@dataclass(frozen=True, slots=True)
class _Name:
    folder: str
    words: tuple[str, ...]  # of the picture's own name without its ending, around the numbers
    numbers: tuple[str, ...]


def read_names(names: Sequence[Any], where: str) -> list[Picture]:
    """The clip and frame of each picture.

    Args:
        names: different ones: paths with / or \\\\, or whole numbers.
        where: the file, for messages.

    Raises:
        FormatError: a name has no number, or two pictures would be one frame.
    """
    split = [_split(name, f"{where}: picture {short(name)}") for name in names]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, name in enumerate(split):
        groups[(name.folder, *name.words)].append(index)
    found: list[tuple[tuple[str, ...], str, int]] = [((), "", 0)] * len(split)
    for words, members in groups.items():
        place, parts = _frame_place([split[i].numbers for i in members])
        for i in members:
            numbers = split[i].numbers
            key = (*words, *(numbers[p] for p in parts))
            found[i] = key, _without(split[i], place), int(numbers[place])
    titles = _titles({key: title for key, title, _ in found})
    pictures = [Picture(titles[key], frame) for key, _, frame in found]
    taken: dict[tuple[tuple[str, ...], int], int] = {}
    for index, (key, _, frame) in enumerate(found):
        other = taken.setdefault((key, frame), index)
        if other != index:
            raise FormatError(
                f"{where}: the pictures {short(names[other])} and {short(names[index])} would both be frame {frame} of "
                "one clip; expected names with a number that counts the frames"
            )
    return pictures


def clip_of(name: str, frame: int) -> str:
    """What a name says besides its frame's number: ``01_0014`` of frame 7's ``01_0014_000007``."""
    split = _split(name, name)
    place = max(p for p, number in enumerate(split.numbers) if int(number) == frame)
    return _without(split, place).rpartition("/")[2]


def _split(name: Any, where: str) -> _Name:
    if isinstance(name, float) and name.is_integer():
        name = int(name)
    if isinstance(name, bool) or not isinstance(name, (int, str)):
        raise FormatError(f"{where}: expected a frame's number or a name that has one")
    text = re.sub(r"/+", "/", str(name).replace("\\", "/").strip())
    folder, _, base = _ENDING.sub("", text).rpartition("/")
    if not _NUMBER.search(base) or max(map(len, _NUMBER.findall(base))) > _MOST_DIGITS:
        raise FormatError(f"{where}: expected a frame's number or a name that has one")
    return _Name(folder, tuple(_NUMBER.split(base)), tuple(_NUMBER.findall(base)))


def _frame_place(numbers: Sequence[tuple[str, ...]]) -> tuple[int, list[int]]:
    """Which number counts the frames, and which of the others tell clips apart."""
    values = [len({int(n) for n in column}) for column in zip(*numbers, strict=True)]
    varying = [p for p, count in enumerate(values) if count > 1]
    if not varying:
        return len(values) - 1, []
    place = varying[-1]
    for p in varying[:-1]:
        if values[p] > _FAR_MORE * values[place]:
            place = p
    if values[place] == len(numbers):
        # Every picture has its own: what varies beside it (a time stamp, a size) makes no clips, unless the values
        # stand for long stretches, as a camera's do whose frames are counted on.
        return place, [p for p in varying if p != place and _blocks(numbers, p)]
    return place, [p for p in varying if p != place and values[p] < max(2.0, _OF_ITS_OWN * len(numbers))]


def _blocks(numbers: Sequence[tuple[str, ...]], place: int) -> bool:
    """Whether a number keeps its value over many pictures: it changes no more often than it has values."""
    column = [row[place] for row in numbers]
    changes = sum(a != b for a, b in pairwise(column))
    return changes < len(set(column)) and len(column) >= 5 * len(set(column))


def _without(name: _Name, place: int) -> str:
    """The name without the frame's number: what tells its clip."""
    words, numbers = name.words, name.numbers
    before = "".join(w + n for w, n in zip(words[:place], numbers[:place], strict=True)) + words[place]
    after = "".join(w + n for w, n in zip(words[place + 1 :], [*numbers[place + 1 :], ""], strict=True))
    rest = "_".join(part.strip("_-. ") for part in (before, after) if part.strip("_-. "))
    return f"{name.folder}/{rest}"


def _titles(found: dict[tuple[str, ...], str]) -> dict[tuple[str, ...], str]:
    """A name for each clip: its folder's, as long as that tells it from the others."""
    folders = {key: title.rpartition("/")[0].rpartition("/")[2] for key, title in found.items()}
    if len(set(folders.values())) == len(folders):
        return folders
    rests = {key: title.replace("/", "_").strip("_") for key, title in found.items()}
    if len(set(rests.values())) == len(rests):
        return rests
    return {key: f"{rests[key]}_{number}" for number, key in enumerate(rests, 1)}
