"""Checkpoints give their weights and nothing else: what would run code is refused, what does not fit is said."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pose_extract.errors import WeightsError
from pose_extract.estimators.openmmlab.checkpoints import fill, load_checkpoint

pytestmark = pytest.mark.openmmlab

DATASET_META = {
    "dataset_name": "coco",
    "classes": ("person",),
    "flip_pairs": [[1, 2], [3, 4]],
    "sigmas": np.array([0.026, 0.025], dtype=np.float32),
    "colours": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "by_column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">i4"),
    "names": np.array(["nose", "left_eye"]),
    "nothing": np.zeros((0, 2)),
    "weight": np.float64(1.5),
    "count": np.int64(17),
    "joints": {0: {"name": "nose", "color": [51, 153, 255], "swap": ""}},
}


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def save(request: pytest.FixtureRequest) -> Callable[[Any, Path], None]:
    """torch.save in its present and in its old format."""
    return lambda content, path: torch.save(content, path, _use_new_zipfile_serialization=request.param)


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


class Raw:
    """Pickles as a name called with arguments, and a state set upon the result."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], state: Any) -> None:
        self.parts = function, args, state

    def __reduce__(self) -> Any:
        return self.parts


def assert_equal_weights(found: dict[str, torch.Tensor], model: nn.Module) -> None:
    assert list(found) == list(model.state_dict())
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


# --- what loads ---


def test_a_published_checkpoint_gives_weights_and_what_it_says_of_its_data(model, path, save):
    save({"state_dict": model.state_dict(), "meta": {"dataset_meta": DATASET_META, "seed": 3}}, path)

    checkpoint = load_checkpoint(path)

    assert_equal_weights(checkpoint.state, model)
    assert checkpoint.dataset_meta is not None
    assert checkpoint.dataset_meta.keys() == DATASET_META.keys()
    for name, value in DATASET_META.items():
        found = checkpoint.dataset_meta[name]
        assert type(found) is type(value)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value)
            found[...] = found  # may be written to, like any array
        else:
            assert found == value


def test_names_of_numpy_1_are_read_too(model, path):
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": DATASET_META}}, path)
    content = rename_in_pickle(path, b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(content)

    checkpoint = load_checkpoint(path)

    assert checkpoint.dataset_meta is not None
    np.testing.assert_array_equal(checkpoint.dataset_meta["sigmas"], DATASET_META["sigmas"])
    assert checkpoint.dataset_meta["count"] == 17


def rename_in_pickle(path: Path, old: bytes, new: bytes) -> bytes:
    """The same checkpoint with another module's name in its pickle."""
    out = io.BytesIO()
    reader = torch._C.PyTorchFileReader(str(path))
    writer = torch._C.PyTorchFileWriter(out)
    for name in reader.get_all_records():
        if name not in ("version", ".data/serialization_id", "byteorder"):
            record = reader.get_record(name).replace(old, new)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return out.getvalue()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {
            "ema_state_dict": {"steps": torch.tensor(3)} | {f"module.{n}": v for n, v in state.items()}
        },
        lambda state: {
            "state_dict": state,
            "ema_state_dict": {f"module.{n}": v * 2 for n, v in state.items()},
        },
        lambda state: {"state_dict": state | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}, "meta": None},
        lambda state: {"state_dict": state, "meta": {"CLASSES": ("person",), "dataset_meta": None}},
    ],
    ids=["bare", "state_dict", "parallel", "average only", "average beside", "preprocessor", "old meta"],
)
def test_the_weights_are_found_in_every_wrapping(wrap, path, save, model):
    original = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    save(wrap(original.state_dict()), path)

    checkpoint = load_checkpoint(path)
    fill(model, checkpoint, path)

    assert checkpoint.dataset_meta is None
    assert_equal_weights(model.state_dict(), original)


def test_safetensors_are_read(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    checkpoint = load_checkpoint(path)
    fill(other, checkpoint, path)

    assert checkpoint.dataset_meta is None
    assert_equal_weights(other.state_dict(), model)


def test_half_precision_weights_fill_a_float_model(model, path):
    torch.save({name: value.half() for name, value in model.state_dict().items()}, path)
    checkpoint = load_checkpoint(path)
    fill(model, checkpoint, path)
    assert model[0].weight.dtype == torch.float32
    torch.testing.assert_close(model[0].weight.half(), checkpoint.state["0.weight"])


def head_of_mmpose() -> nn.Module:
    from mmpose.models import HeatmapHead

    head = HeatmapHead(
        8, 17, deconv_out_channels=(), deconv_kernel_sizes=(), conv_out_channels=(8,), conv_kernel_sizes=(1,)
    )
    return nn.ModuleDict({"head": head})


def test_names_of_mmpose_before_its_version_1_are_converted_by_its_models(openmmlab, path):
    original, model = head_of_mmpose(), head_of_mmpose()
    old = {
        name.replace("final_layer", "final_layer.3").replace("conv_layers", "final_layer"): value
        for name, value in original.state_dict().items()
    }
    assert "head.final_layer.0.weight" in old
    torch.save({"state_dict": old}, path)

    fill(model, load_checkpoint(path), path)

    assert_equal_weights(model.state_dict(), original)


# --- what does not fit ---


def test_names_that_a_model_cannot_convert_are_no_traceback(openmmlab, path):
    torch.save({"state_dict": {"head.final_layer.x.y": torch.zeros(1)}}, path)
    with pytest.raises(WeightsError, match="do not belong together"):
        fill(head_of_mmpose(), load_checkpoint(path), path)


def test_a_checkpoint_of_another_model_is_refused_with_the_first_differences(model, path):
    other = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    torch.save(other.state_dict(), path)
    with pytest.raises(WeightsError, match="do not belong together") as caught:
        fill(model, load_checkpoint(path), path)
    assert str(path) in str(caught.value)
    assert "0.weight" in str(caught.value)
    assert "and 3 more" in str(caught.value)


def test_a_missing_tensor_is_named(model, path):
    state = model.state_dict()
    del state["0.bias"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"0\.bias is missing"):
        fill(model, load_checkpoint(path), path)


def test_tensors_without_a_place_are_left_out_with_a_warning(model, path, caplog):
    torch.save({**model.state_dict(), "auxiliary.weight": torch.zeros(2)}, path)
    fill(model, load_checkpoint(path), path)
    assert "auxiliary.weight" in caplog.text


def test_the_buffers_that_every_published_checkpoint_has_are_not_worth_a_warning(model, path, caplog):
    torch.save({**model.state_dict(), "data_preprocessor.mean": torch.zeros(3)}, path)
    fill(model, load_checkpoint(path), path)
    assert caplog.text == ""


# --- what is no checkpoint ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\n <HTML><head>", "web page"),
        (b"hello\n", "no checkpoint"),
        (b"\x80\x02", "no checkpoint"),
        (b"PK\x03\x04", "no checkpoint"),
        (bytes(range(256)) * 10, "no checkpoint"),
        (pickle.dumps([1, 2]), "no checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_so(content, said, path):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", [[1], {"optimizer": {}}, {"state_dict": [1]}, {"state_dict": {}}, 3])
def test_a_file_without_weights_says_so(content, path, save):
    save(content, path)
    with pytest.raises(WeightsError, match="expected a dictionary of tensors"):
        load_checkpoint(path)


def test_a_checkpoint_cut_short_anywhere_is_refused(model, path, save):
    save({"state_dict": model.state_dict(), "meta": {"dataset_meta": DATASET_META}}, path)
    whole = path.read_bytes()
    for size in np.linspace(1, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError):
            load_checkpoint(path)


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    with pytest.raises(WeightsError, match="No such file"):
        load_checkpoint(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match="directory"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 64, pickle.dumps([1])])
def test_a_damaged_safetensors_file_says_so(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_checkpoint(path)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_archive_is_refused(path):
    torch.jit.script(nn.Linear(2, 2)).save(path)
    with pytest.raises(WeightsError, match="TorchScript"):
        load_checkpoint(path)


# --- what would run code ---

PLACES = {
    "top": lambda attack, state: attack,
    "among the weights": lambda attack, state: {"state_dict": {**state, "0.bias": attack}},
    "in meta": lambda attack, state: {"state_dict": state, "meta": attack},
    "deep in meta": lambda attack, state: {
        "state_dict": state,
        "meta": {"dataset_meta": {"a": [({"b": attack},)]}},
    },
    "elsewhere": lambda attack, state: {"state_dict": state, "optimizer": attack},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(
    ("attack", "asked"),
    [
        (lambda marker: Call(os.system, f"touch {marker}"), r"(posix|nt)\.system"),
        (lambda marker: Call(eval, f"open({str(marker)!r}, 'w')"), "eval"),
        (lambda marker: Call(exec, f"open({str(marker)!r}, 'w')"), "exec"),
        (lambda marker: Call(open, str(marker), "w"), r"_?io\.open"),
        (lambda marker: Call(getattr, Call(__import__, "os"), "system"), "getattr"),
        (lambda marker: Call(np.save, str(marker), 1), r"numpy\.save"),
        (lambda marker: Call(torch.load, str(marker)), r"torch\.(serialization\.)?load"),
        (lambda marker: Call(torch.hub.load, str(marker)), r"torch\.hub\.load"),
    ],
    ids=["system", "eval", "exec", "open", "getattr", "numpy.save", "torch.load", "hub"],
)
def test_a_file_that_asks_for_code_is_refused_by_name_and_nothing_runs(
    attack, asked, place, model, path, save, tmp_path, monkeypatch
):
    # The variable makes torch load anything where code does not say otherwise.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    marker = tmp_path / "marker"
    save(place(attack(marker), model.state_dict()), path)

    with pytest.raises(WeightsError, match=f"asks for {asked}") as caught:
        load_checkpoint(path)

    assert str(path) in str(caught.value)
    assert not marker.exists()


def test_the_attacks_above_would_work_on_an_unsafe_reader(path, tmp_path):
    marker = tmp_path / "marker"
    torch.save({"meta": Call(os.system, f"touch {marker}")}, path)
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_an_attack_in_the_oldest_format_a_tar_file_is_refused(path, tmp_path):
    marker = tmp_path / "marker"
    attack = pickle.dumps(Call(os.system, f"touch {marker}"), protocol=2)
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(attack)
            archive.addfile(entry, io.BytesIO(attack))
    with pytest.raises(WeightsError):
        load_checkpoint(path)
    assert not marker.exists()


FORGED = (
    3,
    "|",
    None,
    ("a",),
    {"a": (np.dtype("O"), 0)},
    8,
    1,
    0,
)  # an object field whose flags deny that it is one


@pytest.mark.parametrize(
    "attack",
    [
        np.array([object], dtype=object),
        np.zeros(2, dtype=[("a", "O")]),
        # With NumPy's own functions this makes the interpreter follow a pointer of the file's choice.
        Raw(
            np._core.multiarray._reconstruct,
            (np.ndarray, (0,), b"b"),
            (1, (1,), Raw(np.dtype, ("V8", False, True), FORGED), False, b"A" * 8),
        ),
        Call(np._core.multiarray.scalar, np.dtype("O"), b"A" * 8),
        Raw(np.dtype, ("f8", False, True), FORGED),
        Raw(
            np._core.multiarray._reconstruct,
            (np.ndarray, (0,), b"b"),
            (1, (9,), np.dtype("f8"), False, b"A" * 8),
        ),
        Raw(np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, (1,), "f8", False, b"A" * 8)),
        Raw(np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), ()),
        Call(np.dtype, "f8", False, True, {"metadata": 1}),
    ],
    ids=["objects", "fields", "forged", "scalar", "state", "too short", "no dtype", "no state", "metadata"],
)
def test_numpys_names_do_not_open_a_door(attack, model, path, save):
    save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"a": attack}}}, path)
    try:
        found = load_checkpoint(path).dataset_meta
    except WeightsError:
        return
    # What is not refused is harmless: at most a plain dtype comes of it.
    assert found is not None
    assert not isinstance(found["a"], np.ndarray)


def test_empty_bytes_are_all_that_comes_of_the_name_that_empty_arrays_need(model, path, save):
    save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"a": Call(bytes, 5)}}}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_checkpoint(path)


def test_a_checkpoint_straight_from_training_is_refused_and_told_how_to_keep_its_weights(model, path):
    from mmengine.logging import MessageHub

    hub = MessageHub("test_checkpoints")
    hub.update_scalar("loss", 1.0)
    torch.save({"meta": {}, "state_dict": model.state_dict(), "message_hub": hub.state_dict()}, path)
    with pytest.raises(WeightsError, match=r"torch\.save\(\{'state_dict'"):
        load_checkpoint(path)


# --- what stays as it was ---


def dangerous() -> None:
    """Somebody else in this process has allowed it."""


@pytest.mark.parametrize("content", [{"a": torch.zeros(1)}, {"a": Call(eval, "1")}], ids=["good", "refused"])
def test_what_others_allow_stays_theirs_and_does_not_count_here(content, path):
    others = [dangerous, np._core.multiarray._reconstruct, np.ndarray, np.dtype]
    with torch.serialization.safe_globals(others):
        before = set(torch.serialization.get_safe_globals())
        torch.save(content, path)
        try:
            load_checkpoint(path)
        except WeightsError:
            assert "refused" in os.environ["PYTEST_CURRENT_TEST"]
        assert set(torch.serialization.get_safe_globals()) == before

        torch.save({"a": torch.zeros(1), "meta": Call(dangerous)}, path)
        with pytest.raises(WeightsError, match=r"dangerous"):
            load_checkpoint(path)
        # Nor do their names for NumPy's arrays come in the way of ours.
        torch.save({"a": torch.zeros(1), "meta": {"dataset_meta": DATASET_META}}, path)
        assert load_checkpoint(path).dataset_meta is not None


def test_both_of_torchs_variables_at_once_are_an_error_and_not_a_traceback(model, path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    torch.save(model.state_dict(), path)
    with pytest.raises(WeightsError, match="TORCH_FORCE"):
        load_checkpoint(path)
