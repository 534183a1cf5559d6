"""Show an evaluation as tables for the terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anomaly.evaluation.event_metrics import FEWEST_S
from anomaly.evaluation.figures import Figures, over_models
from pipeline.evaluation.evaluate import EvaluationSettings, ModelEvaluation
from pipeline.progress import format_duration
from pipeline.versions import versions
from pose_extract.checking import plain

# Rows of the table: field of `Figures`, name, how a number is written.
_ROWS = (
    ("auc_micro", "frame AUC, micro", "{:.3f}"),
    ("auc_macro", "frame AUC, macro", "{:.3f}"),
    ("auc_judged", "frame AUC, micro, judged frames", "{:.3f}"),
    ("auc_clips", "AUC of whole clips", "{:.3f}"),
    ("ap", "average precision", "{:.3f}"),
    ("eer", "equal error rate", "{:.3f}"),
    ("event_recall", "events detected", "{:.1%}"),
    ("event_miss", "events missed", "{:.1%}"),
    ("event_f1", "event F1 at half the time", "{:.3f}"),
    ("delay_s", "median time to the alarm (s)", "{:.2f}"),
    ("false_alarms_per_hour", "false alarms an hour", "{:.1f}"),
    ("normal_alarm_share", "normal time with an alarm", "{:.1%}"),
)
_MOST_CLIPS = 20  # in the terminal; the JSON has all

DEFINITIONS = {
    "auc_micro": "area under the ROC curve of the frames of all clips together",
    "auc_macro": "mean of the areas under each clip's own ROC curve, over clips with normal and abnormal frames",
    "auc_clips": "area under the ROC curve of whole clips, each with the score of its highest frame",
    "ap": "average precision over the frames of all clips together; chance is the share of abnormal frames",
    "eer": "error rate at the threshold where false alarms and misses are as frequent, frames of all clips together",
    "event": "maximal run of abnormal frames of a clip; detected if any of its frames raises the alarm",
    "event_f1": "harmonic mean of precision and recall of the events that the product reports (alarms merged by "
    "events.merge_gap_s, at least events.min_s long), matched one to one to true events where the time that both share "
    "is at least half of the time that they cover together",
    "auc_judged": "auc_micro without the frames in which people are and none could be scored; by the published "
    "protocols, and in all other figures, these count with the floor's score",
    "intervals": "95 % intervals of a figure by drawing clips with replacement, 1000 times (percentile bootstrap)",
    "delay_s": "median time from the first frame of a detected event to the first of its frames with an alarm; "
    "backtracked scores know the future, so that live video has the times of online",
    "false_alarm": "maximal run of frames with an alarm that overlaps no event; counted per hour of normal video "
    "where there are ten minutes of it or more",
    "alarm": "score above the threshold that the held-out normal training video exceeds in calibration's "
    "false_alarm_rate of its frames",
    "deviation": "sample standard deviation over models (n - 1)",
}


@dataclass(frozen=True)
class Evaluation:
    """One or more models on the same clips.

    Attributes:
        settings: how figures were made.
        models: what each model came to.
        inputs: where tracks and labels came from, for the record.
    """

    settings: EvaluationSettings
    models: Sequence[ModelEvaluation]
    inputs: dict[str, Any]

    def __repr__(self) -> str:
        auc = self.figure("auc_micro", self.main)
        return f"<Evaluation: {len(self.models)} models, {self.main}, auc_micro {auc:.3f}>"

    @property
    def modes(self) -> list[str]:
        """The modes that there are figures of; those of the legacy protocol are of one mode only."""
        return list(self.models[0].figures)

    @property
    def main(self) -> str:
        """The mode of the final lines: what the first model is set to."""
        return self.models[0].main

    def figure(self, name: str, mode: str) -> float:
        """Mean of a figure over the models."""
        return over_models([m.figures[mode] for m in self.models])[name].mean


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the curves, as JSON can hold it: null for what cannot be computed."""

    def one(model: ModelEvaluation) -> dict[str, Any]:
        return {
            **model.identity,
            "settings": model.settings,
            "figures": {mode: asdict(f) for mode, f in model.figures.items()},
            "intervals": model.intervals,
            "scenes": {mode: {k: asdict(f) for k, f in its.items()} for mode, its in model.scenes.items()},
            "clips": {mode: {k: asdict(f) for k, f in its.items()} for mode, its in model.clips.items()},
        }

    figures = {
        mode: {k: asdict(v) for k, v in over_models([m.figures[mode] for m in evaluation.models]).items()}
        for mode in evaluation.modes
    }
    return plain(
        {
            "protocol": evaluation.settings.protocol,
            "protocol_text": evaluation.settings.describe(),
            "settings": asdict(evaluation.settings),
            "definitions": DEFINITIONS,
            "inputs": evaluation.inputs,
            "mode": evaluation.main,
            "figures": figures,
            "models": [one(model) for model in evaluation.models],
            "versions": versions(),
        }
    )


def _thresholds(evaluation: Evaluation) -> str:
    """What the first model's alarms follow; where it is not the same in all modes, in each."""
    settings = evaluation.models[0].settings
    calibration, follow = settings["calibration"], settings["alarms_follow"]
    said = {
        "marks": "the one that your marks have set",
        "alarms_per_day": f"the one of {calibration['alarms_per_day']} alarms a day",
        "false_alarm_rate": "the score that "
        f"{100 * calibration['false_alarm_rate']:.4g} % of the held-out normal training frames exceed",
    }
    if len(set(follow.values())) == 1:
        return said[next(iter(follow.values()))]
    return ", ".join(f"{mode}: {said[what]}" for mode, what in follow.items())


def print_report(evaluation: Evaluation) -> None:
    """The tables, for a terminal of 80 columns."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if Console().is_terminal else 80, highlight=False)
    first = evaluation.models[0].figures[evaluation.main]
    console.print(Text(evaluation.settings.describe()))
    console.print(
        Text(
            f"{first.clips} clips, {first.frames} frames that count, {first.abnormal} of them abnormal "
            f"({first.abnormal / max(first.frames, 1):.1%}); macro: {first.macro_clips} clips have both kinds"
        )
    )
    if evaluation.settings.protocol == "current":
        console.print(Text(f"{first.events} events, {first.normal_hours:.2f} hours of normal video"))
        console.print(
            Text(
                "an event is a run of abnormal frames, detected if any of them raises the alarm; a false alarm is a "
                f"run of frames with the alarm and no event; the alarm's threshold is {_thresholds(evaluation)}. "
                "Backtracked scores know the future: live video has the alarms and times of online"
            )
        )
    models = evaluation.models
    if first.not_judged:
        console.print(
            Text(
                f"{first.not_judged} frames with people of whom none could be judged: by the published protocols they "
                "count with the lowest score"
            )
        )
    if len(models) > 1:
        console.print(Text(f"mean and standard deviation over {len(models)} models"))
    console.print(_main_table(evaluation))
    if 0 < first.normal_hours < FEWEST_S / 3600:
        console.print(
            Text(
                f"false alarms an hour: - ({_count(first.false_alarms)} in "
                f"{format_duration(3600 * first.normal_hours)} of normal video, which is too little to tell: expected "
                "ten minutes or more)"
            )
        )
    if len(models) == 1 and any(models[0].intervals[evaluation.main].values()):
        console.print(Text("in brackets: 95 % intervals over clips (bootstrap)"))
    if len(models) > 1:
        console.print(_models_table(evaluation))
    scenes = models[0].scenes[evaluation.main]
    if 1 < len(scenes) < first.clips:
        console.print(
            _parts_table(evaluation, "scene", {m: [e.scenes[m] for e in models] for m in evaluation.modes})
        )
    console.print(
        _parts_table(evaluation, "clip", {m: [e.clips[m] for e in models] for m in evaluation.modes})
    )


def _table(*columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(columns[0], overflow="fold", min_width=8)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _main_table(evaluation: Evaluation) -> Any:
    spreads = {mode: over_models([m.figures[mode] for m in evaluation.models]) for mode in evaluation.modes}
    table = _table("", *evaluation.modes)
    for field, name, form in _ROWS:
        if all(math.isnan(spreads[mode][field].mean) for mode in evaluation.modes) and not field.startswith(
            "auc_m"
        ):
            continue  # no alarms in the legacy protocol, no normal clips, ...
        if field == "auc_judged" and not any(spreads[mode]["not_judged"].mean for mode in evaluation.modes):
            continue
        cells = []
        for mode in evaluation.modes:
            spread = spreads[mode][field]
            shown = number(spread.mean, form)
            if not math.isnan(spread.deviation):
                shown += f" ± {number(spread.deviation, form)}"
            elif between := evaluation.models[0].intervals[mode].get(field):
                shown += f" ({number(between[0], form)} to {number(between[1], form)})"
            cells.append(shown)
        table.add_row(name, *cells)
    return table


def _models_table(evaluation: Evaluation) -> Any:
    from rich.text import Text

    table = _table("model", *(f"micro\n{mode}" for mode in evaluation.modes), f"macro\n{evaluation.main}")
    for model in evaluation.models:
        micro = [number(model.figures[mode].auc_micro) for mode in evaluation.modes]
        table.add_row(Text(str(model.folder)), *micro, number(model.figures[evaluation.main].auc_macro))
    return table


def _parts_table(evaluation: Evaluation, what: str, parts: dict[str, list[dict[str, Figures]]]) -> Any:
    """A row for each scene or clip, means over the models; the lowest AUC first if there are many."""
    from rich.text import Text

    modes = evaluation.modes
    means = {
        mode: {name: over_models([p[name] for p in of_models]) for name in of_models[0]}
        for mode, of_models in parts.items()
    }
    names = list(means[evaluation.main])
    if len(names) > _MOST_CLIPS:
        names.sort(key=lambda n: _last_if_nan(means[evaluation.main][n]["auc_micro"].mean))
    with_alarms = evaluation.settings.protocol == "current"
    last = ["events", "detected", "false\nalarms"] if with_alarms else []
    table = _table(what, "frames", "abnormal", *(f"AUC\n{mode}" for mode in modes), *last)
    for name in names[:_MOST_CLIPS]:
        its = means[evaluation.main][name]
        cells = [number(its["frames"].mean, "{:.0f}"), number(its["abnormal"].mean, "{:.0f}")]
        cells += [number(means[mode][name]["auc_micro"].mean) for mode in modes]
        if with_alarms:
            cells += [_count(its[field].mean) for field in ("events", "detected", "false_alarms")]
        table.add_row(Text(name), *cells)
    notes = [f"events and alarms: {evaluation.main}"] if with_alarms and len(modes) > 1 else []
    if len(names) > _MOST_CLIPS:
        notes.append(
            f"the {_MOST_CLIPS} with the lowest AUC of {len(names)}; evaluation.json (--out) has all"
        )
    table.caption, table.caption_justify = "; ".join(notes) or None, "left"
    return table


def number(value: float, form: str = "{:.3f}") -> str:
    """A figure as text; "-" if there is none."""
    return "-" if math.isnan(value) else form.format(value)


def _count(value: float) -> str:
    return number(value, "{:.0f}" if float(value).is_integer() else "{:.1f}")


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value
