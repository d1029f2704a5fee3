"""The failures of requests to GitHub, with the likely cause and the next step for the user.

AccessError
├── NotFound        the repository or object does not exist, or the token cannot see it
│   ├── IssueGone   the issue was deleted or transferred
│   └── LabelGone   the label was deleted
├── Unreachable     a certificate, a proxy or an address that is wrong: another attempt fails too
├── PartlyRead      some of several repositories cannot be read; the exit code is that of the first failure
├── Rejected        GitHub understood the request and refuses it (409, 422)
└── RefRefused      the host does not allow a git ref of this name
UnavailableError
├── RateLimited     the wait would be longer than allowed
└── Overloaded      5xx, dropped connections and time limits, repeatedly
DataError
└── UnusableAnswer  an answer that GitHub does not give
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from triage.errors import AccessError, DataError, TriageError, UnavailableError
from triage.options import ranges

if TYPE_CHECKING:
    from triage.github.http import Purpose, Response

# A longer message is cut between two words.
MAX_QUOTED = 500
# GraphQL errors that may not occur again; an error without a type is a time limit or an internal error.
TRANSIENT = {"", "INTERNAL", "SERVICE_UNAVAILABLE", "TIMEOUT"}
HEAVY = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"}


class NotFound(AccessError):
    next_step = "check the spelling, and that the token's owner or App can see the repository"


class IssueGone(NotFound):
    next_step = "nothing to do: the issue is skipped"


class LabelGone(NotFound):
    next_step = "run again: the labels are read at the start of each run"


class UnusableAnswer(DataError):
    likely = "a proxy between this machine and GitHub, or an unsupported version of GitHub Enterprise Server"
    next_step = "check GITHUB_API_URL, then report the output of `triage check --repo OWNER/NAME`"


class Unreachable(AccessError):
    likely = (
        "GITHUB_API_URL is a former address or that of another server, or a proxy answers in GitHub's place"
    )
    next_step = "set GITHUB_API_URL to the address of the API itself"


def no_such_issues(repo: str, numbers: Sequence[int]) -> NotFound:
    """The failure where none of the issues that were asked for is there."""
    return NotFound(
        f"none of the issues {ranges(numbers):.60} of {repo} was found"
        if len(numbers) > 1
        else f"issue {numbers[0]} of {repo} was not found",
        likely="there is no such number, or it was deleted or moved to another repository",
        next_step="check the number, and the repository",
    )


class PartlyRead(AccessError):
    """`failures` by repository name, of `tried` repositories; what was read of the others stays in `kept`, if given."""

    def __init__(self, tried: int, failures: Mapping[str, TriageError], kept: Path | None = None) -> None:
        first = next(iter(failures.values()))
        reasons = "".join(f"\n  {name}: {error.what}" for name, error in failures.items())
        super().__init__(
            f"{len(failures)} of {tried} repositories cannot be read, so nothing is learnt{reasons}",
            likely=first.likely,
            next_step="fix that, or exclude the repository from `learn.repositories` (`!OWNER/NAME`) or --from"
            + (f"; what was read of the others stays in {kept}" if kept else ""),
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
    status, message = response.status, response.message
    if response.problems:
        status = _status_of({problem.type for problem in response.problems})
        message = "; ".join(dict.fromkeys(problem.message for problem in response.problems))
    message = quoted(message) or "no reason given"
    what = f"cannot {purpose.doing}: {message}"
    if response.page is not None and not response.transient:
        page = f" ({quoted(response.page)})" if response.page else ""
        return Unreachable(
            f"cannot {purpose.doing}: a web page came in place of an answer{page}, status {status}"
        )
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return AccessError(
                f"cannot {purpose.doing}: GitHub does not accept the token ({message})",
                likely="the token has expired, was revoked or belongs to another host",
                next_step="check GITHUB_TOKEN (in a workflow, the `token` input), and GITHUB_API_URL",
            )
        case HTTPStatus.FORBIDDEN:
            accepted = response.headers.get("x-accepted-github-permissions", "")
            needs = _permissions(accepted) or purpose.needs
            return AccessError(
                what,
                likely=f"the token lacks the permission {needs}" if needs else None,
                next_step="grant it under `permissions:` in the workflow, or to the App or token"
                if needs
                else None,
            )
        case HTTPStatus.NOT_FOUND:
            return NotFound(what, likely="it does not exist, or the token cannot see it")
        case HTTPStatus.GONE if "disabled" in message:
            return AccessError(
                what,
                likely="issues are switched off in the repository's settings",
                next_step="switch them on, or remove the workflow",
            )
        case HTTPStatus.GONE:
            return IssueGone(what, likely="it was deleted")
        case HTTPStatus.CONFLICT | HTTPStatus.UNPROCESSABLE_ENTITY:
            return Rejected(what, said=message)
    kind = Overloaded if status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR else AccessError
    return kind(f"{what} (status {response.status})" if status == response.status > 0 else what)


def quoted(text: str) -> str:
    """The text on one line; a long one is cut between two words, and a word that is too long within it."""
    words = " ".join(text.split())
    if len(words) <= MAX_QUOTED:
        return words
    return f"{words[:MAX_QUOTED].rpartition(' ')[0] or words[:MAX_QUOTED]} …"


def _status_of(types: Set[str]) -> int:
    """The HTTP status with the meaning of GraphQL's errors, which arrive with status 200."""
    if types & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return HTTPStatus.FORBIDDEN
    if "NOT_FOUND" in types:
        return HTTPStatus.NOT_FOUND
    if types & HEAVY or types <= TRANSIENT:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.UNPROCESSABLE_ENTITY


def _permissions(header: str) -> str:
    """`issues=write; pull_requests=write` as "`issues: write` or `pull-requests: write`"."""
    ways = [re.findall(r"([a-z_]+)=([a-z]+)", way) for way in header.split(";")]
    texts = [" and ".join(f"`{name.replace('_', '-')}: {level}`" for name, level in way) for way in ways]
    return " or ".join(filter(None, texts))
