"""Settings of the parts that are fitted beside the network: the config section ``densities``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between, expect_one_of
from pose_extract.errors import ConfigError

NETWORK_PARTS = ("clustering", "reconstruction")
FITTED_PARTS = ("pose", "motion", "place", "passage", "conduct", "prediction", "pretext")
PARTS = (*NETWORK_PARTS, *FITTED_PARTS)
FEWEST_WINDOWS = 8  # that anything is learned from
CAMERAS = ("one", "prefix")
_MOST_COMPONENTS, _MOST_FOLDS, _MOST_WIDTH, _MOST_EPOCHS = 500, 100, 4096, 10_000


@dataclass(frozen=True)
class DensitySettings:
    """Mixtures of Gaussians over what windows show, and networks beside them; see `anomaly.normality.parts`.

    Attributes:
        components: of mixtures over few numbers: motion, place, passage. Of few windows fewer: one for each 16.
        pose_components: of those over every joint's numbers: pose, conduct.
        width: numbers in a hidden layer of the networks of prediction and pretext.
        predictor_epochs: times that the predictor learns from all of its windows.
        pretext_epochs: times that the network of pretext does, from five copies of each.
        windows: at most this many training windows are given to a mixture or a network, drawn at random.
        camera: "one", all clips are of one place, or "prefix", what a clip's name has before its first "_" names the
            camera (ShanghaiTech's SS_CCCC): "place", "passage" and "conduct" are then learned for each camera, and
            say nothing about people before another one.
        folds: the normal video in so many parts, the held-out one being the first; a density is fitted without each
            in turn, so that all of the video tells what normal scores are.
    """

    components: int = 30
    pose_components: int = 12
    width: int = 256
    predictor_epochs: int = 40
    pretext_epochs: int = 25
    windows: int = 20_000
    camera: str = "one"
    folds: int = 5

    def __post_init__(self) -> None:
        expect_one_of("densities.camera", self.camera, CAMERAS)
        expect_between("densities", self, 1, _MOST_COMPONENTS, "components", "pose_components")
        if self.windows < 2 * max(self.components, self.pose_components):
            raise ConfigError(
                f"densities: expected windows of at least twice the components, got {self.windows}"
            )
        expect_between("densities", self, 1, _MOST_WIDTH, "width")
        expect_between("densities", self, 1, _MOST_EPOCHS, "predictor_epochs", "pretext_epochs")
        expect_between("densities", self, 2, _MOST_FOLDS, "folds")

    def components_of(self, part: str) -> int:
        """Components of the mixture of one of `FITTED_PARTS`."""
        return self.pose_components if part in ("pose", "conduct") else self.components

    def camera_of(self, clip: str) -> str:
        """The camera of a clip, by its name; "" where there is one only."""
        return clip.partition("_")[0][:64] if self.camera == "prefix" else ""
