"""What an operator says of events that `watch` has told, and the threshold that this asks for."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from anomaly.scoring.threshold import alarm_threshold
from pipeline.live.events.record import LiveEvent
from pipeline.review.marks import FALSE, RIGHT
from pipeline.review.recalibrate import Choice, choose_threshold
from pipeline.scoring import Scorer
from pose_extract.errors import FormatError
from pose_extract.files import open_input
from pose_extract.tables import read_table

logger = logging.getLogger(__name__)

_MOST_BYTES = 64 << 20


class History:
    """Scores of the events that were told, which marks refer to by their ids; a line each, added to for ever.

    Args:
        path: the file.

    Attributes:
        added: ids of the events that were added; whoever has looked at them empties it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.added: set[str] = set()

    def add(self, event: LiveEvent) -> None:
        """Note an event that is over."""
        row = {
            "id": event.id,
            "camera": event.camera,
            "start_time": event.start_time.isoformat(timespec="milliseconds"),
            "score": event.score,
            "percentile": event.percentile,
            "model_id": event.model_id,
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a+b") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a power failure has cut the last line off
                        file.write(b"\n")
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            self.added.add(event.id)
        except OSError as error:
            logger.warning("%s: event %s cannot be marked later: %s", self._path, event.id, error)

    def scores(self, model_id: str) -> dict[str, float]:
        """Highest score of each event that a model has scored, by id."""
        found: dict[str, float] = {}
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                        if row["model_id"] == model_id and row["score"] is not None:
                            found[row["id"]] = float(row["score"])
                    except (ValueError, KeyError, TypeError):
                        continue  # a line that was cut off by a power failure
        except OSError:
            pass
        return found


def read_verdicts(path: Path) -> dict[str, str]:
    """Event id -> "right" or "false", from JSON lines or a CSV with the columns ``id`` and ``verdict``.

    Of an event that is marked twice, the later line counts. Other columns and keys do not matter.

    Raises:
        FormatError: the file cannot be read, or a line is no mark.
    """
    rows: list[Mapping[str, object]]
    if path.suffix.lower() == ".csv":
        table = [cells for _, cells in read_table(path, _MOST_BYTES)]
        rows = [dict(zip(table[0], cells, strict=False)) for cells in table[1:]]
    else:
        try:
            with open_input(path) as file:
                text = file.read(_MOST_BYTES + 1).decode("utf-8-sig")
            if len(text) > _MOST_BYTES:
                raise FormatError(f"{path}: expected marks of at most {_MOST_BYTES >> 20} MiB")
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        except OSError as error:
            raise FormatError(f"{path}: cannot be read: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path}: expected a line of JSON for each mark: {error}") from None
    verdicts = {}
    for number, row in enumerate(rows, 1):
        name = row.get("id") if isinstance(row, Mapping) else None
        verdict = row.get("verdict") if isinstance(row, Mapping) else None
        if not isinstance(name, str) or not name or verdict not in (RIGHT, FALSE):
            raise FormatError(f"{path}: mark {number}: expected an id and a verdict of {RIGHT} or {FALSE}")
        verdicts[name] = str(verdict)
    return verdicts


def marked_threshold(
    scorer: Scorer, verdicts: Mapping[str, str], scores: Mapping[str, float]
) -> Choice | None:
    """The threshold nearest to the model's that keeps right alarms and silences false ones; None without marks.

    Args:
        scorer: the model.
        verdicts: of events, by id.
        scores: theirs.
    """
    known = {name: scores[name] for name in verdicts if name in scores}
    if not known:
        return None
    right = [score for name, score in known.items() if verdicts[name] == RIGHT]
    false = [score for name, score in known.items() if verdicts[name] == FALSE]
    low, high = (alarm_threshold(scorer.model, scorer.settings.scoring, share) for share in (0.75, 0.25))
    return choose_threshold(right, false, scorer.alarm_above(), high - low)
