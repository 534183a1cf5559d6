"""Videos by address: found, told apart, fetched."""

import numpy as np
import pytest

from pose_extract.errors import UsageError, VideoError
from pose_extract.video import VideoReader, VideoWriter
from pose_extract.video.remote import fetched, find_by_address, is_address, mark_of

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(tmp_path):
    """A file system in memory: two cameras' videos, and what is none."""
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 10, (64, 48)) as writer:
        for level in (50, 90, 130):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    system = fsspec.filesystem("memory")
    names = (
        "/shop/cam1/0800.mp4",
        "/shop/cam2/0800.mp4",
        "/shop/cam1/.hidden.mp4",
        "/shop/notes.txt",
        "/shop/bad.mp4",
    )
    for name in names:
        system.pipe(name, b"no video" if name.endswith(("txt", "bad.mp4")) else path.read_bytes())
    yield system
    system.rm("/shop", recursive=True)


def test_folders_patterns_and_single_videos_are_found(bucket):
    assert is_address("s3://bucket/a.mp4")
    assert not is_address("videos/a.mp4")
    found = find_by_address("memory://shop/")
    assert [source.name for source in found] == ["bad", "cam1_0800", "cam2_0800"]
    assert [source.location for source in found[1:]] == [
        "memory:///shop/cam1/0800.mp4",
        "memory:///shop/cam2/0800.mp4",
    ]
    assert [source.name for source in find_by_address("memory://shop/*/*.mp4")] == ["cam1_0800", "cam2_0800"]
    assert [source.name for source in find_by_address("memory://shop/cam2/0800.mp4")] == ["0800"]


def test_a_video_is_fetched_for_as_long_as_it_is_read(bucket):
    (source,) = find_by_address("memory://shop/cam1/0800.mp4")
    with fetched(source) as here:
        assert [round(float(frame.image.mean())) for frame in VideoReader(here)] == pytest.approx(
            [50, 90, 130], abs=3
        )
        assert here.location == source.location
        with fetched(here) as again:
            assert again is here
    assert not here.path.exists()
    (bad,) = find_by_address("memory://shop/bad.mp4")
    with pytest.raises(VideoError, match=r"^memory:///shop/bad\.mp4 is not a video"), fetched(bad) as here:
        VideoReader(here)


def test_other_content_has_another_mark(bucket):
    address = "memory:///shop/cam1/0800.mp4"
    before = mark_of(address)
    assert mark_of(address) == before != mark_of("memory:///shop/cam2/0800.mp4")
    bucket.pipe("/shop/cam1/0800.mp4", b"something else")
    assert mark_of(address) != before


def test_what_cannot_be_read_is_said(bucket, monkeypatch):
    with pytest.raises(VideoError, match="there is no video"):
        find_by_address("memory://shop/absent.mp4")
    with pytest.raises(VideoError, match="nosuch://x cannot be read: Protocol not known"):
        find_by_address("nosuch://x")
    (source,) = find_by_address("memory://shop/cam1/0800.mp4")
    bucket.rm("/shop/cam1/0800.mp4")
    with pytest.raises(VideoError, match="cannot be read"), fetched(source):
        pass
    with pytest.raises(VideoError, match="cannot be read"):
        mark_of(source.address)
    monkeypatch.setattr(
        fsspec, "url_to_fs", lambda address: (_ for _ in ()).throw(ImportError("Install s3fs"))
    )
    with pytest.raises(UsageError, match="Install s3fs"):
        find_by_address("s3://bucket/")
