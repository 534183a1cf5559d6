import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.live.events.record import EventPerson, EventThing, LiveEvent
from pipeline.live.recording.recorder import Recorder
from pipeline.live.recording.settings import RecordingSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError
from pose_extract.video import VideoReader
from tests.pipeline.live.helpers import event, wait_for
from tests.pipeline.live.recording.people import COCO, at, detail, nobody, person, picture

RATE = 10
EVENT = event(1, start_time=at(4.0), people=(EventPerson(7, tuple(map(float, person(4).boxes[0])), 99.9),))
END = replace(EVENT, type="end", end_time=at(6.0), end_reason="quiet")


def watch(recorder: Recorder, begin: float, end: float, camera: str = "door") -> None:
    for i in range(round(begin * RATE), round(end * RATE)):
        recorder.see(camera, at(i / RATE), picture(i / RATE), person(i / RATE), COCO)


def recorder_in(folder: Path, **values: object) -> Recorder:
    return Recorder(
        build(RecordingSettings, {"before_s": 2.0, "after_s": 1.0, **values}), folder, lambda _: 2**40
    )


def drawn(recorder: Recorder, of: LiveEvent, when: datetime) -> str | None:
    recorder.draw(of, when)
    return recorder.picture_of(of)


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    with VideoReader(path) as reader:
        return [(frame.time_s, frame.image) for frame in reader]


def written(recorder: Recorder, count: int = 1) -> None:
    def done() -> bool:
        recorder.lost("nobody")
        return recorder.counts.clips + recorder.counts.failed >= count

    wait_for(done, 60)


def test_a_clip_begins_before_its_event_and_ends_after_it(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    watch(recorder, 4.5, 6.2)
    path = recorder.end_clip(END)
    watch(recorder, 6.2, 9)
    written(recorder)
    assert path == str(tmp_path / "clips" / "2026-11-29" / "door-1.mp4")
    found = frames(Path(path))
    assert len(found) == 51  # 2.0 to 7.0 s
    assert found[-1][0] == pytest.approx(5.0, abs=0.01)
    for index, seconds in ((0, 2.0), (30, 5.0), (50, 7.0)):
        assert detail(found[index][1], seconds) > 60  # the person is where they were then
    assert recorder.counts.dropped == 0


@pytest.mark.parametrize("privacy", ["blur", "skeletons"])
def test_no_clip_and_no_picture_shows_what_it_must_not(tmp_path, privacy):
    recorder = recorder_in(tmp_path, privacy=privacy)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    made = drawn(recorder, EVENT, at(4.0))
    watch(recorder, 4.5, 8)
    recorder.end_clip(END)
    watch(recorder, 8, 8.2)
    written(recorder)
    for index, (_, image) in enumerate(frames(tmp_path / "clips" / "2026-11-29" / "door-1.mp4")):
        assert detail(image, 2 + index / RATE) < 20
    ring = recorder._cameras["door"].ring
    assert all((m.jpeg is None) == (privacy == "skeletons") for m in ring.since(at(0)))
    assert detail(cv2.imread(made), 4.0) < 60  # bones are drawn over it


def test_a_picture_shows_the_worst_frame_with_the_person_in_red(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 6)
    image = cv2.imread(drawn(recorder, EVENT, at(4.02))).astype(int)
    x1, y1, x2, _ = person(4.0).boxes[0].astype(int)
    edge = image[y1 - 2 : y1 + 3, x1:x2].reshape(-1, 3)
    assert ((edge[:, 2] > 180) & (edge[:, 0] < 90)).mean() > 0.2


def test_of_a_long_event_the_beginning_is_kept_and_its_end_names_the_clip(tmp_path):
    recorder = recorder_in(tmp_path, most_clip_s=3.0)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    watch(recorder, 4.5, 20)
    written(recorder)
    path = recorder.end_clip(replace(END, end_time=at(20)))
    assert path is not None
    assert frames(Path(path))[-1][0] == pytest.approx(3.0, abs=0.01)


def test_two_events_at_once_and_two_cameras_have_clips_of_their_own(tmp_path):
    recorder = recorder_in(tmp_path)
    other = replace(EVENT, id="door-2", start_time=at(5.0))
    yard = replace(EVENT, id="yard-1", camera="yard")
    for begin, end in ((0.0, 4.5), (4.5, 5.5)):
        watch(recorder, begin, end)
        watch(recorder, begin, end, "yard")
        recorder.begin_clip(EVENT)
        recorder.begin_clip(yard)
    recorder.begin_clip(other)
    for each in (EVENT, other, yard):
        recorder.end_clip(replace(END, id=each.id, camera=each.camera))
    for camera in ("door", "yard"):
        watch(recorder, 5.5, 8, camera)
    written(recorder, 3)
    found = {path.stem: len(frames(path)) for path in (tmp_path / "clips" / "2026-11-29").iterdir()}
    assert found == {"door-1": 51, "door-2": 41, "yard-1": 51}


def test_a_camera_that_is_lost_ends_its_clips(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    recorder.lost("door")
    written(recorder)
    assert len(frames(Path(recorder.end_clip(replace(END, end_reason="lost"))))) == 25


def test_a_clock_that_is_set_back_ends_a_clip_and_frees_its_slot(tmp_path):
    recorder = recorder_in(tmp_path, most_clips_at_once=1)
    watch(recorder, 0, 5)
    recorder.begin_clip(EVENT)
    for seconds in (4.9, 4.0, 5.0):  # frames that are a little late are left out
        recorder.see("door", at(seconds), picture(seconds), nobody(), COCO)
    watch(recorder, -60, -55)
    written(recorder)
    path = tmp_path / "clips" / "2026-11-29" / "door-1.mp4"
    assert recorder.end_clip(END) == str(path)
    assert len(frames(path)) == 31
    again = replace(EVENT, id="door-2", start_time=at(-56))
    recorder.begin_clip(again)
    recorder.end_clip(replace(END, id="door-2", end_time=at(-55)))
    watch(recorder, -55, -53)
    written(recorder, 2)
    assert (recorder.counts.clips, recorder.counts.skipped) == (2, 0)


def test_closing_finishes_clips_and_leaves_nothing_half_written(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    recorder.close(30)
    assert recorder.counts.clips == 1
    assert len(frames(tmp_path / "clips" / "2026-11-29" / "door-1.mp4")) == 25
    assert not list(tmp_path.rglob(".*"))
    assert not [t for t in threading.enumerate() if t.name.startswith("clip-")]


def test_a_camera_that_changes_its_size_keeps_its_clip(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    for i in range(45, 60):
        recorder.see("door", at(i / 10), np.zeros((480, 640, 3), np.uint8), nobody(), COCO)
    recorder.close(30)
    found = frames(tmp_path / "clips" / "2026-11-29" / "door-1.mp4")
    assert len(found) == 40
    assert found[-1][1].shape == (240, 320, 3)
    assert found[-1][1].mean() < 5


def test_too_little_room_stops_clips_not_pictures(tmp_path, caplog):
    recorder = Recorder(RecordingSettings(), tmp_path, lambda _: 10 * 2**20)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    recorder.begin_clip(replace(EVENT, id="door-2"))
    assert recorder.counts.skipped == 2
    assert caplog.text.count("no clips are written") == 1
    assert drawn(recorder, EVENT, at(4)) is not None
    assert recorder.end_clip(END) is None


def test_a_place_that_cannot_be_written_gives_an_event_without_picture_and_clip(tmp_path):
    (tmp_path / "pictures").touch()
    (tmp_path / "clips").touch()
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5)
    assert drawn(recorder, EVENT, at(4)) is None
    recorder.begin_clip(EVENT)
    watch(recorder, 4.5, 5)
    wait_for(lambda: recorder.see("door", at(6), picture(6), nobody(), COCO) or recorder.counts.failed == 2)
    assert recorder.end_clip(END) is None


def test_more_clips_at_once_than_allowed_are_left_out_and_counted(tmp_path):
    recorder = recorder_in(tmp_path, most_clips_at_once=1)
    watch(recorder, 0, 4.5)
    recorder.begin_clip(EVENT)
    recorder.begin_clip(replace(EVENT, id="door-2"))
    recorder.close(30)
    assert (recorder.counts.clips, recorder.counts.skipped) == (1, 1)


def test_what_is_turned_off_is_not_made(tmp_path):
    recorder = recorder_in(tmp_path, pictures=False, clips=False)
    watch(recorder, 0, 5)
    recorder.begin_clip(EVENT)
    assert drawn(recorder, EVENT, at(4)) is None
    assert recorder.end_clip(END) is None
    recorder.close(5)
    assert not list(tmp_path.iterdir())
    assert not recorder._cameras


def test_an_id_of_any_signs_stays_within_its_folder(tmp_path):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 5)
    made = drawn(recorder, replace(EVENT, id="../../a:b/c"), at(4))
    assert Path(made).resolve().parent == (tmp_path / "pictures" / "2026-11-29").resolve()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"privacy": "skeleton"}, "did you mean 'skeletons'"),
        ({"before_s": -1}, "recording.before_s"),
        ({"buffer_mib": 0.5}, "recording.buffer_mib"),
        ({"most_clips_at_once": 0}, "recording.most_clips_at_once"),
    ],
)
def test_settings_out_of_range_are_told(values, said):
    with pytest.raises(ConfigError, match=said):
        build(RecordingSettings, values)


@pytest.mark.parametrize("privacy", ["none", "skeletons"])
def test_a_picture_shows_the_things_that_an_event_is_about(tmp_path, privacy):
    recorder = recorder_in(tmp_path, privacy=privacy)
    watch(recorder, 0, 6)
    about = replace(EVENT, people=(), things=(EventThing(3, "car", (180.0, 150.0, 300.0, 220.0)),))
    image = cv2.imread(drawn(recorder, about, at(4.02))).astype(int)
    red = (image[..., 2] > 180) & (image[..., 0] < 90) & (image[..., 1] < 90)
    rows, columns = np.nonzero(red[155:])
    assert (columns.min(), columns.max()) == pytest.approx((180, 300), abs=4)
    assert rows.max() + 155 == pytest.approx(220, abs=4)


def test_a_frame_that_cannot_be_compressed_costs_itself_only(tmp_path, caplog):
    recorder = recorder_in(tmp_path)
    recorder.see("door", at(3.8), np.zeros((0, 0, 3), np.uint8), nobody(), COCO)
    watch(recorder, 3.9, 5.0)
    assert "could not be compressed" in caplog.text
    assert drawn(recorder, EVENT, at(4.2)) is not None


def test_a_last_frame_that_cannot_be_compressed_does_not_keep_the_recorder_open(tmp_path, caplog):
    before = threading.enumerate()
    recorder = recorder_in(tmp_path)
    watch(recorder, 3.0, 3.5)
    recorder.see("door", at(3.8), np.zeros((0, 0, 3), np.uint8), nobody(), COCO)
    recorder.close(1.0)
    assert "could not be compressed" in caplog.text
    assert not [thread for thread in threading.enumerate() if thread not in before]
