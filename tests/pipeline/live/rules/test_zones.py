import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path

from pipeline.live.rules.settings import RuleSettings, ZoneSettings
from pipeline.live.rules.zones import Zones
from pose_extract.errors import ConfigError

SIZE = (200, 100)
LEFT = ZoneSettings("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
STEPS = ZoneSettings("steps", ((0.1, 0.5), (0.3, 0.5), (0.3, 1.0), (0.1, 1.0)), min_percentile=99.5)
TREE = ZoneSettings("tree", ((0.0, 0.0), (0.1, 0.0), (0.1, 1.0), (0.0, 1.0)), mode="ignore")


def at(x: float, y: float) -> list[float]:
    """A box whose owner's feet are there, in shares of the picture."""
    return [x * SIZE[0] - 5, y * SIZE[1] - 30, x * SIZE[0] + 5, y * SIZE[1]]


def names(zones: list[ZoneSettings], *boxes: list[float]) -> list[tuple[bool, str | None]]:
    watched, _, found = Zones(RuleSettings(tuple(zones))).place(np.array(boxes), SIZE)
    return list(zip(watched.tolist(), found, strict=True))


def test_without_zones_everybody_counts():
    assert names([], at(0.1, 0.1), [np.nan] * 4) == [(True, None), (True, None)]


def test_only_people_in_a_zone_to_watch_count():
    assert names([LEFT], at(0.25, 0.5), at(0.75, 0.5)) == [(True, "left"), (False, None)]


def test_people_in_a_zone_to_ignore_do_not_count_whatever_else_is_there():
    assert names([TREE], at(0.05, 0.5), at(0.5, 0.5)) == [(False, None), (True, None)]
    assert names([LEFT, TREE], at(0.05, 0.5), at(0.3, 0.5)) == [(False, None), (True, "left")]


def test_of_zones_within_each_other_the_smaller_one_counts():
    for zones in ([LEFT, STEPS], [STEPS, LEFT]):
        assert names(zones, at(0.2, 0.8), at(0.2, 0.2)) == [(True, "steps"), (True, "left")]


def test_where_the_feet_are_decides():
    assert names([STEPS], [30, 0, 50, 80], [30, 0, 50, 40]) == [(True, "steps"), (False, None)]


def test_who_reaches_out_of_the_picture_stands_at_its_edge():
    assert names([LEFT], [20, 50, 60, 130]) == [(True, "left")]


def test_who_has_no_box_is_in_no_zone():
    assert names([LEFT], [np.nan] * 4) == [(False, None)]
    assert names([TREE], [np.nan] * 4) == [(True, None)]


def test_the_percentile_that_a_zone_asks_for():
    zones = Zones(RuleSettings((LEFT, STEPS), min_percentile=98.0))
    boxes = np.array([at(0.2, 0.8), at(0.2, 0.8), at(0.4, 0.2), at(0.4, 0.2), at(0.4, 0.2)])
    percentiles = np.array([99.4, 99.5, 97.9, 98.0, np.nan])
    assert zones.counting(boxes, percentiles, SIZE).tolist() == [False, True, False, True, False]


def test_nobody_is_no_problem():
    watched, least, found = Zones(RuleSettings((LEFT,))).place(np.zeros((0, 4)), SIZE)
    assert (len(watched), len(least), found) == (0, 0, [])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_inside_is_what_matplotlib_says_too(corners, point):
    hull = np.array(corners)
    hull = hull[
        np.argsort(np.arctan2(*(hull - hull.mean(axis=0)).T))
    ]  # star-shaped: it does not cross itself
    polygon = tuple((float(x), float(y)) for x, y in hull.astype(np.float32))
    try:
        zone = ZoneSettings("a", polygon)
    except ConfigError:
        return  # no area
    path, found = Path(polygon), names([zone], at(*point))[0][0]
    if path.contains_point(point, radius=1e-4) == path.contains_point(point, radius=-1e-4):  # not at the edge
        assert found == path.contains_point(point)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_corners_of_the_picture_lie_in_a_zone_that_fills_it(share):
    whole = ZoneSettings("all", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))
    assert names([whole], at(share, share)) == [(True, "all")]
