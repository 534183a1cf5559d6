"""Events while they last."""

from dataclasses import replace

import numpy as np
import pytest

from anomaly.scoring.scores import ClipScores, FrameScores
from pipeline.events.events import EventFinder
from pipeline.events.settings import EventSettings
from pipeline.live.settings import LiveSettings
from pipeline.live.watching.machine import Alarms, EventMachine
from pose_extract.tracks.records import ClipTracks

FPS = 10.0


def block(begin, alarm, score):
    """Frames with one person in each."""
    count = len(alarm)
    time_s, frame = (begin + np.arange(count)) / FPS, np.arange(count, dtype=np.int32)
    ones = np.ones(count, np.int32)
    tracks = ClipTracks(
        "door", "coco17", FPS, (64, 48), time_s, frame, ones, np.ones((count, 17, 3), np.float32),
        np.tile(np.array([[1, 2, 3, 4]], np.float32), (count, 1)),
    )  # fmt: skip
    frames = FrameScores(frame, time_s, score, score, alarm, ones, ones, 0 * ones, 0 * ones)
    return begin, tracks, ClipScores("door", frames, score, score, None), alarm


def told(alarm, live=None, size=3, score=None, events=None):
    """What is told of some frames' alarms: (type, start, end, score, number of the frame by then, due, cut)."""
    alarm = np.asarray(alarm, bool)
    score = np.where(alarm, 2.0, 1.0) if score is None else np.asarray(score, float)
    machine = EventMachine(
        FPS, events or EventSettings(merge_gap_s=0.5, min_s=0.2), live or LiveSettings(update_s=0)
    )
    steps = []
    for begin in range(0, len(alarm), size):
        part = slice(begin, begin + size)
        for step in machine.add(*block(begin, alarm[part], score[part])):
            steps.append(facts(step, begin + size))
    steps += [facts(step, len(alarm)) for step in machine.finish()]
    return steps, machine


def facts(step, by):
    event = step.event
    return step.type, event.start_s, event.end_s, event.score, by, step.due_s, step.cut


def spelled(text):
    return [sign == "#" for sign in text]


def test_an_event_is_told_when_it_has_lasted_long_enough_and_ended_when_it_is_over():
    steps, _ = told(spelled("....######............"), size=1)
    assert [kind for kind, *_ in steps] == ["new", "end"]
    new, end = steps
    assert new[1] == end[1] == pytest.approx(0.4)
    assert new[4] == 6  # two frames are 0.2 s
    assert end[2] == pytest.approx(1.0)
    assert end[4] == 17  # more than half a second after the last alarm


def test_short_alarms_are_no_events_and_short_gaps_are_no_ends():
    assert told(spelled("...#......#......."), size=1)[0] == []
    assert [kind for kind, *_ in told(spelled("..####...####.......##"), size=2)[0]] == [
        "new",
        "end",
        "new",
        "end",
    ]


@pytest.mark.parametrize("size", [1, 2, 5, 17])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_over_is_what_the_finder_of_score_finds(seed, size):
    rng = np.random.default_rng(seed)
    alarm = np.repeat(rng.random(60) < 0.4, rng.integers(1, 9, 60))
    score = rng.random(len(alarm)) + 2 * alarm
    settings = EventSettings(merge_gap_s=0.5, min_s=0.3)
    steps, _ = told(alarm, size=size, score=score, events=settings)
    finder, expected = EventFinder(FPS, settings), []
    for begin in range(0, len(alarm), size):
        part = slice(begin, begin + size)
        expected += finder.add(*block(begin, alarm[part], score[part]))
    expected += finder.finish()
    ends = [step for step in steps if step[0] == "end"]
    assert [end[1:4] for end in ends] == [(e.start_s, e.end_s, e.score) for e in expected]
    assert expected
    kinds = [kind for kind, *_ in steps if kind != "update"]
    assert kinds == ["new", "end"] * len(expected)


def test_a_higher_score_is_news_but_not_too_often():
    score = np.concatenate([np.zeros(5), np.linspace(2, 3, 40), np.zeros(15)])
    often, _ = told(score > 1, LiveSettings(update_s=0), 1, score)
    seldom, _ = told(score > 1, LiveSettings(update_s=1.0), 1, score)
    count = [sum(kind == "update" for kind, *_ in steps) for steps in (often, seldom)]
    assert count[0] > 30
    assert 2 <= count[1] <= 4


def test_in_the_cooldown_nothing_is_told_that_is_over_by_its_end():
    alarm = spelled("####......####......################......")
    steps, machine = told(alarm, LiveSettings(cooldown_s=2.0, update_s=60), 1)
    assert [(kind, start) for kind, start, *_ in steps] == [
        ("new", 0.0), ("end", 0.0), ("new", pytest.approx(2.0)), ("end", pytest.approx(2.0)),
    ]  # fmt: skip
    assert steps[2][4] > 24  # the last event's cooldown ended at 2.4 s
    assert [step[5] for step in steps[:3]] == [0.0, 0.0, pytest.approx(2.4)]
    assert machine.held_back == 1


def test_an_event_that_turns_out_too_short_is_ended_all_the_same():
    machine = EventMachine(4.9, EventSettings(merge_gap_s=0.5, min_s=0.2), LiveSettings())
    times = [
        0.0,
        0.2,
        0.4,
        0.6,
        0.75,
        *np.arange(0.95, 3, 0.2),
    ]  # the fourth frame is shown shorter than usual

    def kinds(alarms):
        found = []
        for number, time_s in enumerate(times):
            alarm = np.array([number in alarms])
            begin, tracks, scores, _ = block(number, alarm, np.where(alarm, 2.0, 1.0))
            at = np.array([time_s])
            scores = replace(scores, frames=replace(scores.frames, time_s=at))
            found += [step.type for step in machine.add(begin, replace(tracks, time_s=at), scores, alarm)]
        return found

    assert kinds({3}) == ["new", "end"]
    assert not machine.is_open


def test_an_event_that_does_not_end_is_ended_and_another_begun():
    steps, _ = told(np.ones(100, bool), LiveSettings(most_event_s=4.0, update_s=60), 1)
    kinds = [kind for kind, *_ in steps]
    assert kinds == ["new", "end", "new", "end", "new", "end"]
    assert steps[2][1] >= steps[1][2]
    assert [step[6] for step in steps] == [False, True, False, True, False, False]


def test_hysteresis_keeps_an_alarm_on_down_to_a_lower_score():
    alarms = Alarms()
    on = [*alarms.of(np.array([0.0, 3.0, 1.5]), 2.0, 1.0), *alarms.of(np.array([1.5, 0.5, 1.5]), 2.0, 1.0)]
    assert on == [False, True, True, True, False, False]
    assert Alarms().of(np.array([0.0, 3.0, 1.5]), 2.0, 2.0).tolist() == [False, True, False]
