"""Write the curves of a training run: one row an epoch, as CSV and, where tensorboard is installed, for TensorBoard.

Both are written from the run's history, so a run that goes on after a kill has every epoch once.
"""

from __future__ import annotations

import csv
import io
import logging
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anomaly.runtime.distributed import is_main
from pose_extract.files import write_atomically, writing

logger = logging.getLogger(__name__)

CURVES, TENSORBOARD = "curves.csv", "tensorboard"
COLUMNS = {
    "stage": "pretrain, finetune or end",
    "epoch": "number of the epoch in it, from 1",
    "loss_rec": "reconstruction loss",
    "loss_cluster": "clustering loss; empty in pre-training",
    "learning_rate": "of the optimiser",
    "changed": "share of the windows that have changed their cluster since the last look",
    "clusters_used": "how many clusters are in effect used: exp of the entropy of the mean assignment",
    "largest": "share of the windows in the largest cluster",
    "saturated": "share of the windows whose assignment is as good as one-hot",
    "seconds": "wall-clock time of the epoch",
}  # and a share of the windows for each cluster


class Curves:
    """Writes the curves of a run into a folder; process 0 alone does.

    Args:
        folder: where to; None writes nothing.
        clusters: K, columns of the occupancy.
    """

    def __init__(self, folder: Path | None, clusters: int) -> None:
        self.folder = folder if is_main() else None
        self.clusters = clusters
        self._board: Any = None
        self._shown = 0

    def write(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Bring the files up to date with the history: all rows of it, each once.

        Raises:
            OutputError: if they cannot be written.
        """
        if self.folder is None:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*COLUMNS, *(f"cluster_{k + 1}" for k in range(self.clusters))])
        for row in history:
            occupancy = row.get("occupancy", [""] * self.clusters)
            writer.writerow([*(row.get(name, "") for name in COLUMNS), *occupancy])
        write_atomically(self.folder / CURVES, text.getvalue().encode())
        with writing(self.folder / TENSORBOARD):
            self._show(history)

    def _show(self, history: Sequence[Mapping[str, Any]]) -> None:
        assert self.folder is not None
        if self._board is None:
            shutil.rmtree(self.folder / TENSORBOARD, ignore_errors=True)  # what a run that was cut off showed
            if find_spec("tensorboard") is None:
                return
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / TENSORBOARD))
        for row in history[self._shown :]:
            for name in list(COLUMNS)[2:]:
                if name in row:
                    self._board.add_scalar(f"{row['stage']}/{name}", row[name], row["epoch"])
            occupancy = row.get("occupancy", ()) if row["stage"] == "finetune" else ()
            for k, share in enumerate(occupancy):
                self._board.add_scalar(f"occupancy/cluster_{k + 1}", share, row["epoch"])
        self._shown = len(history)
        self._board.flush()

    def close(self) -> None:
        """Finish the files."""
        if self._board is not None:
            self._board.close()
            self._board = None
