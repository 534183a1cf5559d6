"""People over time as arrays: the records, the cache on disk, cleaning, metrics."""
