"""What ffmpeg's log says of a recording: its time, and the make and model of what made it."""

import pytest

from pose_extract.video.metadata import Metadata

PHONE = """[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:make : x.mov':
[info]   Metadata:
[info]     major_brand     : qt
[info]     creation_time   : 2024-05-12T06:15:00.000000Z
[info]     com.apple.quicktime.creationdate: 2024-05-12T08:15:00+0200
[info]     com.apple.quicktime.make: Apple
[info]     com.apple.quicktime.model: iPhone 12
"""


@pytest.mark.parametrize(
    ("log", "told"),
    [
        (PHONE, Metadata("2024-05-12T08:15:00+02:00", "Apple iPhone 12")),
        (
            "[info]  com.android.manufacturer: HUAWEI\n[info]  com.android.model: HUAWEI P30\n",
            Metadata(None, "HUAWEI P30"),
        ),
        ("[info]    model           : EOS R6\n", Metadata(None, "EOS R6")),
        ("[info]    make            : Canon\n", Metadata(None, "Canon")),
        (
            "[info]    creation_time   : 1970-01-01T00:00:00.000000Z\n",
            Metadata(),
        ),  # a clock that was never set
        (
            "[info] Input #0, avi, from 'file:a\n make : b.avi':\n  Duration: 00:00:01.00, start: 0.0\n",
            Metadata(),
        ),
        ("", Metadata()),
    ],
)
def test_a_recording_is_told_as_far_as_the_file_says_it(log, told):
    assert Metadata.from_log(log) == told
