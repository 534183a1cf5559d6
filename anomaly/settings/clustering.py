"""Settings of the clustering layer and its optimisation: the config section ``clustering``."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import MOST, MOST_FACTOR, MOST_ROUNDS, expect_between, expect_one_of

ASSIGNMENTS = ("softmax", "student")

TARGETS = ("whole", "batch")

DIVERGENCES = ("target_model", "model_target")

REDUCTIONS = ("mean", "sum")

STARTS = ("kmeans", "random")


@dataclass(frozen=True)
class ClusteringSettings:
    """The clustering layer and its optimisation; the defaults are the published ones.

    Attributes:
        clusters: K.
        assignment: "softmax" of dot products with the clusters (equation 1, the paper's), or "student", Student's t
            kernel of the distance to them (deep embedded clustering as first published).
        freedom: degrees of freedom of Student's t.
        bias: add -|theta_k|^2 / 2 to equation 1's exponents, with which the softmax agrees with nearest centroid
            (it is then the posterior of an isotropic Gaussian mixture). False is the paper's form; Student's t
            depends on distances anyway.
        temperature: equation 1's exponents, or the logarithms of Student's t, are divided by it; 1 is the published
            form of both. 0 finds it when the layer is initialised, such that assignments start out soft
            (`start_entropy`).
        start_entropy: mean entropy of an assignment that temperature 0 aims at, as a share of log K.
        target: "whole", equation 3 with sums over the whole training set, or "batch", p^2 over the batch's sums.
        divergence: "target_model", KL(Q || P) (equation 2), or "model_target", KL(P || Q).
        reduction: "mean" or "sum" of the divergence over a batch.
        weight: lambda of equation 4.
        target_every: epochs between refreshes of the target distribution.
        stop_share: fine-tuning ends when fewer than this share of the windows change their cluster from one refresh
            to the next.
        stop_after: fine-tuning epochs before that may happen.
        start: of the clusters: "kmeans", centroids of the latent vectors (the paper's), or "random", drawn from a
            Gaussian with the mean and deviation of each of their coordinates.
        kmeans_starts: k-means initialisations, the best of which is taken.
        kmeans_windows: at most this many windows are given to k-means.
    """

    clusters: int = 10
    assignment: str = "softmax"
    freedom: float = 1.0
    bias: bool = False
    temperature: float = 1.0
    start_entropy: float = 0.3
    target: str = "whole"
    divergence: str = "target_model"
    reduction: str = "mean"
    weight: float = 0.6
    target_every: int = 2
    stop_share: float = 0.001
    stop_after: int = 3
    start: str = "kmeans"
    kmeans_starts: int = 4
    kmeans_windows: int = 50_000

    def __post_init__(self) -> None:
        expect_between("clustering", self, 2, 1000, "clusters")
        expect_one_of("clustering.assignment", self.assignment, ASSIGNMENTS)
        expect_one_of("clustering.target", self.target, TARGETS)
        expect_one_of("clustering.divergence", self.divergence, DIVERGENCES)
        expect_one_of("clustering.reduction", self.reduction, REDUCTIONS)
        expect_one_of("clustering.start", self.start, STARTS)
        expect_between("clustering", self, 0, MOST_FACTOR, "freedom", above=True)
        expect_between("clustering", self, 0, MOST_FACTOR, "temperature", "weight")
        expect_between("clustering", self, 0, MOST_ROUNDS, "stop_after")
        expect_between("clustering", self, 0, 1, "start_entropy", above=True, below=True)
        expect_between("clustering", self, 0, 1, "stop_share")
        expect_between("clustering", self, 1, MOST_ROUNDS, "target_every")
        expect_between("clustering", self, 1, 1000, "kmeans_starts")
        expect_between("clustering", self, self.clusters, MOST, "kmeans_windows")
