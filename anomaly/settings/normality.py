"""Settings of the normality mixture: the config section ``normality``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, MOST_ROUNDS, expect_between, expect_one_of
from pose_extract.errors import ConfigError

FORMS = ("gaussian", "logratio", "dirichlet")
INFERENCES = ("variational", "gibbs")
_SHRINK = {"gaussian": 0.0, "logratio": 0.0, "dirichlet": 0.01}


@dataclass(frozen=True)
class NormalitySettings:
    """The mixture; the defaults are the published ones.

    Attributes:
        components: truncation of the Dirichlet process: at most this many mixture components.
        max_iterations: of variational inference, or sweeps of the sampler.
        inference: "variational", or "gibbs", collapsed Gibbs sampling with split and merge of Gaussian components, and
            Neal's algorithm 8 of Dirichlet ones, on 2,000 vectors at most: slower by orders of magnitude, and exact in
            the long run. The most probable partition that it sees becomes a mixture of as many components as
            ``components`` allows, the largest ones.
        every: the mixture is fitted on one of n training vectors, drawn at random, and on 100,000 at most.
        form: "gaussian", Gaussians over the soft assignments as they are (a vector on the simplex has a singular
            covariance), "logratio", Gaussians over their isometric log-ratio coordinates, or "dirichlet", a
            Dirichlet-process mixture of Dirichlet distributions.
        shrink: e in p -> (1 - e) p + e / K before log-ratios or Dirichlet densities are taken. None is 0 for
            log-ratios, which are then taken of the logarithms that equation 1 gives and that do not underflow, and 0.01
            for Dirichlet distributions, whose densities grow without bound towards the border of the simplex.
        regularisation: added to the diagonal of each Gaussian's covariance.
    """

    components: int = 10
    max_iterations: int = 500
    every: int = 10
    inference: str = "variational"
    form: str = "gaussian"
    shrink: float | None = None
    regularisation: float = 1e-6

    def __post_init__(self) -> None:
        expect_between("normality", self, 1, 1000, "components")
        expect_between("normality", self, 1, MOST_ROUNDS, "max_iterations")
        expect_between("normality", self, 1, MOST, "every")
        expect_one_of("normality.form", self.form, FORMS)
        expect_one_of("normality.inference", self.inference, INFERENCES)
        if self.shrink is not None:
            expect_between("normality", self, 0, 1, "shrink", below=True)
        expect_between("normality", self, 0, MOST_FACTOR, "regularisation")
        if self.form == "dirichlet" and self.shrinkage < 1e-9:
            raise ConfigError(
                f"normality: expected a shrink above 1e-9 for the form dirichlet, got {self.shrink}: a Dirichlet "
                "density has no bound at the border of the simplex"
            )

    @property
    def shrinkage(self) -> float:
        """The e that is used."""
        return _SHRINK[self.form] if self.shrink is None else self.shrink
