"""What is printed: annotations and lines of the log, none of which the runner takes for another command."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import console
from triage.cli import main

# How the runner reads a line of the log, by github.com/actions/runner, ActionCommand.cs: the newer form at its
# start after white space, the older one anywhere.
COMMAND = re.compile(r"^\s*::[^\s:]|##\[")


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that a GitHub Actions runner reads."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


in_actions = pytest.mark.usefixtures("actions")


def test_outside_a_workflow_lines_are_no_commands_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed may be read again by a workflow; annotations go to standard error."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    console.log("::warning::as it is")
    console.notice("careful")
    assert capsys.readouterr() == (":\u200b:warning::as it is\n", "notice: careful\n")


@pytest.mark.parametrize("kind", ["notice", "warning", "error"])
@in_actions
def test_an_annotation_is_one_line_whatever_it_says(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A second line could be a command of its own."""
    getattr(console, kind)("50% of\n::set-output name=labels::admin\r##[add-mask]x")
    said = f"::{kind}::50%25 of%0A:\u200b:set-output name=labels::admin #\u200b#[add-mask]x\n"
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


# What no line may hold: C0 and C1 controls, other separators of lines, bidirectional controls, lone surrogates.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ANY_TEXT = st.text(
    alphabet=st.characters(exclude_categories=()) | st.sampled_from(":#[\x1b\u202e\n"), max_size=20
)


@given(ANY_TEXT)
def test_no_control_reaches_a_terminal(text: str) -> None:
    """They are shown as escapes, so that a reader sees that there was one."""
    shown = console.harmless(text)
    assert not CONTROL.search(shown)
    assert not COMMAND.search(shown)
    assert console.harmless("\x1b[31mred\u202e\x9b") == "\\u001b[31mred\\u202e\\u009b"


@given(st.recursive(ANY_TEXT, lambda part: st.lists(part) | st.dictionaries(ANY_TEXT, part), max_leaves=5))
def test_json_without_controls_and_commands_is_the_same_json(value: object) -> None:
    """On one line or indented."""
    for indent in (None, 2):
        text = console.harmless_json(json.dumps(value, ensure_ascii=False, indent=indent))
        assert json.loads(text) == json.loads(json.dumps(value))
        assert not [line for line in text.split("\n") if CONTROL.search(line) or COMMAND.search(line)]


@given(st.text())
def test_an_escaped_message_comes_back_whole(text: str) -> None:
    """By the runner's own unescaping."""
    back = console.escaped(text).replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert back == text


def test_a_quiet_program_prints_results_warnings_and_errors_alone(
    actions: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """No progress and no notice."""
    console.open_door(quiet=True)
    try:
        for say in (console.log, console.status, console.alert, console.notice, console.warning):
            say(say.__name__)
    finally:
        console.open_door()
    assert capsys.readouterr() == ("log\n::warning::warning\n", "alert\n")


def test_standard_output_holds_nothing_but_json_where_it_is_asked_for(
    actions: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runner reads its commands from standard error as well."""
    console.open_door(json=True)
    try:
        console.log("a line")
        console.warning("hm")
        console.log_json({"a": 1})
    finally:
        console.open_door()
    assert capsys.readouterr() == ('{"a": 1}\n', "a line\n::warning::hm\n")


@pytest.mark.parametrize(
    "argv", [["--quiet", "models", "list"], ["models", "list", "-q"], ["models", "-q", "list"]]
)
def test_a_command_is_quiet_wherever_that_is_said(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the command or after it, and for this run alone."""
    told: list[bool] = []
    monkeypatch.setattr("triage.engine.model_folder.folders", lambda: told.append(console._door.quiet) or [])
    assert main(argv) == 0
    assert (told, console._door.quiet) == ([True], False)
