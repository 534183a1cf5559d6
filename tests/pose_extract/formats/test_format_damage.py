"""Damaged files of every format give errors that name the file, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pose_extract.errors import FormatError
from pose_extract.formats.base import export_clips
from pose_extract.formats.json_files import JsonItems
from pose_extract.tracks.records import ClipTracks
from tests.helpers.format_cases import people, read

SKELETONS = {
    "alphapose": "coco17",
    "openpose": "body25",
    "kinetics-skeleton": "coco18",
    "coco": "coco17",
    "posetrack": "posetrack17",
    "gepc": "coco17",
    "ntu": "ntu25",
    "mped-rnn": "coco17",
}
WRONG = [
    "x", None, True, -1, 1.5, 10**30, 1e300, float("nan"), float("inf"), "", [], {}, [[]], ["1", "2", "3"], [1, 2],
    {"a": {}}, [[[[[[[[]]]]]]]], [None] * 51, [1.0] * 50, "99999999999999999999999999", 2**31, -(2**63),
]  # fmt: skip


def written(folder: Path, format: str) -> list[Path]:
    options = {"kind": "json"} if format == "gepc" else {}
    export_clips(format, [people(SKELETONS[format], frames=3, depth=format == "ntu")], folder, **options)
    return sorted(file for file in folder.rglob("*") if file.is_file())


def check(format: str, folder: Path) -> int:
    """Read everything; returns the number of errors. Each must name a file."""
    errors = 0
    for got in read(format, folder):
        if isinstance(got, FormatError):
            assert str(folder) in str(got)
            assert len(str(got)) < 600 + len(str(folder))
            errors += 1
        else:
            assert isinstance(got, ClipTracks)
            assert np.isfinite(got.boxes).all() or format == "gepc"
    return errors


@pytest.mark.parametrize("format", SKELETONS)
def test_files_that_are_cut_off_or_changed(tmp_path, format):
    files = written(tmp_path / "whole", format)
    rng = np.random.default_rng(1)
    for case in range(40):
        folder = tmp_path / str(case)
        shutil.copytree(tmp_path / "whole", folder)
        file = folder / files[case % len(files)].relative_to(tmp_path / "whole")
        data = bytearray(file.read_bytes())
        if case % 2:
            for place in rng.integers(0, len(data), 4):
                data[place] = rng.choice(list(b'x"[]{},:0-9eE.\x00\xff\n '))
            file.write_bytes(data)
        else:
            file.write_bytes(data[: rng.integers(0, len(data))])
            assert check(format, folder) >= (0 if format == "mped-rnn" else 1)
            continue
        check(format, folder)


def paths_of(value, path=()):
    """All places in a JSON document, but only the first items of a list."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from paths_of(value[key], (*path, key))
    elif isinstance(value, list):
        for i in range(min(2, len(value))):
            yield from paths_of(value[i], (*path, i))


@pytest.mark.parametrize("format", sorted(set(SKELETONS) - {"ntu", "mped-rnn"}))
def test_a_wrong_value_anywhere_is_an_error_or_harmless(tmp_path, format):
    file = written(tmp_path / "clip", format)[0]
    whole = file.read_text()
    places = list(paths_of(json.loads(whole)))
    rng = np.random.default_rng(2)
    errors = 0
    for case in range(150):
        content = json.loads(whole)
        *path, last = places[rng.integers(len(places) - 1) + 1]
        inner = content
        for step in path:
            inner = inner[step]
        if case % 5 == 4 and isinstance(inner, dict):
            del inner[last]
        else:
            inner[last] = WRONG[rng.integers(len(WRONG))]
        file.write_text(json.dumps(content))
        errors += check(format, tmp_path / "clip")
    assert errors > 15


@pytest.mark.parametrize("format", sorted(set(SKELETONS) - {"ntu", "mped-rnn"}))
@pytest.mark.parametrize(
    "content",
    ["", " ", "null", "3", '"text"', "[" * 100_000, '{"a":' * 100_000, "\x00" * 50, "[1, 2]", "[null]", '{"people": 3}',
     '{"data": [[]]}', '{"images": [], "annotations": [3]}', '{"1": {"0000": {"keypoints": []}}}', "[{}]",
     '[{"image_id": 1, "keypoints": [1e999, 0, 1]}]', "{}x", "[] []"],
)  # fmt: skip
def test_files_of_something_else(tmp_path, format, content):
    (tmp_path / "a_000.json").write_text(content)
    check(format, tmp_path)


def test_bytes_that_are_no_text(tmp_path):
    for format in SKELETONS:
        folder = tmp_path / format
        for file in written(folder, format):
            file.write_bytes(b"\xff\xfe\x00[1,2]")
        assert check(format, folder) >= 1


@pytest.mark.parametrize(
    "content", ["[]", "{}", '[1, "a", {"b": [2]}]', '{"a": 1, "b": [2, {"c": "\\u00e9\\n"}]}']
)
def test_items_are_those_of_the_json_whatever_the_pieces(tmp_path, monkeypatch, content):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    want = json.loads(content)
    for size in (1, 2, 3, 7, 1000):
        monkeypatch.setattr("pose_extract.formats.json_files._CHUNK_BYTES", size)
        with JsonItems(tmp_path / "a.json") as items:
            assert list(items) == list(want.items() if isinstance(want, dict) else enumerate(want))


@pytest.mark.parametrize("content", ["[1, 2", '{"a": 1', '{"a" 1}', "{1: 2}", "[1 2]", "[1,]", '["a'])
def test_items_of_broken_json_end_in_an_error(tmp_path, monkeypatch, content):
    (tmp_path / "a.json").write_text(content)
    for size in (1, 3, 1000):
        monkeypatch.setattr("pose_extract.formats.json_files._CHUNK_BYTES", size)
        with pytest.raises(FormatError, match=r"a\.json"), JsonItems(tmp_path / "a.json") as items:
            list(items)


def crowd(format: str, count: int) -> str:
    """A frame with ``count`` people in it."""
    joints = json.dumps([1.5, 2.5, 0.5] * (25 if format == "openpose" else 17))
    one = {
        "alphapose": f'{{"image_id": "0.jpg", "keypoints": {joints}}}',
        "coco": f'{{"image_id": 0, "keypoints": {joints}}}',
        "openpose": f'{{"pose_keypoints_2d": {joints}}}',
        "posetrack": f'{{"image_id": 1, "keypoints": {joints}}}',
    }[format]
    people = "[" + ",".join([one] * count) + "]"
    images = '[{"id": 1, "file_name": "a/0.jpg"}]'
    whole = {
        "openpose": f'{{"people": {people}}}',
        "posetrack": f'{{"images": {images}, "annotations": {people}}}',
    }
    return whole.get(format, people)


@pytest.mark.parametrize("format", ["alphapose", "coco", "openpose", "posetrack"])
def test_more_people_than_a_frame_can_hold_are_refused_before_they_are_followed(tmp_path, format):
    (tmp_path / "a_000.json").write_text(crowd(format, 1001))
    errors = [str(got) for got in read(format, tmp_path) if isinstance(got, FormatError)]
    assert len(errors) == 1
    assert "at most 1000 people in a frame" in errors[0]


def test_a_long_list_of_results_is_not_held_in_memory(tmp_path):
    import tracemalloc

    with open(tmp_path / "a.json", "w") as file:
        person = json.dumps({"keypoints": [round(0.1 + j / 7, 6) for j in range(51)], "idx": 1})[1:]
        file.write("[" + ",\n".join(f'{{"image_id": "{i}.jpg", {person}' for i in range(24_000)) + "]")
    tracemalloc.start()
    (clip,) = read("alphapose", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(clip) == 24_000
    assert peak < 2.3 * (tmp_path / "a.json").stat().st_size  # json.load takes five times the file
