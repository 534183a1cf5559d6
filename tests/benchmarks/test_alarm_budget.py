"""Promised and real false events, of scores whose tail is known."""

import argparse
import re

import numpy as np
import pytest

from benchmarks.alarm_budget import Normal, compare


def noise(clips, seconds, fps, seed=0):
    """Smooth noise: peaks above a high level come at random, as those of normal video do."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * fps)
    kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2.5) ** 2)
    score = np.stack([np.convolve(rng.standard_normal(frames + 16), kernel, "valid") for _ in range(clips)])
    clip = np.repeat(np.arange(clips, dtype=np.int32), frames)
    return Normal(clip, np.tile(np.arange(frames) / fps, clips), score.ravel(), fps)


@pytest.mark.parametrize("days", [None, 1.0])
def test_what_is_promised_comes(days, capsys):
    args = argparse.Namespace(splits=10, seed=0, street_days=days)
    compare(noise(200, 120.0, 4.0), (480.0, 96.0), 0.4, args)
    out = capsys.readouterr().out
    found = dict(re.findall(r"alarm_budget_(\d+_an?_\w+)_ratio = ([\d.]+)", out))
    assert list(found) == (["480_a_day", "96_a_day"] if days else ["20_an_hour", "4_an_hour"])
    assert all(0.7 < float(ratio) < 1.4 for ratio in found.values())
    assert out.count("\n| ") == 3
