"""The runner's files: the event as it is read, outputs and summaries as they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.actions import MAX_SUMMARY, Runner, bounded_json, read_event
from triage.errors import DataError
from triage.issue import Kind, TextBeforeEdit
from triage.options import Event, EventComment

REPO = {"repository": {"full_name": "octo/demo"}}


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


@pytest.mark.parametrize(
    ("key", "kind"), [("issue", "issue"), ("pull_request", "pull request"), ("discussion", "discussion")]
)
def test_an_event_names_its_issue_and_what_an_edit_changed(tmp_path: Path, key: str, kind: Kind) -> None:
    """Only the parts that changed are told."""
    payload = {"action": "edited", key: {"number": 7}, "changes": {"title": {"from": "Old"}}, **REPO}
    expected = Event("octo/demo", 7, "edited", TextBeforeEdit(title="Old"), kind=kind)
    assert event(tmp_path, payload) == expected


def test_an_edited_comment_changes_nothing_of_its_issue(tmp_path: Path) -> None:
    """What GitHub tells as changed is the comment's text."""
    payload = {
        "action": "edited",
        "issue": {"number": 7},
        "comment": {},
        "changes": {"body": {"from": "x"}},
        **REPO,
    }
    found = event(tmp_path, payload)
    assert found is not None
    assert found.before == TextBeforeEdit()
    assert found.comment == EventComment("", "", "", is_bot=True, edited=True)


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


@pytest.mark.parametrize("count", [1, 700, 30_000])
def test_an_output_stays_below_githubs_limit_however_many_issues_there_are(count: int) -> None:
    """Of each issue the highest scores stay; only where one each is too much are issues left out, the last ones."""
    scores = {str(n): {f"area: label {label} 🐛": 0.5 for label in range(60)} for n in range(count)}
    text, held = bounded_json(scores, 200_000, ranked=True)
    assert len(text.encode("utf-16-le")) <= 400_000
    kept = json.loads(text)
    assert list(kept) == list(scores)[:held]
    assert all(list(kept[n]) == list(scores[n])[: len(kept[n])] for n in kept)
    assert (held, len(kept["0"])) == {1: (1, 60), 700: (700, 10)}.get(count, (held, 1))
    assert held == count or len(text.encode("utf-16-le")) > 399_000


def test_an_output_that_is_not_ranked_loses_whole_issues_only() -> None:
    """A label that was set is never missing from an issue that is there."""
    labels = {str(n): ["bug", "area: storage"] for n in range(1_000)}
    text, held = bounded_json(labels, 1_000)
    assert json.loads(text) == dict(list(labels.items())[:held])
    assert 0 < held < 1_000
    assert bounded_json(list(range(10)), 12) == ("[0, 1, 2, 3]", 4)
    assert bounded_json([], 12) == ("[]", 0)


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


def test_outside_a_workflow_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """No files."""
    runner = Runner({})
    runner.output("a", "b")
    runner.summary("c")
    assert capsys.readouterr() == ("", "")
