"""Which files `score` writes."""

from pathlib import Path

import pytest

from pipeline.outputs import Outputs
from pose_extract.errors import UsageError


def test_clips_whose_files_would_be_one_are_refused():
    into = Path("scores")
    together = Outputs(into, people=into, explain=into, events=(into,))
    together.check_clips(["cam", "cam2", "street"])
    for clips, name in (
        (["cam", "cam.people"], "cam.people.csv"),
        (["cam.windows", "cam"], "cam.windows.csv"),
        (["cam", "cam.events"], "cam.events.csv"),
        (["events", "cam"], "events.csv"),
    ):
        with pytest.raises(UsageError, match=name):
            together.check_clips(clips)
        Outputs(into, people=Path("people"), explain=Path("why"), events=(Path("events"),)).check_clips(clips)
