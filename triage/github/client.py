"""Connections to GitHub with one token: its accounts and repositories, and the issues and labels of a repository.

Every failure is a TriageError. Labels are added by id; the set of labels is never replaced.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from itertools import chain, islice
from typing import TypeVar, Unpack, cast
from urllib.parse import quote

from triage.comment import merged, parts_of
from triage.console import warning
from triage.errors import DataError, TriageError, UsageError
from triage.github import graphql, issue_types
from triage.github.comments import unite
from triage.github.errors import (
    IssueGone,
    LabelGone,
    NotFound,
    Overloaded,
    RateLimited,
    Rejected,
    Unreachable,
    UnusableAnswer,
)
from triage.github.graphql import (
    BOT,
    Actor,
    IssueCounts,
    IssueFilter,
    Label,
    LiveIssue,
    Operation,
    Page,
    Repository,
    RepositoryInfo,
    Tip,
)
from triage.github.http import (
    API_URL,
    METADATA,
    READ,
    WRITE,
    Body,
    ConnectionSettings,
    Http,
    Purpose,
    Query,
    read,
    read_content,
    read_list,
)
from triage.issue import CATEGORY, MOST_ISSUES, Kind, Names, RepositoryIds, fold
from triage.patterns import NAME
from triage.schema import part

T = TypeVar("T")
PAGE = 100
# Issues that are read, or changed, in one request.
TOGETHER = 20
SMALLEST_PAGE = 10
# GitHub lists no more of a pull request.
ALL_FILES = 3_000
VERSION = re.compile(r"\d{1,4}(\.\d{1,6}){1,3}")
# What a change is called in messages, the chief one first.
CHANGING = {
    "AddLabels": "add labels",
    "RemoveLabels": "remove labels",
    "MoveDiscussion": "move discussions",
    "AddComment": "write a comment",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelSuggestion:
    """A label for a person to accept; `confidence` is "low", "medium" or "high", `rationale` a sentence."""

    name: str
    confidence: str
    rationale: str


class Connection(Http):
    """GitHub as the token's owner sees it."""

    def viewer(self) -> Actor:
        """The token's owner: a person, or an App such as `github-actions[bot]` for a workflow's own token."""
        return _viewer(self.graphql("Viewer", {}, "find out whose the token is", ""))

    def enterprise_version(self) -> str:
        """The version of GitHub Enterprise Server, such as "3.19.0"; "" for github.com and its like."""
        if self._api_url == API_URL:
            return ""
        try:
            answer = self._send("GET", f"{self._api_url}/meta", Purpose("find out the server's version"))
        except NotFound:
            return ""
        version = part(answer, "installed_version")
        return version if isinstance(version, str) and VERSION.fullmatch(version) else ""

    def repositories_of(self, owner: str) -> list[RepositoryInfo]:
        """All repositories of a person or organisation that the token can see, by name. Raises NotFound."""
        doing = f"list the repositories of {owner}"
        missing = NotFound(
            f"cannot {doing}: there is no such person or organisation",
            likely="the owner is misspelt or was renamed",
        )
        path, variables = "data.owner.repositories", {"login": owner}
        purpose = Purpose(doing, METADATA)
        infos = self.nodes(RepositoryInfo, path, "Repositories", variables, purpose, missing)
        return [replace(info, visibility=info.visibility.lower()) for info in infos]

    def nodes(
        self,
        shape: type[T],
        path: str,
        operation: str,
        variables: Mapping[str, object],
        purpose: Purpose,
        missing: NotFound | None = None,
        answered: Callable[[object], None] = lambda _: None,
        first: object = None,
    ) -> Iterator[T]:
        """All nodes of the connection at `path`, page by page; raises `missing` if there is no connection.

        `answered` gets each answer. `first` is an answer with the first page, where there is one already.
        """
        after: str | None = None
        while True:
            asked = {**variables, "after": after}
            answer, first = first or self.graphql(operation, asked, purpose.doing, purpose.needs), None
            if missing and part(answer, path) is None:
                raise missing
            answered(answer)
            yield from read_list(shape, answer, f"{path}.nodes")
            info = read(graphql.PageInfo, answer, f"{path}.info")
            if not info.more:
                return
            after = _next(info, after)


def _viewer(answer: object) -> Actor:
    # In GraphQL every viewer is a User; only the login reveals an App.
    login = read(str, answer, "data.viewer.login")
    return Actor(login, is_bot=login.endswith(BOT))


def _repository(answer: object) -> Repository:
    repository = read(Repository, answer, "data.repository")
    return replace(repository, visibility=repository.visibility.lower())


@dataclass(frozen=True)
class Opening:
    """What a run begins with: the files in which the configuration may be, the store's ref, and one issue."""

    files: tuple[str, str]
    ref: str = ""
    issue: int | None = None
    edits: bool = False


@dataclass(frozen=True)
class IssueChange:
    """What to change on an issue: labels to add and to remove, by id, and the text of a new comment.

    `type` is the label of its new type, or empty to remove it; None: it stays. Only this needs the issue's `number`.
    `category` is the id of a discussion's new category (empty: it stays).
    """

    node_id: str
    kind: Kind = "issue"
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    comment: str = ""
    number: int = 0
    type: str | None = None
    category: str = ""

    def operations(self) -> list[Operation]:
        """The mutations; one that adds or removes no labels is none."""
        adding, issue = [list(self.add)] * bool(self.add), self.node_id
        moving = [self.category] * bool(self.category)
        return [
            *(Operation("AddLabels", {"issue": issue, "labels": labels}) for labels in adding),
            # Each by itself, since one that was deleted fails.
            *(Operation("RemoveLabels", {"issue": issue, "labels": [label]}) for label in self.remove),
            *(Operation("MoveDiscussion", {"issue": issue, "category": category}) for category in moving),
            *(Operation("AddComment", {"issue": issue, "body": text}) for text in [self.comment] if text),
        ]


class Tracker(Connection):
    """The issues, pull requests and labels of one repository.

    `repo` is OWNER/NAME as given; `repository` has its present name. Pull requests are read with `most_files` of the
    paths that they change, or some more. `with_discussions`: a number that no issue has may be that of a discussion.
    `with_types`: the types of issues are read, as labels; `types_told` are those that an event told, by the numbers of
    issues. `with_categories`: those of discussions are read, as labels. `bots` are patterns of other logins under which
    this bot comments. Raises UsageError for an invalid name, and what `Connection` raises.
    """

    # What `open` has read, by what it is; each is taken once, since it may have changed by the second time.
    _opened: dict[object, object]
    most_files = 0
    with_discussions = False
    with_types = False
    with_categories = False
    bots: Sequence[str] = ()

    def __init__(self, repo: str, token: str, **settings: Unpack[ConnectionSettings]) -> None:
        if not NAME.fullmatch(repo):
            raise UsageError(
                f"{repo!r} is not of the form OWNER/NAME",
                next_step="write the owner and the name, as in octo/demo",
            )
        super().__init__(token, **settings)
        self.repo, self._opened = repo, {}
        self.types_told: dict[int, str] = {}
        self._type_names: dict[str, str] = {}
        # Of the labels as they were read last.
        self._label_ids: dict[str, str] = {}

    def open(self, opening: Opening) -> None:
        """Read what a run begins with in one request: each part is then taken from it once.

        What GitHub refuses, or does not know, is left for the part's own request, which has the better reason.
        Raises RateLimited and Unreachable.
        """
        variables = {
            **self.owner_and_name,
            "config": f"HEAD:{opening.files[0]}",
            "other": f"HEAD:{opening.files[1]}",
            "stored": bool(opening.ref),
            "active": opening.ref,
            "one": opening.issue is not None,
            "number": opening.issue or 0,
            "edits": opening.edits,
        }
        doing = f"open {self.repo}"
        try:
            # It is not sent again: the parts' own requests are.
            answer = self.graphql("Opening", variables, doing, READ, repeatable=False)
            self._opened = dict(_parts(answer, opening))
            self.__dict__.setdefault("repository", _repository(answer))
        except (RateLimited, Unreachable):
            raise
        except TriageError as error:
            log.info("each part is requested by itself: %s", error.what)
            self._opened = {}

    def viewer(self) -> Actor:
        answer = self._opened.pop("viewer", None)
        return super().viewer() if answer is None else _viewer(answer)

    def tip(self, ref: str) -> Tip | None:
        """The commit that a ref points to, where `open` has read it; None where that is not known."""
        node = self._opened.pop(ref, None)
        return None if node is None else read(Tip, node)

    def rest(
        self, verb: str, path: str, doing: str, needs: str, *, query: Query = None, body: Body = None
    ) -> object:
        """The decoded JSON of a REST request below `/repos/OWNER/NAME`; `path` is percent-encoded.

        It may be sent twice when its response is lost.
        """
        # A redirect from a former name would lose the query, so the present name is used.
        url = f"{self._api_url}/repos/{self.repository.name}{path}"
        return self._send(verb, url, Purpose(f"{doing} in {self.repo}", needs), query, body)

    @cached_property
    def repository(self) -> Repository:
        """Requested once. Raises NotFound if it does not exist or the token cannot see it."""
        return _repository(self.graphql("Repository", self.owner_and_name, f"find {self.repo}", METADATA))

    def read_file(self, path: str) -> str | None:
        """A text file of the default branch, or None if there is none."""
        if (path, "text") in self._opened:
            return cast("str | None", self._opened.pop((path, "text")))
        # Outside `try`, since a missing repository is an error.
        where = f"{path} of {self.repository.name}"
        try:
            answer = self.rest("GET", f"/contents/{quote(path)}", f"read {path}", "`contents: read`")
        except NotFound:
            return None
        if part(answer, "encoding") != "base64":
            raise DataError(f"{where} is not a file below 1 MB")
        try:
            return read_content(answer).decode()
        except UnicodeDecodeError:
            raise DataError(f"{where} is not UTF-8 text") from None

    def labels(self) -> Names[Label]:
        """Every label of the repository by its name, and the types and categories that are read; says if none."""
        path, purpose = "data.repository.labels", Purpose(f"list the labels in {self.repo}", READ)
        names, first = self.owner_and_name, self._opened.pop("labels", None)
        nodes = self.nodes(Label, path, "Labels", names, purpose, answered=self._answered, first=first)
        labels = {label.name: label for label in nodes}
        self._label_ids = {name: label.id for name, label in labels.items()}
        types = self._types() if self.with_types else {}
        return Names({**labels, **types, **(self._categories() if self.with_categories else {})})

    def _types(self) -> dict[str, Label]:
        types = issue_types.types_of(self)
        self._type_names = {label.id: name for name, label in types.items()}
        if not types:
            self.with_types = False
            warning(
                f"no issue types are set: {self.repo} has none (act.types). An organisation defines them, and older "
                "versions of GitHub Enterprise Server do not list them"
            )
        return types

    def _categories(self) -> dict[str, Label]:
        doing, nodes = f"list the categories of discussions in {self.repo}", tuple[Label, ...]()
        # A server without discussions does not know the field.
        with suppress(Rejected):
            answer = self.graphql("Categories", self.owner_and_name, doing, "`discussions: read`")
            nodes = read_list(Label, answer, "data.repository.categories.nodes")
        if not nodes:
            self.with_categories = False
            warning(f"no discussion is moved: {self.repo} has no categories of discussions (act.categories)")
        named = [replace(node, name=f"{CATEGORY}{node.name}") for node in nodes]
        return {category.name: category for category in named}

    def _answered(self, answer: object) -> None:
        """Keep what another answer says of the repository, which then is not requested."""
        with suppress(UnusableAnswer):
            self.__dict__.setdefault("repository", _repository(answer))

    def ids(self, labels: Mapping[str, Label]) -> RepositoryIds:
        """The repository and these labels of it as they are called now, with their ids."""
        ids = {name: label.id for name, label in labels.items()}
        return RepositoryIds(self.repository.name, self.repository.node_id, ids)

    def issue(self, number: int, *, edits: bool = False) -> LiveIssue:
        """An issue or pull request; with `edits`, its edits have the text before.

        Raises NotFound, or IssueGone if it was deleted or transferred.
        """
        (live,) = self.issues([number], edits=edits)
        if isinstance(live, NotFound):
            raise live
        return live

    def issues(
        self,
        numbers: Iterable[int],
        *,
        edits: bool = False,
        answers: bool = False,
        typed: Collection[int] | None = None,
    ) -> Iterator[LiveIssue | NotFound]:
        """Issues in the given order, as `issue`, TOGETHER in a request; the failure in place of one that is not there.

        Too many for GitHub at once are requested one by one. `answers` as in `IssueFilter`. Of those in `typed` (None:
        all) types are read, which takes one or two requests for each.
        """
        rest = iter(numbers)
        while batch := list(islice(rest, TOGETHER)):
            try:
                found = self._issues(batch, edits=edits, answers=answers)
            except Overloaded:
                if len(batch) == 1:
                    raise
                alone = (self._issues([number], edits=edits, answers=answers) for number in batch)
                found = list(chain.from_iterable(alone))
            for number, live in zip(batch, found, strict=True):
                is_wanted = self.with_types and (typed is None or number in typed)
                yield self._typed(live) if is_wanted and isinstance(live, LiveIssue) else live

    def _typed(self, live: LiveIssue) -> LiveIssue:
        """The issue with its type, by its events; one without any may have come with it."""
        number, told = live.issue.number, self.types_told.pop(live.issue.number, None)
        if live.issue.kind != "issue":
            return live
        nodes = issue_types.events_of(self, number)
        if told is None and not nodes:
            told = issue_types.type_of(self, number)
        return issue_types.live_typed(live, nodes, self._type_names, told or "")

    def _issues(self, numbers: Sequence[int], *, edits: bool, answers: bool) -> list[LiveIssue | NotFound]:
        if len(numbers) == 1 and (opened := self._opened.pop((numbers[0], edits), None)) is not None:
            return [self._with_events(read(graphql.IssueNode, opened), answers=answers)]
        there = [number for number in numbers if number <= MOST_ISSUES]
        doing = f"read issue {there[0]}" if len(there) == 1 else "read issues"
        variables = {**self.owner_and_name, "edits": edits, "files": self.most_files > 0}
        operations = [Operation("Issue", {**variables, "number": number}) for number in there]
        nodes = self.graphql_together(operations, f"{doing} in {self.repo}", READ) if there else []
        if self.with_discussions:
            nodes = self._or_discussions(there, nodes, edits=edits)
        found = {n: self._live(n, node, answers) for n, node in zip(there, nodes, strict=True)}
        return [found[number] if number in found else self._beyond(number) for number in numbers]

    def _or_discussions(
        self, numbers: Sequence[int], answers: Sequence[object], *, edits: bool
    ) -> list[object]:
        """The answers, with discussions in place of the issues that are not there; they share their numbers.

        A server without discussions has none.
        """
        missing = [n for n, answer in zip(numbers, answers, strict=True) if isinstance(answer, NotFound)]
        variables = {**self.owner_and_name, "edits": edits}
        operations = [Operation("Discussion", {**variables, "number": number}) for number in missing]
        doing, needs = f"read discussions in {self.repo}", "`discussions: read`"
        try:
            asked = self.graphql_together(operations, doing, needs) if operations else []
        except Rejected:
            return list(answers)
        found = {n: a for n, a in zip(missing, asked, strict=True) if not isinstance(a, NotFound | Rejected)}
        return [found.get(n, answer) for n, answer in zip(numbers, answers, strict=True)]

    def _live(self, number: int, answer: object, answers: bool) -> LiveIssue | NotFound:
        """The issue of an answer. Raises any failure but that there is no such issue."""
        if isinstance(answer, NotFound):
            return self._reason(number, answer)
        if isinstance(answer, TriageError):
            raise answer
        place = "discussion" if part(answer, "discussion") else "issueOrPullRequest"
        return self._with_events(read(graphql.IssueNode, answer, place), answers=answers)

    def _beyond(self, number: int) -> NotFound:
        return NotFound(
            f"cannot read issue {number} in {self.repo}: there is none",
            likely=f"GitHub's numbers end at {MOST_ISSUES:,}",
            next_step="check the number",
        )

    def counts(self, since: datetime | None = None) -> IssueCounts:
        """How much there is to read, in all and of what changed `since`."""
        changed = {"since": since.isoformat()} if since else {}
        answer = self._ask("Counts", "count the issues", changed=changed)
        labels, issues, pulls, new = (
            _count(answer, f"data.repository.{name}.total")
            for name in ("labels", "issues", "pulls", "changed")
        )
        return IssueCounts(
            labels,
            items={"issue": issues, "pull request": pulls},
            changed={"issue": new, "pull request": pulls},
        )

    def answered(self, since: datetime) -> Iterator[graphql.AnsweredNode]:
        """The issues that changed since a moment, with the first comments on each."""
        variables = {**self.owner_and_name, "first": PAGE, "filter": {"since": since.isoformat()}}
        path, purpose = "data.repository.page", Purpose(f"read who answered issues in {self.repo}", READ)
        return self.nodes(graphql.AnsweredNode, path, "AnsweredIssues", variables, purpose)

    def numbers(self, kind: Kind = "issue") -> dict[int, str]:
        """The node ids of all items of a kind by number; without texts, so that it is cheap."""
        path, purpose = "data.repository.page", Purpose(f"list the issues' numbers in {self.repo}", READ)
        nodes = self.nodes(graphql.NumberNode, path, graphql.NUMBERS[kind], self.owner_and_name, purpose)
        return {node.number: node.id for node in nodes}

    def pages(self, wanted: IssueFilter, after: str | None = None, size: int = PAGE) -> Iterator[Page]:
        """The wanted items, `size` a page, from the cursor `after` on.

        The newest come first, by when they were opened: this order never changes, so that no item is skipped or
        repeated between pages. A page that is too much work for GitHub is requested again in smaller ones. Types are
        known only where an event tells of them. Raises Rejected for a cursor that GitHub does not know.
        """
        history = issue_types.TypeHistory(self) if self.with_types and wanted.kind == "issue" else None
        while True:
            try:
                answer = self._page(wanted, after, size)
            except Overloaded:
                if size <= SMALLEST_PAGE:
                    raise
                size = max(SMALLEST_PAGE, size // 4)
                continue
            nodes = read_list(graphql.IssueNode, answer, "data.repository.page.nodes")
            info = read(graphql.PageInfo, answer, "data.repository.page.info")
            total = _count(answer, "data.repository.page.total")
            oldest = min((node.created_at for node in nodes), default=None)
            more = info.more and not (wanted.since and oldest and oldest < wanted.since)
            after = _next(info, after) if more else info.cursor or after
            items = tuple(
                self._with_events(node, answers=wanted.answers) for node in wanted.within_dates(nodes)
            )
            if history:
                history.read([live.issue for live in items], wanted.updated_since)
                items = tuple(
                    issue_types.live_typed(live, history.of(live.issue.number), self._type_names)
                    for live in items
                )
            yield Page(items, cursor=after or "", more=more, total=total)
            if not more:
                return

    def change(self, changes: Sequence[IssueChange]) -> list[TriageError | None]:
        """Change at most TOGETHER issues in one request; for each the failure, if it was not changed in all.

        A failure is IssueGone, LabelGone for a label to add, or what else GitHub refuses. A label that was deleted is
        removed already. Raises what fails for all of them; then the same changes but for comments may be sent again.
        A type takes a request of its own, after the others.
        """
        failures = self._change_labels(changes)
        for i, change in enumerate(changes):
            if change.type is not None and failures[i] is None:
                failures[i] = issue_types.set_type(self, change.number, change.type)
        return failures

    def _change_labels(self, changes: Sequence[IssueChange]) -> list[TriageError | None]:
        steps = [(i, operation) for i, change in enumerate(changes) for operation in change.operations()]
        if not steps:
            return [None] * len(changes)
        names = {step.name for _, step in steps}
        doing = f"{next(what for name, what in CHANGING.items() if name in names)} in {self.repo}"
        repeatable = not any(change.comment for change in changes)
        needs = "`discussions: write`" if {change.kind for change in changes} == {"discussion"} else WRITE
        try:
            outcomes = self.graphql_together([step for _, step in steps], doing, needs, repeatable)
        except (Rejected, Overloaded) as error:
            if len(changes) == 1 and isinstance(error, Rejected):
                return [error]
            # Without words about each, and where it is too much work for GitHub at once, each is sent alone.
            if len(changes) == 1 or not repeatable:
                raise
            return [failure for change in changes for failure in self._change_labels([change])]
        failures: list[TriageError | None] = [None] * len(changes)
        for (i, operation), outcome in zip(steps, outcomes, strict=True):
            if isinstance(outcome, TriageError):
                failures[i] = failures[i] or _refusal(outcome, operation)
            elif operation.name == "AddComment":
                parts = parts_of(changes[i].comment)
                try:
                    unite(self, outcome, partial(merged, new=parts))
                except TriageError as error:
                    failures[i] = failures[i] or error
        return failures

    def create_label(self, name: str, color: str, description: str) -> Label:
        """A new label, `color` as six hexadecimal digits; an existing label of that name is returned unchanged."""
        body = {"name": name, "color": color, "description": description}
        try:
            created = self.rest("POST", "/labels", "create a label", WRITE, body=body)
        except Rejected:
            if (existing := self.labels().get(name)) is None:
                raise
            return existing
        return Label(read(str, created, "node_id"), read(str, created, "name"), description, color)

    def suggest_labels(self, number: int, suggestions: Sequence[LabelSuggestion]) -> tuple[str, ...]:
        """Suggest labels that the repository has; returns the names of those that the issue has now.

        The request adds to the issue's labels and replaces none, so that none is passed along. A server that does not
        know suggestions would set the labels: ask for `enterprise_version` before, and look at the names after.
        """
        listed = [dict(asdict(suggestion), suggest=True) for suggestion in suggestions]
        path, doing = f"/issues/{number}/labels", "suggest labels"
        answer = self.rest("POST", path, doing, WRITE, body={"labels": listed})
        return read_list(str, answer, "*.name")

    @property
    def owner_and_name(self) -> dict[str, str]:
        """The repository as the variables of a query."""
        owner, _, name = self.repo.partition("/")
        return {"owner": owner, "name": name}

    def _ask(self, operation: str, doing: str, **variables: object) -> object:
        """The answer to a query about the repository."""
        return self.graphql(operation, {**self.owner_and_name, **variables}, f"{doing} in {self.repo}", READ)

    def _page(self, wanted: IssueFilter, after: str | None, size: int) -> object:
        states = {"open": ["OPEN"], "closed": ["CLOSED"], "all": None}[wanted.state]
        labels, since = list(wanted.labels) or None, wanted.updated_since
        if wanted.kind == "pull request":
            merged = ["CLOSED", "MERGED"] if wanted.state == "closed" else states
            terms: dict[str, object] = {"states": merged, "labels": labels, "files": self.most_files > 0}
            terms["texts"] = wanted.answers or wanted.comments
        elif wanted.kind == "discussion":
            # GitHub cannot list them by label or change.
            terms = {"states": states}
        else:
            bounds = {"states": states, "labels": labels, "since": since.isoformat() if since else None}
            terms = {"filter": {name: value for name, value in bounds.items() if value is not None}}
            terms["texts"] = wanted.answers or wanted.comments
        return self._ask(graphql.PAGES[wanted.kind], "list issues", first=size, after=after, **terms)

    def _with_events(self, node: graphql.IssueNode, *, answers: bool = False) -> LiveIssue:
        events, timeline = list(node.timeline.nodes), node.timeline
        after: str | None = None
        while timeline.info.more:
            after = _next(timeline.info, after)
            variables = {"id": node.id, "after": after}
            doing = f"read the events of issue {node.number} in {self.repo}"
            answer = self.graphql("MoreEvents", variables, doing, READ)
            timeline = read(graphql.Timeline, answer, "data.node.timeline")
            events += timeline.nodes
        return graphql.issue_of(
            node,
            events,
            self._files(node),
            categories=self.with_categories,
            answers=answers,
            bots=self.bots,
            label_ids=self._label_ids,
        )

    def _files(self, node: graphql.IssueNode) -> list[graphql.FileNode] | None:
        """The wanted files of those that a pull request changes; `open` reads the first in any case."""
        if node.files is None or not self.most_files:
            return None
        files, info = list(node.files.nodes), node.files.info
        after: str | None = None
        while info.more and len(files) < self.most_files:
            after = _next(info, after)
            doing = f"read the files of pull request {node.number} in {self.repo}"
            answer = self.graphql("MoreFiles", {"id": node.id, "after": after}, doing, READ)
            page = read(graphql.ChangedFiles, answer, "data.node.files")
            files, info = files + list(page.nodes), page.info
        return files

    def _reason(self, number: int, missing: NotFound) -> NotFound:
        """Why GraphQL has no such issue: REST says whether it was deleted or transferred."""
        try:
            issue = self.rest("GET", f"/issues/{number}", f"read issue {number}", READ)
        except NotFound as reason:
            return reason
        if fold(read(str, issue, "repository_url")).endswith(fold(f"/{self.repository.name}")):
            return missing
        url = read(str, issue, "html_url")
        return IssueGone(f"cannot read issue {number} in {self.repo}", likely=f"it was transferred to {url}")


def _refusal(failure: TriageError, operation: Operation) -> TriageError | None:
    """Why a change was not made; None where it needs not be made any more."""
    if not isinstance(failure, NotFound):
        return failure
    given = operation.variables
    labels = given.get("labels") or [given.get("category")]
    if isinstance(labels, list) and any(f"'{label}'" in failure.what for label in labels):
        gone = LabelGone(failure.what, likely="a label, or a category of discussions, was deleted")
        return None if operation.name == "RemoveLabels" else gone
    return IssueGone(failure.what, likely="the issue was deleted or transferred")


def _parts(answer: object, opening: Opening) -> Iterator[tuple[object, object]]:
    """(what it is, the answer or the part of it) for everything in the answer to an opening that can be relied on."""
    yield "viewer", answer
    yield "labels", answer
    opened = read(graphql.OpeningNode, answer, "data.repository")
    if opened.issue:
        yield (opening.issue, opening.edits), opened.issue
    # Without the permission, or before the first commit, nothing follows from what is not there.
    if opened.head is None:
        return
    for path, file in zip(opening.files, (opened.config, opened.other), strict=True):
        # REST knows more: it follows a link, whose text is a path, and gives the reasons for which a file has no text.
        if file is None or (file.text is not None and ":" in file.text and file.truncated is False):
            yield (path, "text"), file and file.text
    if opened.tree:
        yield opening.ref, opened.active


def _next(info: graphql.PageInfo, after: str | None) -> str:
    """The cursor of the next page. Raises DataError where it leads back to the same one."""
    if info.cursor in {"", after}:
        raise UnusableAnswer("GitHub's answer has a page that is followed by itself")
    return info.cursor


def _count(answer: object, path: str) -> int:
    """A number of issues or labels."""
    total = read(int, answer, path)
    if not 0 <= total <= MOST_ISSUES:
        raise UnusableAnswer(
            f"GitHub's answer is not as expected: in {path!r}: expected a count, found {total}"
        )
    return total
