"""The documents of documents.graphql, and the values that their answers are read into."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from triage.comment import answers_in, is_own, under_present_names
from triage.issue import (
    CATEGORY,
    MOST_ISSUES,
    Act,
    ActKind,
    Issue,
    Kind,
    LabelEvent,
    Names,
    TextBeforeEdit,
    TextEdit,
    fold,
    handlers,
    is_category,
    matches,
)
from triage.schema import nested

State = Literal["open", "closed"]
# The login of deleted accounts.
GHOST = "ghost"
# The end of an App's login in REST, in events and on the website; GraphQL leaves it out.
BOT = "[bot]"
# The operations that list the items of a kind, with or without their texts.
PAGES: Mapping[Kind, str] = {"issue": "Issues", "pull request": "PullRequests", "discussion": "Discussions"}
# Discussions are not learnt, so that their numbers are not needed.
NUMBERS: Mapping[Kind, str] = {"issue": "IssueNumbers", "pull request": "PullRequestNumbers"}
# GitHub counts 1 + 100 requests for each list within a page of 100, and one point for 100 requests: labels and label
# events, and of issues what people did with them.
PAGE_POINTS: Mapping[Kind, int] = {"issue": 3, "pull request": 3, "discussion": 1}
# Answers to suggestions are read with what people did with an issue; for pull requests that is a list of its own.
ANSWERS_POINTS: Mapping[Kind, int] = {"issue": 0, "pull request": 1, "discussion": 0}
TYPES: Mapping[str, Kind] = {"Issue": "issue", "PullRequest": "pull request", "Discussion": "discussion"}

# In a list, GitHub is asked for so many.
MOST_ACTS = 30
# The types of the nodes in `acts`.
ACTS: Mapping[str, ActKind] = {
    "IssueComment": "commented",
    "ClosedEvent": "closed",
    "AssignedEvent": "assigned",
    "MilestonedEvent": "milestoned",
    "RenamedTitleEvent": "renamed",
}


@dataclass(frozen=True)
class Actor:
    """An account; an App's login ends in `[bot]`."""

    login: str
    is_bot: bool


@dataclass(frozen=True)
class Label:
    """A label of the repository; its GraphQL `id` does not change when it is renamed."""

    id: str
    name: str
    description: str = ""
    color: str = ""


@dataclass(frozen=True)
class Repository:
    """`visibility` is "public", "internal" or "private"; `default_branch` is empty before the first commit."""

    name: str
    node_id: str
    visibility: str
    default_branch: str = nested("branch.name", "")


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository in its owner's list; `visibility` as in `Repository`."""

    name: str
    visibility: str
    is_fork: bool
    has_issues: bool


@dataclass(frozen=True)
class LiveIssue:
    """An issue, pull request or discussion as it is on GitHub now; `issue.events` is never None, oldest first.

    Of a discussion GitHub tells no events.

    `label_ids` maps the names of its labels, and of those in its events, to ids, by the names of when it was read.
    `comment` is the text of the bot's comment on it, empty where there is none; None where that is not known.
    """

    issue: Issue
    node_id: str
    state: State
    locked: bool
    updated_at: datetime
    label_ids: Mapping[str, str] = field(default_factory=lambda: Names({}), compare=False, repr=False)
    comment: str | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class TreeEntry:
    """A line of a tree; `type` is "blob" or "tree"."""

    path: str
    type: str
    sha: str
    size: int = 0


@dataclass(frozen=True)
class Tip:
    """The commit that a ref points to, and the lines of its tree, without those of folders within."""

    sha: str
    message: str
    tree: str = nested("tree.sha")
    entries: tuple[TreeEntry, ...] = nested("tree.entries")


@dataclass(frozen=True)
class IssueFilter:
    """The items to list: all of one `kind`, opened from `since` up to but not including `until`, changed since
    `updated_since`, with at least one of the `labels` by name.

    With `answers`, the label events tell what people answered to suggestions; with `comments`, the bot's comment is
    read. Both take the texts of comments.
    """

    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    kind: Kind = "issue"
    answers: bool = False
    comments: bool = False

    def within_dates(self, nodes: Iterable[IssueNode]) -> list[IssueNode]:
        """The issues within the bounds in time."""
        return [
            node
            for node in nodes
            if not (
                (self.until and node.created_at >= self.until)
                or (self.since and node.created_at < self.since)
                or (self.updated_since and node.updated_at < self.updated_since)
            )
        ]


@dataclass(frozen=True)
class Page:
    """Issues, newest first. `cursor` leads to the next page if there is `more`.

    `total` is GitHub's count of what the filter matches, without its bounds on when issues were opened.
    """

    items: tuple[LiveIssue, ...]
    cursor: str
    more: bool
    total: int


@dataclass(frozen=True)
class IssueCounts:
    """The number of labels, of items of each kind, and of items changed since a moment.

    GitHub cannot list pull requests by change, so `changed` counts all of them.
    """

    labels: int
    items: Mapping[Kind, int]
    changed: Mapping[Kind, int]


@dataclass(frozen=True)
class Operation:
    """An operation of documents.graphql that has variables and one root field, with values for the variables."""

    name: str
    variables: Mapping[str, object]


@functools.cache
def document(operation: str) -> str:
    """The operation of documents.graphql with that name, and the fragments that it uses."""
    text = _definitions()[operation]
    return "\n\n".join([text, *_fragments(text)])


def document_of(operations: Sequence[Operation]) -> tuple[str, dict[str, object]]:
    """(document, variables) of several operations of one kind; their root fields are called by `aliases`."""
    declared, fields, variables = list[str](), list[str](), dict[str, object]()
    kinds = set[str]()
    for alias, operation in zip(aliases(operations), operations, strict=True):
        kind, *texts = _parts(operation.name)
        kinds.add(kind)
        one, field = (re.sub(r"\$(\w+)", rf"${alias}_\1", text) for text in texts)
        declared.append(one.strip())
        fields.append(f"  {alias}: {field}")
        variables |= {f"{alias}_{name}": value for name, value in operation.variables.items()}
    (kind,) = kinds
    text = "\n".join([f"{kind} Together({', '.join(declared)}) {{", *fields, "}"])
    return "\n\n".join([text, *_fragments(text)]), variables


def aliases(operations: Sequence[Operation]) -> list[str]:
    """The names of the operations' root fields in one document."""
    return [f"a{i}" for i in range(len(operations))]


def root_of(operation: str) -> str:
    """The name of the operation's root field in a document of its own."""
    return _parts(operation)[2].partition("(")[0]


def _parts(operation: str) -> tuple[str, str, str]:
    """(query or mutation, the variables that it declares, its root field)."""
    match = re.fullmatch(r"(?s)(\w+) \w+\((.*?)\) \{\n  (.*)\n\}", _definitions()[operation])
    if match is None:
        raise ValueError(f"{operation} has no variables")
    return match[1], match[2], match[3]


def _fragments(text: str) -> list[str]:
    """The fragments that a document's text uses, directly or through others."""
    used: dict[str, str] = {}
    pending = [text]
    while pending:
        for name in re.findall(r"\.\.\.(\w+)", pending.pop()):
            if name not in used:
                used[name] = _definitions()[name]
                pending.append(used[name])
    return list(used.values())


@functools.cache
def _definitions() -> dict[str, str]:
    text = Path(__file__).with_name("documents.graphql").read_text("utf-8")
    return {
        match[1]: match[0] for match in re.finditer(r"(?ms)^(?:query|mutation|fragment) (\w+).*?^}$", text)
    }


# The shapes of answers; the documents give GitHub's fields these names.


@dataclass(frozen=True)
class PageInfo:
    more: bool
    cursor: str = ""


NUMBER = {"low": 1, "high": MOST_ISSUES}


@dataclass(frozen=True)
class NumberNode:
    id: str
    number: int = field(metadata=NUMBER)


@dataclass(frozen=True)
class Account:
    """The account behind something; GraphQL leaves out the end of an App's login, and has none that was deleted."""

    login: str = GHOST
    type: str = "User"

    @property
    def is_bot(self) -> bool:
        return self.type == "Bot"

    @property
    def name(self) -> str:
        """The login as REST, events and the website have it."""
        return self.login.removesuffix(BOT) + BOT if self.is_bot else self.login


DELETED = Account()


@dataclass(frozen=True)
class EventNode:
    """A label set or removed, or, without a `label`, a new title."""

    type: str
    created_at: datetime
    label: Label | None = None
    actor: Account = DELETED
    title_before: str | None = None


@dataclass(frozen=True)
class VersionNode:
    """The body after an edit; None where it was deleted."""

    created_at: datetime
    body: str | None = None
    editor: Account = DELETED


@dataclass(frozen=True)
class Versions:
    """The newest versions of a body, newest first, of `total`; the first of all is the one before any edit."""

    total: int
    nodes: tuple[VersionNode, ...]


@dataclass(frozen=True)
class ActNode:
    """What an account did; of a comment, also its text where that was asked for (None: it was not)."""

    type: str
    association: str = ""
    actor: Account = DELETED
    own: bool = False
    body: str | None = None
    edited_at: datetime | None = None
    editor: Account | None = None


@dataclass(frozen=True)
class AnswerNode:
    """A comment, and what its author is to the repository."""

    created_at: datetime
    association: str
    author: Account = DELETED


@dataclass(frozen=True)
class AnsweredNode:
    """An issue with its first comments."""

    number: int = field(metadata=NUMBER)
    labels: tuple[Label, ...] = nested("labels.nodes")
    answers: tuple[AnswerNode, ...] = nested("comments.nodes")
    author: Account = DELETED


@dataclass(frozen=True)
class Timeline:
    info: PageInfo
    nodes: tuple[EventNode, ...]


@dataclass(frozen=True)
class FileNode:
    path: str


@dataclass(frozen=True)
class ChangedFiles:
    info: PageInfo
    nodes: tuple[FileNode, ...]


@dataclass(frozen=True)
class TextNode:
    """The text of a file; None where it is binary."""

    text: str | None = None
    truncated: bool | None = None


@dataclass(frozen=True)
class OpeningNode:
    """What `Opening` reads of a repository; parts that others read later are left as they are."""

    issue: Any = None
    head: Any = None
    config: TextNode | None = None
    other: TextNode | None = None
    active: Any = None
    tree: Any = nested("active.tree", None)


@dataclass(frozen=True)
class IssueNode:
    id: str
    type: str
    number: int = field(metadata=NUMBER)
    title: str
    body: str
    closed: bool
    locked: bool
    created_at: datetime
    updated_at: datetime
    repo: str = nested("repository.name")
    labels: tuple[Label, ...] = nested("labels.nodes")
    author: Account = DELETED
    association: str = ""
    # A discussion has none.
    timeline: Timeline = Timeline(PageInfo(False), ())
    acts: tuple[ActNode, ...] | None = nested("acts.nodes", None)
    answers: tuple[ActNode, ...] | None = nested("answers.nodes", None)
    answers_total: int = nested("answers.total", 0)
    edited_at: datetime | None = None
    editor: Account = DELETED
    versions: Versions | None = None
    files: ChangedFiles | None = None
    category: Label | None = None


def issue_of(
    node: IssueNode,
    events: Sequence[EventNode],
    files: Sequence[FileNode] | None = None,
    *,
    categories: bool = False,
    answers: bool = False,
    bots: Sequence[str] = (),
    label_ids: Mapping[str, str] | None = None,
) -> LiveIssue:
    """An issue with all of its events, and the files that it changes where they were read.

    With `categories`, that of a discussion is a label, and others that look like one are left out. `answers` as in
    `IssueFilter`: `bots` are patterns of other logins under which this bot comments, and `label_ids` are those of the
    repository's labels, by name.
    """
    labels = {label.name: label.id for label in node.labels}
    if categories and node.category:
        labels = {name: label_id for name, label_id in labels.items() if not is_category(name)}
        labels[f"{CATEGORY}{node.category.name}"] = node.category.id
    author = node.author.name
    acts = [Act(ACTS[act.type], act.actor.name, act.association) for act in node.acts or ()]
    handled_by = handlers(acts, author, node.association)
    # If two labels had the same name one after the other, the issue carries the later one.
    by_event = {event.label.name: event.label.id for event in events if event.label}
    ids = {**(label_ids or {}), **by_event, **labels}
    history = _answered(
        tuple(
            [
                LabelEvent(e.label.name, e.type == "LabeledEvent", e.actor.name, e.actor.is_bot, e.created_at)
                for e in events
                if e.label
            ]
        ),
        (*(node.acts or ()), *(node.answers or ())) if answers else (),
        bots,
        ids,
    )
    named = [*by_event, *(event.label for event in history)]
    issue = Issue(
        repo=node.repo,
        number=node.number,
        title=node.title,
        body=node.body,
        created_at=node.created_at,
        kind=TYPES[node.type],
        author=author,
        labels=tuple(labels),
        events=history,
        handled=None if node.acts is None else bool(handled_by),
        handled_by=handled_by,
        association=node.association,
        edits=(*_renames(events), *_body_edits(node)),
        files=None if files is None else tuple(file.path for file in files),
    )
    return LiveIssue(
        issue=issue,
        node_id=node.id,
        state="closed" if node.closed else "open",
        locked=node.locked,
        updated_at=node.updated_at,
        label_ids=Names({name: ids[name] for name in (*named, *labels) if name in ids}),
        comment=_comment(node),
    )


def _comment(node: IssueNode) -> str | None:
    """The text of the bot's comment, as in `LiveIssue`."""
    if node.answers is not None:
        acts, all_known = node.answers, node.answers_total <= len(node.answers)
    elif node.acts is not None:
        acts, all_known = node.acts, len(node.acts) < MOST_ACTS
    else:
        return None
    bodies = [(act.own, act.body) for act in acts if act.type == "IssueComment"]
    found = [body for own, body in bodies if own and body is not None and is_own(body)]
    all_known = all_known and None not in [body for _, body in bodies]
    return found[0] if found else "" if all_known else None


def _answered(
    events: tuple[LabelEvent, ...],
    acts: Iterable[ActNode],
    bots: Sequence[str],
    label_ids: Mapping[str, str],
) -> tuple[LabelEvent, ...]:
    """The events with what people answered to suggestions: who accepted a label set it, who refused it took it off.

    A comment counts only where its author wrote the text that it has, and for a label that the author set, or that was
    refused in a comment of this bot's: what strangers write into comments of their own is nobody's word. This bot is
    the token's owner, or an App among `bots`; the login of an App is nobody else's.
    """
    for act in acts:
        author = act.actor.name
        edited_by_other = act.editor and act.editor.name != author
        if edited_by_other or not act.body or not is_own(act.body):
            continue
        said = under_present_names(answers_in(act.body), label_ids)
        answers = {fold(answer.name): answer for answer in said}
        accepted = {name: answer.login for name, answer in answers.items() if answer.accepted}
        events = tuple(
            replace(event, actor=accepted[name], actor_is_bot=False, accepted=True)
            if event.added and event.actor == author and (name := fold(event.label)) in accepted
            else event
            for event in events
        )
        refused = [answer for answer in answers.values() if not answer.accepted]
        if act.edited_at and (act.own or (author.endswith(BOT) and matches(author, bots))):
            events += tuple(LabelEvent(a.name, False, a.login, False, act.edited_at) for a in refused)
    return tuple(sorted(events, key=lambda event: event.at))


def _renames(events: Sequence[EventNode]) -> list[TextEdit]:
    return [
        _edit(event.actor, event.created_at, TextBeforeEdit(title=event.title_before))
        for event in events
        if event.title_before is not None
    ]


def _body_edits(node: IssueNode) -> list[TextEdit]:
    """The edits of the body, with the text before each where that was asked for; otherwise the last edit."""
    unknown = TextBeforeEdit(known=False)
    if node.versions is None:
        return [_edit(node.editor, node.edited_at, unknown)] if node.edited_at else []
    versions = node.versions.nodes
    bodies = [version.body for version in versions[1:]]
    # Should GitHub send something else than whole bodies, none is relied on.
    whole = bool(versions) and (versions[0].body or "").split() == node.body.split()
    before = [TextBeforeEdit(body=body) if whole and body is not None else unknown for body in bodies]
    # The oldest is no edit where it is as old as the issue.
    if versions and versions[-1].created_at > node.created_at:
        before.append(unknown)
    return [
        _edit(version.editor, version.created_at, text)
        for version, text in zip(versions, before, strict=False)
    ]


def _edit(account: Account, at: datetime, before: TextBeforeEdit) -> TextEdit:
    return TextEdit(account.name, account.is_bot, at, before)
