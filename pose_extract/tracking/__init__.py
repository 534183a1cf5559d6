"""Detections to people with ids that last."""

from pose_extract.tracking.tracker import PeopleTracker, TrackedPeople, TrackingSettings

__all__ = ["PeopleTracker", "TrackedPeople", "TrackingSettings"]
