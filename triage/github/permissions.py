"""What the token, and other accounts, may do in a repository; found out without writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from triage.errors import AccessError
from triage.github.errors import NotFound, Rejected, Unreachable
from triage.github.http import METADATA, READ, read_list
from triage.schema import part

if TYPE_CHECKING:
    from triage.github.client import Tracker


@dataclass(frozen=True)
class Permissions:
    """What the token may do in the repository; None where GitHub does not say."""

    read_issues: bool
    write_labels: bool | None
    read_contents: bool


def permissions_of(tracker: Tracker) -> Permissions:
    """The token's permissions."""
    read_issues, write_labels = _issue_permissions(tracker)
    return Permissions(read_issues, write_labels, _may_read_contents(tracker))


def may_triage(tracker: Tracker, login: str) -> bool:
    """Whether the account has at least the role triage, by itself, a team or the organisation."""
    path, doing = f"/collaborators/{quote(login, safe='')}/permission", "look up what an account may do"
    try:
        answer = tracker.rest("GET", path, doing, METADATA)
    except NotFound:
        return False
    may = (part(answer, f"user.permissions.{name}") for name in ("triage", "push", "maintain", "admin"))
    return True in may or part(answer, "permission") in ("write", "admin")


def can_be_assigned(tracker: Tracker, login: str) -> bool:
    """Whether issues of the repository can be assigned to the account."""
    path = f"/assignees/{quote(login, safe='')}"
    try:
        tracker.rest("GET", path, "look up who can be assigned", METADATA)
    except NotFound:
        return False
    return True


def _issue_permissions(tracker: Tracker) -> tuple[bool, bool | None]:
    """Whether issues can be read and labelled."""
    try:
        answer = tracker.graphql("CanLabel", tracker.owner_and_name, f"list issues in {tracker.repo}", READ)
    except Unreachable:
        raise
    except AccessError:
        return False, False
    # GitHub reports it only for an issue: without issues it is unknown.
    newest = read_list(bool, answer, "data.repository.issues.nodes.*.allowed")
    return True, newest[0] if newest else None


def _may_read_contents(tracker: Tracker) -> bool:
    branch = quote(tracker.repository.default_branch or "main")
    try:
        tracker.rest("GET", f"/git/ref/heads/{branch}", "read the default branch", "`contents: read`")
    except (NotFound, Rejected):
        # An empty repository.
        return True
    except Unreachable:
        raise
    except AccessError:
        return False
    return True
