"""One GitHub, reached with one token: whose it is, what time it is there, and which repositories an owner has."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from triage.world import queries
from triage.world.live import BOT, Actor, next_cursor
from triage.world.refusals import NotFound
from triage.world.reply import Purpose

if TYPE_CHECKING:
    from triage.world.http import Http
    from triage.world.pace import Pace

API_URL = "https://api.github.com"
SERVER_URL = "https://github.com"
MAX_WAIT = 600.0


@dataclass(frozen=True)
class Listed:
    """A repository in its owner's list; `visibility` as in `Repository`, `has_issues`: not switched off."""

    name: str
    visibility: str
    is_fork: bool
    has_issues: bool


class Settings(TypedDict, total=False):
    """How GitHub is reached.

    `max_wait` is the most seconds one request may spend on waiting for limits and outages; `sleep` takes
    seconds, `jitter` returns a number from 0 to 1. An empty `graphql_url` is derived from `api_url`. Connections
    that are used at the same time share a `pace`.
    """

    api_url: str
    graphql_url: str
    server_url: str
    max_wait: float
    sleep: Callable[[float], object]
    jitter: Callable[[], float]
    pace: Pace | None


class Connection:
    """Serves one thread at a time. Raises UsageError for an address, AccessError for a token that cannot be one."""

    def __init__(self, token: str, **settings: Unpack[Settings]) -> None:
        # PyGithub takes 0.3 s to import, which only those who talk to GitHub should pay.
        from triage.world.http import Http, graphql_url_of

        api_url = settings.get("api_url", API_URL)
        self._server_url = settings.get("server_url", SERVER_URL).rstrip("/")
        self._http: Http = Http(
            token,
            api_url=api_url,
            graphql_url=settings.get("graphql_url") or graphql_url_of(api_url),
            max_wait=settings.get("max_wait", MAX_WAIT),
            sleep=settings.get("sleep", time.sleep),
            jitter=settings.get("jitter", random.random),
            pace=settings.get("pace"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the socket back; the next request opens another."""
        self._http.close()

    def now(self) -> datetime:
        """The time by GitHub's clock, which events and changes there are dated by; this machine's may be wrong."""
        return self._http.now()

    def viewer(self) -> Actor:
        """Who the token is: a person, or an App such as `github-actions[bot]`, the workflow's own token."""
        data = self._http.graphql(queries.VIEWER, {}, Purpose("find out whose the token is"))
        # Over GraphQL every viewer is a User; only the login tells an App.
        login = data.at("viewer").text("login")
        return Actor(login, is_bot=login.endswith(BOT))

    def repositories_of(self, owner: str) -> list[Listed]:
        """All repositories of a person or organisation that the token sees, by name; raises NotFound."""
        purpose = Purpose(f"list the repositories of {owner}", "`metadata: read`")
        found: list[Listed] = []
        after: str | None = ""
        while after is not None:
            variables = {"login": owner, "after": after or None}
            home = self._http.graphql(queries.REPOSITORIES, variables, purpose).maybe("repositoryOwner")
            if home is None:
                raise NotFound(
                    f"cannot {purpose.doing}: there is no such person or organisation",
                    likely="the owner is misspelt or was renamed",
                )
            page = home.at("repositories")
            found += [
                Listed(
                    name=node.text("nameWithOwner"),
                    visibility=node.text("visibility").lower(),
                    is_fork=node.flag("isFork"),
                    has_issues=node.flag("hasIssuesEnabled"),
                )
                for node in page.items("nodes")
            ]
            after = next_cursor(page)
        return found
