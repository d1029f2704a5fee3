"""The failures of requests to GitHub, and what each of GitHub's refusals means for the user.

AccessError
├── NotFound        the repository or object does not exist, or the token cannot see it
│   ├── IssueGone   the issue was deleted or transferred
│   ├── LabelGone   the label was deleted
│   └── NoneMatch   a pattern matches no repository
├── PartlyRead      some of several repositories cannot be read; the exit code is that of the first failure
├── Rejected        GitHub understood the request and refuses it (409, 422)
└── RefRefused      the host does not allow a git ref of this name
UnavailableError
├── RateLimited     the wait would be longer than allowed
└── Overloaded      5xx, dropped connections and time limits, repeatedly
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from triage.errors import AccessError, TriageError, UnavailableError

if TYPE_CHECKING:
    from triage.github.http import Problem, Purpose, Response

MAX_QUOTED = 200
# GraphQL errors that may not occur again; an error without a type is a time limit or an internal error.
TRANSIENT = {"", "INTERNAL", "SERVICE_UNAVAILABLE", "TIMEOUT"}
HEAVY = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}


class NotFound(AccessError):
    next_step = "check the spelling, and that the token's owner or App can see the repository"


class IssueGone(NotFound):
    """`moved_to` is the address of a transferred issue, empty for a deleted one."""

    next_step = "nothing to do: the issue is skipped"

    def __init__(self, what: str, *, likely: str, moved_to: str = "") -> None:
        super().__init__(what, likely=likely)
        self.moved_to = moved_to


class LabelGone(NotFound):
    next_step = "run again: the labels are read at the start of each run"


class NoneMatch(NotFound):
    likely = "a typing mistake, or a token that sees public repositories only, such as a workflow's own"
    next_step = "correct the pattern, or use a token that can read the owner's repositories"


class PartlyRead(AccessError):
    """`failures` by repository name, of `tried` repositories."""

    def __init__(self, tried: int, failures: Mapping[str, TriageError]) -> None:
        first = next(iter(failures.values()))
        reasons = "".join(f"\n  {name}: {error.what}" for name, error in failures.items())
        super().__init__(
            f"{len(failures)} of {tried} repositories cannot be read, so nothing is learnt{reasons}",
            likely=first.likely,
            next_step="fix that, or exclude the repository from `learn.repositories` (`!OWNER/NAME`) or --from; "
            "what was read of the others stays in the folder of --cache",
        )
        self.exit_code = first.exit_code


class Rejected(AccessError):
    """`said` is GitHub's message."""

    likely = "a name, reference or state that GitHub does not allow"
    next_step = "see GitHub's message above"

    def __init__(self, what: str, *, said: str) -> None:
        super().__init__(what)
        self.said = said


class RefRefused(AccessError):
    likely = "the host reserves refs outside branches and tags, or a rule protects this one"
    next_step = "name a branch for the store instead"


class RateLimited(UnavailableError):
    """`retry_at` is when GitHub answers again."""

    def __init__(self, what: str, *, likely: str, retry_at: datetime) -> None:
        step = f"run the job again after {retry_at:%Y-%m-%d %H:%M:%S} UTC, or raise `max_rate_limit_wait`"
        super().__init__(what, likely=likely, next_step=step)
        self.retry_at = retry_at


class Overloaded(UnavailableError):
    likely = "an outage of GitHub or of the network, or a request that is too much work for GitHub"


def rate_limited(response: Response, purpose: Purpose, *, wait: float, allowed: float) -> RateLimited:
    """The failure where the next wait (seconds) would exceed the `allowed` seconds."""
    kind = "the hourly limit is used up" if response.exhausted else "too many requests in a short time"
    return RateLimited(
        f"cannot {purpose.doing}: GitHub asks to wait {wait:.0f} s, and only {allowed:.0f} s of waiting are left",
        likely=f"{kind}, by this or another job with the same token",
        retry_at=response.now + timedelta(seconds=wait),
    )


def failure(response: Response, purpose: Purpose) -> TriageError:
    """The failure that an unsuccessful response means."""
    if response.problems:
        return _graphql_failure(response.problems, purpose)
    if response.status in _MEANINGS:
        needs = _permissions(response.headers.get("x-accepted-github-permissions", "")) or purpose.needs
        return _MEANINGS[response.status](replace(purpose, needs=needs), response.message)
    status = f" (status {response.status})" if response.status else ""
    kind = Overloaded if response.transient else AccessError
    return kind(f"cannot {purpose.doing}: {_line(response.message)}{status}")


def _graphql_failure(problems: tuple[Problem, ...], purpose: Purpose) -> TriageError:
    types = {problem.type for problem in problems}
    message = "; ".join(dict.fromkeys(problem.message for problem in problems))
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return _forbidden(purpose, message)
    if "NOT_FOUND" in types:
        return _missing(purpose, message)
    if types & HEAVY or types <= TRANSIENT:
        return Overloaded(f"cannot {purpose.doing}: {_line(message)}")
    return _rejected(purpose, message)


def _bad_token(purpose: Purpose, message: str) -> AccessError:
    return AccessError(
        f"cannot {purpose.doing}: GitHub does not accept the token ({_line(message)})",
        likely="the token has expired, was revoked or belongs to another host",
        next_step="check the `token` input, and that GITHUB_API_URL is the address of the token's host",
    )


def _forbidden(purpose: Purpose, message: str) -> AccessError:
    lacks = f"the token lacks the permission {purpose.needs}" if purpose.needs else None
    return AccessError(
        f"cannot {purpose.doing}: {_line(message)}",
        likely=lacks,
        next_step="grant it under `permissions:` in the workflow, or to the App or token" if lacks else None,
    )


def _missing(purpose: Purpose, message: str) -> NotFound:
    return NotFound(
        f"cannot {purpose.doing}: {_line(message)}",
        likely="it does not exist, or the token cannot see it",
    )


def _gone(purpose: Purpose, message: str) -> AccessError:
    what = f"cannot {purpose.doing}: {_line(message)}"
    if "disabled" not in message:
        return IssueGone(what, likely="it was deleted")
    return AccessError(
        what,
        likely="issues are switched off in the repository's settings",
        next_step="switch them on, or remove the workflow",
    )


def _rejected(purpose: Purpose, message: str) -> Rejected:
    return Rejected(f"cannot {purpose.doing}: {_line(message)}", said=message)


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
    texts = [" and ".join(f"`{name.replace('_', '-')}: {level}`" for name, level in way) for way in ways]
    return " or ".join(filter(None, texts))


def _line(message: str) -> str:
    return " ".join(message.split())[:MAX_QUOTED] or "no reason given"
