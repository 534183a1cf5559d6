"""Figure 5: how much is lost when abnormal clips are among the training clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.experiments.data.splits import Split
from pipeline.experiments.methods.coarse import Task
from pipeline.experiments.options import DIRECTIONS
from pipeline.experiments.published import FIGURE5, NAMES
from pipeline.experiments.running.cells import Result
from pipeline.experiments.running.differences import CellKey, difference
from pipeline.experiments.running.tables import Row, Table, Value, spread
from pose_extract.files import complete_or_absent


def tasks(
    splits: Sequence[Split], directions: Sequence[str], shares: Sequence[float], seeds: Sequence[int]
) -> list[Task]:
    """Every split with every share of abnormal clips, seed after seed; few against many if no direction is named."""
    directions = directions or DIRECTIONS[:1]
    return [Task(s, d, seed, share) for seed in seeds for d in directions for s in splits for share in shares]


def tables(
    tasks: Sequence[Task],
    results: Sequence[Result],
    methods: Sequence[str],
    data: str,
    absent: Mapping[str, str],
) -> list[Table]:
    """AUC by share, a row for each split, and the share of the AUC that is lost.

    Args:
        tasks: what is measured.
        results: what has been.
        methods: the rows.
        data: name of the data.
        absent: methods that were asked for and cannot be measured on this data, and why.
    """
    shares = sorted({task.share for task in tasks})
    seeds = sorted({task.seed for task in tasks})
    auc_rows, loss_rows = [], []
    for method in methods:
        for direction in dict.fromkeys(task.direction for task in tasks):
            found = _by_split(results, method, direction)
            here = list(dict.fromkeys(t.split.name for t in tasks if t.direction == direction))
            start = NAMES[method] if len(methods) > 1 else direction
            prefix = f"{start}, {direction}" if len(methods) > 1 else start
            for name in [*here, ""]:
                picked = [name] if name else here
                auc, loss = [], []
                for share in shares:
                    a, lost = _of(found, picked, share, seeds)
                    auc.append(spread(a, None, len(picked) * len(seeds)))
                    loss.append(_with_interval(spread(lost, None, len(picked) * len(seeds))))
                label = f"{prefix}: {name or 'mean over splits'}"
                auc_rows.append(Row(label, auc, False))
                loss_rows.append(Row(label, loss, False))
    over = f"mean and standard deviation over seeds {', '.join(map(str, seeds))}"
    columns = [f"{100 * share:g} %" for share in shares]
    return [
        Table(
            "figure5",
            f"Abnormal clips among the training clips of {data}: area under the ROC curve of the test clips by the "
            f"share of abnormal clips in the training set; {over}.",
            "split",
            columns,
            auc_rows,
            [f"For comparison, {FIGURE5}.", *(f"{NAMES[method]}: {why}." for method, why in absent.items())],
        ),
        Table(
            "figure5-loss",
            "The same as the share of the AUC without abnormal clips that is lost: the mean over seeds "
            f"{', '.join(map(str, seeds))}, with the 95 % interval of the paired differences.",
            "split",
            columns,
            loss_rows,
            forms=["{:.1%}"] * len(columns),
        ),
    ]


def _with_interval(lost: Value) -> Value:
    """What is lost with the interval of its mean; none of what is nothing everywhere, or of one number."""
    against = difference(lost.cells, dict.fromkeys(lost.cells, 0.0))
    if against is None or not any(lost.cells.values()) or len(lost.cells) < 2:
        return lost
    return replace(lost, interval=(against.low, against.high))


def _by_split(results: Sequence[Result], method: str, direction: str) -> dict[tuple[str, float, int], float]:
    return {
        (r.cell.facts["split"], r.cell.facts["share"], r.cell.seed): r.figures["auc"]
        for r in results
        if r.method == method and not r.failed and r.cell.facts["direction"] == direction
    }


def _of(
    found: dict[tuple[str, float, int], float], splits: Sequence[str], share: float, seeds: Sequence[int]
) -> tuple[dict[CellKey, float], dict[CellKey, float]]:
    """AUC of each split and seed at a share, and the share of the AUC at 0 that is lost."""
    auc: dict[CellKey, float] = {}
    lost: dict[CellKey, float] = {}
    for seed in seeds:
        for split in splits:
            here, clean = found.get((split, share, seed)), found.get((split, 0.0, seed))
            if here is not None:
                auc[split, seed] = here
                if clean:
                    lost[split, seed] = (clean - here) / clean
    return auc, lost


def plot(path: Path, table: Table, shares: Sequence[float]) -> None:
    """Draw a table's rows over the shares; the means over splits are the thick lines.

    Args:
        path: .png, .svg or .pdf to write.
        table: of `tables`.
        shares: of its columns.

    Raises:
        OutputError: it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    scale = 100 if "%" in table.form(0) else 1
    x = 100 * np.array(shares)
    for row in table.rows:
        means = [np.nan if value.mean is None else scale * value.mean for value in row.values]
        deviations = [scale * (value.deviation or 0.0) for value in row.values]
        is_mean = row.name.endswith("mean over splits")
        axes.errorbar(
            x, means, deviations, label=row.name, lw=3 if is_mean else 1.2, capsize=2, marker="o", ms=4,
            color="black" if is_mean else None,
        )  # fmt: skip
    axes.set_xlabel("abnormal clips in the training set (%)")
    axes.set_ylabel("AUC lost (%)" if scale == 100 else "AUC")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    # Without the date, the same numbers make the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with complete_or_absent(path, "wb") as file:
        figure.savefig(file, dpi=150, metadata=metadata, format=path.suffix[1:].lower() or "png")
