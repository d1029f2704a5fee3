"""One repository on one GitHub, reached with one token: what everything else there builds on."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from triage.errors import UsageError
from triage.world import queries
from triage.world.answer import Answer
from triage.world.live import BOT, Actor, Repository
from triage.world.reply import Purpose

if TYPE_CHECKING:
    from triage.world.http import Http

API_URL = "https://api.github.com"
SERVER_URL = "https://github.com"
MAX_WAIT = 600.0
NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


class Remote:
    """`repo` is OWNER/NAME as given; `repository` says what GitHub calls it now.

    `max_wait` is the most seconds one request may spend on waiting for limits and outages; `sleep` takes
    seconds, `jitter` returns a number from 0 to 1. An empty `graphql_url` is derived from `api_url`.
    Raises UsageError for a name or address that cannot be one, AccessError for a token that cannot be one.
    """

    def __init__(
        self,
        repo: str,
        token: str,
        *,
        api_url: str = API_URL,
        graphql_url: str = "",
        server_url: str = SERVER_URL,
        max_wait: float = MAX_WAIT,
        sleep: Callable[[float], object] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        # PyGithub takes 0.3 s to import, which only those who talk to GitHub should pay.
        from triage.world.http import Http, graphql_url_of

        if not NAME.fullmatch(repo):
            raise UsageError(f"{repo!r} is not of the form OWNER/NAME")
        self.repo, self._server_url = repo, server_url.rstrip("/")
        self._http: Http = Http(
            token,
            api_url=api_url,
            graphql_url=graphql_url or graphql_url_of(api_url),
            max_wait=max_wait,
            sleep=sleep,
            jitter=jitter,
        )

    @cached_property
    def repository(self) -> Repository:
        """Asked once. Raises NotFound where there is none or the token cannot see it."""
        purpose = Purpose(f"find {self.repo}", "`metadata: read`")
        found = self._http.graphql(queries.REPOSITORY, self._names, purpose).at("repository")
        branch = found.maybe("defaultBranchRef")
        return Repository(
            name=found.text("nameWithOwner"),
            node_id=found.text("id"),
            visibility=found.text("visibility").lower(),
            default_branch=branch.text("name") if branch else "",
        )

    def now(self) -> datetime:
        """The time by GitHub's clock, which events and changes there are dated by; this machine's may be wrong."""
        return self._http.now()

    def viewer(self) -> Actor:
        """Who the token is: a person, or an App such as `github-actions[bot]`, the workflow's own token."""
        data = self._http.graphql(queries.VIEWER, {}, Purpose("find out whose the token is"))
        # Over GraphQL every viewer is a User; only the login tells an App.
        login = data.at("viewer").text("login")
        return Actor(login, is_bot=login.endswith(BOT))

    def url(self, number: int) -> str:
        """The page of an issue."""
        return self.url_of(self.repo, number)

    def url_of(self, repo: str, number: int) -> str:
        """The page of an issue of any repository on the same GitHub."""
        return f"{self._server_url}/{repo}/issues/{number}"

    def _ask(self, document: str, doing: str, needs: str, **variables: object) -> Answer:
        """The `repository` of a query's answer."""
        purpose = self._purpose(doing, needs)
        return self._http.graphql(document, {**self._names, **variables}, purpose).at("repository")

    @property
    def _names(self) -> dict[str, str]:
        owner, _, name = self.repo.partition("/")
        return {"owner": owner, "name": name}

    def _path(self, rest: str) -> str:
        # A redirect from a former name would lose the query, so that the present name is asked for first.
        return f"/repos/{self.repository.name}{rest}"

    def _purpose(self, doing: str, needs: str, *, repeatable: bool = True) -> Purpose:
        return Purpose(f"{doing} in {self.repo}", needs, repeatable)
