"""`gepc-pipeline patches`: appearance features of the crops around joints, beside the tracks."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.commands.options import (
    add_config,
    add_device,
    add_jobs,
    add_model,
    add_workspace,
    whole_number,
)
from pipeline.defaults import workspace_option

HELP = "make features of the joints' appearance out of the clips' videos (for windows.features=patch)"
EXAMPLE = """\
example:
  gepc-pipeline extract normal/
  gepc-pipeline patches                                  trains an encoder on the clips' own crops, then encodes them
  gepc-pipeline train --set windows.features=pose+patch
  gepc-pipeline patches --set patches.relative=0.2       crops that grow with the person
  gepc-pipeline patches --weights resnet20.safetensors   another network's weights
  gepc-pipeline patches --videos 'videos/{clip}.avi'     clips whose poses were imported
  gepc-pipeline patches --model gepc-workspace/model     what that model needs, for clips to be evaluated

Interrupted or run again, it goes on where it was. No download, no labels."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)
    add_config(parser)
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="safetensors of a CIFAR ResNet: short for --set patches.encoder=FILE (default: one that is trained here)",
    )
    add_model(parser, "make what this model needs, by the encoder in its bundle")
    parser.add_argument(
        "--videos", metavar="PATTERN", help="where the clips' videos are, {clip} standing for a clip's name"
    )
    parser.add_argument(
        "--tracks", type=Path, nargs="+", metavar="NPZ", help="these tracks instead of the workspace's clips"
    )
    parser.add_argument("--fresh", action="store_true", help="train the workspace's encoder anew")
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, help="of the encoder's training (default: 0)"
    )
    add_jobs(parser, "clips", cluster=False)
    add_device(parser, "auto", "where the encoder is trained and run")


def run(args: argparse.Namespace) -> int:
    """Train an encoder if there is none, and make the features that are missing; exit code 4 if some cannot be."""
    import logging

    from pipeline.patches.clips import clip_of
    from pipeline.patches.features import needed_by
    from pipeline.patches.making import encoder_for, encoder_of_model, make_all
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace
    from pose_extract.devices import pick_device
    from pose_extract.errors import TrainingError, UsageError, VideoError, raise_any

    if args.model is not None and (args.weights is not None or args.fresh):
        raise UsageError("--model brings its own encoder: leave out --weights and --fresh")
    overrides = [*args.set, *([f"patches.encoder={args.weights}"] if args.weights else [])]
    settings, workspace, device = (
        load_settings(args.config, overrides).patches,
        Workspace(args.workspace, not args.no_wait),
        pick_device(args.device),
    )
    place = workspace_option(args.workspace)
    training = {entry.clip for entry in workspace.training_clips()}
    paths = args.tracks or [workspace.tracks_path(entry.clip) for entry in workspace.entries()]
    if not paths:
        raise TrainingError(
            f"no clips: {workspace.tracks} holds no extracted video. First run: gepc-pipeline extract VIDEOS{place}"
        )
    clips, failed = [], []
    for path in paths:
        try:
            clips.append(clip_of(path, args.videos))
        except VideoError as error:
            failed.append(str(error))
            logging.getLogger(__name__).error("%s", error)
    if not clips:
        raise VideoError(failed[0])
    facts = None
    with workspace.writing_tracks():
        if args.model is not None:
            kind = needed_by(args.model)
            if kind is None or kind["source"] != "crops":
                raise UsageError(f"the model in {args.model} needs no features of crops")
            encoder = encoder_of_model(args.model, kind).to(device)
        else:
            learn = [c for c in clips if args.tracks or c.tracks.clip in training]
            encoder, kind, facts = encoder_for(
                workspace, learn or clips, settings, args.seed, device, args.fresh, args.quiet
            )
        made, size = make_all(clips, kind, encoder, settings.most_gb, args.quiet, args.jobs, args.videos)
    if facts is not None:
        print(
            f"patch encoder trained on {facts.crops} crops; of held-out crops it names the joint of {facts.joint:.0%} "
            f"(chance {1 / facts.joints:.0%}) and the rotation of {facts.turn:.0%} (chance 25%); it is "
            f"{workspace.patch_encoder}"
        )
    print(
        f"{len(clips)} clips have patch features ({made} made now): {size / 1e6:.1f} MB, "
        f"{encoder.channels} channels a joint"
    )
    args.result.update(clips=len(clips), made=made, bytes=size, failed=failed)
    for text in failed:
        print(f"not made: {text}")
    if args.model is None:
        print(f"next: gepc-pipeline train --set windows.features=patch{place}   (or pose+patch)")
    raise_any([VideoError(text) for text in failed], len(paths), "clips")
    return 0
