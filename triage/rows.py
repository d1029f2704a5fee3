"""The row format: an issue as one JSON object, as this program, `gh --json` or GitHub's REST API writes it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from triage.errors import DataError
from triage.issue import (
    KINDS,
    MAX_NUMBER,
    TYPE,
    Act,
    Issue,
    LabelEvent,
    TextEdit,
    distinct,
    format_time,
    handlers,
)
from triage.schema import SchemaError, build, is_utf8

if TYPE_CHECKING:
    from triage.issue import Kind

GH = "gh issue list --json number,title,body,labels,createdAt,author,state"
ADDRESS = re.compile(r"\w+://[^/\s]+(?:/api/v3)?(?:/repos)?/([^/\s]+/[^/\s]+)/(issues|pull|pulls)/\d+")


def _field(default: Any, doc: str, *also: str, **rules: Any) -> Any:
    """A field with its documentation and the other names under which it is read; `rules` as in `option`."""
    return dataclasses.field(default=default, metadata={"doc": doc, "also": also, **rules})


@dataclass(frozen=True)
class LabelEventRow:
    label: str = _field(dataclasses.MISSING, "Name of the label.")
    action: str = _field(dataclasses.MISSING, "What happened.", choices=("labeled", "unlabeled"))
    created_at: datetime = _field(dataclasses.MISSING, "When.")
    actor: str = _field("", "Login of who did it.")
    actor_type: str = _field("User", "`Bot` for an App, anything else for a person.")
    accepted: bool = _field(
        False, "Whether the actor accepted a suggestion of this bot, which then set the label."
    )


@dataclass(frozen=True)
class TextEditRow:
    created_at: datetime = _field(dataclasses.MISSING, "When.")
    actor: str = _field("", "Login of who did it.")
    actor_type: str = _field("User", "`Bot` for an App, anything else for a person.")


@dataclass(frozen=True)
class CommentRow:
    author: str = _field("", "Login of who wrote it.", "user")
    author_association: str = _field("", "As for the issue.", "authorAssociation")


@dataclass(frozen=True)
class IssueRow:
    """The fields; others are ignored, and null counts as missing."""

    title: str = _field(dataclasses.MISSING, "Title.")
    body: str | None = _field(dataclasses.MISSING, "Text as Markdown; may be null.")
    number: int | None = _field(
        None, "Number of the issue in its repository. `label` does not need it.", low=1, high=MAX_NUMBER
    )
    labels: tuple[str, ...] | None = _field(
        None,
        "Names of its labels, or objects with the name in `name`. `label` does not need them.",
        inside="name",
    )
    type: str | None = _field(None, "Name of its issue type, or an object with the name in `name`.")
    repo: str = _field(
        "",
        "Its repository, OWNER/NAME. If missing: from `repository`, the address of the page, or `--repo-of-rows`.",
        "repository",
        "url",
        "html_url",
    )
    created_at: datetime | None = _field(
        None,
        "When it was opened. With dates, learning splits issues by time; those without one count as the oldest.",
        "createdAt",
    )
    is_pull_request: bool = _field(
        False,
        "Whether it is a pull request. If missing: whether `pull_request` is an object, or the address says so.",
        "isPullRequest",
        "pull_request",
    )
    kind: str | None = _field(
        None, "What it is, instead of `is_pull_request`; only this field can say `discussion`.", choices=KINDS
    )
    author: str = _field("", "Login of its author, or an object with `login`.", "user")
    files: tuple[str, ...] | None = _field(
        None,
        "Paths that a pull request changes, or objects with the path in `path`. Labels are learnt from the first "
        "hundred; fixed rules look at all.",
        inside="path",
    )
    label_events: tuple[LabelEventRow, ...] | None = _field(
        None, "History of its labels, so that triage learns from people's labels and not from bots' labels."
    )
    text_edits: tuple[TextEditRow, ...] = _field(
        (),
        "Changes of title and body. An issue whose author changed it after people labelled it is not learnt.",
    )
    handled: bool | None = _field(
        None,
        "Whether a maintainer dealt with it. An issue without labels that was dealt with needed none; any other proves "
        "nothing. If this is missing, triage derives it from the fields below.",
    )
    handled_by: tuple[str, ...] = _field(
        (),
        "Who dealt with it: logins, or objects with `login`. If all of them are bots (`learn.bots`), nobody did.",
        inside="login",
    )
    state: str | None = _field(
        None,
        "`closed` or `merged` (case is ignored) counts as dealt with; `open` does not, unless a field below does.",
    )
    closed_at: datetime | None = _field(None, "When it was closed; any date counts as closed.", "closedAt")
    closed_by: str | None = _field(
        None, "Login of who closed it, or an object with `login`. Its own author does not count.", "closedBy"
    )
    author_association: str | None = _field(
        None,
        "The author's relation to the repository, as GitHub names it. If the author is `OWNER`, `MEMBER` or "
        "`COLLABORATOR`, closing it counts, and labels set while opening it are the author's, not a form's.",
        "authorAssociation",
    )
    assignees: Any = _field(None, "Any assignee counts as dealt with.")
    milestone: Any = _field(None, "Any milestone counts as dealt with.")
    comments: tuple[CommentRow, ...] | None = _field(
        None,
        "Comments. One by another `OWNER`, `MEMBER` or `COLLABORATOR` counts as an answer. A number is ignored.",
    )


def from_row(data: object, *, where: str, default_repo: str = "", place: int = 0) -> Issue:
    """An issue from a decoded JSON row; see IssueRow. Raises DataError that names `where` and the field.

    With a `place`, counted from 1, labels and number may be missing; without number the issue is known by the place.
    """
    try:
        row = build(IssueRow, _with_our_names(data) if isinstance(data, dict) else data, strict=False)
        for name in ("number", "labels"):
            if getattr(row, name) is None and not place:
                raise SchemaError(f"in '{name}': missing")
        return _issue(row, row.repo or default_repo, place)
    except SchemaError as error:
        raise _refusal(where, error) from None


def _issue(row: IssueRow, repo: str, place: int) -> Issue:
    if not is_utf8(repo):
        raise SchemaError(f"in 'repo': expected text that UTF-8 can carry, found {repo!r:.60}")
    for i, name in enumerate(row.labels or ()):
        if not name or not is_utf8(name):
            raise SchemaError(f"in 'labels[{i}]': expected the name of a label, found {name!r:.60}")
    if row.type and not is_utf8(row.type):
        raise SchemaError(f"in 'type': expected the name of an issue type, found {row.type!r:.60}")
    handled, handled_by = _handled(row)
    return Issue(
        repo=repo,
        # Below zero, where no issue of a bundle can have the same number.
        number=-place if row.number is None else row.number,
        title=row.title,
        body=row.body or "",
        created_at=row.created_at,
        kind=cast("Kind", row.kind) if row.kind else "pull request" if row.is_pull_request else "issue",
        author=row.author,
        labels=distinct((*(row.labels or ()), *([f"{TYPE}{row.type}"] if row.type else ()))),
        events=None if row.label_events is None else tuple(map(_event, row.label_events)),
        handled=handled,
        handled_by=handled_by,
        association=row.author_association or "",
        edits=tuple(TextEdit(e.actor, e.actor_type == "Bot", e.created_at) for e in row.text_edits),
        files=row.files,
    )


def _refusal(where: str, error: SchemaError) -> DataError:
    if not str(error).endswith(": missing"):
        return DataError(f"{where}: {error}")
    return DataError(
        f"{where}: {error}",
        likely="the rows were written without this field, or under another name",
        next_step=f"write it, as `{GH}` does (docs/reference/rows.md), or pass --skip-bad to skip invalid rows",
    )


# Our names of fields, with the names that GitHub's own tools use.
ALSO: dict[str, tuple[str, ...]] = {
    field.name: field.metadata["also"]
    for cls in (CommentRow, IssueRow)
    for field in dataclasses.fields(cls)
    if field.metadata["also"]
}


# Lists of texts, with the key under which an object has the text.
INSIDE: dict[str, str] = {
    field.name: field.metadata["inside"]
    for field in dataclasses.fields(IssueRow)
    if "inside" in field.metadata
}


def _with_our_names(data: dict[str, object]) -> dict[str, object]:
    row = data | {name: _spelt(data, name) for name in ALSO}
    row["repo"], is_pull = _home(data)
    row["is_pull_request"] = _is_pull(row["is_pull_request"], is_pull)
    for name in ("created_at", "closed_at"):
        row[name] = None if row[name] == "" else row[name]
    for name, key in INSIDE.items():
        if isinstance(items := row.get(name), list):
            row[name] = [item[key] if isinstance(item, dict) and key in item else item for item in items]
    kind = row.get("type")
    row["type"] = kind.get("name") if isinstance(kind, dict) else kind
    comments = row.get("comments")
    row["comments"] = list(map(_comment, comments)) if isinstance(comments, list) else None
    return row


def _comment(data: object) -> object:
    names = ("author", "author_association")
    return {name: _spelt(data, name) for name in names} if isinstance(data, dict) else data


def _spelt(data: dict[str, object], name: str) -> object:
    """The field under the first of its names; of an account, its login."""
    found = next((data[key] for key in (name, *ALSO[name]) if key in data), None)
    return found.get("login") if isinstance(found, dict) and "login" in found else found


def _is_pull(told: object, by_address: bool) -> object:
    if isinstance(told, dict):
        return True
    return by_address if told is None else told


def _home(data: dict[str, object]) -> tuple[object, bool]:
    """The repository, and whether the page's address is that of a pull request."""
    matches = (ADDRESS.match(text) for key in ("html_url", "url") if isinstance(text := data.get(key), str))
    address = next(filter(None, matches), None)
    repository = data.get("repository")
    if isinstance(repository, dict):
        repository = repository.get("nameWithOwner") or repository.get("full_name")
    names = (data.get("repo"), repository, address and address[1])
    home = next((name for name in names if name not in (None, "")), None)
    return home, address is not None and address[2] != "issues"


def _handled(row: IssueRow) -> tuple[bool | None, tuple[str, ...]]:
    """What `handled` and `handled_by` say, else whether the row tells of a maintainer's act, and of whose.

    None where it tells nothing.
    """
    if row.handled is not None or row.handled_by:
        return row.handled is not False, row.handled_by
    acts = [Act("commented", one.author, one.author_association) for one in row.comments or ()]
    acts += [Act("assigned")] * bool(row.assignees) + [Act("milestoned")] * bool(row.milestone)
    if row.closed_at or (row.state or "").casefold() in ("closed", "merged"):
        acts.append(Act("closed", row.closed_by or ""))
    if handled_by := handlers(acts, row.author, row.author_association or ""):
        return True, handled_by
    return None if row.state is None and row.closed_at is None else False, ()


def _event(row: LabelEventRow) -> LabelEvent:
    return LabelEvent(
        label=row.label,
        added=row.action == "labeled",
        actor=row.actor,
        actor_is_bot=row.actor_type == "Bot",
        at=row.created_at,
        accepted=row.accepted,
    )


def to_row(issue: Issue) -> dict[str, object]:
    """The row that `from_row` reads back as the same issue, without the texts before its edits."""
    row: dict[str, object] = {
        "repo": issue.repo,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "labels": list(issue.labels),
        "created_at": format_time(issue.created_at),
        "is_pull_request": issue.kind == "pull request",
        "author": issue.author,
    }
    # Written where they say something.
    events, edits = issue.events, [_act(edit) for edit in issue.edits]
    more: dict[str, object] = {
        "kind": issue.kind if issue.kind == "discussion" else None,
        "files": None if issue.files is None else list(issue.files),
        "handled": issue.handled,
        "handled_by": list(issue.handled_by) or None,
        "label_events": None if events is None else list(map(_label_event, events)),
        "author_association": issue.association or None,
        "text_edits": edits or None,
    }
    return row | {name: value for name, value in more.items() if value is not None}


def _label_event(event: LabelEvent) -> dict[str, object]:
    action = "labeled" if event.added else "unlabeled"
    accepted = {"accepted": True} if event.accepted else {}
    return {"label": event.label, "action": action, **_act(event), **accepted}


def _act(act: LabelEvent | TextEdit) -> dict[str, object]:
    """By whom and when."""
    kind = "Bot" if act.actor_is_bot else "User"
    return {"actor": act.actor, "actor_type": kind, "created_at": format_time(act.at)}
