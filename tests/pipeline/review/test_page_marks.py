"""Marks on the page: its own code is run by node."""

import json
import shutil
import subprocess
from importlib.resources import files

import pytest

from pipeline.review.marks import Mark, read_marks, write_marks

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")


def ask(script, data):
    """What a script prints, with marks of a page that has the clip "a" of the video "=1+1.mp4"."""
    code = "\n".join(
        [
            "const data = JSON.parse(require('fs').readFileSync(0));",
            "const gepc = {}, localStorage = { getItem: () => null, setItem() {} };",
            files("pipeline.review").joinpath("page", "marks.js").read_text().replace('"use strict";', ""),
            "const video = { id: 'v', clip: 'a', name: '=1+1.mp4' };",
            "const marks = new gepc.Marks({ id: 'page', videos: [video] });",
            script,
        ]
    )
    done = subprocess.run([NODE, "-e", code], input=json.dumps(data), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


MARK = Mark("=1+1.mp4", "a", 1, 3, 0.1, 0.3, 0.2, None, None, "right")


def test_marks_that_the_program_keeps_are_opened(tmp_path):
    write_marks(tmp_path / "marks.json", [MARK])
    text = (tmp_path / "marks.json").read_text()
    found = ask("console.log(JSON.stringify(marks.read(data))); console.log(marks.json());", text)
    told, saved = found.split("\n", 1)
    assert json.loads(told) == {"taken": 1, "unknown": 0}
    (tmp_path / "saved.json").write_text(saved)
    assert read_marks(tmp_path / "saved.json") == [MARK]


def test_a_table_of_marks_has_no_formula_and_comes_in_again(tmp_path):
    write_marks(tmp_path / "marks.json", [MARK])
    text = (tmp_path / "marks.json").read_text()
    table = ask("marks.read(data); process.stdout.write(marks.csv());", text)
    assert table.splitlines()[1] == "'=1+1.mp4,a,1,3,0.1,0.3,0.2,,,right"
    (tmp_path / "marks.csv").write_text(table)
    [mark] = read_marks(tmp_path / "marks.csv")
    assert (mark.clip, mark.score, mark.percentile, mark.peak_s) == ("a", None, None, 0.2)


@pytest.mark.parametrize("marks", [None, {}, [None, 1, {"clip": "a"}]])
def test_a_file_that_holds_no_marks_changes_none(marks):
    script = (
        "try { marks.read(data); } catch { console.log('refused', marks.past.length); }"
        "console.log(marks.marks.length);"
    )
    found = ask(script, json.dumps({"format": "gepc-marks", "version": 1, "marks": marks})).split("\n")
    assert found[:2] == (["0", ""] if isinstance(marks, list) else ["refused 0", "0"])
