"""Read and match an operator's marks of events: which alarms were right and which were false. See docs/events.md."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pose_extract.errors import FormatError, UsageError, short
from pose_extract.files import write_atomically
from pose_extract.formats.json_files import load_json
from pose_extract.tables import read_table

FORMAT, VERSION = "gepc-marks", 1
RIGHT, FALSE = "right", "false"
COLUMNS = {
    "video": "the video's file; may be empty",
    "clip": "name of the clip in the workspace",
    "start_frame": "first frame of the event",
    "end_frame": "the frame after the last one",
    "start_s": "when it begins, in seconds",
    "end_s": "when the frame after the last one is shown",
    "peak_s": "when the frame with the highest score is shown",
    "score": "the highest score; may be empty",
    "percentile": "share of held-out normal frames that score lower, 0 to 100; may be empty",
    "verdict": "`right` or `false`",
}
_OPTIONAL = ("video", "score", "percentile")
_MOST_MARKS = 100_000
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Mark:
    """One event that somebody has judged.

    Attributes:
        video: name of the video's file; for people to read.
        clip: name of the clip in the workspace.
        start_frame: first frame of the event, from 0.
        end_frame: the frame after its last.
        start_s: when its first frame is shown, in seconds of the clip.
        end_s: when its last frame is no longer shown.
        peak_s: when its highest score was.
        score: that score then; None if unknown.
        percentile: the highest score as a percentile, 0 to 100; None if unknown.
        verdict: "right" or "false".
    """

    video: str
    clip: str
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    peak_s: float
    score: float | None
    percentile: float | None
    verdict: str

    def __str__(self) -> str:
        return f"{self.clip} {self.start_s:.2f} s to {self.end_s:.2f} s ({self.verdict})"

    def same_event(self, other: Mark) -> bool:
        """Whether both are of one event: at another threshold it ends elsewhere, but a peak still lies in it."""
        return self.clip == other.clip and (
            self.start_s <= other.peak_s <= self.end_s or other.start_s <= self.peak_s <= other.end_s
        )


def read_marks(path: Path) -> list[Mark]:
    """The marks of a JSON file, or of a CSV by its ending.

    Raises:
        FormatError: the file is missing, damaged, too long, of another kind, or a mark in it is none.
    """
    if path.suffix.lower() == ".csv":
        found = _csv_rows(path)
    else:
        data = load_json(path)
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise FormatError(
                f"{path}: expected marks of the review page (an object with 'format': '{FORMAT}'), found something else"
            )
        if data.get("version") != VERSION:
            raise FormatError(
                f"{path}: marks of version {short(data.get('version'))}, this program reads version {VERSION}"
            )
        marks = data.get("marks")
        if not isinstance(marks, list):
            raise FormatError(f"{path}: ['marks']: expected a list, found {short(marks)}")
        found = [(f"{path}: ['marks'][{i}]", mark) for i, mark in enumerate(marks)]
    if len(found) > _MOST_MARKS:
        raise FormatError(f"{path}: {len(found)} marks, expected at most {_MOST_MARKS}; split the file")
    return [_mark(row, where) for where, row in found]


def write_marks(path: Path, marks: Iterable[Mark]) -> None:
    """Write marks as JSON, complete or not at all; raises `OutputError`."""
    data = {"format": FORMAT, "version": VERSION, "marks": [asdict(mark) for mark in marks]}
    write_atomically(path, (json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def merged(older: Sequence[Mark], newer: Sequence[Mark]) -> list[Mark]:
    """Both, ordered by clip and time; of an event that is marked in both, the newer mark."""
    by_clip: dict[str, list[Mark]] = {}
    for mark in newer:
        by_clip.setdefault(mark.clip, []).append(mark)
    kept = [mark for mark in older if not any(mark.same_event(other) for other in by_clip.get(mark.clip, ()))]
    return sorted([*kept, *newer], key=lambda mark: (mark.clip, mark.start_s, mark.end_s))


def all_marks(kept: Path, files: Sequence[Path]) -> list[Mark]:
    """The marks kept so far, if there are any, and those of the files; of an event marked twice, the later mark.

    Raises:
        FormatError: a file cannot be read.
        UsageError: there is no mark, or a file calls the same event right and false.
    """
    marks = read_marks(kept) if kept.is_file() else []
    for file in files:
        new = read_marks(file)
        verdicts: dict[tuple[str, int, int], str] = {}
        for mark in new:
            if (
                verdicts.setdefault((mark.clip, mark.start_frame, mark.end_frame), mark.verdict)
                != mark.verdict
            ):
                raise UsageError(f"{file}: an event is marked right and false: {mark}; keep one of them")
        once = {(mark.clip, mark.start_frame, mark.end_frame, mark.peak_s): mark for mark in new}
        marks = merged(marks, list(once.values()))
    if not marks:
        where = ", ".join(map(str, files)) or kept
        raise UsageError(f"no marks in {where}: mark events on the review page (gepc-pipeline report) first")
    return marks


def _csv_rows(path: Path) -> list[tuple[str, dict[str, Any]]]:
    table = read_table(path, _MOST_BYTES)
    header = table[0][1] if table else []
    missing = [name for name in COLUMNS if name not in header and name not in _OPTIONAL]
    if missing:
        raise FormatError(
            f"{path}: expected the columns {','.join(COLUMNS)}, but {', '.join(missing)} is missing; found "
            f"{short(','.join(header))}"
        )
    rows = []
    for line, cells in table[1:]:
        where = f"{path}: line {line}"
        if len(cells) != len(header):
            raise FormatError(f"{where}: expected {len(header)} columns, found {len(cells)}")
        rows.append((where, dict(zip(header, cells, strict=True))))
    return rows


def _mark(row: Any, where: str) -> Mark:
    if not isinstance(row, dict):
        raise FormatError(f"{where}: expected an object, found {short(row)}")
    clip, verdict = row.get("clip"), row.get("verdict")
    if isinstance(verdict, str):
        verdict = verdict.lower()  # a spreadsheet makes FALSE of false
    if not isinstance(clip, str) or not clip:
        raise FormatError(f"{where}: ['clip']: expected the name of a clip, found {short(clip)}")
    if verdict not in (RIGHT, FALSE):
        raise FormatError(f"{where}: ['verdict']: expected '{RIGHT}' or '{FALSE}', found {short(verdict)}")
    start_frame, end_frame = (
        int(_number(row, name, where, whole=True)) for name in ("start_frame", "end_frame")
    )
    start_s, end_s, peak_s = (_number(row, name, where) for name in ("start_s", "end_s", "peak_s"))
    if start_frame < 0 or end_frame <= start_frame:
        raise FormatError(
            f"{where}: expected an end_frame after start_frame, found frames {start_frame} to {end_frame}"
        )
    if not 0 <= start_s <= peak_s <= end_s:
        raise FormatError(
            f"{where}: expected start_s <= peak_s <= end_s, found {start_s}, {peak_s} and {end_s} seconds"
        )
    score, percentile = (
        None if row.get(name) in (None, "") else _number(row, name, where) for name in ("score", "percentile")
    )
    video = row.get("video")
    return Mark(
        video if isinstance(video, str) else "", clip, start_frame, end_frame, start_s, end_s, peak_s, score,
        percentile, verdict,
    )  # fmt: skip


def _number(row: dict[str, Any], name: str, where: str, whole: bool = False) -> float:
    value = row.get(name)
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        number = float(value)
        if not math.isfinite(number) or abs(number) > 1e15 or (whole and not number.is_integer()):
            raise ValueError
    except (ValueError, OverflowError):
        kind = "a whole number" if whole else "a number"
        raise FormatError(f"{where}: [{name!r}]: expected {kind}, found {short(value)}") from None
    return number
