"""The fields of GitHub's GraphQL types that follow from one object of the state alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fake_github.issue import Category, Comment, Event, Issue, Label
from tests.fake_github.render import stamp
from tests.fake_github.repository import Repository
from tests.fake_github.state import Actor

Plain = Callable[[Any], object]
EVENT_TYPES = {
    "labeled": "LabeledEvent",
    "unlabeled": "UnlabeledEvent",
    "renamed": "RenamedTitleEvent",
    "closed": "ClosedEvent",
    "reopened": "ReopenedEvent",
    "locked": "LockedEvent",
    "assigned": "AssignedEvent",
    "unassigned": "UnassignedEvent",
    "review_requested": "ReviewRequestedEvent",
    "review_request_removed": "ReviewRequestRemovedEvent",
    "milestoned": "MilestonedEvent",
}
_ISSUE: dict[str, Plain] = {
    "id": lambda issue: issue.node_id,
    "databaseId": lambda issue: issue.id,
    "fullDatabaseId": lambda issue: str(issue.id),
    "number": lambda issue: issue.number,
    "title": lambda issue: issue.title,
    "body": lambda issue: issue.body or "",
    "bodyText": lambda issue: issue.body or "",
    "state": lambda issue: issue.state.upper(),
    "closed": lambda issue: issue.state == "closed",
    "locked": lambda issue: issue.locked,
    "author": lambda issue: issue.author,
    "authorAssociation": lambda issue: issue.repository.association(issue.author),
    "createdAt": lambda issue: stamp(issue.created_at),
    "updatedAt": lambda issue: stamp(issue.updated_at),
    "lastEditedAt": lambda issue: stamp(issue.edits[-1].at) if issue.edits else None,
    "editor": lambda issue: issue.edits[-1].editor if issue.edits else None,
    "repository": lambda issue: issue.repository,
}
_REPOSITORY: dict[str, Plain] = {
    "id": lambda repo: repo.node_id,
    "databaseId": lambda repo: repo.id,
    "name": lambda repo: repo.full_name.partition("/")[2],
    "nameWithOwner": lambda repo: repo.full_name,
    "isPrivate": lambda repo: repo.private,
    "visibility": lambda repo: "PRIVATE" if repo.private else "PUBLIC",
    "isFork": lambda repo: repo.fork,
    "isArchived": lambda repo: repo.archived,
    "hasIssuesEnabled": lambda repo: repo.has_issues,
    "owner": lambda repo: repo.world.actor(repo.full_name.partition("/")[0]),
    "defaultBranchRef": lambda repo: {"name": repo.default_branch},
}
_LABEL: dict[str, Plain] = {
    "id": lambda label: label.node_id,
    "name": lambda label: label.name,
    "description": lambda label: label.description,
    "color": lambda label: label.color,
    "repository": lambda label: label.repository,
}
_ACTOR: dict[str, Plain] = {
    "id": lambda actor: actor.node_id,
    "databaseId": lambda actor: actor.id,
    "login": lambda actor: actor.login,
}
# GraphQL leaves an app's `[bot]` away, save where it is the viewer, who is always a User
_BOT: dict[str, Plain] = _ACTOR | {"login": lambda actor: actor.login.removesuffix("[bot]")}
_EVENT: dict[str, Plain] = {
    "id": lambda event: event.node_id,
    "actor": lambda event: event.actor,
    "createdAt": lambda event: stamp(event.at),
}
_LABELING: dict[str, Plain] = _EVENT | {
    "label": lambda event: event.label,
    "labelable": lambda event: event.issue,
}
_ASSIGNING: dict[str, Plain] = _EVENT | {"assignee": lambda event: event.whom}
_REVIEW: dict[str, Plain] = _EVENT | {"requestedReviewer": lambda event: event.whom}
_COMMENT: dict[str, Plain] = {
    "id": lambda comment: comment.node_id,
    "databaseId": lambda comment: comment.id,
    "body": lambda comment: comment.body,
    "author": lambda comment: comment.author,
    "authorAssociation": lambda comment: comment.issue.repository.association(comment.author),
    "createdAt": lambda comment: stamp(comment.created_at),
    "updatedAt": lambda comment: stamp(comment.updated_at),
    "lastEditedAt": lambda comment: stamp(comment.edits[-1].at) if comment.edits else None,
    "editor": lambda comment: comment.edits[-1].editor if comment.edits else None,
    "issue": lambda comment: comment.issue,
}
FIELDS: dict[str, dict[str, Plain]] = {
    "Repository": _REPOSITORY,
    "Issue": _ISSUE,
    "PullRequest": _ISSUE,
    "Discussion": _ISSUE | {"category": lambda discussion: discussion.category},
    "DiscussionCategory": {
        "id": lambda category: category.node_id,
        "name": lambda category: category.name,
        "description": lambda category: category.description,
    },
    "Label": _LABEL,
    "User": _ACTOR,
    "Bot": _BOT,
    "LabeledEvent": _LABELING,
    "UnlabeledEvent": _LABELING,
    "ClosedEvent": _EVENT,
    "ReopenedEvent": _EVENT,
    "LockedEvent": _EVENT,
    "AssignedEvent": _ASSIGNING,
    "UnassignedEvent": _ASSIGNING,
    "ReviewRequestedEvent": _REVIEW,
    "ReviewRequestRemovedEvent": _REVIEW,
    "Team": {"combinedSlug": lambda team: team},
    "ReviewRequest": {"requestedReviewer": lambda reviewer: reviewer},
    "MilestonedEvent": _EVENT,
    "RenamedTitleEvent": _EVENT
    | {
        "previousTitle": lambda event: event.titles[0],
        "currentTitle": lambda event: event.titles[1],
        "subject": lambda event: event.issue,
    },
    "IssueComment": _COMMENT,
    "DiscussionComment": _COMMENT | {"discussion": lambda comment: comment.issue},
}


def type_name(value: object) -> str | None:
    """The GraphQL type of an object of the state."""
    if isinstance(value, Issue):
        return "PullRequest" if value.is_pull else "Discussion" if value.is_discussion else "Issue"
    if isinstance(value, Comment):
        return "DiscussionComment" if value.issue.is_discussion else "IssueComment"
    if isinstance(value, Actor):
        return value.kind
    if isinstance(value, Event):
        return EVENT_TYPES[value.kind]
    plain = {
        Repository: "Repository",
        Label: "Label",
        Category: "DiscussionCategory",
        str: "Team",
    }
    return plain.get(type(value))
