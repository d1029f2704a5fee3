"""Files of issues: read whole or refused, with the broken line named."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.errors import DataError
from triage.issue import KINDS, Issue, LabelEvent
from triage.rows import from_row, to_row
from triage.sources import issue_file
from triage.sources.issue_file import is_file, iter_issues, lasting, read_issues

ROW: dict[str, object] = {"number": 7, "title": "T", "body": "B", "labels": ["bug"]}
NAME = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
MOMENT = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=0)
)
EVENT = st.builds(LabelEvent, NAME, st.booleans(), NAME, st.booleans(), MOMENT)
ISSUE = st.builds(
    Issue,
    repo=NAME,
    number=st.integers(1, 2**63 - 1),
    title=st.text(),
    body=st.text(),
    created_at=st.none() | MOMENT,
    kind=st.sampled_from(KINDS),
    author=st.text(),
    labels=st.lists(NAME, unique=True, max_size=4).map(tuple),
    events=st.none() | st.lists(EVENT, max_size=3).map(tuple),
    handled=st.none() | st.booleans(),
) | st.builds(Issue, NAME, st.integers(1, 99), st.text(), handled=st.just(True), handled_by=st.tuples(NAME))


def written(path: Path, *rows: object) -> Path:
    """A file of these rows as JSON, or as they are where they are bytes."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@given(ISSUE)
def test_a_row_is_read_back_as_the_same_issue(issue: Issue) -> None:
    """Writing an issue as a row of JSON and reading it gives an equal issue."""
    assert from_row(json.loads(json.dumps(to_row(issue))), where="here") == issue


def test_the_required_fields_are_enough(tmp_path: Path) -> None:
    """Number, title, body and labels make an issue; the repository is the one given for such rows."""
    path = written(tmp_path / "f", ROW, {**ROW, "number": 8, "repo": "a/b", "body": None})
    assert read_issues(path, repo="o/r") == [
        Issue("o/r", 7, "T", "B", labels=("bug",)),
        Issue("a/b", 8, "T", "", labels=("bug",)),
    ]


def test_times_are_read_in_utc() -> None:
    """A date without a zone is in UTC, and one with a zone is brought there."""
    east = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))).isoformat()
    for text in (east, "2024-01-01T10:00:00", "2024-01-01T10:00:00Z"):
        issue = from_row({**ROW, "created_at": text}, where="here")
        assert issue.created_at == datetime(2024, 1, 1, 10, tzinfo=UTC)


def test_the_last_row_of_an_issue_counts_and_labels_count_once(tmp_path: Path) -> None:
    """A later row of the same issue replaces the earlier one; a label named twice is one."""
    path = written(tmp_path / "f", ROW, {**ROW, "title": "New", "labels": ["a", "b", "a"]})
    assert read_issues(path) == [Issue("", 7, "New", "B", labels=("a", "b"))]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"number": 0}, "in 'number': expected at least 1, found 0"),
        ({"number": "7"}, "in 'number': expected a whole number, found '7'"),
        ({"number": True}, "in 'number': expected a whole number, found True"),
        ({"number": 2**63}, "in 'number': expected at most 9.22337e+18, found 9223372036854775808"),
        ({"title": None}, "in 'title': expected a string, found None"),
        ({"body": 3}, "in 'body': expected a string, found 3"),
        ({"labels": "bug"}, "in 'labels': expected a list, found 'bug'"),
        ({"labels": ["a", ""]}, "in 'labels[1]': expected the name of a label, found ''"),
        ({"labels": [{"title": "bug"}]}, "in 'labels[0]': expected a string, found {'title': 'bug'}"),
        ({"labels": ["\ud800"]}, "in 'labels[0]': expected the name of a label, found '\\ud800'"),
        ({"repo": "o/\ud800"}, "in 'repo': expected text that UTF-8 can carry, found 'o/\\ud800'"),
        ({"repo": 1}, "in 'repo': expected a string, found 1"),
        ({"created_at": "yesterday"}, "in 'created_at': expected a date in ISO 8601, found 'yesterday'"),
        (
            {"created_at": "0001-01-01T00:00+10:00"},
            "in 'created_at': expected a date in ISO 8601, found '0001-01-01T00:00+10:00'",
        ),
        ({"is_pull_request": "no"}, "in 'is_pull_request': expected true or false, found 'no'"),
        ({"label_events": {}}, "in 'label_events': expected a list, found {}"),
        ({"label_events": [[]]}, "in 'label_events[0]': expected a mapping, found []"),
        (
            {"label_events": [{"label": "a", "action": "moved", "created_at": "2024-01-01"}]},
            "in 'label_events[0].action': expected one of labeled, unlabeled, found 'moved'",
        ),
        (
            {"label_events": [{"label": "a", "action": "labeled"}]},
            "in 'label_events[0].created_at': missing",
        ),
    ],
)
def test_a_broken_field_is_named(change: dict[str, object], wrong: str) -> None:
    """A row with a field of another kind is refused with the place, the field and what was found."""
    with pytest.raises(DataError) as refused:
        from_row({**ROW, **change}, where="f, line 2")
    assert refused.value.what == f"f, line 2: {wrong}"


@pytest.mark.parametrize("name", ["number", "title", "body", "labels"])
def test_a_missing_field_is_named(name: str) -> None:
    """Each of the four required fields is missed by name, with what writes it."""
    with pytest.raises(DataError) as refused:
        from_row({key: value for key, value in ROW.items() if key != name}, where="f, line 2")
    assert (refused.value.what, refused.value.likely, refused.value.next_step) == (
        f"f, line 2: in '{name}': missing",
        "the rows were written without this field, or under another name",
        "write it, as `gh issue list --json number,title,body,labels,createdAt,author,state` does "
        "(docs/reference/rows.md), or "
        "pass --skip-bad to skip invalid rows",
    )


def test_what_to_label_needs_neither_labels_nor_numbers(tmp_path: Path) -> None:
    """A row without number is known by its place, with a number that no issue of a bundle has."""
    path = written(tmp_path / "f", {"title": "A", "body": None}, b"", ROW, {"title": "B", "body": "C"})
    assert read_issues(path, repo="o/r", partial_rows=True) == [
        Issue("o/r", -1, "A"),
        Issue("o/r", 7, "T", "B", labels=("bug",)),
        Issue("o/r", -3, "B", "C"),
    ]


@pytest.mark.parametrize(
    ("fields", "repo", "kind"),
    [
        ({}, "o/r", "issue"),
        ({"repo": "a/b", "repository": {"nameWithOwner": "c/d"}}, "a/b", "issue"),
        ({"repository": {"name": "d", "nameWithOwner": "c/d"}, "isPullRequest": True}, "c/d", "pull request"),
        ({"repository": {"full_name": "c/d"}}, "c/d", "issue"),
        ({"url": "https://github.com/c/d/issues/7"}, "c/d", "issue"),
        ({"url": "https://github.com/c/d/pull/7"}, "c/d", "pull request"),
        ({"url": "https://github.com/c/d/pull/7", "isPullRequest": False}, "c/d", "issue"),
        ({"url": "https://ghe.acme.com/api/v3/repos/c/d/issues/7", "pull_request": None}, "c/d", "issue"),
        (
            {"html_url": "https://github.com/c/d/pull/7", "pull_request": {"url": ""}},
            "c/d",
            "pull request",
        ),
        ({"url": "https://example.org/page"}, "o/r", "issue"),
        ({"url": None}, "o/r", "issue"),
    ],
)
def test_repository_and_kind_are_read_as_tools_of_github_write_them(
    fields: dict[str, object], repo: str, kind: str
) -> None:
    """`gh issue list`, `gh search issues` and the REST API."""
    issue = from_row({**ROW, **fields}, where="here", default_repo="o/r")
    assert (issue.repo, issue.kind) == (repo, kind)


@pytest.mark.parametrize(
    ("bad", "wrong"),
    [
        (b'{"number": 1,', "not valid JSON (Expecting property name enclosed in double quotes"),
        (b"\xff\xfe\x00", "not valid JSON ("),
        (b"[" * 100_000, "not valid JSON (maximum recursion depth exceeded"),
        (b"[]", "in '(top)': expected a mapping, found []"),
        (b"null", "in '(top)': expected a mapping, found None"),
    ],
)
def test_a_broken_line_refuses_the_file(tmp_path: Path, bad: bytes, wrong: str) -> None:
    """One broken line, empty lines counted, refuses the whole file; with skip_bad it alone is left out, and said."""
    path = written(tmp_path / "f", ROW, b"", bad, {**ROW, "number": 8})
    with pytest.raises(DataError) as refused:
        read_issues(path)
    assert refused.value.what.startswith(f"{path}, line 3: {wrong}")
    assert refused.value.next_step == "correct the named line, or pass --skip-bad to skip invalid rows"
    said: list[str] = []
    assert [issue.number for issue in read_issues(path, skip_bad=True, warn=said.append)] == [7, 8]
    assert said == [f"skipped: {refused.value.what}"]


def test_gzip_is_read_whatever_the_name(tmp_path: Path) -> None:
    """A compressed file is known by its content and gives the same issues."""
    rows = [{**ROW, "number": n} for n in range(1, 50)]
    plain = written(tmp_path / "plain.gz", *rows)
    (tmp_path / "zipped").write_bytes(gzip.compress(plain.read_bytes()))
    assert read_issues(plain) == read_issues(tmp_path / "zipped")


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: data[:50] + b"\0" * 50])
def test_a_spoilt_gzip_is_refused(tmp_path: Path, spoil: object, skip_bad: bool) -> None:
    """A gzip file cut short or overwritten is refused as a whole, whatever was readable before."""
    rows = "".join(json.dumps({**ROW, "title": str(n) * 50, "number": n}) + "\n" for n in range(1, 999))
    path = tmp_path / "f.gz"
    assert callable(spoil)
    path.write_bytes(spoil(gzip.compress(rows.encode())))
    with pytest.raises(DataError) as refused:
        read_issues(path, skip_bad=skip_bad)
    assert refused.value.what.startswith(f"{path}: cannot be read (")
    assert refused.value.likely == "the path is wrong, or the file was cut short"


def test_files_without_issues_are_refused(tmp_path: Path) -> None:
    """An empty file, a missing one and a folder each say so."""
    with pytest.raises(DataError) as refused:
        read_issues(written(tmp_path / "empty", b"", b" "))
    assert refused.value.what == f"{tmp_path / 'empty'}: holds no issue"
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError) as refused:
            read_issues(path)
        assert refused.value.what.startswith(f"{path}: cannot be read (")


def test_issues_come_one_at_a_time(tmp_path: Path) -> None:
    """The first issues are there before a broken line further down is met."""
    rows = iter_issues(written(tmp_path / "f", ROW, b"{"))
    assert next(rows).number == 7
    with pytest.raises(DataError):
        next(rows)


GH = [
    {
        "number": number,
        "title": "T",
        "body": "B",
        "labels": [{"id": "LA_1", "name": "bug", "description": "", "color": "d73a4a"}],
        "createdAt": "2024-01-01T10:00:00Z",
        "author": {"login": "marit", "is_bot": False},
    }
    for number in (7, 8)
]
READ = [
    Issue("o/r", number, "T", "B", datetime(2024, 1, 1, 10, tzinfo=UTC), author="marit", labels=("bug",))
    for number in (7, 8)
]


@pytest.mark.parametrize("indent", [None, 2])
def test_the_array_that_gh_prints_is_read(tmp_path: Path, indent: int | None) -> None:
    """`gh issue list --json number,title,body,labels,createdAt,author`, also as jq or Windows writes it."""
    path = tmp_path / "issues.json"
    for start in (b"\xef\xbb\xbf", b"\r\n \r\n"):
        path.write_bytes(start + json.dumps(GH, indent=indent).encode())
        assert read_issues(path, repo="o/r") == READ
    path.write_text("\r\n".join(map(json.dumps, GH)), "utf-8")
    assert read_issues(path, repo="o/r") == READ


def test_several_arrays_are_read_as_one(tmp_path: Path) -> None:
    """`gh api --paginate` prints one after the other, with `--slurp` an array of them."""
    path = tmp_path / "issues.json"
    path.write_text(f"{json.dumps(GH[:1])}{json.dumps(GH[1:], indent=1)}\n", "utf-8")
    assert read_issues(path, repo="o/r") == READ
    path.write_text(json.dumps([GH[:1], GH[1:]]), "utf-8")
    assert read_issues(path, repo="o/r") == READ


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be"])
def test_what_powershell_writes_is_read(tmp_path: Path, order: str, whole: bool) -> None:
    """UTF-16, with or without gzip; cut short it is refused."""
    text = json.dumps(GH) if whole else "\r\n".join(map(json.dumps, GH))
    path = tmp_path / "issues.json"
    path.write_bytes(f"\ufeff{text}".encode(order))
    assert read_issues(path, repo="o/r") == READ
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert read_issues(path, repo="o/r") == READ
    path.write_bytes(f"\ufeff{text}".encode(order)[:-1])
    with pytest.raises(DataError, match="cannot be read"):
        read_issues(path, repo="o/r")


def test_rows_over_several_lines_are_refused_with_what_joins_them(tmp_path: Path) -> None:
    """As `jq '.[]'` writes them."""
    path = tmp_path / "issues.json"
    path.write_text(json.dumps(GH[0], indent=2), "utf-8")
    with pytest.raises(DataError) as refused:
        read_issues(path, repo="o/r")
    assert refused.value.what.startswith(f"{path}, line 1: not valid JSON (")
    assert refused.value.likely == (
        "the file was cut short or edited by hand, or it does not have one row per line (jq -c writes this)"
    )


def test_a_broken_row_of_an_array_is_named(tmp_path: Path) -> None:
    """By its place; `--skip-bad` skips it."""
    path = tmp_path / "issues.json"
    path.write_text(json.dumps([*GH, 3]), "utf-8")
    with pytest.raises(DataError, match="row 3: in '\\(top\\)': expected a mapping, found 3"):
        read_issues(path, repo="o/r")
    assert read_issues(path, repo="o/r", skip_bad=True) == READ
    path.write_text("[{", "utf-8")
    with pytest.raises(DataError, match="not valid JSON"):
        read_issues(path, repo="o/r")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_pipe_is_read_from_its_beginning(zipped: bool) -> None:
    """It is opened once; `<(…)` gives such a path."""
    data = "".join(json.dumps(row) + "\n" for row in GH).encode()
    reader, writer = os.pipe()
    os.write(writer, gzip.compress(data) if zipped else data)
    os.close(writer)
    try:
        assert read_issues(Path(f"/dev/fd/{reader}"), repo="o/r") == READ
    finally:
        os.close(reader)


def test_a_dash_is_the_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As for other commands."""
    path = written(tmp_path / "f", *GH)
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert read_issues(Path("-"), repo="o/r") == READ


CLOSED = {"state": "CLOSED", "closedAt": "2024-01-02T10:00:00Z"}
BY_TEAM = {"author": {"login": "ann"}, "authorAssociation": "MEMBER", "body": "See the docs"}


@pytest.mark.parametrize(
    ("fields", "handled"),
    [
        ({}, None),
        ({"state": "open"}, False),
        ({"state": "OPEN", "closedAt": None}, False),
        (CLOSED, True),
        ({"closed_at": "2024-01-02T10:00:00Z"}, True),
        ({"state": "MERGED"}, True),
        ({**CLOSED, "handled": False}, False),
        ({"handled": True, "state": "open"}, True),
        ({"handled_by": ["ann"], "state": "open"}, True),
        ({"assignees": [{"login": "ann"}]}, True),
        ({"assignees": [], "milestone": None}, None),
        ({"milestone": {"title": "2.0"}}, True),
        ({"comments": [BY_TEAM]}, True),
        ({"comments": [{**BY_TEAM, "authorAssociation": "NONE"}]}, None),
        ({"comments": [BY_TEAM], "author": {"login": "ann"}}, None),
        ({"comments": 3}, None),
        ({"comments": [{**BY_TEAM, "author": {"login": "acme-robot"}}], "state": "open"}, False),
        ({**CLOSED, "closed_by": {"login": "ben"}, "user": {"login": "ben"}}, False),
        (
            {
                **CLOSED,
                "closed_by": {"login": "ben"},
                "user": {"login": "ben"},
                "author_association": "OWNER",
            },
            True,
        ),
    ],
)
def test_a_row_tells_whether_a_maintainer_dealt_with_the_issue(
    fields: dict[str, object], handled: bool | None
) -> None:
    """`handled` or `handled_by` where given; else closed, answered, assigned or on a milestone, whatever its text."""
    issue = from_row({**ROW, **fields}, where="here")
    assert issue.handled is handled
    assert issue.digest == from_row(ROW, where="here").digest


def test_a_pipe_can_be_read_more_than_once() -> None:
    """As a copy, for as long as it is needed; a file is read where it is."""
    reader, writer = os.pipe()
    os.write(writer, b"rows")
    os.close(writer)
    source = f"/dev/fd/{reader}"
    assert is_file(source) and is_file("-") and is_file(__file__)
    assert not is_file("o/r") and not is_file(str(Path(__file__).parent))
    with lasting(source) as copy:
        os.close(reader)
        assert (copy.read_bytes(), copy.read_bytes()) == (b"rows", b"rows")
    assert not copy.exists()
    with lasting(__file__) as same:
        assert same == Path(__file__)


def test_a_pipe_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the disk."""
    monkeypatch.setattr(issue_file, "MAX_COPY", 5_000_000)
    with pytest.raises(DataError) as refused, lasting("/dev/zero"):
        pass
    assert refused.value.what == "/dev/zero: cannot be read (longer than 5,000,000 bytes)"
