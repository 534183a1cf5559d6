"""One person's exact motion as tracks: joints in pixels as an estimator finds them, or in metres as a depth camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.synthetic.motion.body import INDEX, Array
from pipeline.synthetic.street.errors import ErrorSettings, drift, estimated
from pipeline.synthetic.street.scene import Camera, StreetSettings
from pipeline.synthetic.street.truth import Sight, exact_tracks
from pose_extract.skeletons import NTU25
from pose_extract.tracks.records import ClipTracks

KINECT = 0.02  # metres: standard deviation of a depth camera's error of a joint in each direction
_SIDED = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle")


def tracks_2d(name: str, sight: Sight, camera: StreetSettings, noise: float, seed: int) -> ClipTracks:
    """Joints of coco17 in pixels, with errors of ``noise`` times the usual size and frequency, of one track."""
    exact = exact_tracks(name, seed, camera, [sight])
    if noise == 0:
        return exact
    usual = ErrorSettings()
    errors = replace(
        usual,
        noise=usual.noise * noise,
        limbs=usual.limbs * noise,
        dropped=usual.dropped * noise,
        flipped=(usual.flipped[0] * noise, usual.flipped[1] * noise, usual.flipped[2] * noise),
        missed=usual.missed * noise,
        box=usual.box * noise,
        broken=0.0,  # nobody else is there
    )
    found = estimated(exact, seed, errors)
    return found if len(found) else exact


def tracks_3d(name: str, sight: Sight, camera: StreetSettings, noise: float, seed: int) -> ClipTracks:
    """Joints of ntu25 in metres from the camera, to the right, up and away, with confidence 1, of one track.

    Half of the errors' variance stays for seconds. Boxes are in pixels.
    """
    exact = exact_tracks(name, seed, camera, [sight])
    joints = ntu_joints(sight.person.joints[exact.frame])
    points = Camera(camera).seen_from(joints)
    rng = np.random.default_rng((seed, 19))
    quick, slow = (drift(rng, points.shape, seconds, camera.fps) for seconds in (0.08, 2.0))
    points += noise * KINECT * (quick + slow) / np.sqrt(2)
    keypoints = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1)
    return replace(exact, skeleton=NTU25.name, keypoints=keypoints.astype(np.float32))


def ntu_joints(joints: Array) -> Array:
    """(T, 25, 3) the joints of ntu25 of the body's (T, J, 3). The body has no thumbs and fingers: these lie in the
    forearm's line, at the hand and a little beyond."""

    def at(name: str) -> Array:
        return joints[:, INDEX[name]]

    found: dict[str, Array] = {
        "spine_base": at("pelvis"),
        "spine_middle": 0.5 * at("pelvis") + 0.5 * at("chest"),
        "spine": at("chest"),
        "neck": 0.6 * at("chest") + 0.4 * at("head"),
        "head": at("head"),
    }
    for side in ("left", "right"):
        wrist, hand = at(f"{side}_wrist"), at(f"{side}_hand")
        found |= {f"{side}_{name}": at(f"{side}_{name}") for name in _SIDED}
        found |= {
            f"{side}_foot": at(f"{side}_toe"),
            f"{side}_hand_tip": wrist + 1.8 * (hand - wrist),
            f"{side}_thumb": wrist + 1.3 * (hand - wrist),
        }
    return np.stack([found[name] for name in NTU25.joints], axis=1)
