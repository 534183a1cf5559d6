"""What an experiment covers: the config section ``experiment``."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.synthetic.motion.behaviours import ABNORMAL, APPEARANCE
from pose_extract.checking import MOST, expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

DIRECTIONS = ("few-vs-many", "many-vs-few")
SPLIT_KINDS = ("random", "meaningful")
OURS = (
    "ours-clustering",
    "ours",
)  # the paper's score, the clusters' alone; and what the config says (scoring.by)
METHODS = (
    "classifier-max",
    "classifier-dirichlet",
    "reconstruction",
    "ocsvm",
    "ocsvm-nystroem",
    "knn",
    "mixture",
    "sparse-coding",
    "latent-autoregression",
    "frame-prediction",
    "mped-rnn",
    *OURS,
)
OF_FRAMES = ("sparse-coding", "latent-autoregression", "frame-prediction")  # these look at pixels
OF_TABLE1 = ("sparse-coding", "latent-autoregression")  # the paper has them in its table 1 only
MOST_NORMAL = 1000  # clips of a street to learn from
GROUPS = ("spatial operator", "clustering", "normality", "features")
SUPERVISED = ("classifier-max", "classifier-dirichlet")


@dataclass(frozen=True)
class ExperimentOptions:
    """What is measured. Each can be given on the command line instead.

    Attributes:
        methods: which; empty: all that the experiment can measure.
        seeds: of everything random: training and, where clips are synthetic, the clips too.
        splits: names of splits, or "random" and "meaningful" for all of a kind; empty: all.
        directions: "few-vs-many", the split's actions are normal, and "many-vs-few", all others are; empty: both, and
            of figure 5 the first one, as in the paper: clips of a few actions are less than a fifth of all.
        shares: figure 5's shares of abnormal clips in the training set.
        videos: path of a clip's video or folder of frames, ``{clip}`` standing for the name of its file of poses
            without what AlphaPose adds to it, for methods that look at pixels; empty: these are left out.
        train_videos: path of a training clip's video or folder of frames, with ``{clip}`` in it, where these lie
            elsewhere.
        random_splits: random splits that are drawn for synthetic actions.
        split_actions: actions in each of them.
        street_normal_clips: clips of the synthetic street to learn from, in table 1 and the ablation.
        street_normal_s: seconds of each.
        street_test_clips: test clips for each abnormal behaviour, and twice as many normal ones.
        street_test_s: seconds of each.
        street_acts: the abnormal behaviours; empty: all that a pose shows. "costumed" shows in the pictures alone.
        street_size: width and height of the pictures, for features of crops.
        ablation: groups of variants that the ablation compares: "spatial operator", "clustering", "normality", and
            "features" (pose, patch, both; the clips' pictures are needed).
    """

    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    splits: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.0, 0.01, 0.05, 0.1, 0.2)
    videos: str = ""
    train_videos: str = ""
    random_splits: int = 4
    split_actions: int = 4
    street_normal_clips: int = 5
    street_normal_s: float = 20.0
    street_test_clips: int = 2
    street_test_s: float = 12.0
    street_acts: tuple[str, ...] = ()
    street_size: tuple[int, int] = (640, 360)
    ablation: tuple[str, ...] = GROUPS[:3]

    def __post_init__(self) -> None:
        for method in self.methods:
            expect_one_of("experiment.methods", method, METHODS)
        for act in self.street_acts:
            expect_one_of("experiment.street_acts", act, ABNORMAL + APPEARANCE)
        for group in self.ablation:
            expect_one_of("experiment.ablation", group, GROUPS)
        for direction in self.directions:
            expect_one_of("experiment.directions", direction, DIRECTIONS)
        for name in ("methods", "seeds", "splits", "directions", "shares", "street_acts", "ablation"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ConfigError(f"experiment.{name}: expected each once, got {short(values)}")
        if not self.seeds or not self.ablation:
            raise ConfigError("experiment: expected at least one seed and one group of the ablation")
        expect_between("experiment", self, 64, 16_384, "street_size")
        expect_between("experiment", self, 0, MOST, "seeds")
        expect_between("experiment", self, 0, 1, "shares", below=True)
        if 0.0 not in self.shares:
            raise ConfigError(
                "experiment.shares: expected 0 among them (the loss is counted from there), got "
                f"{short(self.shares)}"
            )
        if self.train_videos and not self.videos:
            raise ConfigError("experiment.train_videos: expected videos too, for the test clips")
        expect_between("experiment", self, 0, 1000, "random_splits")
        expect_between("experiment", self, 1, 10_000, "split_actions")
        # Clips of a street are told apart by numbers: MOST_NORMAL to learn from, then those to test on, 10,000 in all.
        expect_between("experiment", self, 1, MOST_NORMAL, "street_normal_clips")
        expect_between("experiment", self, 1, 500, "street_test_clips")
        expect_between("experiment", self, 1, 3600, "street_normal_s", "street_test_s")
