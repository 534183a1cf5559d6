"""Our own NPZ and JSON hold the same, to the last bit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pose_extract.formats.base import export_clips
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import THING_TYPES, ClipThings, Things
from tests.helpers.format_cases import people, read, read_error, read_one

ARRAYS = ("time_s", "frame", "track", "keypoints", "boxes", "features")


def assert_identical(got: ClipTracks, want: ClipTracks) -> None:
    """Everything equal, NaN too, and the features in float16."""
    for field in ("clip", "skeleton", "fps", "frame_size", "provenance"):
        assert getattr(got, field) == getattr(want, field), field
    for name in ARRAYS:
        a, b = getattr(got, name), getattr(want, name)
        if b is None:
            assert a is None
        else:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, name)


texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=8)
facts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def tracks(draw: st.DrawFn) -> ClipTracks:
    """Any tracks without a fault (`pose_extract.tracks.faults`)."""
    frames, rows = draw(st.integers(1, 4)), draw(st.integers(0, 5))
    size, depth = draw(st.integers(3, 4)), draw(st.sampled_from([None, 1, 3]))
    places = st.floats(-1e6, 1e6, width=32) | st.just(np.nan)
    keypoints = [
        draw(arrays.arrays(np.float32, (rows, 17, size - 1), elements=places)),
        draw(arrays.arrays(np.float32, (rows, 17, 1), elements=st.floats(0, 1, width=32) | st.just(np.nan))),
    ]
    fps = draw(st.floats(0.1, 240))
    return ClipTracks(
        clip="a_1",
        skeleton="coco17",
        fps=fps,
        frame_size=(draw(st.integers(1, 9000)), draw(st.integers(1, 9000))),
        time_s=draw(st.floats(0, 1e6)) + np.arange(frames) / fps,
        frame=np.sort(draw(arrays.arrays(np.int32, rows, elements=st.integers(0, max(frames - 1, 0))))),
        track=np.sort(draw(arrays.arrays(np.int32, rows, elements=st.integers(1, 2**31 - 1), unique=True))),
        keypoints=np.concatenate(keypoints, axis=2),
        boxes=draw(arrays.arrays(np.float32, (rows, 4), elements=st.floats(-1e7, 1e7, width=32))),
        features=None if depth is None or not rows
        else draw(arrays.arrays(np.float16, (rows, 17, depth), elements=st.floats(width=16))),
        provenance=draw(st.dictionaries(texts, facts, max_size=3)),
    )  # fmt: skip


@given(tracks())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_npz_to_json_to_npz_changes_nothing(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("gepc")
    export_clips("gepc", [clip], folder / "first.npz")
    first = read_one("gepc", folder / "first.npz")
    export_clips("gepc", [first], folder / "second.json")
    second = read_one("gepc", folder / "second.json")
    if len(clip):  # an NPZ of no rows keeps no fourth number of a joint
        assert_identical(second, clip)
    export_clips("gepc", [second], folder / "third.npz")
    assert_identical(read_one("gepc", folder / "third.npz"), first)


def test_the_json_is_plain_json(tmp_path):
    clip = people()
    clip.keypoints[0, 0] = (np.nan, np.inf, 0.5)
    export_clips("gepc", [clip], tmp_path / "a.json")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert_identical(read_one("gepc", tmp_path / "a.json"), clip)


def test_features_that_are_larger_than_half_precision_stay_in_json(tmp_path):
    clip = people()
    features = np.full((len(clip), 17, 2), 1e6, np.float32)
    export_clips("gepc", [dataclasses.replace(clip, features=features)], tmp_path / "a.json")
    assert read_one("gepc", tmp_path / "a.json").features.max() == 1e6


def test_a_workspace_of_tracks_is_read_without_its_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    for name in ("a", "b"):
        save_tracks(tmp_path / "tracks" / f"{name}.npz", dataclasses.replace(people(), clip=name))
    assert [c.clip for c in read("gepc", tmp_path)] == ["a", "b"]


def changed(tmp_path, key, value):
    export_clips("gepc", [people(frames=3)], tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    *path, last = key
    inner = content
    for step in path:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    (tmp_path / "a.json").write_text(json.dumps(content))
    return tmp_path / "a.json"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("format",), "other", "format"),
        (("version",), 99, "version 1, found 99"),
        (("fps",), "fast", "'fps'"),
        (("fps",), 0, "above 0"),
        (("frame_size",), [0, 5], "frame_size"),
        (("time_s",), ["x"], "time_s"),
        (("rows",), {}, "rows"),
        (("rows", 1), 5, r"\['rows'\]\[1\]"),
        (("rows", 1, "frame"), 77, "within 0..2"),
        (("rows", 1, "frame"), 1.5, r"\['rows'\]\[1\]\['frame'\]"),
        (("rows", 1, "track"), None, r"\['rows'\]\[1\].*'track'"),
        (("rows", 1, "track"), 0, "from 1"),
        (("rows", 1, "keypoints"), [[1, 2, 3]], "keypoints"),
        (("rows", 1, "box"), [1, 2, "3", 4], "box"),
        (("keypoints_shape",), [17, 9], "keypoints"),
        (("skeleton",), "halpe26", "keypoints"),
        (("provenance",), [], "provenance"),
    ],
)
def test_a_wrong_value_is_named(tmp_path, key, value, message):
    import re

    error = read_error("gepc", changed(tmp_path, key, value))
    assert "a.json" in error
    assert re.search(message, error), error


def things(**other: object) -> ClipThings:
    """A car at two looks, and nothing at a third."""
    two = {
        "ids": [1, 1], "kinds": [2, 2], "boxes": [(1, 2, 30.1, 40)] * 2, "velocity": [(0.3, 1)] * 2,
        "age_s": [0, 0.1], "still_s": [0, 0], "quality": [0.5, 0.9], "person": [0, 7],
    }  # fmt: skip
    arrays = {name: np.array(two[name], kind) for name, kind in THING_TYPES.items()}
    return ClipThings(np.array([0, 2, 4], np.int32), np.array([0, 2], np.int32), Things(**arrays))


@pytest.mark.parametrize("found", [things(), ClipThings.empty(), things().cut(3, 5), None])
def test_things_go_out_and_come_in(tmp_path, found):
    export_clips("gepc", [dataclasses.replace(people(), things=found)], tmp_path / "a.json")
    got = read_one("gepc", tmp_path / "a.json").things
    if found is None:
        assert got is None
        return
    np.testing.assert_array_equal(got.looked, found.looked)
    np.testing.assert_array_equal(got.frame, found.frame)
    for name in THING_TYPES:
        a, b = getattr(got.things, name), getattr(found.things, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, name)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("kinds", [2, 3.5], "'kinds'"),
        ("kinds", [2, 4], "'kinds'"),
        ("ids", [1, -1], "'ids'"),
        ("frame", [0, 3], "frames that were looked at"),
        ("boxes", [[1, 2, 3, 4]], "boxes of shape"),
        ("quality", None, "'quality'"),
        ("boxes", [[1, 2, 3, None]] * 2, "boxes that are finite"),
    ],
)
def test_wrong_things_are_named(tmp_path, key, value, message):
    export_clips("gepc", [dataclasses.replace(people(), things=things())], tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    content["things"][key] = value
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert message in read_error("gepc", tmp_path / "a.json")
