"""Labels: what each kind of file means, and the errors that name the place and what was expected there."""

from __future__ import annotations

import argparse
import contextlib
import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from anomaly.evaluation.intervals import runs_of
from pipeline.cli import main
from pipeline.commands.labels import add_arguments
from pipeline.labels.formats import read_avenue, read_intervals, read_ubnormal
from pipeline.labels.masks import (
    MASK_KINDS,
    clip_times,
    match_masks,
    read_labels,
    read_masks,
    read_stretches,
    write_masks,
)
from pipeline.settings.dataset import LABEL_KINDS
from pipeline.workspace import Workspace, entry_of
from pose_extract.errors import FormatError, OutputError, UsageError
from pose_extract.tracks.cache import save_tracks
from pose_extract.tracks.records import ClipTracks

TIMES = {"a": np.arange(20) / 10, "b": np.arange(5) / 10}


def masks_in(folder: Path, **masks: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for clip, values in masks.items():
        np.save(folder / f"{clip}.npy", values)
    return folder


def stretches(masks: dict[str, np.ndarray]) -> dict[str, list[tuple[int, int]]]:
    return {clip: runs_of(mask) for clip, mask in masks.items()}


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, bool])
def test_masks_are_read_in_either_polarity(tmp_path, dtype):
    folder = masks_in(tmp_path, a=np.array([0, 1, 1, 0], dtype))
    assert read_masks(folder, 1)["a"].tolist() == [False, True, True, False]
    assert read_masks(folder, 0)["a"].tolist() == [True, False, False, True]


def test_masks_lie_in_folders_of_any_depth_or_in_one_npz(tmp_path):
    folder = masks_in(tmp_path / "masks" / "01", **{"01_02": [0, 1], "01_01": [1, 0]})
    np.savez_compressed(tmp_path / "all.npz", **{"01_01": [1, 0], "01_02": [0, 1]})
    for path in (folder.parent, tmp_path / "all.npz"):
        assert stretches(read_masks(path)) == {"01_01": [(0, 1)], "01_02": [(1, 2)]}
        assert list(read_masks(path)) == ["01_01", "01_02"]


def test_a_row_or_column_of_masks_counts_as_one(tmp_path):
    folder = masks_in(tmp_path, a=[[0, 1, 1]], b=[[0], [1]], c=np.zeros(0))
    assert {clip: len(mask) for clip, mask in read_masks(folder).items()} == {"a": 3, "b": 2, "c": 0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2], r"a\.npy: expected only 0 and 1, found 2 at frame 2"),
        ([0.0, 0.5], r"a\.npy: expected only 0 and 1, found 0\.5 at frame 1"),
        ([np.nan, 1], r"a\.npy: expected only 0 and 1, found nan at frame 0"),
        (np.zeros((2, 3)), r"a\.npy: .*shape \(frames,\), found shape \(2, 3\)"),
        (np.array(["x"]), r"a\.npy: .*found values of type <U1"),
    ],
)
def test_other_values_are_refused(tmp_path, values, message):
    with pytest.raises(FormatError, match=message):
        read_masks(masks_in(tmp_path, a=values))


class Bomb:
    def __reduce__(self):
        return (Path("bomb").touch, ())


def test_pickled_objects_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = masks_in(tmp_path / "npy", a=np.array([Bomb()], object))
    with pytest.raises(FormatError, match="never unpickled"):
        read_masks(folder)
    np.savez(tmp_path / "all.npz", a=np.array([Bomb()], object))
    with pytest.raises(FormatError, match="never unpickled"):
        read_masks(tmp_path / "all.npz")
    (folder / "a.npy").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match="damaged or none"):
        read_masks(folder)
    assert not (tmp_path / "bomb").exists()


def npy_bytes(values: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values))
    return stream.getvalue()


def test_damaged_files_are_errors_wherever_they_break_off(tmp_path):
    whole = npy_bytes(np.arange(30) % 2)
    for length in range(0, len(whole), 5):
        (tmp_path / "a.npy").write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"a\.npy: expected a \.npy file"):
            read_masks(tmp_path)


def test_a_header_that_promises_terabytes_is_refused_at_once(tmp_path):
    huge = npy_bytes(np.zeros(3, np.uint8)).replace(b"(3,), }" + b" " * 20, b"(9999999999999,), }" + b" " * 8)
    (tmp_path / "a.npy").write_bytes(huge)
    with pytest.raises(FormatError, match="cut off"):
        read_masks(tmp_path)


def test_damaged_archives_are_errors(tmp_path):
    path = tmp_path / "all.npz"
    np.savez_compressed(path, a=np.arange(1000) % 2, b=np.zeros(9))
    whole = path.read_bytes()
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"all\.npz"):
            read_masks(path)
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        with contextlib.suppress(FormatError):  # a flipped bit in a time, say, does no harm
            read_masks(path)


@pytest.mark.parametrize("name", ["../a", "/etc/a", "x\\a", ".a"])
def test_a_member_cannot_name_a_place(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "all.npz", "w") as archive:
        archive.writestr(f"{name}.npy", npy_bytes([0, 1]))
    with pytest.raises(FormatError, match="expected the name of a clip"):
        read_masks(tmp_path / "all.npz")


def test_nothing_there_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="no such folder"):
        read_masks(tmp_path / "missing")
    with pytest.raises(FormatError, match=r"expected files <clip>\.npy"):
        read_masks(tmp_path)
    masks_in(tmp_path / "1", a=[0])
    masks_in(tmp_path / "2", a=[0])
    with pytest.raises(FormatError, match="another mask of the clip a"):
        read_masks(tmp_path)
    with pytest.raises(UsageError, match="expected 0 or 1"):
        read_masks(tmp_path, 2)


def test_masks_and_clips_are_matched_by_name_and_length():
    masks = {"a": np.array([True, False, True]), "b": np.zeros(2, bool)}
    assert match_masks(masks, {"a": 3, "b": 2})["a"].tolist() == [True, False, True]
    assert match_masks(masks, {"a": 4, "b": 1}, 1)["a"].tolist() == [True, False, True, True]
    with pytest.raises(UsageError) as error:
        match_masks(masks, {"a": 5, "c": 2})
    assert "no mask for c" in str(error.value)
    assert "no clip for the masks b" in str(error.value)
    assert "a (clip 5, mask 3)" in str(error.value)


def test_intervals_are_the_stretches_of_true():
    assert runs_of(np.array([1, 1, 0, 1], bool)) == [(0, 2), (3, 4)]
    assert runs_of(np.zeros(3, bool)) == runs_of(np.zeros(0, bool)) == []


def csv_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "abnormal.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "clip,start_frame,end_frame\na,2,5\na,8,9\n",
        "clip,first_frame,last_frame\na,2,4\n\na,8,8\n",
        "clip,start_s,end_s\na,0.2,0.5\na,0.75,0.9\n",
        "what,clip,start_s,end_s\nrunning,a,0:00.2,0:00.5\nfalling,a,00:00:00.75,.9\n".replace(",.9", ",0.9"),
        'end_frame,clip,start_frame\n5,"a",2\n9, a ,8\n',
    ],
)
def test_columns_say_what_intervals_hold(tmp_path, text):
    assert stretches(read_intervals(csv_file(tmp_path, text), TIMES)) == {"a": [(2, 5), (8, 9)], "b": []}


def test_intervals_in_seconds_follow_the_frames_own_times(tmp_path):
    times = {"a": np.array([0.0, 0.1, 3.0, 3.1])}  # a video with a gap
    path = csv_file(tmp_path, "clip,start_s,end_s\na,0.1,3.05\n")
    assert read_intervals(path, times)["a"].tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (
            "clip,start,end\na,1,2\n",
            "expected columns clip and either start_frame,end_frame .*found 'clip,start,end'",
        ),
        ("start_s,end_s\n1,2\n", "expected columns clip"),
        ("clip|start_s|end_s\na|1|2\n", "expected columns clip"),
        ("clip,start_frame,end_frame\nz,1,2\n", "line 2: there is no clip 'z'; there are a, b"),
        ("clip,start_frame,end_frame\na,5,2\n", "line 2: end_frame 2 must come after start_frame 5"),
        ("clip,start_frame,end_frame\na,5,5\n", "line 2: end_frame 5 must come after"),
        ("clip,first_frame,last_frame\na,5,4\n", "line 2: last_frame 4 must come after"),
        (
            "clip,start_frame,end_frame\na,1,21\n",
            "line 2: the clip a has 20 frames, this interval ends at 21",
        ),
        ("clip,first_frame,last_frame\na,1,20\n", "the clip a has 20 frames"),
        ("clip,start_frame,end_frame\na,-1,2\n", "start_frame: expected a frame number from 0, found '-1'"),
        ("clip,start_frame,end_frame\na,1.5,2\n", r"expected a frame number from 0, found '1\.5'"),
        ("clip,start_frame,end_frame\na,,2\n", "expected a frame number from 0, found ''"),
        ("clip,start_frame,end_frame\na,1\n", "line 2: expected 3 values as in the first line, found 2"),
        (
            "clip,start_frame,end_frame\na,1,9\nb,0,1\na,8,12\n",
            "lines 2 and 4: two intervals of the clip a overlap",
        ),
        (
            "clip,start_s,end_s\na,0.1,nan\n",
            "end_s: expected seconds from 0, or minutes:seconds, found 'nan'",
        ),
        ("clip,start_s,end_s\na,0.1,9\n", r"last frame of the clip a is at 1\.90 s, found 9"),
        ("clip,start_s,end_s\na,0.11,0.19\n", "no frame of the clip a is shown from 0.11 to 0.19 s"),
        ("clip,start_s,end_s\na,1,0.5\n", "end_s 0.5 must come after start_s 1"),
        ('clip,start_s,end_s\n"a,0,1\n', "lines of values with commas between them"),
    ],
)
def test_a_wrong_interval_is_an_error_that_names_its_line(tmp_path, text, message):
    with pytest.raises(FormatError, match=r"abnormal\.csv: .*" + message):
        read_intervals(csv_file(tmp_path, text), TIMES)


def test_bytes_that_are_no_text_are_an_error(tmp_path):
    (tmp_path / "abnormal.csv").write_bytes(b"clip,start_s,end_s\n\xff\xfe\0\n")
    with pytest.raises(FormatError, match=r"abnormal\.csv"):
        read_intervals(tmp_path / "abnormal.csv", TIMES)


UBNORMAL = {f"{kind}_scene_1_scenario_1": np.arange(10) / 30 for kind in ("normal", "abnormal")}


def ubnormal_folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "Scene1" / "abnormal_scene_1_scenario_1_annotations"
    folder.mkdir(parents=True)
    (folder / "abnormal_scene_1_scenario_1_tracks.txt").write_text(text)
    (folder / "abnormal_scene_1_scenario_1_new_tracks.txt").write_text("1,0,9\n")
    return tmp_path


def test_ubnormals_objects_end_with_their_last_frame_and_may_overlap(tmp_path):
    folder = ubnormal_folder(tmp_path, "3, 2, 4\n7.000e+00,4.000e+00,5.000e+00\n1,8,8\n")
    masks = read_ubnormal(folder, UBNORMAL)
    assert stretches(masks) == {
        "normal_scene_1_scenario_1": [],
        "abnormal_scene_1_scenario_1": [(2, 6), (8, 9)],
    }


def test_ubnormals_frames_beyond_the_clip_are_told(tmp_path, caplog):
    masks = read_ubnormal(ubnormal_folder(tmp_path, "1,8,12\n"), UBNORMAL)
    assert runs_of(masks["abnormal_scene_1_scenario_1"]) == [(8, 10)]
    assert "3 labelled frames lie after the clip's end (10 frames)" in caplog.text


@pytest.mark.parametrize("line", ["1,2", "1,x,3", "1,5,4", "1,-1,4", "1,nan,4", "1,2.5,4"])
def test_a_wrong_line_of_ubnormal_is_an_error(tmp_path, line):
    with pytest.raises(FormatError, match=r"_tracks\.txt: line 1: "):
        read_ubnormal(ubnormal_folder(tmp_path, line + "\n"), UBNORMAL)


def test_an_abnormal_clip_of_ubnormal_needs_its_file(tmp_path):
    ubnormal_folder(tmp_path, "1,2,3\n")
    with pytest.raises(FormatError, match="for abnormal_scene_2_scenario_1"):
        read_ubnormal(tmp_path, {**UBNORMAL, "abnormal_scene_2_scenario_1": np.zeros(3)})
    with pytest.raises(FormatError, match=r"expected UBnormal's files"):
        read_ubnormal(tmp_path / "missing", UBNORMAL)


def cells(*items: object) -> np.ndarray:
    array = np.empty((1, len(items)), object)
    for i, item in enumerate(items):
        array[0, i] = item
    return array


def test_avenues_pixel_masks_become_frame_masks(tmp_path):
    empty, some = np.zeros((4, 6), np.uint8), np.eye(4, 6, dtype=np.uint8)
    savemat(tmp_path / "1_label.mat", {"volLabel": cells(empty, some, some)})
    savemat(tmp_path / "12_label.mat", {"volLabel": cells(some, empty)}, do_compression=True)
    assert stretches(read_avenue(tmp_path, None)) == {"01": [(1, 3)], "12": [(0, 1)]}
    assert list(read_avenue(tmp_path, None, "01_")) == ["01_01", "01_12"]


def test_avenues_stretches_count_from_1_and_include_their_last_frame(tmp_path):
    path = tmp_path / "avenue.mat"
    savemat(path, {"gt": cells(np.array([[2, 5], [3, 6]]), np.array([[1], [1]]), np.zeros((2, 0)))})
    clips = {"01": np.zeros(7), "02": np.zeros(4), "03": np.zeros(2)}
    assert stretches(read_avenue(path, clips)) == {"01": [(1, 3), (4, 6)], "02": [(0, 1)], "03": []}
    with pytest.raises(FormatError, match=r"gt\{1\}: expected frames 1 to 4, .* found 5 to 6"):
        read_avenue(path, {**clips, "01": np.zeros(4)})
    with pytest.raises(FormatError, match="does not tell how many frames the clip 01 has"):
        read_avenue(path, None)


def test_other_mat_files_are_errors(tmp_path):
    path = tmp_path / "1_label.mat"
    savemat(path, {"volLabel": cells(np.zeros((2, 2)))})
    whole = path.read_bytes()
    for length in range(0, len(whole), 56):
        path.write_bytes(whole[:length])
        with pytest.raises(FormatError, match=r"1_label\.mat"):
            read_avenue(tmp_path, None)
    for content, message in (
        ({"other": cells(np.zeros(2))}, r"expected a cell array volLabel, found 'other \(cell\)'"),
        ({"volLabel": np.zeros(3)}, "expected a cell array"),
        ({"volLabel": cells("text")}, r"volLabel\{1\}: expected numbers"),
        ({"volLabel": cells({"a": 1})}, r"volLabel\{1\}: expected numbers"),
    ):
        savemat(path, content)
        with pytest.raises(FormatError, match=message):
            read_avenue(tmp_path, None)
    path.unlink()
    with pytest.raises(FormatError, match="expected Avenue's files"):
        read_avenue(tmp_path, None)


def test_every_kind_is_read_by_its_name(tmp_path):
    folder = masks_in(tmp_path / "masks", a=np.array([0, 1]))
    for kind in ("shanghaitech", "chad"):
        assert stretches(read_labels(kind, folder)) == {"a": [(1, 2)]}
        with pytest.raises(UsageError, match="1 is abnormal"):
            read_labels(kind, folder, abnormal=0)
    assert stretches(read_labels("masks", folder, abnormal=0)) == {"a": [(0, 1)]}
    with pytest.raises(UsageError, match="say which value"):
        read_labels("masks", folder)
    with pytest.raises(UsageError, match="need the tracks"):
        read_labels("intervals", csv_file(tmp_path, "clip,start_s,end_s\n"))
    with pytest.raises(UsageError, match="expected one of masks, intervals"):
        read_labels("mask", folder)
    with pytest.raises(FormatError, match="no such file"):
        read_labels("chad", tmp_path / "missing")


def save_clip(folder: Path, clip: str, frames: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    nobody = np.zeros((0, 17, 3), np.float32)
    no_rows, no_boxes = np.zeros(0, np.int32), np.zeros((0, 4), np.float32)
    save_tracks(
        folder / f"{clip}.npz",
        ClipTracks(
            clip, "coco17", 10.0, (64, 48), np.arange(frames) / 10, no_rows, no_rows, nobody, no_boxes
        ),
    )


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = main(["labels", *map(str, args)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    return code, captured.out, captured.err


def test_the_command_makes_masks_of_intervals_and_shows_them(tmp_path, capsys):
    for clip, times in TIMES.items():
        save_clip(tmp_path / "tracks", clip, len(times))
    path = csv_file(tmp_path, "clip,start_s,end_s\na,0.2,0.5\na,0.8,0.9\n")
    code, out, _ = run(capsys, path, "--tracks", tmp_path / "tracks", "--out", tmp_path / "masks")
    assert code == 0
    assert "2 clips, 25 frames, 4 of them abnormal (16.0%)" in out
    assert np.load(tmp_path / "masks" / "a.npy").tolist() == [int(i in (2, 3, 4, 8)) for i in range(20)]
    assert np.load(tmp_path / "masks" / "b.npy").tolist() == [0] * 5
    code, out, _ = run(capsys, tmp_path / "masks", "--abnormal", 1)
    assert code == 0
    assert "2-4, 8-8" in out
    assert "none" in out


def test_the_commands_errors_are_lines(tmp_path, capsys):
    masks = masks_in(tmp_path / "masks", a=[0, 1], z=[0])
    save_clip(tmp_path / "tracks", "a", 5)
    for arguments, code, message in (
        ((masks,), 2, "say which value is an abnormal frame"),
        ((masks, "--abnormal", 1, "--tracks", tmp_path / "tracks"), 2, "no clip for the masks z"),
        ((masks, "--abnormal", 1, "--tracks", tmp_path / "none"), 2, "expected tracks of gepc-pipeline"),
        ((masks, "--abnormal", 1, "--out", masks), 9, "is the labels that are read"),
        ((tmp_path / "none.csv", "--tracks", tmp_path / "tracks"), 11, "no such file"),
        ((masks, "--kind", "avenue", "--workspace", tmp_path), 11, "expected Avenue's files"),
    ):
        got, _, err = run(capsys, *arguments)
        assert (got, message in err) == (code, True), err


def test_endings_in_capitals_are_the_same_endings(tmp_path, capsys):
    np.savez(tmp_path / "masks.npz", a=[0, 1])
    packed = (tmp_path / "masks.npz").rename(tmp_path / "MASKS.NPZ")
    assert stretches(read_masks(packed)) == {"a": [(1, 2)]}
    single = (masks_in(tmp_path / "one", x=[0, 1]) / "x.npy").rename(tmp_path / "X.NPY")
    assert read_stretches(single, ["a"], np.arange(2) / 10) == [(0.1, pytest.approx(0.2))]


def test_masks_of_pixels_need_no_clips(tmp_path, capsys):
    (tmp_path / "w" / "tracks").mkdir(parents=True)  # as an extraction leaves it that found nothing to do
    (tmp_path / "labels").mkdir()
    savemat(tmp_path / "labels" / "1_label.mat", {"volLabel": cells(np.zeros((2, 2)), np.ones((2, 2)))})
    code, out, err = run(capsys, tmp_path / "labels", "--kind", "avenue", "--workspace", tmp_path / "w")
    assert (code, "1 clips, 2 frames, 1 of them abnormal" in out) == (0, True), err


def test_masks_are_written_complete_or_not_at_all(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_masks({"a": np.zeros(3, bool)}, tmp_path / "file")
    write_masks({"a": np.array([False, True])}, tmp_path / "new" / "masks")
    assert np.load(tmp_path / "new" / "masks" / "a.npy").dtype == np.uint8


def test_clip_times_are_those_of_the_tracks(tmp_path):
    save_clip(tmp_path, "a", 3)
    assert clip_times(tmp_path)["a"].tolist() == [0.0, 0.1, 0.2]


def test_clips_to_train_on_get_a_mask_only_if_they_are_named(tmp_path, capsys):
    for clip, train in (("a", True), ("b", True), ("c", False)):
        save_clip(tmp_path / "w" / "tracks", clip, 5)
        summary = {"frames": 5, "rows": 0, "tracks": 0, "seconds": 0.5, "coverage": 0.0, "damage": []}
        made = {"source": clip, "key": clip, "train": train, "estimator": {"name": "x"}, "summary": summary}
        Workspace(tmp_path / "w").record(entry_of(made, clip))
    arguments = ("--workspace", tmp_path / "w", "--out", tmp_path / "masks")
    code, out, _ = run(capsys, csv_file(tmp_path, "clip,first_frame,last_frame\na,1,2\n"), *arguments)
    assert code == 0
    assert "left out: 1 training clips" in out
    assert sorted(file.stem for file in (tmp_path / "masks").iterdir()) == ["a", "c"]


def test_the_command_and_data_sets_know_every_kind():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    kinds = next(action.choices for action in parser._actions if action.dest == "kind")
    assert tuple(kinds or ()) == MASK_KINDS
    assert (*MASK_KINDS, "actions") == LABEL_KINDS


@pytest.mark.parametrize("kind", ["intervals", "ubnormal", "masks"])
def test_random_damage_raises_nothing_but_format_errors(tmp_path, kind):
    path = tmp_path / "labels"
    clips: dict[str, np.ndarray] = dict(TIMES)
    if kind == "intervals":
        file = path = csv_file(tmp_path, "clip,start_s,end_s\na,0.2,0.5\nb,0:00.1,0.3\n")
    elif kind == "ubnormal":
        clips = UBNORMAL
        path = ubnormal_folder(tmp_path, "1,2,4\n3,5,8\n")
        file = next(path.rglob("*1_tracks.txt"))
    else:
        file = masks_in(path, a=np.arange(20) % 2) / "a.npy"
    refused = 0
    for damaged in damages(file.read_bytes(), 150):
        file.write_bytes(damaged)
        try:
            read_labels(kind, path, clips, 1 if kind == "masks" else None)
        except FormatError:
            refused += 1
    assert refused > 20


def damages(content: bytes, count: int) -> Iterator[bytes]:
    """The content with three bytes changed, in many ways."""
    whole = np.frombuffer(content, np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(count):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
        yield damaged.tobytes()


def test_mat_files_that_crash_scipy_are_errors_like_others(tmp_path):
    """Those chosen here end in a segmentation fault in SciPy 1.17."""
    path = tmp_path / "1_label.mat"
    savemat(path, {"volLabel": cells(np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8))})
    cases = [*damages(path.read_bytes(), 36)]
    for case in (23, 28, 35):
        path.write_bytes(cases[case])
        with pytest.raises(FormatError, match=r"1_label\.mat"):
            read_avenue(tmp_path, None)


@pytest.mark.parametrize("name", ["a", "a.mp4", "videos/a.mp4", "C:\\videos\\a.avi"])
def test_a_table_of_a_spreadsheet_may_name_the_videos_file(tmp_path, name):
    text = f"clip;start_s;end_s\n{name};0,1;0,4\n"
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-16"))
    found = read_intervals(tmp_path / "labels.csv", TIMES)["a"]
    assert (found == read_intervals(csv_file(tmp_path, "clip,start_s,end_s\na,0.1,0.4\n"), TIMES)["a"]).all()
    assert found.any()
