"""Each layout in which a tool or a data set publishes poses, written by hand, is read as it is meant."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pose_extract.errors import FormatError
from pose_extract.formats.ntu import parse_name
from pose_extract.tracks.records import ClipTracks
from tests.helpers.format_cases import SIZE, read, read_error, read_one, walking


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def pairs(clip):
    return list(zip(clip.frame.tolist(), clip.track.tolist(), strict=True))


# AlphaPose


@pytest.mark.parametrize(
    ("joints", "skeleton"), [(17, "coco17"), (18, "coco18"), (26, "halpe26"), (136, "halpe26")]
)
def test_alphapose_tracked_people_of_all_joint_sets(tmp_path, joints, skeleton):
    content = {"1": {"0000": {"keypoints": walking(joints, 0, 0), "scores": 2.5}}}
    clip = read_one("alphapose", save(tmp_path / "01_0014_alphapose_tracked_person.json", content))
    assert (clip.clip, clip.skeleton, pairs(clip)) == ("01_0014", skeleton, [(0, 1)])
    want = np.array(walking(joints, 0, 0)).reshape(-1, 3)[: clip.keypoints.shape[1]]
    np.testing.assert_allclose(clip.keypoints[0], want, rtol=1e-6)


def entry(frame, person):
    return {"keypoints": walking(17, frame, person), "scores": 1.0}


@pytest.mark.parametrize(
    "content",
    [
        {"1": {"0000": entry(0, 0), "0001": entry(1, 0)}, "2": {"0001": entry(1, 1)}},
        {"1": [{"0000": entry(0, 0)}, {"0001": entry(1, 0)}], "2": [{"0001": entry(1, 1)}]},
        [{"1": {"0000": entry(0, 0), "0001": entry(1, 0)}}, {"2": {"0001": entry(1, 1)}}],
        {"2": {"1": walking(17, 1, 1)}, "1": {"0": walking(17, 0, 0), "1": walking(17, 1, 0)}},
        {"1": {"0001": [entry(1, 0)], "0000": [entry(0, 0)]}, "2": {"0001": [entry(1, 1)]}},
    ],
    ids=["objects", "lists of frames", "list of people", "bare keypoints, unordered", "entries in lists"],
)
def test_alphapose_tracked_people_in_every_variant(tmp_path, content):
    clip = read_one("alphapose", save(tmp_path / "tracked.json", content))
    assert pairs(clip) == [(0, 1), (1, 1), (1, 2)]
    np.testing.assert_allclose(clip.keypoints[2].ravel(), walking(17, 1, 1), rtol=1e-6)
    x = clip.keypoints[2, :, 0]
    assert clip.boxes[2, 0] < x.min() < x.max() < clip.boxes[2, 2]


def result(frame, person, **more):
    image = {"image_id": f"{frame}.jpg", "category_id": 1, "score": 2.9, "box": [10.0, 20.0, 30.0, 40.0]}
    return {**image, "keypoints": walking(17, frame, person), **more}


@pytest.mark.parametrize(
    "idx", [lambda i: i, lambda i: float(i), lambda i: [[float(i)]]], ids=["int", "float", "list"]
)
def test_alphapose_results_with_ids(tmp_path, idx):
    content = [result(2, 0, idx=idx(3)), result(0, 0, idx=idx(3)), result(2, 1, idx=idx(4))]
    clip = read_one("alphapose", save(tmp_path / "07_0001" / "alphapose-results.json", content))
    assert clip.clip == "07_0001"
    assert pairs(clip) == [(0, 3), (2, 3), (2, 4)]
    np.testing.assert_allclose(clip.boxes[0], (10, 20, 40, 60))
    assert clip.frame_count == 3


def test_alphapose_results_without_ids_are_followed(tmp_path):
    content = [result(f, p, box=[100 * p + f, 30, 60, 120]) for f in range(20) for p in (0, 1)]
    clip = read_one("alphapose", save(tmp_path / "clip.json", content))
    assert clip.num_tracks == 2
    assert len(clip) == 40
    for person in (1, 2):
        assert np.ptp(clip.keypoints[clip.track == person, 0, 0]) < 25  # the two are 100 px apart
    assert clip.provenance["import"]["followed"]


def test_alphapose_results_of_several_folders_are_several_clips(tmp_path):
    content = [
        result(0, 0, image_id=f"{clip}/{frame:06d}.jpg", idx=1) for clip in ("a", "b") for frame in (3, 4)
    ]
    clips = read("alphapose", save(tmp_path / "all.json", content), first_frame=3)
    assert [(c.clip, pairs(c)) for c in clips] == [("a", [(0, 1), (1, 1)]), ("b", [(0, 1), (1, 1)])]


# OpenPose


def openpose(tmp_path, video, frame, *people):
    return save(
        tmp_path / video / f"{video}_{frame:012d}_keypoints.json", {"version": 1.3, "people": list(people)}
    )


@pytest.mark.parametrize(("joints", "skeleton"), [(25, "body25"), (18, "coco18")])
def test_openpose_people_without_ids_are_followed_through_the_folder(tmp_path, joints, skeleton):
    for frame in range(15):
        order = (0, 1) if frame % 2 else (1, 0)
        found = [
            {"person_id": [-1], "pose_keypoints_2d": walking(joints, frame, p), "face": []} for p in order
        ]
        openpose(tmp_path, "street", frame, *found)
    openpose(tmp_path, "street", 15)
    clip = read_one("openpose", tmp_path)
    assert (clip.clip, clip.skeleton, clip.num_tracks, clip.frame_count) == ("street", skeleton, 2, 16)
    assert len(clip) == 30
    assert all(np.ptp(clip.keypoints[clip.track == t, 0, 0]) < 20 for t in (1, 2))


def test_openpose_ids_are_kept_and_old_files_are_read(tmp_path):
    for frame in (0, 2):
        openpose(tmp_path, "a", frame, {"person_id": [5], "pose_keypoints": walking(18, frame, 0)})
    clip = read_one("openpose", tmp_path)
    assert pairs(clip) == [(0, 5), (2, 5)]


def test_openpose_shares_of_the_frame_become_pixels(tmp_path):
    openpose(tmp_path, "a", 0, {"person_id": [1], "pose_keypoints_2d": [0.5, 0.25, 1.0] * 18})
    clip = read_one("openpose", tmp_path, normalised=True)
    np.testing.assert_allclose(clip.keypoints[0, 0], (SIZE[0] / 2, SIZE[1] / 4, 1))


def test_openpose_a_damaged_frame_is_left_out_and_named(tmp_path):
    for frame in range(4):
        openpose(tmp_path, "a", frame, {"person_id": [1], "pose_keypoints_2d": walking(25, frame, 0)})
    broken = openpose(tmp_path, "a", 2)
    broken.write_text('{"people": [')
    openpose(tmp_path, "a", 1, {"person_id": [1], "pose_keypoints_2d": walking(18, 1, 0)})
    got = read("openpose", tmp_path)
    errors = [str(e) for e in got if isinstance(e, FormatError)]
    assert len(errors) == 2
    assert "expected 25 joints" in errors[0]
    assert broken.name in errors[1]
    assert pairs(got[-1]) == [(0, 1), (3, 1)]


# Kinetics-skeleton


def test_kinetics_skeleton_frames_count_from_one_and_shares_become_pixels(tmp_path):
    person = {"pose": [0.5, 0.25] * 18, "score": [0.9] * 17 + [0]}
    data = [{"frame_index": i, "skeleton": [person] if i < 9 else []} for i in range(1, 11)]
    save(tmp_path / "train" / "abc.json", {"data": data, "label": "juggling", "label_index": 3})
    save(
        tmp_path / "train_label.json", {"abc": {"has_skeleton": True, "label": "juggling", "label_index": 3}}
    )
    (clip,) = read("kinetics-skeleton", tmp_path, fps=None, frame_size=None)
    assert isinstance(clip, ClipTracks)
    assert (clip.clip, clip.fps, clip.frame_size, clip.frame_count) == ("abc", 30, (340, 256), 10)
    np.testing.assert_array_equal(clip.frame, np.arange(8))
    np.testing.assert_allclose(clip.keypoints[0, 0], (170, 64, 0.9), rtol=1e-6)
    assert clip.keypoints[0, 17, 2] == 0
    assert clip.provenance["import"]["label"] == "juggling"
    assert clip.provenance["import"]["label_index"] == 3


# NTU RGB+D


def skeleton_file(frames):
    """``frames``: for each, a list of (body id, z, state)."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, z, state in bodies:
            lines += [f"{body} 0 1 0 1 0 0 0.1 -0.2 2", "25"]
            lines += [
                f"{0.1 * j} {0.5 - 0.05 * j} {z} 1 2 {900 + j} {300 + 4 * j} 0 0 0 1 {state}"
                for j in range(25)
            ]
    return "\n".join(lines) + "\n"


def test_ntu_bodies_in_metres_with_boxes_in_pixels(tmp_path):
    a, b = 72057594037931101, 72057594037931368
    path = save(
        tmp_path / "S001C002P003R002A013.skeleton",
        skeleton_file([[(b, 3.5, 2)], [(b, 3.4, 1), (a, 2.0, 0)], []]),
    )
    (clip,) = read("ntu", path, fps=None, frame_size=None)
    assert (clip.skeleton, clip.fps, clip.frame_size, clip.frame_count) == ("ntu25", 30, (1920, 1080), 3)
    facts = clip.provenance["import"]
    assert (facts["setup"], facts["camera"], facts["person"], facts["repetition"], facts["action"]) == (
        1,
        2,
        3,
        2,
        13,
    )
    assert facts["bodies"] == [str(b), str(a)]
    assert pairs(clip)[:2] == [(0, 1), (1, 1)]
    np.testing.assert_allclose(clip.keypoints[0, 2], (0.2, 0.4, 3.5, 1), rtol=1e-6)
    assert clip.keypoints[1, 2, 3] == 0.5
    x1, y1, x2, y2 = clip.boxes[0]
    assert 890 < x1 < 900 < 924 < x2 < 930
    assert 285 < y1 < 300 < 396 < y2 < 410


def test_ntu_names_that_are_none_tell_nothing():
    assert parse_name("walk_01") == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("3\n1\n72057594037931101 0 1 0 1", "breaks off"),
        (skeleton_file([[(1, 3.5, 2)]])[:-300], "breaks off in frame 0 of 1"),
        (skeleton_file([[(1, 3.5, 2)]]).replace("\n25\n", "\n20\n"), "expected 25 joints, found 20"),
        (skeleton_file([[(1, 3.5, 2)]]) + "7 7 7", "expected 313 numbers"),
        (skeleton_file([[(1, "abc", 2)]]), "abc"),
        ("99999999999\n0\n", "number of frames"),
    ],
)
def test_ntu_empty_and_damaged_files_are_reported_and_the_rest_is_read(tmp_path, content, message):
    save(tmp_path / "S001C001P001R001A001.skeleton", content)
    save(tmp_path / "S001C001P001R001A002.skeleton", skeleton_file([[(1, 3.5, 2)]]))
    error, clip = read("ntu", tmp_path)
    assert isinstance(error, FormatError)
    assert "A001.skeleton" in str(error)
    assert message in str(error)
    assert clip.clip.endswith("A002")


# MPED-RNN


def trajectory(frames, width=34):
    return (
        "\n".join(",".join(f"{v:.18e}" for v in [f, *(1.0 + f + j for j in range(width))]) for f in frames)
        + "\n"
    )


def test_mped_rnn_folders(tmp_path):
    folder = tmp_path / "trajectories" / "01" / "0014"
    save(folder / "0001.csv", trajectory([4, 5]))
    save(folder / "0003.csv", trajectory([5]))
    save(tmp_path / "trajectories" / "02" / "0002" / "0001.csv", trajectory([0]))
    first, second = read("mped-rnn", tmp_path)
    assert (first.clip, second.clip) == ("01_0014", "02_0002")
    assert pairs(first) == [(4, 1), (5, 1), (5, 3)]
    np.testing.assert_allclose(first.keypoints[0, 0], (5, 6, 1))
    assert read_one("mped-rnn", folder).clip == "01_0014"


def test_mped_rnn_joints_at_zero_are_missing_and_rows_of_nothing_else_go(tmp_path):
    folder = tmp_path / "01" / "02"
    save(
        folder / "0001.csv",
        ",".join(["3", *["0"] * 34]) + "\n" + ",".join(["4", *["0"] * 32, "7", "8"]) + "\n",
    )
    clip = read_one("mped-rnn", tmp_path)
    assert pairs(clip) == [(4, 1)]
    np.testing.assert_array_equal(clip.keypoints[0, :, 2], [0] * 16 + [1])
    assert clip.provenance["import"]["report"]["left_out"] == {"without a joint and a box": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("1,2,x\n", "expected lines of numbers"),
        ("1,2\n", "2 columns"),
        (trajectory([0], 40), "joints, found 20"),
        ("1.5" + ",1" * 34 + "\n", "line 1: expected a frame number, found 1.5"),
        ("nan" + ",1" * 34 + "\n", "line 1: expected a frame number"),
        ("1,2,3\n1,2\n", "expected lines of numbers"),
    ],
)
def test_mped_rnn_a_damaged_person_is_left_out_and_named(tmp_path, content, message):
    save(tmp_path / "01" / "02" / "0001.csv", content)
    save(tmp_path / "01" / "02" / "0002.csv", trajectory([1]))
    error, clip = read("mped-rnn", tmp_path)
    assert "0001.csv" in str(error)
    assert message in str(error)
    assert pairs(clip) == [(1, 2)]


# COCO, MMPose, PoseTrack


def test_coco_results_by_number_and_with_ids(tmp_path):
    content = [
        {"image_id": f, "category_id": 1, "keypoints": walking(17, f, 0), "score": 0.9, "track_id": 4}
        for f in (1, 0)
    ]
    clip = read_one("coco", save(tmp_path / "cam1.json", content))
    assert (clip.clip, clip.skeleton, pairs(clip)) == ("cam1", "coco17", [(0, 4), (1, 4)])


def test_coco_results_without_ids_are_followed(tmp_path):
    content = [
        {"image_id": f"{f:06d}.jpg", "keypoints": walking(17, f, p), "score": 0.9}
        for f in range(12)
        for p in (0, 1)
    ]
    clip = read_one("coco", save(tmp_path / "cam1.json", content))
    assert (clip.num_tracks, len(clip)) == (2, 24)


@pytest.mark.parametrize("wrapped", [False, True])
def test_mmpose_predictions(tmp_path, wrapped):
    points = np.array(walking(17, 0, 0)).reshape(17, 3)
    person = {
        "keypoints": points[:, :2].tolist(),
        "keypoint_scores": points[:, 2].tolist(),
        "bbox": [[10, 20, 30, 40]],
        "bbox_score": 0.9,
    }
    frames = [{"frame_id": f, "instances": [person]} for f in range(5)]
    content = {"meta_info": {}, "instance_info": frames} if wrapped else frames
    clip = read_one("coco", save(tmp_path / "results_cam.json", content))
    assert (len(clip), clip.num_tracks) == (5, 1)
    np.testing.assert_allclose(clip.keypoints[0], points, rtol=1e-6)
    np.testing.assert_allclose(clip.boxes[0], (10, 20, 30, 40))


def annotated(frames, flags, **person):
    images = [
        {"id": 10 + f, "file_name": f"images/val/seq/{f:06d}.jpg", "vid_id": "seq", "width": 64, "height": 48}
        for f in frames
    ]
    keypoints = [v for j in range(17) for v in (5 + j, 6 + j, flags[j % len(flags)])]
    people = [
        {"image_id": i["id"], "track_id": 0, "keypoints": keypoints, "iscrowd": 0, **person} for i in images
    ]
    return {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}


def test_coco_flags_become_confidences(tmp_path):
    clip = read_one("coco", save(tmp_path / "a.json", annotated([0, 1], [0, 1, 2])), frame_size=None)
    assert clip.frame_size == (64, 48)
    np.testing.assert_array_equal(clip.keypoints[0, :3, 2], [0, 0.5, 1])
    assert pairs(clip) == [(0, 1), (1, 1)]  # the file's ids begin at 0


def test_coco_pictures_of_different_sizes_are_clips_of_their_own(tmp_path):
    content = annotated([0, 1], [2])
    for image, side in zip(content["images"], (64, 65), strict=True):
        image.update(width=side, file_name=f"{side}.jpg")
        del image["vid_id"]
    clips = read("coco", save(tmp_path / "a.json", content), frame_size=None)
    assert [(c.clip, c.frame_size, pairs(c)) for c in clips] == [
        ("64", (64, 48), [(0, 1)]),
        ("65", (65, 48), [(0, 1)]),
    ]


def test_posetrack_sequences_have_their_own_joints_and_lengths(tmp_path):
    content = annotated([0, 4], [1, 0])
    names = ["nose", "head_bottom", "head_top", *(f"joint{j}" for j in range(14))]
    content["categories"] = [{"id": 1, "name": "person", "keypoints": names}]
    for image in content["images"]:
        image["nframes"] = 30
    content["annotations"].append(
        {"image_id": 10, "track_id": 5, "bbox_head": [1, 2, 3, 4]}
    )  # without a pose
    clip = read_one("posetrack", save(tmp_path / "seq.json", content))
    assert (clip.clip, clip.skeleton, clip.frame_count) == ("seq", "posetrack17", 30)
    assert pairs(clip) == [(0, 1), (4, 1)]
    np.testing.assert_array_equal(clip.keypoints[0, :2, 2], [1, 0])


# What all have in common


def one_person(tmp_path, *triples, frame="0"):
    """A tracked-person file whose first joints are ``triples``."""
    rest = [100.0, 100.0, 0.5] * (17 - len(triples))
    values = json.dumps([v for t in triples for v in t] + rest)
    return save(tmp_path / "c.json", f'{{"1": {{"{frame}": {{"keypoints": {values}}}}}}}')


def test_confidences_end_up_between_0_and_1(tmp_path):
    path = one_person(tmp_path, (1, 1, 3.0), (1, 1, -0.2), (1, 1, 6.0))
    clip = read_one("alphapose", path)
    np.testing.assert_allclose(clip.keypoints[0, :3, 2], (1, 0, 1))
    assert clip.provenance["import"]["report"]["confidences_cut"] == 2
    scaled = read_one("alphapose", path, confidence_scale=6.0)
    np.testing.assert_allclose(scaled.keypoints[0, :3, 2], (0.5, 0, 1))


def test_joints_that_are_no_numbers_are_missing_and_negative_ones_stay(tmp_path):
    path = one_person(tmp_path, (float("nan"), 1, 0.9), (5, 5, float("nan")), (None, 2, 0.5), (-7, 1, 0.9))
    clip = read_one("alphapose", path)
    np.testing.assert_allclose(clip.keypoints[0, :4, 2], (0, 0, 0, 0.9))
    assert np.isnan(clip.keypoints[0, 0, 0])
    assert clip.keypoints[0, 3, 0] == -7
    assert np.isfinite(clip.boxes).all()


def test_an_id_that_is_twice_in_a_frame_is_none_and_no_pose_is_lost(tmp_path):
    weak, sure = ([9.0, 9.0, c] * 17 for c in (0.2, 0.8))
    content = {
        "1": [{"0000": {"keypoints": weak}}, {"0000": {"keypoints": sure}}, {"0000": {"keypoints": weak}}]
    }
    clip = read_one("alphapose", save(tmp_path / "c.json", content))
    assert len(clip) == 3
    report = clip.provenance["import"]["report"]
    assert (report["poses"], report["kept"], report["ids_made"], report["ids_refused"]) == (3, 3, 3, 3)


@pytest.mark.parametrize(
    ("ids", "tracks"),
    [(["0", "1"], [1, 2]), (["1", "4"], [1, 4]), (["a", "b"], [1, 2]), (["99999999999", "1"], [1, 2])],
)
def test_ids_start_at_one(tmp_path, ids, tracks):
    content = {person: {str(i): {"keypoints": walking(17, 0, 0)}} for i, person in enumerate(ids)}
    assert read_one("alphapose", save(tmp_path / "c.json", content)).track.tolist() == tracks


def test_people_who_are_seen_once_cannot_be_followed_and_are_counted(tmp_path):
    content = [result(f, 0, box=[f, 30, 60, 120]) for f in range(10)] + [
        result(20, 3, box=[500, 30, 60, 120])
    ]
    clip = read_one("alphapose", save(tmp_path / "c.json", content))
    assert (len(clip), clip.frame_count) == (10, 21)
    assert clip.provenance["import"]["report"]["left_out"] == {"seen too briefly to be followed": 1}


def test_frames_before_the_first_and_beyond_all_bounds_are_refused(tmp_path):
    assert "first_frame" in read_error("alphapose", one_person(tmp_path, frame="3"), first_frame=4)
    assert "frame numbers" in read_error("alphapose", one_person(tmp_path, frame="999999999999"))
    assert read_one("alphapose", one_person(tmp_path, frame="3"), first_frame=1).frame.tolist() == [2]


def test_coordinates_beyond_all_bounds_are_refused_with_their_frame(tmp_path):
    assert "frame 12" in read_error("alphapose", one_person(tmp_path, (1e9, 1, 1), frame="12"))
    assert "pixels" in read_error("alphapose", one_person(tmp_path, (1e300, 1, 1), frame="12"))


def test_empty_files_are_clips_without_people(tmp_path):
    for format, content in (("alphapose", "{}"), ("alphapose", "[]"), ("coco", "[]")):
        clip = read_one(format, save(tmp_path / "c.json", content), frame_counts={"c": 7})
        assert (len(clip), clip.frame_count) == (0, 7)


def test_names_from_a_file_cannot_leave_the_folder(tmp_path):
    content = [result(0, 0, image_id="x/../0.jpg", idx=1)]
    assert read_one("alphapose", save(tmp_path / "c.json", content)).clip not in ("..", "")


def test_a_damaged_file_does_not_stop_the_others(tmp_path):
    save(tmp_path / "a.json", '{"1": {"0000"')
    save(tmp_path / "b.json", {"1": {"0000": {"keypoints": walking(17, 0, 0)}}})
    error, clip = read("alphapose", tmp_path)
    assert "a.json" in str(error)
    assert clip.clip == "b"
