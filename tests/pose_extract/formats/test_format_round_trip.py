"""What is written in a format and read again is the same, and what a format cannot hold is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose_extract.errors import FormatError, UsageError
from pose_extract.formats.base import FORMATS, export_clips, get_format, import_clips
from tests.helpers.format_cases import SIZE, assert_same, people, read, read_one

HOLD = [
    ("alphapose", "coco17", {}),
    ("alphapose", "coco18", {}),
    ("alphapose", "halpe26", {"layout": "results"}),
    ("openpose", "body25", {}),
    ("openpose", "coco18", {}),
    ("kinetics-skeleton", "coco18", {}),
    ("coco", "coco17", {}),
    ("coco", "halpe26", {}),
    ("posetrack", "posetrack17", {}),
    ("gepc", "blazepose33", {"kind": "json"}),
    ("gepc", "coco17", {"kind": "npz"}),
]


@pytest.mark.parametrize(("format", "skeleton", "options"), HOLD)
def test_tracks_come_back_as_they_were_written(tmp_path, format, skeleton, options):
    clip = people(skeleton)
    export_clips(format, [clip], tmp_path / "out", **options)
    got = read_one(format, tmp_path / "out", frame_counts={"01_0014": clip.frame_count})
    assert_same(got, clip, 1e-3)


@pytest.mark.parametrize(("format", "skeleton", "options"), HOLD)
def test_several_clips_keep_their_names_and_an_empty_one_stays(tmp_path, format, skeleton, options):
    clip = people(skeleton)
    none = slice(0, 0)
    empty = dataclasses.replace(
        clip, clip="02_empty", frame=clip.frame[none], track=clip.track[none], boxes=clip.boxes[none],
        keypoints=clip.keypoints[none],
    )  # fmt: skip
    export_clips(format, iter([clip, empty]), tmp_path / "out", **options)
    got = read(format, tmp_path / "out", frame_counts={"02_empty": 5})
    assert [(c.clip, len(c)) for c in got] == [("01_0014", len(clip)), ("02_empty", 0)]
    assert got[1].frame_count >= 5


def test_trajectories_keep_where_joints_are_but_not_how_sure_that_is(tmp_path):
    clip = people()
    found = clip.keypoints[..., 2:] > 0
    clip = dataclasses.replace(clip, keypoints=np.where(found, clip.keypoints, 0).astype(np.float32))
    export_clips("mped-rnn", [clip], tmp_path)
    assert len(list((tmp_path / "trajectories" / "01" / "0014").glob("*.csv"))) == 3
    got = read_one("mped-rnn", tmp_path, frame_counts={"01_0014": 12})
    sure = np.concatenate([clip.keypoints[..., :2], found], -1).astype(np.float32)
    assert_same(got, dataclasses.replace(clip, keypoints=sure), 1e-3)


def test_kinect_bodies_keep_their_joints_and_boxes(tmp_path):
    clip = people("ntu25", clip="S001C002P003R002A013", depth=True)
    export_clips("ntu", [clip], tmp_path)
    got = read_one("ntu", tmp_path)
    same_ids = np.array([0, 1, 2, 0, 0, 0, 0, 3])[clip.track]
    assert_same(got, dataclasses.replace(clip, track=same_ids), 1e-3)


def test_one_clip_goes_into_a_file_and_two_do_not(tmp_path):
    clip = people()
    export_clips("coco", [clip], tmp_path / "people.json")
    assert read_one("coco", tmp_path / "people.json").clip == "people"
    with pytest.raises(UsageError, match="folder"):
        export_clips("coco", [clip, clip], tmp_path / "two.json")
    assert not (tmp_path / "two.json").exists()


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"gepc", "chad"}))
def test_a_format_refuses_joints_that_it_cannot_hold(tmp_path, format):
    with pytest.raises(FormatError, match=r"01_0014.*blazepose33"):
        export_clips(format, [people("blazepose33")], tmp_path)
    flat = people("ntu25") if format == "ntu" else None
    deep = flat or people("coco18" if format in ("openpose", "kinetics-skeleton") else "coco17", depth=True)
    if format != "posetrack":
        with pytest.raises(FormatError, match="-D"):
            export_clips(format, [deep], tmp_path)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"gepc", "chad", "mped-rnn", "ntu"}))
def test_a_joint_without_coordinates_is_written_as_missing(tmp_path, format):
    skeleton = {"posetrack": "posetrack17", "coco": "coco17", "alphapose": "coco17"}.get(format, "coco18")
    clip = people(skeleton)
    clip.keypoints[5, 3] = (np.nan, np.nan, 0.7)
    export_clips(format, [clip], tmp_path)
    assert "nan" not in "".join(file.read_text().lower() for file in tmp_path.rglob("*.json"))
    assert read_one(format, tmp_path).keypoints[5, 3, 2] == 0


def test_only_what_exists_is_read_and_written(tmp_path):
    with pytest.raises(UsageError, match=r"unknown format 'alphapos'.*did you mean 'alphapose'"):
        get_format("alphapos")
    with pytest.raises(UsageError, match="speed"):
        import_clips("coco", tmp_path, speed=3)
    with pytest.raises(UsageError, match="layout"):
        export_clips("coco", [people()], tmp_path, layout="tracked")
    with pytest.raises(UsageError, match="layout"):
        export_clips("alphapose", [people()], tmp_path, layout="flat")
    with pytest.raises(FormatError, match="no such"):
        import_clips("coco", tmp_path / "absent")
    for format in FORMATS:
        with pytest.raises(FormatError, match="expected"):
            import_clips(format, tmp_path, 24, SIZE)


@pytest.mark.parametrize(
    ("given", "missing"), [({"frame_size": SIZE}, "--fps"), ({"fps": 24.0}, "--frame-size")]
)
def test_what_a_file_does_not_tell_is_asked_for(tmp_path, given, missing):
    export_clips("alphapose", [people()], tmp_path)
    with pytest.raises(UsageError, match=missing):
        list(import_clips("alphapose", tmp_path, **given))


@pytest.mark.parametrize(
    "wrong", [{"fps": 0.0}, {"fps": float("nan")}, {"frame_size": (0, 5)}, {"confidence_scale": 0.0}]
)
def test_impossible_options_are_refused_by_name(tmp_path, wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        import_clips("coco", tmp_path, **wrong)
