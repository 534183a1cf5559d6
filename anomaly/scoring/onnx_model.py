"""Run a model's network by onnxruntime. Imports no torch.

The ONNX file may come from somebody else: it is read as data of a known shape, and refused if it holds anything that an
exported network does not need: other files' data, operators of other domains, functions, control flow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.model import Model
from anomaly.settings import ModelSettings
from anomaly.settings.densities import LATENT
from pose_extract.devices import processors
from pose_extract.errors import ModelError, UsageError

INPUT, OUTPUT, LATENT_OUTPUT = "windows", "log_p", "z"
INSTALL = "pip install 'gepc-pipeline[onnx]'"
_COPIES = 32  # transformed windows a run: the activations of more leave the processor's caches
_COPIES_CUDA = 4096
_MOST_BYTES = 2**31 - 1  # what protobuf can hold
_AGAIN = "export the model again (gepc-pipeline onnx)"


def input_shape(settings: ModelSettings) -> tuple[int, int, int]:
    """(C, T, V) of the windows that a model of these settings takes."""
    windows = settings.windows
    return windows.channels, windows.frames, windows.body.num_joints


def output_shapes(settings: ModelSettings) -> dict[str, tuple[int, int]]:
    """Output -> its shape for one window: log p (G, K), and z (G, D) if a part of the score compares latent vectors."""
    copies = len(settings.training.transforms)
    shapes = {OUTPUT: (copies, settings.clustering.clusters)}
    return shapes | ({LATENT_OUTPUT: (copies, settings.latent_size)} if has_latent(settings) else {})


def has_latent(settings: ModelSettings) -> bool:
    """Whether an exported network gives latent vectors too."""
    return LATENT in settings.neighbourhoods


class OnnxNetwork:
    """The encoder and the clustering layer, from an ONNX file that `anomaly.bundle.onnx_export` wrote.

    Args:
        path: the file.
        settings: of the model that it belongs to.
        device: cpu, cuda, cuda:N, or auto, which is cuda where onnxruntime has it and cpu elsewhere.

    Raises:
        ModelError: onnxruntime is not installed, or the file is damaged, too large, or not such a network.
        UsageError: the device is not there.
    """

    def __init__(self, path: Path, settings: ModelSettings, device: str = "cpu") -> None:
        self._shapes = output_shapes(settings)
        self.shape = self._shapes[OUTPUT]
        # Bytes, not the path: what was checked is what runs.
        self._session = _open_session(_read(path), path, device)
        _check_ends(self._session, path, settings)
        on_cpu = self._session.get_providers()[0] == "CPUExecutionProvider"
        self._batch = max(1, (_COPIES if on_cpu else _COPIES_CUDA) // self.shape[0])
        try:
            log_p = self.assign(np.zeros((2, *input_shape(settings)), np.float32))
        except Exception as error:  # onnxruntime's errors share no class
            raise ModelError(f"{path} cannot be run: {error}; {_AGAIN}") from error
        if log_p.shape[1:] != self.shape or not np.allclose(np.exp(log_p).sum(axis=2), 1, atol=1e-3):
            raise ModelError(f"{path} does not give log probabilities of shape (N, G, K); {_AGAIN}")

    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K)."""
        return self._run(x, OUTPUT)

    def encode(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> latent vectors (N, G, D); raises ModelError where the network gives none."""
        if LATENT_OUTPUT not in self._shapes:
            raise ModelError("this model was exported without its latent vectors: use the trained bundle")
        return self._run(x, LATENT_OUTPUT)

    def _run(self, x: NDArray[np.float32], output: str) -> NDArray[np.float32]:
        x = np.ascontiguousarray(x, np.float32)
        parts = [
            self._session.run([output], {INPUT: x[begin : begin + self._batch]})[0]
            for begin in range(0, len(x), self._batch)
        ]
        return np.concatenate([np.zeros((0, *self._shapes[output]), np.float32), *parts])


@dataclass
class OnnxModel(Model):
    """A model whose network is an ONNX file; it has no decoder, so it cannot reconstruct.

    Attributes:
        network: the encoder and the clustering layer.
    """

    network: OnnxNetwork = field(kw_only=True)

    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies."""
        return self.network.assign(x)

    def encode(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> latent vectors z (N, G, D) of each window's G transformed copies."""
        return self.network.encode(x)


def num_threads() -> int:
    """Threads that a network runs on: OMP_NUM_THREADS if it is set, otherwise the processors this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return processors()


def _read(path: Path) -> bytes:
    """The file's content, if it is an ONNX model that needs nothing else than itself."""
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModelError(f"this model needs {error.name}, which is not installed: {INSTALL}") from error
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelError(
                f"{path} has {path.stat().st_size} bytes, more than an ONNX file may ({_MOST_BYTES}); {_AGAIN}"
            )
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path} is damaged: it is no ONNX file ({error}); {_AGAIN}") from error
    kinds = onnx.AttributeProto
    plain = {kinds.FLOAT, kinds.INT, kinds.STRING, kinds.TENSOR, kinds.FLOATS, kinds.INTS, kinds.STRINGS}
    graph = model.graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    tensors = [*graph.initializer, *(a.t for a in attributes)]
    for odd, what in (
        (any(t.external_data or t.data_location for t in tensors), "keeps data in other files"),
        ({o.domain for o in model.opset_import} - {"", "ai.onnx"}, "uses operators that are not ONNX's own"),
        ({n.domain for n in graph.node} - {"", "ai.onnx"}, "uses operators that are not ONNX's own"),
        (model.functions or model.training_info, "defines functions of its own"),
        ({a.type for a in attributes} - plain, "has control flow"),
        (graph.sparse_initializer, "has sparse tensors"),
    ):
        if odd:
            raise ModelError(f"{path} is not a network that this program exports: it {what}; {_AGAIN}")
    return data


def _open_session(data: bytes, path: Path, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(f"this model needs onnxruntime, which is not installed: {INSTALL}") from error

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # its errors come as exceptions
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that wait shall sleep: on a busy machine, spinning ones stall each other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(data, options, providers=_providers(device))
    except UsageError:
        raise
    except Exception as error:  # onnxruntime's errors share no class
        raise ModelError(f"{path} cannot be loaded: {error}; {_AGAIN}") from error


def _providers(device: str) -> list[Any]:
    import onnxruntime

    kind, _, number = device.partition(":")
    there = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if kind not in ("auto", "cpu", "cuda"):
        raise UsageError(f"an exported model runs on cpu, cuda or auto, got {device!r}")
    if kind == "cuda" and not there:
        raise UsageError(
            "this onnxruntime has no CUDA; install onnxruntime-gpu in its place, or use --device cpu"
        )
    cuda = ("CUDAExecutionProvider", {"device_id": int(number) if number.isdecimal() else 0})
    return [cuda, "CPUExecutionProvider"] if there and kind != "cpu" else ["CPUExecutionProvider"]


def _check_ends(session: Any, path: Path, settings: ModelSettings) -> None:
    """Raise ModelError unless the network has the one input and the outputs that the settings ask for."""
    for ends, shapes in (
        (session.get_inputs(), {INPUT: input_shape(settings)}),
        (session.get_outputs(), output_shapes(settings)),
    ):
        found = [(e.name, e.type, e.shape) for e in ends]
        named = {e.name: tuple(e.shape[1:]) for e in ends}
        right = all(e.type == "tensor(float)" and e.shape and not isinstance(e.shape[0], int) for e in ends)
        if not right or len(ends) != len(shapes) or named != shapes:
            wanted = " and ".join(
                f"{name!r} of shape (N, {', '.join(map(str, shape))})" for name, shape in shapes.items()
            )
            raise ModelError(f"{path}: expected {wanted}, got {found}; {_AGAIN}")
