"""Whatever a file looks like: every pose that is read is kept, or counted as left out."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_extract.errors import FormatError
from pose_extract.formats.identities import believed
from pose_extract.formats.picture_names import read_names
from pose_extract.formats.report import ReadReport
from tests.helpers.format_cases import read
from tests.helpers.pose_layouts import LAYOUTS, Person

PEOPLE, FRAMES = 3, 48  # 144 poses, as in the case that was found


def pose(frame, person):
    """Joints of somebody who walks, apart from the others."""
    x = 60 + 180 * person + 2 * frame + np.arange(17) % 5 * 6
    y = 60 + np.linspace(0, 150, 17)
    return np.stack([x, y, np.full(17, 0.9)], 1).ravel().round(3).tolist()


def results(key, identity, name="{:06d}.jpg"):
    """Everybody in every frame; ``identity(person, frame)`` is what the file calls them."""
    return [
        {
            "image_id": name.format(f),
            "category_id": 1,
            "keypoints": pose(f, p),
            "score": 1.0,
            key: identity(p, f),
        }
        for f in range(FRAMES)
        for p in range(PEOPLE)
    ]


def counted(clips):
    """The count of all clips, which must come out even."""
    report = ReadReport.total(clip.provenance["import"]["report"] for clip in clips)
    assert report.poses == report.kept + sum(report.left_out.values())
    assert report.kept == sum(map(len, clips))
    return report


def load(tmp_path, content, format="alphapose"):
    (tmp_path / "clip.json").write_text(json.dumps(content))
    return list(read(format, tmp_path))


NO_IDS = {
    "0": lambda p, f: 0,
    "[0.0]": lambda p, f: [0.0],
    "[[0.0],[0.0]]": lambda p, f: [[0.0], [0.0]],
    "-1": lambda p, f: -1,
    "null": lambda p, f: None,
}


@pytest.mark.parametrize("name", NO_IDS)
@pytest.mark.parametrize(
    ("format", "key"), [("alphapose", "idx"), ("coco", "track_id"), ("coco", "tracker_id")]
)
def test_what_is_no_id_is_followed_and_nothing_is_lost(tmp_path, format, key, name):
    clips = load(tmp_path, results(key, NO_IDS[name]), format)
    report = counted(clips)
    assert (report.poses, report.kept, report.ids_made) == (144, 144, 144)
    assert clips[0].num_tracks == PEOPLE
    assert report.lines()[0].startswith("144 poses read, 0 left out; ids made by following")


def test_one_missing_id_costs_the_others_nothing(tmp_path):
    clips = load(tmp_path, results("track_id", lambda p, f: None if (p, f) == (1, 7) else p + 1), "coco")
    report = counted(clips)
    assert report.poses == 144
    assert report.kept >= 143
    assert {1, 2, 3} <= set(clips[0].track.tolist())


@pytest.mark.parametrize("key", ["track_id", "tracker_id", "person_id", "idx"])
def test_whole_floats_are_ids_by_any_name(tmp_path, key):
    [clip] = load(tmp_path, results(key, lambda p, f: float(p + 1) if f % 2 else p + 1), "coco")
    assert sorted(set(clip.track.tolist())) == [1, 2, 3]
    assert counted([clip]).ids_made == 0


def test_keys_that_look_like_ids_and_are_not_read_are_named(tmp_path, caplog):
    load(tmp_path, results("subject_id", lambda p, f: p), "coco")
    assert "subject_id" in caplog.text


@pytest.mark.parametrize(
    ("name", "clips"),
    [
        ("{:06d}_640x480.jpg", 1), ("entrance_01.mp4_{:06d}.jpg", 1), ("frames\\{:04d}.png", 1), ("{:d}", 1),
        ("{:06d}_cam2.jpg", 1), ("C:\\clips\\a\\{:d}.jpg", 1),
    ],
)  # fmt: skip
def test_the_number_that_varies_is_the_frames(tmp_path, name, clips):
    found = load(tmp_path, results("idx", lambda p, f: p + 1, name))
    assert len(found) == clips
    assert found[0].frame_count == FRAMES
    assert counted(found).kept == 144


def test_two_cameras_in_one_file_are_two_clips(tmp_path):
    both = [r for cam in ("cam1", "cam2") for r in results("idx", lambda p, f: p + 1, cam + "_{:04d}.jpg")]
    found = load(tmp_path, both)
    assert sorted(clip.clip for clip in found) == ["cam1", "cam2"]
    assert [len(clip) for clip in found] == [144, 144]


def test_pictures_that_would_fall_together_are_an_error(tmp_path):
    content = [*results("idx", lambda p, f: p, "{:04d}.jpg"), *results("idx", lambda p, f: p, "{:06d}.jpg")]
    (found,) = load(tmp_path, content)
    assert isinstance(found, FormatError)
    assert "would both be frame" in str(found)


SCHEMES = [
    "{f:d}",
    "{f:06d}",
    "img{f:04d}",
    "{f:05d}_640x480",
    "v12_cam3_{f:d}",
    "{f:d}-keypoints",
    "2024_{f:06d}_b7",
]


@settings(deadline=None)
@given(
    st.sampled_from(SCHEMES),
    st.integers(0, 10_000),
    st.integers(2, 60),
    st.lists(st.sampled_from(["", "a/", "b/", "c01/", "c02\\", "x/y/"]), min_size=1, max_size=3, unique=True),
    st.sampled_from([".jpg", ".PNG", ""]),
    st.randoms(use_true_random=False),
)
def test_any_numbering_scheme_is_read(scheme, start, count, folders, ending, random):
    names = [folder + scheme.format(f=start + i) + ending for folder in folders for i in range(count)]
    random.shuffle(names)
    found = read_names(names, "file")
    assert len({(p.clip, p.frame) for p in found}) == len(names)
    assert len({p.clip for p in found}) == len(folders)
    assert {p.frame for p in found} == set(range(start, start + count))


ANY_ID = st.one_of(
    st.none(), st.integers(-3, 6), st.floats(-2, 5), st.sampled_from(["a", "", "7"]), st.lists(st.integers(0, 3)),
    st.booleans(),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 5), ANY_ID), max_size=40))
def test_ids_that_are_believed_are_never_twice_in_a_frame(rows):
    frames = np.array([frame for frame, _ in rows], np.int64)
    people = believed(frames, [person for _, person in rows])
    known = [(f, p) for f, p in zip(frames.tolist(), people, strict=True) if p is not None]
    assert len(set(known)) == len(known)
    assert all(not (isinstance(p, int) and p < 0) for p in people)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_no_pose_is_lost_whatever_the_ids(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ids")
    ids = {(p, f): data.draw(ANY_ID) for p in range(2) for f in range(6)}
    content = [
        {"image_id": f"{f}.jpg", "keypoints": pose(f, p), "score": 1.0, "idx": ids[p, f]}
        for p, f in sorted(ids)
    ]
    assert counted(load(folder, content)).poses == 12


def test_coordinates_that_are_shares_are_an_error_that_names_the_option(tmp_path):
    content = results("idx", lambda p, f: p)
    for person in content:
        joints = np.array(person["keypoints"]).reshape(-1, 3) / [640, 360, 1]
        person["keypoints"] = joints.ravel().tolist()
    (error,) = load(tmp_path, content)
    assert "--normalised" in str(error)
    [clip] = read("alphapose", tmp_path, normalised=True)
    assert counted([clip]).kept == 144
    assert clip.keypoints[..., 0].max() > 100


def test_joints_far_outside_the_stated_frame_are_an_error_that_gives_the_share(tmp_path):
    content = results("idx", lambda p, f: p)
    for person in content:
        person["keypoints"] = [3 * v if i % 3 < 2 else v for i, v in enumerate(person["keypoints"])]
    (error,) = load(tmp_path, content)
    assert "lie outside the frame" in str(error)
    assert "%" in str(error)


def people_of(frame, key):
    return [{key: pose(frame, p), "scores": 1.0, "idx": p + 1} for p in range(PEOPLE)]


@pytest.mark.parametrize(
    "entry",
    [
        lambda f: people_of(f, "keypoints"),
        lambda f: {"version": "AlphaPose v0.3", "bodies": people_of(f, "joints")},
        lambda f: {"version": 0.1, "people": people_of(f, "pose_keypoints_2d")},
    ],
    ids=["forvis", "cmu", "open"],
)
def test_alphapose_layouts_of_pictures(tmp_path, entry):
    content = {f"{f}.jpg": entry(f) if f < FRAMES else [] if isinstance(entry(0), list) else {"people": []}
               for f in range(FRAMES + 5)}  # fmt: skip
    [clip] = load(tmp_path, content)
    assert (len(clip), clip.frame_count, clip.num_tracks) == (144, FRAMES + 5, PEOPLE)


def instances(frame):
    return [
        {
            "keypoints": np.array(pose(frame, p)).reshape(-1, 3)[:, :2].tolist(),
            "keypoint_scores": [0.9] * 17,
            "bbox": [[0.0, 0.0, 50.0, 80.0]],
        }
        for p in range(PEOPLE)
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_mmposes_video_json_counted_from_0_or_1_with_empty_frames_at_the_end(tmp_path, first):
    content = [{"frame_id": first + f, "instances": instances(f) if f < 40 else []} for f in range(FRAMES)]
    [clip] = load(tmp_path, {"meta_info": {}, "instance_info": content}, "coco")
    assert (clip.frame_count, int(clip.frame.min()), int(clip.frame.max())) == (FRAMES, 0, 39)
    assert counted([clip]).kept == 40 * PEOPLE


def test_mmposes_folder_of_a_file_a_picture_is_one_clip(tmp_path):
    for f in range(12):
        people = instances(f) if f < 10 else []
        (tmp_path / f"{f:06d}.json").write_text(json.dumps(people))
    [clip] = read("coco", tmp_path)
    assert (clip.frame_count, len(clip)) == (12, 30)


def test_openpose_files_whose_names_end_with_the_camera_are_one_clip(tmp_path):
    for f in range(20):
        people = [{"person_id": [-1], "pose_keypoints_2d": (np.array(pose(f, 0)).tolist() + [0.0] * 24)}]
        (tmp_path / f"{f:06d}_cam2_keypoints.json").write_text(json.dumps({"people": people}))
    [clip] = read("openpose", tmp_path)
    assert (clip.frame_count, counted([clip]).poses) == (20, 20)


def test_errors_show_whole_words_and_no_more_than_fits(tmp_path):
    content = [{"image_id": "entrance", "keypoints": pose(0, 0)}]
    (error,) = load(tmp_path, content)
    assert "'entrance'" in str(error)
    (error,) = load(tmp_path, [{"image_id": "x" * 100_000, "keypoints": pose(0, 0)}])
    assert len(str(error)) < 500


def a_set(tmp_path, images, annotations):
    (tmp_path / "set.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    return list(read("coco", tmp_path))


def a_picture(number, name, **more):
    return {"id": number, "file_name": name, "width": 640, "height": 360, **more}


def test_annotations_without_joints_and_crowds_are_counted(tmp_path):
    boxes = [
        {"image_id": 1, "keypoints": []},
        {"image_id": 1},
        {"image_id": 1, "keypoints": pose(0, 1), "iscrowd": 1},
    ]
    [clip] = a_set(tmp_path, [a_picture(1, "0.jpg")], [{"image_id": 1, "keypoints": pose(0, 0)}, *boxes])
    report = counted([clip])
    assert (report.poses, report.kept) == (4, 1)
    assert report.left_out == {"without joints": 2, "crowds": 1}


def test_faces_and_hands_without_a_body_are_counted(tmp_path):
    body = [*pose(0, 0), *[0.0] * 24]
    for f in range(6):
        people = [{"pose_keypoints_2d": body}, {"pose_keypoints_2d": [], "face_keypoints_2d": [1, 2, 0.5]}]
        (tmp_path / f"a_{f:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    report = counted(list(read("openpose", tmp_path)))
    assert (report.poses, report.left_out) == (12, {"without joints": 6})


def test_stills_of_one_name_in_two_folders_are_two_clips(tmp_path):
    names = ["a/x/1.jpg", "a/x/2.jpg", "b/x/1.jpg", "b/x/2.jpg"]
    images = [a_picture(i, name, width=640 - i) for i, name in enumerate(names)]
    clips = a_set(tmp_path, images, [{"image_id": i, "keypoints": pose(0, 0)} for i in range(4)])
    assert len({clip.clip for clip in clips}) == 4
    assert counted(clips).kept == 4


def test_frames_of_a_data_set_are_counted_by_the_number_that_varies(tmp_path):
    images = [a_picture(i, f"hall/{i:06d}_640x480.jpg") for i in range(20)]
    people = [{"image_id": i, "track_id": 1, "keypoints": pose(i, 0)} for i in range(20)]
    [clip] = a_set(tmp_path, images, people)
    assert (clip.clip, clip.frame_count, clip.frame.tolist()) == ("hall", 20, list(range(20)))


def test_two_pictures_of_one_id_are_an_error(tmp_path):
    (error,) = a_set(tmp_path, [a_picture(1, "0.jpg"), a_picture(1, "1.jpg")], [])
    assert "the id 1 is that of another image" in str(error)


def test_results_among_mmposes_predictions_are_an_error(tmp_path):
    content = [
        {"frame_id": 0, "instances": instances(0)},
        {"image_id": 1, "keypoints": pose(1, 0), "score": 1.0},
    ]
    (error,) = load(tmp_path, content, "coco")
    assert "found both" in str(error)


def test_bodies_of_one_id_in_a_frame_are_followed_in_space(tmp_path):
    people = [Person(f, p, 7) for f in range(12) for p in range(2)]
    LAYOUTS["ntu"].write(tmp_path, people, 12, "")
    [clip] = read("ntu", tmp_path)
    report = counted([clip])
    assert (report.kept, report.ids_made, clip.num_tracks) == (24, 24, 2)
    assert clip.keypoints.shape == (24, 25, 4)
    joint = clip.keypoints[clip.track == clip.track[0]][:, 0, 0]
    np.testing.assert_allclose(np.diff(joint), 0.02, atol=1e-5)
