"""`gepc-pipeline doctor`: what is installed, what can run, and how to mend what cannot."""

from __future__ import annotations

import argparse
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

from pipeline.commands.exit_codes import CANNOT_RUN
from pipeline.commands.options import add_config, add_device, add_pose, add_workspace, pose_overrides

if TYPE_CHECKING:
    from pipeline.doctor.facts import Diagnosis, Fact, State

HELP = "say what is installed, what can run here, and the line that mends each gap"
EXAMPLE = """\
example:
  gepc-pipeline doctor
  gepc-pipeline doctor --pose openmmlab:rtmpose-m --offline
  gepc-pipeline doctor --json

It looks only: nothing is fetched or changed. Exit code 0 if extract, train and
score can run with this config, 1 if not. With --quiet, what is in order is left out."""

_WIDTH = 80
_STATE, _NAME = 6, 18  # columns


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_workspace(parser)
    add_config(parser)
    add_pose(parser)
    add_device(parser, None, "look whether networks can run on this device")
    parser.add_argument(
        "--offline", action="store_true", help="weights that are not there yet count as missing"
    )


def run(args: argparse.Namespace) -> int:
    """Print what was found; exit code 1 if the job cannot run."""
    import dataclasses
    import platform
    import sys

    from pipeline.doctor.diagnosis import examine
    from pipeline.doctor.facts import Job
    from pipeline.versions import package_version

    if sys.stderr.isatty() and not args.quiet:
        print("trying every import, ten seconds or so ...", file=sys.stderr)
    overrides = [*args.set, *pose_overrides(args.pose)]
    found = examine(Job(args.config, overrides, args.device or "", args.workspace, args.offline))
    about = {
        "version": package_version(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
    }
    can_run = not found.in_state("gap")
    args.result.update({**about, "can_run": can_run, **dataclasses.asdict(found)})
    for line in _text(about, found, args.quiet) if not args.json else ():
        # A terminal that cannot show a file's name shows its codes.
        encoding = sys.stdout.encoding or "utf-8"
        print(line.encode(encoding, "backslashreplace").decode(encoding))
    return 0 if can_run else CANNOT_RUN


def _text(about: dict[str, str], found: Diagnosis, quiet: bool) -> list[str]:
    lines = [f"gepc-pipeline {about['version']}", f"Python {about['python']}", about["platform"], ""]
    for section in found.sections:
        facts = [fact for fact in section.facts if not quiet or fact.state != "ok"]
        if not facts:
            continue
        lines.append(section.title)
        for fact, following in zip_longest(facts, facts[1:]):
            lines += _fact(fact)
            if following is None or fact.mend != following.mend:
                lines += _mend(fact)
        lines.append("")
    return [*lines, *_verdict(found)]


def _fact(fact: Fact) -> list[str]:
    indent = " " * (_STATE + _NAME)
    first = f"{fact.state:<{_STATE}}{fact.name:<{_NAME}}"
    return textwrap.wrap(
        " ".join(fact.text.split()),
        _WIDTH,
        initial_indent=first + " " * (len(first) > len(indent)),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _mend(fact: Fact) -> list[str]:
    """The lines to type, whole: they are there to be copied."""
    return [f"{' ' * _STATE}{'or' if i else '->'} {line}" for i, line in enumerate(fact.mend)]


def _verdict(found: Diagnosis) -> list[str]:
    job = f"extract (with {found.estimator}), train and score"
    lines = [f"Result: {job} cannot run." if found.in_state("gap") else f"Result: {job} can run."]
    headings: dict[State, str] = {"gap": "To mend it:", "fetch": "Fetched on first use, or now with:"}
    for state, heading in headings.items():
        facts = [fact for fact in found.in_state(state) if fact.mend]
        if facts:
            lines.append(heading)
            lines += dict.fromkeys(line for fact in facts for line in _mend(fact))
    return lines
