"""Every measured number that README and docs show is that of its file, and each file has a command that makes it."""

import re
import shutil
import subprocess

import pytest

from benchmarks import figures
from tests.helpers import ROOT


def sections(page):
    """(heading without its command, text) of each section of a page; "" of what comes before the first."""
    found = [("", "")]
    for line in (ROOT / page).read_text().splitlines(keepends=True):
        if line.startswith("## "):
            found.append((line[3:].partition(": `")[0].strip(), ""))
        found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def pages():
    return [str(page) for page in figures.pages()]


@pytest.mark.parametrize("page", pages())
def test_what_a_page_shows_is_what_its_file_says(page):
    wrong = [
        f"{name}: {key} is {expected.strip()}, the page shows {found.strip()}"
        for found, expected, name, key in figures.shown((ROOT / page).read_text())
        if found != expected
    ]
    assert not wrong, f"{page}: python -m benchmarks.figures --show, then read the sentences:\n" + "\n".join(
        wrong
    )


@pytest.mark.parametrize("page", pages())
def test_a_measured_number_names_its_figure(page):
    unnamed = {heading: figures.unnamed(text) for heading, text in sections(page)}
    assert not {heading: found for heading, found in unnamed.items() if found}


def test_every_file_has_a_command_and_says_what_made_it():
    known = figures.commands()
    for path in (ROOT / figures.FOLDER).glob("*.json"):
        kept = figures.read(path.stem)
        if path.stem == "published":
            assert kept["values"].keys() == kept["sources"].keys()
            continue
        assert kept["command"] == known[path.stem]["command"], f"{path.name} was made by another command"
        assert re.fullmatch(r"[0-9a-f]{40}", kept["commit"])
        assert {"python", "numpy", "torch"} <= kept["versions"].keys()
        assert kept["machine"]["cores"] > 0
        assert kept["values"] or kept["tables"]
    for name, facts in known.items():
        module = re.match(
            r"(?:sh -c ')?(?:python (?:-W ignore )?-m benchmarks\.(\w+)|gepc-pipeline) ?", facts["command"]
        )
        assert module, name
        assert module[1] is None or (ROOT / "benchmarks" / f"{module[1]}.py").is_file(), name
        assert facts["minutes"] > 0


OUTPUT = """
training ...
### Held-out
| form | micro AUC | EER |
|---|---|---|
| the default | **0.885 ± 0.015** | 0.186 |
street 0: auc 0.9
some_auc = 0.9125
speed = 12,345 (median of 3)
deviation, of all = 0.900 ± 0.002
not a figure = many
"""


@pytest.fixture
def kept(monkeypatch):
    values, tables = figures.parse(OUTPUT.splitlines())
    monkeypatch.setattr(
        figures, "read", lambda name: {"values": values, "tables": tables} if name == "x" else {}[name]
    )
    return values, tables


def test_values_and_tables_are_read_from_what_a_command_prints(kept):
    values, tables = kept
    assert values == {"some_auc": "0.9125", "speed": "12,345", "deviation, of all": "0.900 ± 0.002"}
    assert tables == {"Held-out": OUTPUT.splitlines()[3:6]}


@pytest.mark.parametrize(
    ("page", "right"),
    [
        ("0.912<!-- x: some_auc -->", True),  # half to even
        ("0.9125<!-- x: some_auc -->", True),
        ("0.913<!-- x: some_auc -->", False),
        ("**0.91**<!-- x: some_auc -->", True),
        ("12,345<!-- x: speed -->", True),
        ("12,344<!-- x: speed -->", False),
        ("0.900 ± 0.002<!-- x: deviation, of all -->", True),
        ("0.900 ± 0.003<!-- x: deviation, of all -->", False),
        ("0.90<!-- x: deviation, of all -->", True),
        ("0.885<!-- x: Held-out / the default / micro AUC -->", True),
        ("0.186<!-- x: Held-out / the default / EER -->", True),
        ("0.187<!-- x: Held-out / the default / EER -->", False),
        ("<!-- table x: Held-out -->\n| form | micro AUC | EER |\n<!-- end -->", False),
    ],
)
def test_a_number_that_is_not_its_figure_is_found_and_put_right(kept, page, right):
    pairs = [(found, expected) for found, expected, _, _ in figures.shown(f"It has {page}.")]
    assert len(pairs) == 1
    assert (pairs[0][0] == pairs[0][1]) == right
    after = figures.updated(page)
    assert (after == page) == right
    assert all(found == expected for found, expected, _, _ in figures.shown(after))


@pytest.mark.parametrize(
    "page", ["0.9<!-- y: some_auc -->", "0.9<!-- x: other -->", "<!-- table x: a -->\n<!-- end -->"]
)
def test_a_figure_that_nobody_made_is_an_error(kept, page):
    with pytest.raises(KeyError):
        list(figures.shown(page))


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("an AUC of 0.911 and 0.92", ["0.911"]),
        ("12.5 ms and 586 MiB, 14.8 frames a second", ["12.5 ms", "586 MiB", "14.8 frames a second"]),
        ("2.4 times as fast", ["2.4 times as fast"]),
        ("22.9 % of 1.05 GB, 5 % of 2 GB", ["22.9 %", "1.05 GB"]),
        ("0.911<!-- x: some_auc --> and 0.913", ["0.913"]),
        ("`--set a=0.123` and\n\n    python -m x 0.456\n\n```\n0.789\n```\n", []),
        ("    python -m x 0.456\n\nand 0.777\n", ["0.777"]),
        ("at 24 frames a second and 16 MiB, as settings say", []),
        ("version 1.2.345, torch 2.13.0, 1.5 s", []),
        ("<!-- table x: Held-out -->\n| 0.123 |\n<!-- end -->", []),
        ("| a | 0.123 |", ["0.123"]),
    ],
)  # fmt: skip
def test_measured_numbers_are_known_by_their_looks(page, found):
    assert figures.unnamed(page) == found


def test_a_command_s_figures_are_kept_with_what_made_them(monkeypatch, tmp_path):
    (tmp_path / figures.FOLDER).mkdir(parents=True)
    (tmp_path / figures.FOLDER / "commands.toml").write_text(
        "[quick]\ncommand = '''python -c \"print('some_auc = 0.5')\"'''\nminutes = 1\n"
        "[broken]\ncommand = '''python -c \"raise SystemExit(3)\"'''\nminutes = 1\n"
        "[empty]\ncommand = '''python -c \"print('hello')\"'''\nminutes = 1\n"
    )
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    assert figures.main(["quick"]) == 0
    kept = figures.read("quick")
    assert kept["values"] == {"some_auc": "0.5"}
    assert kept["minutes"] >= 0
    assert "python" in kept["versions"]
    for name in ("broken", "empty"):
        with pytest.raises(RuntimeError, match="nothing was kept"):
            figures.make(name)
    with pytest.raises(SystemExit):
        figures.main(["unknown"])


def test_without_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert figures._commit() == {"commit": None, "changed": []}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_what_differs_from_the_commit_is_named(monkeypatch, tmp_path):
    def git(*words):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    for name in ("a.py", "b.py", "page.md"):
        (tmp_path / name).write_text("1")
    git("add", "-A")
    git("commit", "--quiet", "--message", "one")
    for name in ("a.py", "b.py", "page.md", "new.py"):
        (tmp_path / name).write_text("2")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    found = figures._commit()
    assert found["changed"] == ["a.py", "b.py"]  # a page is what figures are put into
    assert re.fullmatch(r"[0-9a-f]{40}", found["commit"])
