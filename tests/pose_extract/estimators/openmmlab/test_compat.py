"""Importing OpenMMLab brings its packages and changes nothing else in the process."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from pose_extract.errors import EstimatorError
from pose_extract.estimators.openmmlab import compat
from pose_extract.estimators.openmmlab.compat import INSTALL, import_openmmlab, missing_packages, quiet
from tests.helpers import ROOT

pytestmark = pytest.mark.openmmlab


def run(program: str, *path: Path) -> Any:
    """What a fresh Python prints at last, as JSON."""
    lines = f"import sys\nsys.path[:0] = {[str(p) for p in path]!r}\n" + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


# Packages that OpenMMLab uses and that change a process in their own ways when they are first imported, whoever does
# it (environment variables, finders, names that torch may load). They come first here: only OpenMMLab's part shows.
STATE = """
import json, logging, multiprocessing, os, random, signal, threading, warnings
import cv2, matplotlib.pyplot, numpy as np, PIL.Image, pkg_resources, requests, six, sklearn.gaussian_process
import torch, torch._dynamo, torch._inductor, torch.distributed.tensor, importlib_metadata

def state():
    own = [n for n in logging.root.manager.loggerDict if n.partition(".")[0] in ("mmengine", "mmcv", "mmdet", "mmpose")]
    default_scope = sys.modules["mmengine.registry"].DefaultScope if "mmengine.registry" in sys.modules else None
    return {
        "torch.load": [torch.load.__module__, torch.load.__defaults__, sorted(torch.load.__kwdefaults__ or {})],
        "warnings": [str(entry) for entry in warnings.filters] + [str(warnings.showwarning)],
        "safe globals": sorted(map(str, torch.serialization.get_safe_globals())),
        "scope": str(default_scope and default_scope.get_current_instance()),
        "logging": [logging.root.level, len(logging.root.handlers), logging.root.manager.disable],
        "loggers": [n for n in own if logging.getLogger(n).handlers or logging.getLogger(n).level],
        "random": [str(random.getstate()), str(np.random.get_state()), torch.get_rng_state().tolist()],
        "numpy": [np.geterr(), str(np.get_printoptions())],
        "cv2": [cv2.getNumThreads(), cv2.ocl.useOpenCL()],
        "torch": [torch.get_num_threads(), torch.is_grad_enabled(), str(torch.get_default_dtype()),
                  torch.backends.cudnn.benchmark, torch.are_deterministic_algorithms_enabled(),
                  str(vars(torch._tensor_str.PRINT_OPTS))],
        "environment": dict(os.environ),
        "processes": [multiprocessing.get_start_method(True), torch.multiprocessing.get_sharing_strategy()],
        "matplotlib": [str(matplotlib.rcParams._get(key)) for key in matplotlib.rcParams.keys()],
        "threads": [t.name for t in threading.enumerate()],
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(sys.displayhook)],
        "path": [sys.path, list(map(str, sys.meta_path)), os.getcwd(), sys.getrecursionlimit()],
        "pillow": [PIL.Image.MAX_IMAGE_PIXELS],
        "stand-ins": [n for n in sys.modules if n.startswith("xtcocotools") or n == "mmcv._ext"],
    }
"""


@pytest.mark.slow
def test_a_process_is_afterwards_as_it_was_before():
    (before, after), _ = run(
        STATE
        + textwrap.dedent("""
        before = state()
        from pose_extract.estimators.openmmlab.compat import import_openmmlab
        import_openmmlab()
        assert "mmdet.models" in sys.modules and "mmpose.models" in sys.modules
        print(json.dumps([before, state()], default=str))
        """)
    )
    assert before.keys() == after.keys()
    for name in before:
        assert before[name] == after[name], name
    assert after["stand-ins"] == []


def test_a_package_that_is_not_installed_is_named_with_the_line_that_installs_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("mmdet", "pycocotools") else find(name, *rest),
    )
    monkeypatch.setattr(compat, "_ready", False)
    assert missing_packages() == ["mmdet", "pycocotools"]
    with pytest.raises(EstimatorError, match=r"not installed: mmdet, pycocotools\.") as caught:
        import_openmmlab()
    assert INSTALL in str(caught.value)


def test_looking_for_missing_packages_imports_none():
    loaded, _ = run("""
        import json
        from pose_extract.estimators.openmmlab.compat import missing_packages
        assert missing_packages() == []
        print(json.dumps([n for n in ("torch", "torchvision", "mmcv", "mmdet", "mmpose", "cv2") if n in sys.modules]))
        """)
    assert loaded == []


@pytest.mark.parametrize(
    ("package", "reason"),
    [
        pytest.param("mmpose", "MMPose==2 is used", marks=pytest.mark.slow),
        ("mmdet", "MMCV==2.2.0 is used"),
        ("pycocotools", "gone"),
    ],
)
def test_packages_that_do_not_fit_give_the_same_line_and_leave_nothing(package, reason, tmp_path):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise AssertionError({reason!r})\n")
    (messages, left, filters), _ = run(
        """
        import json, warnings
        from pose_extract.errors import EstimatorError
        from pose_extract.estimators.openmmlab.compat import import_openmmlab
        filters = list(warnings.filters)
        messages = []
        for _ in range(2):
            try:
                import_openmmlab()
            except EstimatorError as error:
                messages.append(str(error))
        left = [n for n in sys.modules if n.startswith("xtcocotools") or n == "mmcv._ext"]
        print(json.dumps([messages, left, warnings.filters == filters]))
        """,
        tmp_path,
    )
    assert len(messages) == 2
    for message in messages:
        assert f"AssertionError: {reason}" in message
        assert INSTALL in message
    assert left == []
    assert filters


def test_compiled_operators_are_used_where_they_are_there(monkeypatch):
    find = importlib.util.find_spec
    placed = []
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    for compiled in (True, False):
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, *rest, there=compiled: there or None if name == "mmcv._ext" else find(name, *rest),
        )
        with compat._stand_ins():
            placed.append("mmcv._ext" in sys.modules)
        assert "mmcv._ext" not in sys.modules
    assert placed == [False, True]


def test_what_others_imported_under_these_names_is_theirs_again(monkeypatch):
    own = {name: object() for name in ("xtcocotools", "xtcocotools.coco")}
    for name, module in own.items():
        monkeypatch.setitem(sys.modules, name, module)
    with compat._stand_ins():
        assert sys.modules["xtcocotools"] is sys.modules["pycocotools"]
    for name, module in own.items():
        assert sys.modules[name] is module
    assert "xtcocotools.mask" not in sys.modules


@pytest.mark.slow
def test_several_threads_may_import_at_once_and_nothing_is_printed():
    results, stderr = run("""
        import json, threading
        from pose_extract.estimators.openmmlab.compat import import_openmmlab
        results = []
        def work():
            try:
                import_openmmlab()
                import mmpose.models  # whole, not half-way through
                results.append("ready" if hasattr(mmpose.models, "TopdownPoseEstimator") else "not ready")
            except BaseException as error:
                results.append(repr(error))
        threads = [threading.Thread(target=work) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        print(json.dumps(results))
        """)
    assert results == ["ready"] * 8
    assert stderr == ""


def test_the_line_to_install_names_the_version_of_mmpose_that_is_tested():
    constraints = ROOT / "constraints.txt"
    pinned = re.search(r"^mmpose==(\S+)$", constraints.read_text(), re.MULTILINE)
    assert pinned is not None
    assert INSTALL.endswith(f"mmpose=={pinned[1]}")


def test_the_line_to_install_keeps_the_torch_that_is_there():
    import torch

    assert f" torch=={torch.__version__.partition('+')[0]} " in INSTALL


# --- quiet ---


def warn_harmless() -> None:
    """As mmpose and torch do."""
    warnings.warn_explicit(
        'The metainfo config file "a.py" does not exist. A matched config file "/b/a.py" will be used instead.',
        UserWarning, "utils.py", 102, module="mmpose.datasets.datasets.utils",
    )  # fmt: skip
    warnings.warn_explicit(
        "`torch.cuda.amp.autocast(args...)` is deprecated. Please use `torch.amp.autocast('cuda', args...)` instead.",
        FutureWarning, "se_layer.py", 158, module="mmdet.models.layers.se_layer",
    )  # fmt: skip


def test_known_harmless_warnings_are_left_out_and_no_others():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warn_harmless()
            assert not caught
            warnings.warn("something else", UserWarning, stacklevel=1)
            warnings.warn_explicit(
                "`torch.cuda.amp.autocast(args...)` is deprecated", FutureWarning, "a.py", 1, "mine"
            )
        assert len(caught) == 2
        warn_harmless()
        assert len(caught) == 4


def test_the_filters_are_afterwards_as_they_were_before_errors_and_nesting_included():
    before = list(warnings.filters)
    with pytest.raises(ValueError), quiet(), quiet():
        raise ValueError
    assert warnings.filters == before


def test_threads_may_be_quiet_at_overlapping_times():
    before = list(warnings.filters)
    first_out, second_in = threading.Event(), threading.Event()

    def second() -> None:
        with quiet():
            second_in.set()
            first_out.wait(10)

    with quiet():
        thread = threading.Thread(target=second)
        thread.start()
        second_in.wait(10)
    assert len(warnings.filters) > len(before)  # the second is still at it
    first_out.set()
    thread.join()
    assert warnings.filters == before


def test_filters_that_others_set_meanwhile_stay():
    with warnings.catch_warnings():
        with quiet():
            warnings.filterwarnings("ignore", "theirs")
        assert any(entry[1] is not None and entry[1].pattern == "theirs" for entry in warnings.filters)


def test_real_models_are_built_and_run_without_a_warning(openmmlab):
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    from tests.helpers.openmmlab_models import RTMPOSE_T, config_path

    rtmo = "configs/body_2d_keypoint/rtmo/body7/rtmo-s_8xb32-600e_body7-640x640.py"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet():
            for config in (RTMPOSE_T, rtmo):
                with DefaultScope.overwrite_default_scope("mmpose"):
                    model = MODELS.build(Config.fromfile(config_path(config)).model).eval()
                with torch.inference_mode():
                    model.extract_feat(torch.zeros(1, 3, 256, 192))
