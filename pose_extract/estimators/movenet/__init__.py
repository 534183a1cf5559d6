"""An estimator whose weights come through npm: NanoDet for people, MoveNet for their joints, on a CPU."""
