"""Build one of OpenMMLab's models from its config and weights: pictures in, data samples out."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from pose_extract.errors import EstimatorError, GepcError
from pose_extract.estimators.openmmlab.checkpoints import fill, load_checkpoint
from pose_extract.estimators.openmmlab.compat import import_openmmlab, quiet

_PARTS = ("backbone", "neck", "head", "rpn_head", "roi_head", "bbox_head")
_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class Network:
    """A model in evaluation mode with the pipeline that prepares its input.

    Batch norm is folded into the convolutions and tensors are laid out channels last, which is faster on CPUs and GPUs
    and changes the results by rounding only.

    Args:
        config: path of a config of mmdet or mmpose. It is a Python program and runs.
        checkpoint: path of its weights.
        scope: "mmdet" or "mmpose": whose names the config uses where it does not say.
        device: torch's name of it.
        precision: "fp32", "fp16" or "bf16".
        stage: under which name the networks' time is counted.
        timings: seconds of each stage: ``stage``, "prepare" (input) and "decode" (output).

    Raises:
        EstimatorError: OpenMMLab is missing, or the config cannot be built.
        WeightsError: the checkpoint is missing, damaged, or belongs to another config.
    """

    def __init__(
        self,
        config: Path,
        checkpoint: Path,
        scope: str,
        device: str,
        precision: str,
        stage: str,
        timings: dict[str, float],
    ) -> None:
        import_openmmlab()
        self._device, self._stage, self._timings = torch.device(device), stage, timings
        self._precision = precision
        for key in (stage, "prepare", "decode"):
            timings.setdefault(key, 0.0)
        weights = load_checkpoint(checkpoint)
        self.model: Any
        with quiet():
            self.model, self.config = self._build(config, scope)
        fill(self.model, weights, checkpoint)
        self.dataset_meta: dict[str, Any] = dict(weights.dataset_meta or {})
        self._settle()

    def _build(self, path: Path, scope: str) -> tuple[Any, Any]:
        from mmengine.config import Config
        from mmengine.dataset import Compose
        from mmengine.model import revert_sync_batchnorm
        from mmengine.registry import MODELS, DefaultScope

        try:
            config = Config.fromfile(path)
            if config.get("default_scope") in {"mmdet", "mmpose"} - {scope}:
                raise ValueError(f"this is a config of {config.default_scope}")
            config.model.train_cfg = None
            steps = [dict(step) for step in config.test_dataloader.dataset.pipeline]
            if scope == "mmdet":
                steps[0]["type"] = "LoadImageFromNDArray"
            with DefaultScope.overwrite_default_scope(config.get("default_scope", scope)):
                model = revert_sync_batchnorm(MODELS.build(config.model))
                self._pipeline = Compose(steps)
        except Exception as error:
            raise EstimatorError(
                f"{path}: expected a config of {scope} from which a model can be built: {type(error).__name__}: {error}"
            ) from error
        return model, config

    def _settle(self) -> None:
        """Make the model ready to predict."""
        from mmcv.cnn import fuse_conv_bn

        _unshare(self.model)
        self.model = fuse_conv_bn(self.model).eval().requires_grad_(False)
        self.model = self.model.to(self._device, memory_format=torch.channels_last)
        self._normalise: Callable[[torch.Tensor], torch.Tensor] = lambda picture: picture
        ready = self.model.data_preprocessor
        if self._device.type == "cpu":
            ready.cast_data = lambda data: data  # all is on the CPU already; it would copy every data sample
            if getattr(ready, "_enable_normalize", False):
                self._normalise = _normaliser(ready)
        for name in _PARTS:
            part = getattr(self.model, name, None)
            if part is not None:
                part.forward = self._counted(part.forward)

    def _counted(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """``forward`` in the network's precision, its results in float32, its time counted."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            begin = self._now()
            with self._autocast():
                results = forward(*args, **kwargs)
            if self._precision != "fp32":
                results = _to_float32(results)
            self._timings[self._stage] += self._now() - begin
            return results

        return counted

    def _autocast(self) -> Any:
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, _DTYPES[self._precision])

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    def prepare(self, inputs: Sequence[dict[str, Any]]) -> list[Any]:
        """Run the config's pipeline on each input (``img`` and what else it asks for)."""
        begin = time.perf_counter()
        prepared = [self._pipeline(dict(one)) for one in inputs]
        for one in prepared:
            one["inputs"] = self._normalise(one["inputs"])
        self._timings["prepare"] += time.perf_counter() - begin
        return prepared

    def predict(self, prepared: Sequence[Any]) -> list[Any]:
        """The model's data samples for prepared inputs, all in one batch.

        Raises:
            EstimatorError: the model fails.
        """
        begin, network = self._now(), self._timings[self._stage]
        try:
            try:
                samples = self._run(prepared)
            except RuntimeError as error:
                if "view size is not compatible" not in str(error):
                    raise
                # A few models (CenterNet) reshape their maps in a way that only the usual layout allows.
                self.model.to(memory_format=torch.contiguous_format)
                samples = self._run(prepared)
        except GepcError:
            raise
        except Exception as error:  # whatever a model of somebody else's config may do
            raise EstimatorError(
                f"openmmlab's {self._stage} model ({type(self.model).__name__} of {self.config.filename}) fails: "
                f"{type(error).__name__}: {error}"
            ) from error
        self._timings["decode"] += self._now() - begin - (self._timings[self._stage] - network)
        return samples

    def _run(self, prepared: Sequence[Any]) -> list[Any]:
        from mmengine.dataset import pseudo_collate

        with quiet(), torch.inference_mode():
            samples: list[Any] = self.model.test_step(pseudo_collate(list(prepared)))
        return samples


def _normaliser(preprocessor: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Take a preprocessor's normalisation over: to the last bit as its own, in a third of the time on a CPU.

    Returns:
        What does it to a picture (3, H, W).
    """
    mean, std, swapped = preprocessor.mean.float(), preprocessor.std.float(), preprocessor._channel_conversion
    preprocessor._enable_normalize = preprocessor._channel_conversion = False

    def normalise(picture: torch.Tensor) -> torch.Tensor:
        return torch.sub(picture.flip(0) if swapped else picture, mean).div_(std)

    return normalise


def _unshare(model: torch.nn.Module) -> None:
    """Give every place of a convolution that has several its own copy, with the same weights.

    RTMDet's levels share convolutions but not the batch norms behind them, so each has another one folded in.
    """
    seen: set[int] = set()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.Conv2d):
                if id(child) in seen:
                    setattr(parent, name, copy.deepcopy(child))
                seen.add(id(child))


def _to_float32(value: Any) -> Any:
    """Tensors in nested tuples and lists as float32."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (tuple, list)):
        return type(value)(_to_float32(v) for v in value)
    return value
