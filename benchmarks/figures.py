"""Make the figures of README and docs anew, keep them as JSON, and put them where the pages show them.

    python -m benchmarks.figures             # what there is: its command, how long it took, when and of what commit
    python -m benchmarks.figures NAME ...    # make these anew: docs/figures/NAME.json
    python -m benchmarks.figures --show      # write what the files say into README and docs

`docs/figures/commands.toml` has a command for each name. What it prints as ``KEY = NUMBER``, and every Markdown table
(called by the heading before it), is kept with the command, the commit, versions and machine. A page shows a number
before a comment that says which one it is, ``0.911<!-- NAME: KEY -->``; a cell of a table is ``TITLE / ROW / COLUMN``;
a whole table stands between ``<!-- table NAME: TITLE -->`` and ``<!-- end -->``. `tests/test_figures.py` compares them,
so neither prose nor tables can drift, and finds measured numbers that name no figure.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

from benchmarks.helpers.command import option_parser
from pipeline.versions import versions

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path("docs/figures")
NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"
_SHOWN = re.compile(
    rf"(?P<text>{NUMBER}(?: ± {NUMBER})?)(?P<end>[*]*)<!-- (?P<name>[\w-]+): (?P<key>[^>]+?) -->"
)
_BLOCK = re.compile(
    r"<!-- table (?P<name>[\w-]+): (?P<title>[^>]*?) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL
)
_VALUE = re.compile(rf"(?P<key>[A-Za-z][\w .,:+/=()-]*?) = (?P<text>{NUMBER}(?: ± {NUMBER})?)(?:\s.*|)$")
# What reads like a measured number: three decimals, a share or a size with decimals, or a unit of speed or memory after
# a number that is not round.
_MEASURED = re.compile(
    r"(?<![\w.@])\d\.\d{3}(?![\d.])|(?<![\w.@])\d+\.\d+ (?:%|MB|GB)"
    r"|(?<![\w.])(?:\d+\.\d+|[\d,]{3,}) (?:ms|MiB|GiB|GFLOP/s|frames a second|times as fast|times real time)\b"
)


def pages() -> list[Path]:
    """README and docs, relative to the repository."""
    return [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]


def commands() -> dict[str, dict[str, Any]]:
    """Name of a set of figures -> ``command``, and ``minutes`` that it takes, what it ``needs``."""
    return tomllib.loads((ROOT / FOLDER / "commands.toml").read_text())


def read(name: str) -> dict[str, Any]:
    """What is kept of a set of figures.

    Raises:
        KeyError: nothing is.
    """
    path = ROOT / FOLDER / f"{name}.json"
    if not path.is_file():
        raise KeyError(f"there is no {FOLDER / path.name}: python -m benchmarks.figures {name}")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def make(name: str) -> dict[str, Any]:
    """Run the command of a set of figures and keep what it prints.

    Raises:
        RuntimeError: it fails, or prints no figure.
    """
    command = commands()[name]["command"]
    load, begun = os.getloadavg()[0] if hasattr(os, "getloadavg") else None, time.perf_counter()
    commit = _commit()  # what the command begins with
    lines = []
    words = [sys.executable if word == "python" else word for word in shlex.split(command)]
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # gepc-pipeline
    environment = {**os.environ, "PATH": beside}
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    values, tables = parse(lines)
    if process.returncode or not (values or tables):
        raise RuntimeError(
            f"{command}: exit code {process.returncode}, {len(values)} figures: nothing was kept"
        )
    made = {
        "command": command,
        "made": datetime.now().astimezone().isoformat(timespec="seconds"),
        "minutes": round((time.perf_counter() - begun) / 60, 1),
        **commit,
        "versions": versions(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_before": load and round(load, 1),
            "system": platform.platform(),
            "threads": os.environ.get("OMP_NUM_THREADS"),
        },
        "values": values,
        "tables": tables,
    }
    (ROOT / FOLDER / f"{name}.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    return made


def parse(lines: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Values and tables of a command's output, as text: key -> number, title -> lines."""
    values: dict[str, str] = {}
    tables: dict[str, list[str]] = {}
    title, table = "", False
    for line in lines:
        if line.startswith("|"):
            if not table:
                tables[title] = []
            tables[title].append(line.rstrip())
        elif line.startswith("#"):
            title = line.lstrip("#").strip()
        elif value := _VALUE.fullmatch(line.strip()):
            values[value["key"]] = value["text"]
        table = line.startswith("|")
    return values, tables


def lookup(kept: dict[str, Any], key: str) -> str:
    """The text of one figure: of a value, or of a table's cell by ``TITLE / ROW / COLUMN``.

    Raises:
        KeyError: there is none.
    """
    if key in kept["values"]:
        return str(kept["values"][key])
    for title, lines in kept["tables"].items():
        rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
        for row in rows[2:]:
            for column, cell in zip(rows[0][1:], row[1:], strict=True):
                if key == f"{title} / {row[0]} / {column}":
                    return cell
    raise KeyError(f"no figure {key!r}")


def rounded(text: str, like: str) -> str:
    """Numbers of ``text`` with as many decimals as those of ``like``; the first alone where ``like`` has one."""
    numbers, wanted = text.replace(",", "").split(" ± "), like.split(" ± ")
    out = []
    for number, model in zip(numbers, wanted, strict=False):
        decimals = len(model.partition(".")[2])
        value = Decimal(number).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
        sign = "+" if model.startswith("+") else ""
        out.append(f"{value:{sign},}" if "," in model else f"{value:{sign}}")
    return " ± ".join(out)


def shown(text: str) -> Iterator[tuple[str, str, str, str]]:
    """(what the page shows, what it should show, name, key) of each number and table of a page that names a figure.

    Raises:
        KeyError: a name or key is not known.
    """
    for found in _SHOWN.finditer(text):
        yield (
            found["text"],
            rounded(lookup(read(found["name"]), found["key"]), found["text"]),
            found["name"],
            found["key"],
        )
    for block in _BLOCK.finditer(text):
        lines = read(block["name"])["tables"].get(block["title"])
        if lines is None:
            raise KeyError(f"no table {block['title']!r} in {block['name']}")
        yield block["text"], "\n".join(lines) + "\n", block["name"], block["title"]


def unnamed(text: str) -> list[str]:
    """Measured numbers of a page that name no figure; those in code do not count."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"^    .*$|`[^`\n]*`", "", text, flags=re.MULTILINE)
    return [found[0] for found in _MEASURED.finditer(_SHOWN.sub("", _BLOCK.sub("", text)))]


def updated(text: str) -> str:
    """A page with the numbers and tables that the files have."""

    def number(found: re.Match[str]) -> str:
        new = rounded(lookup(read(found["name"]), found["key"]), found["text"])
        return f"{new}{found['end']}<!-- {found['name']}: {found['key']} -->"

    def table(found: re.Match[str]) -> str:
        lines = read(found["name"])["tables"][found["title"]]
        return f"<!-- table {found['name']}: {found['title']} -->\n" + "\n".join(lines) + "\n<!-- end -->"

    return _BLOCK.sub(table, _SHOWN.sub(number, text))


def _commit() -> dict[str, Any]:
    def git(*words: str) -> str:
        try:
            done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        except FileNotFoundError:  # as in the images of docker/
            return ""
        return done.stdout.rstrip()

    changed = [line[3:] for line in git("status", "--porcelain", "--untracked-files=no").splitlines()]
    return {
        "commit": git("rev-parse", "HEAD") or None,
        "changed": [path for path in changed if ".md" not in path],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def main(arguments: list[str] | None = None) -> int:
    """Make, show or list."""
    parser = option_parser(__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--show", action="store_true", help="write what the files say into README and docs")
    args = parser.parse_args(arguments)
    known = commands()
    for name in args.names:
        if name not in known:
            parser.error(f"no figures {name!r}; there are {', '.join(known)}")
        make(name)
    if args.show:
        for page in pages():
            before = (ROOT / page).read_text()
            after = updated(before)
            if after != before:
                (ROOT / page).write_text(after)
                print(f"{page} has new figures")
    if not args.names and not args.show:
        for name, facts in known.items():
            try:
                kept = read(name)
                state = f"{kept['minutes']:g} minutes, {kept['made'][:10]}, commit {str(kept['commit'])[:8]}"
            except KeyError:
                state = f"not made yet, about {facts['minutes']} minutes"
            print(f"{name:18} {facts['command']}\n{'':18} {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
