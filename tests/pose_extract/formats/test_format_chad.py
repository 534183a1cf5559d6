"""CHAD's pickles are refused, unless they are asked for; and then nothing in them is ever executed."""

from __future__ import annotations

import collections
import datetime
import os
import pickle
import struct

import numpy as np
import pytest

from pose_extract.errors import UsageError
from pose_extract.formats.base import export_clips
from pose_extract.formats.safe_pickle import load_plain_pickle
from tests.helpers.format_cases import read, read_error, read_one


def pose(joints=17, confidence=True):
    points = np.arange(joints * 2.0).reshape(joints, 2) + 10
    return np.concatenate([points, np.full((joints, 1), 0.5)], 1) if confidence else points


def cell(box, keypoints):
    """An array of two things of different lengths, as NumPy has stored them."""
    both = np.empty(2, object)
    both[0], both[1] = box, keypoints
    return both


def annotations(make=lambda: cell([1.0, 2.0, 3.0, 4.0], pose().ravel().tolist())):
    return {0: {1: make()}, 2: {1: make(), 4: make()}}


def save(tmp_path, content, protocol=4, name="4_001_0.pkl"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return tmp_path / name


def test_it_is_refused_unless_it_is_asked_for(tmp_path):
    with pytest.raises(UsageError, match=r"4_001_0\.pkl.*can run any program.*trust_pickle"):
        read("chad", save(tmp_path, annotations()))
    with pytest.raises(UsageError, match="never writes"):
        export_clips("chad", [], tmp_path)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "make",
    [
        lambda: cell([1.0, 2.0, 3.0, 4.0], pose().ravel().tolist()),
        lambda: cell(np.arange(4.0), pose()),
        lambda: cell(np.arange(4), pose().astype(">f4")),
        lambda: cell(np.arange(4), np.asfortranarray(pose())),
        lambda: [[1, 2, 3, 4], pose().tolist()],
        lambda: cell([1.0, 2.0, 3.0, np.float64(4.0)], pose().ravel()),
    ],
    ids=["lists", "arrays", "big-endian", "Fortran", "no arrays", "scalars"],
)
def test_arrays_of_every_protocol_are_read(tmp_path, protocol, make):
    clip = read_one(
        "chad", save(tmp_path, annotations(make), protocol), fps=None, frame_size=None, trust_pickle=True
    )
    assert (clip.clip, clip.fps, clip.frame_size) == ("4_001_0", 30, (1280, 720))
    assert list(zip(clip.frame.tolist(), clip.track.tolist(), strict=True)) == [(0, 1), (2, 1), (2, 4)]
    np.testing.assert_allclose(clip.keypoints[1], pose())
    assert clip.provenance["import"]["camera"] == 4


def test_joints_without_confidence_are_certain_and_keys_may_be_text_or_numpy(tmp_path):
    value = cell([1, 2, 3, 4], pose(confidence=False).ravel())
    content = {"0": {"7": value}, np.int64(3): {np.int64(8): value}}
    clip = read_one("chad", save(tmp_path, content, name="1_001_0.pkl"), frame_size=None, trust_pickle=True)
    assert (clip.frame_size, clip.track.tolist()) == ((1920, 1080), [7, 8])
    assert (clip.keypoints[..., 2] == 1).all()


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, what, *arguments):
        self.call = what, arguments

    def __reduce__(self):
        return self.call


class Plain:
    pass


EVIL = {
    "a command": Runs(os.system, "touch {mark}"),
    "eval": Runs(eval, "open('{mark}', 'w')"),
    "a file": Runs(open, "{mark}", "w"),
    "getattr": Runs(getattr, "{mark}", "upper"),
    "numpy.load": Runs(np.load, "{mark}"),
    "a class": Plain(),
    "an ordered dictionary": collections.OrderedDict(a=1),
    "a date": datetime.date(2020, 1, 1),
    "an array with fields": np.zeros(2, [("a", "f4")]),
    "complex numbers": np.zeros(2, complex),
    "dates": np.zeros(2, "M8[s]"),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", EVIL)
def test_nothing_else_is_let_through_and_nothing_is_run(tmp_path, name, protocol):
    mark = tmp_path / "mark"
    evil = EVIL[name]
    if isinstance(evil, Runs):
        what, arguments = evil.call
        evil = Runs(what, *(a.format(mark=mark) if isinstance(a, str) else a for a in arguments))
    for content in (evil, {0: {1: evil}}, {0: {1: cell([1, 2, 3, 4], [evil])}}):
        error = read_error("chad", save(tmp_path, content, protocol), trust_pickle=True)
        assert "4_001_0.pkl: refused" in error
    assert not mark.exists()


def stream(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


NDARRAY = b"cnumpy\nndarray\n"
STRANGE_STATE = (
    b"(K\x03X\x01\x00\x00\x00|}K\x01K\x01J\xff\xff\xff\xffK\x08K\x3ftb"  # of a type: fields, flags
)
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    "content",
    [
        stream(b"cos\nsystem\n", b"X\x02\x00\x00\x00ls", b"\x85R"),
        stream(b"(S'ls'\nios\nsystem\n"),
        stream(b"\x82\x01"),
        stream(b"Pelsewhere\n"),
        stream(NDARRAY, b"}X\x01\x00\x00\x00aK\x01sb"),  # sets an attribute of the class
        stream(NDARRAY, b"J\xff\xff\xff\x7f\x85R"),  # an array of 2^31, without data
        stream(RECONSTRUCT, b"(tR", b"(K\x01J\xff\xff\xff\x7f\x85K\x00K\x00K\x00tb"),
        stream(b"cnumpy\ndtype\n", b"X\x05\x00\x00\x00O8,O8\x85R"),
        stream(b"cnumpy\ndtype\n", b"X\x02\x00\x00\x00O8\x85R", STRANGE_STATE),
        stream(b"N" + b"r" + struct.pack("<I", 2**32 - 1)),  # C's unpickler makes room for 2^32 memos
        stream(b"\x8e" + struct.pack("<Q", 2**60) + b"x"),
        stream(b"\x96" + struct.pack("<Q", 2**44) + b"x"),
        stream(b"]" * 100_000 + b"a" * 99_999),
        stream(b"((t"),
    ],
    ids=range(14),
)  # fmt: skip
def test_hand_made_pickles_do_no_harm(tmp_path, content):
    assert "4_001_0.pkl" in read_error("chad", save(tmp_path, content), trust_pickle=True)


def test_lists_within_lists_cannot_grow_without_end(tmp_path):
    laughs = ["ha"]
    for _ in range(18):
        laughs = [laughs] * 10
    assert "nested" in read_error("chad", save(tmp_path, laughs), trust_pickle=True)
    loop: list = []
    loop.append(loop)
    assert "nested" in read_error("chad", save(tmp_path, loop), trust_pickle=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "dictionary frame"),
        ({0: [1]}, "dictionary person"),
        ({0: {1: 5}}, "box and keypoints"),
        ({0: {1: cell([1, 2, 3], [1.0] * 51)}}, "box of 4"),
        ({0: {1: cell([1, 2, 3, 4], ["a"] * 51)}}, "numbers"),
        ({0: {1: cell([1, 2, 3, 4], [1.0] * 53)}}, "each joint"),
        ({0: {1: cell([1, 2, 3, 4], [1.0] * 51), 2: cell([1, 2, 3, 4], [1.0] * 54)}}, "17 joints"),
        ({"x": {1: cell([1, 2, 3, 4], [1.0] * 51)}}, "frame's number"),
        (b"", "damaged"),
        (b"not a pickle", "4_001_0"),
        (pickle.dumps(annotations())[:-20], "damaged"),
    ],
)
def test_what_is_no_annotation_is_named(tmp_path, content, message):
    assert message in read_error("chad", save(tmp_path, content), trust_pickle=True)


def test_random_damage_raises_nothing_but_format_errors(tmp_path):
    rng = np.random.default_rng(0)
    whole = np.frombuffer(pickle.dumps(annotations(), 4), np.uint8)
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
        read("chad", save(tmp_path, damaged.tobytes()), trust_pickle=True)


def test_plain_data_come_out_as_they_are(tmp_path):
    data = {"a": [1, 2.5, None, True, "x", b"y"], "b": np.arange(6).reshape(2, 3)}
    got = load_plain_pickle(save(tmp_path, data))
    assert got["a"] == data["a"]
    np.testing.assert_array_equal(got["b"], data["b"])
