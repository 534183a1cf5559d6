"""A skip that nobody expects fails the run, in one process and in several."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from tests.helpers.expected_skips import expected_reasons

CASES = """
import pytest

def test_it_works():
    pass

def test_without_root():
    pytest.skip("root may read every file, this is root")

@pytest.mark.skipif(True, reason="no data: DATA is not set")
def test_with_data():
    pass

@pytest.mark.xfail
def test_known():
    assert False
"""
MODULE = "import pytest\npytest.skip('a module lacks its package', allow_module_level=True)\n"


def run(folder, expected, *options, lacking=""):
    (folder / "skips").write_text(expected)
    (folder / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.helpers import expected_skips\n"
        "pytest_addoption = expected_skips.add_options\npytest_configure = expected_skips.register\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    arguments = [f"--expected-skips={folder / 'skips'}", f"--lacking={lacking}"] if expected else []
    own = {
        name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"
    }  # CI's are for CI's run
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, env=own)
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n", "2"]])
def test_any_skip_but_those_that_are_listed_fails_the_run(tmp_path, options):
    (tmp_path / "test_cases.py").write_text(CASES)
    assert run(tmp_path, "", *options)[0] == 0
    code, out = run(tmp_path, "# why\nalways: root may read\ndata: DATA is not set\n", *options)
    assert code == 1
    assert "skips that nobody expects" in out
    assert "test_cases.py::test_with_data: Skipped: no data: DATA is not set" in out
    assert "test_without_root: Skipped" not in out.partition("nobody expects")[2]
    assert (
        run(tmp_path, "always: root may read\ndata: DATA is not set\n", *options, lacking="node,data")[0] == 0
    )
    (tmp_path / "test_module.py").write_text(MODULE)
    code, out = run(tmp_path, "always: root may read\nalways: DATA is not set\n", *options)
    assert code == 1
    assert "a module lacks its package" in out.partition("nobody expects")[2]


def test_a_line_that_says_no_reason_is_refused():
    with pytest.raises(pytest.UsageError, match="NEED: REASON"):
        expected_reasons("always\n", set())
    assert expected_reasons("# x: y\n\na: b: c\nalways: d\n", {"a"}) == ["b: c", "d"]
