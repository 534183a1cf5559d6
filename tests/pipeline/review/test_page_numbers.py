"""The page's numbers are Python's: the page's own code is run by node and asked."""

import json
import shutil
import subprocess
from collections import Counter
from importlib.resources import files

import numpy as np
import pytest

from anomaly.evaluation.intervals import frame_seconds
from anomaly.scoring.calibration import percentile
from anomaly.settings.scoring import CAUSES
from pipeline.events.events import CULPRIT_SHARE
from pipeline.events.settings import EventSettings
from pipeline.review.clip import time_knots
from pipeline.review.files import packed
from pipeline.review.thresholds import Thresholds, spans
from pose_extract.tracks.things import KINDS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def ask(script, data):
    """What a script prints as JSON, with the page's core and clip loaded and ``data`` given."""
    page = files("pipeline.review").joinpath("page")
    code = "\n".join(
        [
            "const data = JSON.parse(require('fs').readFileSync(0));",
            "const document = { documentElement: {} };",
            page.joinpath("core.js").read_text().replace('"use strict";', ""),
            page.joinpath("clip.js").read_text().replace('"use strict";', ""),
            page.joinpath("peaks.js").read_text().replace('"use strict";', ""),
            script,
        ]
    )
    done = subprocess.run([NODE, "-e", code], input=json.dumps(data), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("count", [1, 7, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_percentiles_are_those_of_python(count, ties):
    rng = np.random.default_rng(count)
    reference = np.sort(rng.gumbel(size=count)).astype(np.float32)
    scores = rng.gumbel(size=500).astype(np.float32)
    if ties:
        reference = np.sort(np.round(reference, 1))
        scores = np.concatenate([np.round(scores, 1), reference])
    scores = np.concatenate([scores, reference[[0, -1]], [reference[0] - 1, reference[-1] + 1]]).astype(
        np.float32
    )
    data = {"sorted": packed(reference, "f4"), "scores": packed(scores, "f4")}
    found = ask(
        "gepc.data.report = { reference: { sorted: data.sorted } };"
        "console.log(JSON.stringify(Array.from(gepc.unpack(data.scores, Float32Array), gepc.percentile)));",
        data,
    )
    assert found == pytest.approx(percentile(reference, scores).tolist(), abs=1e-9)


OPEN = (
    "gepc.data.report = { events: data.events, causes: data.names, kinds: data.kinds,"
    " about: { movement: '', stays: 'stays', flow: 'flow', kinds: data.kinds } };"
    "const empty = { not_judged: [],"
    " lane_s: 1, lanes: [], cell_s: 1, cells: [], poses: {}, score: data.score, worst: data.worst,"
    " culprit_share: data.culprit_share, knots: data.knots, causes: data.causes ?? [] };"
    "gepc.percentile = () => 0;"
    "const clip = new gepc.Clip({ fps: data.fps, seconds: data.seconds }, empty);"
)


@pytest.mark.parametrize("seed", range(20))
def test_events_are_those_of_python_with_holes_and_without(seed):
    rng = np.random.default_rng(seed)
    fps, count = float(rng.choice([5.0, 10.0, 25.0])), 120
    steps = np.full(count - 1, 1 / fps)
    if seed % 2:
        steps[rng.choice(count - 1, 4, replace=False)] += rng.choice([3.0, 40.0, 600.0], 4)
    if seed % 4 > 1:
        steps[60:80] = 2.0  # a picture now and then, at an even pace
    time_s = np.append(0.0, np.cumsum(steps))
    score = rng.random(count).astype(np.float32).repeat(3)[:count]
    worst = rng.integers(0, 4, count).astype(np.int32)
    settings = EventSettings(merge_gap_s=float(rng.choice([0.0, 0.5, 5.0])), min_s=0.2)
    expected = spans(time_s, time_s + frame_seconds(time_s, fps), score > np.float32(0.5), settings)
    data = {
        "events": {"merge_gap_s": settings.merge_gap_s, "min_s": settings.min_s},
        "score": packed(score, "f4"), "knots": time_knots(time_s, fps), "fps": fps, "seconds": float(time_s[-1]),
        "worst": packed(worst, "i4"), "culprit_share": CULPRIT_SHARE,
        "names": CAUSES, "kinds": KINDS,
    }  # fmt: skip
    # What frames are about, in stretches of a few, with how rare that is.
    cause = rng.choice(4, count // 4, p=[0.4, 0.3, 0.2, 0.1]).repeat(4)
    thing = np.where(cause == 1, rng.integers(1, 4, count // 4).repeat(4), 0)
    share = rng.random(count // 4).repeat(4)
    data["causes"] = [
        [i, i + 4, int(cause[i]), int(thing[i]), int(thing[i]), float(share[i]), f"p {share[i]}"]
        for i in range(0, count, 4)
        if cause[i]
    ]
    things_of = "e.about.things.map((t) => [t.id, t.count])"
    told = f"[e.start, e.end, [...e.culprits], e.about.cause, {things_of}, e.about.rarity]"
    found = ask(OPEN + f"console.log(JSON.stringify(clip.events(0.5).map((e) => {told})));", data)
    assert [(start, end) for start, end, *_ in found] == expected
    for start, end, culprits, about, things, rarity in found:
        own = start + np.flatnonzero(score[start:end] > np.float32(0.5))
        counts = np.bincount(cause[own], minlength=4)
        most = int(counts.argmax())
        assert about == CAUSES[most]
        assert dict(things) == dict(Counter(thing[own][thing[own] > 0].tolist()))
        assert [n for _, n in things] == sorted((n for _, n in things), reverse=True)
        assert rarity == (f"p {share[own][cause[own] == most].min()}" if most else None)
        alarms = worst[own][np.isin(cause[own], (0, 2))].tolist() if most in (0, 2) else []
        assert set(culprits) == {t for t in alarms if t and alarms.count(t) > CULPRIT_SHARE * len(alarms)}


@pytest.mark.parametrize("seed", range(4))
def test_what_is_reviewed_of_a_video_that_is_not_open_is_counted_as_in_one_that_is(seed):
    """The peaks of Python tell the page, at every stop, the same events, and which of them have marks."""
    rng = np.random.default_rng(seed)
    steps = np.full(399, 0.1)
    if seed % 2:
        steps[rng.choice(399, 4, replace=False)] += 30
    time_s = np.append(0.0, np.cumsum(steps))
    score = np.convolve(rng.gumbel(size=420), np.ones(5) / 5)[10:410].round(1).astype(np.float32)
    stops = np.unique(score)[::3]
    settings = EventSettings(merge_gap_s=float(rng.choice([0.0, 0.5, 2.0])), min_s=0.2)
    thresholds = Thresholds(stops, 0, np.sort(score), (), settings)
    counts, _, peaks = thresholds.count(time_s, 10.0, score)
    marked = rng.choice(peaks.frame, min(6, len(peaks.frame)), replace=False)
    marks = [{"peak_s": time_s[f], "start_s": time_s[f], "end_s": time_s[f] + 0.1} for f in marked.tolist()]
    foreign = {"peak_s": time_s[-1] + 50, "start_s": time_s[-1] + 49, "end_s": time_s[-1] + 51}
    data = {
        "peaks": {"ms": packed(np.round(1000 * time_s[peaks.frame]), "u4"), "last": packed(peaks.last, "u1"),
                  "join": packed(peaks.join, "u1")},
        "marks": [*marks, foreign], "stops": len(stops),
    }  # fmt: skip
    found = ask(
        "const peaks = new gepc.Peaks(data.peaks);"
        "console.log(JSON.stringify(Array.from({ length: data.stops }, (_, stop) =>"
        " [peaks.events(stop).length, peaks.marked(stop, data.marks)])));",
        data,
    )
    wanted = []
    for stop in stops:
        events = spans(time_s, time_s + frame_seconds(time_s, 10.0), score > stop, settings)
        wanted.append([len(events), sum(any(a <= f < b for f in marked) for a, b in events)])
    assert found == wanted
    assert [count for count, _ in wanted] == counts
    assert max(reviewed for _, reviewed in wanted) > 1


@pytest.mark.parametrize("fps", [1.0, 10.0, 25.0, 29.97, 60.0])
def test_between_two_frames_the_earlier_one_is_shown(fps):
    """As a player does: a picture stays until the next one's time."""
    count = 200
    time_s = np.arange(count) / fps
    ask_at = np.concatenate([time_s, time_s + 0.5 / fps, time_s + 0.9 / fps]).clip(0, time_s[-1])
    data = {
        "events": {}, "score": packed(np.zeros(count, np.float32), "f4"),
        "worst": packed(np.zeros(count, np.int32), "i4"), "knots": time_knots(time_s, fps), "fps": fps,
        "seconds": float(time_s[-1]), "at": ask_at.tolist(),
    }  # fmt: skip
    found = ask(OPEN + "console.log(JSON.stringify(data.at.map((t) => clip.frame(t))));", data)
    allowed = np.minimum(np.tile(np.arange(count), 3), count - 1)
    assert found == allowed.tolist()
