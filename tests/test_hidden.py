"""Files of the user's with the names of our packages: shipped configs are found, and what hides what is said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT


def run(folder, code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_folder_configs_of_the_users_hides_no_shipped_config(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").touch()
    done = run(tmp_path, "from pipeline.settings import load_settings; print(load_settings('default').pose)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["pipeline", "anomaly"])
def test_what_hides_a_package_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("x = 1\n")
    done = run(tmp_path, "import sys, gepc_pipeline; sys.exit(gepc_pipeline.main())")
    assert done.returncode == 10
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path / name}.py hides gepc-pipeline's package {ROOT / name}" in done.stderr
    if name == "anomaly":
        assert "anomaly.py hides" in run(tmp_path, "from pipeline import score").stderr


def test_the_package_s_own_name_has_the_api_and_the_commands(tmp_path):
    import gepc_pipeline
    import pipeline

    assert all(getattr(gepc_pipeline, name) == getattr(pipeline, name) for name in gepc_pipeline.__all__)
    done = run(tmp_path, "import runpy; runpy.run_module('gepc_pipeline', run_name='__main__')")
    assert done.returncode == 2
    assert "usage: gepc-pipeline" in done.stderr
    (tmp_path / "pipeline.py").write_text("x = 1\n")
    assert "hides gepc-pipeline's package" in run(tmp_path, "from gepc_pipeline import score").stderr
