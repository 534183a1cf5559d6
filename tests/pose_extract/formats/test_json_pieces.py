"""Items decoded many at a time are those of the JSON, whatever stands in it and wherever the pieces end."""

from __future__ import annotations

import gc
import json
import math

import numpy as np
import pytest

from pose_extract.errors import FormatError
from pose_extract.formats import json_files
from pose_extract.formats.json_files import JsonItems
from tests.helpers.format_cases import read_one

ROW = {"keypoints": [1.5, 2, 0.25], "scores": 0.5}
PEOPLE = {str(p): {f"{f:04d}": ROW for f in range(p % 5 + 1)} for p in range(40)}
DOCUMENTS = {
    "people": PEOPLE,
    "lists of frames": {p: [{f: r} for f, r in frames.items()] for p, frames in PEOPLE.items()},
    "results": [{"image_id": f"{i}.jpg", **ROW} for i in range(60)],
    "lists": [[i, [i]] for i in range(50)],
    "numbers": list(range(300)),
    "texts that look like ends": [{"a": '}, {"b": 1', "c": "}},"} for _ in range(40)],
    "keys that look like ends": {f'}}}}, "{i}': {'"}': {"a": [i]}} for i in range(40)},
    "items of several kinds": [{"a": [1]}, {}, [], [[]], {"b": {"c": {}}}, None, 3, "x"] * 8,
    "nobody": {str(i): {} for i in range(30)},
    "no text but ASCII": [{"é": "ü"} for _ in range(40)],
    "not a number": [{"a": [1.0, math.nan]} if i % 7 == 3 else {"a": [1.0, 2.0]} for i in range(60)],
}


def same(a: object, b: object) -> bool:
    return json.dumps(a) == json.dumps(b)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("style", [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
@pytest.mark.parametrize("piece", [8, 30, 61, 200, 1000, 1 << 20])
def test_items_are_those_of_the_json(tmp_path, monkeypatch, name, style, piece):
    monkeypatch.setattr(json_files, "_PIECE", piece)
    monkeypatch.setattr(json_files, "_MOST_PIECE", 4 * piece)
    monkeypatch.setattr(json_files, "_CHUNK_BYTES", max(1, piece // 3))
    document = DOCUMENTS[name]
    (tmp_path / "a.json").write_text(json.dumps(document, **style), encoding="utf-8")
    with JsonItems(tmp_path / "a.json") as items:
        found = list(items)
    want = list(document.items() if isinstance(document, dict) else enumerate(document))
    assert same(found, want)
    assert gc.isenabled()


@pytest.mark.parametrize("name", ["people", "results", "lists"])
def test_items_before_a_break_come_and_then_an_error(tmp_path, monkeypatch, name):
    monkeypatch.setattr(json_files, "_PIECE", 200)
    text = json.dumps(DOCUMENTS[name])
    whole = len(DOCUMENTS[name])
    for end in (len(text) // 3, len(text) // 2, len(text) - 1):
        (tmp_path / "a.json").write_text(text[:end])
        found = []
        with pytest.raises(FormatError, match=r"a\.json"), JsonItems(tmp_path / "a.json") as items:
            for item in items:
                found.append(item)
        assert whole * end // len(text) - 3 <= len(found) <= whole
        assert gc.isenabled()
    (tmp_path / "a.json").write_text(text + " {}")
    with pytest.raises(FormatError, match="after its end"), JsonItems(tmp_path / "a.json") as items:
        list(items)


def test_people_read_in_pieces_are_those_read_one_by_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    people = {
        str(p): {f"{f:04d}": {"keypoints": rng.uniform(0, 500, 51).tolist()} for f in range(p, p + 9)}
        for p in range(1, 30)
    }
    file = tmp_path / "01_0001.json"
    file.write_text(json.dumps(people))
    fast = read_one("alphapose", file)
    monkeypatch.setattr(json_files, "_MOST_PIECE", 0)
    monkeypatch.setattr(json_files, "_PIECE", 0)
    slow = read_one("alphapose", file)
    for name in ("frame", "track", "keypoints", "boxes"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))
    assert len(fast) == 29 * 9
    want = np.array(people["7"]["0009"]["keypoints"], np.float32).reshape(17, 3)
    got = fast.keypoints[(fast.track == 7) & (fast.frame == 9)][0]
    np.testing.assert_array_equal(got[:, :2], want[:, :2])
