"""Export a trained model to ONNX: transforms, encoder and clustering layer in one graph, batch norm fused."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anomaly.data.augmentation import apply_transforms
from anomaly.networks.inference import fuse_batch_norm
from anomaly.scoring.onnx_model import INPUT, INSTALL, OnnxNetwork, has_latent, input_shape, output_shapes
from pose_extract.errors import ModelError

if TYPE_CHECKING:
    from anomaly.scoring.torch_model import TrainedModel

OPSET = 20
TOLERANCE = 1e-4  # of log p, absolute, or relative to the largest |log p| of the same assignment
_RANDOM_WINDOWS = 70  # no multiple of the batch that the runtime takes at once


@dataclass(frozen=True)
class Parity:
    """How an exported network agrees with torch's.

    Attributes:
        windows: how many were compared.
        difference: the largest |difference| of log p, as a share of the largest |log p| of the same assignment where
            that is above 1.
    """

    windows: int
    difference: float


class Assignments(nn.Module):
    """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies.

    And their latent vectors (N, G, D), of a model that compares these.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.network = fuse_batch_norm(model.network)
        self.transforms = model.settings.training.transforms
        self.skeleton = model.settings.windows.body
        self.latent = has_latent(model.settings)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """The graph that is exported."""
        shape = x.shape[0], len(self.transforms)
        z = self.network.encode(apply_transforms(x, self.transforms, self.skeleton).flatten(0, 1))
        log_p = self.network.clustering(z).unflatten(0, shape)
        return (log_p, z.unflatten(0, shape)) if self.latent else log_p


def export_onnx(model: TrainedModel, path: str | Path, windows: NDArray[np.float32] | None = None) -> Parity:
    """Write a model's network as one ONNX file, and compare what it gives with what torch gives.

    The input ``windows`` is (N, C, T, V) float32 with any N, normalised as `anomaly.data.windows` does; the output
    ``log_p`` is (N, G, K) float32. The same model and the same versions give the same bytes.

    Args:
        model: on any device.
        path: where to.
        windows: (N, C, T, V), real ones to compare on, besides random ones.

    Raises:
        ModelError: onnx is not installed, the network cannot be exported, or the two disagree by more than 1e-4 of
            log p; no file is left then.
    """
    path = Path(path)
    try:
        network = Assignments(model).cpu().eval()
        path.write_bytes(_export(network, input_shape(model.settings), list(output_shapes(model.settings))))
        return _compare(model, path, windows)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@torch.no_grad()
def _export(network: nn.Module, shape: tuple[int, int, int], outputs: list[str]) -> bytes:
    try:
        import onnx
        import onnxscript
    except ImportError as error:
        raise ModelError(f"the export needs {error.name}, which is not installed: {INSTALL}") from error
    versions = {"torch": torch.__version__, "onnx": onnx.__version__, "onnxscript": onnxscript.__version__}
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                (torch.zeros(2, *shape),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("N")},),
                verbose=False,
            )
    except Exception as error:  # the exporter's errors share no class
        used = ", ".join(f"{name} {number}" for name, number in versions.items())
        cause = error.__cause__ or error
        raise ModelError(
            f"{used} cannot export the network: {type(cause).__name__}: {str(cause).strip()[:200]}. Please report this"
        ) from error
    assert program is not None
    return _plain(program.model_proto, versions)


def _plain(model: Any, versions: dict[str, str]) -> bytes:
    """The model without the exporter's notes, in which the exporting machine's paths and source lines stand."""
    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]
    model.producer_name, model.producer_version = "gepc-pipeline", _program_version()
    graph.name = "encoder"
    for key, value in versions.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString(deterministic=True)


def _compare(model: TrainedModel, path: Path, windows: NDArray[np.float32] | None) -> Parity:
    random = np.random.default_rng(0).standard_normal((_RANDOM_WINDOWS, *input_shape(model.settings)))
    x = random.astype(np.float32)
    if windows is not None:
        x = np.concatenate([x, windows])
    # On the CPU: a GPU may compute with fewer digits.
    torchs = replace(model, network=copy.deepcopy(model.network).cpu())
    network = OnnxNetwork(path, model.settings)
    pairs = [(torchs.assign(x), network.assign(x))]
    if has_latent(model.settings):
        pairs.append((torchs.encode(x), network.encode(x)))
    difference = 0.0
    for expected, found in pairs:
        # Float rounding goes with the largest number of a softmax, which its most unlikely cluster tells.
        scale = np.maximum(1, np.abs(expected).max(axis=2, keepdims=True))
        difference = float(np.maximum(difference, (np.abs(found - expected) / scale).max()))  # NaN stays
    if not difference <= TOLERANCE:  # not a number is no parity either
        raise ModelError(
            f"the exported network disagrees with torch's: expected log p to differ by at most {TOLERANCE:g}, got "
            f"{difference:g}. Please report this with the model's config.yaml"
        )
    return Parity(len(x), difference)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's progress, warnings and log lines off the terminal."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _program_version() -> str:
    try:
        return version("gepc-pipeline")
    except PackageNotFoundError:
        return "0+unknown"
