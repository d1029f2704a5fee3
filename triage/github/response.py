"""One response of GitHub: whether it succeeded, how long it asks to wait, and its JSON read into dataclasses."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from triage.errors import DataError
from triage.issue import parse_time
from triage.schema import SchemaError, build, build_list

T = TypeVar("T")
# GraphQL errors that may not occur again; an error without a type is a time limit or an internal error.
TRANSIENT = {"", "INTERNAL", "SERVICE_UNAVAILABLE", "TIMEOUT"}
LIMITED = {"RATE_LIMITED", "RATE_LIMIT"}


@dataclass(frozen=True)
class Purpose:
    """Why a request is sent: `doing` completes "cannot …", `needs` is a permission as workflows spell it.

    A request that is not `repeatable` is never sent again when the first attempt may have taken effect.
    """

    doing: str
    needs: str = ""
    repeatable: bool = True


@dataclass(frozen=True)
class Problem:
    """One entry of GraphQL's `errors`; `type` is empty where GitHub gives none."""

    type: str
    message: str


@dataclass(frozen=True)
class Response:
    """One response. Header names are in lower case; `message` is GitHub's explanation of a failure.

    Status 0 means that no usable response arrived; `message` then says why.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None
    message: str = ""
    problems: tuple[Problem, ...] = ()
    succeeded: bool = False

    @property
    def limited(self) -> bool:
        """Whether a primary or secondary rate limit refused the request."""
        if self.problems:
            return any(p.type in LIMITED or "secondary rate limit" in p.message for p in self.problems)
        if self.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
            return False
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or "retry-after" in self.headers
            or self.exhausted
            or "rate limit" in self.message.lower()
        )

    @property
    def exhausted(self) -> bool:
        """Whether no points are left in this hour."""
        return self.headers.get("x-ratelimit-remaining") == "0"

    @property
    def transient(self) -> bool:
        """Whether another attempt may succeed: no response, 5xx, or an internal error of GraphQL."""
        if self.problems:
            return all(p.type in TRANSIENT for p in self.problems)
        return self.status == 0 or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def now(self) -> datetime:
        """GitHub's clock, which rate limits refer to; this machine's clock if the response has no date."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).astimezone(UTC)
        except ValueError:
            return datetime.now(UTC)

    def requested_wait(self) -> float | None:
        """Seconds that GitHub asks to wait, or None if it does not say."""
        after, reset = self.headers.get("retry-after", ""), self.headers.get("x-ratelimit-reset", "")
        if after.isdecimal():
            return float(after)
        if self.exhausted and reset.isdecimal():
            # The reset is a whole second, and may come at its end.
            return max(0.0, int(reset) + 1 - self.now.timestamp())
        return None


def read_response(status: int, headers: dict[str, str], text: str) -> Response:
    """Parse a response; header names must be in lower case."""
    try:
        body: object = json.loads(text) if text else None
    except ValueError:
        # An HTML page of GitHub's load balancer or of a proxy is a failure even with status 200.
        return Response(
            0 if status == HTTPStatus.OK else status, headers, message="an answer that is not JSON"
        )
    succeeded = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    if not isinstance(body, dict):
        return Response(status, headers, body, succeeded=succeeded)
    problems = tuple(_problem(e) for e in body.get("errors") or () if isinstance(e, dict))
    if "message" not in body:
        return Response(status, headers, body, problems=problems, succeeded=succeeded and not problems)
    # In REST, `errors` lists the fields that are wrong.
    message = "; ".join([str(body["message"]), *(p.message for p in problems)])
    return Response(status, headers, body, message, succeeded=succeeded)


def _problem(error: Mapping[str, object]) -> Problem:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    message = error.get("message") or f"{error.get('field')}: {error.get('code')}"
    return Problem(str(error.get("type") or code or ""), str(message))


def read(shape: type[T], body: object, path: str = "") -> T:
    """The dataclass `shape` from the part of a decoded body at a dotted `path`. Raises DataError if it does not fit."""
    try:
        return build(shape, part(body, path), path, strict=False)
    except SchemaError as error:
        raise _unexpected(f"is not as expected: {error}") from None


def read_list(shape: type[T], body: object, path: str = "") -> list[T]:
    """Like `read` for each item of the list at `path`, without nulls."""
    try:
        return build_list(shape, part(body, path), path, strict=False)
    except SchemaError as error:
        raise _unexpected(f"is not as expected: {error}") from None


def part(body: object, path: str) -> object:
    """What a decoded body has at a dotted `path`, or None."""
    for key in path.split(".") if path else ():
        body = body.get(key) if isinstance(body, Mapping) else None
    return body


def read_content(body: object) -> bytes:
    """The content of a file or blob, which GitHub encodes in base64. Raises DataError."""
    try:
        return base64.b64decode(read(_Content, body).content)
    except binascii.Error:
        raise _unexpected("contains invalid base64") from None


@dataclass(frozen=True)
class _Content:
    content: str


def read_time(text: str) -> datetime:
    """Raises DataError."""
    try:
        return parse_time(text)
    except ValueError:
        raise _unexpected(f"contains an invalid date: {text!r:.40}") from None


def _unexpected(what: str) -> DataError:
    return DataError(
        f"GitHub's answer {what}",
        likely="a proxy between this machine and GitHub, or an unsupported version of GitHub Enterprise Server",
        next_step="check GITHUB_API_URL, then report the output of `triage check --repo OWNER/NAME`",
    )
