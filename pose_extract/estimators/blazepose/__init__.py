"""The default estimator: BlazePose for several people, on a CPU."""
