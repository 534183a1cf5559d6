"""Describe exit codes, tables, events and models on disk from the code that writes them."""

from __future__ import annotations

import json
import typing
from typing import Any

import numpy as np

import gepc_pipeline
from anomaly.bundle.card import FILES, FORMAT, KINDS, VERSION
from anomaly.bundle.files import array_shapes
from anomaly.training.curves import COLUMNS as CURVE_COLUMNS
from documentation.markdown import code, literal, table
from pipeline.commands.exit_codes import exit_codes
from pipeline.evaluation.files import FRAME_COLUMNS as EVALUATION_COLUMNS
from pipeline.events.files import COLUMNS as EVENT_COLUMNS
from pipeline.events.schema import clip_events_schema
from pipeline.live.events.schema import event_schema
from pipeline.review.marks import COLUMNS as MARK_COLUMNS
from pipeline.scoring.tables import FRAME_COLUMNS, PEOPLE_COLUMNS
from pipeline.scoring.window_table import WINDOW_COLUMNS
from pipeline.settings import load_settings

CSV_FILES = {
    "Frames: `score --out`": FRAME_COLUMNS,
    "People: `score --people`": PEOPLE_COLUMNS,
    "Windows: `score --explain`": WINDOW_COLUMNS,
    "Events: `score --events events.csv`": EVENT_COLUMNS,
    "Events of `watch`: the sink `csv`": {
        key: said["description"] for key, said in event_schema()["properties"].items()
    },
    "Marks of the review page: `marks.csv`": MARK_COLUMNS,
    "Labelled frames: `evaluate --out`": EVALUATION_COLUMNS,
    "Training: `training/curves.csv`": CURVE_COLUMNS,
}

# What functions and methods of the API return, or keep in what they return.
RESULTS = (
    "pipeline.extraction.run.ExtractReport",
    "pipeline.training.TrainReport",
    "pipeline.evaluation.report.Evaluation",
    "pipeline.review.write.Report",
    "anomaly.scoring.scores.FrameScores",
    "pipeline.events.events.Event",
    "pose_extract.tracks.records.ClipTracks",
)


def exit_code_table() -> str:
    """Every exit code, as Markdown."""
    rows = [(str(one.code), literal(one.meaning), literal(one.helps)) for one in exit_codes()]
    return table(("code", "it means", "what helps"), rows)


def csv_columns() -> str:
    """The columns of every CSV table, as Markdown."""
    parts = []
    for heading, columns in CSV_FILES.items():
        parts += [
            f"## {heading}",
            table(("column", "meaning"), [(code(k), literal(v)) for k, v in columns.items()]),
        ]
    return "\n\n".join(parts)


def event_keys() -> str:
    """The form of the events of `watch`, as Markdown."""
    return _schema(event_schema())


def clip_event_keys() -> str:
    """The form of the events of a clip, as Markdown."""
    return _schema(clip_events_schema())


def _schema(schema: dict[str, Any]) -> str:
    """A schema's keys, then the schema itself."""
    rows = [(code(key), _kind(said), said["description"]) for key, said in _keys(schema)]
    text = json.dumps(schema, indent=2)
    return f"{table(('key', 'type', 'meaning'), rows)}\n\n### The schema\n\n```json\n{text}\n```"


def api() -> str:
    """What `gepc_pipeline` hands on and returns, for mkdocstrings to describe from the docstrings of the code."""
    known = {
        name: getattr(gepc_pipeline, name) for name in gepc_pipeline.__all__ if not name.startswith("__")
    }
    rows = [(code(name), literal((each.__doc__ or "").partition("\n")[0])) for name, each in known.items()]
    return "\n\n".join([
        table(("name", "what it does, or is"), rows),
        *(f"::: {each.__module__}.{name}" for name, each in known.items()),
        "## What is in results",
        *(f"::: {place}\n    options:\n      heading_level: 3" for place in RESULTS),
    ])  # fmt: skip


def bundle_format() -> str:
    """A model's files, arrays and card, as Markdown."""
    shapes = array_shapes(load_settings("default").for_model())
    arrays = [
        (code(name), " x ".join(map(str, shape)) or "a number", str(np.dtype(kind)))
        for name, (shape, kind) in shapes.items()
    ]
    return "\n\n".join([
        f"Format `{FORMAT}`, version {VERSION}.",
        table(("file", "what it holds"), [(code(name), text) for name, text in FILES.items()]),
        f"## Arrays of {code('normality.npz')}",
        "Of a model of the shipped config `default`; a letter is a length that the training video decides.",
        table(("array", "shape", "type"), arrays),
        f"## Keys of {code('card.json')} that are read",
        table(("key", "type"), [(code(key), _json_kind(kind)) for key, kind in KINDS.items()]),
    ])  # fmt: skip


def _keys(schema: dict[str, Any], before: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for key, said in schema["properties"].items():
        found.append((before + key, said))
        if "properties" in said.get("items", {}):
            found += _keys(said["items"], f"{before}{key}[].")
        if "properties" in said:
            found += _keys(said, f"{before}{key}.")
    return found


def _kind(said: dict[str, Any]) -> str:
    if "enum" in said:
        return ", ".join("null" if value is None else code(value) for value in said["enum"])
    if "const" in said:
        return code(said["const"])
    kinds = said["type"] if isinstance(said["type"], list) else [said["type"]]
    return " or ".join(kinds) + _bounds(said)


def _bounds(said: dict[str, Any]) -> str:
    if "maximum" in said:
        return f", {said['minimum']} to {said['maximum']}"
    return f", from {said['minimum']}" if "minimum" in said else ""


def _json_kind(kind: Any) -> str:
    """A type as JSON has it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is dict:
        return "object" if inner[1] is Any else f"object of {_json_kind(inner[1])}"
    if origin is tuple:
        return f"array of {_json_kind(inner[0])}"
    return {str: "string", int: "number", float: "number"}.get(kind, str(kind))
