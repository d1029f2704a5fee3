"""What is printed: annotations and lines of the log, none of which the runner takes for another command."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import console

# How the runner reads a line of the log, by github.com/actions/runner, ActionCommand.cs: the newer form at its
# start after white space, the older one anywhere.
COMMAND = re.compile(r"^\s*::[^\s:]|##\[")


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that a GitHub Actions runner reads."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


in_actions = pytest.mark.usefixtures("actions")


def test_outside_a_workflow_lines_stay_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotations go to standard error."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    console.log("::warning::as it is")
    console.notice("careful")
    assert capsys.readouterr() == ("::warning::as it is\n", "notice: careful\n")


@pytest.mark.parametrize("kind", ["notice", "warning", "error"])
@in_actions
def test_an_annotation_is_one_line_whatever_it_says(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A second line could be a command of its own."""
    getattr(console, kind)("50% of\n::set-output name=labels::admin\r##[add-mask]x")
    said = f"::{kind}::50%25 of%0A::set-output name=labels::admin%0D##[add-mask]x\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    "line",
    [
        "::set-output name=labels::admin",
        "  ::add-mask::a",
        "\t\u3000::stop-commands::x",
        "a ##[add-path]/tmp",
        "first\n::set-output name=labels::admin",
        "first\r\n\u2028::error::x",
        "####[[x",
    ],
)
@in_actions
def test_no_line_of_the_log_is_a_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a workflow, what is printed is shown and not obeyed."""
    console.log(line)
    console.status(line)
    for printed in capsys.readouterr():
        assert [shown for shown in printed.splitlines() if COMMAND.search(shown)] == []


@given(st.text(alphabet=" :#[\n\r\t\u2028aé%", max_size=12))
def test_harmless_lines_stay_harmless_and_keep_their_letters(text: str) -> None:
    """For any text: one line, no command, no letter lost."""
    shown = console.harmless(text)
    assert len(shown.splitlines()) <= 1
    assert not COMMAND.search(shown)
    assert [c for c in shown if c in "aé%"] == [c for c in text if c in "aé%"]


@given(st.text())
def test_an_escaped_message_comes_back_whole(text: str) -> None:
    """By the runner's own unescaping."""
    back = console.escaped(text).replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert back == text
