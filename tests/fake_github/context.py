"""Who asks over GraphQL, and what that token may see and do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fake_github.allowance import Allowance
from tests.fake_github.connection import Problem
from tests.fake_github.issue import Category, Issue, Label
from tests.fake_github.repository import Node, Repository
from tests.fake_github.state import Level, Token, World

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """Who asks, and of which world; `base_url` and `allowance` as of this request, which costs `cost` points."""

    world: World
    token: Token
    base_url: str
    allowance: Allowance
    cost: int

    def repository(self, full_name: str) -> Repository:
        """A repository within the token's reach; NOT_FOUND otherwise."""
        found = self.world.repository(self.world.renamed.get(full_name.casefold(), full_name))
        if found is None or (found.private and not self.token.sees(found.full_name)):
            raise Problem("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
        return found

    def node(self, node_id: str) -> Node:
        """The object of that id within the token's reach; NOT_FOUND otherwise."""
        found = self.world.nodes.get(node_id)
        if found is None or not self._sees(found):
            raise Problem("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'")
        return found

    def allow(self, repository: Repository, level: Level, *scopes: str) -> None:
        """FORBIDDEN unless the token has one of the scopes; anyone reads what is public."""
        if level == "read" and not repository.private:
            return
        if not any(self.token.may(scope, level) for scope in scopes):
            raise Problem("FORBIDDEN", self.token.refusal)

    def _sees(self, node: Node) -> bool:
        repository = home(node)
        return not repository.private or self.token.sees(repository.full_name)


def home(node: Node) -> Repository:
    """The repository that an object belongs to."""
    if isinstance(node, Repository):
        return node
    return node.repository if isinstance(node, Issue | Label | Category) else node.issue.repository


Resolver = Callable[[Any, Context, Args], object]
