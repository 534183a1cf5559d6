"""Write events: JSON and CSV with everything, WebVTT for any video player. docs/events.md has the formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.events.events import Event
from pipeline.events.settings import EventSettings
from pose_extract.errors import UsageError
from pose_extract.files import write_atomically

FORMAT, VERSION = "gepc-events", 1
SUFFIXES = (".json", ".csv", ".vtt")
COLUMNS = (
    "clip", "event", "start_frame", "end_frame", "peak_frame", "start_s", "end_s", "peak_s", "score", "percentile",
    "people", "people_percentile", "boxes", "culprits",
)  # fmt: skip


@dataclass(frozen=True)
class EventList:
    """The events of a clip, and what they were found in.

    Attributes:
        clip: its name.
        source: the video, or whatever the tracks came from; empty if unknown.
        fps: mean frames a second.
        frame_size: (width, height) in pixels.
        frames: number of frames.
        seconds: how long it is.
        threshold: the score above which a frame raises the alarm.
        threshold_percentile: the threshold as a percentile, 0 to 100.
        threshold_from: what has set it: "marks", "alarms_per_day" or "false_alarm_rate".
        settings: how alarms became events.
        events: in order of time.
    """

    clip: str
    source: str
    fps: float
    frame_size: tuple[int, int]
    frames: int
    seconds: float
    threshold: float
    threshold_percentile: float
    threshold_from: str
    settings: EventSettings
    events: Sequence[Event]


def check_events_file(path: Path) -> None:
    """Raise `UsageError` unless the name says which of the formats is wanted."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--events {path}: expected a name that ends in {', '.join(SUFFIXES)}")


def write_events(path: Path, found: EventList) -> None:
    """Write events in the format that the name's ending asks for.

    Raises:
        UsageError: the ending is none of `SUFFIXES`.
        OutputError: the file cannot be written.
    """
    check_events_file(path)
    text = {".json": events_json, ".csv": events_csv, ".vtt": events_vtt}[path.suffix.lower()](found)
    write_atomically(path, text.encode())


def events_json(found: EventList) -> str:
    """One object; see docs/events.md."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "clip": found.clip,
        "source": found.source,
        "fps": round(found.fps, 6),
        "frame_size": list(found.frame_size),
        "frames": found.frames,
        "seconds": round(found.seconds, 6),
        "threshold": {
            "score": _number(found.threshold, 6),
            "percentile": _number(found.threshold_percentile, 3),
            "from": found.threshold_from,
        },
        "settings": {"merge_gap_s": found.settings.merge_gap_s, "min_s": found.settings.min_s},
    }
    lines = ",\n".join(
        "  " + json.dumps(_plain(number, event), allow_nan=False) for number, event in _numbered(found)
    )
    return json.dumps(head, allow_nan=False)[:-1] + ', "events": [\n' + lines + "\n]}\n"


def _plain(number: int, event: Event) -> dict[str, Any]:
    return {
        "event": number,
        "start_frame": event.start_frame,
        "end_frame": event.end_frame,
        "peak_frame": event.peak_frame,
        "start_s": round(event.start_s, 6),
        "end_s": round(event.end_s, 6),
        "peak_s": round(event.peak_s, 6),
        "score": _number(event.score, 6),
        "percentile": _number(event.percentile, 3),
        "people": [
            {
                "track_id": track,
                "culprit": track in event.culprits,
                "percentile": _number(event.people_percentile[i], 3),
                "box": None
                if np.isnan(event.boxes[i]).any()
                else [round(float(v), 1) for v in event.boxes[i]],
            }
            for i, track in enumerate(event.people)
        ],
    }


def events_csv(found: EventList) -> str:
    """A row an event. People, their percentiles and their boxes are lists within a cell, worst first."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    for number, event in _numbered(found):
        boxes = ["" if np.isnan(box).any() else " ".join(f"{v:.1f}" for v in box) for box in event.boxes]
        table.writerow(
            (found.clip, number, event.start_frame, event.end_frame, event.peak_frame, f"{event.start_s:.6f}",
             f"{event.end_s:.6f}", f"{event.peak_s:.6f}", f"{event.score:.6f}", f"{event.percentile:.3f}",
             " ".join(map(str, event.people)), " ".join(f"{p:.3f}" for p in event.people_percentile),
             ";".join(boxes), " ".join(map(str, event.culprits)))
        )  # fmt: skip
    return file.getvalue()


def events_vtt(found: EventList) -> str:
    """A caption track: a cue an event, shown while it lasts."""
    parts = ["WEBVTT", f"NOTE Unusual behaviour in {_line(found.clip)}, found by gepc-pipeline"]
    for number, event in _numbered(found):
        culprits = ", ".join(map(str, event.culprits))
        others = ", ".join(str(track) for track in event.people if track not in event.culprits)
        text = f"Event {number}: percentile {event.percentile:.1f}, peak at {vtt_time(event.peak_s)}"
        text += f"\nUnusual: {culprits}" if culprits else ""
        text += f"\nAlso there: {others}" if others else ""
        end_s = max(event.end_s, event.start_s + 0.001)  # a cue must end after it starts
        parts.append(f"{number}\n{vtt_time(event.start_s)} --> {vtt_time(end_s)}\n{_escaped(text)}")
    return "\n\n".join(parts) + "\n"


def vtt_time(seconds: float) -> str:
    """``hours:minutes:seconds.milliseconds``, as WebVTT has it."""
    whole, milliseconds = divmod(round(max(seconds, 0.0) * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}.{milliseconds:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(name: str) -> str:
    """A file's name for a comment, which may hold neither an arrow nor an end of line."""
    return " ".join(name.split()).replace("-->", "->")


def _numbered(found: EventList) -> Sequence[tuple[int, Event]]:
    return list(enumerate(found.events, 1))


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None
