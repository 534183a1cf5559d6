"""The Python API's model: poses in arrays and tables, streams, tables and pictures out."""

from __future__ import annotations

import numpy as np
import pytest

from gepc_pipeline import Model, export, score, train
from pose_extract.errors import GepcError, OutputError, UsageError
from pose_extract.tracks.cache import load_tracks, save_tracks


@pytest.fixture(scope="module")
def model(truth_workspace):
    return Model.load(truth_workspace)


@pytest.fixture(scope="module")
def tracks(truth_workspace):
    return load_tracks(truth_workspace / "tracks" / "normal_0.npz")


@pytest.fixture(scope="module")
def poses(tracks):
    """The people of the clip as an array, one place a person."""
    people = np.unique(tracks.track)
    found = np.full((tracks.frame_count, len(people), *tracks.keypoints.shape[1:]), np.nan)
    found[tracks.frame, np.searchsorted(people, tracks.track)] = tracks.keypoints
    return found


def test_poses_in_an_array_score_as_the_same_poses_in_a_file(model, tracks, poses, truth_workspace):
    known = model.score(tracks)
    clip = model.score(poses, fps=tracks.fps, frame_size=tracks.frame_size)
    np.testing.assert_allclose(clip.score, known.score, atol=1e-3)  # boxes are drawn around the joints
    assert (clip.people == known.people).all()
    by_name = score(truth_workspace / "tracks" / "normal_0.npz", truth_workspace)
    np.testing.assert_array_equal(known.score, by_name.score)
    assert known.threshold == model.threshold
    followed = model.score(poses, fps=tracks.fps, frame_size=tracks.frame_size, same_people=False)
    assert len(followed) == len(clip)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_tables_go_out_and_come_in(model, tracks, kind):
    pytest.importorskip(kind)
    known = model.score(tracks)
    frames = getattr(known, f"to_{kind}")()
    assert len(frames) == len(known)
    np.testing.assert_array_equal(np.asarray(frames["score"]), known.score)
    assert list(np.asarray(frames["judged"])) == list(known.judged)
    people = getattr(known, f"to_{kind}")("people")
    assert len(people) == len(known.tracks)
    again = model.score(people, fps=tracks.fps, frame_size=tracks.frame_size)
    assert again.tracks.num_tracks == known.tracks.num_tracks
    with pytest.raises(UsageError, match="lacks the columns nose_x"):
        model.score(people[["frame", "track_id"]], fps=25, frame_size=(640, 360))


def test_a_stream_of_poses_ends_with_a_score_for_every_frame(model, tracks, poses):
    stream = model.stream(tracks.fps, tracks.frame_size)
    scores, frames = [], []
    for number in range(len(poses)):
        there = np.isfinite(poses[number]).all((-1, -2))
        pushed = stream.push(poses[number][there], time_s=tracks.time_s[number])
        scores += pushed.scores.score.tolist()
        frames += pushed.scores.frame.tolist()
        assert len(frames) <= number + 1
        assert number - len(frames) < 1.5 * tracks.fps  # ids, cleaning and a block take some time
    end = stream.finish()
    frames += end.scores.frame.tolist()
    assert frames == list(range(len(poses)))
    assert np.isfinite([*scores, *end.scores.score]).all()


def test_a_result_says_in_short_what_it_is(model, tracks):
    clip = model.score(tracks)
    assert repr(clip).startswith(f"<ScoredClip {tracks.clip}: {len(clip)} frames")
    assert len(repr(clip)) < 160
    for part in (clip.tracks, clip.frames):
        assert f"{len(clip)} frames" in repr(part)
        assert len(repr(part)) < 160
    assert "windows" in repr(model)
    assert clip._repr_png_().startswith(b"\x89PNG")


def test_wrong_poses_are_told(model, tracks, poses, tmp_path):
    size = {"fps": tracks.fps, "frame_size": tracks.frame_size}
    with pytest.raises(UsageError, match=r"give fps=25"):
        model.score(poses)
    with pytest.raises(UsageError, match=r"expected an array \(frames, people, 17, 3\)"):
        model.score(poses[:, :, :5], **size)
    with pytest.raises(GepcError, match="within"):
        model.score(poses * 1e6, **size)
    stream = model.stream(25, (64, 48))
    with pytest.raises(UsageError, match="expected a picture"):
        stream.push(np.zeros((3, 4)))
    stream.push(np.zeros((0, 17, 3)))
    with pytest.raises(UsageError, match="not of both"):
        stream.push(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(UsageError, match="expected a time after 0 s"):
        stream.push(np.zeros((0, 17, 3)), time_s=0)
    with pytest.raises(UsageError, match="frame rate above 0"):
        model.stream(0, (64, 48))
    with pytest.raises(GepcError, match="not a complete model bundle"):
        Model.load(tmp_path)


def test_what_is_no_number_or_no_array_is_told(model, tracks, poses):
    size = {"fps": tracks.fps, "frame_size": tracks.frame_size}
    with pytest.raises(UsageError, match="expected an array"):
        model.score([[1], [2, 3]], **size)
    with pytest.raises(UsageError, match="fps: expected a number"):
        model.score(poses, fps="25", frame_size=tracks.frame_size)
    for wrong in ({"fps": "25", "frame_size": (64, 48)}, {"fps": 25, "frame_size": ()}):
        with pytest.raises(UsageError, match="frame rate above 0"):
            model.stream(**wrong)
    for wrong in ({"seed": -1}, {"seed": 1.5}, {"jobs": 0}, {"jobs": -1}):
        with pytest.raises(UsageError, match=rf"{next(iter(wrong))}: expected a whole number"):
            train(**wrong)


def test_a_table_without_rows_is_a_clip_without_people(model, tracks):
    pytest.importorskip("pandas")
    nobody = model.score(tracks).to_pandas("people").iloc[:0]
    clip = model.score(nobody, fps=tracks.fps, frame_size=tracks.frame_size)
    assert len(clip) == len(clip.tracks) == 0


def test_a_frame_that_a_stream_refuses_decides_nothing(model, tracks, poses):
    stream = model.stream(tracks.fps, tracks.frame_size)
    with pytest.raises(UsageError, match="expected a picture of shape"):
        stream.push(np.zeros((3, 3, 3), np.uint8))
    stream.push(poses[0])
    with pytest.raises(UsageError, match="got inf"):
        stream.push(poses[1], time_s=np.inf)
    stream.push(poses[1])
    assert len(stream.finish().scores) == 2


def test_an_export_does_not_take_the_place_of_what_it_reads(tracks, tmp_path):
    path = tmp_path / "tracks" / "a.npz"
    path.parent.mkdir()
    save_tracks(path, tracks)
    before = path.read_bytes()
    for kind, out, options in (("gepc", path.parent, {"skeleton": "coco18"}), ("alphapose", path, {})):
        with pytest.raises(OutputError):
            export(kind, out, tmp_path, tracks=[path], **options)
    assert path.read_bytes() == before
    for kind in ("parquet", "coco-video", "gepc"):
        with pytest.raises(UsageError, match="layers"):
            export(kind, tmp_path / "out", tmp_path, tracks=[path], layers=1)


def test_progress_is_told_to_a_function(tmp_path, truth_workspace):
    from pipeline.progress import shown_to, stage

    heard = []
    with shown_to(lambda *told: heard.append(told)) as quiet, stage("count", "things", 3, quiet) as progress:
        for _ in range(3):
            progress.advance()
    assert heard == [("count", 1, 3), ("count", 2, 3), ("count", 3, 3)]
    with shown_to(False) as quiet:
        assert quiet
