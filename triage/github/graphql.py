"""The GraphQL documents that are sent to GitHub, and the values that their answers are read into.

Values reach GitHub only as variables, never as part of a document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from triage.github.response import TypedJson
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
    description: str


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


@dataclass(frozen=True)
class Events:
    """A section of an issue's timeline; `cursor` leads to the next one, None at the end."""

    labels: tuple[LabelEvent, ...]
    cursor: str | None
    label_ids: Mapping[str, str]

    def followed_by(self, more: Events) -> Events:
        return Events(self.labels + more.labels, more.cursor, {**self.label_ids, **more.label_ids})


def read_repository(node: TypedJson) -> Repository:
    branch = node.maybe("defaultBranchRef")
    return Repository(
        name=node.text("nameWithOwner"),
        node_id=node.text("id"),
        visibility=node.text("visibility").lower(),
        default_branch=branch.text("name") if branch else "",
    )


def read_repositories(page: TypedJson) -> list[RepositoryInfo]:
    return [
        RepositoryInfo(
            name=node.text("nameWithOwner"),
            visibility=node.text("visibility").lower(),
            is_fork=node.flag("isFork"),
            has_issues=node.flag("hasIssuesEnabled"),
        )
        for node in page.items("nodes")
    ]


def read_counts(repository: TypedJson) -> IssueCounts:
    names = ("labels", "issues", "pullRequests", "changed")
    labels, issues, pulls, changed = (repository.at(name).number("totalCount") for name in names)
    return IssueCounts(
        labels,
        items={"issue": issues, "pull request": pulls},
        changed={"issue": changed, "pull request": pulls},
    )


def read_labels(page: TypedJson) -> list[Label]:
    return [
        Label(id=node.text("id"), name=node.text("name"), description=node.text_or_empty("description"))
        for node in page.items("nodes")
    ]


def read_issue(node: TypedJson, events: Events) -> LiveIssue:
    """An issue from the fields of `ISSUE` and all of its events."""
    labels = {label.text("name"): label.text("id") for label in node.at("labels").items("nodes")}
    issue = Issue(
        repo=node.at("repository").text("nameWithOwner"),
        number=node.number("number"),
        title=node.text("title"),
        body=node.text("body"),
        created_at=node.time("createdAt"),
        kind="pull request" if node.text("__typename") == "PullRequest" else "issue",
        author=_actor(node.maybe("author")).login,
        labels=tuple(labels),
        events=events.labels,
    )
    return LiveIssue(
        issue=issue,
        node_id=node.text("id"),
        state="closed" if node.flag("closed") else "open",
        locked=node.flag("locked"),
        updated_at=node.time("updatedAt"),
        # Where two labels had the same name one after the other, it carries the later one.
        label_ids={**events.label_ids, **labels},
    )


def read_events(timeline: TypedJson) -> Events:
    """The label events in `timelineItems`."""
    events: list[LabelEvent] = []
    label_ids: dict[str, str] = {}
    for node in timeline.items("nodes"):
        actor, label = _actor(node.maybe("actor")), node.at("label")
        label_ids[label.text("name")] = label.text("id")
        events.append(
            LabelEvent(
                label=label.text("name"),
                added=node.text("__typename") == "LabeledEvent",
                actor=actor.login,
                actor_is_bot=actor.is_bot,
                at=node.time("createdAt"),
            )
        )
    return Events(tuple(events), next_cursor(timeline), label_ids)


def next_cursor(connection: TypedJson) -> str | None:
    """The cursor of a list's next page, or None at its end."""
    info = connection.at("pageInfo")
    return info.text("endCursor") if info.flag("hasNextPage") else None


def _actor(node: TypedJson | None) -> Actor:
    if node is None:
        return Actor(GHOST, is_bot=False)
    login, is_bot = node.text("login"), node.text("__typename") == "Bot"
    return Actor(login.removesuffix(BOT) + BOT if is_bot else login, is_bot)


# Documents

_OF_REPOSITORY: Final = "$owner: String!, $name: String!"
_CURSOR: Final = "pageInfo { hasNextPage endCursor }"
_NEWEST: Final = "orderBy: {field: CREATED_AT, direction: DESC}"
_TYPES: Final = "itemTypes: [LABELED_EVENT, UNLABELED_EVENT]"
_EVENTS: Final = f"""
    {_CURSOR}
    nodes {{
      __typename
      ... on LabeledEvent {{ createdAt actor {{ __typename login }} label {{ id name }} }}
      ... on UnlabeledEvent {{ createdAt actor {{ __typename login }} label {{ id name }} }}
    }}
"""
_FIELDS: Final = f"""
    __typename
    id
    number
    title
    body
    closed
    locked
    createdAt
    updatedAt
    author {{ __typename login }}
    repository {{ nameWithOwner }}
    labels(first: 100) {{ nodes {{ id name }} }}
    timelineItems(first: 100, {_TYPES}) {{ {_EVENTS} }}
"""
_PAGE: Final = f"totalCount {_CURSOR} nodes {{ {_FIELDS} }}"


def _of_either(fields: str) -> str:
    return f"... on Issue {{ {fields} }} ... on PullRequest {{ {fields} }}"


VIEWER: Final = "query Viewer { viewer { login } }"

REPOSITORIES: Final = f"""
query Repositories($login: String!, $after: String) {{
  repositoryOwner(login: $login) {{
    repositories(first: 100, after: $after, ownerAffiliations: [OWNER],
                 orderBy: {{field: NAME, direction: ASC}}) {{
      {_CURSOR}
      nodes {{ nameWithOwner visibility isFork hasIssuesEnabled }}
    }}
  }}
}}
"""

REPOSITORY: Final = f"""
query Repository({_OF_REPOSITORY}) {{
  repository(owner: $owner, name: $name) {{ id nameWithOwner visibility defaultBranchRef {{ name }} }}
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
  node(id: $id) {{ {_of_either(f"timelineItems(first: 100, after: $after, {_TYPES}) {{ {_EVENTS} }}")} }}
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
    labels(first: 1) {{ totalCount }}
    issues(first: 1) {{ totalCount }}
    changed: issues(first: 1, filterBy: $changed) {{ totalCount }}
    pullRequests(first: 1) {{ totalCount }}
  }}
}}
"""

CAN_LABEL: Final = f"""
query CanLabel({_OF_REPOSITORY}) {{
  repository(owner: $owner, name: $name) {{ issues(first: 1, {_NEWEST}) {{ nodes {{ viewerCanLabel }} }} }}
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
    {_of_either(f"comments(first: 100, after: $after) {{ {_CURSOR} nodes {{ id body viewerDidAuthor }} }}")}
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
