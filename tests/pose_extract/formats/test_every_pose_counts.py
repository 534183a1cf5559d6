"""Of every layout, whatever its ids, joints and picture names: poses of the file = poses kept + poses reported."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_extract.errors import FormatError
from pose_extract.formats.base import import_clips
from pose_extract.formats.report import ReadReport
from tests.helpers.pose_layouts import FPS, LAYOUTS, SIZE, Person

FRAMES = 9
ANY_ID = st.one_of(
    st.integers(-2, 4), st.none(), st.floats(-1, 3), st.booleans(), st.just(2**40),
    st.sampled_from(["a", "", "7", [], [[2.0]], [0, 1]]),
)  # fmt: skip
SCHEMES = ["{f:d}", "{f:06d}.jpg", "img{f:04d}_640x480.png", "cam2_{f:d}.jpg", "{f:05d}_cam2.jpg", "C:\\a\\{f:d}.jpg",
           "clips/01_0014/{f:06d}.jpg"]  # fmt: skip
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@st.composite
def people(draw, absent):
    """A pattern of ids (their own all along, any in each frame, the same for all) and people who have such."""
    pattern = draw(st.sampled_from(["own", "own but one", "any", "all"]))
    same = draw(ANY_ID)
    joints = st.sampled_from(["whole", "whole", "half", "null", "none", *["absent"] * absent])
    found = []
    for place in range(draw(st.integers(1, 3))):
        for frame in range(FRAMES - 1):
            own = {"own": place + 1, "own but one": None if frame == 3 else place, "all": same}
            identity = draw(ANY_ID) if pattern == "any" else own[pattern]
            found.append(Person(frame, place, identity, draw(joints)))
    return pattern, [Person(0, 0, 1), *found[1:]]


@pytest.mark.parametrize("name", LAYOUTS)
@EXAMPLES
@given(data=st.data())
def test_poses_of_the_file_are_kept_or_reported(tmp_path, name, data):
    layout = LAYOUTS[name]
    pattern, found = data.draw(people(layout.absent))
    if layout.one_a_frame:  # its keys can hold no id twice
        found = list({(p.frame, str(p.id)[:9]): p for p in found}.values())
    folder = tmp_path / "files"
    shutil.rmtree(folder, ignore_errors=True)
    layout.write(folder, found, FRAMES, data.draw(st.sampled_from(SCHEMES)) if layout.schemes else "{f:d}")
    items = list(import_clips(layout.format, folder, FPS, SIZE, trust_pickle=layout.format == "chad"))
    clips = [item for item in items if not isinstance(item, FormatError)]
    assert len(clips) == len(items), items
    reports = [clip.provenance["import"]["report"] for clip in clips]
    total = ReadReport.total(reports)
    assert total.poses == len(found)
    assert total.poses == total.kept + sum(total.left_out.values())
    assert total.kept == sum(map(len, clips))
    assert all(count > 0 for report in reports for count in report["left_out"].values())
    assert 0 <= total.ids_refused <= total.poses
    assert 0 <= total.ids_made <= total.kept
    assert pattern != "own" or total.ids_made == 0
    for clip in clips:
        assert len(set(zip(clip.frame.tolist(), clip.track.tolist(), strict=True))) == len(clip)
