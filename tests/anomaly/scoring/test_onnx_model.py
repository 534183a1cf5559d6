"""Models exported to ONNX: they say what torch's say, and a file from elsewhere can do no harm."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import anomaly.bundle.onnx_export
import anomaly.scoring.onnx_model
from anomaly.bundle import load_bundle
from anomaly.bundle.card import ENCODER
from anomaly.bundle.files import write_bundle
from anomaly.bundle.onnx_export import export_onnx
from anomaly.data.windows import make_windows
from anomaly.networks.st_gcae import Network
from anomaly.scoring.onnx_model import OnnxModel, OnnxNetwork, input_shape, num_threads
from anomaly.scoring.scores import score_clip
from anomaly.scoring.torch_model import TrainedModel
from anomaly.settings import ScoringSettings, settings_from_dict
from pose_extract.errors import ModelError, UsageError
from tests.helpers import walkers
from tests.helpers.bundles import without_digests


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx") / "exported"
    write_bundle(trained, folder, {"seed": 0}, ENCODER, lambda path: export_onnx(trained, path))
    return folder


@pytest.fixture
def copied(bundle, tmp_path):
    """A bundle as of somebody else, whose card tells no digests: a change is found by what it is."""
    return without_digests(Path(shutil.copytree(bundle, tmp_path / "copied")))


def change(folder, function):
    """Rewrite the network of a bundle."""
    network = onnx.load(folder / ENCODER)
    network = function(network) or network
    (folder / ENCODER).write_bytes(network.SerializeToString())


def refused(folder, *words):
    with pytest.raises(ModelError) as error:
        load_bundle(folder)
    for word in (*words, "gepc-pipeline onnx"):
        assert word in str(error.value)


def test_an_exported_bundle_scores_as_the_trained_model(trained, bundle):
    assert sorted(os.listdir(bundle)) == ["card.json", "config.yaml", "encoder.onnx", "normality.npz"]
    loaded = load_bundle(bundle)
    assert isinstance(loaded, OnnxModel)
    assert loaded.settings == trained.settings
    clip = walkers.clip(seed=5, kinds=("walk", "jump"))
    ours, torchs = score_clip(loaded, clip), score_clip(trained, clip)
    np.testing.assert_allclose(ours.frames.score, torchs.frames.score, rtol=1e-4, atol=1e-4)
    # The mixture's sharp Gaussians multiply the rounding of float32, which is as large within torch.
    np.testing.assert_allclose(ours.row_score, torchs.row_score, rtol=1e-4, atol=2e-3)
    np.testing.assert_array_equal(ours.frames.alarm, torchs.frames.alarm)


@pytest.mark.parametrize("count", [0, 1, 65])
def test_it_takes_any_number_of_windows(trained, bundle, count):
    windows = make_windows(walkers.clip(seed=7), trained.settings.windows, 1)
    x = windows.batch(slice(0, count))
    log_p = load_bundle(bundle).assign(x)
    assert log_p.dtype == np.float32
    np.testing.assert_allclose(log_p, trained.assign(x), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_silence_and_nothing_of_this_machine(
    trained, bundle, tmp_path, capfd
):
    parity = export_onnx(
        trained, tmp_path / "again.onnx", np.zeros((3, *input_shape(trained.settings)), np.float32)
    )
    assert parity.difference < 1e-4
    assert parity.windows > 3
    data = (tmp_path / "again.onnx").read_bytes()
    assert data == (bundle / ENCODER).read_bytes()
    assert capfd.readouterr() == ("", "")
    assert b".py" not in data
    model = onnx.load_model_from_string(data)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", anomaly.bundle.onnx_export.OPSET)]
    assert model.producer_name == "gepc-pipeline"
    assert {p.key: p.value for p in model.metadata_props}["torch"] == torch.__version__
    assert not {"BatchNormalization", "Dropout"} & {node.op_type for node in model.graph.node}


def test_an_export_that_disagrees_with_torch_is_an_error_and_leaves_no_file(
    trained, bundle, tmp_path, monkeypatch
):
    data = (bundle / ENCODER).read_bytes()
    for exported, log_p in ((b"nothing", None), (data, np.log(0.2)), (data, np.nan)):
        monkeypatch.setattr(anomaly.bundle.onnx_export, "_export", lambda *_, e=exported: e)
        if log_p is not None:
            monkeypatch.setattr(
                OnnxNetwork, "assign", lambda self, x, y=log_p: np.full((len(x), *self.shape), y, np.float32)
            )
        with pytest.raises(ModelError):
            export_onnx(trained, tmp_path / "a.onnx")
        assert not list(tmp_path.iterdir())


def test_it_has_no_decoder_and_says_so(bundle):
    model = load_bundle(bundle)
    assert not model.can_reconstruct
    for by in ("reconstruction", "both"):
        with pytest.raises(ModelError, match="reconstruct"):
            score_clip(model, walkers.clip(seed=5), ScoringSettings(by=by))


def test_a_damaged_file_is_refused(copied):
    data = (copied / ENCODER).read_bytes()
    for broken in (b"", b"\x00\xff" * 50, data[: len(data) // 2], b"PK\x03\x04" + data):
        (copied / ENCODER).write_bytes(broken)
        refused(copied, ENCODER)


def test_a_file_that_is_too_large_is_refused(copied, monkeypatch):
    monkeypatch.setattr(anomaly.scoring.onnx_model, "_MOST_BYTES", 1000)
    refused(copied, "1000")


def test_weights_in_another_file_are_refused_wherever_they_are(copied, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(10**6))
    original = (copied / ENCODER).read_bytes()
    for location in ("../secret.bin", str(secret), "normality.npz"):

        def outside(network, location=location):
            tensor = network.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location)

        (copied / ENCODER).write_bytes(original)
        change(copied, outside)
        refused(copied, "other files")


def test_operators_of_other_libraries_functions_and_control_flow_are_refused(copied):
    original = (copied / ENCODER).read_bytes()

    def foreign(network):
        network.opset_import.add(domain="evil.corp", version=1)
        network.graph.node[0].domain = "evil.corp"

    def function(network):
        network.functions.add(name="f", domain="")

    def flow(network):
        branch = helper.make_graph([], "then", [], [])
        network.graph.node.append(
            helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)
        )

    for trick, word in ((foreign, "not ONNX's own"), (function, "functions"), (flow, "control flow")):
        (copied / ENCODER).write_bytes(original)
        change(copied, trick)
        refused(copied, word)


def a_network(inputs, outputs, node="Identity"):
    """An ONNX model of one node."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (inputs, outputs)
    ]
    graph = helper.make_graph([helper.make_node(node, [inputs[0]], [outputs[0]])], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_a_network_of_another_shape_is_refused(copied, trained):
    c, t, v = input_shape(trained.settings)
    for inputs, outputs in (
        (("windows", ["N", c, t, v + 1]), ("log_p", ["N", c, t, v + 1])),
        (("windows", [1, c, t, v]), ("log_p", [1, c, t, v])),
        (("images", ["N", c, t, v]), ("log_p", ["N", c, t, v])),
        (("windows", ["N", c, t, v]), ("log_p", ["N", c, t, v])),
        (("windows", []), ("log_p", [])),
        (("windows", None), ("log_p", None)),
    ):
        change(copied, lambda _, i=inputs, o=outputs: a_network(i, o))
        refused(copied, "expected", "shape")


def test_a_network_whose_outputs_are_no_log_probabilities_is_refused(copied):
    def double(network):
        last = network.graph.node[-1]
        last.output[0] = "before"
        network.graph.node.append(helper.make_node("Neg", ["before"], ["log_p"]))

    change(copied, double)
    refused(copied, "log probabilities")


def test_where_onnxruntime_is_missing_the_error_has_the_line_that_mends_it(bundle, monkeypatch):
    for name in ("onnxruntime", "onnx"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(ModelError, match=r"pip install 'gepc-pipeline\[onnx\]'"):
                load_bundle(bundle)


def test_a_device_that_is_not_there_is_a_usage_error(bundle):
    load_bundle(bundle, "auto")
    for device in ("mps", "tpu"):
        with pytest.raises(UsageError, match="cpu"):
            load_bundle(bundle, device)


def test_threads_are_those_that_the_user_asks_for(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert num_threads() >= 1


SMALL = {
    "width": 2,
    "encoder": [2, 3],
    "strides": [2, 3],
    "decoder": [2, 2],
    "upsampling": [3, 2],
    "temporal_kernel": 3,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "sections",
    [
        {"clustering": {"assignment": "student", "freedom": 2.0}},
        {"model": {"adjacencies": ["static"], "partition": "uniform"}, "clustering": {"bias": True}},
        {"model": {"adjacencies": ["inferred"], "partition": "distance"}, "windows": {"features": "xy"}},
        {
            "windows": {"skeleton": "ntu25", "features": "xyz", "extent": "clip", "people": 2, "frames": 48},
            "training": {"transforms": ["identity"]},
        },
        {"windows": {"skeleton": "blazepose33", "features": "xyzc"}, "clustering": {"temperature": 0.1}},
    ],
    ids=["student", "stgcn", "attention-xy", "two-people-3d", "blazepose-xyzc"],
)
def test_every_form_can_be_exported(sections, tmp_path):
    sections = {**sections, "model": {**SMALL, **sections.get("model", {})}}
    model = an_untrained_model(settings_from_dict(sections))
    assert export_onnx(model, tmp_path / "form.onnx").difference < 1e-4


def an_untrained_model(settings):
    """A model of random weights whose batch norms do something."""
    torch.manual_seed(0)
    network = Network(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for name, buffer in network.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.3, 3)
    return TrainedModel(settings, None, network=network)
