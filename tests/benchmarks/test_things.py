"""The benchmark of things, without its hours: which clips there are, and which figures come of their scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import figures, things
from benchmarks.things import CHOICE, FALSE, FALSE_THINGS, KEPT, PERSON, Amount, Clip
from pipeline.synthetic.things.kinds import CHOOSE_FROM, KEPT_OUT, KINDS
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import save_tracks
from tests.anomaly.data.test_surroundings import crowd
from tests.helpers.things import clip_things
from tests.helpers.things import things as sightings


def test_there_are_clips_of_each_kind_and_nothing_else_is_unusual_in_them(monkeypatch, tmp_path):
    made = {}
    monkeypatch.setattr(
        things,
        "street_video",
        lambda folder, name, *rest: made.setdefault(folder / f"{name}.mp4", rest) and folder / name,
    )
    tests = things.render(tmp_path, 1, Amount(2, 1, 2, 3, 16.0), list(KINDS))
    assert sum(path.parent.name == "normal" for path in made) == 2
    assert [clip.kind for clip in tests] == ["", *[PERSON] * 3, *np.repeat(list(KINDS), 2)]
    assert len({rest[0] for rest in made.values()}) == len(made)  # each has a seed of its own
    for (_, street, *what), clip in zip(list(made.values())[2:], tests, strict=True):
        assert what == ([] if not clip.kind else [what[0]] if clip.kind == PERSON else [(), (clip.kind,)])
        assert street.seconds == (20.0 if clip.kind == "loitering" else 16.0)


@pytest.fixture
def scored(monkeypatch, tmp_path):
    """Figures of test clips whose frames are scored by a function of their labels."""
    labels = np.repeat([0, 1, 0], 40)

    def measure(kinds, score):
        tests = [Clip(tmp_path / f"{i}.mp4", kind) for i, kind in enumerate(kinds)]
        for clip in tests:
            np.save(clip.video.with_suffix(".labels.npy"), labels * bool(clip.kind))
        tracks = SimpleNamespace(fps=10.0, frame_count=len(labels))

        def chunks(scorer, loaded):
            yield 0, loaded, SimpleNamespace(frames=SimpleNamespace(score=score(labels)))

        class Finder:
            def __init__(self, *settings):
                pass

            def add(self, *chunk):
                return ["an event"]

            def finish(self):
                return ["another"]

        monkeypatch.setattr(things, "score_chunks", chunks)
        monkeypatch.setattr(things, "EventFinder", Finder)
        scorer = SimpleNamespace(load=lambda path: tracks, settings=SimpleNamespace(events=None))
        return things.figures(SimpleNamespace(tracks_path=lambda clip: clip), tests, scorer)

    return measure


def test_the_means_are_those_of_the_kinds_on_either_side_of_the_division(scored):
    found = scored(["", "", PERSON, *KINDS], lambda labels: labels.astype(float))
    once = ["bag", "fleeing", "loitering"]
    passing = [[kind for kind in kinds if kind not in once] for kinds in (CHOOSE_FROM, KEPT_OUT)]
    assert list(found) == [*passing[0], CHOICE, *passing[1], KEPT, *once, PERSON, FALSE]
    assert found.pop(FALSE) == pytest.approx(4 / 24 * 3600)  # of the normal clips alone
    assert set(found.values()) == {1.0}


def test_a_score_that_knows_nothing_is_chance(scored):
    assert scored(["car", "dog"], np.zeros_like) == {"car": 0.5, CHOICE: 0.5, "dog": 0.5, KEPT: 0.5}


def test_a_thing_is_found_where_its_exact_box_is_and_false_where_nothing_is(tmp_path):
    clips = [Clip(tmp_path / "car.mp4", "car"), Clip(tmp_path / "quiet.mp4", "")]
    table = "frame,thing,kind,left,top,right,bottom,person,unusual\n"
    (tmp_path / "car.things.csv").write_text(
        table + "".join(f"{frame},1,car,0,0,10,10,0,{int(4 <= frame < 8)}\n" for frame in range(16))
    )
    workspace = Workspace(tmp_path / "w")
    there = {"f4": sightings(2, boxes=[[0, 0, 10, 12]]), "f6": sightings(2, boxes=[[0, 8, 10, 20]])}
    elsewhere = {f"f{frame}": sightings(2, boxes=[[0, 80, 10, 92]]) for frame in (0, 10, 12)}
    for name, what in (("car", there), ("quiet", elsewhere)):
        save_tracks(workspace.tracks_path(name), crowd(60, 1, 0.0, clip_things(60, **what)))
    found = things.things_found(workspace, clips)
    assert found == {"car, found": 1 / 2, FALSE_THINGS: pytest.approx(10)}


def test_what_is_printed_can_be_kept_as_figures(capsys):
    rows = [
        {"car": 0.5, CHOICE: 0.5, "dog": 0.25, FALSE: 60.0},
        {"car": 0.7, CHOICE: 0.7, "dog": 0.25, FALSE: 0.0},
    ]
    found = [{"car, found": 0.75, FALSE_THINGS: 1.0}, {"car, found": 0.85, FALSE_THINGS: 2.0}]
    things.show({"": rows, "beside": rows[::-1]}, found, ["scoring.parts=[motion]"])
    values, tables = figures.parse(capsys.readouterr().out.splitlines())
    assert values["things_car_auc"] == "0.600 ± 0.141"
    assert values["things_passing_things_choose_from_auc"] == "0.600 ± 0.141"
    assert values["things_false_events_an_hour"] == "30 ± 42"
    assert values["things_car_found"] == "0.80 ± 0.07"
    assert values["things_false_things_a_minute"] == "1.50 ± 0.71"
    assert "| car | 0.80 ± 0.07 |" in tables["Things found"]
    assert tables["Things"][0] == "| | frame AUC | scoring.parts=[motion] |"
    assert "| dog | 0.250 ± 0.000 | 0.250 ± 0.000 |" in tables["Things"]
