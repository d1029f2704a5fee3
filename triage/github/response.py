"""One response of GitHub: whether it succeeded, how long it asks to wait, and its JSON with checked types."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from triage.errors import DataError
from triage.issue import parse_time

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

    @property
    def succeeded(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES and not self.problems

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
    if not isinstance(body, dict):
        return Response(status, headers, body)
    problems = tuple(_problem(e) for e in body.get("errors") or () if isinstance(e, dict))
    if "message" not in body:
        return Response(status, headers, body, problems=problems)
    # In REST, `errors` lists the fields that are wrong.
    return Response(status, headers, body, "; ".join([str(body["message"]), *(p.message for p in problems)]))


def _problem(error: Mapping[str, object]) -> Problem:
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    message = error.get("message") or f"{error.get('field')}: {error.get('code')}"
    return Problem(str(error.get("type") or code or ""), str(message))


class TypedJson:
    """A JSON object. Every accessor raises DataError with the field's path if the value has another type."""

    def __init__(self, value: object, path: str = "answer") -> None:
        if not isinstance(value, Mapping):
            raise _unexpected(path, "an object")
        self._value: Mapping[str, object] = value
        self._path = path

    def text(self, key: str) -> str:
        return self._read(key, str, "a string")

    def text_or_empty(self, key: str) -> str:
        """A string, or "" where it is null or missing."""
        return "" if self._value.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        return self._read(key, int, "a number")

    def flag(self, key: str) -> bool:
        return self._read(key, bool, "true or false")

    def time(self, key: str) -> datetime:
        try:
            return parse_time(self.text(key))
        except ValueError:
            raise _unexpected(f"{self._path}.{key}", "a date") from None

    def base64(self, key: str) -> bytes:
        try:
            return base64.b64decode(self.text(key))
        except binascii.Error:
            raise _unexpected(f"{self._path}.{key}", "base64") from None

    def at(self, key: str) -> TypedJson:
        return TypedJson(self._value.get(key), f"{self._path}.{key}")

    def maybe(self, key: str) -> TypedJson | None:
        """The object under `key`, or None where it is null or missing."""
        return None if self._value.get(key) is None else self.at(key)

    def items(self, key: str) -> Iterator[TypedJson]:
        """The objects of a list in their order, without nulls."""
        path = f"{self._path}.{key}"
        values = self._read(key, list, "a list")
        return (TypedJson(value, f"{path}[{i}]") for i, value in enumerate(values) if value is not None)

    def _read(self, key: str, kind: type[T], expected: str) -> T:
        value = self._value.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _unexpected(f"{self._path}.{key}", expected)
        return value


def _unexpected(path: str, expected: str) -> DataError:
    return DataError(
        f"GitHub's {path} is not {expected}",
        likely="a proxy between this machine and GitHub, or an unsupported version of GitHub Enterprise Server",
        next_step="check GITHUB_API_URL, then report the output of `triage check --repo OWNER/NAME`",
    )
