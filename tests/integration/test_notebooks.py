"""The notebooks of docs/ run as they stand there, cell by cell."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.helpers import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    clip = names["clip"]
    assert np.isfinite(clip.score).all()
    if "scores" in names:
        assert len(names["scores"]) == len(clip)


def test_there_are_two():
    assert len(NOTEBOOKS) == 2
