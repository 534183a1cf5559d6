"""Which video crops are cut out of: the one that the tracks were made of, and what is said where it is another."""

import shutil

import cv2
import numpy as np
import pytest

from pipeline.adding import add_clip
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.patches.clips import clip_of
from pipeline.patches.features import crops_kind, load_with_patches
from pipeline.patches.making import collect_crops, encoder_for, make_all, make_patches, prepare
from pipeline.settings import load_settings
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError, VideoError
from pose_extract.patches.encoder import PatchEncoder, save_encoder
from pose_extract.patches.settings import PatchSettings
from pose_extract.patches.store import encoder_digest, patches_path, read_header
from pose_extract.tracks.cache import load_tracks
from tests.helpers.scarecrow import install

SMALL = PatchSettings(width=2, epochs=1, crops=3000)


@pytest.fixture
def site(tmp_path, monkeypatch):
    install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")


def pictures(folder, seed, prefix="", frames=25):
    """Numbered images of noise, all of one size."""
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed)
    for frame in range(frames):
        cv2.imwrite(str(folder / f"{prefix}{frame}.bmp"), noise.integers(0, 255, (64, 64, 3), np.uint8))
    return folder


def extract(workspace, *names, train=True, **options):
    own = [f"{name.replace('__', '.')}={value}" for name, value in options.items()]
    settings = load_settings("default", ["pose.estimator=scarecrow", "things.find=false", *own])
    sources = find_all_sources([str(name) for name in names])
    report = extract_all(sources, workspace, settings, train=train, quiet=True)
    assert not report.failed
    return [workspace.tracks_path(entry.clip) for entry in (*report.made, *report.reused)]


def first_picture(clip):
    return next(iter(clip.images()))


def encode(clips, **options):
    """Make features with an encoder of no skill; returns their kind and what `make_all` says."""
    encoder = PatchEncoder(2)
    kind = crops_kind(SMALL, "that one")
    return kind, make_all(clips, kind, encoder, 1.0, quiet=True, **options)


def test_patterns_in_one_folder_are_clips_of_their_own_and_each_has_its_own_pictures(tmp_path, site):
    for number in (1, 2):
        pictures(tmp_path / "[all]", number, f"cam{number}_")
    folder = str(tmp_path / "[[]all]")
    both = extract(Workspace(tmp_path / "once"), f"{folder}/cam1_*.bmp", f"{folder}/cam2_*.bmp")
    workspace = Workspace(tmp_path / "one by one")
    apart = [extract(workspace, f"{folder}/cam{number}_*.bmp")[0] for number in (1, 2)]
    for paths in (both, apart):
        assert [load_tracks(path).frame_count for path in paths] == [25, 25]
        for number, path in enumerate(paths, 1):
            seen = cv2.imread(str(tmp_path / "[all]" / f"cam{number}_0.bmp"))
            np.testing.assert_array_equal(first_picture(clip_of(path)), seen)


def test_a_video_in_the_place_of_the_one_that_was_extracted_gives_no_features(tmp_path, site):
    workspace, folder = Workspace(tmp_path / "workspace"), pictures(tmp_path / "cam", 1)
    [path] = extract(workspace, folder)
    assert encode([clip_of(path)])[1][0] == 1
    before = read_header(patches_path(path))
    pictures(folder, 2)
    with pytest.raises(VideoError, match="is another video now than its tracks were made of"):
        make_all([clip_of(path)], crops_kind(SMALL, "another one"), PatchEncoder(2), 1.0, quiet=True)
    assert read_header(patches_path(path)) == before  # what was made of the right one stays
    assert encode([clip_of(path)])[1][0] == 0


def test_features_of_the_wrong_video_are_made_again_once_the_right_one_is_named(tmp_path, site, caplog):
    workspace, folder = Workspace(tmp_path / "workspace"), pictures(tmp_path / "right", 1)
    [path] = extract(workspace, folder)
    kind, _ = encode([clip_of(path)])
    assert load_with_patches(path, kind).features is not None
    shutil.rmtree(patches_path(path))
    pictures(tmp_path / "wrong", 2)

    def made(name):
        pattern = str(tmp_path / name)
        return encode([clip_of(path, pattern)], videos=pattern)[1][0]

    assert [made("wrong"), made("wrong"), made("right"), made("right")] == [1, 0, 1, 0]
    assert caplog.text.count("is not the video that its tracks were made of; is it a copy?") == 1
    header = read_header(patches_path(path))
    assert header is not None
    assert "video" not in header["identity"]


def test_a_clip_cut_out_of_imported_poses_has_the_video_of_the_whole(tmp_path, site):
    workspace, folder = Workspace(tmp_path / "workspace"), pictures(tmp_path / "cam", 1)
    [path] = extract(workspace, folder)
    tracks = load_tracks(path)
    poses = tmp_path / "poses.json"
    poses.write_text("{}")
    cut = {"clip": "cam", "first_frame": 0}
    facts = {"source": str(poses), "key": "cut", "estimator": {"name": "tool"}}
    tracks.provenance.pop("content")
    add_clip(workspace, tracks, **{**facts, "import": {"format": "coco"}, "learned": cut})
    with pytest.raises(VideoError, match="has poses"):
        clip_of(path)
    named = workspace.tracks_path("cam normal 0-25")
    path.rename(named)
    seen = cv2.imread(str(folder / "0.bmp"))
    np.testing.assert_array_equal(first_picture(clip_of(named, f"{tmp_path}/{{clip}}")), seen)


def test_one_video_that_is_gone_bad_keeps_no_other_from_its_features(tmp_path, site, caplog):
    workspace = Workspace(tmp_path / "workspace")
    folders = [pictures(tmp_path / name, seed) for seed, name in enumerate("abc")]
    paths = extract(workspace, *folders)
    for bad in folders[:2]:
        pictures(bad, 9)
    clips = [clip_of(path) for path in paths]
    crops, joints = collect_crops(clips, SMALL, quiet=True)
    assert len(crops) == len(joints) == 25 * 17
    encoder, kind, _ = encoder_for(workspace, clips, SMALL, quiet=True)
    caplog.clear()
    with pytest.raises(VideoError, match=r"clip a: .*another video now"):
        make_all(clips, kind, encoder, 1.0, quiet=True)
    assert [name in caplog.text for name in ("clip a:", "clip b:", "clip c:")] == [True, True, False]
    assert [patches_path(path).is_dir() for path in paths] == [False, False, True]


def test_damaged_features_are_made_again(tmp_path, site):
    [path] = extract(Workspace(tmp_path / "workspace"), pictures(tmp_path / "cam", 1))
    kind, encoder = crops_kind(SMALL, "that one"), PatchEncoder(2)
    make_patches(clip_of(path), kind, encoder, quiet=True)
    chunk = patches_path(path) / "00000.npy"
    good = chunk.read_bytes()
    for left in (b"", good[:50], good[: len(good) // 2], good.replace(b"<f2", b"<i2")):
        chunk.write_bytes(left)
        assert make_all([clip_of(path)], kind, encoder, 1.0, quiet=True)[0] == 1
        assert chunk.read_bytes() == good


def test_settings_that_an_encoder_was_not_trained_with_are_said(tmp_path, site, caplog):
    workspace = Workspace(tmp_path / "workspace")
    [path] = extract(workspace, pictures(tmp_path / "cam", 1))
    encoder_for(workspace, [clip_of(path)], SMALL, quiet=True)
    encoder_for(workspace, [clip_of(path)], SMALL, quiet=True)
    assert "--fresh" not in caplog.text
    encoder, *_ = encoder_for(workspace, [clip_of(path)], PatchSettings(width=3), quiet=True)
    assert encoder.width == 2
    assert (
        "of patches.width=2 and patches.blocks=1, and goes on to be used; --fresh trains one" in caplog.text
    )


def test_features_that_scoring_needs_are_bounded_as_the_settings_say(tmp_path, site):
    [path] = extract(Workspace(tmp_path / "workspace"), pictures(tmp_path / "cam", 1))
    save_encoder(PatchEncoder(2), tmp_path / "patch_encoder.safetensors")
    kind = crops_kind(SMALL, encoder_digest(tmp_path / "patch_encoder.safetensors"))
    with pytest.raises(UsageError, match=r"patches\.most_gb"):
        prepare(path, kind, tmp_path, 1e-9, quiet=True)
    prepare(path, kind, tmp_path, 1.0, quiet=True)
    assert load_with_patches(path, kind).features is not None
