"""Settings of a data set, where it lies and what is what in it: the config section ``dataset``."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from pose_extract.checking import MOST, expect_between, expect_one_of
from pose_extract.errors import ConfigError, short

LABEL_KINDS = ("masks", "intervals", "ubnormal", "shanghaitech", "avenue", "chad", "actions")
NORMAL = ("split", "rest")


@dataclass(frozen=True)
class DatasetSettings:
    """A data set, as its files lie in the user's copy. Paths and patterns count from ``root``.

    Attributes:
        name: of the data set, for messages.
        root: folder of the user's copy; empty: no data set.
        format: of the poses, as `gepc-pipeline import` calls it.
        train: pattern (as of a shell, ``**`` for folders of any depth) of the files or folders of poses to train on.
        test: pattern of the files or folders of poses to test on.
        train_list: text file, or pattern of such files, that names the clips to train on, a line each, out of those
            that ``train`` finds; empty: all of them.
        test_list: likewise, the clips to test on, out of those that ``test`` finds.
        fps: frames a second of the poses, where their format does not tell.
        frame_size: (width, height) in pixels, likewise.
        first_frame: number of a clip's first frame; the format's own custom if None.
        frame_counts: CSV of test clips and their numbers of frames (columns clip, frames), where neither poses nor
            labels tell; a clip ends with its last person otherwise.
        trust_pickle: read poses from pickle files (CHAD's): only numbers, text and arrays are taken from them.
        labels: file or folder of the test clips' labels.
        label_kind: what they are, see `pipeline.labels.masks.read_labels`; or "actions": a clip is abnormal or not as a
            whole, by its action.
        abnormal: the value of an abnormal frame, 0 or 1, where ``label_kind`` is "masks".
        label_prefix: what stands before the number of a clip, where ``label_kind`` is "avenue".
        tolerance: by how many frames a clip and its mask may differ in length.
        keep: masks of the frames of test clips that count, 1 = counts; empty: all.
        excluded_frames: (clip, first frame, frame after the last) of test clips that do not count either.
        excluded_test: test clips that are left out.
        excluded_train: training clips that are left out.
        splits: for actions: name -> the classes that belong together, numbered as the data set numbers them.
        split: which of them is used.
        normal: "split", these classes are normal and all others abnormal, or "rest", the other way round.
        train_people: NTU's subjects to train on; the others are tested on. Empty: ``train`` and ``test`` tell.
        train_actions: JSON file with the ``label_index`` of each training clip, where clips do not tell themselves.
        test_actions: JSON file with the ``label_index`` of each test clip, where clips do not tell themselves.
    """

    name: str = ""
    root: str = ""
    format: str = "gepc"
    train: str = ""
    test: str = ""
    train_list: str = ""
    test_list: str = ""
    fps: float | None = None
    frame_size: tuple[int, int] | None = None
    first_frame: int | None = None
    frame_counts: str = ""
    trust_pickle: bool = False
    labels: str = ""
    label_kind: str = "masks"
    abnormal: int = 1
    label_prefix: str = ""
    tolerance: int = 1
    keep: str = ""
    excluded_frames: tuple[tuple[str, int, int], ...] = ()
    excluded_test: tuple[str, ...] = ()
    excluded_train: tuple[str, ...] = ()
    splits: dict[str, tuple[int, ...]] = field(default_factory=dict)
    split: str = ""
    normal: str = "split"
    train_people: tuple[int, ...] = ()
    train_actions: str = ""
    test_actions: str = ""

    def __post_init__(self) -> None:
        expect_one_of("dataset.label_kind", self.label_kind, LABEL_KINDS)
        expect_one_of("dataset.normal", self.normal, NORMAL)
        expect_between("dataset", self, 0, 1, "abnormal")
        if self.test and not self.labels and self.label_kind != "actions":
            raise ConfigError("dataset.labels: expected the file or folder of the test clips' labels")
        expect_between("dataset", self, 0, MOST, "tolerance", "train_people")
        if self.fps is not None:
            expect_between("dataset", self, 0, 1000, "fps", above=True)
        if self.frame_size is not None:
            expect_between("dataset", self, 1, 100_000, "frame_size")
        if self.first_frame is not None:
            expect_between("dataset", self, -MOST, MOST, "first_frame")
        for clip, first, end in self.excluded_frames:
            if not 0 <= first < end <= MOST:
                raise ConfigError(
                    "dataset.excluded_frames: expected [clip, first frame, frame after the last], got "
                    f"[{clip}, {first}, {end}]"
                )
        if self.label_kind == "actions" and self.split not in self.splits:
            near = difflib.get_close_matches(self.split, self.splits, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"dataset.split: expected one of {', '.join(self.splits)}, got {short(self.split)}{hint}"
            )

    def is_normal(self, action: int) -> bool:
        """Whether clips of an action, numbered as in ``splits``, are normal."""
        return (action in self.splits[self.split]) == (self.normal == "split")
