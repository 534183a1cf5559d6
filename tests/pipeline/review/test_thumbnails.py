"""The small pictures of the lists: of the right frame, of the right person, and never more than may be shown."""

from dataclasses import replace

import cv2
import numpy as np

from pipeline.pictures.drawing import ALARM
from pipeline.review.thresholds import NEVER, Peaks
from pipeline.review.thumbnails import SIZE, chosen_frames, write_thumbnails
from pose_extract.skeletons import COCO17
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoSource
from tests.helpers.things import clip_things, things
from tests.helpers.videos import X264, grey


def made_tracks(frames=25, size=(320, 180), fps=25.0):
    """A small person at the right, and a large one at the left."""
    frame = np.repeat(np.arange(frames, dtype=np.int32), 2)
    boxes = np.tile(np.array([[280, 20, 300, 60], [10, 10, 110, 170]], np.float32), (frames, 1))
    inside = np.random.default_rng(0).uniform(0.1, 0.9, (17, 2))
    keypoints = np.ones((len(frame), 17, 3), np.float32)
    keypoints[..., :2] = boxes[:, None, :2] + inside * (boxes[:, None, 2:] - boxes[:, None, :2])
    track = np.tile(np.array([1, 2], np.int32), frames)
    return ClipTracks("made", "coco17", fps, size, np.arange(frames) / fps, frame, track, keypoints, boxes)


def read(path):
    return cv2.imread(str(path)).astype(int)


def test_a_picture_is_that_of_its_frame(make_video, tmp_path):
    video = make_video("a.mp4", *X264, frames=25, size=(320, 180))
    tracks, people = made_tracks(), np.ones(25, np.int32)
    size, info = write_thumbnails(
        tmp_path, tracks, VideoSource(video, "video", "a"), [0, 7, 24], 3, people, COCO17
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jpg", "24.jpg", "7.jpg"]
    assert size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert info is not None
    for frame in (0, 7, 24):
        picture = read(tmp_path / f"{frame}.jpg")
        assert picture.shape == (SIZE[1], SIZE[0], 3)
        assert abs(picture.mean() - grey(frame)) < 3
    write_thumbnails(tmp_path, tracks, VideoSource(video, "video", "a"), [24, 7], 1, people, COCO17)
    assert abs(read(tmp_path / "24.jpg").mean() - grey(24)) < 3
    assert (read(tmp_path / "7.jpg").max(axis=2) > 90).any()  # drawn


def test_without_a_video_the_person_whom_it_is_about_is_drawn(tmp_path):
    tracks, people = made_tracks(), np.zeros(25, np.int32)
    people[:2] = 1, 2
    for skeleton in (COCO17, None):
        write_thumbnails(tmp_path, tracks, None, [0, 1, 2], 9, people, skeleton)
        inked = [(read(tmp_path / f"{frame}.jpg").max(axis=2) > 90).mean() for frame in (0, 1, 2)]
        assert (min(inked) > 0.01) == (skeleton is not None)
    # As large as they can be shown: the small person's 40 pixels fill more than a quarter of the height.
    write_thumbnails(tmp_path, tracks, None, [0, 2], 9, people, COCO17)
    rows = [
        np.flatnonzero((read(tmp_path / f"{f}.jpg").max(axis=2) > 90)[:, 60:140].any(axis=1)) for f in (0,)
    ]
    assert np.ptp(rows[0]) > SIZE[1] / 2


def test_a_lost_video_and_a_person_at_the_edge_do_no_harm(tmp_path):
    tracks, people = made_tracks(), np.full(25, 9, np.int32)  # nobody of that number
    lost = VideoSource(tmp_path / "lost.mp4", "video", "a")
    _, info = write_thumbnails(tmp_path, tracks, lost, [3], 9, people, COCO17)
    assert info is None
    people[:] = 1
    tracks.boxes[:] = (-900, -900, -800, -100)
    write_thumbnails(tmp_path, tracks, None, [3], 9, people, COCO17)
    tracks.boxes[:] = (-900, -900, 8000, 9000)
    write_thumbnails(tmp_path, tracks, None, [3], 9, people, COCO17)
    assert read(tmp_path / "3.jpg").shape == (SIZE[1], SIZE[0], 3)


def test_the_worst_frame_and_the_events_at_the_models_threshold_come_first():
    last = np.array([40, 10, 60, 41])
    peaks = Peaks(np.array([5, 50, 500, 700]), last, np.full(4, NEVER))
    assert chosen_frames(peaks, 40, 500) == ([500, 700, 5, 50], 3)
    assert chosen_frames(peaks, 70, 50) == ([50, 500, 700, 5], 1)
    many = Peaks(np.arange(100), np.arange(100), np.full(100, NEVER))
    chosen, pictured = chosen_frames(many, 0, 99)
    assert chosen == list(range(99, 99 - len(chosen), -1))
    assert pictured == len(chosen) < 50


def test_the_thing_that_an_event_is_about_is_shown_with_its_box(tmp_path):
    seen = things(2, ids=[4], boxes=[[200, 100, 260, 140]])
    tracks = replace(made_tracks(), things=clip_things(25, 1, f3=seen, f4=seen))
    about = np.zeros(25, np.int32)
    about[3] = 4
    write_thumbnails(tmp_path, tracks, None, [3, 4], 9, np.ones(25, np.int32), COCO17, about)
    red = [np.abs(read(tmp_path / f"{f}.jpg") - ALARM).max(axis=2) < 60 for f in (3, 4)]
    columns = np.nonzero(red[0])[1]
    assert columns.min() < SIZE[0] / 3 < 2 * SIZE[0] / 3 < columns.max()  # it fills the middle
    assert not red[1].any()  # the other is about somebody
