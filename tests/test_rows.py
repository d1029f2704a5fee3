"""The page and the JSON Schema of rows say what the reader takes."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.sample import CONFIG, LEARNT_FROM, NEW, SAMPLE, Trained
from tests.test_issue_file import GH, ISSUE
from triage.cli import main, parser
from triage.errors import DataError
from triage.issue import Issue
from triage.rows import from_row, to_row
from triage.sources.issue_file import read_issues

DOCS = Path(__file__).resolve().parents[1] / "docs" / "reference"
PAGE = (DOCS / "rows.md").read_text("utf-8")
SCHEMA = json.loads((DOCS / "rows.schema.json").read_text("utf-8"))
VALID = Draft202012Validator(SCHEMA)
EXAMPLES = re.findall(r"```jsonl\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^[$ ].*(triage (?:label|retrain) .*?)(?: <.*)?$", PAGE, re.MULTILINE)

ACCOUNT: list[object] = [None, "ann", 3, {}, {"login": "ann"}, {"login": 3}, {"login": None}]
EVENT = {"label": "bug", "action": "labeled", "created_at": "2026-01-31"}
# Dates are not among them: JSON Schema checks no formats.
VALUES: dict[str, list[object]] = {
    "title": ["T", "", None, 3],
    "body": ["B", None, [], {}],
    "number": [None, 0, 1, 2**63 - 1, 2**63, "7", True],
    "labels": [
        None,
        [],
        ["a", None],
        [""],
        "a",
        [3],
        [{"name": "a"}],
        [{"name": None}],
        [{"name": ""}],
        [{}],
    ],
    "repo": [None, "", "a/b", 3, {}],
    "repository": [None, "", "a/b", 3, {}, {"nameWithOwner": "a/b"}],
    "url": [None, "", "https://github.com/a/b/pull/7", 3],
    "created_at": [None, "", "2026-01-31", 0, []],
    "closedAt": [None, "", "2026-01-31", 0, []],
    "is_pull_request": [None, True, 1, "yes", {}],
    "pull_request": [None, False, {"url": ""}, []],
    "author": ACCOUNT,
    "user": ACCOUNT,
    "closedBy": ACCOUNT,
    "authorAssociation": [None, "OWNER", 3],
    "handled": [None, True, "yes", 0],
    "handled_by": [None, [], ["ann"], [{"login": "ann"}], [3], "ann"],
    "state": [None, "OPEN", "closed", 3],
    "assignees": [None, [], [{"login": "ann"}], 3],
    "milestone": [None, {}, {"title": "2.0"}, 3],
    "comments": [None, 3, "none", [], [None], [3], [{}], [{"user": "ann"}], [{"author_association": 3}]],
    "text_edits": [None, [], [{"created_at": "2026-01-31", "actor": "ann"}], [{}], [None], 3],
    "label_events": [
        None,
        [],
        [None],
        [EVENT],
        [{}],
        [{**EVENT, "action": "moved"}],
        [{**EVENT, "actor": None}],
        3,
    ],
}
# Of two names of one field the reader looks at the first alone.
TWICE = [("repo", "repository"), ("is_pull_request", "pull_request"), ("author", "user")]


@st.composite
def any_row(draw: st.DrawFn) -> dict[str, object]:
    """A row with some of the fields, well or badly filled."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=4))
    for one, other in TWICE:
        names = [name for name in names if name != other or one not in names]
    row: dict[str, Any] = {"title": "T", "body": "B"}
    return row | {name: draw(st.sampled_from(VALUES[name])) for name in names}


def is_read(row: dict[str, object]) -> bool:
    try:
        from_row(row, where="here", place=1)
    except DataError:
        return False
    return True


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(any_row())
def test_the_schema_takes_what_the_reader_takes(row: dict[str, object]) -> None:
    """Save for dates, whose format JSON Schema does not check."""
    assert VALID.is_valid(row) == is_read(row)


@pytest.mark.parametrize("name", ["title", "body"])
def test_the_schema_misses_what_the_reader_misses(name: str) -> None:
    row = {key: value for key, value in {"title": "T", "body": "B"}.items() if key != name}
    assert not VALID.is_valid(row) and not is_read(row)


@given(ISSUE)
def test_rows_that_are_written_fit_the_schema(issue: Issue) -> None:
    """Those of the program's own files."""
    VALID.validate(to_row(issue))


@pytest.mark.parametrize("path", [LEARNT_FROM, NEW, SAMPLE / "events.jsonl"], ids=lambda path: path.name)
def test_the_sample_fits_the_schema(path: Path) -> None:
    """And what `gh` prints."""
    for row in [*map(json.loads, path.read_text("utf-8").splitlines()), *GH]:
        VALID.validate(row)


def test_the_examples_of_the_page_are_rows(tmp_path: Path) -> None:
    """To label, and to learn from."""
    rows = [json.loads(line) for text in EXAMPLES for line in text.splitlines()]
    for row in rows:
        VALID.validate(row)
    to_label, to_learn_from = EXAMPLES
    file = tmp_path / "rows.jsonl"
    file.write_text(to_label, "utf-8")
    assert [issue.number for issue in read_issues(file, partial_rows=True)] == [-1, 7]
    file.write_text(to_learn_from, "utf-8")
    (learnt,) = read_issues(file)
    assert learnt.events is not None
    assert [(event.actor, event.label) for event in learnt.events] == [("ben", "bug")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_are_understood(command: str) -> None:
    """With their options."""
    assert parser().parse_args(shlex.split(command)[1:])


def test_rows_without_number_are_labelled_from_a_pipe(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the page shows: each is printed with its place for a number, and every issue of the bundle may vote on it."""
    first = json.loads(LEARNT_FROM.read_text("utf-8").splitlines()[0])
    row = json.dumps({"title": first["title"], "body": first["body"]})
    known = json.dumps({"title": first["title"], "body": first["body"], "number": first["number"]})
    text = f"{EXAMPLES[0]}{row}\r\n{known}\r\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
    argv = ["label", "--from=-", "--json", f"--store={trained.folder}", f"--config={CONFIG}"]
    assert main([*argv, f"--repo={first['repo']}"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["number"] for one in said] == [1, 7, 3, first["number"]]
    voters = [[neighbour["number"] for neighbour in one["neighbours"]] for one in said]
    assert first["number"] in voters[2]
    assert first["number"] not in voters[3]
