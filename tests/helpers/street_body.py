"""The rigid connections of the street's people."""

from pipeline.synthetic.motion.body import INDEX

# Rigid connections: the distance between these joints never changes.
BONES = tuple(
    (INDEX[a], INDEX[b])
    for a, b in (
        ("pelvis", "chest"), ("head", "nose"), ("head", "left_eye"), ("head", "right_eye"),
        ("head", "left_ear"), ("head", "right_ear"), ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
        *((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in (
            ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"),
            ("ankle", "toe"), ("ankle", "heel"), ("heel", "toe"))),
    )
)  # fmt: skip
