from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from pose_extract.errors import ConfigError
from pose_extract.video import VideoSettings
from pose_extract.video.decoder import Clock, DamageLog, Decoder, GapWatch
from pose_extract.video.resampling import Pace
from tests.helpers.videos import KEYED


def test_missing_frames_are_damage_only_in_a_video_of_steady_rate():
    steady, varying = GapWatch(25), GapWatch(25)
    gaps = [steady.is_gap(n / 25, (n + 1) / 25) for n in range(50)]
    assert not any(gaps)
    assert steady.is_gap(2.0, 2.2)
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 200))
    assert not any(varying.is_gap(a, b) for a, b in itertools.pairwise(times))


def test_damages_close_together_are_one_entry_and_their_number_is_bounded():
    log = DamageLog()
    for n in range(50):
        log.add(3.0 + n / 100, "bad block")
    assert [(d.time_s, d.count) for d in log.entries()] == [(3.0, 50)]
    for n in range(5000):
        log.add(10.0 + 2 * n, "bad block")
    assert len(log.entries()) == 1000
    assert sum(d.count for d in log.entries()) == 5050


def test_times_rise_even_where_the_containers_do_not():
    clock = Clock(fps=25)
    clock.set_time_base(Fraction(1, 1000))
    ticks = [500, 540, 540, 530, None, 5000, 0, 40]  # doubled, backwards, none, and the clock set back
    times = [clock.tick(pts) for pts in ticks]
    assert times[0] == 0.0
    assert times[1] == pytest.approx(0.04)
    assert np.all(np.diff(times) > 0)
    assert times[5] == pytest.approx(4.5)
    assert times[7] - times[6] == pytest.approx(0.04)
    assert clock.began_s == 0.5  # by the container's clock, whatever was set back since


@pytest.mark.parametrize(
    "settings", [{"fps": 0}, {"fps": -1}, {"fps": 5000}, {"max_side": 0}, {"max_side": 100_000}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="video"):
        VideoSettings(**settings)


def test_what_ffmpeg_says_of_its_own_output_is_no_damage_even_in_a_pictures_line(make_video):
    log = DamageLog()
    decoder = Decoder(make_video("a.mp4", *KEYED), (64, 48), 25, False, log)
    decoder.close()
    decoder._take("[info] Stream mapping:\n")
    picture = "[info] n:   1 pts:      1 pts_time:0.04 fmt:bgr24 s:64x48 i:P iskey:0 type:P "
    own = (
        "[error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 1 >= 1"
    )
    decoder._take(f"{picture}[rawvideo @ 0x1] {own}\n")
    decoder._take(f"{picture}{own}\n")
    assert log.entries() == []
    decoder._take(f"{picture}[h264 @ 0x1] [error] error while decoding MB 3 4\n")
    assert len(log.entries()) == 1


@pytest.mark.parametrize(("fps", "shown"), [(10, [0, 1, 2, 30, 31]), (2, [0, 6]), (25, [0, 2, 5, 75, 78])])
def test_frames_are_repeated_and_left_out_in_each_stretch_by_itself(fps, shown):
    pace = Pace(fps, 10)
    times = [time_s for own_s in (0, 0.1, 0.2, 3.0, 3.1) for time_s in pace.after(own_s)] + pace.at_end()
    steps = {round(time_s * fps) for time_s in times}
    assert steps >= set(shown)
    assert len(steps) == len(times)
    assert max(step for step in steps if step < 1.5 * fps) <= 0.3 * fps
