"""Settings of the parts that are fitted beside the network: the config section ``densities``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, expect_between, expect_one_of

NETWORK_PARTS = ("clustering", "reconstruction")
FEATURES = ("posture", "swing", "motion", "size", "place")  # that a mixture can be over, in this order
PREDICTION, PRETEXT = "prediction", "pretext"
LATENT = "latent"
NEIGHBOURHOODS = (LATENT, "poses", "steps", "reach")  # of whole clips
PARTS = (
    f"{', '.join(NETWORK_PARTS)}, {PREDICTION}, {PRETEXT}, {', '.join(FEATURES)} alone or joined by +, and of whole "
    f"clips {', '.join(NEIGHBOURHOODS)}"
)
FORMER_NAMES = {
    "pose": "posture+swing",
    "passage": "motion+size+place",
    "conduct": "posture+motion+size+place",
}
FEWEST_WINDOWS = 8  # that anything is learned from
CAMERAS = ("one", "prefix")
_OF_JOINTS = {"posture", "swing"}
_MOST_COMPONENTS, _MOST_FOLDS, _MOST_WIDTH, _MOST_EPOCHS = 500, 100, 4096, 10_000


def features_of(part: str) -> tuple[str, ...]:
    """What a mixture's part of the score is over, out of `FEATURES` and in their order; () of any other name."""
    names = tuple(part.split("+"))
    return names if names == tuple(name for name in FEATURES if name in names) else ()


def is_fitted(part: str) -> bool:
    """Whether a part of sliding windows is fitted beside the network."""
    return part in (PREDICTION, PRETEXT) or bool(features_of(part))


@dataclass(frozen=True)
class DensitySettings:
    """Mixtures of Gaussians over what windows show, and networks beside them; see `anomaly.normality.parts`.

    Attributes:
        components: of mixtures over few numbers: motion, size, place. Of few windows fewer: one for each 16.
        pose_components: of those over every joint's numbers: posture, swing.
        width: numbers in a hidden layer of the networks of prediction and pretext.
        predictor_epochs: times that the predictor learns from all of its windows.
        pretext_epochs: times that the network of pretext does, from five copies of each.
        windows: at most this many training windows are given to a mixture or a network, drawn at random.
        camera: "one", all cameras share a mixture, or "prefix", what a clip's name has before its first "_" names the
            camera (ShanghaiTech's SS_CCCC): mixtures with "place" are then learned for each camera that has enough
            video, and people before any other are compared with those of all cameras.
        folds: the normal video in so many parts, the held-out one being the first; a density is fitted without each
            in turn, so that all of the video tells what normal scores are.
    """

    components: int = 48
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
        fewest = 2 * max(self.components, self.pose_components)
        expect_between("densities", self, fewest, MOST, "windows")
        expect_between("densities", self, 1, _MOST_WIDTH, "width")
        expect_between("densities", self, 1, _MOST_EPOCHS, "predictor_epochs", "pretext_epochs")
        expect_between("densities", self, 2, _MOST_FOLDS, "folds")

    def components_of(self, part: str) -> int:
        """Components of the mixture of a part."""
        return self.pose_components if _OF_JOINTS & set(features_of(part)) else self.components

    def of_a_camera(self, part: str) -> bool:
        """Whether a part is learned for each camera."""
        return self.camera != "one" and "place" in features_of(part)

    def camera_of(self, clip: str) -> str:
        """The camera of a clip, by its name; "" where there is one only."""
        return clip.partition("_")[0][:64] if self.camera == "prefix" else ""
