"""Issue types: read and set over REST, since the published GraphQL API has none.

Everywhere else a type is a label whose name begins with `TYPE`; nothing of it reaches the endpoints of labels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triage.errors import AccessError, TriageError
from triage.github.errors import IssueGone, LabelGone, NotFound, Rejected, Unreachable
from triage.github.graphql import DELETED, Account, Label
from triage.github.http import METADATA, READ, WRITE, read, read_list
from triage.issue import TYPE, Issue, LabelEvent, Names, fold, is_type
from triage.schema import nested, part

if TYPE_CHECKING:
    from triage.github.client import Tracker
    from triage.github.graphql import LiveIssue

PAGE = 100
FAR_AHEAD = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class TypeNode:
    id: int
    name: str
    description: str = ""
    is_enabled: bool = True


@dataclass(frozen=True)
class TypeEventNode:
    """An event of an issue; one of its type has the type `before` it, the one `after` it, or both."""

    created_at: datetime
    before: TypeNode | None = nested("prev_issue_type", None)
    after: TypeNode | None = nested("issue_type", None)
    number: int = nested("issue.number", 0)
    actor: Account = DELETED


def types_of(tracker: Tracker) -> dict[str, Label]:
    """The repository's types as labels, by name; none where its owner, or the server, has none."""
    try:
        answer = tracker.rest("GET", "/issue-types", "list the issue types", METADATA)
    except NotFound:
        return {}
    nodes = [node for node in read_list(TypeNode, answer) if node.is_enabled]
    return {f"{TYPE}{n.name}": Label(str(n.id), f"{TYPE}{n.name}", n.description) for n in nodes}


def type_of(tracker: Tracker, number: int) -> str:
    """The name of the issue's type, or empty."""
    answer = tracker.rest("GET", f"/issues/{number}", f"read issue {number}", READ)
    return read(str, answer, "type.name") if part(answer, "type") else ""


def set_type(tracker: Tracker, number: int, label: str) -> TriageError | None:
    """Set the type of an issue, or remove it (""); returns the failure where it concerns this issue alone."""
    name, doing = label[len(TYPE) :], f"set the type of issue {number}"
    try:
        answer = tracker.rest("PATCH", f"/issues/{number}", doing, WRITE, body={"type": name or None})
    except Unreachable:
        raise
    except Rejected as rejected:
        return LabelGone(rejected.what, likely="the issue type was renamed, deleted or switched off")
    except NotFound as missing:
        return IssueGone(missing.what, likely=missing.likely)
    except AccessError as refused:
        return refused
    if fold(str(part(answer, "type.name") or "")) == fold(name):
        return None
    return AccessError(
        f"cannot {doing} in {tracker.repo}: GitHub left it as it is",
        likely="the token has no write access to the repository; GitHub then ignores types without an error",
        next_step="use the workflow's own token with `issues: write`, an App's, or that of a person with write access",
    )


def events_of(tracker: Tracker, number: int) -> list[TypeEventNode]:
    """The events of an issue's type, oldest first."""
    nodes, page = list[TypeEventNode](), 1
    while len(found := _page(tracker, f"/issues/{number}/events", page)) == PAGE:
        nodes += found
        page += 1
    return [node for node in (*nodes, *found) if node.before or node.after]


def _page(tracker: Tracker, path: str, page: int) -> Sequence[TypeEventNode]:
    query = {"per_page": str(PAGE), "page": str(page)}
    answer = tracker.rest("GET", path, "read the history of issue types", READ, query=query)
    return read_list(TypeEventNode, answer)


class TypeHistory:
    """The events of the types of all issues, from the repository's list of events, newest first.

    It is read as far back as is needed, and as GitHub shows it.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker, self._page, self._done = tracker, 1, False
        self._reached = FAR_AHEAD
        self._by_number: defaultdict[int, dict[TypeEventNode, None]] = defaultdict(dict)

    def read(self, issues: Sequence[Issue], since: datetime | None = None) -> None:
        """Read what happened to these issues, or of that what happened since a moment."""
        opened = min((issue.created_at for issue in issues if issue.created_at), default=self._reached)
        while not self._done and self._reached >= max(opened, since or opened):
            try:
                nodes = _page(self._tracker, "/issues/events", self._page)
            except Rejected:
                # Beyond what GitHub shows of a long list.
                if self._page == 1:
                    raise
                nodes = ()
            for node in nodes:
                if node.before or node.after:
                    # New events move others to the next page, where they are met again.
                    self._by_number[node.number].setdefault(node)
            self._page, self._done = self._page + 1, len(nodes) < PAGE
            self._reached = nodes[-1].created_at if nodes else self._reached

    def of(self, number: int) -> list[TypeEventNode]:
        """The events of the issue that were read, oldest first."""
        return list(self._by_number.get(number, ()))[::-1]


def typed(
    issue: Issue, nodes: Sequence[TypeEventNode], names: Mapping[str, str], now: str = ""
) -> tuple[Issue, dict[str, str]]:
    """(the issue with its type as a label, and the history of it; the ids of its types by these labels).

    `names` are the present labels of the repository's types by their ids. Where there are no events, `now` is the name
    of the type. Labels that look like a type are left out.
    """
    events, ids = [event for event in issue.events or () if not is_type(event.label)], dict[str, str]()
    current, here = f"{TYPE}{now}" if now else "", dict(names)
    for node in nodes:
        for kind, added in ((node.before, False), (node.after, True)):
            if kind is None:
                continue
            label = here.setdefault(str(kind.id), f"{TYPE}{kind.name}")
            events.append(LabelEvent(label, added, node.actor.name, node.actor.is_bot, node.created_at))
            ids[label], current = str(kind.id), label if added else ""
    labels = [name for name in issue.labels if not is_type(name)]
    events.sort(key=lambda event: event.at)
    return replace(issue, labels=(*labels, *filter(None, [current])), events=tuple(events)), ids


def live_typed(
    live: LiveIssue, nodes: Sequence[TypeEventNode], names: Mapping[str, str], now: str = ""
) -> LiveIssue:
    """See `typed`."""
    issue, ids = typed(live.issue, nodes, names, now)
    return replace(live, issue=issue, label_ids=Names({**live.label_ids, **ids}))


def with_types(tracker: Tracker, issues: Sequence[Issue], names: Mapping[str, str]) -> list[Issue]:
    """The issues with their types, as far as events tell of them; `names` as in `typed`."""
    history = TypeHistory(tracker)
    history.read(issues)
    return [
        typed(issue, history.of(issue.number), names)[0] if issue.kind == "issue" else issue
        for issue in issues
    ]
