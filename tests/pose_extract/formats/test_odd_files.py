"""Exports that would mix with others, and files with odd values, orders and names."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pose_extract.errors import FormatError, UsageError
from pose_extract.formats.base import export_clips
from tests.helpers.format_cases import people, read, read_error, read_one


def without_rows(clip):
    none = slice(0, 0)
    return dataclasses.replace(
        clip, frame=clip.frame[none], track=clip.track[none], boxes=clip.boxes[none], keypoints=clip.keypoints[none]
    )  # fmt: skip


def joints(x=100.0, count=17):
    return [value for j in range(count) for value in (x + j, 100.0 + 3 * j, 0.9)]


def results(path, *people_of_a_frame, frames=9):
    """A file of COCO's results in which the same people are in each frame."""
    path.write_text(json.dumps([{"image_id": i, **p} for i in range(frames) for p in people_of_a_frame]))
    return path


@pytest.mark.parametrize(("format", "skeleton"), [("openpose", "body25"), ("mped-rnn", "coco17")])
def test_an_export_does_not_mix_with_what_an_older_one_has_left(tmp_path, format, skeleton):
    clip = people(skeleton)
    export_clips(format, [clip], tmp_path)
    export_clips(format, [clip], tmp_path)
    with pytest.raises(UsageError, match="would be read as a part of it"):
        export_clips(
            format, [people(skeleton, frames=2) if format == "openpose" else without_rows(clip)], tmp_path
        )
    assert len(read_one(format, tmp_path)) == len(clip)


@pytest.mark.parametrize(
    ("format", "skeleton", "names"),
    [("openpose", "body25", ("a b", "a_b")), ("mped-rnn", "coco17", ("0014", "01_0014"))],
)
def test_two_clips_of_one_folder_are_refused(tmp_path, format, skeleton, names):
    clips = [people(skeleton, clip=name) for name in names]
    with pytest.raises(UsageError, match="would both be there"):
        export_clips(format, clips, tmp_path)


def test_a_clip_that_mped_rnn_has_no_file_of_is_told(tmp_path, caplog):
    export_clips("mped-rnn", [without_rows(people())], tmp_path)
    assert "clip 01_0014: nobody is in it" in caplog.text


@pytest.mark.parametrize(
    ("format", "skeleton"), [("alphapose", "coco17"), ("coco", "coco17"), ("posetrack", "posetrack17")]
)
def test_who_has_no_box_is_written_without_one(tmp_path, format, skeleton):
    clip = people(skeleton)
    clip.boxes[:] = np.nan
    export_clips(format, [clip], tmp_path / "a.json")
    assert "NaN" not in (tmp_path / "a.json").read_text()
    got = read_one(format, tmp_path / "a.json")
    assert np.isfinite(got.boxes).all()
    assert len(got) == len(clip)


def test_two_openpose_files_of_one_frame_are_told(tmp_path):
    for name, count in (("v_0001_keypoints.json", 1), ("v_0001.json", 2), ("v_0002_keypoints.json", 1)):
        person = {"pose_keypoints_2d": joints(count=25)}
        (tmp_path / name).write_text(json.dumps({"people": [person] * count}))
    error, clip = read("openpose", tmp_path)
    assert isinstance(error, FormatError)
    assert "v_0001.json: left out, v_0001_keypoints.json has the same frame" in str(error)
    assert len(clip) == 2


def test_a_data_set_without_pictures_is_an_error(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [], "annotations": []}')
    assert "['images']: expected one or more" in read_error("coco", tmp_path / "a.json")


def test_kinetics_frames_may_come_in_any_order(tmp_path):
    frames = [{"frame_index": i, "skeleton": []} for i in (3, 10, 1)]
    (tmp_path / "a.json").write_text(json.dumps({"data": frames}))
    assert read_one("kinetics-skeleton", tmp_path / "a.json").frame_count == 10


def test_a_box_without_size_is_drawn_around_the_joints(tmp_path):
    clip = read_one("coco", results(tmp_path / "a.json", {"keypoints": joints(), "bbox": [0, 0, 0, 0]}))
    assert (clip.boxes[:, 2:] - clip.boxes[:, :2] > 10).all()


def test_ids_made_beside_the_largest_ones_stay_ids(tmp_path):
    far = ({"keypoints": joints(x)} for x in (300, 500))
    path = results(tmp_path / "a.json", {"keypoints": joints(), "track_id": 2**31 - 2}, *far)
    clip = read_one("coco", path)
    assert (clip.num_tracks, len(clip)) == (3, 27)
    assert clip.track.min() > 0


def test_mmposes_people_may_have_no_box(tmp_path):
    person = {
        "keypoints": np.reshape(joints(), (17, 3))[:, :2].tolist(),
        "keypoint_scores": [1] * 17,
        "bbox": None,
    }
    content = [{"frame_id": i, "instances": [person]} for i in range(9)]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert len(read_one("coco", tmp_path / "a.json")) == 9


def test_negative_frame_numbers_are_no_positive_ones(tmp_path):
    frames = {str(i): {"keypoints": joints()} for i in range(-3, 9)}
    (tmp_path / "a.json").write_text(json.dumps({"1": frames}))
    assert "found -3" in read_error("alphapose", tmp_path / "a.json")


def test_counts_of_frames_go_by_the_files_own_names(tmp_path):
    frames = {str(i): {"keypoints": joints()} for i in range(9)}
    (tmp_path / "my clip.json").write_text(json.dumps({"1": frames}))
    clip = read_one("alphapose", tmp_path / "my clip.json", frame_counts={"my clip": 50})
    assert (clip.clip, clip.frame_count) == ("my_clip", 50)


def test_trajectories_may_begin_with_a_byte_order_mark(tmp_path):
    export_clips("mped-rnn", [people()], tmp_path)
    for file in tmp_path.rglob("*.csv"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert len(read_one("mped-rnn", tmp_path)) == len(people())


def test_poses_under_a_key_that_is_there_twice_are_counted(tmp_path):
    def frames(*numbers):
        return "{" + ", ".join(f'"{i}": {json.dumps({"keypoints": joints()})}' for i in numbers) + "}"

    text = f'{{"1": {frames(1, 2, 2)}, "2": {frames(*range(9))}, "3": {frames(5)}, "3": {frames(6)}}}'
    (tmp_path / "a.json").write_text(text)
    clip = read_one("alphapose", tmp_path / "a.json")
    report = clip.provenance["import"]["report"]
    assert (report["poses"], report["kept"], len(clip)) == (14, 12, 12)
    assert report["left_out"] == {"under a key that an object has twice": 2}


def test_pictures_that_are_there_twice_are_counted(tmp_path):
    person = json.dumps([{"keypoints": joints()}])
    text = ", ".join(f'"{i:04d}.jpg": {person}' for i in (*range(9), 3))
    (tmp_path / "a.json").write_text(f"{{{text}}}")
    report = read_one("alphapose", tmp_path / "a.json").provenance["import"]["report"]
    assert (report["poses"], report["left_out"]) == (10, {"under a key that an object has twice": 1})
