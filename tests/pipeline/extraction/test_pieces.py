"""Where a long video is cut."""

import numpy as np
import pytest

from pipeline.extraction.pieces import cut

FPS = 10


def test_pieces_begin_at_holes_and_where_the_rhythm_allows():
    time_s = np.arange(4000) / FPS
    plain = cut(time_s, FPS, 100.0, 7)
    assert [piece.begins_s for piece in plain] == [0.0, 99.95, 199.95, 299.95]
    assert [piece.ends_s for piece in plain] == [*(piece.begins_s for piece in plain[1:]), np.inf]
    for piece in plain[1:]:
        frame = round(piece.looked_from_s * FPS + 0.5)
        assert frame % 7 == 0
        assert 50 <= piece.begins_s - piece.looked_from_s < 50.7
        assert piece.frames == np.count_nonzero((time_s > piece.looked_from_s) & (time_s < piece.ends_s))
    holed = np.where(time_s < 120, time_s, time_s + 60)
    _, second, third, *_ = cut(holed, FPS, 100.0, 7)
    assert third.begins_s == third.looked_from_s == pytest.approx(150, abs=0.1)
    assert second.ends_s == third.begins_s
    long_hole = np.where(time_s < 120, time_s, time_s + 1e5)
    assert len(cut(long_hole, FPS, 100.0, 7)) == 5
    assert len(cut(time_s[:100], FPS, 100.0, 7)) == 1
