"""Patch features from videos to scores: the command `patches`, training on what it makes, and wrong caches."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from pipeline.adding import add_clip
from pipeline.cli import main
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.settings import load_settings
from pipeline.synthetic.clips import simulate_clip, write_clip
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.training import is_trained
from pipeline.workspace import Workspace
from pose_extract.errors import OutputError
from pose_extract.formats.base import export_clips
from pose_extract.patches.encoder import PatchEncoder
from pose_extract.patches.store import open_patches, patches_path, read_header
from pose_extract.skeletons import get_skeleton
from pose_extract.tracks.cache import load_tracks, save_tracks
from tests.helpers.commands import TINY, Cli
from tests.helpers.format_cases import people

SMALL = ("--set=patches.width=4", "--set=patches.epochs=1", "--set=patches.crops=3000")
STREET = StreetSettings(width=320, height=180, seconds=4, people=(4, 5))


def add_rendered(workspace: Workspace, folder: Path, name: str, seed: int, features: int = 0) -> None:
    """A rendered clip with its exact tracks, as if it had been extracted."""
    clip = simulate_clip(name, seed, STREET)
    video = write_clip(clip, folder)
    truth = clip.truth
    estimator = {"name": "truth", **({"features": "maps"} if features else {})}
    vectors = np.random.default_rng(seed).normal(3, 1, (len(truth), 17, features)) if features else None
    truth = dataclasses.replace(truth, features=vectors)
    add_clip(workspace, truth, source=str(video), key=name, estimator=estimator)


def train(root: Path, *options: str) -> int:
    return main(["train", "--quiet", "--workspace", str(root), *TINY, *options])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with patch features of two clips and a model of pose and patch. Not to be changed."""
    folder = tmp_path_factory.mktemp("patches")
    root = folder / "workspace"
    for seed in (0, 1):
        add_rendered(Workspace(root), folder / "videos", f"clip{seed}", seed)
    assert main(["patches", "--quiet", "--workspace", str(root), *SMALL]) == 0
    assert train(root, "--set=windows.features=pose+patch") == 0
    return root


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "workspace"))


def test_features_of_every_row_lie_beside_the_tracks_in_half_precision(made: Path) -> None:
    for name in ("clip0", "clip1"):
        path = made / "tracks" / f"{name}.npz"
        tracks = load_tracks(path)
        found = open_patches(patches_path(path), len(tracks))
        assert found.shape == (len(tracks), 17, 16)
        assert found.dtype == np.float16
        there = found.read().any(axis=2)
        assert (there == (tracks.keypoints[..., 2] > 0.05)).mean() > 0.99  # joints in the frame have one


def test_features_are_of_the_frame_that_their_row_is_of(made: Path) -> None:
    """Made anew from single rendered frames, they are the same but for the video's coding."""
    from pipeline.synthetic.clips import render_clip
    from pose_extract.patches.crops import crops_around
    from pose_extract.patches.encoder import load_encoder
    from pose_extract.patches.settings import PatchSettings

    path = made / "tracks" / "clip0.npz"
    tracks, encoder = load_tracks(path), load_encoder(made / "patch_encoder.safetensors")
    cached = open_patches(patches_path(path), len(tracks)).read().astype(float)
    images = list(render_clip(simulate_clip("clip0", 0, STREET)))

    def off(shift: int) -> float:
        """Mean difference to the features of frames ``shift`` later."""
        rows = np.flatnonzero((tracks.frame > 10) & (tracks.frame < 80))[::7]
        parts = []
        for row in rows:
            crops = crops_around(
                images[tracks.frame[row] + shift],
                tracks.keypoints[[row]],
                tracks.boxes[[row]],
                PatchSettings(),
            )
            parts.append(np.abs(encoder.embed(*crops)[0].astype(float) - cached[row]).mean())
        return float(np.mean(parts))

    assert off(0) < 0.7 * min(off(-2), off(2))


def test_disk_use_and_the_encoders_skill_are_told(
    copy: Path, cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(copy / "tracks" / "clip0.patches")
    result = cli("patches", "--workspace", copy, "--fresh", "--seed", 5, *SMALL)
    assert result.code == 0
    assert "MB on disk" in caplog.text
    assert "bound: 20 GB" in caplog.text
    assert "of held-out crops it names the joint of" in result.out
    assert "2 clips have patch features (2 made now)" in result.out  # the other's are another encoder's
    again = cli("patches", "--workspace", copy, *SMALL)
    assert "(0 made now)" in again.out


def test_features_do_not_depend_on_how_many_clips_are_at_work(made: Path, copy: Path, cli: Cli) -> None:
    folders = [copy / "tracks" / f"{name}.patches" for name in ("clip0", "clip1")]
    for folder in folders:
        shutil.rmtree(folder)
    result = cli("patches", "--workspace", copy, "--jobs", 2, "--quiet", *SMALL)
    assert "2 clips have patch features (2 made now)" in result.out
    for folder in folders:
        parts = sorted(path for path in folder.iterdir() if path.is_file())
        assert parts
        for part in parts:
            assert part.read_bytes() == (made / "tracks" / folder.name / part.name).read_bytes(), part


def test_beyond_the_bound_nothing_is_made(copy: Path, cli: Cli) -> None:
    for name in ("clip0", "clip1"):
        shutil.rmtree(copy / "tracks" / f"{name}.patches")
    result = cli("patches", "--workspace", copy, *SMALL, "--set=patches.most_gb=0.0001")
    assert result.code == 2
    assert "more than patches.most_gb allows" in result.err
    assert not list((copy / "tracks").glob("*.patches"))


def test_a_model_says_what_it_was_trained_on_and_brings_its_encoder(made: Path) -> None:
    card = json.loads((made / "model" / "card.json").read_text())
    assert card["patches"] == read_header(made / "tracks" / "clip0.patches")["identity"]["crops"]  # type: ignore[index]
    assert card["patches"]["size"] == 16
    bundled = (made / "model" / "patch_encoder.safetensors").read_bytes()
    assert bundled == (made / "patch_encoder.safetensors").read_bytes()


def test_scores_come_from_cached_features(made: Path, cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "score", "--tracks", made / "tracks" / "clip1.npz", "--workspace", made, "--out", tmp_path / "s.csv"
    )
    assert result.code == 0
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 97
    assert cli("words", "--workspace", made, "--out", tmp_path / "words.png").code == 0


def test_training_without_features_names_the_command_that_makes_them(copy: Path, cli: Cli) -> None:
    shutil.rmtree(copy / "tracks" / "clip1.patches")
    result = cli("train", "--workspace", copy, *TINY, "--set=windows.features=patch")
    assert result.code == 8
    assert "clip1 has no patch features" in result.err
    assert f"gepc-pipeline patches --workspace {copy}" in result.err
    result = cli("train", "--workspace", copy, *TINY, "--set=windows.features=patch", "--set=patches.size=24")
    assert result.code == 8
    assert "crops of 16 pixels" in result.err
    assert "crops of 24 pixels" in result.err
    result = cli(
        "train", "--workspace", copy, *TINY, "--set=windows.features=patch", "--set=patches.source=network"
    )
    assert result.code == 8
    assert "gepc-pipeline extract VIDEOS --pose blazepose --set blazepose.features=heatmaps" in result.err


def test_scoring_with_the_wrong_cache_names_the_command_and_the_command_mends_it(
    copy: Path, cli: Cli, tmp_path: Path
) -> None:
    def score() -> tuple[int, str]:
        result = cli(
            "score",
            "--tracks",
            copy / "tracks" / "clip1.npz",
            "--workspace",
            copy,
            "--out",
            tmp_path / "s.csv",
        )
        return result.code, result.err

    assert score()[0] == 0
    before = (tmp_path / "s.csv").read_bytes()
    assert cli("patches", "--workspace", copy, "--fresh", "--seed", 5, *SMALL).code == 0
    code, message = score()
    assert code == 7
    assert "expected patch features of the kind that the model was trained on" in message
    assert f"gepc-pipeline patches --model {copy / 'model'}" in message
    result = cli("patches", "--model", copy / "model", "--workspace", copy)
    assert (result.code, "(2 made now)" in result.out) == (0, True)
    assert score()[0] == 0
    assert (tmp_path / "s.csv").read_bytes() == before


def test_features_of_other_tracks_are_not_taken(copy: Path, cli: Cli, tmp_path: Path) -> None:
    """A clip was extracted again: its features are of the rows that it had before."""
    path = copy / "tracks" / "clip1.npz"
    tracks = load_tracks(path)
    moved = np.array(tracks.keypoints) + np.float32([1, 0, 0])
    save_tracks(path, dataclasses.replace(tracks, keypoints=moved))
    result = cli("score", "--tracks", path, "--workspace", copy, "--out", tmp_path / "s.csv")
    assert result.code == 7
    assert "has none" in result.err


def test_a_video_brings_its_features_when_it_is_scored(copy: Path, cli: Cli, tmp_path: Path) -> None:
    """Tracks from elsewhere and their video: crops are taken with the encoder in the bundle."""
    add_rendered(Workspace(tmp_path / "other"), tmp_path / "videos", "new", 7)
    tracks = tmp_path / "other" / "tracks" / "new.npz"
    options = ("--workspace", copy, "--out", tmp_path / "s.csv", "--tracks", tracks)
    assert cli("score", *options).code == 7
    result = cli("score", tmp_path / "videos" / "new.mp4", *options, "--plot", tmp_path / "p.png")
    assert result.code == 0
    assert patches_path(tracks).is_dir()
    assert cli("score", *options).code == 0


def test_evaluate_reads_features_and_says_what_is_missing(copy: Path, cli: Cli, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("clip0", "clip1"):
        np.save(masks / f"{name}.npy", np.repeat([0, 1, 0], 32).astype(np.uint8))
    command = ("evaluate", "--masks", masks, "--out", tmp_path / "results", "--workspace", copy)
    assert cli(*command).code == 0
    shutil.rmtree(copy / "tracks" / "clip1.patches")
    result = cli(*command)
    assert result.code == 7
    assert "gepc-pipeline patches --model" in result.err


def test_external_weights_are_taken(copy: Path, cli: Cli, tmp_path: Path) -> None:
    weights = tmp_path / "resnet.safetensors"
    save_file({k: v.contiguous() for k, v in PatchEncoder(2, 2).state_dict().items()}, weights)
    result = cli("patches", "--workspace", copy, "--weights", weights)
    assert (result.code, "8 channels a joint" in result.out) == (0, True)
    patch = ("--set=windows.features=patch", f"--set=patches.encoder={weights}")
    assert cli("train", "--workspace", copy, *TINY, *patch).code == 0
    assert (copy / "model" / "patch_encoder.safetensors").read_bytes() == weights.read_bytes()


def test_imported_poses_say_where_their_videos_are(copy: Path, cli: Cli, tmp_path: Path) -> None:
    videos = Path(load_tracks(copy / "tracks" / "clip0.npz").provenance["source"]).parent
    workspace = Workspace(tmp_path / "imported")
    for name in ("clip0", "clip1"):
        tracks = load_tracks(copy / "tracks" / f"{name}.npz")
        add_clip(workspace, tracks, source="/poses/of/another/tool.json")
    result = cli("patches", "--workspace", workspace.root, *SMALL)
    assert result.code == 4
    assert "--videos 'FOLDER/{clip}.mp4'" in result.err
    result = cli("patches", "--workspace", workspace.root, *SMALL, "--videos", videos / "{clip}.mp4")
    assert (result.code, "(2 made now)" in result.out) == (0, True)


def test_a_video_that_is_another_is_refused(copy: Path, cli: Cli, empty_scene: Path) -> None:
    shutil.rmtree(copy / "tracks" / "clip0.patches")
    result = cli("patches", "--workspace", copy, *SMALL, "--videos", empty_scene)
    assert result.code == 4
    assert "its tracks are of frames of 320x180" in result.err


def test_the_ablation_on_a_data_set_makes_features_out_of_its_videos(copy: Path) -> None:
    from pipeline.evaluation.labelled import LabelledClips
    from pipeline.experiments.methods.fine import DatasetClips
    from pipeline.experiments.settings import load_experiment
    from pose_extract.errors import UsageError

    workspace = Workspace(copy)
    videos = Path(load_tracks(copy / "tracks" / "clip0.npz").provenance["source"]).parent
    for name in ("clip0", "clip1"):
        shutil.rmtree(copy / "tracks" / f"{name}.patches")
    clips = DatasetClips.__new__(DatasetClips)  # as it is once the data set has been imported
    clips._workspace, clips._identity = workspace, {}
    clips._labelled = LabelledClips({"clip1": workspace.tracks_path("clip1")}, {}, {})
    with pytest.raises(UsageError, match=r"experiment\.videos"):
        clips.make_patches(load_experiment("ablation-patches"), "cpu")
    own = ["patches.relative=0", f"experiment.videos={videos}/{{clip}}.mp4"]
    clips.make_patches(load_experiment("ablation-patches", own), "cpu")
    for name in ("clip0", "clip1"):
        path = workspace.tracks_path(name)
        assert len(open_patches(patches_path(path), len(load_tracks(path))))
    assert clips.identity(0)["patches"]["source"] == "crops"


def test_the_pose_networks_own_features_are_trained_on_and_asked_for(tmp_path: Path, cli: Cli) -> None:
    root = tmp_path / "workspace"
    for seed in (0, 1):
        add_rendered(Workspace(root), tmp_path / "videos", f"clip{seed}", seed, features=6)
    network = ("--set=windows.features=patch", "--set=patches.source=network")
    assert cli("train", "--workspace", root, *TINY, *network).code == 0
    config = (root / "model" / "config.yaml").read_text()
    assert "patch_channels: 6" in config
    path = root / "tracks" / "clip1.npz"
    assert cli("score", "--tracks", path, "--workspace", root, "--out", tmp_path / "s.csv").code == 0
    save_tracks(path, dataclasses.replace(load_tracks(path), features=None))
    result = cli("score", "--tracks", path, "--workspace", root, "--out", tmp_path / "s.csv")
    assert result.code == 7
    assert "gepc-pipeline extract VIDEO --pose truth --set truth.features=maps" in result.err


class Dreamer:
    """An estimator of which only its features matter."""

    skeleton, feature_channels, max_people = "coco17", 39, 30


def test_extraction_says_what_features_take_and_stops_at_the_bound(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    room = FeatureDiskBudget(Dreamer(), 0.001)  # type: ignore[arg-type]
    room.announce()
    room.announce_clip("a", 1000)
    each = get_skeleton("coco17").num_joints * 39 * 2
    assert f"take {each / 1e3:.2f} kB a person and frame" in caplog.text
    assert "bound of this run: 0.001 GB" in caplog.text
    assert f"at most {each * 30 * 1000 / 1e9:.3g} GB (30 people in all of 1000 frames)" in caplog.text
    fits = int(1e6 // each)
    room.reserve(fits)
    with pytest.raises(OutputError, match=r"patches\.most_gb"):
        room.reserve(1)


@pytest.mark.slow
def test_heat_maps_from_video_to_scores(tmp_path: Path, cli: Cli, caplog: pytest.LogCaptureFixture) -> None:
    """The whole way with BlazePose: no pass but the one that finds the joints."""
    root, videos = tmp_path / "workspace", tmp_path / "videos"
    video = write_clip(simulate_clip("clip", 1, StreetSettings(seconds=3, people=(4, 5))), videos)
    heat_maps = ("--pose", "blazepose", "--set", "blazepose.features=heatmaps")
    result = cli("extract", video, "--workspace", root, *heat_maps)
    assert result.code == 0
    assert "features take 1.33 kB a person and frame" in caplog.text
    network = ("--set=windows.features=pose+patch", "--set=patches.source=network")
    assert cli("train", "--workspace", root, *TINY, *network).code == 0
    result = cli("score", video, "--workspace", root, "--out", tmp_path / "s.csv")
    assert result.code == 0
    assert "its tracks are there already" in caplog.text


def test_a_file_of_poses_is_taken_for_no_video(cli: Cli, tmp_path: Path) -> None:
    export_clips("coco", [people()], tmp_path / "in")
    scene = ("--fps", 24, "--frame-size", "640x360", "--workspace", tmp_path / "w")
    assert cli("import", "coco", tmp_path / "in", *scene).code == 0
    result = cli("patches", "--workspace", tmp_path / "w", *SMALL)
    assert result.code == 4
    assert "01_0014.json has poses; say where it is: --videos" in result.err


def test_a_model_of_these_patches_is_not_trained_again(made: Path) -> None:
    overrides = [text.removeprefix("--set=") for text in TINY]
    workspace, patches = Workspace(made), "windows.features=pose+patch"
    assert is_trained(workspace, load_settings("default", [*overrides, patches]))
    assert not is_trained(workspace, load_settings("default", [*overrides, patches, "patches.size=20"]))
    assert not is_trained(workspace, load_settings("default", [*overrides, "windows.features=patch"]))
    assert not is_trained(workspace, load_settings("default", overrides))
