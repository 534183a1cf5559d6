"""Write events: JSON and CSV with everything, WebVTT for any video player. docs/events.md has the formats."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.events.events import Event
from pipeline.events.settings import EventSettings
from pose_extract.errors import UsageError
from pose_extract.files import write_atomically
from pose_extract.tracks.things import KINDS

FORMAT, VERSION = "gepc-events", 1
SUFFIXES = (".json", ".csv", ".vtt")
COLUMNS = {
    "clip": "name of the clip",
    "event": "number of the event in it, from 1; every event has a row",
    "start_frame": "first frame",
    "end_frame": "the frame after the last one",
    "peak_frame": "the frame with the highest score",
    "start_s": "when it begins, in seconds",
    "end_s": "when the frame after the last one is shown",
    "peak_s": "when the frame with the highest score is shown",
    "score": "the highest score",
    "percentile": "share of held-out normal frames that score lower, 0 to 100",
    "people": "who is scored in its alarm frames, the worst first; ids with spaces between them",
    "people_percentile": "of each one's highest score among held-out normal people, with spaces between them",
    "boxes": "x1 y1 x2 y2 of each one at the peak, with `;` between people; empty for somebody who is not there",
    "culprits": "those of the people whom the alarm is about; the others are bystanders",
    "cause": "what most of its alarm frames are about: movement, things, stays or flow (docs/things.md)",
    "things": "ids of the things that it is about, with spaces between them",
    "thing_kinds": "what each of them is, with `;` between them",
    "thing_boxes": "x1 y1 x2 y2 of each one, with `;` between them",
}


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
        not_judged_s: for how long of that people are there of whom none could be judged.
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
    not_judged_s: float = 0.0


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
    text = _TEXTS[path.suffix.lower()](found)
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
        "not_judged_s": round(found.not_judged_s, 6),
        "threshold": {
            "score": _number(found.threshold, 6),
            "percentile": _number(found.threshold_percentile, 3),
            "from": found.threshold_from,
        },
        "settings": {"merge_gap_s": found.settings.merge_gap_s, "min_s": found.settings.min_s},
    }
    lines = ",\n".join("  " + json.dumps(event, allow_nan=False) for event in events_plain(found))
    return json.dumps(head, allow_nan=False)[:-1] + ', "events": [\n' + lines + "\n]}\n"


def events_plain(found: EventList) -> list[dict[str, Any]]:
    """The events as JSON holds them."""
    return [_plain(number, event) for number, event in _numbered(found)]


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
        "cause": event.cause,
        "things": [
            {"thing_id": i, "kind": KINDS[kind], "box": [round(float(v), 1) for v in box]}
            for i, kind, box in zip(event.things, event.thing_kinds, event.thing_boxes, strict=True)
        ],
    }


def events_csv(*clips: EventList) -> str:
    """A row an event, of one clip or several. People, percentiles and boxes are lists within a cell, worst first."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    for found, number, event in [(clip, *each) for clip in clips for each in _numbered(clip)]:
        boxes = ["" if np.isnan(box).any() else " ".join(f"{v:.1f}" for v in box) for box in event.boxes]
        table.writerow(
            (found.clip, number, event.start_frame, event.end_frame, event.peak_frame, f"{event.start_s:.6f}",
             f"{event.end_s:.6f}", f"{event.peak_s:.6f}", f"{event.score:.6f}", f"{event.percentile:.3f}",
             " ".join(map(str, event.people)), " ".join(f"{p:.3f}" for p in event.people_percentile),
             ";".join(boxes), " ".join(map(str, event.culprits)), event.cause, " ".join(map(str, event.things)),
             ";".join(KINDS[kind] for kind in event.thing_kinds),
             ";".join(" ".join(f"{v:.1f}" for v in box) for box in event.thing_boxes))
        )  # fmt: skip
    return file.getvalue()


def events_vtt(found: EventList) -> str:
    """A caption track: a cue an event, shown while it lasts."""
    parts = ["WEBVTT", f"NOTE Unusual behaviour in {_line(found.clip)}, found by gepc-pipeline"]
    for number, event in _numbered(found):
        culprits = ", ".join(map(str, event.culprits))
        others = ", ".join(str(track) for track in event.people if track not in event.culprits)
        text = f"Event {number}: percentile {event.percentile:.1f}, peak at {vtt_time(event.peak_s)}"
        text += f"\n{event.about[0].upper()}{event.about[1:]}" if event.about else ""
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
    return re.sub("-{2,}>", "->", " ".join(name.split()))


def _numbered(found: EventList) -> Sequence[tuple[int, Event]]:
    return list(enumerate(found.events, 1))


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if np.isfinite(value) else None


_TEXTS: dict[str, Callable[[EventList], str]] = {".json": events_json, ".csv": events_csv, ".vtt": events_vtt}
