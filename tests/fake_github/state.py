"""Who there is in the fake GitHub, what their tokens may do, and what time it is."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from tests.fake_github.repository import Node, Repository

Level = Literal["read", "write"]
# Those of a repository, the least first.
Role = Literal["none", "read", "triage", "write", "maintain", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
ACTIONS_BOT = "github-actions[bot]"
ACTIONS_BOT_ID = 41898282


@dataclass
class Clock:
    """The server's own clock: a write moves it on by `step`, nothing else does."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    step: timedelta = timedelta(seconds=1)

    def tick(self) -> datetime:
        """The moment of a write, later than every moment before it."""
        self.now += self.step
        return self.now

    def set(self, moment: datetime) -> None:
        """Jump forwards to `moment`; a server's clock never runs backwards (ValueError)."""
        if moment < self.now:
            raise ValueError(f"the clock stands at {self.now} and cannot go back to {moment}")
        self.now = moment


@dataclass(frozen=True)
class Actor:
    """A person or an app; `login` as REST spells it, so that an app's ends in `[bot]`."""

    login: str
    id: int

    @property
    def kind(self) -> Literal["User", "Bot"]:
        """What REST calls `type` and GraphQL `__typename`."""
        return "Bot" if self.login.endswith("[bot]") else "User"

    @property
    def node_id(self) -> str:
        """The id for GraphQL."""
        return f"{'BOT' if self.kind == 'Bot' else 'U'}_{self.id}"

    @property
    def email(self) -> str:
        """The address that GitHub writes into commits made in the actor's name."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(frozen=True)
class Token:
    """A credential; `repositories` None means all, `app` names the App that acts for a person."""

    actor: Actor
    permissions: Mapping[str, Level]
    repositories: frozenset[str] | None = None
    app: str | None = None

    def may(self, scope: str, level: Level) -> bool:
        """Whether the permission was given; write includes read."""
        return self.permissions.get(scope) in ({"write"} if level == "write" else {"read", "write"})

    def sees(self, full_name: str) -> bool:
        """Whether a private repository is within the token's reach."""
        return self.repositories is None or full_name in self.repositories

    @property
    def refusal(self) -> str:
        """What GitHub answers to a token without the permission."""
        kind = "integration" if self.actor.kind == "Bot" else "personal access token"
        return f"Resource not accessible by {kind}"


@dataclass
class World:
    """Everything the fake knows; `lock` is held while a request is applied."""

    clock: Clock = field(default_factory=Clock)
    actors: dict[str, Actor] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    enterprise_version: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1001))

    def new_id(self) -> int:
        """A number never given before."""
        return next(self._ids)

    def actor(self, login: str) -> Actor:
        """The actor of that login, made on first use."""
        if login not in self.actors:
            number = ACTIONS_BOT_ID if login == ACTIONS_BOT else self.new_id()
            self.actors[login] = Actor(login, number)
        return self.actors[login]

    def add_token(
        self,
        value: str,
        login: str,
        *,
        repositories: frozenset[str] | None = None,
        app: str | None = None,
        **permissions: Level,
    ) -> Token:
        """Let `value` act as `login`, e.g. `issues="write", contents="read"`."""
        self.tokens[value] = Token(self.actor(login), permissions, repositories, app)
        return self.tokens[value]

    def add_repository(self, full_name: str, *, private: bool = False) -> Repository:
        """A new repository without labels, issues or commits."""
        from tests.fake_github.repository import Repository

        repository = Repository(self, full_name, private=private)
        self.renamed.pop(full_name.casefold(), None)
        self.repositories[full_name.casefold()] = repository
        return repository

    def repository(self, full_name: str) -> Repository | None:
        """The repository of that name in any case, or None; a former name does not find it."""
        return self.repositories.get(full_name.casefold())

    def rename_repository(self, repository: Repository, full_name: str) -> None:
        """Give a new name; REST redirects the old one."""
        self.renamed[repository.full_name.casefold()] = full_name
        del self.repositories[repository.full_name.casefold()]
        repository.full_name = full_name
        self.repositories[full_name.casefold()] = repository
