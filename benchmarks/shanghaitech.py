"""Train on all of ShanghaiTech's normal poses, then score two of its raw clips, from GEPC_SAMPLE_DATA.

    GEPC_SAMPLE_DATA=... python -m benchmarks.shanghaitech [--quick] [--model DIR] [--set A.B=C ...]

Trains configs/default.yaml on hr-shanghaitech/train.npz (922,205 poses of 12 cameras) and prints time and memory. Then
the frame AUC of clips 01_0014 and 01_0015 by people that our own extraction finds, and by the tracks that come with
them. Training poses have no confidence and lack about 30 % of the joints; ours have one and hardly lack any: a joint
counts as seen or missing, as in training, by half a confidence. The gap that stays is that of the estimators. Two clips
are little to measure with: 698 frames.

--quick trains on every fourth window of it, for a third of the epochs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from anomaly.bundle import load_bundle, save_bundle
from anomaly.evaluation.figures import LabelledScores, evaluate
from anomaly.runtime.memory import keep_memory
from anomaly.scoring.scores import score_clip
from anomaly.scoring.torch_model import TrainedModel
from anomaly.training.train import train_model
from benchmarks.helpers.command import data_or_skip, option_parser
from benchmarks.helpers.real_data import SHANGHAITECH, read, tracks_of
from benchmarks.memory import GIB, peak, stages
from pipeline import extract
from pipeline.settings import load_settings
from pipeline.workspace import Workspace
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks

CLIPS = ("01_0014", "01_0015")
SETTINGS = ("windows.fps=24.97",)
QUICK = ("windows.train_stride=24", "training.pretrain_epochs=2", "training.finetune_epochs=1")
SEEN = 0.5  # confidence


def learn(data: Path, overrides: list[str], seed: int, most: int | None = None) -> TrainedModel:
    """The model, and how long and how much memory it took."""
    keep_memory()  # as `gepc-pipeline train` does
    settings = load_settings("default", overrides).for_model()
    clips = read(data, SHANGHAITECH, "train")[:most]
    print(f"{len(clips)} clips, {sum(map(len, clips))} poses", flush=True)
    begun = time.perf_counter()
    model = train_model(clips, settings, seed, progress=stages())
    print(f"trained on {model.facts['windows']} windows")
    print(f"shanghaitech_train_minutes = {(time.perf_counter() - begun) / 60:.1f}")
    print(f"shanghaitech_train_peak_gib = {peak() / GIB:.2f}", flush=True)  # the poses included
    return model


def own_tracks(data: Path, clip: str, workspace: Path) -> ClipTracks:
    """The people that our own extraction finds in a raw clip."""
    name = f"shanghaitech_{clip}"
    report = extract(data / f"clips/{name}.mp4", workspace, train=False)
    print(f"{clip}: extracted in {report.seconds:.0f} s", flush=True)
    tracks = load_tracks(Workspace(workspace).tracks_path(name))
    keypoints = tracks.keypoints.copy()
    seen = keypoints[..., 2] >= SEEN
    keypoints = np.where(seen[..., None], keypoints, 0)
    keypoints[..., 2] = seen
    return replace(tracks, clip=clip, keypoints=keypoints)


def supplied_tracks(data: Path, clip: str, frames: int) -> ClipTracks:
    """The people of the tracks that come with a raw clip."""
    path = data / f"clips/shanghaitech_{clip}.tracks.npz"
    with np.load(path) as file:
        points, person, frame = file["kp"], file["person"], file["frame"]
    missing = (points == 0).all(axis=2)
    return tracks_of(clip, points, missing, person, frame, frames, SHANGHAITECH, str(path))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = option_parser(__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clips", type=int, help="learn from only so many")
    parser.add_argument("--tracks", nargs="+", choices=("own", "supplied"), default=["own", "supplied"])
    parser.add_argument("--model", type=Path, help="kept there, and used again if it is there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", default=[], metavar="A.B=C", help="of the model")
    args = parser.parse_args(arguments)
    data = data_or_skip("shanghaitech")
    if data is None:
        return 0
    if args.model and args.model.exists():
        model = load_bundle(args.model)
    else:
        model = learn(data, [*SETTINGS, *(QUICK if args.quick else ()), *args.set], args.seed, args.clips)
        if args.model:
            save_bundle(model, args.model)
    labels = {clip: np.load(data / f"clips/shanghaitech_{clip}.mask.npy") > 0 for clip in CLIPS}
    with tempfile.TemporaryDirectory() as scratch:
        sources = {
            source: [
                own_tracks(data, clip, Path(scratch))
                if source == "own"
                else supplied_tracks(data, clip, len(labels[clip]))
                for clip in CLIPS
            ]
            for source in args.tracks
        }
    for source, clips in sources.items():
        scored = []
        for tracks in clips:
            scores, label = score_clip(model, tracks).frames, labels[tracks.clip]
            kept = np.ones(len(label), bool)
            one = LabelledScores(tracks.clip, scores.time_s, scores.score, label, kept)
            scored.append(one)
            alone = evaluate([one]).auc_micro
            print(
                f"{source} tracks, {tracks.clip}: frame AUC {alone:.3f}, {label.sum()} of {len(label)} frames abnormal"
            )
        both = evaluate(scored)
        print(f"shanghaitech_{source}_micro_auc = {both.auc_micro:.3f}")
        print(f"shanghaitech_{source}_macro_auc = {both.auc_macro:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
