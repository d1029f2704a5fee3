"""What is on GitHub now, as values, and how they are read from GraphQL's answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from triage.github.typed_json import TypedJson
from triage.issue import Issue, Kind, LabelEvent

State = Literal["open", "closed"]
GHOST = "ghost"
BOT = "[bot]"


@dataclass(frozen=True)
class Actor:
    """An account; an App's login ends in `[bot]`, as it does in events and on the website."""

    login: str
    is_bot: bool


@dataclass(frozen=True)
class Label:
    """A label of the repository; `id` is GraphQL's and stays through renames."""

    id: str
    name: str
    description: str


@dataclass(frozen=True)
class Repository:
    """`visibility` is "public", "internal" or "private"; `default_branch` is empty before a commit."""

    name: str
    node_id: str
    visibility: str
    default_branch: str


@dataclass(frozen=True)
class LiveIssue:
    """An issue or pull request as it is on GitHub now; `issue.events` is always there, oldest first.

    `label_ids` are the ids of the labels that it carries or that its events name, by the names they had when it
    was read.
    """

    issue: Issue
    node_id: str
    state: State
    locked: bool
    updated_at: datetime
    label_ids: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class IssueFilter:
    """Which issues to read. `since` and `until` bound when they were opened (from, up to and excluding),
    `updated_since` when anything last changed; `labels` are names, of which an issue has at least one.
    """

    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    kind: Kind = "issue"

    def takes(self, live: LiveIssue) -> bool:
        """Whether it passes the bounds in time."""
        opened = live.issue.created_at
        return not (
            (self.until and opened and opened >= self.until)
            or self.ends(live)
            or (self.updated_since and live.updated_at < self.updated_since)
        )

    def ends(self, live: LiveIssue) -> bool:
        """Whether it was opened before all that is wanted."""
        opened = live.issue.created_at
        return self.since is not None and opened is not None and opened < self.since


@dataclass(frozen=True)
class Page:
    """Issues, newest first. `cursor` leads to the next page as long as there is `more`.

    `total` is GitHub's count of what the filter finds, without its bounds on when issues were opened.
    """

    items: tuple[LiveIssue, ...]
    cursor: str
    more: bool
    total: int


@dataclass(frozen=True)
class Events:
    """A stretch of an issue's timeline; `cursor` is where the rest begins, or None."""

    labels: tuple[LabelEvent, ...]
    cursor: str | None
    label_ids: Mapping[str, str]

    def followed_by(self, more: Events) -> Events:
        """Both stretches as one."""
        return Events(self.labels + more.labels, more.cursor, {**self.label_ids, **more.label_ids})


def read_events(timeline: TypedJson) -> Events:
    """Label events from `timelineItems`."""
    items = list(timeline.items("nodes"))
    return Events(
        labels=tuple(map(_event, items)),
        cursor=next_cursor(timeline),
        label_ids=_ids(item.at("label") for item in items),
    )


def read_issue(node: TypedJson, events: Events) -> LiveIssue:
    """An issue from the fields of `queries.ISSUE` and all of its events."""
    issue = Issue(
        repo=node.at("repository").text("nameWithOwner"),
        number=node.number("number"),
        title=node.text("title"),
        body=node.text("body"),
        created_at=node.time("createdAt"),
        kind="pull request" if node.text("__typename") == "PullRequest" else "issue",
        author=read_actor(node.maybe("author")).login,
        labels=tuple(label.text("name") for label in node.at("labels").items("nodes")),
        events=events.labels,
    )
    return LiveIssue(
        issue=issue,
        node_id=node.text("id"),
        state="closed" if node.flag("closed") else "open",
        locked=node.flag("locked"),
        updated_at=node.time("updatedAt"),
        # Of two labels that had the same name one after the other, it carries the later.
        label_ids={**events.label_ids, **_ids(node.at("labels").items("nodes"))},
    )


def read_label(node: TypedJson) -> Label:
    return Label(id=node.text("id"), name=node.text("name"), description=node.words("description"))


def read_actor(node: TypedJson | None) -> Actor:
    """An actor of GraphQL, where an App goes without `[bot]`; a deleted account is GitHub's `ghost`."""
    if node is None:
        return Actor(GHOST, is_bot=False)
    login, is_bot = node.text("login"), node.text("__typename") == "Bot"
    return Actor(login.removesuffix(BOT) + BOT if is_bot else login, is_bot)


def next_cursor(connection: TypedJson) -> str | None:
    """Where the rest of a list begins, or None at its end."""
    info = connection.at("pageInfo")
    return info.text("endCursor") if info.flag("hasNextPage") else None


def _ids(labels: Iterable[TypedJson]) -> dict[str, str]:
    return {label.text("name"): label.text("id") for label in labels}


def _event(node: TypedJson) -> LabelEvent:
    actor = read_actor(node.maybe("actor"))
    return LabelEvent(
        label=node.at("label").text("name"),
        added=node.text("__typename") == "LabeledEvent",
        actor=actor.login,
        actor_is_bot=actor.is_bot,
        at=node.time("createdAt"),
    )
