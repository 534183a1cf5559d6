"""Parse the command line and run a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import difflib
import errno
import logging
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

from pipeline.processes import Ended, ending_by_signals
from pipeline.versions import package_version
from pose_extract.errors import EstimatorError, GepcError, MemoryShortError, is_memory_short, printable

# In the order a newcomer needs them; each is a module of `pipeline.commands`, `import` is `import_`.
COMMANDS = (
    "extract", "import", "patches", "train", "score", "watch", "report", "recalibrate", "labels", "evaluate", "ablate",
    "experiment", "words", "export", "onnx", "run", "demo", "info", "doctor", "weights",
)  # fmt: skip

_DESCRIPTION = """\
Finds unusual human behaviour in videos: raw videos in, an anomaly score for every frame out.

  gepc-pipeline extract videos/                    people, poses and tracks of normal videos
  gepc-pipeline train                              learns what is normal in them
  gepc-pipeline score video.mp4 --out scores.csv   how unusual each frame of a video is
"""


class _Parser(argparse.ArgumentParser):
    """Says which command or option may have been meant."""

    def error(self, message: str) -> NoReturn:
        known = [*COMMANDS, *self._option_string_actions]
        wrong = re.findall(r"invalid choice: '([^']*)'|unrecognized arguments: (\S+)", message)
        near = difflib.get_close_matches("".join(wrong[0]).partition("=")[0], known, 1) if wrong else []
        if near:
            message = f"{message.partition(' (choose from')[0]}; did you mean {near[0]}?"
        super().error(message)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="gepc-pipeline", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"gepc-pipeline {package_version()}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in COMMANDS:
        module = import_module(f"pipeline.commands.{name}{'_' * iskeyword(name)}")
        sub = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.HELP + "\n\n" + module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument(
            "--quiet", action="store_true", help="no progress, only warnings, errors and results"
        )
        sub.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = build_parser()
    args, unknown = parser.parse_known_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    own = vars(args).pop("parser")
    if unknown:
        own.error(f"unrecognized arguments: {' '.join(unknown)}")
    # Threads that wait shall sleep: on a busy machine, spinning ones stall each other for seconds.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # names may have bytes that are no text
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    level = logging.DEBUG if args.debug else logging.WARNING if args.quiet else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    for name in ("pipeline", "pose_extract", "anomaly"):
        logging.getLogger(name).setLevel(level)
    try:
        with ending_by_signals():
            return args.run(args) or 0
    except GepcError as error:
        return _fail(args, error, str(error), error.exit_code)
    except Ended as error:
        return _fail(
            args, error, f"ended by {error.signal.name}; what was finished is kept", 128 + error.signal
        )
    except KeyboardInterrupt as error:
        return _fail(args, error, "interrupted; what was finished is kept", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit flush is silent
        return 141
    except Exception as error:
        return _unexpected(args, error)


def _unexpected(args: argparse.Namespace, error: Exception) -> int:
    """Say what an error means that no part of the program has foreseen."""
    if is_memory_short(error):
        short = MemoryShortError()
        return _fail(args, error, str(short), short.exit_code)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else f"{error.strerror or error}"
        return _fail(args, error, f"{error.filename}: {what}" if error.filename else what, 9)
    if isinstance(error, ModuleNotFoundError):
        from gepc_pipeline import hidden

        text = (
            hidden()
            or f"{error}: a package that this needs is not installed; gepc-pipeline doctor says how to mend it"
        )
        return _fail(args, error, text, EstimatorError.exit_code)
    text = f"unexpected {type(error).__name__}: {error}. This is a defect: run with --debug and report it"
    return _fail(args, error, text, 70)


def _fail(args: argparse.Namespace, error: BaseException, message: str, code: int) -> int:
    if args.debug:
        logging.getLogger("pipeline").debug("traceback", exc_info=error)
    print(printable(f"gepc-pipeline {args.command}: error: {message}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
