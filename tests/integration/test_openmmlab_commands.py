"""The commands with OpenMMLab's models, random weights in them: odd videos, the chain, users' mistakes."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.workspace import Workspace
from pose_extract.devices import pick_device
from pose_extract.tracks.cache import load_tracks
from tests.helpers.commands import TINY
from tests.helpers.openmmlab_models import (
    POSE_CONFIGS,
    RTMDET_NANO,
    RTMPOSE_T,
    config_path,
    save_random,
)
from tests.helpers.videos import X264, numbered_images, passthrough_option, rotated, run_ffmpeg

pytestmark = pytest.mark.openmmlab
if importlib.util.find_spec("mmpose") is None:
    pytest.skip("mmpose is not installed", allow_module_level=True)

RTMO_T = f"{POSE_CONFIGS}/rtmo/body7/rtmo-t_8xb32-600e_body7-416x416.py"


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Random checkpoints of a small pose model, a small detector and a small one-stage model."""
    from pose_extract.estimators.openmmlab.compat import import_openmmlab

    import_openmmlab()
    folder = tmp_path_factory.mktemp("weights")
    return {
        "pose": save_random(config_path(RTMPOSE_T), "mmpose", folder / "pose.pth"),
        "detector": save_random(config_path(RTMDET_NANO), "mmdet", folder / "detector.pth"),
        "one-stage": save_random(config_path(RTMO_T), "mmpose", folder / "one_stage.pth"),
    }


def openmmlab(weights, **settings):
    """Options of `extract`: the small models, at most two people a frame."""
    chosen = {
        "checkpoint": weights["pose"],
        "detector": config_path(RTMDET_NANO),
        "detector_checkpoint": weights["detector"],
        "max_people": 2,
        **settings,
    }
    model = chosen.pop("model", config_path(RTMPOSE_T))
    options = [f"--set=openmmlab.{key}={value}" for key, value in chosen.items() if value != ""]
    return ["--pose", f"openmmlab:{model}", "--device", "cpu", *options]


@pytest.fixture(scope="module")
def small(weights):
    return openmmlab(weights)


# People of random models are unsure and soon gone.
UNSURE = (
    "--set=cleaning.min_confidence=0",
    "--set=windows.frames=6",
    "--set=windows.min_certainty=0",
    "--set=windows.max_missing=4",
    "--set=calibration.held_out=0.4",
)


# -- odd videos --------------------------------------------------------------------------------------------------------


def picture(path, *options, size="64x48", frames=4):
    """A moving picture of a few frames."""
    seconds = frames / 25
    run_ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}", *(options or X264), path)
    return path


def cut_out(data, start, stop, filling=bytes):
    a, b = int(len(data) * start), int(len(data) * stop)
    return data[:a] + filling(b - a) + data[b:]


@pytest.fixture(scope="module")
def odd(tmp_path_factory, weights):
    """The workspace after `extract` of one folder with all kinds of odd videos in it, and what was printed."""
    from contextlib import redirect_stdout
    from io import StringIO

    from pipeline.cli import main

    root = tmp_path_factory.mktemp("odd")
    parts, videos = root / "parts", root / "videos"
    parts.mkdir()
    videos.mkdir()
    flat = picture(parts / "flat.mp4")
    rotated(flat, videos / "rotated.mp4", 1)
    picture(videos / "variable.mkv", "-vf", "setpts=(N+N*N)*0.04/TB", *passthrough_option(), *X264)
    for name in ("images_broken", "images_odd"):
        numbered_images(videos / name, [f"{n}.png" for n in range(3)])
    (videos / "images_broken" / "1.png").write_bytes(b"no image")
    numbered_images(videos / "images_odd", ["3.png"], size=(64, 20))
    long = picture(parts / "long.ts", *X264, "-g", "5", frames=24, size="160x120").read_bytes()
    (videos / "damaged.ts").write_bytes(cut_out(long, 0.4, 0.45))
    avi = picture(parts / "long.avi", "-c:v", "mpeg4", "-g", "5", frames=16).read_bytes()
    (videos / "truncated.avi").write_bytes(cut_out(avi, 0.6, 1.0, lambda _: b""))
    sizes = [picture(parts / f"{size}.ts", size=size) for size in ("64x48", "128x64", "32x32")]
    (videos / "changing.ts").write_bytes(b"".join(part.read_bytes() for part in sizes))
    for name, size in (("tiny", "16x16"), ("wide", "640x4"), ("tall", "4x640"), ("large", "1920x1080")):
        picture(videos / f"{name}.mkv", "-c:v", "ffv1", size=size, frames=2)
    picture(videos / "one_pixel.mkv", "-c:v", "ffv1", "-vf", "scale=1:1,format=bgr0", frames=2)
    picture(videos / "one_frame.mp4", *X264, frames=1)
    run_ffmpeg("-f", "lavfi", "-i", "color=black:s=64x48:r=25:d=0.08", *X264, videos / "black.mp4")
    (videos / "x_empty.mp4").touch()
    (videos / "x_text.mp4").write_text("this is not a video\n" * 100)
    run_ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", "-c:a", "aac", videos / "x_sound.mp4")
    (videos / "x_cut.mp4").write_bytes(flat.read_bytes()[: flat.stat().st_size * 7 // 10])
    out = StringIO()
    with redirect_stdout(out):
        code = main(
            ["extract", str(videos), "--workspace", str(root / "workspace"), "--quiet", *openmmlab(weights)]
        )
    return code, out.getvalue(), Workspace(root / "workspace")


@pytest.mark.slow
def test_broken_videos_among_odd_ones_are_named_and_the_rest_goes_on(odd):
    code, out, workspace = odd
    assert code == 4, out
    entries = {entry.clip for entry in workspace.entries()}
    assert f"{len(entries)} of {len(entries) + 4} videos done" in out
    for name in ("x_empty", "x_text", "x_sound", "x_cut"):
        assert f"not used: {name}" in out
        assert name not in entries
    assert "Traceback" not in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames", "size", "damaged"),
    [
        ("rotated", 4, (48, 64), False),
        ("variable", 4, (64, 48), False),
        ("images_broken", 3, (32, 24), True),
        ("images_odd", 4, (32, 24), True),
        ("damaged", 24, (160, 120), True),
        ("truncated", 8, (64, 48), True),
        ("changing", 12, (64, 48), None),
        ("tiny", 2, (16, 16), False),
        ("wide", 2, (640, 4), False),
        ("tall", 2, (4, 640), False),
        ("large", 2, (1920, 1080), False),
        ("one_pixel", 2, (1, 1), False),
        ("one_frame", 1, (64, 48), False),
        ("black", 2, (64, 48), False),
    ],
)
def test_an_odd_video_has_tracks_of_all_its_frames(odd, name, frames, size, damaged):
    _, _, workspace = odd
    (entry,) = (entry for entry in workspace.entries() if entry.clip == name)
    tracks = load_tracks(workspace.tracks_path(name))
    assert tracks.frame_size == size
    assert frames * 0.7 <= tracks.frame_count <= frames
    assert np.all(np.diff(tracks.time_s) > 0)
    assert damaged is None or bool(entry.damage) == damaged
    assert np.isfinite(tracks.keypoints).all()
    assert np.isfinite(tracks.boxes).all()
    assert tracks.keypoints.shape[1:] == (17, 3)


@pytest.mark.slow
def test_people_are_found_in_odd_videos(odd):
    _, _, workspace = odd
    with_people = {entry.clip for entry in workspace.entries() if entry.rows}
    assert {"damaged", "truncated", "changing", "black", "images_odd"} <= with_people


@pytest.mark.slow
@pytest.mark.parametrize("stages", ["two", "one"])
def test_a_video_of_nobody_is_extracted(cli, weights, stages, tmp_path):
    one = {"model": config_path(RTMO_T), "checkpoint": weights["one-stage"]} if stages == "one" else {}
    options = openmmlab(weights, min_score=1, **one)
    video = picture(tmp_path / "empty.mp4", frames=3)
    result = cli("extract", video, "--workspace", tmp_path / "workspace", *options)
    assert result.code == 0, result.err
    assert "nobody was found in empty" in result.out
    tracks = load_tracks(tmp_path / "workspace" / "tracks" / "empty.npz")
    assert (tracks.frame_count, len(tracks)) == (3, 0)


# -- the whole chain ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Two short normal videos."""
    from pipeline.synthetic.clips import simulate_clip, write_clip
    from pipeline.synthetic.street.scene import StreetSettings

    folder = tmp_path_factory.mktemp("street")
    for seed, seconds in ((1, 1.5), (2, 1.5)):
        write_clip(simulate_clip(f"v{seed}", seed, StreetSettings(seconds=seconds)), folder)
    return folder


def arrays(root, clip):
    tracks = load_tracks(root / "tracks" / f"{clip}.npz")
    return {
        name: np.asarray(getattr(tracks, name)).tobytes()
        for name in ("time_s", "frame", "track", "keypoints", "boxes")
    }


@pytest.mark.slow
def test_extract_train_score_use_one_estimator_without_being_told(cli, small, street, tmp_path):
    root = tmp_path / "workspace"
    assert cli("extract", street, "--workspace", root, *small).code == 0
    before = arrays(root, "v1")
    assert cli("extract", street / "v1.mp4", "--workspace", tmp_path / "again", *small).code == 0
    assert arrays(tmp_path / "again", "v1") == before
    trained = cli("train", "--workspace", root, "--device", "cpu", *TINY, *UNSURE)
    assert trained.code == 0, trained.err
    out = tmp_path / "scores.csv"
    video = shutil.copy(street / "v1.mp4", tmp_path / "other.mp4")
    with Path(video).open("ab") as file:
        file.write(b"\0")  # another video, so that it is extracted
    result = cli("score", video, "--out", out, "--workspace", root, "--device", "cpu")
    assert result.code == 0, result.err
    table = np.genfromtxt(out, delimiter=",", names=True)
    assert len(table) == load_tracks(root / "tracks" / "other.npz").frame_count
    assert table["people"].max() >= 1
    assert load_tracks(root / "tracks" / "other.npz").provenance["estimator"]["name"] == "openmmlab"
    assert arrays(root, "other") == before


@pytest.mark.slow
def test_tracks_are_made_anew_when_what_shapes_them_changes_and_only_then(cli, weights, tmp_path):
    video = picture(tmp_path / "clip.mp4", frames=2)
    root = tmp_path / "workspace"

    def stamp(*options, **settings):
        result = cli("extract", video, "--workspace", root, *openmmlab(weights, **settings), *options)
        assert result.code == 0, result.err
        return (root / "tracks" / "clip.npz").stat().st_mtime_ns

    first = stamp()
    copy = {role: shutil.copy(path, tmp_path / path.name) for role, path in weights.items()}
    assert stamp(frames_per_batch=3, people_per_batch=1) == first
    if pick_device("auto") == "cpu":
        assert stamp("--device", "auto") == first
    else:  # another device gives other floats
        assert stamp("--device", "auto") != first
        first = stamp()
    assert stamp(checkpoint=copy["pose"], detector_checkpoint=copy["detector"]) == first  # the same weights
    stamps = [first]
    other = save_random(config_path(RTMPOSE_T), "mmpose", tmp_path / "other.pth", seed=1)
    one_stage = {"model": config_path(RTMO_T), "checkpoint": weights["one-stage"]}
    for change in ({"checkpoint": other}, {"skeleton": "coco18"}, {"flip_test": True}, one_stage):
        stamps.append(stamp(**change))
        assert stamps[-1] != stamps[-2], change
    assert load_tracks(root / "tracks" / "clip.npz").skeleton == "coco17"


# -- what users get wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"model": "rtmpos-m"}, 3, "rtmpose-m"),
        ({"model": "gone/model.py"}, 3, "there is no such config file"),
        ({"model": "{folder}/notes.yaml"}, 3, "openmmlab.model"),
        ({"model": "{folder}/words.py"}, 10, "expected a config of mmpose"),
        ({"model": "{folder}/empty.py"}, 10, "expected a config of mmpose"),
        ({"model": "{folder}/unknown.py"}, 10, "expected a config of mmpose"),
        ({"model": "{detector_config}", "checkpoint": "{detector}"}, 10, "this is a config of mmdet"),
        ({"detector": "{pose_config}", "detector_checkpoint": "{pose}"}, 10, "this is a config of mmpose"),
        ({"detector": "rtmdet-nono"}, 3, "rtmdet-nano"),
        ({"checkpoint": "{detector}"}, 6, "config and checkpoint do not belong together"),
        ({"detector_checkpoint": "{pose}"}, 6, "config and checkpoint do not belong together"),
        ({"checkpoint": "gone.pth"}, 6, "gone.pth"),
        ({"checkpoint": "{folder}/notes.yaml"}, 6, "notes.yaml"),
        ({"checkpoint": "{folder}"}, 6, "cannot read the weights"),
        ({"skeleton": "halpe26"}, 10, "openmmlab.skeleton halpe26: the model has no"),
        ({"skeleton": "openpose25"}, 3, "openmmlab.skeleton"),
        ({"precision": "fp16"}, 10, "fp16 needs a GPU"),
        (
            {"model": "balanced", "checkpoint": "", "precision": "fp16"},
            10,
            "fp16 needs a GPU",
        ),  # before a download
        ({"device": "cuda:99"}, 2, "is not there on this machine"),
        ({"device": "tpu"}, 2, "expected cpu, cuda"),
        ({"person_label": "one"}, 3, "openmmlab.person_label"),
        ({"max_people": 0}, 3, "openmmlab.max_people"),
        ({"modle": "x"}, 3, "did you mean"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named(cli, weights, change, code, message, tmp_path, make_video):
    (tmp_path / "notes.yaml").write_text("model: none\n")
    (tmp_path / "words.py").write_text("these are words\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "unknown.py").write_text("model = dict(type='NoSuchModel')\n")
    names = {
        **weights,
        "folder": tmp_path,
        "pose_config": config_path(RTMPOSE_T),
        "detector_config": config_path(RTMDET_NANO),
    }
    change = {
        key: value.format(**names) if isinstance(value, str) else value for key, value in change.items()
    }
    options = openmmlab(weights, **change)
    if "device" in change:
        options.remove("--device")
        options.remove("cpu")
    result = cli("extract", make_video("v.mp4", *X264), "--workspace", tmp_path / "workspace", *options)
    assert result.code == code, result.err
    assert message in result.err


def test_without_mmpose_the_line_that_installs_it_is_given(make_video, tmp_path):
    code = (
        "import importlib.util as util, sys\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name.startswith(('mmpose', 'mmdet')) else real(name, *a)\n"
        "from pipeline.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    video = make_video("v.mp4", *X264)
    command = ["extract", video, "--workspace", tmp_path / "workspace", "--pose", "openmmlab"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True)
    assert done.returncode == 10, done.stderr
    assert "not installed: mmdet, mmpose" in done.stderr
    assert 'pip install "gepc-pipeline[openmmlab]"' in done.stderr
    assert "pip install --no-deps mmpose" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
