"""GraphQL documents executed by graphql-core against GitHub's published schema, over the fake's state."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.language import FieldNode

from tests.fake_github import graphql_git
from tests.fake_github.allowance import Allowance, points
from tests.fake_github.connection import Problem
from tests.fake_github.context import Context
from tests.fake_github.graphql_fields import FIELDS, type_name
from tests.fake_github.graphql_lists import CALLS
from tests.fake_github.graphql_roots import ROOTS
from tests.fake_github.state import World
from tests.fake_github.wire import DOCS, Json, Reply, Request

Object = dict[str, Any]


# A program sends the same few documents again and again: reading and checking one takes longer than answering it.
_parsed = functools.lru_cache(maxsize=1024)(parse)


def operation_of(body: Json) -> str:
    """`query repository` or `mutation addLabelsToLabelable`: the kind and the root fields, or ""."""
    try:
        document = _parsed(str(body["query"]) if isinstance(body, dict) else "")
    except (GraphQLError, KeyError):
        return ""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            fields = definition.selection_set.selections
            names = [field.name.value for field in fields if isinstance(field, FieldNode)]
            return f"{definition.operation.value} {','.join(names)}"
    return ""


class GraphQL:
    """The schema, and what clients sent that does not fit it."""

    def __init__(self, file: Path) -> None:
        self.schema = build_schema(file.read_text(encoding="utf-8"), assume_valid=True, no_location=True)
        self.violations: list[str] = []
        self._fitting: set[str] = set()

    def handle(self, world: World, request: Request, allowance: Allowance) -> Reply:
        """Answer one POST to /graphql, and take its points from the allowance."""
        if request.token is None:
            return Reply(
                401, {"message": "This endpoint requires you to be authenticated.", "documentation_url": DOCS}
            )
        body = request.body if isinstance(request.body, dict) else {}
        text = str(body.get("query", ""))
        try:
            document = _parsed(text)
        except GraphQLError as error:
            return self._invalid([error])
        if text not in self._fitting:
            if problems := validate(self.schema, document):
                return self._invalid(problems)
            self._fitting.add(text)
        given = body.get("variables")
        variables = given if isinstance(given, dict) else {}
        cost = points(document, variables)
        allowance.spend(cost)
        context = Context(world, request.token, request.base_url, allowance, cost)
        return Reply(200, self._execute(document, context, variables))

    def _execute(self, document: DocumentNode, context: Context, variables: Object) -> Json:
        done = execute_sync(
            self.schema,
            document,
            context_value=context,
            variable_values=variables,
            field_resolver=_resolve,
            type_resolver=lambda value, *_: graphql_git.type_name(value) or type_name(value),
        )
        answer: Object = {"data": done.data}
        if done.errors:
            answer["errors"] = [self._error(error) for error in done.errors]
        return answer

    def _error(self, error: GraphQLError) -> Object:
        answer: Object = dict(error.formatted)
        if isinstance(error.original_error, Problem):
            answer["type"] = error.original_error.kind
        else:
            self.violations.append(f"GraphQL: {error.message} at {error.path}")
        return answer

    def _invalid(self, problems: list[GraphQLError]) -> Reply:
        self.violations += [f"GraphQL document does not fit the schema: {p.message}" for p in problems]
        return Reply(200, {"errors": [dict[str, Any](problem.formatted) for problem in problems]})


def _resolve(source: Any, info: GraphQLResolveInfo, **args: Any) -> object:
    kind, name, context = info.parent_type.name, info.field_name, info.context
    plain = (FIELDS | graphql_git.FIELDS).get(kind, {}).get(name)
    if plain is not None:
        return plain(source)
    # A type's fields stand in one table, but for the repository's git objects.
    call = (ROOTS | CALLS).get(kind, {}).get(name) or graphql_git.CALLS.get(kind, {}).get(name)
    if call is not None:
        return call(source, context, args)
    if isinstance(source, Mapping) and name in source:
        return source[name]
    raise NotImplementedError(f"the fake does not know the field {kind}.{name}")
