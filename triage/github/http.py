"""Requests to GitHub through PyGithub's requester: patience, redirects, and words for what goes wrong.

PyGithub's own retries are off: they wait for a rate limit as long as GitHub says, up to an hour, repeat
writes that may have been carried out, and do not know GraphQL's limits.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

from github import Auth, Github
from requests import RequestException

from triage import __version__
from triage.errors import AccessError, UsageError
from triage.github.errors import failure, rate_limited
from triage.github.rate_limit import RateLimiter
from triage.github.response import Purpose, Response, read_response
from triage.github.typed_json import TypedJson

TRIES = 5
HOPS = 3
TIMEOUT = 30
REDIRECTS = {301, 302, 307, 308}
# GitHub asks for at least a minute after a secondary limit that names no time.
SECONDARY_WAIT = 60.0
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

Variables = Mapping[str, object]
log = logging.getLogger(__name__)


class Http:
    """Sends requests with one token to one GitHub; PyGithub's objects do not leave it."""

    def __init__(
        self,
        token: str,
        *,
        api_url: str,
        graphql_url: str,
        max_wait: float,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
        pace: RateLimiter | None = None,
    ) -> None:
        self._max_wait, self._sleep, self._jitter, self._pace = max_wait, sleep, jitter, pace
        self._ahead = timedelta(0)
        self._api_url, self._graphql_url = _address(api_url), _address(graphql_url)
        auth = Auth.Token(_credential(token))
        # PyGithub sends to the host of `base_url` alone, whatever host an address names.
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

    def close(self) -> None:
        """Close what is open; the next request opens it again."""
        for requester in self._requesters.values():
            requester.close()

    def now(self) -> datetime:
        """The time by the server's clock, as its last answer showed it; by this machine's before any."""
        return datetime.now(UTC) + self._ahead

    def get(self, path: str, purpose: Purpose, query: Mapping[str, str] | None = None) -> object:
        """The JSON at a REST path, which is already percent-encoded."""
        return self._send("GET", self._api_url + path, purpose, query=query).body

    def send(self, verb: str, path: str, body: Variables | None, purpose: Purpose) -> object:
        """The JSON answered to a REST write."""
        return self._send(verb, self._api_url + path, purpose, body=body).body

    def graphql(self, document: str, variables: Variables, purpose: Purpose) -> TypedJson:
        """The `data` of a GraphQL answer; an answer with any error raises, even where part of it is there."""
        body = {"query": document, "variables": variables}
        reply = self._send("POST", self._graphql_url, purpose, body=body)
        return TypedJson(reply.body).at("data")

    def _send(
        self,
        verb: str,
        url: str,
        purpose: Purpose,
        *,
        query: Mapping[str, str] | None = None,
        body: Variables | None = None,
    ) -> Response:
        """The first good reply; waits `max_wait` seconds in all, then raises what the last one means."""
        waited = 0.0
        for attempt in itertools.count(1):
            with self._pace.turn(purpose, self._max_wait) if self._pace else nullcontext():
                reply = self._follow(verb, url, query, body)
            wait = self._pause(reply, attempt, purpose)
            if wait is None:
                break
            if waited + wait > self._max_wait:
                if reply.limited:
                    raise rate_limited(reply, purpose, wait=wait, allowed=self._max_wait - waited)
                break
            log.info("waiting %.1f s before trying again to %s", wait, purpose.doing)
            if self._pace and reply.limited:
                # What GitHub refuses one connection it refuses all; this one waits for its next turn with them.
                self._pace.stop(wait, spent=reply.spent)
            else:
                self._sleep(wait)
            waited += wait
        if reply.good:
            self._ahead = reply.now - datetime.now(UTC)
            if self._pace:
                self._pace.heard(reply)
            return reply
        raise failure(reply, purpose)

    def _pause(self, reply: Response, attempt: int, purpose: Purpose) -> float | None:
        """Seconds to wait before the next attempt, or None where there should be none."""
        backoff = 2.0 ** min(attempt - 1, 6)
        if reply.limited:
            asked = reply.asked_wait()
            wait = max(SECONDARY_WAIT * attempt if asked is None else asked, backoff)
            # Never sooner than asked; spread, so that jobs that wait for one reset do not come at once.
            return wait * (1 + self._jitter() / 10)
        if reply.transient and purpose.repeatable and attempt < TRIES:
            return backoff * (0.5 + self._jitter())
        return None

    def _follow(
        self, verb: str, url: str, query: Mapping[str, str] | None, body: Variables | None
    ) -> Response:
        """A reply that is no redirect; redirects away from the host are refused."""
        for _ in range(HOPS + 1):
            reply = self._once(verb, url, query, body)
            target = reply.headers.get("location")
            if reply.status not in REDIRECTS or target is None:
                return reply
            target = urljoin(url, target)
            if _origin(target) != _origin(url):
                raise _astray(f"from {urlsplit(url).netloc} to {urlsplit(target).netloc}")
            url, query = target, None
        raise _astray("again and again")

    def _once(self, verb: str, url: str, query: Mapping[str, str] | None, body: Variables | None) -> Response:
        requester = self._requesters[_origin(url)]
        try:
            status, headers, text = requester.requestJson(
                verb, url, parameters=dict(query or {}), headers=dict(HEADERS), input=body
            )
        except RequestException as error:
            return Response(0, said=f"{type(error).__name__}: {error}")
        except RuntimeError as error:
            # What PyGithub raises for a 301 that leads to another host or scheme, or in circles.
            raise _astray(f"({error})") from None
        return read_response(status, {name.lower(): str(value) for name, value in headers.items()}, text)


def graphql_url_of(api_url: str) -> str:
    """Where GraphQL is, by the address of REST: `…/api/v3` has it at `…/api/graphql`."""
    return api_url.rstrip("/").removesuffix("/v3") + "/graphql"


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise UsageError(
            f"{url!r} is no address of GitHub's API",
            next_step="set GITHUB_API_URL and GITHUB_GRAPHQL_URL as https://HOST/PATH, or unset them",
        )
    return url.rstrip("/")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _credential(token: str) -> str:
    """The token without surrounding space; what no header can carry would be quoted in an error."""
    token = token.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise AccessError(
            "the token holds characters that no token has" if token else "there is no token for GitHub",
            likely="the `token` input or GITHUB_TOKEN is empty or was pasted with something else",
            next_step="pass `token: ${{ github.token }}` in the workflow, or set GITHUB_TOKEN",
        )
    return token


def _astray(where: str) -> AccessError:
    return AccessError(
        f"GitHub redirects {where}; the token was not sent there",
        likely="GITHUB_API_URL names a former address, or a proxy answers in GitHub's place",
        next_step="set GITHUB_API_URL to the address of the API itself",
    )
