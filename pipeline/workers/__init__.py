"""Work on many jobs at once: in processes of this machine, or on a Ray cluster."""

from pipeline.workers.cluster import Cluster, OwnCount
from pipeline.workers.jobs import Brought, Done, Maker, SharedCount, Tell
from pipeline.workers.sharing import Jobs, jobs_for, shared_count, side_by_side

__all__ = [
    "Brought",
    "Cluster",
    "Done",
    "Jobs",
    "Maker",
    "OwnCount",
    "SharedCount",
    "Tell",
    "jobs_for",
    "shared_count",
    "side_by_side",
]
