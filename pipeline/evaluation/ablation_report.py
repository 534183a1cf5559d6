"""Write the table of an ablation: for the terminal, as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.evaluation.ablate import CellResult
from pipeline.evaluation.report import DEFINITIONS, number, plain
from pipeline.versions import versions
from pose_extract.files import complete_or_absent, write_atomically

# Columns: mode, figure, heading, how a number is written. Modes that there are no figures of are left out.
_COLUMNS = (
    ("backtracked", "auc_micro", "AUC micro", "{:.3f}"),
    ("backtracked", "auc_macro", "AUC macro", "{:.3f}"),
    ("backtracked", "ap", "AP", "{:.3f}"),
    ("backtracked", "eer", "EER", "{:.3f}"),
    ("backtracked", "event_recall", "events detected", "{:.1%}"),
    ("backtracked", "false_alarms_per_hour", "false alarms / h", "{:.1f}"),
    ("online", "auc_micro", "online AUC micro", "{:.3f}"),
    ("online", "auc_macro", "online AUC macro", "{:.3f}"),
    ("online", "event_recall", "online events detected", "{:.1%}"),
    ("online", "false_alarms_per_hour", "online false alarms / h", "{:.1f}"),
)


def _columns(results: Sequence[CellResult]) -> list[tuple[str, str, str, str]]:
    """The columns that some cell has a number for."""
    return [
        column
        for column in _COLUMNS
        if any(
            spread is not None and not math.isnan(spread[column[1]].mean)
            for spread in (result.spread(column[0]) for result in results)
        )
    ]


def _cell(result: CellResult, mode: str, figure: str, form: str) -> str:
    spread = result.spread(mode)
    if spread is None:
        return "failed"
    its = spread[figure]
    shown = number(its.mean, form)
    return shown if math.isnan(its.deviation) else f"{shown} ± {number(its.deviation, form)}"


def markdown(results: Sequence[CellResult], heading: str) -> str:
    """The table in Markdown, with a sentence above it."""
    columns = _columns(results)
    lines = [heading, "", "| cell | seeds | " + " | ".join(c[2] for c in columns) + " |"]
    lines.append("|---|---:|" + "---:|" * len(columns))
    for result in results:
        values = [_cell(result, mode, figure, form) for mode, figure, _, form in columns]
        name = result.cell.name.replace("|", "\\|")
        lines.append(f"| {name} | {_seeds(result)} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def _seeds(result: CellResult) -> int:
    return max((len(figures) for figures in result.figures.values()), default=0)


def as_json(results: Sequence[CellResult], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    return plain(
        {
            **facts,
            "definitions": DEFINITIONS,
            "cells": [
                {
                    "name": result.cell.name,
                    "overrides": list(result.cell.overrides),
                    "figures": {
                        mode: {name: asdict(s) for name, s in (result.spread(mode) or {}).items()}
                        for mode in result.figures
                    },
                    "seeds": {mode: [asdict(f) for f in its] for mode, its in result.figures.items()},
                    "failed": result.failed,
                }
                for result in results
            ],
            "versions": versions(),
        }
    )


def write_tables(folder: Path, results: Sequence[CellResult], heading: str, facts: dict[str, Any]) -> None:
    """Write ablation.md, ablation.csv and ablation.json into ``folder``; raises `OutputError`."""
    write_atomically(folder / "ablation.md", markdown(results, heading).encode())
    columns = _columns(results)
    with complete_or_absent(folder / "ablation.csv") as file:
        table = csv.writer(file)
        names = [f"{mode}_{figure}" for mode, figure, _, _ in columns]
        table.writerow(["cell", "seeds", *(f"{n}_{what}" for n in names for what in ("mean", "deviation"))])
        for result in results:
            values: list[str] = []
            for mode, figure, _, _ in columns:
                spread = result.spread(mode)
                of_figure = (spread[figure].mean, spread[figure].deviation) if spread else (math.nan,) * 2
                values += ["" if math.isnan(v) else f"{v:.6g}" for v in of_figure]
            table.writerow([result.cell.name, _seeds(result), *values])
    text = json.dumps(as_json(results, facts), indent=1, allow_nan=False, ensure_ascii=False)
    write_atomically(folder / "ablation.json", text.encode(errors="backslashreplace"))


def print_table(results: Sequence[CellResult], heading: str) -> None:
    """The main columns, for a terminal of 80 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if Console().is_terminal else 80, highlight=False)
    console.print(Text(heading))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("cell", overflow="fold", min_width=12)
    columns = [c for c in _columns(results) if c[1] in ("auc_micro", "auc_macro")]
    for _, _, name, _ in columns[:3]:
        table.add_column(name.replace(" AUC ", "\nAUC "), justify="right", no_wrap=True)
    for result in results:
        cells = [_cell(result, mode, figure, form) for mode, figure, _, form in columns[:3]]
        table.add_row(Text(result.cell.name), *cells)
    console.print(table)
