"""Settings of the baselines on the latent vectors z: ``one_class_svm``, ``neighbours``, ``gaussian_mixture``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, MOST_ROUNDS, expect_between, expect_one_of

KERNEL_WIDTHS = ("neighbours", "scale")
NEIGHBOUR_DISTANCES = ("mean", "farthest")
COVARIANCES = ("full", "tied", "diag", "spherical")
_MOST_NUMBERS = 100_000  # of a vector, or of landmarks


@dataclass(frozen=True)
class OneClassSvmSettings:
    """One-class SVM with a Gaussian kernel on z, of which the paper states no settings.

    Attributes:
        nu: share of the training vectors that may lie outside, above 0 and up to 1.
        gamma: of the kernel exp(-gamma |z - z'|^2): a number, or "neighbours", 1 / the median squared distance from a
            training vector to the fifth nearest other one, or "scale", scikit-learn's 1 / (D times the variance of all
            coordinates). "scale" is so wide a kernel that what lies between the training vectors counts as normal.
        exact_up_to: the exact SVM learns from at most this many vectors, drawn at random: its time grows with their
            square, its memory is 8 bytes times it.
        components: landmarks of the Nystroem approximation of the kernel, fewer where there are fewer vectors.
        approximate_up_to: the approximate SVM learns from at most this many vectors, drawn at random.
        standardise: give each coordinate of z mean 0 and deviation 1 first.
        principal: then keep this many principal components; 0 keeps z.
    """

    nu: float = 0.5
    gamma: float | str = "neighbours"
    exact_up_to: int = 5000
    components: int = 300
    approximate_up_to: int = 50_000
    standardise: bool = False
    principal: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.gamma, str):
            expect_one_of("one_class_svm.gamma", self.gamma, KERNEL_WIDTHS)
        else:
            expect_between("one_class_svm", self, 0, MOST_FACTOR, "gamma", above=True)
        expect_between("one_class_svm", self, 0, 1, "nu", above=True)
        expect_between("one_class_svm", self, 2, 100_000, "exact_up_to")
        expect_between("one_class_svm", self, 2, MOST, "approximate_up_to")
        expect_between("one_class_svm", self, 1, _MOST_NUMBERS, "components")
        expect_between("one_class_svm", self, 0, _MOST_NUMBERS, "principal")


@dataclass(frozen=True)
class NeighboursSettings:
    """Distance of z to the training vectors nearest to it.

    Attributes:
        neighbours: k.
        distance: "mean" of the distances to the k nearest, or to the "farthest" of them.
        up_to: at most this many training vectors are kept, drawn at random: a window's time grows with their number,
            and with the default it is about that of encoding the window with the published network.
        standardise: give each coordinate of z mean 0 and deviation 1 first.
        principal: then keep this many principal components; 0 keeps z.
    """

    neighbours: int = 5
    distance: str = "mean"
    up_to: int = 20_000
    standardise: bool = False
    principal: int = 0

    def __post_init__(self) -> None:
        expect_between("neighbours", self, 1, MOST, "up_to")
        expect_between("neighbours", self, 1, self.up_to, "neighbours")
        expect_one_of("neighbours.distance", self.distance, NEIGHBOUR_DISTANCES)
        expect_between("neighbours", self, 0, _MOST_NUMBERS, "principal")


@dataclass(frozen=True)
class GaussianMixtureSettings:
    """Mixture of Gaussians on z's principal components, each scaled to deviation 1.

    z itself has too many coordinates for covariances; what it does outside its principal components is not seen.

    Attributes:
        components: Gaussians.
        covariance: "full", "tied", "diag" or "spherical" covariances.
        regularisation: added to the covariances' diagonals.
        starts: initialisations by k-means, the best of which is taken.
        max_iterations: of expectation maximisation.
        up_to: the mixture learns from at most this many vectors, drawn at random.
        standardise: give each coordinate of z mean 0 and deviation 1 first.
        principal: principal components that are kept; 0 keeps z.
    """

    components: int = 10
    covariance: str = "full"
    regularisation: float = 1e-3
    starts: int = 4
    max_iterations: int = 200
    up_to: int = 50_000
    standardise: bool = False
    principal: int = 16

    def __post_init__(self) -> None:
        expect_between("gaussian_mixture", self, 1, 1000, "components", "starts")
        expect_between("gaussian_mixture", self, 1, MOST_ROUNDS, "max_iterations")
        expect_one_of("gaussian_mixture.covariance", self.covariance, COVARIANCES)
        expect_between("gaussian_mixture", self, 0, MOST_FACTOR, "regularisation")
        expect_between("gaussian_mixture", self, 2 * self.components, MOST, "up_to")
        expect_between("gaussian_mixture", self, 0, _MOST_NUMBERS, "principal")
