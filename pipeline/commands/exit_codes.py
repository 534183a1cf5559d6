"""List every exit code of the command line: what it means, and what helps. Scripts rely on them: none changes."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.errors import GepcError

CANNOT_RUN = 1
ALARMS_FOUND = 13
DEFECT = 70
INTERRUPTED = 130
CLOSED = 141


@dataclass(frozen=True)
class ExitCode:
    """One of them.

    Attributes:
        code: the number.
        meaning: why a command ends with it.
        helps: what a user can do then.
    """

    code: int
    meaning: str
    helps: str = ""


_OTHERS = (
    ExitCode(0, "Done."),
    ExitCode(CANNOT_RUN, "`doctor` only: extract, train or score cannot run here.", "its last lines"),
    ExitCode(
        ALARMS_FOUND,
        "`score --exit-code` only: there is an alarm in at least one of the videos.",
        "look at it; a video that could not be used (4) comes first",
    ),
    ExitCode(
        DEFECT,
        "A defect of this program; of `watch` on recordings, frames that could not be judged.",
        "run with `--debug` and report it",
    ),
    ExitCode(129, "Ended by SIGHUP; what was finished is kept.", "run it again"),
    ExitCode(INTERRUPTED, "Ended by Ctrl-C; what was finished is kept.", "run it again"),
    ExitCode(143, "Ended by SIGTERM; what was finished is kept.", "run it again"),
    ExitCode(CLOSED, "Whatever reads the output has closed it."),
)


def exit_codes() -> list[ExitCode]:
    """Every exit code, in order."""
    errors = [
        ExitCode(kind.exit_code, (kind.__doc__ or "").partition("\n")[0], kind.helps)
        for kind in GepcError.__subclasses__()
        if "exit_code" in vars(kind)
    ]
    return sorted([*_OTHERS, *errors], key=lambda one: one.code)
