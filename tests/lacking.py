"""What a machine may lack, and the flag of pytest that says so: without the flag, a test that needs it fails.

    --offline      GitHub's published specifications, which npm fetches (see `tests/fetch_specs.py`)
    --no-browser   Chromium
    --no-strace    strace

No other test is skipped, and the last line of a run with a flag says how many tests it skipped.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn, TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

FLAGS = {
    "--offline": "skip the tests that need GitHub's published specifications, if they were never fetched",
    "--no-browser": "skip the tests that open a page in a browser, if there is none",
    "--no-strace": "skip the test that watches the system calls of native code, if there is no strace",
}


def lack(config: pytest.Config, flag: str, reason: str) -> NoReturn:
    """Skip the test where its flag is given, and fail it otherwise."""
    if config.getoption(flag):
        pytest.skip(f"{flag}: {reason}")
    pytest.fail(f"{reason} (pytest {flag} would skip the tests that need it)", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """A switch for each thing that may be lacking."""
    for flag, help_text in FLAGS.items():
        parser.addoption(flag, action="store_true", help=help_text)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was skipped without a flag failed."""
    return _failed_unless_asked_for((yield), item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """So did a whole file that was."""
    return _failed_unless_asked_for((yield), collector.config)


def _failed_unless_asked_for(report: Report, config: pytest.Config) -> Report:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = _reason(report)
        if not any(config.getoption(flag) and reason.startswith(f"{flag}: ") for flag in FLAGS):
            report.outcome = "failed"
            report.longrepr = f"{report.nodeid}: skipped, which no flag asks for: {reason}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a run: what was left out of it."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    given = [flag for flag in FLAGS if config.getoption(flag)]
    if terminal is None or hasattr(config, "workerinput") or not given:
        return
    reasons = [_reason(report) for report in terminal.stats.get("skipped", ())]
    counts = {flag: sum(reason.startswith(f"{flag}: ") for reason in reasons) for flag in given}
    terminal.write_line("; ".join(f"{flag} skipped {count} tests" for flag, count in counts.items()))
