"""Table 1: frame AUC of methods on untrimmed video."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.experiments.options import METHODS
from pipeline.experiments.published import NAMES, TABLE1, TABLE1_OTHERS
from pipeline.experiments.running.cells import Result
from pipeline.experiments.running.tables import Row, Table, Value, differences, spread

# Heading, figure, how it is written; the first is the paper's.
COLUMNS = (
    ("frame AUC", "backtracked_auc_micro", "{:.3f}"),
    ("mean of clips' AUC", "backtracked_auc_macro", "{:.3f}"),
    ("AP", "backtracked_ap", "{:.3f}"),
    ("online frame AUC", "online_auc_micro", "{:.3f}"),
)


def values(results: Sequence[Result], expected: int, published: float | None = None) -> list[Value]:
    """A value for each of `COLUMNS`; the published number belongs to the first."""
    made = []
    for number, (_, figure, _) in enumerate(COLUMNS):
        cells = {
            ("", r.cell.seed): r.figures[figure]
            for r in results
            if r.figures.get(figure) is not None and not r.failed
        }
        made.append(spread(cells, None if number else published, expected))
    return made


def tables(
    results: Sequence[Result],
    seeds: Sequence[int],
    methods: Sequence[str],
    absent: dict[str, str],
    data: str,
    published: bool,
) -> list[Table]:
    """The table, with the paper's numbers beside the measured ones where the data is the paper's.

    Args:
        results: what has been measured.
        seeds: of the cells.
        methods: the rows.
        absent: methods that cannot be measured on this data, and why.
        data: its name.
        published: whether it is ShanghaiTech Campus.
    """
    rows = []
    for method in (m for m in METHODS if m in methods or m in absent):
        its = [r for r in results if r.method == method]
        expected = len(seeds) if method in methods else 0
        rows.append(Row(NAMES[method], values(its, expected, TABLE1.get(method) if published else None)))
    heading = (
        f"Fine-grained anomaly detection on {data}; mean and standard deviation over seeds "
        f"{', '.join(map(str, seeds))}. Frame AUC: area under the ROC curve of the frames of all test clips together, "
        "scores being smoothed inside each clip only; 0.5 is chance."
    )
    notes = [f"{NAMES[method]}: {why}." for method, why in absent.items()]
    names, forms = [c[0] for c in COLUMNS], [c[2] for c in COLUMNS]
    if published:
        nothing = [Value()] * (len(COLUMNS) - 1)
        others = [Row(name, [Value(published=auc), *nothing], False) for name, auc in TABLE1_OTHERS.items()]
        table = Table("table1", heading, "method", names, [*others, *rows], notes, forms)
        return [table, *differences(table, NAMES["ours"])]
    known = {**TABLE1_OTHERS, **{NAMES[m]: auc for m, auc in TABLE1.items()}}
    paper = Table(
        "table1-paper",
        "Published, on ShanghaiTech Campus: other data, so no comparison with the above.",
        "method",
        ["frame AUC"],
        [Row(name, [Value(auc)]) for name, auc in sorted(known.items(), key=lambda item: item[1])],
    )
    table = Table("table1", heading, "method", names, rows, notes, forms)
    return [table, *differences(table, NAMES["ours"]), paper]
