"""Videos to people: decoding, pose estimation, tracking, the records and the cache."""
