"""The points and calls that GitHub grants for an hour, and what a GraphQL document costs of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode
from graphql.language import FieldNode, FragmentSpreadNode, IntValueNode, SelectionSetNode, VariableNode
from graphql.language.ast import InlineFragmentNode, SelectionNode

from tests.fake_github.state import Clock

LIMIT = 5000
HOUR = timedelta(hours=1)


@dataclass
class Allowance:
    """What is left of `limit` until `reset` by the server's clock; then it is whole again. `spent` is never reset."""

    clock: Clock
    limit: int = LIMIT
    remaining: int = LIMIT
    spent: int = 0
    reset: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.reset = self.clock.now + HOUR

    def spend(self, points: int) -> None:
        """Take points away; nobody is refused here, for that there are faults."""
        self._renew()
        self.remaining, self.spent = max(0, self.remaining - points), self.spent + points

    def told(self) -> dict[str, Any]:
        """What GitHub says of it with every answer."""
        self._renew()
        return {"limit": self.limit, "remaining": self.remaining, "reset": int(self.reset.timestamp())}

    def _renew(self) -> None:
        if self.clock.now >= self.reset:
            self.remaining, self.reset = self.limit, self.clock.now + HOUR


def points(document: DocumentNode, variables: Mapping[str, Any]) -> int:
    """GitHub's published reckoning: a request for each list within each item of the lists around it, as if all
    were full, a point for each hundred, and one at least.
    """
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def requests(selections: SelectionSetNode | None, times: int) -> Iterator[int]:
        for node in selections.selections if selections else ():
            if _left_out(node):
                continue
            if isinstance(node, FragmentSpreadNode):
                yield from requests(fragments[node.name.value].selection_set, times)
            elif isinstance(node, InlineFragmentNode):
                yield from requests(node.selection_set, times)
            elif isinstance(node, FieldNode):
                size = next(
                    (_size(a.value) for a in node.arguments if a.name.value in ("first", "last")), None
                )
                yield times if size is not None else 0
                yield from requests(node.selection_set, times * (size or 1))

    def _left_out(node: SelectionNode) -> bool:
        """Whether `@include(if: $variable)` leaves it out."""
        conditions = (
            directive.arguments[0].value
            for directive in node.directives
            if directive.name.value == "include" and directive.arguments
        )
        return any(isinstance(c, VariableNode) and variables.get(c.name.value) is False for c in conditions)

    def _size(value: object) -> int:
        if isinstance(value, VariableNode):
            return int(variables[value.name.value])
        return int(value.value) if isinstance(value, IntValueNode) else 0

    asked = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return max(1, round(sum(sum(requests(each.selection_set, 1)) for each in asked) / 100))
