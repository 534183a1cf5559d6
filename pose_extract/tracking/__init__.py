"""Detections to people with ids that last."""

from pose_extract.tracking.settings import TrackingSettings
from pose_extract.tracking.tracker import PeopleTracker, TrackedPeople

__all__ = ["PeopleTracker", "TrackedPeople", "TrackingSettings"]
