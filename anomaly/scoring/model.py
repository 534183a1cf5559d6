"""Score windows with a trained model, whatever runs its network. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anomaly.data.patch_features import PatchScale
from anomaly.data.surroundings import observe
from anomaly.data.windows import Windows, make_windows
from anomaly.normality.mixture import NormalityModel
from anomaly.normality.neighbourhood import Neighbourhoods
from anomaly.normality.parts import FittedParts
from anomaly.normality.surroundings import FittedSurroundings, Surroundings
from anomaly.scoring.calibration import Calibration, mean_in_robust_units
from anomaly.scoring.marked_threshold import MarkedThreshold
from anomaly.settings import NETWORK_PARTS, ModelSettings
from pose_extract.errors import ModelError
from pose_extract.tracks.records import ClipTracks

_BATCH = 1024  # windows at once


@dataclass
class Model:
    """A model that can score, without its network.

    Attributes:
        settings: what it was trained with.
        normality: mixture over the training set's soft assignments.
        calibration: scores of held-out normal video; None only while training.
        history: one dict an epoch: stage, epoch, losses, learning rate, share of changed labels.
        facts: what training found: windows, clusters in use, saturation, mixture components in use.
        words: (K, E, C, T, V) the poses of the E most typical training windows of each cluster, NaN where it has
            fewer; or None.
        marked: an alarm threshold that marks have set; None: that of the false alarm rate.
        densities: of the parts of the kind "sum" that no network gives; None if it has none of these.
        neighbourhoods: of its parts that compare whole clips with normal ones; None if it has none of these.
        surroundings: of what is around people; None where that is not judged.
        patch_scale: what the joints' appearance is measured in; None where the features are coordinates alone.
    """

    can_reconstruct: ClassVar[bool] = False  # whether there is a decoder

    settings: ModelSettings
    normality: NormalityModel
    calibration: Calibration | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    words: NDArray[np.float32] | None = None
    marked: MarkedThreshold | None = None
    patch_scale: PatchScale | None = None
    densities: FittedParts | None = None
    neighbourhoods: Neighbourhoods | None = None
    surroundings: FittedSurroundings | None = None

    @property
    def fitted_calibration(self) -> Calibration:
        """The calibration; raises ModelError where there is none, which only a model in training lacks."""
        if self.calibration is None:
            raise ModelError("the model has no calibration; train it again")
        return self.calibration

    def windows_of(self, tracks: ClipTracks, stride: int | None = None) -> Windows:
        """The windows of a clip that are scored, or those at another ``stride``.

        Raises:
            ModelError: the tracks' skeleton is not the model's, or they lack the patches that it needs.
        """
        settings = self.settings.windows
        camera = self.settings.densities.camera_of(tracks.clip)
        windows = make_windows(tracks, settings, stride or settings.score_stride, camera)
        return replace(windows, scale=self.patch_scale)

    def surroundings_of(self, tracks: ClipTracks, held_out: bool = False) -> Surroundings | None:
        """What is around the people of a clip, compared with normal video; None where that is not known.

        Args:
            tracks: the clip, or a part of it with a second before it.
            held_out: whether it is of the held-out video, which some has been learned from.
        """
        if self.surroundings is None or tracks.things is None:
            return None
        observed = observe(tracks, self.surroundings.parts)
        fold = np.zeros(len(observed), np.int64) if held_out else None
        camera = self.settings.densities.camera_of(tracks.clip)
        return self.surroundings.judge(observed, camera, tracks.frame_count, fold)

    def assign(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> log soft assignments (N, G, K) of each window's G transformed copies."""
        raise NotImplementedError

    def encode(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows (N, C, T, V) -> latent vectors z (N, G, D) of each window's G transformed copies."""
        raise NotImplementedError

    def joint_errors(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, V) squared error of the autoencoder's reconstruction of each joint of windows (N, C, T, V).

        The mean over features, frames and the window's own transforms, mirrored copies' joints put back to their side.

        Raises:
            ModelError: if the model has no decoder.
        """
        raise ModelError(
            "this model holds the encoder and the clustering layer only, so it cannot reconstruct: score by clustering "
            "(scoring.by), or use the trained bundle"
        )

    def transforms_of(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, G) log-likelihood of each window's G transformed copies; x is (N, C, T, V)."""
        log_p = self.assign(x)
        return self.normality.log_likelihood(log_p.reshape(-1, log_p.shape[2])).reshape(log_p.shape[:2])

    def anomaly(self, windows: Windows, by: str = "clustering") -> NDArray[np.float64]:
        """(N,) anomaly score of N windows; see `score_windows`."""
        return self.score_windows(windows, by)[0]

    def score_windows(
        self, windows: Windows, by: str = "clustering"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Score N windows of one or more clips, in batches: memory does not grow with N.

        Returns:
            (N,) anomaly score, higher being more abnormal; and (P, N) what "sum" is made of, P being 0 of other kinds.
            A part of the network that counts nothing in the sum is not asked: it says nothing, minus infinity.
        """
        if by == "sum":
            tails = self.fitted_calibration.tails
            weights = zip(self.settings.scoring.parts, tails.weights, strict=True)
            unasked = [part for part, weight in weights if part in NETWORK_PARTS and not weight]
            parts = self.parts(windows, {part: np.full(len(windows), -np.inf) for part in unasked})
            return tails.sum(parts), parts
        scores = np.concatenate([np.zeros(0), *(self.anomaly_of(x, by) for x in windows.batches(_BATCH))])
        return scores, np.zeros((0, len(windows)))

    def parts(
        self,
        windows: Windows,
        known: Mapping[str, NDArray[np.float64]] | None = None,
        held_out: bool = False,
    ) -> NDArray[np.float64]:
        """(P, N) scores of N windows by the parts of the kind "sum", each on a scale of its own.

        Args:
            windows: to score.
            known: scores of these windows that need not be made again, by part.
            held_out: whether they are of the held-out video, which some of the densities have learned from; the others
                score it.
        """
        scores = dict(known or {})
        if self.densities is not None:
            fold = np.zeros(len(windows), np.int64) if held_out else None
            scores |= self.densities.anomaly(windows, fold)
        if self.neighbourhoods is not None:
            scores |= self.neighbourhoods.anomaly(windows, self.encode)
        for part in set(NETWORK_PARTS) & set(self.settings.scoring.parts) - set(scores):
            scores[part] = self.anomaly(windows, part)
        return np.stack([scores[part] for part in self.settings.scoring.parts])

    def anomaly_of(self, x: NDArray[np.float32], by: str = "clustering") -> NDArray[np.float64]:
        """(N,) anomaly score of windows (N, C, T, V), higher being more abnormal.

        Args:
            x: the windows.
            by: "clustering", -log likelihood under the normality mixture, the mean over each window's own transforms
                (section 3.4); "reconstruction", mean squared error of the autoencoder (the paper's "Rec. Loss"), the
                mean over the same; "both", their mean in units of held-out normal windows.

        Raises:
            ModelError: if there is no decoder to reconstruct with, or no calibration to combine both by.
        """
        if by == "clustering":
            return -self.transforms_of(x).mean(axis=1)
        if by == "reconstruction":
            return self.joint_errors(x).mean(axis=1)
        spreads = [self.fitted_calibration.spread(kind) for kind in NETWORK_PARTS]
        return mean_in_robust_units(
            self.anomaly_of(x, "clustering"), self.anomaly_of(x, "reconstruction"), spreads
        )
