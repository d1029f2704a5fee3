"""Whom an issue or pull request involves on GitHub: its assignees, the reviewers it waits for, and who chose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from triage.errors import TriageError
from triage.github.graphql import DELETED, GHOST, Account, Operation
from triage.github.http import READ, WRITE, read, read_list
from triage.issue import fold, folded
from triage.schema import nested

if TYPE_CHECKING:
    from triage.github.client import Tracker

REVIEW = "`pull-requests: write`"
ADDED = {"AssignedEvent", "ReviewRequestedEvent"}


@dataclass(frozen=True)
class Involvement:
    """`whom` (a login, or `org/team`) was assigned or asked for a review (`added`), or taken off, by `actor`."""

    whom: str
    added: bool
    actor: str


@dataclass(frozen=True)
class Involved:
    """Who is involved `now`, and the newest `events` by which accounts and teams came and went, oldest first.

    `load` is the number of open issues that are assigned to each of the accounts asked about, by login.
    """

    now: tuple[str, ...] = ()
    events: tuple[Involvement, ...] = ()
    load: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class InvolvementNode:
    type: str
    actor: Account = DELETED
    whom: str = nested("whom.login", GHOST)


@dataclass(frozen=True)
class ReviewerNode:
    """Without a login, a team that the token may not see."""

    login: str = nested("whom.login", "")


@dataclass(frozen=True)
class InvolvedNode:
    assignees: tuple[str, ...] = nested("assignees.nodes.*.login")
    timeline: tuple[InvolvementNode, ...] = nested("timeline.nodes")
    reviewers: tuple[ReviewerNode, ...] = nested("reviews.nodes", ())


def read_involved(tracker: Tracker, node_id: str, load_of: Sequence[str] = ()) -> Involved:
    """Whom an issue or pull request involves, and how busy these accounts are; one request."""
    owner, _, name = tracker.repository.name.partition("/")
    asked = [Operation("Involved", {"id": node_id})]
    asked += [Operation("Load", {"owner": owner, "name": name, "login": login}) for login in load_of]
    answers = tracker.graphql_together(asked, f"read whom an issue in {tracker.repo} involves", READ)
    for answer in answers:
        if isinstance(answer, TriageError):
            raise answer
    node, *loads = answers
    found = read(InvolvedNode, node)
    events = (Involvement(n.whom, n.type in ADDED, n.actor.name) for n in found.timeline)
    load = (read(int, answer, "issues.total") for answer in loads)
    now = (*found.assignees, *(reviewer.login for reviewer in found.reviewers if reviewer.login))
    return Involved(now, tuple(events), dict(zip(load_of, load, strict=True)))


def assign(tracker: Tracker, number: int, logins: Sequence[str], *, off: bool = False) -> tuple[str, ...]:
    """Assign accounts to an issue, or take them `off`; returns those with whom that was done.

    GitHub passes over accounts without access to the repository in silence.
    """
    verb, doing = ("DELETE", "take assignees off an issue") if off else ("POST", "assign an issue")
    path, body = f"/issues/{number}/assignees", {"assignees": list(logins)}
    answer = tracker.rest(verb, path, doing, WRITE, body=body)
    there = folded(read_list(str, answer, "assignees.*.login"))
    return tuple(login for login in logins if (fold(login) in there) is not off)


def request_reviews(tracker: Tracker, number: int, whom: Sequence[str], *, off: bool = False) -> None:
    """Ask accounts, or teams (`org/team`), to review a pull request, or withdraw that (`off`).

    Raises Rejected where one of them has no access.
    """
    verb, doing = ("DELETE", "withdraw a request for a review") if off else ("POST", "ask for a review")
    people = [one for one in whom if "/" not in one]
    teams = [one.partition("/")[2] for one in whom if "/" in one]
    path, body = f"/pulls/{number}/requested_reviewers", {"reviewers": people, "team_reviewers": teams}
    tracker.rest(verb, path, doing, REVIEW, body=body)
