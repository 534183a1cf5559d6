from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pose_extract.errors import VideoError
from pose_extract.video import VideoReader, VideoSource, content_hash, find_sources
from tests.helpers.videos import X264


def tree(root: Path, *names: str) -> Path:
    """Files with something in them; what they hold does not matter to finding them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def found(source) -> list[tuple[str, str]]:
    return [(entry.name, entry.kind) for entry in find_sources(source)]


def test_a_named_file_is_taken_whatever_its_ending(tmp_path):
    tree(tmp_path, "recording.dat")
    (source,) = find_sources(tmp_path / "recording.dat")
    assert source == VideoSource(tmp_path / "recording.dat", "video", "recording")
    assert find_sources(str(tmp_path / "recording.dat")) == [source]


def test_a_folder_gives_its_videos_at_any_depth_in_a_fixed_order(tmp_path):
    tree(tmp_path, "clip10.mp4", "clip9.MP4", "b/deep/er.mkv", "b/one.avi", "notes.txt", "b/sound.mp3")
    assert found(tmp_path) == [("er", "video"), ("one", "video"), ("clip9", "video"), ("clip10", "video")]
    assert find_sources(tmp_path) == find_sources(str(tmp_path))


def test_hidden_files_and_folders_are_skipped(tmp_path):
    tree(tmp_path, "a.mp4", ".b.mp4", ".cache/c.mp4", "frames/.0.png", "frames/1.png")
    assert found(tmp_path) == [("a", "video"), ("frames", "images")]


def test_folders_of_numbered_images_are_a_clip_each(tmp_path):
    tree(
        tmp_path,
        "cam1/2.png",
        "cam1/10.png",
        "cam2/img_1.jpg",
        "cam3/logo.png",
        "cam4/1.mp4",
        "cam4/thumb1.jpg",
    )
    assert found(tmp_path) == [("cam1", "images"), ("cam2", "images"), ("cam4_1", "video")]
    (source,) = find_sources(tmp_path / "cam1")
    assert [path.name for path in source.images()] == ["2.png", "10.png"]


def test_a_glob_gives_what_it_matches(tmp_path):
    tree(
        tmp_path,
        "a.mp4",
        "b.mp4",
        "c.avi",
        "notes.txt",
        "x/d.mp4",
        "raw.dat",
        "shots/f1.png",
        "shots/f2.png",
        "shots/g1.png",
    )
    assert found(tmp_path / "*.mp4") == [("a", "video"), ("b", "video")]
    assert found(tmp_path / "**" / "*.mp4") == [("a", "video"), ("b", "video"), ("d", "video")]
    assert found(str(tmp_path / "[ac].*")) == [("a", "video"), ("c", "video")]
    assert found(tmp_path / "r*.dat") == [("raw", "video")]  # the ending was asked for
    assert found(tmp_path / "?") == [("d", "video")]  # a folder is searched
    (source,) = find_sources(tmp_path / "shots" / "f*.png")
    assert [path.name for path in source.images()] == ["f1.png", "f2.png"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    tree(tmp_path, "take[1].mp4", "take1.mp4")
    assert found(tmp_path / "take[1].mp4") == [("take[1]", "video")]


def test_names_are_unique_and_stay_short_where_they_can(tmp_path):
    tree(tmp_path, "a/x.mp4", "a/x.avi", "b/x.mp4", "y.mp4", "b/X.mkv", "a_x.mp4")
    sources = find_sources(tmp_path)
    names = [source.name for source in sources]
    assert len({name.casefold() for name in names}) == 6
    assert "y" in names
    assert all(os.sep not in name for name in names)
    assert find_sources(tmp_path) == sources


def test_names_tell_the_folders_where_those_differ(tmp_path):
    tree(tmp_path, "cam1/walk.mp4", "cam2/walk.mp4")
    assert found(tmp_path) == [("cam1_walk", "video"), ("cam2_walk", "video")]
    assert found(tmp_path / "*" / "walk.mp4") == [("cam1_walk", "video"), ("cam2_walk", "video")]


def test_names_tell_the_endings_where_those_differ(tmp_path):
    tree(tmp_path, "x.mp4", "x.avi")
    assert found(tmp_path) == [("x_avi", "video"), ("x_mp4", "video")]


def test_long_names_fit_into_a_file_name(tmp_path):
    tree(tmp_path, *(f"{letter}/{'n' * 200}.mp4" for letter in "ab"))
    names = [source.name for source in find_sources(tmp_path)]
    assert len(set(names)) == 2
    assert all(len(name) < 200 for name in names)


def test_a_link_that_leads_back_up_does_not_go_round_for_ever(tmp_path):
    tree(tmp_path, "in/a.mp4")
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    assert found(tmp_path) == [("a", "video")]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("gone.mp4", "no such file"),
        ("*.mp4", "nothing matches"),
        ("rtsp://camera/1", "no such file"),
        (".", "holds no video"),
    ],
)
def test_nothing_found_is_an_error_that_says_what_was_looked_for(tmp_path, monkeypatch, source, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match=words) as caught:
        find_sources(source)
    assert source in str(caught.value)


def test_the_hash_follows_the_content_and_not_the_name(tmp_path):
    tree(tmp_path, "a.mp4", "b.mp4")
    a, b = find_sources(tmp_path)
    assert content_hash(a) != content_hash(b)
    shutil.copy(a.path, b.path)
    assert content_hash(a) == content_hash(b)
    b.path.write_bytes(b.path.read_bytes() + b"\0")
    assert content_hash(a) != content_hash(b)


def test_the_hash_of_images_follows_their_names_and_contents(tmp_path):
    tree(tmp_path, "s/1.png", "s/2.png")
    (source,) = find_sources(tmp_path)
    first = content_hash(source)
    (tmp_path / "s" / "notes.txt").write_text("not part of the clip")
    assert content_hash(source) == first
    (tmp_path / "s" / "2.png").rename(tmp_path / "s" / "3.png")
    renamed = content_hash(source)
    (tmp_path / "s" / "3.png").write_bytes(b"other")
    assert len({first, renamed, content_hash(source)}) == 3


def test_hashing_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        content_hash(VideoSource(tmp_path / "gone.mp4", "video", "gone"))


def test_what_is_no_file_is_an_error_of_that_clip_and_nothing_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "folder").symlink_to(tmp_path)
    sources = find_sources(tmp_path)
    assert [source.name for source in sources] == ["loop", "pipe", "zero"]
    for source in sources:
        with pytest.raises(VideoError, match="cannot be read"):
            content_hash(source)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_a_name(make_video, tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9\n\xff.mp4"
    shutil.copy(make_video("h264.mp4", *X264), odd)
    (source,) = find_sources(tmp_path)
    assert source.name == "caf_e9_0a_ff"
    assert len(list(VideoReader(source))) == 25


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x"])
def test_a_clips_name_is_no_formula(tmp_path, name):
    (tmp_path / f"{name}.mp4").write_bytes(b"x")
    assert find_sources(tmp_path)[0].name == "_" + name


def test_folders_of_recordings_named_by_their_time_are_cameras(tmp_path):
    names = (
        "cam_1/0800.mp4", "cam_1/2024-01-01_09-00-00.mp4", "cam2/2024-01-02/0900.mp4", "cam2/door_7.mp4", "0700.mp4",
        "cam2/01_0014.mp4",
    )  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert sorted(source.name for source in find_sources(tmp_path)) == [
        "01_0014", "0700", "cam-1_0800", "cam-1_2024-01-01_09-00-00", "cam2_2024-01-02_0900", "door_7",
    ]  # fmt: skip


def test_files_of_recorders_are_videos_and_others_are_counted(tmp_path, caplog):
    caplog.set_level("INFO", logger="pose_extract")
    for name in (
        "ch01.264",
        "ch02.265",
        "ch03.dav",
        "ch04.MTS",
        "ch05.ts",
        "a.idx",
        "b.idx",
        "notes",
        ".hidden.xyz",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert [source.name for source in find_sources(tmp_path)] == ["ch01", "ch02", "ch03", "ch04", "ch05"]
    assert "left out, by the endings of their names: 2 .idx, 1 (none)" in caplog.text


def test_pictures_about_a_video_beside_them_are_no_clip(tmp_path):
    (tmp_path / "scene_1.mp4").write_bytes(b"x")
    for folder in ("scene_1_annotations", "scene_2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0001.png").write_bytes(b"x")
    assert [source.name for source in find_sources(tmp_path)] == ["scene_1", "scene_2"]
