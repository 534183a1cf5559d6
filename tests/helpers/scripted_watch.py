"""`gepc-pipeline watch` with a `ScriptedEstimator`: ``python -m tests.helpers.scripted_watch TRACKS.npz ARGUMENTS``."""

from __future__ import annotations

import sys
from pathlib import Path

import pipeline.live.cameras as cameras
from benchmarks.helpers.scripted import ScriptedEstimator
from pipeline.cli import main
from pose_extract.tracks.cache import load_tracks

if __name__ == "__main__":
    clip = load_tracks(Path(sys.argv[1]))
    vars(cameras).update(
        chosen_estimator=lambda name: name, create_estimator=lambda *_: ScriptedEstimator(clip)
    )
    sys.exit(main(["watch", *sys.argv[2:]]))
