"""Table 2: the coarse-grained setting, methods by directions and kinds of splits."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.experiments.data.splits import Split
from pipeline.experiments.methods.coarse import Task
from pipeline.experiments.options import DIRECTIONS, METHODS, SPLIT_KINDS, SUPERVISED
from pipeline.experiments.published import NAMES, TABLE2
from pipeline.experiments.running.cells import Result
from pipeline.experiments.running.tables import Row, Table, Value, differences, spread

_WORDS = {"few-vs-many": "few vs. many", "many-vs-few": "many vs. few"}


def tasks(splits: Sequence[Split], directions: Sequence[str], seeds: Sequence[int]) -> list[Task]:
    """Every split in every direction, or in both if none is named, with every seed, seed after seed."""
    return [Task(split, d, seed) for seed in seeds for d in directions or DIRECTIONS for split in splits]


def tables(
    tasks: Sequence[Task],
    results: Sequence[Result],
    methods: Sequence[str],
    absent: dict[str, str],
    data: str,
    published: str,
) -> list[Table]:
    """The table in the paper's layout.

    Args:
        tasks: what is measured.
        results: what has been.
        methods: the rows.
        absent: methods that cannot be measured on this data, and why; they are rows too.
        data: name of the data.
        published: what the paper's table calls it, or "" for other data: then the paper's numbers are a table of their
            own, which is no comparison.
    """
    columns = [
        (d, k)
        for d in DIRECTIONS
        for k in SPLIT_KINDS
        if any((t.direction, t.split.kind) == (d, k) for t in tasks)
    ]
    paper = TABLE2.get(published, {})
    rows = []
    for method in (m for m in METHODS if m in methods or m in absent):
        values = []
        for direction, kind in columns:
            here = [t for t in tasks if (t.direction, t.split.kind) == (direction, kind)]
            its = [
                r
                for r in results
                if r.method == method
                and not r.failed
                and (r.cell.facts["direction"], r.cell.facts["kind"]) == (direction, kind)
            ]
            cells = {(r.cell.facts["split"], r.cell.seed): r.figures["auc"] for r in its}
            expected = len(here) if method in methods else 0
            values.append(spread(cells, paper.get(method, {}).get((direction, kind)), expected))
        rows.append(Row(NAMES[method], values, method not in SUPERVISED))
    seeds = sorted({t.seed for t in tasks})
    counts = {k: len({t.split.name for t in tasks if t.split.kind == k}) for k in SPLIT_KINDS}
    heading = (
        f"Coarse-grained anomaly detection on {data}: area under the ROC curve of the test clips, the mean over "
        + " or ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        + f" splits and over seeds {', '.join(map(str, seeds))}; ± is the standard deviation, over the seeds, of the "
        "mean over splits. 0.5 is chance."
    )
    notes = [f"{NAMES[method]}: {why}." for method, why in absent.items()]
    if any(method in SUPERVISED for method in methods):
        notes.append(
            "The supervised method learns from the actions of its training clips, which no other method sees; bold is "
            "the best of the others."
        )
    names = [f"{_WORDS[d]}, {k}" for d, k in columns]
    table = Table("table2", heading, "method", names, rows, notes)
    made = [table, *differences(table, NAMES["ours"])]
    return made if paper else [*made, _papers(columns, methods)]


def _papers(columns: Sequence[tuple[str, str]], methods: Sequence[str]) -> Table:
    """The paper's numbers, which are of other data."""
    named = [m for m in METHODS if m in methods and any(m in rows for rows in TABLE2.values())]
    rows = [
        Row(NAMES[m], [Value(TABLE2[data].get(m, {}).get(column)) for data in TABLE2 for column in columns])
        for m in named
    ]
    return Table(
        "table2-paper",
        "Published, on other data: these numbers say how methods compare there, not what to expect here.",
        "method",
        [f"{data}: {_WORDS[d]}, {k}" for data in TABLE2 for d, k in columns],
        [Row(row.name, row.values, row.name not in [NAMES[s] for s in SUPERVISED]) for row in rows],
        forms=["{:.2f}"] * len(TABLE2) * len(columns),
    )
