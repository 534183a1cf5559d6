"""What features of the pose network's hidden layer add to the time of extraction.

python -m benchmarks.patch_extraction [--repeat 3] [--estimators blazepose openmmlab]

Extracts a clip of the synthetic street with and without features: BlazePose with its 39 heat maps at each joint, and
RTMDet-nano with RTMPose-t with ``backbone.stage2`` (random weights where none are in the cache, see
`benchmarks.helpers.random_weights`; five people a frame). The two run in turn; what counts is the processor time of
this process, loading of networks left out; the best run of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.extract import Bench
from benchmarks.helpers.command import lacks_extra, option_parser
from pipeline.commands.options import pose_overrides
from pipeline.extraction import clip as extraction
from pipeline.settings import Settings, load_settings
from pose_extract.tracks.cache import load_tracks


def seconds_of(bench: Bench, settings: Settings) -> tuple[float, Any]:
    """Processor seconds of one extraction without loading, and the tracks."""
    spent = []
    original = extraction.ExtractionRun._extract

    def timed(*args: Any) -> Any:
        begin = time.process_time()
        made = original(*args)
        spent.append(time.process_time() - begin)
        return made

    with mock.patch.object(extraction.ExtractionRun, "_extract", timed):
        entry = bench.run(settings, bench.video).made[0]
    tracks = load_tracks(bench.scratch / f"workspace{bench.runs}" / "tracks" / f"{entry.clip}.npz")
    return spent[0], tracks


def main(arguments: list[str] | None = None) -> int:
    parser = option_parser(__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of the street's clip")
    parser.add_argument("--estimators", nargs="+", default=["blazepose", "openmmlab"])
    args = parser.parse_args(arguments)
    args = argparse.Namespace(**vars(args), quick=True, video=None, device="cpu", precision="fp32")
    if "openmmlab" in args.estimators and lacks_extra("patch_extraction", "openmmlab", "mmpose"):
        return 0
    values = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(args, Path(scratch))
        for name in args.estimators:
            if name == "blazepose":
                plain = load_settings("default", pose_overrides("blazepose"))
                other = replace(plain, blazepose=replace(plain.blazepose, features="heatmaps"))
            else:
                from pose_extract.estimators.openmmlab.compat import import_openmmlab

                import_openmmlab()
                plain, other = (
                    bench.settings("rtmpose-t"),
                    bench.settings("rtmpose-t", features="backbone.stage2"),
                )
            best = [float("inf")] * 2
            for _ in range(args.repeat):
                for i, settings in enumerate((plain, other)):
                    spent, tracks = seconds_of(bench, settings)
                    best[i] = min(best[i], spent)
            channels = tracks.features.shape[2]
            frames = tracks.frame_count
            more = best[1] / best[0] - 1
            print(
                f"{name}: {1e3 * best[0] / frames:.1f} ms a frame without features, {1e3 * best[1] / frames:.1f} with "
                f"{channels} channels a joint ({more:+.1%}), {len(tracks) / frames:.1f} people a frame",
                flush=True,
            )
            values[f"patch_features_{name}_more"] = more
    for key, value in values.items():
        print(f"{key} = {value:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
