"""Reads and writes the bot's one comment on an issue; `triage.comment` makes and parses its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from triage.comment import is_own, united
from triage.github.errors import NotFound, Overloaded
from triage.github.graphql import Versions, root_of
from triage.github.http import READ, WRITE, Purpose, read, read_list
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
    return united(comment.body for comment in _find(tracker, node_id))


def put_comment(tracker: Tracker, node_id: str, text_of: Callable[[str], str], kind: Kind = "issue") -> None:
    """Write the bot's comment on an issue, or update it in place.

    `text_of` makes the text from that of the comment as it is ("": there is none); an empty one deletes it. Where
    another run adds the comment at the same time, the first of the two is left, with the parts of both.
    """
    try:
        _put(tracker, node_id, text_of, kind)
    except Overloaded:
        # It may have been written: the second attempt looks for it first.
        _put(tracker, node_id, text_of, kind)


def unite(tracker: Tracker, added: object, text_of: Callable[[str], str], kind: Kind = "issue") -> None:
    """Make one comment of the bot's comment and those that other runs have added at the same time.

    `added` is the answer to the mutation that added it, `text_of` as in `put_comment`.
    """
    comments = part(added, "comment.subject.comments.nodes") or part(added, "subject.comments.nodes") or []
    found = _own(read_list(CommentNode, comments))
    if len(found) > 1:
        _rewrite(tracker, found, text_of, kind)


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


def _find(tracker: Tracker, node_id: str) -> list[CommentNode]:
    path, purpose = "data.node.comments", Purpose(f"read comments in {tracker.repo}", READ)
    return _own(tracker.nodes(CommentNode, path, "Comments", {"id": node_id}, purpose))


def _own(comments: Iterable[CommentNode]) -> list[CommentNode]:
    return [comment for comment in comments if comment.own and is_own(comment.body)]


def _put(tracker: Tracker, node_id: str, text_of: Callable[[str], str], kind: Kind) -> None:
    if found := _find(tracker, node_id):
        _rewrite(tracker, found, text_of, kind)
    elif text := text_of(""):
        unite(tracker, _write(tracker, "Add", kind, issue=node_id, body=text), text_of, kind)


def _rewrite(
    tracker: Tracker, found: Sequence[CommentNode], text_of: Callable[[str], str], kind: Kind
) -> None:
    """Write what `text_of` makes into the first of the comments that were `found`, and delete the others."""
    own, *others = found
    text = text_of(united(comment.body for comment in found))
    if text and own.body != text:
        _write(tracker, "Edit", kind, comment=own.id, body=text)
    for comment in others if text else found:
        # Another run may have deleted it as well.
        with suppress(NotFound):
            _write(tracker, "Delete", kind, comment=comment.id)


def _write(tracker: Tracker, what: str, kind: Kind, **variables: str) -> object:
    operation = f"{what}DiscussionComment" if kind == "discussion" else f"{what}Comment"
    doing = f"write a comment in {tracker.repo}"
    answer = tracker.graphql(operation, variables, doing, WRITE, repeatable=False)
    return part(answer, f"data.{root_of(operation)}")
