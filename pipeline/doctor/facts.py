"""Records of what `doctor` finds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.defaults import DEFAULT_WORKSPACE

State = Literal["ok", "note", "fetch", "off", "gap"]


@dataclass(frozen=True)
class Job:
    """What should be able to run: extract, train and score with this config.

    Attributes:
        config: name or path of the config.
        overrides: ``section.key=value`` texts.
        device: the device that the networks should run on; "" for what the config says.
        workspace: folder of the tracks and the model.
        offline: whether weights that would be fetched on first use have to be there already.
    """

    config: str = "default"
    overrides: Sequence[str] = ()
    device: str = ""
    workspace: Path = DEFAULT_WORKSPACE
    offline: bool = False


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: "ok"; "note": works, but worth knowing; "fetch": the job fetches it on first use; "off": not there, and
            the job does not need it; "gap": the job cannot run without it.
        text: what was found.
        mend: lines to type that mend it; any one of them will do.
    """

    name: str
    state: State
    text: str
    mend: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found out.

    Attributes:
        estimator: name of the job's pose estimator.
        sections: the facts.
    """

    estimator: str
    sections: tuple[Section, ...]

    def in_state(self, state: State) -> list[Fact]:
        """The facts of one state: what keeps the job from running, say."""
        return [fact for section in self.sections for fact in section.facts if fact.state == state]
