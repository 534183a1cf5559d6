"""`make mutants` tries changes of the modules that it is asked for and says which nobody saw."""

import subprocess

import pytest

from benchmarks import mutants
from tests.helpers import ROOT


def test_every_guarded_module_and_its_tests_exist():
    for module, tests in mutants.GUARDED.items():
        assert (ROOT / module).is_file(), module
        assert tests
        for test in tests:
            assert (ROOT / "tests" / test).is_file(), f"{module}: {test}"


def test_a_module_that_is_not_guarded_is_refused(capsys):
    with pytest.raises(SystemExit):
        mutants.main(["anomaly/scoring/nothing.py"])
    assert "not among the guarded modules: anomaly/scoring/nothing.py" in capsys.readouterr().err


def test_what_differs_in_a_module_or_its_tests_is_tried(monkeypatch):
    changed = "README.md\nanomaly/scoring/smoothing.py\ntests/pipeline/review/test_marks.py\n"
    monkeypatch.setattr(
        subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=changed, stderr="")
    )
    assert mutants.changed("main") == ["anomaly/scoring/smoothing.py", "pipeline/review/marks.py"]


@pytest.mark.slow
def test_survivors_are_listed_with_file_line_and_change(capsys, monkeypatch, tmp_path):
    """A module whose only test sees one of its two lines."""
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    for name in ("pose_extract", "anomaly", "pipeline", "benchmarks", "configs", "tests", "docs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\nmarkers = ['slow', 'browser', 'openmmlab']\n"
    )
    (tmp_path / "anomaly" / "sums.py").write_text(
        "def more(a):\n    b = a + 1\n    return b\n\n\ndef less(a):\n    return a - 1\n"
    )
    (tmp_path / "tests" / "test_sums.py").write_text(
        "from anomaly.sums import less, more\n\n\ndef test_more():\n    assert more(1) == 2\n    less(1)\n"
    )
    monkeypatch.setattr(mutants, "GUARDED", {"anomaly/sums.py": ("test_sums.py",)})
    assert mutants.main(["--all"]) == 0
    out = capsys.readouterr().out
    assert "anomaly/sums.py:7: survived: return a - 1  ->  return a + 1" in out
    assert "sums.py:2" not in out
    assert "3 of    5 seen,  60.0 %" in out
    assert mutants.main(["anomaly/sums.py", "--sample", "2", "--seed", "3"]) == 0
    assert " of    2 seen" in capsys.readouterr().out
