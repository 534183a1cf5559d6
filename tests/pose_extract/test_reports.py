"""Nothing is reported to the makers of the libraries."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["pose_extract.estimators.movenet.networks", "anomaly.scoring.onnx_model"])
def test_onnxruntime_keeps_no_reports_to_its_makers(tmp_path, module):
    program = (
        f"import {module}, onnxruntime; onnxruntime.SessionOptions(); onnxruntime.get_available_providers()"
    )
    asked = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in asked}
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={**environment, "HOME": str(tmp_path)}, timeout=120
    )
    found = [str(path) for path in tmp_path.rglob("*") if "onnxruntime" in path.name]
    assert not found, "ONNX Runtime keeps what it would send"
