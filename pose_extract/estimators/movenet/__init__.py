"""The default estimator where its weights can be had: NanoDet for people, MoveNet for their joints, on a CPU."""
