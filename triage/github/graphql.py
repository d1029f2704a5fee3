"""The GraphQL documents that are sent to GitHub, and the values that their answers are read into.

Values reach GitHub only as variables, never as part of a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from triage.github.http import read_time
from triage.issue import Issue, Kind, LabelEvent

State = Literal["open", "closed"]
# The login of deleted accounts.
GHOST = "ghost"
# The end of an App's login in REST, in events and on the website; GraphQL leaves it out.
BOT = "[bot]"


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


@dataclass(frozen=True)
class Repository:
    """`visibility` is "public", "internal" or "private"; `default_branch` is empty before the first commit."""

    name: str
    node_id: str
    visibility: str
    default_branch: str


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository in its owner's list; `visibility` as in `Repository`."""

    name: str
    visibility: str
    is_fork: bool
    has_issues: bool


@dataclass(frozen=True)
class LiveIssue:
    """An issue or pull request as it is on GitHub now; `issue.events` is never None, oldest first.

    `label_ids` maps the names of its labels, and of those in its events, to ids, by the names of when it was read.
    """

    issue: Issue
    node_id: str
    state: State
    locked: bool
    updated_at: datetime
    label_ids: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class IssueFilter:
    """The items to list: all of one `kind`, opened from `since` up to but not including `until`, changed since
    `updated_since`, with at least one of the `labels` by name.
    """

    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None
    state: Literal["open", "closed", "all"] = "all"
    labels: tuple[str, ...] = ()
    kind: Kind = "issue"

    def within_dates(self, live: LiveIssue) -> bool:
        """Whether the issue is within the bounds in time."""
        opened = live.issue.created_at
        return not (
            (self.until and opened and opened >= self.until)
            or self.is_past(live)
            or (self.updated_since and live.updated_at < self.updated_since)
        )

    def is_past(self, live: LiveIssue) -> bool:
        """Whether the issue was opened before `since`."""
        opened = live.issue.created_at
        return self.since is not None and opened is not None and opened < self.since


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


# The shapes of answers; the documents below give GitHub's fields these names.


@dataclass(frozen=True)
class PageInfo:
    more: bool
    cursor: str = ""


@dataclass(frozen=True)
class Node:
    id: str


@dataclass(frozen=True)
class NumberNode(Node):
    number: int


@dataclass(frozen=True)
class CommentNode(Node):
    body: str
    own: bool


@dataclass(frozen=True)
class Count:
    total: int


@dataclass(frozen=True)
class CanLabelNode:
    allowed: bool


@dataclass(frozen=True)
class Named:
    name: str


@dataclass(frozen=True)
class RepositoryNode(Node):
    name: str
    visibility: str
    branch: Named | None = None


@dataclass(frozen=True)
class ActorNode:
    login: str
    type: str = "User"


@dataclass(frozen=True)
class EventNode:
    type: str
    created_at: str
    label: Label
    actor: ActorNode | None = None


@dataclass(frozen=True)
class Timeline:
    info: PageInfo
    nodes: tuple[EventNode, ...]


@dataclass(frozen=True)
class Labels:
    nodes: tuple[Label, ...]


@dataclass(frozen=True)
class IssueNode(Node):
    type: str
    number: int
    title: str
    body: str
    closed: bool
    locked: bool
    created_at: str
    updated_at: str
    repository: Named
    labels: Labels
    timeline: Timeline
    author: ActorNode | None = None


def repository_of(node: RepositoryNode) -> Repository:
    branch = node.branch.name if node.branch else ""
    return Repository(node.name, node.id, node.visibility.lower(), branch)


def issue_of(node: IssueNode, events: Sequence[EventNode]) -> LiveIssue:
    """An issue with all of its events."""
    labels = {label.name: label.id for label in node.labels.nodes}
    issue = Issue(
        repo=node.repository.name,
        number=node.number,
        title=node.title,
        body=node.body,
        created_at=read_time(node.created_at),
        kind="pull request" if node.type == "PullRequest" else "issue",
        author=_actor(node.author).login,
        labels=tuple(labels),
        events=tuple([_event(event) for event in events]),
    )
    return LiveIssue(
        issue=issue,
        node_id=node.id,
        state="closed" if node.closed else "open",
        locked=node.locked,
        updated_at=read_time(node.updated_at),
        # If two labels had the same name one after the other, the issue carries the later one.
        label_ids={**{event.label.name: event.label.id for event in events}, **labels},
    )


def _event(node: EventNode) -> LabelEvent:
    actor = _actor(node.actor)
    return LabelEvent(
        node.label.name, node.type == "LabeledEvent", actor.login, actor.is_bot, read_time(node.created_at)
    )


def _actor(node: ActorNode | None) -> Actor:
    if node is None:
        return Actor(GHOST, is_bot=False)
    is_bot = node.type == "Bot"
    return Actor(node.login.removesuffix(BOT) + BOT if is_bot else node.login, is_bot)


# Documents

_OF_REPOSITORY: Final = "$owner: String!, $name: String!"
_CURSOR: Final = "info: pageInfo { more: hasNextPage cursor: endCursor }"
_NEWEST: Final = "orderBy: {field: CREATED_AT, direction: DESC}"
_TYPES: Final = "itemTypes: [LABELED_EVENT, UNLABELED_EVENT]"
_ACTOR: Final = "type: __typename login"
_EVENTS: Final = f"""
    {_CURSOR}
    nodes {{
      type: __typename
      ... on LabeledEvent {{ created_at: createdAt actor {{ {_ACTOR} }} label {{ id name }} }}
      ... on UnlabeledEvent {{ created_at: createdAt actor {{ {_ACTOR} }} label {{ id name }} }}
    }}
"""
_FIELDS: Final = f"""
    type: __typename
    id
    number
    title
    body
    closed
    locked
    created_at: createdAt
    updated_at: updatedAt
    author {{ {_ACTOR} }}
    repository {{ name: nameWithOwner }}
    labels(first: 100) {{ nodes {{ id name }} }}
    timeline: timelineItems(first: 100, {_TYPES}) {{ {_EVENTS} }}
"""
_PAGE: Final = f"total: totalCount {_CURSOR} nodes {{ {_FIELDS} }}"


def _of_either(fields: str) -> str:
    return f"... on Issue {{ {fields} }} ... on PullRequest {{ {fields} }}"


VIEWER: Final = "query Viewer { viewer { login } }"

REPOSITORIES: Final = f"""
query Repositories($login: String!, $after: String) {{
  owner: repositoryOwner(login: $login) {{
    repositories(first: 100, after: $after, ownerAffiliations: [OWNER],
                 orderBy: {{field: NAME, direction: ASC}}) {{
      {_CURSOR}
      nodes {{ name: nameWithOwner visibility is_fork: isFork has_issues: hasIssuesEnabled }}
    }}
  }}
}}
"""

REPOSITORY: Final = f"""
query Repository({_OF_REPOSITORY}) {{
  repository(owner: $owner, name: $name) {{
    id
    name: nameWithOwner
    visibility
    branch: defaultBranchRef {{ name }}
  }}
}}
"""

LABELS: Final = f"""
query Labels({_OF_REPOSITORY}, $after: String) {{
  repository(owner: $owner, name: $name) {{
    labels(first: 100, after: $after, orderBy: {{field: NAME, direction: ASC}}) {{
      {_CURSOR}
      nodes {{ id name description }}
    }}
  }}
}}
"""

ISSUE: Final = f"""
query Issue({_OF_REPOSITORY}, $number: Int!) {{
  repository(owner: $owner, name: $name) {{ issueOrPullRequest(number: $number) {{ {_of_either(_FIELDS)} }} }}
}}
"""

MORE_EVENTS: Final = f"""
query MoreEvents($id: ID!, $after: String!) {{
  node(id: $id) {{ {_of_either(f"timeline: timelineItems(first: 100, after: $after, {_TYPES}) {{ {_EVENTS} }}")} }}
}}
"""

# GitHub counts 1 + 100 requests for each list within a page of 100, and one point for 100 requests.
PAGE_POINTS: Final = 2

PAGES: Final[Mapping[Kind, str]] = {
    "issue": f"""
query Issues({_OF_REPOSITORY}, $first: Int!, $after: String, $filter: IssueFilters) {{
  repository(owner: $owner, name: $name) {{
    page: issues(first: $first, after: $after, filterBy: $filter, {_NEWEST}) {{ {_PAGE} }}
  }}
}}
""",
    "pull request": f"""
query PullRequests({_OF_REPOSITORY}, $first: Int!, $after: String,
                   $states: [PullRequestState!], $labels: [String!]) {{
  repository(owner: $owner, name: $name) {{
    page: pullRequests(first: $first, after: $after, states: $states, labels: $labels, {_NEWEST}) {{ {_PAGE} }}
  }}
}}
""",
}


def _numbers(name: str, items: str) -> str:
    return f"""
query {name}({_OF_REPOSITORY}, $after: String) {{
  repository(owner: $owner, name: $name) {{
    page: {items}(first: 100, after: $after, {_NEWEST}) {{ {_CURSOR} nodes {{ number id }} }}
  }}
}}
"""


NUMBERS: Final[Mapping[Kind, str]] = {
    "issue": _numbers("IssueNumbers", "issues"),
    "pull request": _numbers("PullRequestNumbers", "pullRequests"),
}

COUNTS: Final = f"""
query Counts({_OF_REPOSITORY}, $changed: IssueFilters) {{
  repository(owner: $owner, name: $name) {{
    labels(first: 1) {{ total: totalCount }}
    issues(first: 1) {{ total: totalCount }}
    changed: issues(first: 1, filterBy: $changed) {{ total: totalCount }}
    pulls: pullRequests(first: 1) {{ total: totalCount }}
  }}
}}
"""

CAN_LABEL: Final = f"""
query CanLabel({_OF_REPOSITORY}) {{
  repository(owner: $owner, name: $name) {{ issues(first: 1, {_NEWEST}) {{ nodes {{ allowed: viewerCanLabel }} }} }}
}}
"""

ADD_LABELS: Final = """
mutation AddLabels($issue: ID!, $labels: [ID!]!) {
  addLabelsToLabelable(input: {labelableId: $issue, labelIds: $labels}) { clientMutationId }
}
"""

REMOVE_LABELS: Final = """
mutation RemoveLabels($issue: ID!, $labels: [ID!]!) {
  removeLabelsFromLabelable(input: {labelableId: $issue, labelIds: $labels}) { clientMutationId }
}
"""

COMMENTS: Final = f"""
query Comments($id: ID!, $after: String) {{
  node(id: $id) {{
    {_of_either(f"comments(first: 100, after: $after) {{ {_CURSOR} nodes {{ id body own: viewerDidAuthor }} }}")}
  }}
}}
"""

ADD_COMMENT: Final = """
mutation AddComment($issue: ID!, $body: String!) {
  addComment(input: {subjectId: $issue, body: $body}) { clientMutationId }
}
"""

EDIT_COMMENT: Final = """
mutation EditComment($comment: ID!, $body: String!) {
  updateIssueComment(input: {id: $comment, body: $body}) { clientMutationId }
}
"""
