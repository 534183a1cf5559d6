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
from contextlib import redirect_stdout, suppress
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import NoReturn, TextIO

from pipeline.commands.exit_codes import CLOSED, DEFECT, INTERRUPTED
from pipeline.processes import Ended, ending_by_signals
from pipeline.versions import package_version
from pose_extract.errors import (
    EstimatorError,
    GepcError,
    MemoryShortError,
    OutputError,
    UsageError,
    is_memory_short,
    printable,
    short,
)
from pose_extract.places import is_standard_output

# In the order a newcomer needs them; each is a module of `pipeline.commands`, `import` is `import_`.
COMMANDS = (
    "extract", "import", "patches", "train", "score", "watch", "report", "recalibrate", "labels", "evaluate", "ablate",
    "experiment", "words", "export", "onnx", "run", "demo", "info", "config", "doctor", "weights",
)  # fmt: skip

_WITHOUT_RESULT = ("watch",)  # it prints events, as JSON lines
_DESCRIPTION = """\
Finds unusual human behaviour in videos: raw videos in, an anomaly score for every frame out.

  gepc-pipeline extract videos/                    people, poses and tracks of normal videos
  gepc-pipeline train                              learns what is normal in them
  gepc-pipeline score video.mp4 --out scores.csv   how unusual each frame of a video is
"""


class _Parser(argparse.ArgumentParser):
    """Says in a line what is wrong, and which command or option may have been meant."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.register("type", Path, _path)

    def parse_known_args(self, args=None, namespace=None):
        self._words = sys.argv[1:] if args is None else [str(word) for word in args]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        known = [*COMMANDS, *self._option_string_actions]
        if "are required" in message:  # the reason may be a mistyped option
            options = (word.partition("=")[0] for word in self._words if word.startswith("--"))
            mistyped = [word for word in options if not any(name.startswith(word) for name in known)]
            message = f"unrecognized arguments: {mistyped[0]}" if mistyped else message
        wrong = re.findall(r"invalid choice: '([^']*)'|unrecognized arguments: (\S+)", message)
        near = difflib.get_close_matches("".join(wrong[0]).partition("=")[0], known, 1) if wrong else []
        if near:
            message = f"{message.partition(' (choose from')[0]}; did you mean {near[0]}?"
        self.exit(2, f"{self.prog}: error: {message} ({self.prog} --help shows how)\n")


def _path(text: str) -> Path:
    if not text:  # of an unset variable; it would stand for the folder that one is in
        raise argparse.ArgumentTypeError("expected a name, got an empty one")
    return Path(text)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="gepc-pipeline", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        help="print a script that lets the shell complete commands and options, then exit",
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
        sub.add_argument(
            "--log", choices=("text", "json"), default="text", help="form of the log on standard error"
        )
        sub.add_argument(
            "--log-file", metavar="FILE", help="append the log to a file too, with the time of each line"
        )
        if name not in _WITHOUT_RESULT:
            sub.add_argument(
                "--json", action="store_true", help="print the result as JSON; text goes to standard error"
            )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run, parser=sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        try:
            return _run(argv)
        finally:  # not left to the interpreter, which would end with a code and a text of its own
            _flush()
    except BrokenPipeError:
        return _closed(sys.stdout)
    except OSError as error:
        _closed(sys.stdout)
        _say(f"gepc-pipeline: error: cannot write to standard output: {error.strerror or error}")
        return OutputError.exit_code


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    args, unknown = parser.parse_known_args(argv)
    if args.print_completion:
        import shtab

        print(shtab.complete(parser, args.print_completion))
        return 0
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    own = vars(args).pop("parser")
    settle_config(args)
    if unknown:
        own.error(f"unrecognized arguments: {' '.join(unknown)}")
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # names may have bytes that are no text
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    args.result = {}
    code = _logged(args)
    if getattr(args, "json", False):
        print(_as_json(args, code))
    return code


def _logged(args: argparse.Namespace) -> int:
    """Run the command with its log set up; returns its exit code."""
    from pipeline.commands.logs import logging_to

    level = logging.DEBUG if args.debug else logging.WARNING if args.quiet else logging.INFO
    try:
        with logging_to(level, args.log, args.log_file):
            return _done(args)
    except OSError as error:
        return _fail(args, error, f"--log-file {args.log_file}: {error.strerror or error}", 9, logs=False)


def _as_json(args: argparse.Namespace, code: int) -> str:
    import json

    from pose_extract.checking import plain

    whole = {"command": args.command, "exit_code": code, **args.result}
    return json.dumps(plain(whole), indent=1, default=str)


def _done(args: argparse.Namespace) -> int:
    """Run the command; what goes wrong becomes a line and an exit code."""
    try:
        with ending_by_signals():
            if not getattr(args, "json", False):
                return args.run(args) or 0
            if any(is_standard_output(each) for each in vars(args).values() if isinstance(each, Path)):
                raise UsageError("--json prints the result to standard output: nothing else can go there")
            with redirect_stdout(sys.stderr):
                return args.run(args) or 0
    except GepcError as error:
        return _fail(args, error, str(error), error.exit_code)
    except Ended as error:
        return _fail(
            args, error, f"ended by {error.signal.name}; what was finished is kept", 128 + error.signal
        )
    except KeyboardInterrupt as error:
        return _fail(
            args,
            error,
            "interrupted; what was finished is kept, the same command goes on from there",
            INTERRUPTED,
        )
    except BrokenPipeError:
        return _closed(sys.stdout)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich makes this of it
            return _closed(sys.stdout)
        raise
    except Exception as error:
        return _unexpected(args, error)


def settle_config(args: argparse.Namespace) -> None:
    """Fill in the config of a command that has one and was not told which."""
    config_for = vars(args).pop("config_for", None)
    if config_for is not None and args.config is None:
        args.config = config_for(getattr(args, "workspace", None))


def _unexpected(args: argparse.Namespace, error: Exception) -> int:
    """Say what an error means that no part of the program has foreseen."""
    if is_memory_short(error):
        memory = MemoryShortError()
        return _fail(args, error, str(memory), memory.exit_code)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if error.errno == errno.ENAMETOOLONG:  # no such file can be, neither read nor written
            return _fail(
                args, error, f"{short(error.filename)}: no file can have so long a name", UsageError.exit_code
            )
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
    return _fail(args, error, text, DEFECT)


def _flush() -> None:
    """Write out what is left for standard error, which may be closed, and for standard output."""
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except OSError:
            _closed(sys.stderr)
    if sys.stdout is not None:
        sys.stdout.flush()


def _closed(stream: TextIO) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that the exit flush is silent
    return CLOSED


def _say(text: str) -> None:
    with suppress(OSError):  # `_flush` heeds a closed standard error
        print(text, file=sys.stderr)


def _fail(args: argparse.Namespace, error: BaseException, message: str, code: int, logs: bool = True) -> int:
    args.result["error"] = printable(message)
    if args.debug:
        logging.getLogger("pipeline").debug("traceback", exc_info=error)
    text = args.log == "text"
    if text or not logs:
        _say(printable(f"gepc-pipeline {args.command}: error: {message}"))
    if logs:  # for the log's file, and for who reads lines of JSON
        logging.getLogger("pipeline").error("%s", printable(message), extra={"said": text})
    return code


if __name__ == "__main__":
    sys.exit(main())
