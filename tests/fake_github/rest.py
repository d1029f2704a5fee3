"""REST over labels, issues, events and comments, with GitHub's habits, the dangerous ones included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tests.fake_github.call import Call, route
from tests.fake_github.issue import Comment, Event, Issue, Label
from tests.fake_github.state import ROLES
from tests.fake_github.wire import Json, Refusal, Reply

REPO = "/repos/{owner}/{repo}"
ISSUE = f"{REPO}/issues/{{issue_number}}"
MOST_ASSIGNEES = 10


@route("GET", "/user")
def get_user(call: Call) -> Reply:
    """An app's token has no user: 403."""
    if call.token is None:
        raise Refusal(401, "Requires authentication")
    if call.token.actor.kind == "Bot":
        raise Refusal(403, call.token.refusal)
    return Reply(200, call.render.profile(call.token.actor, call.world.clock.now))


@route("GET", "/meta")
def get_meta(call: Call) -> Reply:
    """Of the server itself; only GitHub Enterprise Server says its version."""
    version = call.world.enterprise_version
    told: dict[str, Json] = {"verifiable_password_authentication": False}
    return Reply(200, {**told, **({"installed_version": version} if version else {})})


@route("GET", "/app")
def get_app(_: Call) -> Reply:
    """Only a JSON web token may ask this."""
    raise Refusal(401, "A JSON web token could not be decoded")


@route("GET", REPO)
def get_repository(call: Call) -> Reply:
    """The repository."""
    return Reply(200, call.render.repository(call.repository("metadata", "read"), call.token))


@route("GET", f"{REPO}/collaborators/{{username}}/permission")
def get_permission(call: Call) -> Reply:
    """What an account may do; 404 for one that does not exist."""
    repository, login = call.repository("metadata", "read"), call.args["username"]
    actor = next((a for a in call.world.actors.values() if a.login.casefold() == login.casefold()), None)
    if actor is None:
        raise Refusal(404, f"{login} is not a user")
    return Reply(200, call.render.permission(repository, actor))


@route("GET", f"{REPO}/labels")
def list_labels(call: Call) -> Reply:
    """Every label of the repository."""
    return call.page(call.repository("issues", "read").labels.values(), call.render.label)


@route("POST", f"{REPO}/labels")
def create_label(call: Call) -> Reply:
    """A new label; 422 where one of that name exists in any case."""
    repository, name = call.repository("issues", "write"), call.text("name")
    if name.casefold() in repository.labels:
        raise Refusal(422, "Validation Failed")
    color, description = call.body.get("color"), call.body.get("description")
    label = repository.add_label(name, description if isinstance(description, str) else None)
    label.color = color if isinstance(color, str) else label.color
    return Reply(201, call.render.label(label))


@route("GET", f"{REPO}/labels/{{name}}")
def get_label(call: Call) -> Reply:
    """One label by name."""
    label = call.repository("issues", "read").labels.get(call.args["name"].casefold())
    if label is None:
        raise Refusal(404, "Not Found")
    return Reply(200, call.render.label(label))


@route("GET", f"{REPO}/issues")
def list_issues(call: Call) -> Reply:
    """Issues and pull requests alike, filtered and sorted as asked."""
    query = call.request.query
    since = datetime.fromisoformat(query.get("since", "0001-01-01T00:00:00Z"))
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    state, names = query.get("state", "open"), {n.casefold() for n in query.get("labels", "").split(",") if n}
    found = [
        issue
        for issue in call.repository("issues", "read").issues.values()
        if not issue.gone and not issue.is_discussion
        if issue.updated_at.replace(microsecond=0) >= since
        if state in ("all", issue.state) and names <= {name.casefold() for name in issue.label_names}
    ]
    orders: dict[str, Callable[[Issue], tuple[datetime | int, int]]] = {
        "created": lambda issue: (issue.created_at, issue.number),
        "updated": lambda issue: (issue.updated_at, issue.number),
        "comments": lambda issue: (len(issue.comments), issue.number),
    }
    found.sort(key=orders[query.get("sort", "created")], reverse=query.get("direction", "desc") == "desc")
    return call.page(found, call.render.issue)


@route("GET", ISSUE)
def get_issue(call: Call) -> Reply:
    """One issue."""
    return Reply(200, call.render.issue(call.issue("read")))


@route("PATCH", ISSUE)
def edit_issue(call: Call) -> Reply:
    """Only its type: 422 for an unknown one, and passed over in silence without write access."""
    issue, name = call.issue("write"), call.body.get("type")
    if name is not None and (not isinstance(name, str) or name.casefold() not in issue.repository.types):
        raise Refusal(422, "Validation Failed")
    token = call.token
    if token and (token.actor.kind == "Bot" or issue.repository.role(token.actor) in ROLES[-3:]):
        issue.set_type(name, token.actor.login, app=_app(call))
    return Reply(200, call.render.issue(issue))


@route("GET", f"{REPO}/issue-types")
def list_issue_types(call: Call) -> Reply:
    """Those of the organisation; GitHub Enterprise Server does not list them."""
    repository = call.repository("metadata", "read")
    if call.world.enterprise_version:
        raise Refusal(404, "Not Found")
    return Reply(200, [call.render.type(kind) for kind in repository.types.values()])


@route("GET", f"{ISSUE}/labels")
def list_issue_labels(call: Call) -> Reply:
    """The labels of an issue."""
    return call.page(call.issue("read").labels, call.render.label)


@route("POST", f"{ISSUE}/labels")
def add_issue_labels(call: Call) -> Reply:
    """Adds, creates what does not exist, and on an empty list removes them all; what is to be suggested is kept apart.

    GitHub Enterprise Server does not know `suggest`, and sets the label.
    """
    issue, suggested = call.issue("write"), _suggested(call)
    keep = issue.labels if _names(call) or suggested else []
    issue.suggestions += [each for each in suggested if each not in issue.suggestions]
    return _set_labels(call, issue, keep=list(keep))


@route("PUT", f"{ISSUE}/labels")
def replace_issue_labels(call: Call) -> Reply:
    """Replaces the whole set, creating what does not exist."""
    return _set_labels(call, call.issue("write"), keep=[])


@route("DELETE", f"{ISSUE}/labels")
def clear_issue_labels(call: Call) -> Reply:
    """Removes every label."""
    issue = call.issue("write")
    issue.remove_labels(issue.label_names, _login(call), app=_app(call))
    return Reply(204)


@route("DELETE", f"{ISSUE}/labels/{{name}}")
def remove_issue_label(call: Call) -> Reply:
    """Removes one label; 404 where the issue does not have it."""
    issue, name = call.issue("write"), call.args["name"].casefold()
    if name not in {label.name.casefold() for label in issue.labels}:
        raise Refusal(404, "Label does not exist")
    issue.remove_labels([name], _login(call), app=_app(call))
    return Reply(200, [call.render.label(label) for label in issue.labels])


def _set_labels(call: Call, issue: Issue, keep: list[Label]) -> Reply:
    names, repository = _names(call), issue.repository
    for name in names:
        if name.casefold() not in repository.labels:
            repository.add_label(name)
    wanted = [label.name for label in keep] + names
    folded = {name.casefold() for name in wanted}
    unwanted = [name for name in issue.label_names if name.casefold() not in folded]
    issue.remove_labels(unwanted, _login(call), app=_app(call))
    issue.add_labels(wanted, _login(call), app=_app(call))
    return Reply(200, [call.render.label(label) for label in issue.labels])


def _names(call: Call) -> list[str]:
    body = call.request.body
    listed = body.get("labels") if isinstance(body, dict) else body
    listed = [listed] if isinstance(listed, str) else listed
    if not isinstance(listed, list):
        raise Refusal(422, "Validation Failed")
    apart = {name for name, _, _ in _suggested(call)}
    names = [item.get("name") if isinstance(item, dict) else item for item in listed]
    return [name for name in names if isinstance(name, str) and name not in apart]


def _suggested(call: Call) -> list[tuple[str, str, str]]:
    body = call.request.body
    listed = body.get("labels") if isinstance(body, dict) else body
    if call.world.enterprise_version or not isinstance(listed, list):
        return []
    return [
        (str(item["name"]), str(item.get("confidence", "")), str(item.get("rationale", "")))
        for item in listed
        if isinstance(item, dict) and item.get("suggest") is True
    ]


def _login(call: Call) -> str:
    if call.token is None:
        raise Refusal(401, "Requires authentication")
    return call.token.actor.login


def _app(call: Call) -> str | None:
    return call.token.app if call.token else None


@route("GET", f"{ISSUE}/(events|timeline)")
def list_events(call: Call) -> Reply:
    """What happened to the issue, oldest first."""
    return call.page(call.issue("read").events, call.render.event)


@route("GET", f"{REPO}/issues/events")
def list_all_events(call: Call) -> Reply:
    """What happened to any issue, newest first."""
    issues = call.repository("issues", "read", "pull_requests").issues.values()
    events = [event for issue in issues if not issue.gone for event in issue.events]
    return call.page(sorted(events, key=lambda event: (event.at, event.id), reverse=True), _with_issue(call))


@route("GET", f"{REPO}/issues/events/{{event_id}}")
def get_event(call: Call) -> Reply:
    """One event."""
    call.repository("issues", "read", "pull_requests")
    event = call.world.nodes.get(f"EV_{call.args['event_id']}")
    if not isinstance(event, Event):
        raise Refusal(404, "Not Found")
    return Reply(200, _with_issue(call)(event))


def _with_issue(call: Call) -> Callable[[Event], Json]:
    return lambda event: call.render.event(event) | {"issue": call.render.issue(event.issue)}


@route("GET", f"{ISSUE}/comments")
def list_comments(call: Call) -> Reply:
    """Comments, oldest first."""
    return call.page(call.issue("read").comments, call.render.comment)


@route("POST", f"{ISSUE}/comments")
def create_comment(call: Call) -> Reply:
    """A new comment."""
    return Reply(201, call.render.comment(call.issue("write").comment(call.text("body"), _login(call))))


@route("PATCH", f"{REPO}/issues/comments/{{comment_id}}")
def edit_comment(call: Call) -> Reply:
    """Rewrites a comment."""
    call.repository("issues", "write", "pull_requests")
    comment = call.world.nodes.get(f"IC_{call.args['comment_id']}")
    if not isinstance(comment, Comment):
        raise Refusal(404, "Not Found")
    comment.edit(call.text("body"), _login(call))
    return Reply(200, call.render.comment(comment))


@route("GET", f"{REPO}/assignees/{{assignee}}")
def check_assignee(call: Call) -> Reply:
    """204 for those with access, 404 for others."""
    repository, login = call.repository("metadata", "read"), call.args["assignee"].casefold()
    if login not in {name.casefold() for name in repository.roles}:
        raise Refusal(404, "Not Found")
    return Reply(204)


@route("POST", f"{ISSUE}/assignees")
def add_assignees(call: Call) -> Reply:
    """Up to ten; those who cannot be assigned are passed over in silence."""
    return _assign(call, off=False, status=201)


@route("DELETE", f"{ISSUE}/assignees")
def remove_assignees(call: Call) -> Reply:
    """Takes them off; those who are not assigned are passed over."""
    return _assign(call, off=True, status=200)


def _assign(call: Call, *, off: bool, status: int) -> Reply:
    issue, listed = call.issue("write"), _strings(call, "assignees")
    there = {login.casefold(): login for login in issue.repository.roles}
    for login in [there[name.casefold()] for name in listed if name.casefold() in there]:
        if off or len(issue.assignees) < MOST_ASSIGNEES:
            issue.assign(_login(call), login, off=off, app=_app(call))
    return Reply(status, call.render.issue(issue))


def _strings(call: Call, key: str) -> list[str]:
    listed = call.body.get(key, [])
    if not isinstance(listed, list):
        raise Refusal(422, "Validation Failed")
    return [item for item in listed if isinstance(item, str)]


@route("POST", f"{REPO}/pulls/{{issue_number}}/requested_reviewers")
def request_reviewers(call: Call) -> Reply:
    """Of people and teams; 422 for all where one has no access, and for the author."""
    return _request(call, off=False, status=201)


@route("DELETE", f"{REPO}/pulls/{{issue_number}}/requested_reviewers")
def remove_reviewers(call: Call) -> Reply:
    """Withdraws requests."""
    return _request(call, off=True, status=200)


def _request(call: Call, *, off: bool, status: int) -> Reply:
    home = call.repository("pull_requests", "write")
    pull = home.issues.get(int(call.args["issue_number"]))
    if pull is None or not pull.is_pull:
        raise Refusal(404, "Not Found")
    org = home.full_name.partition("/")[0]
    people, teams = _strings(call, "reviewers"), [f"{org}/{s}" for s in _strings(call, "team_reviewers")]
    if not {*people, *teams} <= {*home.roles, *home.teams}:
        raise Refusal(422, "Reviews may only be requested from collaborators. One or more is not one.")
    if pull.author and pull.author.login in people:
        raise Refusal(422, "Review cannot be requested from pull request author.")
    pull.request_review(_login(call), *people, *teams, off=off, app=_app(call))
    return Reply(status, call.render.pull(pull))
