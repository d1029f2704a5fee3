"""Requests to GitHub through PyGithub's requester, with retries, rate limits and redirects, and their responses.

PyGithub's own retries are off: they wait for a rate limit for up to an hour, repeat writes that may have taken
effect, and do not know GraphQL's limits.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import GenericAlias
from typing import Self, TypedDict, TypeVar, Unpack, cast
from urllib.parse import urljoin, urlsplit

from triage import __version__
from triage.config import ActConfig
from triage.errors import AccessError, DataError, UsageError
from triage.github.errors import TRANSIENT, failure, rate_limited
from triage.github.graphql import document
from triage.github.rate_limit import RateLimiter
from triage.schema import MISSING, SchemaError, convert, within

T = TypeVar("T")
Query = Mapping[str, str] | None
Body = Mapping[str, object] | None
API_URL = "https://api.github.com"
LIMITED = {"RATE_LIMITED", "RATE_LIMIT"}
TRIES = 5
HOPS = 3
TIMEOUT = 30
REDIRECTS = {301, 302, 307, 308}
# GitHub asks for at least a minute after a secondary limit that gives no time.
SECONDARY_WAIT = 60.0
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

log = logging.getLogger(__name__)


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
        named = "retry-after" in self.headers or self.exhausted or "rate limit" in self.message.lower()
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or (self.status == HTTPStatus.FORBIDDEN and named)

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
        status = 0 if status < HTTPStatus.MULTIPLE_CHOICES else status
        return Response(status, headers, message="an answer that is not JSON")
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


class ConnectionSettings(TypedDict, total=False):
    """How GitHub is reached.

    `max_wait` is the most seconds that one request may wait for limits and outages; `sleep` takes seconds, `jitter`
    returns a number from 0 to 1. An empty `graphql_url` is derived from `api_url`. Connections that are used at the
    same time share a `limiter`.
    """

    api_url: str
    graphql_url: str
    max_wait: float
    sleep: Callable[[float], object]
    jitter: Callable[[], float]
    limiter: RateLimiter | None


class Http:
    """Sends requests with one token to one GitHub, from one thread at a time; `max_wait` may be set at any time.

    PyGithub's objects do not leave this class. Raises UsageError for an invalid address, AccessError for an invalid
    token.
    """

    def __init__(self, token: str, **settings: Unpack[ConnectionSettings]) -> None:
        self.max_wait = settings.get("max_wait", ActConfig.max_rate_limit_wait)
        self._sleep = settings.get("sleep", time.sleep)
        self._jitter = settings.get("jitter", random.random)
        self._limiter = settings.get("limiter")
        # By how much GitHub's clock is ahead of this machine's.
        self._ahead = timedelta(0)
        self._api_url = _checked_url(settings.get("api_url", API_URL))
        self._graphql_url = _checked_url(settings.get("graphql_url") or graphql_url_of(self._api_url))
        # PyGithub takes 0.3 s to import.
        from github import Auth, Github

        auth = Auth.Token(_checked_token(token))
        # PyGithub sends every request to the host of `base_url`, whatever host the address names.
        self._requesters = {
            _origin(url): Github(
                auth=auth,
                base_url=url,
                timeout=TIMEOUT,
                retry=None,
                user_agent=f"triage/{__version__}",
                seconds_between_requests=None,
                seconds_between_writes=None,
            ).requester
            for url in (self._graphql_url, self._api_url)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sockets; the next request opens them again."""
        for requester in self._requesters.values():
            requester.close()

    def now(self) -> datetime:
        """The time by GitHub's clock, which dates events and changes there; by this machine's before a response."""
        return datetime.now(UTC) + self._ahead

    def graphql(
        self, operation: str, variables: Mapping[str, object], doing: str, needs: str, repeatable: bool = True
    ) -> object:
        """The decoded answer to an operation of documents.graphql; `doing`, `needs` and `repeatable` as in `Purpose`.

        An answer with any error raises, even if it has data too.
        """
        body = {"query": document(operation), "variables": variables}
        return self._send("POST", self._graphql_url, Purpose(doing, needs, repeatable), body=body)

    def _send(self, verb: str, url: str, purpose: Purpose, query: Query = None, body: Body = None) -> object:
        """The body of the first success; waits at most `max_wait` seconds in all, then raises the last failure."""
        waited = 0.0
        for attempt in itertools.count(1):
            with self._limiter.turn(purpose, self.max_wait) if self._limiter else nullcontext():
                response = self._follow(verb, url, query, body)
            if response.succeeded:
                self._ahead = response.now - datetime.now(UTC)
                if self._limiter:
                    self._limiter.record(response)
                return response.body
            wait = self._pause(response, attempt, purpose)
            if wait is None:
                break
            if waited + wait > self.max_wait:
                if response.limited:
                    raise rate_limited(response, purpose, wait=wait, allowed=self.max_wait - waited)
                break
            log.info("waiting %.1f s before trying again to %s", wait, purpose.doing)
            if self._limiter and response.limited:
                # GitHub refuses all connections of the token; this one waits for its next turn with the others.
                self._limiter.stop(wait, exhausted=response.exhausted)
            else:
                self._sleep(wait)
            waited += wait
        raise failure(response, purpose)

    def _pause(self, response: Response, attempt: int, purpose: Purpose) -> float | None:
        """Seconds to wait before the next attempt, or None for no further attempt."""
        backoff = 2.0 ** min(attempt - 1, 6)
        if response.limited:
            requested = response.requested_wait()
            wait = max(SECONDARY_WAIT * attempt if requested is None else requested, backoff)
            # Never earlier than requested; jitter spreads jobs that wait for the same reset.
            return wait * (1 + self._jitter() / 10)
        if response.transient and purpose.repeatable and attempt < TRIES:
            return backoff * (0.5 + self._jitter())
        return None

    def _follow(self, verb: str, url: str, query: Query, body: Body) -> Response:
        """The response after redirects; a redirect to another host is an error."""
        for _ in range(HOPS + 1):
            response = self._request(verb, url, query, body)
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response
            target = urljoin(url, location)
            if _origin(target) != _origin(url):
                raise _redirected(f"from {urlsplit(url).netloc} to {urlsplit(target).netloc}")
            url, query = target, None
        raise _redirected("again and again")

    def _request(self, verb: str, url: str, query: Query, body: Body) -> Response:
        from requests import RequestException

        requester = self._requesters[_origin(url)]
        try:
            status, headers, text = requester.requestJson(
                verb, url, parameters=dict(query or {}), headers=dict(HEADERS), input=body
            )
        except RequestException as error:
            return Response(0, message=f"{type(error).__name__}: {error}")
        except RuntimeError as error:
            # PyGithub raises it for a 301 to another host or scheme, and for a redirect loop.
            raise _redirected(f"({error})") from None
        return read_response(status, {name.lower(): str(value) for name, value in headers.items()}, text)


def graphql_url_of(api_url: str) -> str:
    """GraphQL's address for a REST address: `…/api/v3` has it at `…/api/graphql`."""
    return api_url.rstrip("/").removesuffix("/v3") + "/graphql"


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise UsageError(
            f"{url!r} is not an address of GitHub's API",
            next_step="set GITHUB_API_URL and GITHUB_GRAPHQL_URL to https://HOST/PATH, or unset them",
        )
    return url.rstrip("/")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _checked_token(token: str) -> str:
    """The token without surrounding space. A library's error about an invalid header would print the token."""
    token = token.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise AccessError(
            "the token contains characters that no token has" if token else "there is no token for GitHub",
            likely="the `token` input or GITHUB_TOKEN is empty, or other text was pasted with it",
            next_step="pass `token: ${{ github.token }}` in the workflow, or set GITHUB_TOKEN",
        )
    return token


def _redirected(where: str) -> AccessError:
    return AccessError(
        f"GitHub redirects {where}; the token was not sent there",
        likely="GITHUB_API_URL is a former address, or a proxy answers in GitHub's place",
        next_step="set GITHUB_API_URL to the address of the API itself",
    )


def read(shape: type[T], body: object, path: str = "") -> T:
    """The part of a decoded body at a dotted `path`: a dataclass, a scalar or a tuple. Raises DataError if it does
    not fit `shape`.
    """
    try:
        return cast(T, convert(shape, part(body, path), path, strict=False))
    except SchemaError as error:
        raise _unexpected(f"is not as expected: {error}") from None


def read_list(shape: type[T], body: object, path: str = "") -> tuple[T, ...]:
    """Like `read` for each item of the list at `path`, without nulls."""
    return read(cast(type[tuple[T, ...]], GenericAlias(tuple, (shape, ...))), body, path)


def part(body: object, path: str) -> object:
    """What a decoded body has at a dotted `path`, or None."""
    value = within(body, path)
    return None if value is MISSING else value


def read_content(body: object) -> bytes:
    """The content of a file or blob, which GitHub encodes in base64. Raises DataError."""
    try:
        return base64.b64decode(read(str, body, "content"))
    except binascii.Error:
        raise _unexpected("contains invalid base64") from None


def _unexpected(what: str) -> DataError:
    return DataError(
        f"GitHub's answer {what}",
        likely="a proxy between this machine and GitHub, or an unsupported version of GitHub Enterprise Server",
        next_step="check GITHUB_API_URL, then report the output of `triage check --repo OWNER/NAME`",
    )
