"""Read README and docs: their command lines, and the files that tutorials write; run the commands on small videos."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.cli import main
from pose_extract.video import VideoWriter
from tests.helpers import ROOT
from tests.helpers.commands import TINY

# Of a training that a page shows: what makes it small.
SMALL = (
    *TINY,
    "--set=training.all_transforms=false",
    "--set=training.most_windows=64",
    "--set=scoring.weights=equal",
)

SMALL_PATCHES = ("--set=patches.width=4", "--set=patches.epochs=1", "--set=patches.crops=1000")


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        kind: its language.
        title: the file that it is, or "".
        text: what is in it.
    """

    kind: str
    title: str
    text: str


def pages() -> list[Path]:
    """README, the pages of the documentation, and CONTRIBUTING."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = re.findall(r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```$', page.read_text(), re.M | re.S)
    return [Block(*parts) for parts in found]


def command_lines(text: str, program: str = "gepc-pipeline") -> Iterator[list[str]]:
    """The lines of a page, or a block, that begin with a program's name, as arguments; comments are left out."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if re.match(rf" *{program} ", line):
            for command in re.split(r" && ", line):
                words = shlex.split(command, comments=True)
                if words and words[0] == program:
                    yield words


def run(words: list[str]) -> None:
    """Run a page's command line; trainings are small."""
    small = {"patches": SMALL_PATCHES, **dict.fromkeys(("train", "run", "ablate"), SMALL)}
    code = main([*words[1:], *small.get(words[1], ())])
    # doctor says 1 where a package of this machine is missing, which is no matter here
    assert code == 0 or (words[1] == "doctor" and code == 1), " ".join(words)


def video(path: Path, frames: int = 120, draw=lambda picture, number: None, grey: int = 0) -> None:
    """Write a video for a page's command: grey, with what is drawn into each picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 24, (640, 360)) as writer:
        for number in range(frames):
            picture = np.full((360, 640, 3), grey, np.uint8)
            draw(picture, number)
            writer.write(picture)
