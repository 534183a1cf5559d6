"""The tracks cache: what goes in comes out, complete or not at all, and nothing in a file is trusted."""

import io
import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pose_extract.errors import CacheError, OutputError
from pose_extract.files import write_atomically
from pose_extract.tracks import cache
from pose_extract.tracks.cache import TracksWriter, load_header, load_tracks, save_tracks
from pose_extract.tracks.records import ClipTracks, PoseDetections, cut_frames
from tests.helpers.things import things


def some_tracks(rows: int = 6, frames: int = 5) -> ClipTracks:
    rng = np.random.default_rng(0)
    return ClipTracks(
        clip="a clip",
        skeleton="coco17",
        fps=25.0,
        frame_size=(640, 360),
        time_s=np.arange(frames) / 25,
        frame=np.sort(rng.integers(0, frames, rows)).astype(np.int32),
        track=np.arange(1, rows + 1, dtype=np.int32),
        keypoints=rng.random((rows, 17, 3), np.float32),
        boxes=rng.random((rows, 4), np.float32),
        provenance={"source": "x.mp4", "key": "k"},
    )


def assert_same(a: ClipTracks, b: ClipTracks) -> None:
    for name in ("time_s", "frame", "track", "keypoints", "boxes"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert (a.clip, a.skeleton, a.fps, a.frame_size, a.provenance) == (
        b.clip,
        b.skeleton,
        b.fps,
        b.frame_size,
        b.provenance,
    )


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_tracks_survive_a_round_trip_unchanged(tmp_path, rows):
    tracks = some_tracks(rows)
    save_tracks(tmp_path / "a.npz", tracks)
    assert_same(load_tracks(tmp_path / "a.npz"), tracks)
    assert load_header(tmp_path / "a.npz")["provenance"]["key"] == "k"


def with_features(tracks: ClipTracks, dimensions: int = 8, dtype: type = np.float32) -> ClipTracks:
    values = np.random.default_rng(1).normal(0, 3, (len(tracks), 17, dimensions))
    return replace(tracks, features=values.astype(dtype))


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_features_are_kept_in_half_precision_and_mapped(tmp_path, rows):
    tracks = with_features(some_tracks(rows))
    save_tracks(tmp_path / "a.npz", tracks)
    loaded = load_tracks(tmp_path / "a.npz")
    assert_same(loaded, tracks)
    if rows == 0:  # nobody to have any
        assert loaded.features is None
        return
    assert loaded.features.dtype == np.float16
    assert isinstance(loaded.features, np.memmap)
    np.testing.assert_allclose(loaded.features, tracks.features, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(loaded.features, tracks.features.astype(np.float16))


def test_features_written_again_are_the_same_to_the_byte(tmp_path):
    save_tracks(tmp_path / "a.npz", with_features(some_tracks()))
    save_tracks(tmp_path / "b.npz", load_tracks(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_frames_people_bring_their_features_along(tmp_path, dtype):
    tracks = with_features(some_tracks(), 5, dtype)
    with TracksWriter(tmp_path / "a.npz") as writer:
        for frame, time_s in enumerate(tracks.time_s):
            rows = tracks.frame == frame
            ones = np.ones(rows.sum(), np.float32)
            people = PoseDetections(tracks.boxes[rows], tracks.keypoints[rows], ones, tracks.features[rows])
            writer.add_frame(time_s)
            writer.add_people(frame, tracks.track[rows], people)
        writer.finish_like(tracks)
    np.testing.assert_array_equal(
        load_tracks(tmp_path / "a.npz").features, tracks.features.astype(np.float16)
    )


def test_features_too_large_for_half_precision_stay_finite(tmp_path):
    tracks = with_features(some_tracks())
    tracks.features[0, 0, :3] = 1e6, -1e6, np.nan
    save_tracks(tmp_path / "a.npz", tracks)
    first = load_tracks(tmp_path / "a.npz").features[0, 0]
    np.testing.assert_array_equal(first[:3], np.array([65504, -65504, np.nan], np.float16))


def test_features_can_be_left_out_when_reading(tmp_path):
    save_tracks(tmp_path / "a.npz", with_features(some_tracks()))
    loaded = load_tracks(tmp_path / "a.npz", features=False)
    assert loaded.features is None
    assert_same(loaded, some_tracks())


def test_features_of_another_shape_or_precision_are_damage(tmp_path):
    save_tracks(tmp_path / "a.npz", with_features(some_tracks()))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for wrong in (np.zeros((6, 17, 8), np.float32), np.zeros((6, 16, 8), np.float16)):
        buffer = io.BytesIO()
        np.save(buffer, wrong)
        with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
            for name, content in {**members, "features.npy": buffer.getvalue()}.items():
                archive.writestr(name, content)
        with pytest.raises(CacheError, match="features"):
            load_tracks(tmp_path / "b.npz")


def test_things_beside_the_people_are_kept_and_where_nobody_looked_is_told_from_where_there_was_nothing(
    tmp_path,
):
    tracks = some_tracks()
    with TracksWriter(tmp_path / "a.npz") as writer:
        writer.add_part(tracks)
        writer.add_things(0, things(2, 1))
        writer.add_things(2, things())
        writer.add_things(4, things(16))
        writer.finish_like(tracks)
    read = load_tracks(tmp_path / "a.npz")
    assert_same(read, tracks)
    found = read.things
    assert found.looked.tolist() == [0, 2, 4]
    assert found.at(0).kinds.tolist() == found.at(1).kinds.tolist() == [2, 1]  # a look stands until the next
    assert len(found.at(2)) == 0
    np.testing.assert_array_equal(found.at(4).boxes, things(16).boxes)
    save_tracks(tmp_path / "b.npz", read)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_tracks_without_things_have_none(tmp_path):
    save_tracks(tmp_path / "a.npz", some_tracks())
    assert load_tracks(tmp_path / "a.npz").things is None


@pytest.mark.parametrize(("dimensions", "bytes_a_row"), [(0, 228), (64, 2404)])
def test_a_row_takes_the_stated_space(tmp_path, dimensions, bytes_a_row):
    sizes = []
    for rows in (0, 1000):
        tracks = some_tracks(rows, 1)
        if dimensions:
            tracks = with_features(tracks, dimensions)
        save_tracks(tmp_path / "a.npz", tracks)
        sizes.append((tmp_path / "a.npz").stat().st_size)
    assert sizes[1] - sizes[0] == pytest.approx(1000 * bytes_a_row, abs=500)


def test_numpy_reads_the_file_without_pickle(tmp_path):
    tracks = some_tracks()
    save_tracks(tmp_path / "a.npz", tracks)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["keypoints"], tracks.keypoints)
        assert json.loads(bytes(file["header"]))["clip"] == "a clip"


def test_equal_tracks_give_equal_files(tmp_path):
    save_tracks(tmp_path / "a.npz", some_tracks())
    save_tracks(tmp_path / "b.npz", some_tracks())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_arrays_are_mapped_not_loaded(tmp_path):
    save_tracks(tmp_path / "a.npz", some_tracks())
    assert isinstance(load_tracks(tmp_path / "a.npz").keypoints, np.memmap)


def test_a_writer_left_without_finish_leaves_nothing(tmp_path):
    with TracksWriter(tmp_path / "a.npz") as writer:
        writer.add_frame(0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.npz"
    save_tracks(path, some_tracks())
    old = path.read_bytes()
    with pytest.raises(RuntimeError), TracksWriter(path) as writer:
        writer.add_frame(0.0)
        raise RuntimeError
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_said_plainly(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SpooledTemporaryFile", lambda *_, **__: open("/dev/full", "w+b"))  # noqa: SIM115
    with pytest.raises(OutputError, match="disk is full"), TracksWriter(tmp_path / "a.npz") as writer:
        for _ in range(5000):
            writer.add_frame(0.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_in_the_end_is_said_plainly(tmp_path, monkeypatch):
    real_open = open

    def full(name, mode="r", *args, **kwargs):
        return real_open("/dev/full" if "w" in mode else name, mode, *args, **kwargs)

    path = tmp_path / "a.npz"
    save_tracks(path, some_tracks())
    old = path.read_bytes()
    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OutputError, match="disk is full"):
        save_tracks(path, some_tracks())
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_too_much_for_memory_waits_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_IN_MEMORY", 100)
    save_tracks(tmp_path / "small.npz", some_tracks())
    monkeypatch.undo()
    save_tracks(tmp_path / "large.npz", some_tracks())
    assert (tmp_path / "small.npz").read_bytes() == (tmp_path / "large.npz").read_bytes()


def test_write_atomically_makes_missing_folders(tmp_path):
    write_atomically(tmp_path / "x" / "y.json", b"1")
    assert (tmp_path / "x" / "y.json").read_bytes() == b"1"


def _bad_files(good: bytes) -> dict[str, bytes]:
    pickled = io.BytesIO()
    np.savez(pickled, header=np.array([{"a": 1}], dtype=object))
    compressed = io.BytesIO()
    np.savez_compressed(compressed, header=np.zeros(10_000_000, np.uint8))
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w") as archive:
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)}
        )
        archive.writestr("header.npy", member.getvalue())
    foreign = io.BytesIO()
    np.savez(foreign, header=np.frombuffer(b'{"format": "other"}', np.uint8))
    return {
        "empty": b"",
        "text": b"hello",
        "cut": good[: len(good) // 2],
        "pickled": pickled.getvalue(),
        "compressed": compressed.getvalue(),
        "huge": huge.getvalue(),
        "foreign": foreign.getvalue(),
    }


@pytest.mark.parametrize(
    "kind", ["empty", "text", "cut", "pickled", "compressed", "huge", "foreign", "missing"]
)
def test_a_damaged_or_foreign_file_is_a_clear_error(tmp_path, kind):
    save_tracks(tmp_path / "good.npz", some_tracks())
    path = tmp_path / "bad.npz"
    if kind != "missing":
        path.write_bytes(_bad_files((tmp_path / "good.npz").read_bytes())[kind])
    said = r"bad\.npz" if kind == "missing" else r"bad\.npz.*[Ee]xtract the clip again"
    with pytest.raises(CacheError, match=said):
        load_tracks(path)


@pytest.mark.parametrize(("rows", "synced"), [(100, 0), (10_000, 1)])
def test_what_took_long_is_put_on_the_disk_and_what_is_soon_made_again_is_not(
    tmp_path, monkeypatch, rows, synced
):
    calls = []
    monkeypatch.setattr(os, "fsync", calls.append)
    tracks = some_tracks(rows, rows)
    with TracksWriter(tmp_path / "a.npz", durable=False) as writer:
        writer.add_part(tracks)
        writer.finish_like(tracks)
    assert len(calls) == synced


def test_a_piece_of_a_video_may_be_without_frames_and_a_clip_may_not(tmp_path):
    save_tracks(tmp_path / "a.npz", cut_frames(some_tracks(), 0, 0))
    assert load_tracks(tmp_path / "a.npz", no_frames=True).frame_count == 0
    with pytest.raises(CacheError, match="one frame or more"):
        load_tracks(tmp_path / "a.npz")


def test_another_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pose_extract.tracks.cache.FORMAT_VERSION", 99)
    save_tracks(tmp_path / "a.npz", some_tracks())
    monkeypatch.undo()
    with pytest.raises(CacheError, match="version 99"):
        load_tracks(tmp_path / "a.npz")


def test_every_flipped_byte_gives_the_same_data_or_a_clear_error(tmp_path):
    tracks = some_tracks()
    save_tracks(tmp_path / "a.npz", tracks)
    good = (tmp_path / "a.npz").read_bytes()
    rng, noticed = np.random.default_rng(1), 0
    for position in rng.permutation(len(good))[:400]:
        bad = bytearray(good)
        bad[position] ^= 0xFF
        (tmp_path / "a.npz").write_bytes(bytes(bad))
        try:
            loaded = load_tracks(tmp_path / "a.npz")
        except CacheError:
            noticed += 1
            continue
        assert_same(loaded, tracks)
    assert noticed > 200


@pytest.mark.parametrize("name", ["time_s", "frame", "track", "keypoints", "boxes"])
def test_a_flipped_bit_in_an_array_is_noticed(tmp_path, name):
    tracks = some_tracks()
    save_tracks(tmp_path / "a.npz", tracks)
    good = bytearray((tmp_path / "a.npz").read_bytes())
    place = bytes(good).index(getattr(tracks, name).tobytes())
    good[place] ^= 1  # the lowest bit of the first number
    (tmp_path / "a.npz").write_bytes(bytes(good))
    with pytest.raises(CacheError, match=rf"a\.npz.*{name}"):
        load_tracks(tmp_path / "a.npz")
    assert load_header(tmp_path / "a.npz")["clip"] == "a clip"  # reads no array


def test_parts_of_a_clip_are_put_one_after_the_other(tmp_path):
    whole = with_features(some_tracks(30, 12))
    with TracksWriter(tmp_path / "a.npz") as writer:
        assert writer.rows == 0
        assert len(writer.read_times()) == 0
        for begin, end in ((0, 5), (5, 9), (9, 12)):
            part = cut_frames(whole, begin, end)
            assert part.frame.min() < 5  # frames of a part count from its own first one
            writer.add_part(part, begin)
        assert writer.rows == 30
        np.testing.assert_array_equal(writer.read_times(), whole.time_s)
        writer.finish_like(whole)
    loaded = load_tracks(tmp_path / "a.npz")
    assert_same(loaded, whole)
    np.testing.assert_array_equal(loaded.features, whole.features.astype(np.float16))


def test_features_of_any_length_do_not_slow_opening_and_the_rest_is_read_once(tmp_path, monkeypatch):
    save_tracks(tmp_path / "a.npz", with_features(some_tracks()))
    opened = []
    original = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile,
        "open",
        lambda self, name, *a, **k: opened.append(name) or original(self, name, *a, **k),
    )
    load_tracks(tmp_path / "a.npz")
    assert sorted(opened) == [
        f"{name}.npy" for name in ("boxes", "frame", "header", "keypoints", "time_s", "track")
    ]


# ---- members that another program, or nobody, would write


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0), **header) -> bytes:
    """A .npy file, with another header than the array's where one is given."""
    out = io.BytesIO()
    out.write(np.lib.format.magic(*version))
    fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    text = f"{fields}\n".encode()
    out.write(len(text).to_bytes(2 if version == (1, 0) else 4, "little") + text + array.tobytes())
    return out.getvalue()


def with_member(path, name: str, data: bytes | None, **options) -> None:
    """The tracks file with a member put in the place of that of the same name, or taken out."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members.pop(f"{name}.npy", None)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for filename, kept in members.items():
            archive.writestr(filename, kept)
        if data is not None:
            archive.writestr(f"{name}.npy", data, **options)


TRACKS = some_tracks()
JOINTS = TRACKS.keypoints


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("keypoints", npy(JOINTS.astype(np.float64)), "holds float64, expected float32 in C order"),
        ("keypoints", npy(JOINTS, fortran_order=True), "holds float32, expected float32 in C order"),
        ("keypoints", npy(JOINTS, (2, 0)), r"has \.npy version \(2, 0\)"),
        ("keypoints", npy(JOINTS, shape=(7, 17, 3)), "is longer than the file|bad|expected"),
        ("keypoints", npy(JOINTS, shape=(1 << 50, 17, 3)), "is longer than the file"),
        ("keypoints", npy(JOINTS, shape=(-6, -17, 3)), r"has shape \(-6, -17, 3\)"),
        ("keypoints", npy(JOINTS[:5]), "keypoints|rows|expected"),
        ("frame", npy(TRACKS.frame.astype(np.int64)), "holds int64, expected int32"),
        ("time_s", None, "damaged"),
        ("colours", npy(JOINTS), r"unknown members \['colours'\]"),
        ("header", npy(np.frombuffer(b"[1, 2]", np.uint8)), "header is not that of a tracks file"),
        ("header", npy(np.frombuffer(b'{"format": NaN}', np.uint8)), "header is not that of a tracks file"),
        ("header", npy(np.frombuffer(b"{", np.uint8)), "expected a tracks file"),
        ("header", None, "expected a tracks file"),
    ],
)
def test_a_member_that_is_none_of_ours_is_a_clear_error(tmp_path, name, data, message):
    save_tracks(tmp_path / "a.npz", TRACKS)
    with_member(tmp_path / "a.npz", name, data)
    with pytest.raises(CacheError, match=message):
        load_tracks(tmp_path / "a.npz")


def test_a_file_that_was_written_anew_by_others_with_the_same_content_is_read(tmp_path):
    save_tracks(tmp_path / "a.npz", TRACKS)
    with_member(tmp_path / "a.npz", "boxes", npy(TRACKS.boxes))
    assert_same(load_tracks(tmp_path / "a.npz"), TRACKS)
    with_member(tmp_path / "a.npz", "boxes", npy(TRACKS.boxes), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(CacheError, match=r"member boxes\.npy is compressed"):
        load_tracks(tmp_path / "a.npz")


def test_a_member_without_its_local_header_is_damage(tmp_path):
    save_tracks(tmp_path / "a.npz", TRACKS)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        place = archive.getinfo("boxes.npy").header_offset
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[place + 3] ^= 1
    (tmp_path / "a.npz").write_bytes(bytes(data))
    for read in (load_tracks, load_header):
        with pytest.raises(CacheError, match=r"member boxes\.npy has no local header"):
            read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("member", "wrong", "said"),
    [
        ("things_quality", np.ones(3, np.float32), "expected quality of shape"),
        ("things_looked", np.array([5], np.int32), "in order of frames that were looked at"),
        ("things_boxes", np.full((2, 4), np.nan, np.float32), "expected boxes that are finite"),
    ],
)
def test_arrays_of_things_that_do_not_fit_together_are_damage(tmp_path, member, wrong, said):
    with TracksWriter(tmp_path / "a.npz") as writer:
        writer.add_part(TRACKS)
        writer.add_things(1, things(3, 7))
        writer.finish_like(TRACKS)
    assert load_tracks(tmp_path / "a.npz").things.things.kinds.tolist() == [3, 7]
    with_member(tmp_path / "a.npz", member, npy(wrong))
    with pytest.raises(CacheError, match=said):
        load_tracks(tmp_path / "a.npz")


def test_a_frame_without_people_adds_a_time_and_no_row(tmp_path):
    with TracksWriter(tmp_path / "a.npz") as writer:
        for frame in range(3):
            writer.add_frame(frame / 10)
            writer.add_people(frame, np.zeros(0, np.int32), PoseDetections.empty(17))
        assert writer.rows == 0
        assert writer.read_times().tolist() == [0.0, 0.1, 0.2]
        writer.finish_like(replace(TRACKS, fps=10.0))
    loaded = load_tracks(tmp_path / "a.npz")
    assert (loaded.frame_count, len(loaded)) == (3, 0)
    assert loaded.keypoints.shape == (0, 17, 3)
    assert loaded.boxes.shape == (0, 4)
    assert loaded.features is None


def test_a_number_of_the_header_that_is_none_is_not_taken_for_one(tmp_path):
    save_tracks(tmp_path / "a.npz", TRACKS)
    header = load_header(tmp_path / "a.npz") | {"fps": float("nan")}
    with_member(tmp_path / "a.npz", "header", npy(np.frombuffer(json.dumps(header).encode(), np.uint8)))
    for read in (load_tracks, load_header):
        with pytest.raises(CacheError, match="fps"):
            read(tmp_path / "a.npz")
