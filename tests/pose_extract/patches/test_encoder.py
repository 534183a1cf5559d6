"""The small residual network: its files, other programs' files, and what it learns without labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pose_extract.errors import TrainingError, WeightsError
from pose_extract.patches.encoder import PatchEncoder, load_encoder, save_encoder
from pose_extract.patches.settings import PatchSettings
from pose_extract.patches.training import train_encoder, turned

TINY = PatchSettings(width=4, epochs=15)


def textured_crops(count=900, joints=3, size=16, seed=0):
    """Crops that tell which joint they are by their colour, and which way is up by a gradient."""
    rng = np.random.default_rng(seed)
    joint = rng.integers(joints, size=count)
    crops = rng.integers(0, 60, (count, size, size, 3))
    crops[..., 0] += (joint * 80)[:, None, None]
    crops[..., 1] += np.linspace(0, 180, size).astype(int)[None, :, None]
    return crops.clip(0, 255).astype(np.uint8), joint


def some_crops(people=3):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (people, 17, 16, 16, 3), np.uint8), np.ones((people, 17), bool)


def test_it_learns_joint_and_rotation_without_labels_and_says_how_well():
    crops, joint = textured_crops()
    encoder, facts = train_encoder(crops, joint, TINY)
    assert facts.joints == 3
    assert facts.crops == 810
    assert facts.joint > 0.9
    assert facts.turn > 0.9
    assert encoder.channels == 16


def test_crops_without_a_cue_are_named_by_chance():
    """The figures are of held-out crops: noise cannot be learned by heart."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (900, 16, 16, 3), np.uint8)
    _, facts = train_encoder(crops, rng.integers(4, size=900), TINY)
    assert facts.joint < 0.45
    assert facts.turn < 0.45


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    crops, joint = textured_crops(400)
    settings = PatchSettings(width=2, epochs=1)
    one, again, other = (train_encoder(crops, joint, settings, seed=s)[0] for s in (0, 0, 1))
    inputs = some_crops()
    np.testing.assert_array_equal(one.embed(*inputs), again.embed(*inputs))
    assert (one.embed(*inputs) != other.embed(*inputs)).any()


def test_too_few_crops_are_an_error_that_says_how_many_are_needed():
    crops, joint = textured_crops(150)
    with pytest.raises(TrainingError, match="at least 200 crops are needed, got 135"):
        train_encoder(crops, joint, TINY)


def test_turns_are_quarters_counterclockwise():
    crops = torch.arange(4 * 2 * 2 * 3).reshape(4, 2, 2, 3)
    out = turned(crops, torch.tensor([0, 1, 2, 3]))
    for quarter in range(4):
        np.testing.assert_array_equal(out[quarter], np.rot90(crops[quarter].numpy(), quarter))


def test_a_saved_network_says_the_same(tmp_path):
    encoder = PatchEncoder(width=4, blocks=2).eval()
    save_encoder(encoder, tmp_path / "e.safetensors", {"seed": 3})
    loaded = load_encoder(tmp_path / "e.safetensors")
    np.testing.assert_array_equal(loaded.embed(*some_crops()), encoder.embed(*some_crops()))


@pytest.mark.parametrize("shortcut", [None, "shortcut", "downsample"])
def test_a_resnet_20_of_another_program_is_taken(tmp_path, shortcut):
    """Published CIFAR ResNets: 3 blocks a stage, 16 channels, a classifier, counters; with 1x1 shortcuts or without."""
    torch.manual_seed(0)
    source = PatchEncoder(16, 3, projected=shortcut is not None, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    state = {
        k.replace(".downsample.", f".{shortcut}."): v.contiguous() for k, v in source.state_dict().items()
    }
    assert any("num_batches_tracked" in name for name in state)
    state |= {"fc.weight": torch.zeros(10, 64), "linear.bias": torch.zeros(10)}
    metadata = {"mean": json.dumps([0.1, 0.2, 0.3]), "std": json.dumps([0.5, 0.6, 0.7])}
    save_file(state, tmp_path / "resnet20.safetensors", metadata)
    loaded = load_encoder(tmp_path / "resnet20.safetensors")
    assert (loaded.width, loaded.blocks, loaded.channels) == (16, 3, 64)
    np.testing.assert_array_equal(loaded.embed(*some_crops()), source.eval().embed(*some_crops()))


def test_without_metadata_the_input_is_scaled_as_cifars(tmp_path):
    state = {k: v.contiguous() for k, v in PatchEncoder(4).state_dict().items()}
    save_file(state, tmp_path / "a.safetensors")
    assert load_encoder(tmp_path / "a.safetensors").mean.flatten().tolist() == pytest.approx(
        [0.4914, 0.4822, 0.4465]
    )


def spoilt(tmp_path, change):
    state = {k: v.contiguous() for k, v in PatchEncoder(4).state_dict().items()}
    metadata = change(state)
    save_file(state, tmp_path / "a.safetensors", metadata)
    return tmp_path / "a.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer2.0.conv1.weight") is None, "layer2.0.conv1.weight"),
        (lambda s: s.update({"layer1.0.bn1.weight": torch.zeros(5)}), "layer1.0.bn1.weight"),
        (lambda s: s.update({"other": torch.zeros(1)}), "other"),
        (lambda s: s["conv1.weight"].fill_(float("nan")) is None, "not finite"),
        (lambda s: s.clear(), "CIFAR ResNet"),
        (lambda s: {"std": "[0, 1, 1]"}, "mean and std"),
    ],
)
def test_weights_of_another_network_are_refused_by_name(tmp_path, change, message):
    def changed(state):
        result = change(state)
        return result if isinstance(result, dict) else None

    with pytest.raises(WeightsError, match=message):
        load_encoder(spoilt(tmp_path, changed))


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", b"\xff" * 64])
def test_what_is_no_safetensors_is_refused(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="safetensors"):
        load_encoder(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="no such file"):
        load_encoder(tmp_path / "b.safetensors")
