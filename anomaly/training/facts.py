"""Tell what training found, for a bundle's card."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.networks.clustering import ClusterOccupancy
from anomaly.scoring.part_weights import PartWeights
from anomaly.scoring.threshold import budget_of
from anomaly.scoring.torch_model import TrainedModel
from pose_extract.errors import ModelError


def facts_of(
    model: TrainedModel,
    windows: tuple[int, int],
    clips: int,
    occupancy: ClusterOccupancy,
    shares: NDArray[np.floating],
    weights: PartWeights,
    waiting: float,
) -> dict[str, Any]:
    """What training found, as JSON can hold it.

    Args:
        model: calibrated.
        windows: of how many windows it knows, and how many of them the network has learned from.
        clips: how many clips these are from.
        occupancy: of the clusters.
        shares: (K,) of the windows that each cluster has.
        weights: of the parts of the score, and what they rest on.
        waiting: share of the epochs' time in which the network waited for windows.
    """
    around = model.surroundings
    return {
        "windows": windows[0],
        "windows_of_the_network": windows[1],
        "clips": clips,
        "clusters_used": round(occupancy.used, 2),
        "largest_cluster": round(occupancy.largest, 4),
        "saturated": round(occupancy.saturated, 4),
        "collapsed": occupancy.collapsed,
        "cluster_shares": [round(float(share), 4) for share in shares],
        "temperature": float(model.network.clustering.temperature),
        "components_used": model.normality.components_used,
        "held_out_frames": len(model.fitted_calibration.time_s),
        "parts": weights.facts(model.settings.scoring.parts),
        "cameras": [] if model.densities is None else model.densities.cameras,
        "alarm_budget": _alarm_budget(model),
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "waiting": round(waiting, 4),
        "surroundings": {}
        if around is None
        else {part: len(around.reference[part]) for part in around.parts},
    }


def _alarm_budget(model: TrainedModel) -> str:
    """What the model's alarms a day rest on, or why there is no threshold for them; "" without such a budget."""
    try:
        budget = budget_of(model)
    except ModelError as error:
        return f"warning: {error}"
    return budget.describe() if budget else ""
