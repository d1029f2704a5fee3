"""Requests to GitHub through PyGithub's requester, with retries, rate limits and redirects, and their responses.

PyGithub's own retries are off: they wait for a rate limit for up to an hour, repeat writes that may have taken
effect, and do not know GraphQL's limits.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import GenericAlias, SimpleNamespace
from typing import Any, Self, TypedDict, TypeVar, Unpack, cast
from urllib.parse import urljoin, urlsplit

from triage import __version__
from triage.concurrency import map_concurrently
from triage.config import ActConfig
from triage.errors import AccessError, TriageError
from triage.github.errors import (
    TRANSIENT,
    Overloaded,
    Unreachable,
    UnusableAnswer,
    failure,
    quoted,
    rate_limited,
)
from triage.github.graphql import Operation, aliases, document, document_of, root_of
from triage.github.rate_limit import WIDTH, RateLimiter
from triage.github.transport import Broken, Transport, checked_url, origin
from triage.schema import SchemaError, convert_part, part

T = TypeVar("T")
Query = Mapping[str, str] | None
Body = Mapping[str, object] | None
API_URL = "https://api.github.com"
LIMITED = {"RATE_LIMITED", "RATE_LIMIT"}
TRIES = 5
HOPS = 3
DAY = 86_400
# Clocks that differ by more are no clocks.
YEARS = timedelta(days=3_650)
# The largest number of 64 bits has 19; numbers in GitHub's answers are ids and counts.
MOST_DIGITS = 19
PAGE_START = 10_000
REDIRECTS = {301, 302, 307, 308}
# GitHub asks for at least a minute after a secondary limit that gives no time.
SECONDARY_WAIT = 60.0
# Permissions of the token, as workflows spell them.
METADATA, READ, WRITE = "`metadata: read`", "`issues: read`", "`issues: write`"
NOT_DONE = "GitHub's answer does not say that the change was made"
# What PyGithub sees of every answer.
NOTHING = SimpleNamespace(status=HTTPStatus.OK, getheaders=tuple, read=str)
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Purpose:
    """Why a request is sent: `doing` completes "cannot …", `needs` is a permission as workflows spell it.

    A request that is not `repeatable` is never sent again when the first attempt may have taken effect. One of several
    operations, `in_parts`, has succeeded where some of them have failed.
    """

    doing: str
    needs: str = ""
    repeatable: bool = True
    in_parts: bool = False


@dataclass(frozen=True)
class Problem:
    """One entry of GraphQL's `errors`; `type` is empty where GitHub gives none.

    `field` is the field of the operation that failed, by its alias; empty where it was the request.
    """

    type: str
    message: str
    field: str = ""


@dataclass(frozen=True)
class Response:
    """One response. Header names are in lower case; `message` is GitHub's explanation of a failure.

    Status 0 means that no usable response arrived; `message` then says why. `page` is the title of a web page that came
    in place of JSON.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None
    message: str = ""
    problems: tuple[Problem, ...] = ()
    page: str | None = None

    @property
    def succeeded(self) -> bool:
        usable = not self.problems and self.page is None
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES and usable

    @property
    def in_parts(self) -> bool:
        """Whether some operations of the request were carried out, and for each other one there is a reason."""
        is_answer = self.status == HTTPStatus.OK and isinstance(part(self.body, "data"), Mapping)
        return is_answer and not self.limited and all(problem.field for problem in self.problems)

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
        """GitHub's clock, which rate limits refer to; this machine's clock if the response has no sensible date."""
        return _date(self.headers.get("date", "")) or datetime.now(UTC)

    def number(self, header: str) -> int | None:
        """The whole number in a header; None where there is none, or one that nobody counts to."""
        text = self.headers.get(header, "").strip()
        return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None

    def reset(self) -> datetime | None:
        """When the rate limit is reset; None where the header says none, or one beyond a day from now."""
        seconds = self.number("x-ratelimit-reset")
        if seconds is None or abs(seconds - self.now.timestamp()) > DAY:
            return None
        return datetime.fromtimestamp(seconds, UTC)

    def requested_wait(self) -> float | None:
        """Seconds that GitHub asks to wait, at most a day, or None if it does not say."""
        after, reset = self.number("retry-after"), self.reset()
        until = _date(self.headers.get("retry-after", ""))
        if after is not None:
            return float(min(after, DAY))
        if until:
            return min(max(0.0, (until - self.now).total_seconds()), DAY)
        if self.exhausted and reset:
            # The reset is a whole second, and may come at its end.
            return max(0.0, reset.timestamp() + 1 - self.now.timestamp())
        return None


def _date(text: str) -> datetime | None:
    """The date in a header; None where there is none, or one that is years off."""
    try:
        date = parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if abs(date - datetime.now(UTC)) < YEARS else None


def read_response(status: int, headers: dict[str, str], content: bytes) -> Response:
    """Parse a response; header names must be in lower case."""
    if status == HTTPStatus.ACCEPTED:
        return Response(0, headers, message="an answer is not ready yet (status 202)")
    is_failure = status >= HTTPStatus.MULTIPLE_CHOICES
    if not content.strip() and status != HTTPStatus.NO_CONTENT and not is_failure:
        return Response(0, headers, message="an empty answer")
    try:
        body: object = json.loads(content, parse_int=_whole) if content.strip() else None
    except (ValueError, RecursionError):
        said = "an answer that is not JSON"
        page = _title(content) if content.lstrip()[:1] == b"<" else None
        # Cut short, it is a failure even with status 200.
        return Response(status if is_failure or page is not None else 0, headers, message=said, page=page)
    if not isinstance(body, dict):
        return Response(status, headers, body)
    errors = body.get("errors") or ()
    problems = tuple(map(_problem, errors if isinstance(errors, list | tuple) else (errors,)))
    if "message" not in body:
        return Response(status, headers, body, problems=problems)
    # In REST, `errors` lists the fields that are wrong.
    return Response(status, headers, body, "; ".join([str(body["message"]), *(p.message for p in problems)]))


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError("a number that GitHub cannot have")
    return int(digits)


def _title(page: bytes) -> str:
    found = re.search(rb"(?is)<title[^>]*>(.*?)</title", page[:PAGE_START])
    return html.unescape(found[1].decode(errors="replace")) if found else ""


def _problem(error: object) -> Problem:
    if not isinstance(error, Mapping):
        return Problem("UNKNOWN", str(error))
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    message = error.get("message") or f"{error.get('field')}: {error.get('code')}"
    path = error.get("path")
    field = path[0] if isinstance(path, list) and path and isinstance(path[0], str) else ""
    return Problem(str(error.get("type") or code or ""), str(message), field)


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
        self._api_url = checked_url(settings.get("api_url", API_URL))
        self._graphql_url = checked_url(settings.get("graphql_url") or graphql_url_of(self._api_url))
        self._token = _checked_token(token)
        self._open_sites()

    def _open_sites(self) -> None:
        self._rest = self._graphql = _Site(self._api_url, self._token)
        if origin(self._graphql_url) != origin(self._api_url):
            self._graphql = _Site(self._graphql_url, self._token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sockets; the next request opens them again."""
        for site in (self._rest, self._graphql):
            site.transport.close()

    def now(self) -> datetime:
        """The time by GitHub's clock, which dates events and changes there; by this machine's before a response."""
        return datetime.now(UTC) + self._ahead

    def graphql(
        self, operation: str, variables: Mapping[str, object], doing: str, needs: str, repeatable: bool = True
    ) -> object:
        """The decoded answer to an operation of documents.graphql; `doing`, `needs` and `repeatable` as in `Purpose`.

        An answer with any error raises, even if it has data too.
        """
        text = document(operation)
        answer, data = self._executed(text, variables, Purpose(doing, needs, repeatable))
        if text.startswith("mutation") and not all(map(_is_done, data.values() or [None])):
            raise UnusableAnswer(NOT_DONE)
        return answer

    def graphql_together(
        self, operations: Sequence[Operation], doing: str, needs: str, repeatable: bool = True
    ) -> list[object | TriageError]:
        """The value of the root field of each operation, or the failure of that one; all in one request.

        Otherwise as `graphql`. Operations are carried out in their order, whether or not those before have failed.
        """
        if len(operations) == 1:
            (only,) = operations
            try:
                answer = self.graphql(only.name, only.variables, doing, needs, repeatable)
            except Overloaded:
                # It says nothing of the operation, as with several.
                raise
            except TriageError as error:
                return [error]
            return [part(answer, f"data.{root_of(only.name)}")]
        text, variables = document_of(operations)
        purpose = Purpose(doing, needs, repeatable, in_parts=True)
        answer, data = self._executed(text, variables, purpose)
        problems = tuple(map(_problem, read_list(Any, answer, "errors") if part(answer, "errors") else ()))
        outcomes: list[object | TriageError] = []
        for alias in aliases(operations):
            if reasons := tuple(problem for problem in problems if problem.field == alias):
                outcomes.append(failure(Response(HTTPStatus.OK, problems=reasons), purpose))
            elif text.startswith("mutation") and not _is_done(data.get(alias)):
                outcomes.append(UnusableAnswer(NOT_DONE))
            else:
                outcomes.append(data.get(alias))
        return outcomes

    def _executed(
        self, text: str, variables: Mapping[str, object], purpose: Purpose
    ) -> tuple[object, Mapping[str, object]]:
        """(the decoded answer to a document, its data)."""
        body = {"query": text, "variables": variables}
        answer = self._send("POST", self._graphql_url, purpose, body=body)
        data = part(answer, "data")
        if not isinstance(data, Mapping):
            raise UnusableAnswer(
                f"GitHub's answer is not as expected: in 'data': expected a mapping, found {data!r:.60}"
            )
        return answer, data

    def side_by_side(self, jobs: Sequence[Callable[[Self], T]]) -> list[T]:
        """The results of jobs that run at once, each on one of at most WIDTH connections; raises the first failure.

        Each job gets the connection that it uses.
        """
        lanes = [self, *(self._alongside() for _ in range(1, min(WIDTH, len(jobs))))]

        def run(lane: int) -> list[T]:
            return [job(lanes[lane]) for job in jobs[lane :: len(lanes)]]

        def close() -> None:
            for lane in lanes:
                lane.__exit__()

        done = map_concurrently(range(len(lanes)), run, len(lanes), close) if len(lanes) > 1 else [run(0)]
        for lane in lanes[1:]:
            lane.__exit__()
        for outcome in done:
            if isinstance(outcome, TriageError):
                raise outcome
        results = [iter(outcome) for outcome in done if not isinstance(outcome, TriageError)]
        return [next(results[i % len(lanes)]) for i in range(len(jobs))]

    def _alongside(self) -> Self:
        """Another connection with the same settings."""
        other = copy(self)
        other._open_sites()
        return other

    def _send(self, verb: str, url: str, purpose: Purpose, query: Query = None, body: Body = None) -> object:
        """The body of the first success; after `max_wait` seconds of failures and waits, raises the last failure."""
        waited = 0.0
        for attempt in itertools.count(1):
            with self._limiter.turn(purpose, self.max_wait) if self._limiter else nullcontext():
                started = time.monotonic()
                response = self._follow(verb, url, query, body)
                waited += time.monotonic() - started
            if response.succeeded or (purpose.in_parts and response.in_parts and not response.transient):
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
        if purpose.in_parts and response.in_parts:
            return response.body
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
        site = self._graphql if url == self._graphql_url else self._rest
        for _ in range(HOPS + 1):
            try:
                response = site.request(verb, url, query, body)
            except Broken as broken:
                return Response(0, message=str(broken))
            location = response.headers.get("location")
            if response.status not in REDIRECTS or location is None:
                return response
            try:
                target = urljoin(url, location)
                same = origin(target) == origin(url)
            except ValueError:
                raise _redirected(f"to {quoted(location)!r}, which is no address") from None
            if not same:
                raise _redirected(f"from {urlsplit(url).netloc} to {quoted(urlsplit(target).netloc)}")
            url, query = target, None
        raise _redirected("again and again")


class _Site:
    """One host, to which PyGithub writes and signs the requests.

    It sends nothing and is told nothing of the answers: it would wait for a 202 without end, follow a 301, and fail on
    headers that are no numbers.
    """

    def __init__(self, url: str, token: str) -> None:
        # PyGithub takes 0.3 s to import.
        from github import Auth, Github

        self.transport = Transport(url)
        # It sends every request to the host of `base_url`, whatever host the address names.
        self._requester = Github(
            auth=Auth.Token(token),
            base_url=url,
            retry=None,
            user_agent=f"triage/{__version__}",
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester
        self._written: tuple[Any, ...] = ()

    def request(self, verb: str, url: str, query: Query, body: Body) -> Response:
        """The response, without following redirects; raises Broken."""
        here: Any = SimpleNamespace(request=self._take, getresponse=lambda: NOTHING)
        headers = dict(HEADERS)
        self._requester.requestJson(
            verb, url, parameters=dict(query or {}), headers=headers, input=body, cnx=here
        )
        answer = self.transport.send(*self._written)
        return read_response(answer.status, answer.headers, answer.content)

    def _take(self, *written: Any) -> None:
        """Verb, path, body and headers as PyGithub would send them."""
        self._written = written[:4]


def _is_done(outcome: object) -> bool:
    """Whether it is the answer to a mutation that was carried out."""
    return isinstance(outcome, Mapping)


def graphql_url_of(api_url: str) -> str:
    """GraphQL's address for a REST address: `…/api/v3` has it at `…/api/graphql`."""
    return api_url.rstrip("/").removesuffix("/v3") + "/graphql"


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


def _redirected(where: str) -> Unreachable:
    return Unreachable(f"GitHub redirects {where}; the token was not sent there")


def read(shape: type[T], body: object, path: str = "") -> T:
    """The part of a decoded body at a dotted `path`: a dataclass, a scalar or a tuple. Raises DataError if it does
    not fit `shape`.
    """
    try:
        return cast(T, convert_part(shape, body, path, strict=False))
    except SchemaError as error:
        raise UnusableAnswer(f"GitHub's answer is not as expected: {error}") from None


def read_list(shape: type[T], body: object, path: str = "") -> tuple[T, ...]:
    """Like `read` for each item of the list at `path`, without nulls."""
    return read(cast(type[tuple[T, ...]], GenericAlias(tuple, (shape, ...))), body, path)


def read_content(body: object) -> bytes:
    """The content of a file or blob, which GitHub encodes in lines of base64. Raises DataError."""
    try:
        return base64.b64decode("".join(read(str, body, "content").split()), validate=True)
    except ValueError:
        raise UnusableAnswer("GitHub's answer contains invalid base64") from None
