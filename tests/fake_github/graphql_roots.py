"""The queries and mutations at the root of GitHub's GraphQL schema that the fake knows."""

from __future__ import annotations

from collections.abc import Callable

from tests.fake_github.connection import Problem
from tests.fake_github.context import Args, Context, Resolver
from tests.fake_github.issue import Category, Comment, Issue, Label
from tests.fake_github.render import stamp
from tests.fake_github.state import Actor


def _nodes(_: object, ctx: Context, args: Args) -> object:
    found: list[object] = []
    for node_id in args["ids"]:
        try:
            found.append(ctx.node(node_id))
        except Problem as problem:
            # graphql-core turns an exception in a list into null and an error with its path
            found.append(problem)
    return found


def _rate_limit(_: object, ctx: Context, __: Args) -> object:
    told = ctx.allowance
    used = told.limit - told.remaining
    limits = {"limit": told.limit, "remaining": told.remaining, "used": used, "resetAt": stamp(told.reset)}
    return limits | {"cost": ctx.cost, "nodeCount": 0}


def _owner(_: object, ctx: Context, args: Args) -> Actor | None:
    login = args["login"].casefold()
    there = any(name.startswith(f"{login}/") for name in ctx.world.repositories)
    return ctx.world.actor(args["login"]) if there else None


def _labelable(ctx: Context, node_id: str) -> Issue:
    node = ctx.node(node_id)
    if not isinstance(node, Issue):
        raise Problem("NOT_FOUND", f"Could not resolve to Labelable node with the global id of '{node_id}'.")
    ctx.allow(node.repository, "write", *_scopes(node))
    return node


def _scopes(item: Issue) -> tuple[str, ...]:
    """The permissions of which one allows a change."""
    return ("discussions",) if item.is_discussion else ("issues", "pull_requests")


def _named(ctx: Context, issue: Issue, ids: list[str]) -> list[str]:
    labels = [ctx.node(label_id) for label_id in ids]
    for label, label_id in zip(labels, ids, strict=True):
        if not isinstance(label, Label):
            raise Problem("NOT_FOUND", f"Could not resolve to Label node with the global id of '{label_id}'.")
        if label.repository is not issue.repository:
            raise Problem("UNPROCESSABLE", f"Label '{label.name}' belongs to another repository.")
    return [label.name for label in labels if isinstance(label, Label)]


def _relabel(change: Callable[..., None]) -> Resolver:
    def mutate(_: object, ctx: Context, args: Args) -> object:
        given = args["input"]
        issue = _labelable(ctx, given["labelableId"])
        change(issue, _named(ctx, issue, given["labelIds"]), ctx.token.actor.login, app=ctx.token.app)
        return {"labelable": issue, "clientMutationId": given.get("clientMutationId")}

    return mutate


def _add_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    issue = ctx.node(given["subjectId"])
    if not isinstance(issue, Issue):
        raise Problem(
            "NOT_FOUND", f"Could not resolve to a node with the global id of '{given['subjectId']}'"
        )
    ctx.allow(issue.repository, "write", "issues", "pull_requests")
    comment = issue.comment(given["body"], ctx.token.actor.login)
    edge = {"node": comment, "cursor": comment.node_id}
    return {"commentEdge": edge, "subject": issue, "clientMutationId": given.get("clientMutationId")}


def _edit_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    comment = ctx.node(given["id"])
    if not isinstance(comment, Comment):
        raise Problem("NOT_FOUND", f"Could not resolve to a node with the global id of '{given['id']}'")
    ctx.allow(comment.issue.repository, "write", "issues", "pull_requests")
    comment.edit(given["body"], ctx.token.actor.login)
    return {"issueComment": comment, "clientMutationId": given.get("clientMutationId")}


def _delete_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    comment = ctx.node(given["id"])
    if not isinstance(comment, Comment):
        raise Problem("NOT_FOUND", f"Could not resolve to a node with the global id of '{given['id']}'")
    ctx.allow(comment.issue.repository, "write", "issues", "pull_requests")
    comment.delete()
    return {"clientMutationId": given.get("clientMutationId")}


def _update_discussion(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    discussion = ctx.node(given["discussionId"])
    if not isinstance(discussion, Issue) or not discussion.is_discussion:
        raise Problem("NOT_FOUND", f"Could not resolve to Discussion node '{given['discussionId']}'")
    ctx.allow(discussion.repository, "write", "discussions")
    if given.keys() - {"discussionId", "categoryId", "clientMutationId"}:
        raise NotImplementedError("the fake changes nothing but the category of a discussion")
    category = ctx.node(given["categoryId"])
    if not isinstance(category, Category) or category.repository is not discussion.repository:
        raise Problem(
            "NOT_FOUND", f"Could not resolve to a node with the global id of '{given['categoryId']}'"
        )
    discussion.move(category.name)
    return {"discussion": discussion, "clientMutationId": given.get("clientMutationId")}


def _add_discussion_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    discussion = ctx.node(given["discussionId"])
    if not isinstance(discussion, Issue) or not discussion.is_discussion:
        raise Problem("NOT_FOUND", f"Could not resolve to Discussion node '{given['discussionId']}'")
    ctx.allow(discussion.repository, "write", "discussions")
    comment = discussion.comment(given["body"], ctx.token.actor.login)
    return {"comment": comment, "clientMutationId": given.get("clientMutationId")}


def _edit_discussion_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    comment = ctx.node(given["commentId"])
    if not isinstance(comment, Comment) or not comment.issue.is_discussion:
        raise Problem("NOT_FOUND", f"Could not resolve to DiscussionComment node '{given['commentId']}'")
    ctx.allow(comment.issue.repository, "write", "discussions")
    comment.body, comment.updated_at = given["body"], ctx.world.clock.tick()
    return {"comment": comment, "clientMutationId": given.get("clientMutationId")}


def _delete_discussion_comment(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    comment = ctx.node(given["id"])
    if not isinstance(comment, Comment) or not comment.issue.is_discussion:
        raise Problem("NOT_FOUND", f"Could not resolve to DiscussionComment node '{given['id']}'")
    ctx.allow(comment.issue.repository, "write", "discussions")
    comment.delete()
    return {"comment": comment, "clientMutationId": given.get("clientMutationId")}


def _react(_: object, ctx: Context, args: Args) -> object:
    given = args["input"]
    comment = ctx.node(given["subjectId"])
    if not isinstance(comment, Comment):
        raise Problem(
            "NOT_FOUND", f"Could not resolve to a node with the global id of '{given['subjectId']}'"
        )
    ctx.allow(comment.issue.repository, "write", "issues", "pull_requests")
    reaction = given["content"], ctx.token.actor.login
    if reaction not in comment.reactions:
        comment.reactions.append(reaction)
    return {"subject": comment, "clientMutationId": given.get("clientMutationId")}


_QUERY: dict[str, Resolver] = {
    "repository": lambda _, ctx, args: ctx.repository(f"{args['owner']}/{args['name']}"),
    "node": lambda _, ctx, args: ctx.node(args["id"]),
    "nodes": _nodes,
    "repositoryOwner": _owner,
    "viewer": lambda _, ctx, __: ctx.token.actor,
    "rateLimit": _rate_limit,
}
_MUTATION: dict[str, Resolver] = {
    "addLabelsToLabelable": _relabel(Issue.add_labels),
    "removeLabelsFromLabelable": _relabel(Issue.remove_labels),
    "addComment": _add_comment,
    "updateIssueComment": _edit_comment,
    "deleteIssueComment": _delete_comment,
    "addReaction": _react,
    "updateDiscussion": _update_discussion,
    "addDiscussionComment": _add_discussion_comment,
    "updateDiscussionComment": _edit_discussion_comment,
    "deleteDiscussionComment": _delete_discussion_comment,
}
ROOTS = {"Query": _QUERY, "Mutation": _MUTATION}
