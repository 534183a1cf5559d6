import copy
import dataclasses
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
import yaml

from anomaly.bundle import io as io_of_bundles
from anomaly.bundle import load_bundle, save_bundle
from anomaly.bundle.card import ENCODER, read_card
from anomaly.bundle.files import read_bundle, write_bundle
from anomaly.normality.mixture import fit_normality
from anomaly.scoring import onnx_model
from anomaly.scoring.scores import score_clip
from anomaly.settings import NormalitySettings
from anomaly.settings.normality import FORMS
from pose_extract.errors import ModelError, OutputError
from tests.helpers import walkers


@pytest.fixture
def bundle(trained, tmp_path):
    save_bundle(trained, tmp_path / "model", {"trained_on": ["walk0"]})
    return tmp_path / "model"


def rewrite_npz(path, **changes):
    arrays = dict(np.load(path))
    arrays.update(changes)
    np.savez(path, allow_pickle=True, **{k: v for k, v in arrays.items() if v is not None})


def rewrite_config(path, section, key, value):
    config = yaml.safe_load(path.read_text())
    config[section][key] = value
    path.write_text(yaml.safe_dump(config))


def test_a_bundle_scores_exactly_as_the_model_that_was_saved(trained, bundle):
    loaded = load_bundle(bundle)
    clip = walkers.clip(seed=5, kinds=("walk", "jump"))
    before, after = score_clip(trained, clip), score_clip(loaded, clip)
    np.testing.assert_array_equal(before.frames.score, after.frames.score)
    np.testing.assert_array_equal(before.frames.percentile, after.frames.percentile)
    np.testing.assert_array_equal(before.row_score, after.row_score)
    assert loaded.settings == trained.settings
    assert loaded.history == trained.history


@pytest.mark.parametrize("moment", ["read_bundle", "_read_network"])
def test_a_bundle_that_is_replaced_while_it_is_read_is_never_half_of_each(
    trained, bundle, monkeypatch, moment
):
    network = copy.deepcopy(trained.network)
    with torch.no_grad():
        network.clustering.theta.add_(1)
    new = dataclasses.replace(trained, network=network, history=[{"stage": "new"}])
    read, times = getattr(io_of_bundles, moment), []

    def replaced(*arguments):
        times.append(1)
        if len(times) == 1:
            save_bundle(new, bundle)
            if moment == "read_bundle":  # files of both do not fit each other
                raise ModelError("damaged")
        return read(*arguments)

    monkeypatch.setattr(io_of_bundles, moment, replaced)
    loaded = load_bundle(bundle)
    assert loaded.history == new.history
    assert torch.equal(loaded.network.clustering.theta, network.clustering.theta)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_normality_is_kept(trained, tmp_path, form):
    log_p = np.log(np.random.default_rng(0).dirichlet(np.ones(5), size=200)).astype(np.float32)
    normality = fit_normality(log_p, NormalitySettings(form=form, components=3, every=1), seed=0)
    settings = dataclasses.replace(trained.settings, normality=normality.settings)
    save_bundle(dataclasses.replace(trained, settings=settings, normality=normality), tmp_path / "model")
    loaded = load_bundle(tmp_path / "model").normality
    np.testing.assert_array_equal(loaded.log_likelihood(log_p), normality.log_likelihood(log_p))


@pytest.mark.parametrize("there", [True, False])
def test_typical_windows_are_kept_if_there_are_any(trained, tmp_path, there):
    words = np.random.default_rng(0).normal(size=(5, 2, 3, 12, 18)).astype(np.float32)
    words[1, 1] = np.nan  # a cluster with one window only
    save_bundle(dataclasses.replace(trained, words=words if there else None), tmp_path / "model")
    loaded = load_bundle(tmp_path / "model").words
    if there:
        np.testing.assert_array_equal(loaded, words)
    else:
        assert loaded is None


def test_an_exported_bundle_is_read_without_torch(trained, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    write_bundle(trained, folder, {"a": 1}, ENCODER, lambda path: path.write_bytes(b"the encoder"))
    assert sorted(os.listdir(folder)) == ["card.json", "config.yaml", "encoder.onnx", "normality.npz"]
    monkeypatch.setattr(onnx_model, "OnnxNetwork", lambda path, settings, device: (path.read_bytes(), device))
    loaded = load_bundle(folder, "auto")
    assert isinstance(loaded, onnx_model.OnnxModel)
    assert loaded.network == (b"the encoder", "auto")
    assert loaded.settings == trained.settings
    code = (
        "import sys; from anomaly.bundle.io import load_bundle; from anomaly.bundle.files import read_bundle; "
        "import anomaly.scoring.onnx_model; read_bundle(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "weights.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="both"):
        read_bundle(folder)


def test_it_is_four_files_and_a_card_that_says_what_it_was_told(bundle, trained):
    assert sorted(os.listdir(bundle)) == ["card.json", "config.yaml", "normality.npz", "weights.safetensors"]
    card = read_card(bundle)
    assert card["trained_on"] == ["walk0"]
    assert card["facts"]["windows"] == trained.facts["windows"]


def test_saving_again_replaces_the_bundle_and_leaves_nothing_else(bundle, trained):
    save_bundle(trained, bundle, {"again": True})
    assert read_card(bundle)["again"] is True
    assert os.listdir(bundle.parent) == ["model"]


def test_a_folder_with_other_files_is_never_overwritten(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a model bundle"):
        save_bundle(trained, tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_write_that_fails_leaves_the_old_bundle(bundle, trained, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = read_card(bundle)
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OutputError, match="No space"):
        save_bundle(trained, bundle, {"other": 1})
    assert read_card(bundle) == before
    assert os.listdir(bundle.parent) == ["model"]


def test_a_writer_killed_between_its_renames_leaves_a_bundle_that_loads(bundle, trained):
    os.rename(bundle, bundle.with_name(".model.previous"))
    assert load_bundle(bundle).settings == trained.settings
    save_bundle(trained, bundle)
    assert os.listdir(bundle.parent) == ["model"]


def test_no_model_says_what_to_run(tmp_path):
    with pytest.raises(ModelError, match="gepc-pipeline train"):
        load_bundle(tmp_path / "nothing")


def test_settings_that_a_config_lacks_are_not_taken_to_be_the_defaults(bundle):
    path = bundle / "config.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("densities:")])
    with pytest.raises(ModelError, match=r"config\.yaml.*lacks densities\."):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["weights.safetensors", "normality.npz", "config.yaml", "card.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "link"])
def test_damage_is_an_error_that_names_the_file(bundle, name, damage, tmp_path):
    path = bundle / name
    data = path.read_bytes()
    path.unlink()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(1000))
    elif damage == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_bundle(bundle)


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return (os.mkdir, (str(self.folder),))


def test_nothing_pickled_is_ever_loaded(bundle, tmp_path):
    bomb = Bomb(tmp_path / "bomb")
    rewrite_npz(bundle / "normality.npz", weights=np.array([bomb], dtype=object))
    with pytest.raises(ModelError, match="Python objects"):
        load_bundle(bundle)
    (bundle / "normality.npz").write_bytes(pickle.dumps(bomb))
    with pytest.raises(ModelError, match="damaged"):
        load_bundle(bundle)
    (bundle / "weights.safetensors").write_bytes(pickle.dumps(bomb))
    with pytest.raises(ModelError, match="damaged"):
        load_bundle(bundle)
    assert not bomb.folder.exists()
    pickle.loads(pickle.dumps(bomb))
    assert bomb.folder.exists()  # it would have gone off


def test_yaml_that_would_build_objects_is_refused(bundle, tmp_path):
    (bundle / "config.yaml").write_text(f"windows: !!python/object/apply:os.mkdir [{tmp_path / 'bomb'}]\n")
    with pytest.raises(ModelError, match=r"config\.yaml"):
        load_bundle(bundle)
    assert not (tmp_path / "bomb").exists()


def test_a_huge_shape_is_refused_before_anything_is_allocated(bundle):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    path = bundle / "normality.npz"
    with zipfile.ZipFile(path) as old:
        members = {n: old.read(n) for n in old.namelist()}
    members["calibration_time_s.npy"] = header.getvalue()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    with pytest.raises(ModelError, match="calibration_time_s"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "width", 10**9),
        ("windows", "frames", 10**9),
        ("clustering", "clusters", 10**9),
        ("clustering", "clusters", 6),
        ("model", "encoder", [2, 4]),
        ("model", "encoder", "aaaa"),
        ("windows", "skeleton", "../../etc/passwd"),
        ("scoring", "frames", None),
        ("training", "surprise", 1),
    ],
)
def test_a_config_that_does_not_fit_is_refused(bundle, section, key, value):
    rewrite_config(bundle / "config.yaml", section, key, value)
    with pytest.raises(ModelError):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": np.ones(4)},
        {"means": np.full((3, 4), np.nan)},
        {"precision_cholesky": -np.ones((3, 4, 4))},
        {"calibration_rows": np.full((3, 2, 5), np.nan)},
        {"calibration_rows": np.ones((2, 5))},
        {"words": np.ones((5, 1, 3, 12, 17), np.float32)},
        {"words": np.full((5, 1, 3, 12, 18), np.inf, np.float32)},
        {"extra": np.ones(3)},
        {"offsets": None},
    ],
)
def test_arrays_that_are_no_mixture_or_calibration_are_refused(bundle, changes):
    rewrite_npz(bundle / "normality.npz", **changes)
    with pytest.raises(ModelError, match=r"normality\.npz"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "version 99"),
        ({"version": 1}, "train again"),
        ({"format": "something"}, "card"),
        ([], "card"),
    ],
)
def test_another_version_or_format_is_refused(bundle, change, said):
    path = bundle / "card.json"
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, **change} if isinstance(change, dict) else change))
    with pytest.raises(ModelError, match=said):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["weights.safetensors", "normality.npz", "config.yaml"])
def test_one_flipped_bit_is_noticed(bundle, name):
    path = bundle / name
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(len(data))
    for place in rng.choice(len(data), 15, replace=False).tolist():
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(ModelError):
            load_bundle(bundle)
    path.write_bytes(data)
    load_bundle(bundle)
