"""`gepc-pipeline watch` with a `ScriptedEstimator`: ``python -m tests.helpers.scripted_watch TRACKS.npz ARGUMENTS``."""

from __future__ import annotations

import sys
from pathlib import Path

import pipeline.live.service as service
from pipeline.cli import main
from pose_extract.tracks.cache import load_tracks
from tests.helpers.scripted import ScriptedEstimator

if __name__ == "__main__":
    clip = load_tracks(Path(sys.argv[1]))
    vars(service).update(
        chosen_estimator=lambda name: name, create_estimator=lambda *_: ScriptedEstimator(clip)
    )
    sys.exit(main(["watch", *sys.argv[2:]]))
