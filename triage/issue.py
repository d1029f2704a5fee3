"""Issues as values, and rows of a file as issues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from triage.errors import DataError
from triage.schema import is_utf8
from triage.text import digest, render

Key = tuple[str, int]
Kind = Literal["issue", "pull request"]
# In the order in which they are read.
KINDS: tuple[Kind, ...] = ("issue", "pull request")

# Bundles hold numbers in 64 bits.
MAX_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class LabelEvent:
    """A label added to an issue or removed from it: by whom and when."""

    label: str
    added: bool
    actor: str
    actor_is_bot: bool
    at: datetime


@dataclass(frozen=True)
class Issue:
    """An issue as it is to be labelled; identified by (repository, number) everywhere."""

    repo: str
    number: int
    title: str
    body: str = ""
    created_at: datetime | None = None
    kind: Kind = "issue"
    author: str = ""
    labels: tuple[str, ...] = ()
    events: tuple[LabelEvent, ...] | None = field(default=None, repr=False)

    @property
    def key(self) -> Key:
        return self.repo, self.number

    @cached_property
    def text(self) -> str:
        return render(self.title, self.body)

    @cached_property
    def digest(self) -> str:
        return digest(self.text)


def from_row(row: object, *, where: str, default_repo: str = "") -> Issue:
    """An issue from a decoded JSON row.

    `number, title, body, labels` are required; `repo, created_at, is_pull_request, author, label_events`
    are optional. Raises DataError that names `where` and the field.
    """
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: expected a JSON object, found {_kind(row)}")
    take = _Row(row, where)
    labels = tuple(dict.fromkeys(take.texts("labels")))
    return Issue(
        repo=take.repo(default_repo),
        number=take.number(),
        title=take.text("title"),
        body=take.nullable_text("body"),
        created_at=take.time("created_at"),
        kind="pull request" if take.optional("is_pull_request", bool, False) else "issue",
        author=str(take.optional("author", str, "")),
        labels=labels,
        events=take.events(),
    )


def to_row(issue: Issue) -> dict[str, object]:
    """The row that `from_row` reads back as the same issue."""
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
    if issue.events is not None:
        row["label_events"] = [
            {
                "label": e.label,
                "action": "labeled" if e.added else "unlabeled",
                "actor": e.actor,
                "actor_type": "Bot" if e.actor_is_bot else "User",
                "created_at": format_time(e.at),
            }
            for e in issue.events
        ]
    return row


def format_time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(value: str) -> datetime:
    """A moment from ISO 8601, in UTC where no zone is given. Raises ValueError."""
    at = datetime.fromisoformat(value)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class _Row:
    """Typed access to the fields of a row; every method raises DataError that names the place and the field."""

    def __init__(self, row: Mapping[object, object], where: str) -> None:
        self.row, self.where = row, where

    def fail(self, name: str, expected: str) -> DataError:
        found = _kind(self.row[name]) if name in self.row else "nothing"
        return DataError(f"{self.where}: `{name}` should be {expected}, found {found}")

    def optional(self, name: str, kind: type, default: object) -> object:
        value = self.row.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.fail(name, f"a {kind.__name__}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.row.get(name)
        if isinstance(value, str):
            return value
        if value is None and default is not None:
            return default
        raise self.fail(name, "a string")

    def repo(self, default: str) -> str:
        value = self.text("repo", default) or default
        if not is_utf8(value):
            raise self.fail("repo", "a name that UTF-8 can carry")
        return value

    def nullable_text(self, name: str) -> str:
        if name not in self.row:
            raise self.fail(name, "a string or null")
        return self.text(name, "")

    def number(self) -> int:
        value = self.row.get("number")
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_NUMBER:
            raise self.fail("number", "a positive whole number")
        return value

    def texts(self, name: str) -> list[str]:
        value = self.row.get(name)
        if not isinstance(value, list):
            raise self.fail(name, "a list of label names")
        for i, item in enumerate(value):
            if not isinstance(item, str) or not item or not is_utf8(item):
                raise DataError(f"{self.where}: `{name}[{i}]` should be a label's name, found {item!r:.40}")
        return value

    def time(self, name: str) -> datetime | None:
        value = self.optional(name, str, None)
        if not value:
            return None
        try:
            return parse_time(str(value))
        except (ValueError, OverflowError):
            raise self.fail(name, "a date in ISO 8601") from None

    def events(self) -> tuple[LabelEvent, ...] | None:
        value = self.row.get("label_events")
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.fail("label_events", "a list of events")
        return tuple(_event(v, f"{self.where}: label_events[{i}]") for i, v in enumerate(value))


def _event(row: object, where: str) -> LabelEvent:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: expected a JSON object, found {_kind(row)}")
    take = _Row(row, where)
    at = take.time("created_at")
    action = take.text("action")
    if at is None or action not in {"labeled", "unlabeled"}:
        name = "created_at" if at is None else "action"
        raise take.fail(name, "a date in ISO 8601" if at is None else '"labeled" or "unlabeled"')
    return LabelEvent(
        label=take.text("label"),
        added=action == "labeled",
        actor=take.text("actor", ""),
        actor_is_bot=take.text("actor_type", "User") == "Bot",
        at=at,
    )


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), f"{value!r:.40}")
