"""What GitHub's refusals mean, in words for the user.

AccessError
├── NotFound        the repository or object is not there, or the token may not see it
│   ├── IssueGone   the issue was deleted or transferred
│   ├── LabelGone   the label was deleted
│   └── NoneMatch   a pattern finds no repository
├── PartlyRead      some of several repositories; the exit code is that of the first one's failure
└── Rejected        GitHub understood the request and will not carry it out (409, 422)
UnavailableError
├── RateLimited     waiting would take longer than allowed
├── Overloaded      5xx, dropped connections and time limits, again and again
└── LostRace        somebody else moved the ref first
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus

from triage.errors import AccessError, TriageError, UnavailableError
from triage.github.response import TRANSIENT, Problem, Purpose, Response

MAX_SAID = 200
HEAVY = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}


class NotFound(AccessError):
    next_step = "check the spelling, and that the token's owner or App may see the repository"


class IssueGone(NotFound):
    """`moved_to` is the address of a transferred issue, empty for a deleted one."""

    next_step = "nothing to do: it is left out"

    def __init__(self, what: str, *, likely: str, moved_to: str = "") -> None:
        super().__init__(what, likely=likely)
        self.moved_to = moved_to


class LabelGone(NotFound):
    next_step = "run again: labels are read anew each time"


class NoneMatch(NotFound):
    likely = "a typing mistake, or a token that sees public repositories alone, as a workflow's own does"
    next_step = "correct the pattern, or use a token that may read the owner's repositories"


class PartlyRead(AccessError):
    """Some of several repositories cannot be read: `failures` by name. The exit code is that of the first."""

    def __init__(self, tried: int, failures: Mapping[str, TriageError]) -> None:
        first = next(iter(failures.values()))
        reasons = "".join(f"\n  {name}: {error.what}" for name, error in failures.items())
        super().__init__(
            f"{len(failures)} of {tried} repositories cannot be read, so nothing is learnt{reasons}",
            likely=first.likely,
            next_step="mend that, or take the repository out of `learn.repositories` (`!OWNER/NAME`) or --from; "
            "what was read of the others stays in the folder of --cache",
        )
        self.exit_code = first.exit_code


class Rejected(AccessError):
    """GitHub's words are in `said`."""

    likely = "a name, a reference or a state that GitHub does not allow"
    next_step = "see what GitHub says above"

    def __init__(self, what: str, *, said: str) -> None:
        super().__init__(what)
        self.said = said


class RateLimited(UnavailableError):
    """`retry_at` is the moment from which GitHub will answer again."""

    def __init__(self, what: str, *, likely: str, retry_at: datetime) -> None:
        step = f"run the job again after {retry_at:%Y-%m-%d %H:%M:%S} UTC, or raise `max_rate_limit_wait`"
        super().__init__(what, likely=likely, next_step=step)
        self.retry_at = retry_at


class Overloaded(UnavailableError):
    likely = "an outage of GitHub or of the network, or a request that is too much work for it"


def rate_limited(reply: Response, purpose: Purpose, *, wait: float, allowed: float) -> RateLimited:
    """The failure where the next wait would lead beyond what is `allowed`, both in seconds."""
    kind = "the hourly allowance is used up" if reply.spent else "too many requests within a short time"
    return RateLimited(
        f"cannot {purpose.doing}: GitHub asks to wait {wait:.0f} s, and {allowed:.0f} s of waiting are left",
        likely=f"{kind}, by this or another job with the same token",
        retry_at=reply.now + timedelta(seconds=wait),
    )


def failure(reply: Response, purpose: Purpose) -> TriageError:
    """What a reply that is no success means."""
    if reply.problems:
        return _graphql_failure(reply.problems, purpose)
    if reply.status in _MEANINGS:
        needs = _permissions(reply.headers.get("x-accepted-github-permissions", "")) or purpose.needs
        return _MEANINGS[reply.status](Purpose(purpose.doing, needs), reply.said)
    said = f"{_line(reply.said)} (status {reply.status})" if reply.status else _line(reply.said)
    if reply.transient:
        return Overloaded(f"cannot {purpose.doing}: {said}")
    return AccessError(f"cannot {purpose.doing}: {said}")


def _graphql_failure(problems: tuple[Problem, ...], purpose: Purpose) -> TriageError:
    types = {problem.type for problem in problems}
    said = "; ".join(dict.fromkeys(problem.message for problem in problems))
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return _forbidden(purpose, said)
    if "NOT_FOUND" in types:
        return _missing(purpose, said)
    if types & HEAVY or types <= TRANSIENT:
        return Overloaded(f"cannot {purpose.doing}: {_line(said)}")
    return _rejected(purpose, said)


def _bad_token(purpose: Purpose, said: str) -> AccessError:
    return AccessError(
        f"cannot {purpose.doing}: GitHub does not accept the token ({_line(said)})",
        likely="it has expired, was revoked or belongs to another host",
        next_step="check the `token` input and that GITHUB_API_URL names the token's host",
    )


def _forbidden(purpose: Purpose, said: str) -> AccessError:
    lacks = f"the token lacks the permission {purpose.needs}" if purpose.needs else None
    return AccessError(
        f"cannot {purpose.doing}: {_line(said)}",
        likely=lacks,
        next_step="grant it under `permissions:` in the workflow, or to the App or token" if lacks else None,
    )


def _missing(purpose: Purpose, said: str) -> NotFound:
    return NotFound(
        f"cannot {purpose.doing}: {_line(said)}",
        likely="it does not exist, or the token may not see it",
    )


def _gone(purpose: Purpose, said: str) -> AccessError:
    if "disabled" in said:
        return AccessError(
            f"cannot {purpose.doing}: {_line(said)}",
            likely="issues are switched off in the repository's settings",
            next_step="switch them on, or remove the workflow",
        )
    return IssueGone(f"cannot {purpose.doing}: {_line(said)}", likely="it was deleted")


def _rejected(purpose: Purpose, said: str) -> Rejected:
    return Rejected(f"cannot {purpose.doing}: {_line(said)}", said=said)


_MEANINGS: dict[int, Callable[[Purpose, str], TriageError]] = {
    HTTPStatus.UNAUTHORIZED: _bad_token,
    HTTPStatus.FORBIDDEN: _forbidden,
    HTTPStatus.NOT_FOUND: _missing,
    HTTPStatus.GONE: _gone,
    HTTPStatus.CONFLICT: _rejected,
    HTTPStatus.UNPROCESSABLE_ENTITY: _rejected,
}


def _permissions(header: str) -> str:
    """`issues=write; pull_requests=write` as "`issues: write` or `pull-requests: write`"."""
    ways = [re.findall(r"([a-z_]+)=([a-z]+)", way) for way in header.split(";")]
    spelt = [" and ".join(f"`{name.replace('_', '-')}: {level}`" for name, level in way) for way in ways]
    return " or ".join(filter(None, spelt))


def _line(said: str) -> str:
    return " ".join(said.split())[:MAX_SAID] or "no reason given"
