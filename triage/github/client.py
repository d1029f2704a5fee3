"""One GitHub, reached with one token: whose it is, what time it is there, and which repositories an owner has.

One repository on one GitHub, reached with one token: what everything else there builds on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

from triage.errors import UsageError
from triage.github import queries
from triage.github.errors import NotFound
from triage.github.response import Purpose
from triage.github.typed_json import TypedJson
from triage.github.values import BOT, Actor, Repository, next_cursor
from triage.patterns import NAME

if TYPE_CHECKING:
    from triage.github.http import Http
    from triage.github.rate_limit import RateLimiter

API_URL = "https://api.github.com"
SERVER_URL = "https://github.com"
MAX_WAIT = 600.0


@dataclass(frozen=True)
class RepositoryInfo:
    """A repository in its owner's list; `visibility` as in `Repository`, `has_issues`: not switched off."""

    name: str
    visibility: str
    is_fork: bool
    has_issues: bool


class ConnectionSettings(TypedDict, total=False):
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
    pace: RateLimiter | None


class Connection:
    """Serves one thread at a time. Raises UsageError for an address, AccessError for a token that cannot be one."""

    def __init__(self, token: str, **settings: Unpack[ConnectionSettings]) -> None:
        # PyGithub takes 0.3 s to import, which only those who talk to GitHub should pay.
        from triage.github.http import Http, graphql_url_of

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

    def repositories_of(self, owner: str) -> list[RepositoryInfo]:
        """All repositories of a person or organisation that the token sees, by name; raises NotFound."""
        purpose = Purpose(f"list the repositories of {owner}", "`metadata: read`")
        found: list[RepositoryInfo] = []
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
                RepositoryInfo(
                    name=node.text("nameWithOwner"),
                    visibility=node.text("visibility").lower(),
                    is_fork=node.flag("isFork"),
                    has_issues=node.flag("hasIssuesEnabled"),
                )
                for node in page.items("nodes")
            ]
            after = next_cursor(page)
        return found


class Remote(Connection):
    """`repo` is OWNER/NAME as given; `repository` says what GitHub calls it now. Raises UsageError for what is
    no name, and whatever `Connection` does.
    """

    def __init__(self, repo: str, token: str, **settings: Unpack[ConnectionSettings]) -> None:
        if not NAME.fullmatch(repo):
            raise UsageError(f"{repo!r} is not of the form OWNER/NAME")
        super().__init__(token, **settings)
        self.repo = repo

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

    def url(self, number: int) -> str:
        """The page of an issue."""
        return self.url_of(self.repo, number)

    def url_of(self, repo: str, number: int) -> str:
        """The page of an issue of any repository on the same GitHub."""
        return f"{self._server_url}/{repo}/issues/{number}"

    def _ask(self, document: str, doing: str, needs: str, **variables: object) -> TypedJson:
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
