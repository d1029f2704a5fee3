"""What can go wrong between a client and the fake GitHub, by count and by predicate."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from tests.fake_github.wire import DOCS, Json, Reply, Request

When = Literal["before", "after"]
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
SECONDARY_DOCS = (
    "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
)


@dataclass(frozen=True)
class Answer:
    """Send `reply`: before means in place of applying the request, after means in spite of having done so."""

    reply: Reply
    when: When = "before"


@dataclass(frozen=True)
class Drop:
    """Close the connection without a word, before or after the request was applied."""

    when: When = "before"


@dataclass(frozen=True)
class Slow:
    """Send the body in `pieces`, each after `pause` seconds."""

    pause: float
    pieces: int = 4


@dataclass(frozen=True)
class Cut:
    """Promise the whole body and send half of it."""


@dataclass(frozen=True)
class Raw:
    """Send these bytes as they stand, then `again` every `pause` seconds until the client is gone; then hang up.

    Before means in place of applying the request, after means in spite of having done so.
    """

    data: bytes
    again: bytes = b""
    pause: float = 0.0
    when: When = "before"


@dataclass(frozen=True)
class Partial:
    """GraphQL: null out the paths in `data` and add `errors` beside it."""

    errors: Sequence[Mapping[str, Json]]
    nulls: Sequence[Sequence[str | int]] = ()


@dataclass(frozen=True)
class Hook:
    """Run a test's own code, e.g. to kill the client or to change the state at this very point."""

    run: Callable[[Request], object]
    when: When = "before"


Kind = Answer | Drop | Raw | Slow | Cut | Partial | Hook


def error(status: int, message: str, *, docs: str = DOCS, **headers: str) -> Answer:
    """A JSON error; header names with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(Reply(status, {"message": message, "documentation_url": docs}, named))


def bad_token() -> Answer:
    """401 as for a revoked token."""
    return error(401, "Bad credentials")


def forbidden() -> Answer:
    """403 as for a token without the permission."""
    return error(403, "Resource not accessible by integration")


def secondary_limit(retry_after: int = 1, status: int = 403) -> Answer:
    """403 or 429 with `Retry-After` in seconds."""
    return error(status, SECONDARY, docs=SECONDARY_DOCS, Retry_After=str(retry_after))


def primary_limit(reset_in: int = 1, status: int = 403) -> Answer:
    """403 or 429 with nothing remaining until `reset_in` real seconds from now."""
    return error(status, "API rate limit exceeded for installation ID 1.", **_spent(reset_in))


def graphql_limit(reset_in: int = 1) -> Answer:
    """How GraphQL says the primary limit: 200 with an error of type RATE_LIMITED."""
    problem: Json = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for installation ID 1."}
    headers = {name.replace("_", "-"): value for name, value in _spent(reset_in).items()}
    return Answer(Reply(200, {"errors": [problem]}, headers))


def _spent(reset_in: int) -> dict[str, str]:
    # the reset is told by the clock that the `Date` beside it shows
    now = int(time.time())
    shown = format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
    return {"Date": shown, "x_ratelimit_remaining": "0", "x_ratelimit_reset": str(now + reset_in)}


def outage(status: int = 502, when: When = "before") -> Answer:
    """An HTML page as GitHub's front sends it with 500, 502 and 503."""
    return Answer(Reply(status, "<html><title>Unicorn!</title></html>"), when)


def raw(body: bytes, status: str = "200 OK", *, length: bool = True, **headers: str) -> Raw:
    """A response whose parts need not fit together; header names with `_` for `-`, the length is added."""
    named = {"Content_Type": "application/json", "Connection": "close"} | headers
    if length:
        named = {"Content_Length": str(len(body))} | named
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
    return Raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def redirect(url: str, status: int = 302) -> Answer:
    """Send the client elsewhere."""
    return Answer(Reply(status, {"message": "Found", "url": url}, {"location": url}))


@dataclass
class _Planned:
    kind: Kind
    times: int | None
    skip: int
    matches: Callable[[Request], bool]


@dataclass
class Faults:
    """The faults to come; each is used up after `times` matching requests (None: never)."""

    planned: list[_Planned] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        kind: Kind,
        *,
        times: int | None = 1,
        skip: int = 0,
        method: str | None = None,
        path: str | None = None,
        operation: str | None = None,
        when: Callable[[Request], bool] | None = None,
    ) -> None:
        """Strike requests of that method, with `path` and `operation` (regular expressions) found in them.

        The first `skip` of those pass unharmed. `operation` is like `mutation addLabelsToLabelable`.
        """

        def matches(request: Request) -> bool:
            return (
                method in (None, request.method)
                and (path is None or re.search(path, request.path) is not None)
                and (operation is None or re.search(operation, request.operation) is not None)
                and (when is None or when(request))
            )

        self.planned.append(_Planned(kind, times, skip, matches))

    def clear(self) -> None:
        """Nothing goes wrong from here on."""
        self.planned.clear()

    def strike(self, request: Request) -> list[Kind]:
        """Take what is due for this request: every hook, and the first other fault."""
        with self.lock:
            return self._strike(request)

    def _strike(self, request: Request) -> list[Kind]:
        due: list[Kind] = []
        for plan in list(self.planned):
            if plan.times == 0 or not plan.matches(request):
                continue
            if not isinstance(plan.kind, Hook) and any(not isinstance(kind, Hook) for kind in due):
                continue
            if plan.skip:
                plan.skip -= 1
                continue
            plan.times = None if plan.times is None else plan.times - 1
            due.append(plan.kind)
        return due


def damage(body: Json, partial: Partial) -> Json:
    """The GraphQL answer with its paths nulled and the errors added."""
    if not isinstance(body, dict):
        return body
    for path in partial.nulls:
        here: Json = body["data"]
        for step in path[:-1]:
            here = here[step]  # type: ignore[index] # the test names a path of its own document
        here[path[-1]] = None  # type: ignore[index] # as above
    errors = body.get("errors", [])
    return body | {"errors": [*(errors if isinstance(errors, list) else []), *map(dict, partial.errors)]}
