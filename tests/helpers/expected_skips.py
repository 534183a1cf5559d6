"""Fail a run in which a test is skipped that nobody expects to be: `pytest --expected-skips FILE`.

A line of the file is ``NEED: REASON``, REASON being a part of what the skip says. Lines count whose NEED is ``always``
or one of those in ``--lacking``: what this machine is known to lack. Without the option, skips are as usual.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("expected skips")
    group.addoption(
        "--expected-skips", type=Path, help="fail on any skip whose reason this file does not list"
    )
    group.addoption("--lacking", default="", help="which of the file's needs count, besides always: A,B")


def expected_reasons(text: str, lacking: set[str]) -> list[str]:
    """The reasons that count, of a file's text."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = [(need.strip(), reason.strip()) for need, _, reason in (line.partition(":") for line in lines)]
    wrong = [need for need, reason in pairs if not need or not reason]
    if wrong:
        raise pytest.UsageError(f"expected skips: a line is NEED: REASON, got {wrong}")
    return [reason for need, reason in pairs if need == "always" or need in lacking]


class ExpectedSkips:
    """Collects the skips of all processes, and fails the session for those that are not expected."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        self.unexpected: list[str] = []

    def note(self, nodeid: str, longrepr: object) -> None:
        reason = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
        if not any(expected in reason for expected in self.reasons):
            self.unexpected.append(f"{nodeid}: {reason}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.note(report.nodeid, report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.note(report.nodeid, report.longrepr)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unexpected:
            terminalreporter.section("skips that nobody expects", red=True)
            for line in sorted(set(self.unexpected)):
                terminalreporter.line(line)


def register(config: pytest.Config) -> None:
    file = config.getoption("--expected-skips")
    if file is not None and not hasattr(config, "workerinput"):  # processes of xdist report to the first one
        lacking = set(filter(None, config.getoption("--lacking").split(",")))
        config.pluginmanager.register(ExpectedSkips(expected_reasons(file.read_text(), lacking)))
