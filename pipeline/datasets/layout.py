"""Find and select a data set's files in the user's copy, by patterns, lists and actions."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.settings.dataset import DatasetSettings
from pose_extract.errors import FormatError, UsageError, short
from pose_extract.files import read_input
from pose_extract.formats.alphapose import title_of
from pose_extract.formats.base import get_format
from pose_extract.formats.json_files import load_json
from pose_extract.formats.ntu import parse_name
from pose_extract.formats.parsing import clip_name

_ENDINGS = re.compile(r"[_-]alphapose([_-](tracked[_-]persons?|results))?$", re.IGNORECASE)
_MOST_LINES = 12  # of what is missing, in one message


def find_poses(
    settings: DatasetSettings, root: Path
) -> tuple[list[Path], list[Path], dict[str, int], dict[str, int]]:
    """The files or folders of poses to train and to test on, and both clips' actions if these are the labels.

    Raises:
        UsageError: lists everything that is missing, and where it was expected.
        FormatError: a list is damaged.
    """
    missing: list[str] = []
    found: dict[str, list[Path]] = {}
    for key, pattern in (("train", settings.train), ("test", settings.test)):
        found[key] = _find(settings, root, pattern)
        if pattern and not found[key]:
            missing.append(f"{key} {root / pattern} (poses, format {settings.format})")
    missing += [
        f"{key} {root / path}"
        for key, path in (
            ("labels", settings.labels),
            ("keep", settings.keep),
            ("frame_counts", settings.frame_counts),
            ("train_actions", settings.train_actions),
            ("test_actions", settings.test_actions),
        )
        if path and not (root / path).exists()
    ]
    lists = {"train": settings.train_list, "test": settings.test_list}
    files = {key: _glob(root, pattern) for key, pattern in lists.items() if pattern}
    missing += [f"{key}_list {root / lists[key]}" for key, some in files.items() if not some]
    if not missing:
        for key, listed in lists.items():
            if listed:
                found[key], absent = _listed(found[key], files[key], settings.format)
                missing += [f"{key} poses of the clip {clip}, which {listed} names" for clip in absent]
    if missing:
        more = len(missing) - _MOST_LINES
        lines = [f"  {line}" for line in missing[:_MOST_LINES]] + [f"  and {more} more"] * (more > 0)
        raise UsageError(
            f"{root} is not laid out as expected of {settings.name}; missing:\n"
            + "\n".join(lines)
            + "\nset dataset.train, dataset.test, dataset.labels … where your copy's layout is another one"
        )
    train = [part for part in found["train"] if clip_of(part, settings.format) not in settings.excluded_train]
    test = [part for part in found["test"] if clip_of(part, settings.format) not in settings.excluded_test]
    learned: dict[str, int] = {}
    actions: dict[str, int] = {}
    if settings.label_kind == "actions":
        train, test, learned, actions = _by_action(settings, root, train, test)
    return train, test, learned, actions


def clip_of(part: Path, format: str = "") -> str:
    """The name of the clip in a file or folder of poses, as reading it gives it; AlphaPose's cuts off more endings."""
    return clip_name(video_of(part, format))


def video_of(part: Path, format: str = "") -> str:
    """The name of the video that a file or folder of poses was made of: `clip_of`, letter by letter as it is there."""
    if part.is_dir():
        camera = part.resolve().parent.name
        return f"{camera}_{part.name}" if re.fullmatch(r"\d+", camera) else part.name
    return title_of(part) if format == "alphapose" else _ENDINGS.sub("", part.stem)


def _find(settings: DatasetSettings, root: Path, pattern: str) -> list[Path]:
    """Every file or folder of poses that a pattern finds, in order."""
    chosen = get_format(settings.format)
    parts: dict[Path, None] = {}
    for match in _glob(root, pattern) if pattern else []:
        try:
            parts.update(dict.fromkeys(chosen.find(match)))
        except FormatError:
            continue  # a folder without poses
    return list(parts)


def _glob(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise UsageError(f"dataset: {pattern!r} is no pattern of files below dataset.root: {error}") from None


def _listed(parts: list[Path], lists: list[Path], format: str) -> tuple[list[Path], list[str]]:
    """The parts that lists name, in their order, and the names for which there is none."""
    lines: list[str] = []
    for path in lists:
        try:
            lines += read_input(path).decode("utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"{path}: expected a clip's name in each line: {error}") from None
    names = list(dict.fromkeys(clip_name(line.rpartition("/")[2].partition(".")[0]) for line in lines))
    by_name = {clip_of(part, format): part for part in parts}
    return [by_name[n] for n in names if n in by_name], [n for n in names if n not in by_name]


def _by_action(
    settings: DatasetSettings, root: Path, train: list[Path], test: list[Path]
) -> tuple[list[Path], list[Path], dict[str, int], dict[str, int]]:
    """Normal clips to train on, clips to test on, and the actions of both."""
    if settings.train_people:
        train = [part for part in train if parse_name(part.stem).get("person") in settings.train_people]
        test = [part for part in test if parse_name(part.stem).get("person") not in settings.train_people]
    known = _actions(train, settings.train_actions, root, settings.format)
    actions = _actions(test, settings.test_actions, root, settings.format)
    names = {part: clip_of(part, settings.format) for part in train}
    train = [part for part in train if settings.is_normal(known[names[part]])]
    if not train or not test:
        raise UsageError(
            f"{root}: no clips of the split {settings.split!r} to {'test' if train else 'train'} on"
        )
    return train, test, {names[part]: known[names[part]] for part in train}, actions


def _actions(parts: list[Path], listed: str, root: Path, format: str) -> dict[str, int]:
    """clip -> its action: from a JSON file, or from the clips' names (NTU's)."""
    content = load_json(root / listed) if listed else None
    if listed and not isinstance(content, dict):
        raise FormatError(f"{root / listed}: expected an object clip -> action")
    actions = {}
    for part in parts:
        entry = content.get(part.stem) if isinstance(content, dict) else parse_name(part.stem).get("action")
        action = entry.get("label_index") if isinstance(entry, dict) else entry
        if not isinstance(action, int) or isinstance(action, bool):
            where = (
                f"{root / listed}: [{part.stem!r}]['label_index']"
                if listed
                else f"{part}: the name's action (A…)"
            )
            raise FormatError(f"{where}: expected the number of the clip's action, found {short(action)}")
        actions[clip_of(part, format)] = action
    return actions
