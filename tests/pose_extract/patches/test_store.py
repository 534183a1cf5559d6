"""Features on disk: in chunks, complete or absent, read no further than asked."""

from __future__ import annotations

import numpy as np
import pytest

from pose_extract.errors import CacheError
from pose_extract.patches import store as stores
from pose_extract.patches.store import PatchStore, disk_bytes, open_patches, patches_path
from pose_extract.tracks.feature_rows import FeatureRows

KIND = {"crops": {"size": 16}, "tracks": "abc"}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(stores, "CHUNK_ROWS", 8)


def features(rows=20, joints=3, channels=4):
    return np.random.default_rng(0).normal(size=(rows, joints, channels)).astype(np.float16)


def written(folder, values, identity=KIND):
    store = PatchStore(folder, identity, values.shape)
    for number in range(store.begin(), store.chunks):
        store.write(number, values[8 * number : 8 * (number + 1)])
    return store


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 20])
def test_what_was_written_is_read_in_any_order(tmp_path, rows):
    values = features(rows)
    store = written(tmp_path / "a.patches", values)
    assert store.begin() == store.chunks
    assert len(list((tmp_path / "a.patches").glob("*.npy"))) == -(-rows // 8)
    found = open_patches(tmp_path / "a.patches", rows)
    assert found.shape == values.shape
    order = np.random.default_rng(1).integers(rows, size=50)
    np.testing.assert_array_equal(found[order].read(), values[order])
    np.testing.assert_array_equal(found[rows - 1], values[-1])
    np.testing.assert_array_equal(np.asarray(found), values)


def test_they_are_mapped_and_take_the_disk_that_was_said(tmp_path):
    values = features(20)
    written(tmp_path / "a.patches", values)
    found = open_patches(tmp_path / "a.patches", 20)
    assert all(isinstance(part, np.memmap) for part in found._parts)
    size = sum(path.stat().st_size for path in (tmp_path / "a.patches").glob("*.npy"))
    said = disk_bytes(*values.shape)
    assert said == values.nbytes
    assert said <= size <= said + 3 * 128  # a header a chunk


class CountingPart:
    """An array on disk that counts the rows read from it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.read = array, array.shape, array.dtype, 0

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        self.read += len(index)
        return self.array[index]


def test_only_what_is_asked_for_is_read_and_each_row_once():
    parts = [CountingPart(features(100)), CountingPart(features(100))]
    rows = FeatureRows(parts)[np.array([3, 3, 5, 150, 3])][:]
    assert sum(part.read for part in parts) == 0
    rows.read()
    assert [part.read for part in parts] == [2, 1]


def test_features_of_two_kinds_that_are_made_at_once_are_not_mixed(tmp_path):
    values = features(20)
    first, second = (PatchStore(tmp_path / "a.patches", KIND | {"tracks": t}, values.shape) for t in "ab")
    first.begin()
    first.write(0, values[:8])
    second.begin()
    with pytest.raises(CacheError, match="another process makes other features"):
        first.write(1, values[8:16])
    assert second.begin() == 0


def test_a_run_that_was_cut_off_goes_on_with_the_first_chunk_that_is_not_there(tmp_path):
    values = features(20)
    store = PatchStore(tmp_path / "a.patches", KIND, values.shape)
    assert store.begin() == 0
    store.write(0, values[:8])
    assert store.begin() == 1 < store.chunks
    with pytest.raises(CacheError, match="gepc-pipeline patches"):
        open_patches(tmp_path / "a.patches", 20)
    assert PatchStore(tmp_path / "a.patches", KIND, values.shape).begin() == 1
    whole = written(tmp_path / "a.patches", values)
    assert whole.begin() == whole.chunks


def test_features_of_another_kind_are_made_anew(tmp_path):
    values = features(20)
    written(tmp_path / "a.patches", values)
    other = PatchStore(tmp_path / "a.patches", {**KIND, "tracks": "other"}, values.shape)
    assert other.begin() == 0
    assert not list((tmp_path / "a.patches").glob("*.npy"))


def test_damage_is_an_error_that_says_what_to_do(tmp_path):
    folder = tmp_path / "a.patches"
    for damage in ("short", "pickle", "type", "rows", "header"):
        written(folder, features(20), {"damage": damage})
        path = folder / "00001.npy"
        if damage == "short":
            path.write_bytes(path.read_bytes()[:150])
        elif damage == "pickle":
            np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
        elif damage == "type":
            np.save(path, features(8).astype(np.float32))
        elif damage == "header":
            (folder / "header.json").write_text("{")
        with pytest.raises(CacheError, match="gepc-pipeline patches"):
            open_patches(folder, 21 if damage == "rows" else 20)


def test_they_lie_beside_the_tracks(tmp_path):
    assert patches_path(tmp_path / "a.b.npz") == tmp_path / "a.b.patches"


def test_a_joint_between_two_has_the_mean_of_both_or_nothing():
    values = features(6)
    values[2, 0] = 0
    rows = FeatureRows([values]).of_joints(np.array([[0, 1, 2, 0], [0, 1, 2, 1]]))
    found = rows.read()
    np.testing.assert_array_equal(found[:, :3], values)
    np.testing.assert_allclose(found[0, 3], (values[0, 0] + values[0, 1]) / 2, atol=1e-2)
    assert not found[2, 3].any()
    assert rows.shape == (6, 4, 4)


def test_rows_of_several_clips_go_one_after_another():
    a, b = features(5), features(7)
    both = FeatureRows.join([FeatureRows([a])[[4, 0]], FeatureRows([b])[1:3]])
    np.testing.assert_array_equal(both.read(), np.concatenate([a[[4, 0]], b[1:3]]))
    with pytest.raises(ValueError, match="one kind"):
        FeatureRows.join([FeatureRows([a]), FeatureRows([features(5, 3, 6)])])
