"""The data of the review page: complete, exact where the page computes with it, and safe wherever it stands."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.review.clip import highest, time_knots
from pipeline.review.files import NewPage, check_folder, packed, plain_text, script
from pipeline.review.playable import browser_plays, provide_video, relative_url
from pipeline.review.poses import PoseFiles, levels
from pose_extract.errors import OutputError
from pose_extract.tracks.clip_time import film_cuts
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoReader, VideoSource
from pose_extract.video.ffmpeg import encoders, find_ffmpeg, probe
from tests.helpers.things import clip_things, things
from tests.helpers.videos import X264, run_ffmpeg

NASTY = "<img src=x onerror=alert(1)>\"'&</script><!-- \u2028 \udcff"


def data_of(script_text: bytes):
    """Name and data that a script hands to the page."""
    match = re.fullmatch(r"gepc\.receive\((\".*?\"),(.*)\);\n", script_text.decode("ascii"), re.DOTALL)
    return json.loads(match[1]), json.loads(match[2])


def array(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


# ---- files


def test_a_script_is_ascii_without_markup_and_reads_back_as_it_was():
    text = script("clip", {"name": NASTY, NASTY: [1, None]})
    assert b"<" not in text
    assert data_of(text) == ("clip", {"name": NASTY, NASTY: [1, None]})


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(ValueError):
        script("clip", {"score": float("nan")})


def test_a_name_that_is_no_text_becomes_text():
    assert plain_text("caf\udce9.mp4") == "caf\ufffd.mp4"
    plain_text(NASTY).encode("utf-8")


# ---- curves and times


@given(st.integers(1, 5000), st.integers(1, 200))
def test_a_small_curve_loses_no_peak(length, columns):
    score = np.random.default_rng(length).normal(size=length).astype(np.float32)
    thin = highest(score, columns)
    assert len(thin) <= max(columns, 1)
    assert thin.max() == score.max()


def test_times_of_a_constant_rate_are_two_knots_and_others_are_kept_to_two_milliseconds():
    constant = np.arange(100_000) / 29.97
    assert [k[0] for k in time_knots(constant, 25)] == [0, 99_999]
    rng = np.random.default_rng(2)
    varying = np.cumsum(rng.choice([1 / 30, 1 / 15, 0.5], 2000, p=[0.8, 0.19, 0.01]))
    knots = np.array(time_knots(varying, 25))
    assert np.abs(np.interp(np.arange(2000), *knots.T) - varying).max() <= 0.00101
    assert time_knots(np.zeros(0), 25) == []
    assert time_knots(np.zeros(1), 25) == [[0, 0.0]]


# ---- poses


def made_tracks(frames=130, fps=25.0, people=3, seed=0, depth=False) -> ClipTracks:
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.arange(frames, dtype=np.int32), people)
    track = np.tile(np.arange(1, people + 1, dtype=np.int32), frames)
    corner = rng.uniform(0, 300, (len(frame), 2))
    size = rng.uniform(20, 180, (len(frame), 2))
    inside = rng.uniform(0, 1, (len(frame), 17, 2))
    confidence = rng.uniform(0, 1, (len(frame), 17, 1))
    parts = [corner[:, None] + inside * size[:, None], *([inside[..., :1]] if depth else []), confidence]
    keypoints, boxes = np.concatenate(parts, axis=2), np.concatenate([corner, corner + size], axis=1)
    return ClipTracks(
        "made", "coco17", fps, (640, 480), np.arange(frames) / fps, frame, track,
        keypoints.astype(np.float32), boxes.astype(np.float32),
    )  # fmt: skip


def write_poses(
    folder: Path, tracks: ClipTracks, percentile: np.ndarray, part_frames: int | None = None
) -> PoseFiles:
    from pose_extract.tracks.records import cut_frames

    poses = PoseFiles(folder, "clip", tracks)
    part_frames = part_frames or poses.part_frames
    for begin in range(0, tracks.frame_count, part_frames):
        stop = min(begin + part_frames, tracks.frame_count)
        rows = slice(*np.searchsorted(tracks.frame, [begin, stop]))
        poses.add(begin, cut_frames(tracks, begin, stop), percentile[rows])
    return poses


def read_poses(folder: Path, poses: PoseFiles):
    """(frame, track, level, joints (V, 2) with NaN) of every person in every sample."""
    about = poses.describe()
    for number in about["pieces"]:
        name, data = data_of((folder / f"clip/poses-{number}.js").read_bytes())
        assert name == f"clip/poses-{number}"
        start, track, level = (
            array(data["start"], "<u4"),
            array(data["track"], "<u4"),
            array(data["level"], "u1"),
        )
        box = array(data["box"], "<i2").reshape(-1, 4).astype(float)
        joints = array(data["joints"], "u1").reshape(len(track), about["joints"], 2).astype(float)
        for sample in range(about["samples"]):
            for row in range(start[sample], start[sample + 1]):
                place = box[row, :2] + joints[row] / 254 * np.maximum(box[row, 2:] - box[row, :2], 1)
                place[joints[row, :, 0] == 255] = np.nan
                yield (number * about["samples"] + sample) * about["step"], track[row], level[row], place


@pytest.mark.parametrize("depth", [False, True])
def test_poses_come_back_to_half_a_pixel_and_unseen_joints_stay_unseen(tmp_path, depth):
    tracks = made_tracks(depth=depth)
    percentile = np.where(tracks.track == 2, np.nan, 100.0 * (tracks.track == 1))
    poses = write_poses(tmp_path, tracks, percentile)
    found = list(read_poses(tmp_path, poses))
    assert poses.describe()["step"] == 2
    assert [(f, t) for f, t, _, _ in found] == [(f, t) for f in range(0, 130, 2) for t in (1, 2, 3)]
    for frame, track, level, place in found:
        row = 3 * frame + track - 1
        seen = tracks.keypoints[row, :, -1] >= 0.3
        assert np.array_equal(np.isfinite(place[:, 0]), seen)
        assert np.abs(place - tracks.keypoints[row, :, :2])[seen].max() < 0.5
        assert level == {1: 255, 2: 0, 3: 1}[track]


def test_joints_in_metres_are_not_drawn_as_pixels(tmp_path):
    tracks = made_tracks(frames=4, depth=True)
    far = tracks.keypoints.copy()
    far[..., :2] = far[..., :2] / 1000 + 2000
    found = read_poses(
        tmp_path,
        write_poses(tmp_path, ClipTracks(**{**vars(tracks), "keypoints": far}), np.zeros(len(tracks))),
    )
    assert all(np.isnan(place).all() for *_, place in found)


def test_poses_do_not_depend_on_the_parts_that_the_clip_comes_in(tmp_path):
    tracks = made_tracks(frames=3000)
    percentile = np.random.default_rng(3).uniform(0, 100, len(tracks))
    whole = write_poses(tmp_path / "whole", tracks, percentile, 10**6)
    parts = write_poses(tmp_path / "parts", tracks, percentile, 500)  # one piece each: 20 seconds
    assert whole.describe() == parts.describe()
    assert len(whole.describe()["pieces"]) == 6
    for path in sorted((tmp_path / "whole/clip").iterdir()):
        assert path.read_bytes() == (tmp_path / "parts/clip" / path.name).read_bytes()


@pytest.mark.parametrize("size", [6, 7, 499, 501])
def test_poses_of_scores_that_come_in_short_blocks_are_all_there(tmp_path, size):
    tracks = made_tracks(frames=1203)
    percentile = np.random.default_rng(3).uniform(0, 100, len(tracks))
    whole = write_poses(tmp_path / "whole", tracks, percentile, 10**6)
    blocks = write_poses(tmp_path / "blocks", tracks, percentile, size)  # as those of online scores
    assert whole.describe() == blocks.describe()
    assert whole.bytes == blocks.bytes
    for path in sorted((tmp_path / "whole/clip").iterdir()):
        assert path.read_bytes() == (tmp_path / "blocks/clip" / path.name).read_bytes()


def test_things_are_kept_as_of_each_look_and_people_who_stay_are_none(tmp_path):
    car = things(2, 0, ids=[4, 1], boxes=[[10.4, 20, 30, 41], [0, 0, 5, 5]])
    tracks = replace(made_tracks(frames=1100), things=clip_things(1100, 3, f6=car, f600=car))
    percentile = np.zeros(len(tracks))
    poses = write_poses(tmp_path, tracks, percentile)
    found = {}
    for number in poses.describe()["pieces"]:
        things_of = data_of((tmp_path / f"clip/poses-{number}.js").read_bytes())[1]["things"]
        if things_of is not None:
            start, looks = array(things_of["start"], "<u4"), array(things_of["frame"], "<u4")
            assert len(start) == len(looks) + 1
            rows = [(int(f) + 500 * number, slice(*start[i : i + 2])) for i, f in enumerate(looks)]
            ids, boxes = array(things_of["id"], "<u4"), array(things_of["box"], "<i2").reshape(-1, 4)
            found |= {f: (ids[own].tolist(), boxes[own].tolist()) for f, own in rows if own.start < own.stop}
    assert found == {f: ([4], [[10, 20, 30, 41]]) for f in (6, 600)}
    parts = write_poses(tmp_path / "parts", tracks, percentile, 500)
    for path in sorted((tmp_path / "clip").iterdir()):
        assert path.read_bytes() == (tmp_path / "parts/clip" / path.name).read_bytes()
    assert parts.bytes == poses.bytes


def test_levels_are_percentiles_in_bytes():
    assert levels(np.array([np.nan, 0.0, 50.0, 100.0])).tolist() == [0, 1, 128, 255]
    assert packed([1.5, -2.0], "f4") == base64.b64encode(np.array([1.5, -2.0], "<f4").tobytes()).decode()


# ---- videos


def test_what_browsers_play_is_told_from_what_they_do_not(make_video):
    assert browser_plays(make_video("a.mp4", *X264, "-pix_fmt", "yuv420p"))
    assert not browser_plays(make_video("full.mp4", "-c:v", "libx264", "-pix_fmt", "yuv444p"))
    assert not browser_plays(make_video("a.avi", "-c:v", "mpeg4"))
    assert not browser_plays(make_video("part2.mp4", "-c:v", "mpeg4"))
    assert not browser_plays(make_video("a.mkv", *X264))
    if "libvpx-vp9" in encoders(find_ffmpeg()):
        assert browser_plays(make_video("a.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime"))


def test_a_playable_video_is_linked_or_copied_and_another_is_transcoded_once(make_video, tmp_path):
    playable, other = make_video("a #1.mp4", *X264), make_video("b.avi", "-c:v", "mpeg4", size=(66, 50))
    page = tmp_path / "page"
    linked = provide_video(VideoSource(playable, "video", "a"), page, "one", "link", quiet=True)
    assert linked.how == "linked"
    assert "a%20%231.mp4" in linked.url
    copied = provide_video(VideoSource(playable, "video", "a"), page, "one", "copy", quiet=True)
    assert (copied.how, copied.url) == ("copied", "./videos/one.mp4")
    assert (page / "videos/one.mp4").read_bytes() == playable.read_bytes()
    made = provide_video(VideoSource(other, "video", "b"), page, "two", "link", quiet=True)
    assert (made.how, made.url) == ("transcoded", "./videos/two.mp4")
    assert browser_plays(page / "videos/two.mp4")
    assert probe(page / "videos/two.mp4").size == (66, 50)
    before = (page / "videos/two.mp4").stat().st_mtime_ns
    provide_video(VideoSource(other, "video", "b"), page, "two", "copy", quiet=True)
    assert (page / "videos/two.mp4").stat().st_mtime_ns == before
    assert provide_video(VideoSource(other, "video", "b"), page, "two", "none").url is None


def test_an_address_can_be_nothing_but_a_file(tmp_path):
    (tmp_path / "page").mkdir()
    for name in ("javascript:alert(1)", '"><img src=x>', "a?b#c%20.mp4", "caf\udce9.mp4"):
        url = relative_url(tmp_path / name, tmp_path / "page")
        assert url.startswith("./../")
        assert re.fullmatch(r"[\w./%~-]+", url)


# ---- the page's own files


def test_the_page_is_shipped_whole_and_asks_for_nothing_else():
    page = files("pipeline.review").joinpath("page")
    names = {file.name for file in page.iterdir()}
    html = page.joinpath("index.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r'(?:src|href)="([^"#]+)"', html)) - {"data:,"}
    assert wanted == (names - {"index.html"}) | {"data/report.js"}
    for name in names:
        text = page.joinpath(name).read_text(encoding="utf-8")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        for way_out in (
            "fetch(",
            "XMLHttpRequest",
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "eval(",
            "document.write",
            "@import",
            "url(",
        ):
            assert way_out not in text, (name, way_out)
    assert not re.search(r"\son\w+=|<style|style=", html)  # the page's policy forbids them


def test_every_element_that_the_scripts_ask_for_is_there():
    page = files("pipeline.review").joinpath("page")
    html = page.joinpath("index.html").read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    made = {"figure-person"}
    for file in page.iterdir():
        if file.name.endswith(".js"):
            text = file.read_text(encoding="utf-8")
            assert set(re.findall(r'(?:gepc\.\$|\bon)\("([\w-]+)"', text)) <= set(ids) | made, file.name


def test_a_folder_with_another_page_is_not_overwritten(tmp_path):
    check_folder(tmp_path / "new")
    (tmp_path / "index.html").write_text("<h1>my homepage</h1>")
    with pytest.raises(OutputError, match="not of a report"):
        check_folder(tmp_path)
    (tmp_path / "index.html").unlink()
    (tmp_path / "data").mkdir()
    with pytest.raises(OutputError, match="not of a report"):
        check_folder(tmp_path)


def test_the_film_of_a_clip_with_holes_goes_on_without_them(tmp_path):
    path = tmp_path / "holes.mkv"
    times = "setpts='PTS+gte(N,10)*3600/TB'"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x48:r=10", "-frames:v", "20", "-vf", times, "-fps_mode", "passthrough",
        "-c:v", "mjpeg", path,
    )  # fmt: skip
    frames = np.array([frame.time_s for frame in VideoReader(path)])
    np.testing.assert_allclose(film_cuts(frames, 10.0), [(0, 0), (1, 3601)], atol=0.01)
    made = provide_video(
        VideoSource(path, "video", "holes"), tmp_path / "page", "one", "link", quiet=True, whole=False
    )
    film = [frame.time_s for frame in VideoReader(tmp_path / "page" / made.url)]
    assert made.how == "transcoded"
    np.testing.assert_allclose(film, np.arange(20) / 10, atol=0.01)


def test_what_was_begun_and_failed_is_not_left_in_the_page(tmp_path):
    with NewPage.begun(tmp_path / "page") as page:
        names = [page.folder_for("key") for _ in range(3)]
        assert names == ["key", "key-2", "key-3"]
        page.keep(["key-2"])
        assert [path.name for path in page.data.iterdir()] == ["key-2"]
    assert not list((tmp_path / "page").iterdir())
