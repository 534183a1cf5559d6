"""Import OpenMMLab where its packages ask for what current ones, or a machine without a compiler, do not have.

What stands in for them lives only while they are imported; afterwards the process is as it was, except that the
packages are loaded.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import threading
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pose_extract.errors import EstimatorError


def _install_line() -> str:
    """See `INSTALL`."""
    # Without torch's version in it, pip takes the newest torchvision, and for that the newest torch, which on Linux is
    # gigabytes of CUDA, whatever torch is there.
    try:
        torch = f" torch=={version('torch').partition('+')[0]}"
    except PackageNotFoundError:
        torch = ""
    return f'pip install "gepc-pipeline[openmmlab]"{torch} && pip install --no-deps mmpose==1.3.2'


INSTALL = _install_line()
"""The line that installs what the estimator needs, beside the torch that is there."""


_PACKAGES = ("torchvision", "mmcv", "mmdet", "mmpose", "pycocotools")
_XTCOCOTOOLS = ("", ".coco", ".cocoeval", ".mask")
_lock = threading.Lock()
_ready = False

# What OpenMMLab's models warn of when they are built and run: message, category, module that is warned. None of it
# concerns a user, and none of it can be changed from here.
_HARMLESS: tuple[tuple[str, type[Warning], str], ...] = (
    (
        r"`torch\.cuda\.amp\.autocast\(args\.\.\.\)` is deprecated",
        FutureWarning,
        r"mm(cv|det|pose|pretrain)\.",
    ),
    (r"torch\.meshgrid: in an upcoming release", UserWarning, r"torch\.functional"),
    (r"The metainfo config file .* does not exist\. A matched config file", UserWarning, r"mmpose\."),
    (r"The arguments `dropout` in MultiheadAttention has been deprecated", DeprecationWarning, r"mmcv\."),
    (r"pkg_resources is deprecated as an API", UserWarning, r"(importlib|mmengine)\b"),
)
_FILTERS = tuple(
    ("ignore", re.compile(message, re.IGNORECASE), category, re.compile(module), 0)
    for message, category, module in _HARMLESS
)
_quiet_lock = threading.Lock()
_quiet = 0


def missing_packages() -> list[str]:
    """Which packages the estimator lacks; empty if it can run. Imports none of them."""
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def import_openmmlab() -> None:
    """Import mmdet and mmpose, and with them every model that they can build.

    Raises:
        EstimatorError: they are not installed, or do not fit together; says which line mends it.
    """
    global _ready
    with _lock:
        if _ready:
            return
        if lacking := missing_packages():
            raise EstimatorError(
                f"the estimator openmmlab needs packages that are not installed: {', '.join(lacking)}. "
                f"Install them with:\n  {INSTALL}"
            )
        try:
            with _stand_ins():
                for name in ("mmdet.apis", "mmdet.models", "mmpose.apis", "mmpose.models"):
                    importlib.import_module(name)
        except Exception as error:
            raise EstimatorError(
                f"OpenMMLab's packages cannot be imported ({type(error).__name__}: {error}). "
                f"Install the set that fits together with:\n  {INSTALL}"
            ) from error
        _ready = True


@contextmanager
def quiet() -> Iterator[None]:
    """While models are built and run: leaves out their known harmless warnings, and no others.

    Python has one list of warning filters for all threads. This adds its own few when the first thread comes in and
    takes exactly these out when the last one leaves, so that threads may overlap here and others keep what they set.
    """
    global _quiet
    with _quiet_lock:
        if _quiet == 0:
            for message, category, module in _HARMLESS:
                warnings.filterwarnings("ignore", message, category, module)
        _quiet += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet -= 1
            if _quiet == 0:
                warnings.filters[:] = [entry for entry in warnings.filters if entry not in _FILTERS]  # type: ignore[index]


@contextmanager
def _stand_ins() -> Iterator[None]:
    """What has to be in place during the imports; gone afterwards."""
    before = dict(sys.modules)
    placed: dict[str, types.ModuleType] = {}
    library = None
    with warnings.catch_warnings():
        # Deprecations in code that nobody here can change.
        warnings.simplefilter("ignore")
        try:
            # torchvision's wheel may be built for another torch (a CUDA one beside a CPU one): its operators do not
            # load then, and its Python part stops at the first that it wants to describe. Declared operators are
            # enough: nothing here calls them.
            library = _declare_torchvision_operators()
            # mmcv-lite has no compiled operators, and mmdet cannot be imported without them. Person detectors call
            # only NMS; others say what they lack when they are called.
            if importlib.util.find_spec("mmcv._ext") is None:
                from pose_extract.estimators.openmmlab.operators import Operators

                placed["mmcv._ext"] = Operators("mmcv._ext")
            # xtcocotools' wheels are built for NumPy 1 and do not load beside NumPy 2. mmpose imports it for
            # evaluation, which is not used here; pycocotools has the same names.
            for part in _XTCOCOTOOLS:
                placed[f"xtcocotools{part}"] = importlib.import_module(f"pycocotools{part}")
            sys.modules.update(placed)
            yield
        finally:
            for name, module in placed.items():
                if sys.modules.get(name) is module:
                    del sys.modules[name]
                if name in before:
                    sys.modules[name] = before[name]
            if library is not None:
                library._destroy()


def _declare_torchvision_operators() -> Any:
    """Import torchvision; returns the library of declared operators if its own do not load."""
    try:
        importlib.import_module("torchvision")
        return None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")
    return library
