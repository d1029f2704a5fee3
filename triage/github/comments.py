"""Reads and writes the bot's one comment on an issue; `triage.comment` makes and parses its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from triage.comment import is_own
from triage.github.errors import Overloaded
from triage.github.graphql import Versions
from triage.github.http import READ, WRITE, Purpose, read
from triage.schema import part

if TYPE_CHECKING:
    from triage.github.client import Tracker
    from triage.issue import Kind


@dataclass(frozen=True)
class CommentNode:
    id: str
    body: str
    own: bool


@dataclass(frozen=True)
class OneCommentNode:
    """A comment with its versions; without `versions` it was never edited."""

    own: bool
    body: str
    versions: Versions


@dataclass(frozen=True)
class CommentVersion:
    """The text of a comment from `created_at` on, and the login of who wrote it."""

    body: str
    editor: str
    created_at: datetime


def comment_on(tracker: Tracker, node_id: str) -> str:
    """The text of the bot's comment on an issue; empty if there is none."""
    comment = _find(tracker, node_id)
    return comment.body if comment else ""


def put_comment(tracker: Tracker, node_id: str, text_of: Callable[[str], str], kind: Kind = "issue") -> None:
    """Write the bot's comment on an issue, or update it in place.

    `text_of` makes the text from that of the comment as it is ("": there is none); an empty one deletes it.
    """
    try:
        _put(tracker, node_id, text_of, kind)
    except Overloaded:
        # It may have been written: the second attempt looks for it first.
        _put(tracker, node_id, text_of, kind)


def comment_versions(tracker: Tracker, comment_id: str) -> list[CommentVersion]:
    """The newest versions of a comment, oldest first; none if it is not the bot's, or if one of them was deleted."""
    doing = f"read a comment in {tracker.repo}"
    answer = tracker.graphql("CommentVersions", {"id": comment_id}, doing, READ)
    if part(answer, "data.node.own") is None:
        return []
    comment = read(OneCommentNode, answer, "data.node")
    nodes = comment.versions.nodes
    if not (comment.own and is_own(comment.body)) or any(node.body is None for node in nodes):
        return []
    return [CommentVersion(node.body or "", node.editor.name, node.created_at) for node in reversed(nodes)]


def react(tracker: Tracker, comment_id: str, reaction: str) -> None:
    """React to a comment with one of GraphQL's reactions; a second time changes nothing."""
    variables = {"subject": comment_id, "reaction": reaction}
    tracker.graphql("React", variables, f"react to a comment in {tracker.repo}", WRITE)


def _find(tracker: Tracker, node_id: str) -> CommentNode | None:
    path, purpose = "data.node.comments", Purpose(f"read comments in {tracker.repo}", READ)
    comments = tracker.nodes(CommentNode, path, "Comments", {"id": node_id}, purpose)
    return next((comment for comment in comments if comment.own and is_own(comment.body)), None)


def _put(tracker: Tracker, node_id: str, text_of: Callable[[str], str], kind: Kind) -> None:
    own = _find(tracker, node_id)
    text = text_of(own.body if own else "")
    where = "DiscussionComment" if kind == "discussion" else "Comment"
    if own and not text:
        operation, variables = f"Delete{where}", {"comment": own.id}
    elif own is None and text:
        operation, variables = f"Add{where}", {"issue": node_id, "body": text}
    elif own and own.body != text:
        operation, variables = f"Edit{where}", {"comment": own.id, "body": text}
    else:
        return
    tracker.graphql(operation, variables, f"write a comment in {tracker.repo}", WRITE, repeatable=False)
