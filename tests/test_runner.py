"""The runner's files and its log: what goes in comes out as it is, and nothing in it is taken for a command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.actions.runner import MAX_SUMMARY, Event, Runner, escaped, harmless, read_event
from triage.decide.history import TextBeforeEdit
from triage.errors import DataError

REPO = {"repository": {"full_name": "octo/demo"}}
# How the runner reads a line of the log, by github.com/actions/runner, ActionCommand.cs: the newer form at its
# start after white space, the older one anywhere.
COMMAND = re.compile(r"^\s*::[^\s:]|##\[")


def event(tmp_path: Path, payload: object) -> Event | None:
    """What is read from a payload."""
    path = tmp_path / "event.json"
    path.write_text(json.dumps(payload), "utf-8")
    return read_event(path)


def outputs(path: Path) -> dict[str, str]:
    """The outputs as the runner reads them: up to the first line that is the delimiter."""
    found, lines = {}, iter(path.read_text("utf-8").split("\n"))
    for line in lines:
        if line:
            name, _, fence = line.partition("<<")
            value = []
            for inner in lines:
                if inner == fence:
                    break
                value.append(inner)
            found[name] = "\n".join(value)
    return found


@pytest.mark.parametrize("kind", ["issue", "pull_request"])
def test_an_event_names_its_issue_and_what_an_edit_changed(tmp_path: Path, kind: str) -> None:
    """Only the parts that changed are told."""
    payload = {"action": "edited", kind: {"number": 7}, "changes": {"title": {"from": "Old"}}, **REPO}
    assert event(tmp_path, payload) == Event("octo/demo", 7, "edited", TextBeforeEdit(title="Old"))


def test_an_edited_comment_changes_nothing_of_its_issue(tmp_path: Path) -> None:
    """What GitHub tells as changed is the comment's text."""
    payload = {
        "action": "edited",
        "issue": {"number": 7},
        "comment": {},
        "changes": {"body": {"from": "x"}},
        **REPO,
    }
    assert event(tmp_path, payload) == Event("octo/demo", 7, "edited", TextBeforeEdit())


@pytest.mark.parametrize("payload", [{"schedule": "23 4 * * *"}, {"inputs": {"issues": "7"}, **REPO}, {}])
def test_an_event_about_no_issue_is_none(tmp_path: Path, payload: object) -> None:
    """A schedule, a dispatch."""
    assert event(tmp_path, payload) is None


@pytest.mark.parametrize(
    "content", ["", "[", "\x00", "[" * 100_000, "[]", "null", "7", '{"issue": {"number": "7"}}']
)
def test_what_is_no_event_is_refused_by_its_path(tmp_path: Path, content: str) -> None:
    """Whatever is in the file."""
    path = tmp_path / "event.json"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError) as caught:
        read_event(path)
    assert str(caught.value).startswith(f"{path}: ")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
        )
    )
)
def test_an_output_holds_any_value_and_never_another_output(pairs: list[tuple[str, str]]) -> None:
    """The delimiter is drawn anew for each one."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        path.write_text("", "utf-8")
        runner = Runner({"GITHUB_OUTPUT": str(path)})
        for name, value in pairs:
            runner.output(name, value)
        assert outputs(path) == dict(pairs)


def test_an_output_that_looks_like_the_end_of_itself_is_kept_whole(tmp_path: Path) -> None:
    """Nobody can guess the delimiter."""
    runner, value = Runner({"GITHUB_OUTPUT": str(tmp_path / "output")}), "x\nEOF\nlabels<<EOF\nadmin\nEOF"
    runner.output("a", value)
    assert outputs(tmp_path / "output") == {"a": value}


def test_a_summary_that_github_would_refuse_is_cut_at_a_line(tmp_path: Path) -> None:
    """Longer than a megabyte is dropped whole."""
    path = tmp_path / "summary"
    Runner({"GITHUB_STEP_SUMMARY": str(path)}).summary("é" * 400_000 + "\n" + "x" * 300_000)
    assert path.read_text("utf-8") == "é" * 400_000 + "\n\n…\n"
    assert path.stat().st_size < MAX_SUMMARY + 10


def test_several_summaries_stand_one_after_the_other(tmp_path: Path) -> None:
    """Other steps wrote theirs before."""
    path = tmp_path / "summary"
    runner = Runner({"GITHUB_STEP_SUMMARY": str(path)})
    runner.summary("one\n")
    runner.summary("two\n")
    assert path.read_text("utf-8") == "one\ntwo\n"


def test_outside_a_workflow_nothing_is_written_and_words_go_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No files, no commands."""
    runner = Runner({})
    runner.output("a", "b")
    runner.summary("c")
    runner.notice("careful")
    runner.log("::warning::as it is")
    assert capsys.readouterr() == ("::warning::as it is\n", "notice: careful\n")


@pytest.mark.parametrize("kind", ["notice", "warning", "error"])
def test_an_annotation_is_one_line_whatever_it_says(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A second line could be a command of its own."""
    getattr(Runner({"GITHUB_ACTIONS": "true"}), kind)(
        "50% of\n::set-output name=labels::admin\r##[add-mask]x"
    )
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
def test_no_line_of_the_log_is_a_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In a workflow, what is printed is shown and not obeyed."""
    Runner({"GITHUB_ACTIONS": "true"}).log(line)
    [shown] = capsys.readouterr().out.splitlines()
    assert not COMMAND.search(shown)


@given(st.text(alphabet=" :#[\n\r\t\u2028aé%", max_size=12))
def test_harmless_lines_stay_harmless_and_keep_their_letters(text: str) -> None:
    """For any text: one line, no command, no letter lost."""
    shown = harmless(text)
    assert len(shown.splitlines()) <= 1
    assert not COMMAND.search(shown)
    assert [c for c in shown if c in "aé%"] == [c for c in text if c in "aé%"]


@given(st.text())
def test_an_escaped_message_comes_back_whole(text: str) -> None:
    """By the runner's own unescaping."""
    back = escaped(text).replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
    assert back == text
