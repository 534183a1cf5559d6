import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pipeline.live.recording.retention import kept_files, sweep
from pipeline.live.watching.watcher import _new_id
from pose_extract.files import place_beside
from tests.pipeline.live.recording.people import at
from tests.pipeline.live.recording.test_recorder import EVENT, drawn, recorder_in, watch

TODAY = date(2026, 12, 31)


def recorded(name: str, ending: str = ".mp4") -> str:
    """A file's name as `Recorder` makes it of the id of an event."""
    return f"{name}-20261129T101502-5f0c2a9e{ending}"


def put(path: Path, size: int = 1000, changed_s: float = 1e9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (changed_s, changed_s))
    return path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_is_older_than_the_days_is_removed_with_its_folder(tmp_path):
    for day in ("2026-12-31", "2026-12-24", "2026-12-23", "2025-12-31"):
        put(tmp_path / "clips" / day / recorded("a"))
    removed, left = sweep(TODAY, 7, 0, [tmp_path / "clips"])
    assert (removed, left) == (2, 2000)
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {"2026-12-31", "2026-12-24"}


def test_the_oldest_go_first_until_the_rest_fits(tmp_path):
    put(tmp_path / "clips" / "2026-12-30" / recorded("late"), changed_s=2e9)
    put(tmp_path / "clips" / "2026-12-30" / recorded("early"), changed_s=1e9)
    put(tmp_path / "pictures" / "2026-12-29" / recorded("old", ".jpg"))
    put(tmp_path / "pictures" / "2026-12-31" / recorded("new", ".jpg"))
    removed, left = sweep(TODAY, 0, 2500, [tmp_path / "clips", tmp_path / "pictures"])
    assert (removed, left) == (2, 2000)
    assert names(tmp_path) == {
        f"clips/2026-12-30/{recorded('late')}",
        f"pictures/2026-12-31/{recorded('new', '.jpg')}",
    }


def test_tables_go_by_their_day_and_never_by_their_size(tmp_path):
    for day in ("2026-12-31", "2026-12-01"):
        put(tmp_path / f"events-{day}.csv", 10_000)
    put(tmp_path / "clips" / "2026-12-31" / recorded("a"))
    assert sweep(TODAY, 14, 1000, [tmp_path / "clips"], [tmp_path]) == (1, 1000)
    assert names(tmp_path) == {"events-2026-12-31.csv", f"clips/2026-12-31/{recorded('a')}"}


def test_nothing_that_watch_has_not_named_is_ever_removed(tmp_path):
    others = [
        "clips/2020-01-01/holiday.txt",
        "clips/2020-01-01/holiday.mp4",
        "clips/2020-01-01/evidence for the police.jpg",
        f"clips/2020-01-01/{recorded('a', ' (copy).mp4')}",
        f"clips/2020-01-01/{recorded('a', '.mp4.part')}",
        f"clips/2020-01-01/.{recorded('a')}",
        f"clips/2020-13-01/{recorded('a')}",
        f"clips/2020-01-01-copy/{recorded('a')}",
        f"clips/{recorded('a')}",
        "events-2020.csv",
        "events.jsonl",
        "my-events-2020-01-01.csv",
    ]
    for name in others:
        put(tmp_path / name)
    assert sweep(TODAY, 1, 1, [tmp_path / "clips"], [tmp_path]) == (0, 0)
    assert names(tmp_path) == set(others)


@pytest.mark.parametrize("camera", ["door", "Hof Tür/1", "..", "a-20261129T101502"])
def test_what_is_recorded_of_an_event_of_any_camera_is_removed_when_it_is_old(tmp_path, camera):
    recorder = recorder_in(tmp_path)
    watch(recorder, 0, 4.5, camera)
    of = replace(EVENT, id=_new_id(camera, EVENT.start_time), camera=camera)
    assert drawn(recorder, of, at(4.0))
    recorder.begin_clip(of)
    recorder.close(30)
    assert sweep(TODAY, 7, 0, recorder.folders) == (2, 0)


def test_half_a_clip_that_a_killed_run_has_left_goes_with_its_day_and_one_that_is_written_stays(tmp_path):
    left = put(tmp_path / "clips" / "2026-12-30" / ".a.mp4.12345678.gepc-part")
    with place_beside(tmp_path / "clips" / "2026-12-29" / "b.mp4") as (writing, _):
        sweep(TODAY, 7, 0, [tmp_path / "clips"])
        assert writing.exists()
    assert not left.exists()
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {"2026-12-29"}


def test_a_folder_that_is_a_link_is_not_followed(tmp_path):
    put(tmp_path / "elsewhere" / recorded("a"))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "2020-01-01").symlink_to(tmp_path / "elsewhere")
    assert sweep(TODAY, 1, 1, [tmp_path / "clips"]) == (0, 0)
    assert (tmp_path / "elsewhere" / recorded("a")).exists()


def test_without_limits_all_stays(tmp_path):
    put(tmp_path / "clips" / "2001-01-01" / recorded("a"))
    assert sweep(TODAY, 0, 0, [tmp_path / "clips"]) == (0, 1000)


def test_folders_that_are_not_there_are_no_trouble(tmp_path):
    assert sweep(TODAY, 1, 1, [tmp_path / "clips"], [tmp_path / "tables"]) == (0, 0)


def test_a_file_that_cannot_be_removed_is_counted_as_left(tmp_path, monkeypatch, caplog):
    put(tmp_path / "clips" / "2001-01-01" / recorded("a"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert sweep(TODAY, 1, 0, [tmp_path / "clips"]) == (0, 1000)
    assert "cannot be removed" in caplog.text


@pytest.mark.parametrize("day", range(1, 29))
def test_a_year_of_days_by_a_clock_that_is_set(tmp_path, day):
    # A day's sweep leaves keep_days days besides today, whatever the files' own times say.
    for other in range(1, day + 1):
        put(tmp_path / "clips" / f"2026-02-{other:02}" / recorded("a"), changed_s=0)
    sweep(date(2026, 2, day), 3, 0, [tmp_path / "clips"])
    assert len(kept_files([tmp_path / "clips"])) == min(day, 4)
