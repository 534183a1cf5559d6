"""Settings of scores and their calibration: the config sections ``scoring`` and ``calibration``."""

from __future__ import annotations

from dataclasses import dataclass

from anomaly.settings.densities import FORMER_NAMES, NEIGHBOURHOODS, NETWORK_PARTS, PARTS, is_fitted
from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

FRAME_MODES = ("backtracked", "online")

SCORE_KINDS = ("clustering", "reconstruction", "both", "sum")

TAIL_FORMS = ("linear", "log")

WEIGHTS = ("learned", "equal")

THINGS, STAYS, FLOW = "things", "stays", "flow"
SURROUNDINGS = (THINGS, STAYS, FLOW)
CAUSES = ("movement", *SURROUNDINGS)
"""What a frame's score can be about."""


@dataclass(frozen=True)
class CalibrationSettings:
    """How scores get a scale.

    Attributes:
        held_out: share of the normal video that is not trained on but calibrates the scores: whole clips where there
            are at least 8, otherwise the end of each clip.
        false_alarm_rate: share of normal frames that may raise an alarm.
        alarms_per_day: false events in a day of normal video instead, each a stretch of alarms no more than a second
            apart; by a tail that is fitted to the held-out scores (`anomaly.scoring.alarm_budget`). null: the rate.
    """

    held_out: float = 0.2
    false_alarm_rate: float = 0.01
    alarms_per_day: float | None = None

    def __post_init__(self) -> None:
        if self.alarms_per_day is not None:
            expect_between("calibration", self, 0, 1e6, "alarms_per_day", above=True)
        expect_between("calibration", self, 0, 1, "held_out", "false_alarm_rate", above=True, below=True)


@dataclass(frozen=True)
class ScoringSettings:
    """How windows' anomalies become frame scores.

    Attributes:
        frames: "backtracked", a person's frame has the mean score of the windows that cover it (recorded video), or
            "online", that of the window that ends there, and nothing from the future counts (live video).
        by: "clustering", minus the log likelihood under the normality mixture (section 3.4), "reconstruction", the
            autoencoder's error, "both", their mean in units of held-out normal windows, or
            "sum", the sum over ``parts`` of tail probabilities' logarithms (`TailProbabilities`).
        parts: what "sum" adds up: "clustering", "reconstruction"; "prediction", how far off a window's last third is
            from what its beginning lets expect; "pretext", whether it looks played backwards, out of order, slow, or
            with its legs swapped; and mixtures over what windows show, "posture", "swing", "motion",
            "size", "place" or several of them joined by "+"; see `anomaly.normality.parts`. Of whole clips: how far
            somebody is from the most similar normal clips in "latent", the network's vector, "poses", where each frame
            has the joints about the body's middle, "steps", the joints' from frame to frame, and "reach", how far each
            joint moves about; see `anomaly.normality.neighbourhood`. Fixed when a model is trained.
        weights: of the parts: "learned", by how well each tells abnormal motions that are put into held-out normal
            video (`anomaly.training.weighing`), or "equal". Fixed when a model is trained.
        tail: "linear", frame scores are smoothed as they are (the paper's form), or "log", with a tail that grows
            like their logarithm above the held-out normal ones (`Calibration.shape`).
        surroundings: what is judged beside people's movement, with "sum" only: "things", what moves or stays and is no
            person; "stays", who stays where and how long; "flow", how a crowd moves; see
            `anomaly.normality.surroundings`. Fixed when a model is trained; tracks of other tools have none.
        smoothing_s: sigma of the Gaussian over a clip's frame scores, in seconds. The paper's 40 frames at 24 fps.
    """

    frames: str = "backtracked"
    by: str = "clustering"
    smoothing_s: float = 40 / 24
    tail: str = "linear"
    parts: tuple[str, ...] = NETWORK_PARTS
    weights: str = "learned"
    surroundings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expect_one_of("scoring.frames", self.frames, FRAME_MODES)
        expect_one_of("scoring.by", self.by, SCORE_KINDS)
        expect_one_of("scoring.tail", self.tail, TAIL_FORMS)
        expect_one_of("scoring.weights", self.weights, WEIGHTS)
        for part in self.parts:
            if part in FORMER_NAMES:
                raise ConfigError(f"scoring.parts: {part!r} is called {FORMER_NAMES[part]!r} now")
            if part not in NETWORK_PARTS + NEIGHBOURHOODS and not is_fitted(part):
                raise ConfigError(f"scoring.parts: expected {PARTS}, got {short(part)}")
        if not self.parts or len(set(self.parts)) != len(self.parts):
            raise ConfigError(f"scoring.parts: expected one or more, each once, got {short(self.parts)}")
        for name in self.surroundings:
            expect_one_of("scoring.surroundings", name, SURROUNDINGS)
        if len(set(self.surroundings)) != len(self.surroundings):
            raise ConfigError(f"scoring.surroundings: expected each once, got {short(self.surroundings)}")
        expect_between("scoring", self, 0, 3600, "smoothing_s")

    @property
    def needs_decoder(self) -> bool:
        """Whether scores rest on the autoencoder's reconstruction."""
        return self.by in ("reconstruction", "both") or (self.by == "sum" and "reconstruction" in self.parts)
