"""The state as the JSON that REST sends, with every key that the published description requires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from tests.fake_github.issue import Comment, Event, Issue, IssueType, Label
from tests.fake_github.repository import Repository
from tests.fake_github.state import ROLES, Actor, Token
from tests.fake_github.wire import Json

Object = dict[str, Json]
_USER_URLS = "followers following gists starred subscriptions organizations repos events received_events"
_REPO_URLS = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors "
    "deployments downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events "
    "issues keys labels languages merges milestones notifications pulls releases stargazers statuses "
    "subscribers subscription tags teams trees git clone ssh svn"
)
_REPO_COUNTS = (
    "forks forks_count open_issues open_issues_count size stargazers_count watchers watchers_count "
    "network_count subscribers_count"
)
_PROFILE = "bio blog company email hireable location name"


def stamp(moment: datetime) -> str:
    """As GitHub writes a moment: to the second, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Render:
    """Renders against the address that the request came by, since the JSON is full of links."""

    base_url: str

    def user(self, actor: Actor | None) -> Json:
        """`simple-user`; None for an account that was deleted."""
        if actor is None:
            return None
        url = f"{self.base_url}/users/{actor.login}"
        links: Object = {f"{name}_url": f"{url}/{name}" for name in _USER_URLS.split()}
        links |= {"url": url, "html_url": url, "avatar_url": url, "gravatar_id": ""}
        return links | {
            "login": actor.login,
            "id": actor.id,
            "node_id": actor.node_id,
            "type": actor.kind,
            "site_admin": False,
        }

    def profile(self, actor: Actor, since: datetime) -> Json:
        """`public-user`, the answer to GET /user."""
        user = self.user(actor)
        if not isinstance(user, dict):
            raise TypeError("a profile belongs to an account")
        user |= dict.fromkeys(_PROFILE.split())
        user |= dict.fromkeys(("followers", "following", "public_gists", "public_repos"), 0)
        return user | {"created_at": stamp(since), "updated_at": stamp(since), "user_view_type": "public"}

    def permission(self, repository: Repository, actor: Actor) -> Json:
        """`repository-collaborator-permission`: the role, and the older permission that contains it."""
        role = repository.role(actor)
        older = {"triage": "read", "maintain": "write"}.get(role, role)
        user = self.user(actor)
        if isinstance(user, dict):
            rank = ROLES.index(role)
            names = {
                "read": "pull",
                "triage": "triage",
                "write": "push",
                "maintain": "maintain",
                "admin": "admin",
            }
            user["permissions"] = {name: rank >= ROLES.index(least) for least, name in names.items()}
            user["role_name"] = role
        return {"permission": older, "role_name": role, "user": user}

    def repo_url(self, repository: Repository) -> str:
        """The address of a repository."""
        return f"{self.base_url}/repos/{repository.full_name}"

    def repository(self, repository: Repository, token: Token | None) -> Json:
        """`full-repository`, with what the token may do."""
        owner, _, name = repository.full_name.partition("/")
        url = self.repo_url(repository)
        body: Object = {f"{part}_url": f"{url}/{part}" for part in _REPO_URLS.split()}
        body |= dict.fromkeys(_REPO_COUNTS.split(), 0)
        body |= {
            f"has_{part}": True
            for part in ("issues", "projects", "wiki", "pages", "discussions", "downloads")
        }
        body |= dict.fromkeys(("description", "homepage", "language", "mirror_url", "license"))
        body |= dict.fromkeys(("fork", "archived", "disabled"), False)
        body |= {moment: stamp(repository.created_at) for moment in ("created_at", "updated_at", "pushed_at")}
        visibility = "private" if repository.private else "public"
        body |= {"private": repository.private, "visibility": visibility, "url": url, "html_url": url}
        body |= {"id": repository.id, "node_id": repository.node_id, "full_name": repository.full_name}
        body |= {"name": name, "default_branch": repository.default_branch}
        body["owner"] = self.user(repository.world.actor(owner))
        if token:
            push, triage = token.may("contents", "write"), token.may("issues", "write")
            may: Object = {"admin": False, "maintain": False, "push": push, "triage": triage, "pull": True}
            body["permissions"] = may
        return body

    def label(self, label: Label) -> Object:
        """`label`."""
        return {
            "id": label.id,
            "node_id": label.node_id,
            "url": f"{self.repo_url(label.repository)}/labels/{quote(label.name, safe='')}",
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "default": False,
        }

    def type(self, kind: IssueType) -> Object:
        """`issue-type`."""
        return {
            "id": kind.id,
            "node_id": f"IT_{kind.id}",
            "name": kind.name,
            "description": kind.description,
            "is_enabled": kind.enabled,
        }

    def issue_url(self, issue: Issue) -> str:
        """The address of an issue."""
        return f"{self.repo_url(issue.repository)}/issues/{issue.number}"

    def issue(self, issue: Issue) -> Json:
        """`issue`; a pull request carries `pull_request`."""
        url = self.issue_url(issue)
        page = f"{self.base_url}/{issue.repository.full_name}/issues/{issue.number}"
        body: Object = {f"{part}_url": f"{url}/{part}" for part in ("comments", "events", "labels")}
        body |= {"url": url, "html_url": page, "repository_url": self.repo_url(issue.repository)}
        body |= dict.fromkeys(("assignee", "milestone", "closed_at", "active_lock_reason"))
        body |= {"id": issue.id, "node_id": issue.node_id, "number": issue.number}
        body["assignees"] = [self.user(actor) for actor in issue.assignees]
        body |= {"title": issue.title, "body": issue.body, "state": issue.state, "locked": issue.locked}
        body |= {"user": self.user(issue.author), "author_association": "NONE"}
        body |= {"labels": [self.label(label) for label in issue.labels], "comments": len(issue.comments)}
        body |= {"created_at": stamp(issue.created_at), "updated_at": stamp(issue.updated_at)}
        if issue.repository.types:
            body["type"] = self.type(issue.type) if issue.type else None
        if issue.is_pull:
            pull = f"{self.repo_url(issue.repository)}/pulls/{issue.number}"
            body["pull_request"] = dict.fromkeys(("url", "html_url", "diff_url", "patch_url"), pull)
        return body

    def pull(self, pull: Issue) -> Json:
        """`pull-request-simple`; its branches are of this repository."""
        issue = self.issue(pull)
        if not isinstance(issue, dict):
            raise TypeError("an issue is an object")
        url, home = f"{self.repo_url(pull.repository)}/pulls/{pull.number}", pull.repository
        link: Json = {"href": url}
        rels = (
            "comments",
            "commits",
            "statuses",
            "html",
            "issue",
            "review_comments",
            "review_comment",
            "self",
        )
        branch: Object = {"label": "main", "ref": "main", "sha": "0" * 40, "user": self.user(pull.author)}
        branch["repo"] = self.repository(home, None)
        # Here a label without a description has an empty one.
        labels = [self.label(label) | {"description": label.description or ""} for label in pull.labels]
        teams = [name for name in pull.reviewers if isinstance(name, str)]
        body = issue | {"url": url, "diff_url": url, "patch_url": url, "issue_url": self.issue_url(pull)}
        body |= {f"{name}_url": url for name in ("commits", "review_comment", "review_comments", "statuses")}
        body |= {"_links": dict.fromkeys(rels, link), "head": branch, "base": branch}
        body |= dict.fromkeys(("auto_merge", "merged_at", "merge_commit_sha"))
        body["labels"] = [*labels]
        body["requested_reviewers"] = [self.user(r) for r in pull.reviewers if isinstance(r, Actor)]
        body["requested_teams"] = [self._team(name) for name in teams]
        return body

    def _team(self, name: str) -> Json:
        slug = name.partition("/")[2]
        urls: Object = dict.fromkeys(("url", "members_url", "html_url", "repositories_url"), self.base_url)
        about: Object = {
            "name": slug,
            "slug": slug,
            "description": None,
            "permission": "pull",
            "parent": None,
        }
        return urls | about | {"id": len(name), "node_id": f"T_{name}", "type": "organization"}

    def comment(self, comment: Comment) -> Json:
        """`issue-comment`."""
        url = f"{self.repo_url(comment.issue.repository)}/issues/comments/{comment.id}"
        return {
            "id": comment.id,
            "node_id": comment.node_id,
            "url": url,
            "html_url": url,
            "issue_url": self.issue_url(comment.issue),
            "body": comment.body,
            "user": self.user(comment.author),
            "author_association": "NONE",
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
        }

    def event(self, event: Event) -> Object:
        """An entry of an issue's events or timeline."""
        body: Object = {
            "id": event.id,
            "node_id": event.node_id,
            "url": f"{self.repo_url(event.issue.repository)}/issues/events/{event.id}",
            "actor": self.user(event.actor),
            "event": event.kind,
            "commit_id": None,
            "commit_url": None,
            "created_at": stamp(event.at),
            "performed_via_github_app": self._app(event.app, event) if event.app else None,
        }
        if event.kind == "locked":
            body["lock_reason"] = None
        if event.label:
            body["label"] = {"name": event.label.name, "color": event.label.color}
        if event.kind in ("assigned", "unassigned") and isinstance(event.whom, Actor):
            body["assignee"], body["assigner"] = self.user(event.whom), self.user(event.actor)
        for key, kind in zip(("prev_issue_type", "issue_type"), event.types or (), strict=False):
            if kind:
                body[key] = {"id": kind.id, "name": kind.name, "color": None}
        if event.titles:
            body["rename"] = {"from": event.titles[0], "to": event.titles[1]}
        return body

    def _app(self, slug: str, event: Event) -> Json:
        owner = event.issue.repository.world.actor(slug)
        return {
            "id": owner.id,
            "slug": slug,
            "node_id": f"A_{owner.id}",
            "owner": self.user(owner),
            "name": slug,
            "description": None,
            "external_url": f"{self.base_url}/apps/{slug}",
            "html_url": f"{self.base_url}/apps/{slug}",
            "created_at": stamp(event.at),
            "updated_at": stamp(event.at),
            "permissions": {"issues": "write"},
            "events": [],
        }
