"""The repository's issues and labels on GitHub, read one by one or in bulk, with their label events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from triage.github import queries
from triage.github.client import Remote
from triage.github.errors import IssueGone, NotFound, Overloaded
from triage.github.typed_json import TypedJson
from triage.github.values import (
    IssueFilter,
    Label,
    LiveIssue,
    Page,
    next_cursor,
    read_events,
    read_issue,
    read_label,
)
from triage.issue import Kind

READ = "`issues: read`"
PAGE = 100
SMALLEST_PAGE = 10


@dataclass(frozen=True)
class IssueCounts:
    """How many labels and items of each kind a repository has, and how many of them have to be read for what
    changed since a moment: GitHub cannot list the changed pull requests, so that is all of them.
    """

    labels: int
    items: Mapping[Kind, int]
    changed: Mapping[Kind, int]


class IssueReader(Remote):
    """Reads issues, pull requests and labels; one request serves a hundred."""

    def labels(self) -> dict[str, Label]:
        """Every label of the repository by its name."""
        found: dict[str, Label] = {}
        after: str | None = ""
        while after is not None:
            page = self._ask(queries.LABELS, "list the labels", READ, after=after or None).at("labels")
            found |= {label.name: label for label in map(read_label, page.items("nodes"))}
            after = next_cursor(page)
        return found

    def issue(self, number: int) -> LiveIssue:
        """An issue or pull request. Raises NotFound, and IssueGone where it was deleted or transferred."""
        doing = f"read issue {number}"
        try:
            found = self._ask(queries.ISSUE, doing, READ, number=number)
        except NotFound as missing:
            self._explain(number, missing)
        return self._live(found.at("issueOrPullRequest"))

    def issues(self, numbers: Iterable[int]) -> Iterator[LiveIssue | NotFound]:
        """Issues one by one, in the order asked for; a failure stands where there is none."""
        for number in numbers:
            try:
                yield self.issue(number)
            except NotFound as missing:
                yield missing

    def counts(self, since: datetime | None = None) -> IssueCounts:
        """How much there is to be read."""
        changed = {"since": since.isoformat()} if since else {}
        found = self._ask(queries.COUNTS, "count the issues", READ, changed=changed)
        names = ("labels", "issues", "pullRequests", "changed")
        labels, issues, pulls, new = (found.at(name).number("totalCount") for name in names)
        return IssueCounts(
            labels,
            items={"issue": issues, "pull request": pulls},
            changed={"issue": new, "pull request": pulls},
        )

    def pages(self, wanted: IssueFilter, after: str | None = None, size: int = PAGE) -> Iterator[Page]:
        """Items of one kind, newest first, from the cursor `after`, `size` a page.

        Newest by opening: that order does not change, so that nothing is skipped or met twice while paging.
        A page that is too much work for GitHub is asked for in smaller ones. Raises Rejected where GitHub does not
        know the cursor.
        """
        while True:
            try:
                found = self._page(wanted, after, size)
            except Overloaded:
                if size <= SMALLEST_PAGE:
                    raise
                size = max(SMALLEST_PAGE, size // 4)
                continue
            lives = [self._live(node) for node in found.items("nodes")]
            more = next_cursor(found) is not None and not any(map(wanted.ends, lives))
            after = found.at("pageInfo").words("endCursor") or after
            items = tuple(live for live in lives if wanted.takes(live))
            yield Page(items, cursor=after or "", more=more, total=found.number("totalCount"))
            if not more:
                return

    def numbers(self, kind: Kind = "issue") -> dict[int, str]:
        """The node id of every item of a kind by its number; no texts, so that it is cheap."""
        document = queries.NUMBERS[kind]
        found: dict[int, str] = {}
        after: str | None = ""
        while after is not None:
            page = self._ask(document, "list the issues' numbers", READ, after=after or None).at("found")
            found |= {node.number("number"): node.text("id") for node in page.items("nodes")}
            after = next_cursor(page)
        return found

    def _page(self, wanted: IssueFilter, after: str | None, size: int) -> TypedJson:
        states = {"open": ["OPEN"], "closed": ["CLOSED"], "all": None}[wanted.state]
        labels, since = list(wanted.labels) or None, wanted.updated_since
        if wanted.kind == "pull request":
            merged = ["CLOSED", "MERGED"] if wanted.state == "closed" else states
            chosen: dict[str, object] = {"states": merged, "labels": labels}
        else:
            terms = {"states": states, "labels": labels, "since": since.isoformat() if since else None}
            chosen = {"filter": {name: value for name, value in terms.items() if value is not None}}
        return self._ask(
            queries.PAGES[wanted.kind], "list issues", READ, first=size, after=after, **chosen
        ).at("found")

    def _live(self, node: TypedJson) -> LiveIssue:
        events = read_events(node.at("timelineItems"))
        while events.cursor is not None:
            variables = {"id": node.text("id"), "after": events.cursor}
            purpose = self._purpose(f"read the events of issue {node.number('number')}", READ)
            found = self._http.graphql(queries.MORE_EVENTS, variables, purpose)
            more = read_events(found.at("node").at("timelineItems"))
            events = events.followed_by(more)
        return read_issue(node, events)

    def _explain(self, number: int, missing: NotFound) -> NoReturn:
        """Raise what became of an issue that GraphQL does not find: REST knows."""
        purpose = self._purpose(f"read issue {number}", READ)
        found = TypedJson(self._http.get(self._path(f"/issues/{number}"), purpose))
        moved_to = found.text("html_url")
        if found.text("repository_url").casefold().endswith(f"/{self.repository.name}".casefold()):
            raise missing
        raise IssueGone(
            f"cannot {purpose.doing}", likely=f"it was transferred to {moved_to}", moved_to=moved_to
        )
