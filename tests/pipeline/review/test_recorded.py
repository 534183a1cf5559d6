"""When and where a video was recorded: as its file tells, and never more than that."""

import pytest

from pipeline.review.recorded import Recorded, recorded
from pose_extract.video.metadata import Metadata


@pytest.mark.parametrize(
    ("name", "at", "camera"),
    [
        ("entrance_20240512-081500.mp4", "2024-05-12T08:15:00", "entrance"),
        ("yard_2024-05-12_14-30-10.mp4", "2024-05-12T14:30:10", "yard"),
        ("NVR_ch1_main_20240512081500_20240512082000.mp4", "2024-05-12T08:15:00", "NVR_ch1_main"),
        ("20240512-081500-lobby door.ts", "2024-05-12T08:15:00", "lobby door"),
        ("20240512081500_20240512082000_door.ts", "2024-05-12T08:15:00", "door"),
        ("VID_20240512_081500.mp4", "2024-05-12T08:15:00", ""),
        ("Recording 2024.05.12 - 08.15.00", "2024-05-12T08:15:00", ""),
        ("2024-05-12 08:15:00.mp4", "2024-05-12T08:15:00", ""),
        ("door-20261129T101502-5f0c2a9e.mp4", "2026-11-29T10:15:02", "door"),
        ("cam3_20240512T081500Z.mp4", "2024-05-12T08:15:00+00:00", "cam3"),
        ("2024-05-12T08-15-00Z_cam3.mp4", "2024-05-12T08:15:00+00:00", "cam3"),
        ("2024-05-12_08h15m00s_cam3.mp4", "2024-05-12T08:15:00", "cam3"),
        ("2024-05-12_08-15-00Zurich.mp4", "2024-05-12T08:15:00", "Zurich"),  # that Z is no zone
        ("20240512_081500street.mp4", "2024-05-12T08:15:00", "street"),
    ],
)
def test_a_name_tells_the_recorders_clock_and_the_camera(name, at, camera):
    assert recorded(name) == Recorded(at, "name", camera)


@pytest.mark.parametrize(
    "name",
    ["normal_1.mp4", "cam_20240512.mp4", "a_20241312-081500.mp4", "a_20240512-256000.mp4", "1234567890123456.mp4",
     "19700101-000000.mp4", "5_2024-05-12_08-15-001.mp4", ""],
)  # fmt: skip
def test_what_is_no_date_and_time_tells_nothing(name):
    assert recorded(name) == Recorded()


def test_metadata_tell_where_the_name_does_not():
    created = "2024-05-12T08:15:00+02:00"
    told = Metadata(created, "Apple iPhone 12")
    assert recorded("normal_1.mp4", told) == Recorded(created, "metadata", "Apple iPhone 12")
    assert recorded("door_20240512-091500.mp4", told) == Recorded("2024-05-12T09:15:00", "name", "door")
    assert recorded("20240512-091500.mp4", told).camera == "Apple iPhone 12"
    assert recorded("normal_1.mp4", Metadata(device="Apple iPhone 12")) == Recorded("", "", "Apple iPhone 12")
