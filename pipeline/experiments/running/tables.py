"""Tables with measured numbers and the paper's beside them: for the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.experiments.running.cells import Result
from pipeline.experiments.running.differences import CellKey, difference
from pipeline.versions import versions
from pose_extract.files import complete_or_absent, write_atomically


@dataclass(frozen=True)
class Value:
    """A measured number, and what the paper has in its place.

    Attributes:
        mean: over seeds; None where nothing has been measured.
        deviation: sample standard deviation (n - 1) over seeds; None for a single one.
        published: the paper's, or None.
        missing: how many of the numbers that it should rest on are not there.
        cells: the numbers that it rests on, by split and seed.
        interval: ends of the 95 % interval of a difference; None of what is none.
    """

    mean: float | None = None
    deviation: float | None = None
    published: float | None = None
    missing: int = 0
    cells: Mapping[CellKey, float] = field(default_factory=dict, compare=False)
    interval: tuple[float, float] | None = None

    def text(self, form: str = "{:.3f}") -> str:
        """For people: ``0.731 ± 0.012``, with a star where numbers are missing."""
        if self.mean is None:
            return "-"
        if self.interval is not None:
            signed = form.replace("{:", "{:+")
            low, high = (signed.format(end) if math.isfinite(end) else "?" for end in self.interval)
            return f"{signed.format(self.mean)} [{low}, {high}]" + "*" * bool(self.missing)
        shown = form.format(self.mean)
        if self.deviation is not None:
            shown += f" ± {form.format(self.deviation)}"
        return shown + "*" * bool(self.missing)


def spread(cells: Mapping[CellKey, float], published: float | None = None, expected: int = 0) -> Value:
    """The mean of the seeds' means, with the deviation of these.

    Args:
        cells: the numbers of each split and seed.
        published: the paper's number.
        expected: how many numbers there should be in all.
    """
    seeds = dict.fromkeys(seed for _, seed in cells)
    means = [float(np.mean([cells[cell] for cell in cells if cell[1] == seed])) for seed in seeds]
    missing = max(expected - len(cells), 0)
    if not means:
        return Value(published=published, missing=missing)
    deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
    return Value(float(np.mean(means)), deviation, published, missing, dict(cells))


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        name: what it is of.
        values: one a column.
        contender: whether its numbers compete for being the best of their column.
    """

    name: str
    values: Sequence[Value]
    contender: bool = True


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its files.
        heading: what it shows, in sentences.
        first: heading of the names' column.
        columns: headings.
        rows: lines.
        notes: what to know, below it.
        forms: how a column's numbers are written, if not all alike.
    """

    name: str
    heading: str
    first: str
    columns: Sequence[str]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    forms: Sequence[str] = field(default_factory=tuple)

    def published(self) -> list[bool]:
        """For each column, whether the paper has a number in it."""
        return [
            any(row.values[i].published is not None for row in self.rows) for i in range(len(self.columns))
        ]

    def form(self, column: int) -> str:
        """How a column's numbers are written."""
        return self.forms[column] if self.forms else "{:.3f}"


def markdown(table: Table) -> str:
    """The table in Markdown, below its name; the best number of each column is bold, if its lead is beyond noise."""
    with_paper = table.published()
    heads = [table.first]
    for name, paper in zip(table.columns, with_paper, strict=True):
        heads += [name] + ["published"] * paper
    lines = [f"### {table.name}", "", table.heading, ""]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    best = [_best(table, i) for i in range(len(table.columns))]
    for row in table.rows:
        cells = [row.name]
        for i, value in enumerate(row.values):
            text = value.text(table.form(i))
            is_best = row.contender and value.mean is not None and value.mean == best[i]
            cells.append(f"**{text}**" if is_best else text)
            if with_paper[i]:
                cells.append("-" if value.published is None else table.form(i).format(value.published))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    notes = list(table.notes)
    if any(value.mean is not None and value.missing for row in table.rows for value in row.values):
        notes.append("\\* not all of the cells that this number rests on are there.")
    return "\n".join([*lines, *(line for note in notes for line in ("", note))]) + "\n"


def _best(table: Table, column: int) -> float | None:
    """The highest mean, unless what it is ahead by may be noise; published numbers have none."""
    values = [row.values[column] for row in table.rows if row.contender]
    there = [value for value in values if value.mean is not None]
    if len(there) < 2:
        return None
    best = max(there, key=lambda value: value.mean or 0.0)
    for other in there:
        if other is not best and (best.cells or other.cells):
            ahead = difference(best.cells, other.cells)
            if ahead is None or not ahead.certain:
                return None
    return best.mean


def differences(table: Table, reference: str) -> list[Table]:
    """How far a row is ahead of every other one, column by column, with 95 % intervals; [] without such a row."""
    of = next((row for row in table.rows if row.name == reference), None)
    rows = []
    for row in table.rows:
        found = (
            [difference(a.cells, b.cells) for a, b in zip(of.values, row.values, strict=True)] if of else []
        )
        if row is not of and any(found):
            values = [Value() if d is None else Value(d.mean, interval=(d.low, d.high)) for d in found]
            rows.append(Row(row.name, values, False))
    if not rows:
        return []
    heading = (
        f"How far {reference} is ahead: paired differences over the same splits and seeds, with 95 % intervals that "
        "count on splits and seeds as drawn from many. One that leaves out 0 is beyond noise."
    )
    return [Table(f"{table.name}-differences", heading, "ahead of", table.columns, rows, forms=table.forms)]


def write(folder: Path, tables: Sequence[Table], results: Sequence[Result], facts: Mapping[str, Any]) -> None:
    """Write ``<name>.md``, ``.csv`` and ``.json`` of the first table's name, and ``<name>-cells.csv``.

    Args:
        folder: where to.
        tables: one below the other in the Markdown; the CSV has the first one.
        results: what they rest on.
        facts: how they were made, for the JSON.

    Raises:
        OutputError: a file cannot be written.
    """
    main = tables[0]
    write_atomically(folder / f"{main.name}.md", "\n".join(map(markdown, tables)).encode())
    with complete_or_absent(folder / f"{main.name}.csv") as file:
        writer = csv.writer(file)
        kinds = ("mean", "deviation", "published")
        writer.writerow([main.first, *(f"{name} {kind}" for name in main.columns for kind in kinds)])
        for row in main.rows:
            numbers = [getattr(value, kind) for value in row.values for kind in kinds]
            writer.writerow([row.name, *("" if n is None else f"{n:.6g}" for n in numbers)])
    lines = [_flat(result) for result in results]
    with complete_or_absent(folder / f"{main.name}-cells.csv") as file:
        cells = csv.DictWriter(file, list(dict.fromkeys(key for line in lines for key in line)) or ["cell"])
        cells.writeheader()
        cells.writerows(lines)
    content = {
        **facts,
        "tables": [_without_cells(asdict(table)) for table in tables],
        "results": lines,
        "versions": versions(),
    }
    text = json.dumps(_plain(content), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomically(folder / f"{main.name}.json", text.encode())


def _without_cells(table: dict[str, Any]) -> dict[str, Any]:
    """A table without the single numbers, which the results are."""
    for row in table["rows"]:
        row["values"] = [{name: v for name, v in value.items() if name != "cells"} for value in row["values"]]
    return table


def _flat(result: Result) -> dict[str, Any]:
    """A result in one line."""
    facts = {name: value for name, value in result.cell.facts.items() if isinstance(value, (str, int, float))}
    return {
        "cell": result.cell.name,
        "method": result.method,
        "seed": result.cell.seed,
        **facts,
        **result.figures,
        "seconds": round(result.seconds, 3),
        "failed": result.failed,
    }


def _plain(value: Any) -> Any:
    """As JSON can hold it: null for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show(tables: Iterable[Table]) -> None:
    """Print tables to the terminal, at most 80 columns wide where it is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(width=None if Console().is_terminal else 80, highlight=False)
    for table in tables:
        console.print(Text(table.heading))
        shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        shown.add_column(table.first, overflow="fold", min_width=10)
        for name in table.columns:
            shown.add_column(name, justify="right")
        for row in table.rows:
            cells = []
            for i, value in enumerate(row.values):
                paper = "" if value.published is None else f" ({table.form(i).format(value.published)})"
                cells.append(value.text(table.form(i)) + paper)
            shown.add_row(Text(row.name), *map(Text, cells))
        console.print(shown)
        for note in table.notes:
            console.print(Text(note))
