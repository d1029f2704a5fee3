"""The fields of GitHub's GraphQL types that take arguments or depend on who asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.fake_github.connection import Key, Problem, connection, moment
from tests.fake_github.context import Args, Context, Resolver, home
from tests.fake_github.issue import Comment, Event, Issue, Label
from tests.fake_github.render import stamp
from tests.fake_github.repository import Repository
from tests.fake_github.state import Actor

ITEM_TYPES = {
    "labeled": "LABELED_EVENT",
    "unlabeled": "UNLABELED_EVENT",
    "renamed": "RENAMED_TITLE_EVENT",
    "closed": "CLOSED_EVENT",
    "reopened": "REOPENED_EVENT",
    "locked": "LOCKED_EVENT",
    "assigned": "ASSIGNED_EVENT",
    "unassigned": "UNASSIGNED_EVENT",
    "review_requested": "REVIEW_REQUESTED_EVENT",
    "review_request_removed": "REVIEW_REQUEST_REMOVED_EVENT",
    "milestoned": "MILESTONED_EVENT",
    "commented": "ISSUE_COMMENT",
}


def _labels(owner: Repository | Issue, ctx: Context, args: Args) -> object:
    repository = home(owner)
    ctx.allow(repository, "read", "issues", "pull_requests")
    labels = list(owner.labels.values()) if isinstance(owner, Repository) else owner.labels
    wanted = (args.get("query") or "").casefold()
    found = [each for each in labels if wanted in f"{each.name} {each.description or ''}".casefold()]
    order = args.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    by_name: Callable[[Label], Key] = lambda label: (label.name, label.id)  # noqa: E731 - one of two keys
    by_age: Callable[[Label], Key] = lambda label: (label.id,)  # noqa: E731 - the other
    key = by_name if order["field"] == "NAME" else by_age
    return connection("labels", found, args, key, descending=order["direction"] == "DESC")


def _issues(repository: Repository, ctx: Context, args: Args, *, pulls: bool) -> object:
    ctx.allow(repository, "read", "pull_requests" if pulls else "issues")
    wanted = args.get("filterBy") or {}
    states = args.get("states") or wanted.get("states")
    names = {name.casefold() for name in args.get("labels") or wanted.get("labels") or ()}
    since = datetime.fromisoformat(wanted.get("since") or "0001-01-01T00:00:00Z")
    found = [
        issue
        for issue in repository.issues.values()
        if issue.is_pull == pulls and not issue.gone and not issue.is_discussion
        if not states or issue.state.upper() in states
        if not names or names & {name.casefold() for name in issue.label_names}
        if issue.updated_at.replace(microsecond=0) >= since
        if not wanted.get("assignee") or wanted["assignee"] in issue.people
    ]
    order = args.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    keys: dict[str, Callable[[Issue], Key]] = {
        "CREATED_AT": lambda issue: (moment(issue.created_at), issue.number),
        "UPDATED_AT": lambda issue: (moment(issue.updated_at), issue.number),
        "COMMENTS": lambda issue: (len(issue.comments), issue.number),
    }
    name, descending = "pullRequests" if pulls else "issues", order["direction"] == "DESC"
    return connection(name, found, args, keys[order["field"]], descending=descending)


def _numbered(repository: Repository, ctx: Context, args: Args, what: str, pulls: set[bool]) -> Issue:
    ctx.allow(repository, "read", "issues", "pull_requests")
    issue = repository.issues.get(args["number"])
    if issue is None or issue.gone or issue.is_discussion or issue.is_pull not in pulls:
        raise Problem("NOT_FOUND", f"Could not resolve to {what} with the number of {args['number']}.")
    return issue


def _discussion(repository: Repository, ctx: Context, args: Args) -> Issue:
    ctx.allow(repository, "read", "discussions")
    found = repository.issues.get(args["number"])
    if found is None or found.gone or not found.is_discussion:
        raise Problem("NOT_FOUND", f"Could not resolve to a Discussion with the number of {args['number']}.")
    return found


def _discussions(repository: Repository, ctx: Context, args: Args) -> object:
    ctx.allow(repository, "read", "discussions")
    states, order = args.get("states"), args["orderBy"]
    found = [
        each
        for each in repository.issues.values()
        if each.is_discussion and not each.gone and (not states or each.state.upper() in states)
    ]
    keys: dict[str, Callable[[Issue], Key]] = {
        "CREATED_AT": lambda each: (moment(each.created_at), each.number),
        "UPDATED_AT": lambda each: (moment(each.updated_at), each.number),
    }
    descending = order["direction"] == "DESC"
    return connection("discussions", found, args, keys[order["field"]], descending=descending)


def _timeline(issue: Issue, _: Context, args: Args) -> object:
    wanted, since = args.get("itemTypes"), args.get("since")
    items: list[Event | Comment] = [*issue.events, *issue.comments]
    kinds = [item for item in items if wanted is None or ITEM_TYPES.get(item.kind) in wanted]
    if since:
        kinds = [event for event in kinds if event.at >= datetime.fromisoformat(since)]
    found = connection("timelineItems", kinds, args, lambda event: (moment(event.at), event.id))
    size = args.get("first") or args.get("last") or 1
    counts = {"totalCount": len(items), "filteredCount": len(kinds)}
    return found | counts | {"pageCount": math.ceil(len(kinds) / size), "updatedAt": stamp(issue.updated_at)}


def _edits(issue: Issue | Comment, _: Context, args: Args) -> object:
    entries: list[dict[str, Any]] = [
        {
            "id": f"UCE_{issue.id}_{n}",
            "editedAt": stamp(edit.at),
            "at": edit.at,
            "n": n,
            "diff": edit.body,
            "editor": edit.editor,
        }
        for n, edit in enumerate(issue.edits)
    ]
    return connection("userContentEdits", entries, args, lambda e: (moment(e["at"]), e["n"]), descending=True)


def _files(issue: Issue, ctx: Context, args: Args) -> object:
    ctx.allow(issue.repository, "read", "pull_requests", "contents")
    nodes = [{"path": path} for path in issue.files]
    return connection("files", nodes, args, lambda node: (node["path"],))


def _comments(issue: Issue, _: Context, args: Args) -> object:
    return connection("comments", issue.comments, args, lambda comment: (comment.id,))


def _categories(repository: Repository, ctx: Context, args: Args) -> object:
    ctx.allow(repository, "read", "discussions")
    found = list(repository.categories.values())
    return connection("discussionCategories", found, args, lambda category: (category.id,))


def _assignees(issue: Issue, _: Context, args: Args) -> object:
    return connection("assignees", issue.assignees, args, lambda actor: (actor.id,))


def _requests(issue: Issue, _: Context, args: Args) -> object:
    order = {reviewer: n for n, reviewer in enumerate(issue.reviewers)}
    return connection("reviewRequests", issue.reviewers, args, lambda reviewer: (order[reviewer],))


def _url(issue: Issue, ctx: Context, _: Args) -> str:
    return f"{ctx.base_url}/{issue.repository.full_name}/issues/{issue.number}"


def _can_label(_: Issue, ctx: Context, __: Args) -> bool:
    return ctx.token.may("issues", "write")


def _wrote(comment: Comment, ctx: Context, _: Args) -> bool:
    return comment.author == ctx.token.actor


def _page(owner: Repository | Actor, ctx: Context, _: Args) -> str:
    return f"{ctx.base_url}/{owner.full_name if isinstance(owner, Repository) else owner.login}"


def _repositories(owner: Actor, ctx: Context, args: Args) -> object:
    order = args.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    keys: dict[str, Callable[[Repository], Key]] = {
        "NAME": lambda repository: (repository.full_name.casefold(), repository.id),
        "CREATED_AT": lambda repository: (moment(repository.created_at), repository.id),
    }
    prefix = f"{owner.login.casefold()}/"
    found = [
        repository
        for name, repository in ctx.world.repositories.items()
        if name.startswith(prefix) and (not repository.private or ctx.token.sees(repository.full_name))
    ]
    descending = order["direction"] == "DESC"
    return connection("repositories", found, args, keys[order["field"]], descending=descending)


def _label(repository: Repository, _: Context, args: Args) -> Label | None:
    return repository.labels.get(args["name"].casefold())


def _list(pulls: bool) -> Resolver:
    return lambda repository, ctx, args: _issues(repository, ctx, args, pulls=pulls)


def _one(what: str, *pulls: bool) -> Resolver:
    return lambda repository, ctx, args: _numbered(repository, ctx, args, what, set(pulls))


_ISSUE: dict[str, Resolver] = {
    "url": _url,
    "labels": _labels,
    "timelineItems": _timeline,
    "userContentEdits": _edits,
    "comments": _comments,
    "assignees": _assignees,
    "viewerCanLabel": _can_label,
}
CALLS: dict[str, dict[str, Resolver]] = {
    "Repository": {
        "url": _page,
        "labels": _labels,
        "label": _label,
        "discussion": _discussion,
        "discussions": _discussions,
        "discussionCategories": _categories,
        "issues": _list(pulls=False),
        "pullRequests": _list(pulls=True),
        "issue": _one("an Issue", False),
        "pullRequest": _one("a PullRequest", True),
        "issueOrPullRequest": _one("an issue or pull request", False, True),
    },
    "Issue": _ISSUE,
    "Discussion": {name: call for name, call in _ISSUE.items() if name not in ("timelineItems", "assignees")},
    "PullRequest": _ISSUE | {"reviewRequests": _requests, "files": _files},
    "User": {"url": _page, "repositories": _repositories},
    "Bot": {"url": _page},
    "IssueComment": {"viewerDidAuthor": _wrote, "userContentEdits": _edits},
    "DiscussionComment": {"viewerDidAuthor": _wrote},
}
