"""One response of GitHub's, and whether it asks for patience."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

# GraphQL errors that another try may not meet; what carries no type at all is a time limit or an inner fault.
TRANSIENT = {"", "INTERNAL", "SERVICE_UNAVAILABLE", "TIMEOUT"}
LIMITED = {"RATE_LIMITED", "RATE_LIMIT"}


@dataclass(frozen=True)
class Purpose:
    """Why a request is made: `doing` completes "cannot …", `needs` is a permission as workflows spell it.

    A request that is not `repeatable` is never sent a second time where the first may have been carried out.
    """

    doing: str
    needs: str = ""
    repeatable: bool = True


@dataclass(frozen=True)
class Problem:
    """One entry of GraphQL's `errors`; `type` is empty where GitHub names none."""

    type: str
    message: str


@dataclass(frozen=True)
class Response:
    """One response; status 0 stands for none, with the reason in `said`. Header names are in lower case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None
    said: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def limited(self) -> bool:
        """Whether it asks to wait: a primary or a secondary limit."""
        if self.problems:
            return any(p.type in LIMITED or "secondary rate limit" in p.message for p in self.problems)
        if self.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            return False
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or "retry-after" in self.headers
            or self.spent
            or "rate limit" in self.said.lower()
        )

    @property
    def spent(self) -> bool:
        """Whether the hourly allowance is used up."""
        return self.headers.get("x-ratelimit-remaining") == "0"

    @property
    def good(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES and not self.problems

    @property
    def transient(self) -> bool:
        """Whether another try may succeed: no answer, 5xx, or an inner fault of GraphQL."""
        if self.problems:
            return all(p.type in TRANSIENT for p in self.problems)
        return self.status == 0 or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def now(self) -> datetime:
        """The server's clock, since the reset is told by it; this machine's where it does not say."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            return datetime.now(UTC)

    def asked_wait(self) -> float | None:
        """Seconds that GitHub asks to wait, or None where it does not say."""
        after, reset = self.headers.get("retry-after", ""), self.headers.get("x-ratelimit-reset", "")
        if after.isdecimal():
            return float(after)
        if self.spent and reset.isdecimal():
            # It is not told when within that second.
            return max(0.0, int(reset) + 1 - self.now.timestamp())
        return None


def read_response(status: int, headers: dict[str, str], text: str) -> Response:
    """The response in its parts; header names come in lower case."""
    try:
        body: object = json.loads(text) if text else None
    except ValueError:
        # A page of GitHub's front, or of a proxy: no success either.
        return Response(0 if status == HTTPStatus.OK else status, headers, said="an answer that is not JSON")
    if not isinstance(body, dict):
        return Response(status, headers, body)
    problems = tuple(_problem(e) for e in body.get("errors") or () if isinstance(e, dict))
    if "message" not in body:
        return Response(status, headers, body, problems=problems)
    # REST: what is wrong with which field is in `errors`.
    return Response(status, headers, body, "; ".join([str(body["message"]), *(p.message for p in problems)]))


def _problem(error: Mapping[str, object]) -> Problem:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    message = error.get("message") or f"{error.get('field')}: {error.get('code')}"
    return Problem(str(error.get("type") or code or ""), str(message))
