"""REST requests and responses against GitHub's published OpenAPI description (3.0 dialect)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema import (  # type: ignore[import-untyped] # it ships no types
    Draft4Validator,
    FormatChecker,
    ValidationError,
    validators,
)
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.fake_github.wire import Json, Reply, Request

HTTP_ERROR = 400
HOME = "urn:openapi"
BASIC_ERROR = f"{HOME}#/components/schemas/basic-error"
_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)  # type: ignore[untyped-decorator] # as above
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _or_null(keyword: str) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema would list a type."""
    # GitHub's `oneOf` branches overlap, so that exactly one can never be asked for
    draft4 = Draft4Validator.VALIDATORS["anyOf" if keyword == "oneOf" else keyword]

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        if not (instance is None and schema.get("nullable")):
            yield from draft4(validator, value, instance, schema) or ()

    return check


_KEYWORDS = ("type", "enum", "oneOf", "anyOf", "allOf", "$ref", "format")
_Validator = validators.extend(Draft4Validator, {keyword: _or_null(keyword) for keyword in _KEYWORDS})


@dataclass(frozen=True)
class Operation:
    """One method of one path of the description; `pointer` finds it in the document."""

    pointer: str
    spec: Mapping[str, Any]


class OpenApi:
    """GitHub's own words on each path; `violations` collects what did not keep to them."""

    def __init__(self, file: Path) -> None:
        self.document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        self.violations: list[str] = []
        self._registry: Any = Registry().with_resource(HOME, DRAFT4.create_resource(self.document))
        self._paths = sorted(
            ((self._pattern(path, item), path) for path, item in self.document["paths"].items()),
            key=lambda pair: pair[1].replace("{", "\uffff"),
        )

    def check(self, request: Request, path: str, reply: Reply, *, answered_by_fault: bool = False) -> None:
        """Note every way in which a request and what the fake answered differ from the description."""
        operation = self._find(request.method, path)
        if operation is None:
            self.violations.append(f"{request.method} {path}: GitHub describes no such operation")
            return
        found = [*self._request(operation, request)]
        if not answered_by_fault:
            found += self._response(operation, reply)
        self.violations += [f"{request.method} {path}: {problem}" for problem in found]

    def _find(self, method: str, path: str) -> Operation | None:
        for pattern, template in self._paths:
            spec = self.document["paths"][template].get(method.lower())
            if spec and pattern.fullmatch(path):
                return Operation(f"/paths/{_escape(template)}/{method.lower()}", spec)
        return None

    def _request(self, operation: Operation, request: Request) -> Iterator[str]:
        known = {spec["name"]: spec for spec in map(self._follow, operation.spec.get("parameters", []))}
        for name, value in request.query.items():
            if name not in known or known[name]["in"] != "query":
                yield f"unknown query parameter {name!r}"
            else:
                yield from self._errors(
                    known[name]["schema"], _typed(value, known[name]["schema"]), f"?{name}"
                )
        body = operation.spec.get("requestBody")
        if body and request.body is not None:
            # GitHub allows a list of labels alone, but says so in words and not in the schema
            sent: Json = {"labels": request.body} if isinstance(request.body, list) else request.body
            pointer = f"{operation.pointer}/requestBody/content/application~1json/schema"
            yield from self._errors({"$ref": _ref(pointer)}, sent, "request body")
        elif body and body.get("required"):
            yield "the request body is missing"

    def _response(self, operation: Operation, reply: Reply) -> Iterator[str]:
        responses, status = operation.spec["responses"], str(reply.status)
        if status not in responses:
            # errors that can meet any request are not repeated for each operation
            if reply.status < HTTP_ERROR:
                yield f"GitHub never answers {status} here"
            else:
                yield from self._errors({"$ref": BASIC_ERROR}, reply.body, f"response {status}")
            return
        content = self._follow(responses[status]).get("content", {}).get("application/json")
        if content:
            yield from self._errors(content["schema"], reply.body, f"response {status}")
        elif reply.body is not None and reply.status < HTTP_ERROR:
            yield f"response {status} has no body at GitHub"

    def _follow(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in spec:
            return spec
        target: Mapping[str, Any] = self._registry.resolver().lookup(HOME + spec["$ref"]).contents
        return target

    def _pattern(self, path: str, item: Mapping[str, Any]) -> re.Pattern[str]:
        specs = [
            self._follow(spec) for operation in item.values() for spec in operation.get("parameters", ())
        ]
        long = {spec["name"] for spec in specs if spec.get("x-multi-segment")}
        parts = re.split(r"\{([\w-]+)\}", path)
        names = {index: ".+" if part in long else "[^/]+" for index, part in enumerate(parts) if index % 2}
        return re.compile("".join(names.get(index, re.escape(part)) for index, part in enumerate(parts)))

    def _errors(self, schema: Mapping[str, Any], value: Json, where: str) -> Iterator[str]:
        if schema.get("$ref", "").startswith("#"):
            schema = {"$ref": HOME + schema["$ref"]}
        resolver = self._registry.resolver(HOME)
        validator: Any = _Validator(
            schema, registry=self._registry, format_checker=_formats, _resolver=resolver
        )
        for problem in validator.iter_errors(value):
            yield f"{where}{problem.json_path.removeprefix('$')}: {problem.message[:300]}"


def _typed(value: str, schema: Mapping[str, Any]) -> Json:
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    if schema.get("type") == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _escape(segment: str) -> str:
    return segment.replace("~", "~0").replace("/", "~1")


def _ref(pointer: str) -> str:
    return f"{HOME}#{quote(pointer)}"
