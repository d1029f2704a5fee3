"""Frozen dataclasses from YAML or JSON: the types of their fields are the schema.

A field's `metadata` may hold `doc` (one sentence, used by the documentation), `low` and `high` (inclusive
bounds of a number), `choices`, and `single` (one text may stand for a list of one); a `nested` field lies deeper in
the data. A text may stand for a dataclass with a `short`, which names the field that it is. A value of another type is
refused with its path.

Of YAML only what a configuration needs is read: mappings with text as keys, lists, text, decimal numbers, true, false,
null. Nothing is built of a document that is too large, deep or ambiguous.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import yaml

from triage.errors import ConfigError, did_you_mean

T = TypeVar("T")

# JSON of this program nests less than ten levels deep, that of GitHub's events less than twenty.
MAX_DEPTH = 60
# Whole numbers below this can be computed with as floats. A date of these years may be moved by any span that occurs.
MOST = 10**30
YEARS = range(1900, 9000)


class SchemaError(ValueError):
    """An error in the data and its path: `str()` reads "in 'labels.max': expected …".

    `path` is where it is, `expected` what belongs there, or ""; `next_step` is None where there is no special one.
    """

    def __init__(self, what: str, path: str = "", expected: str = "", next_step: str | None = None) -> None:
        self.path, self.expected, self.next_step = path, expected, next_step
        super().__init__(what)


def option(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    single: bool = False,
) -> Any:
    """A dataclass field with a default, its documentation and its bounds.

    `single`: one text may stand for a list of one, as a value of a mapping too.
    """
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices, "single": single}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def nested(path: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that is read from a dotted path; see `within`."""
    return dataclasses.field(default=default, metadata={"path": path})


def parse_time(value: str) -> datetime:
    """A moment from ISO 8601, in UTC where no zone is given. Raises ValueError, also for a year outside of YEARS."""
    moment = datetime.fromisoformat(value)
    if moment.year not in YEARS:
        raise ValueError(f"the year {moment.year} is out of range")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def decoded(data: bytes | str) -> object:
    """Decoded JSON. Raises SchemaError for anything else, for NaN and Infinity, and for more than MAX_DEPTH levels."""
    try:
        value: object = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SchemaError(str(error)) from None
    opened = (
        data.count(b"[") + data.count(b"{") if isinstance(data, bytes) else data.count("[") + data.count("{")
    )
    if opened > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise SchemaError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in items)


def build(cls: type[T], data: object, path: str = "", *, strict: bool = True) -> T:
    """An instance of the dataclass `cls` from a mapping. Raises SchemaError.

    `strict` refuses unknown keys, and text that UTF-8 cannot encode. Otherwise unknown keys are ignored, as are nulls
    in lists, and a null counts as missing where the field has a default: for answers of a server.
    """
    if isinstance(data, str) and (short := getattr(cls, "short", "")):
        data = {short: data}
    if not isinstance(data, Mapping):
        raise _wrong(path, "a mapping", data)
    fields = _fields(typing.cast(type, cls))
    if strict and (unknown := [key for key in data if key not in fields]):
        raise _unknown(joined(path, str(unknown[0])), str(unknown[0]), list(fields))
    values = {}
    for name, (field, hint, optional) in fields.items():
        place = field.metadata.get("path", name)
        found = data.get(name, MISSING) if place == name else within(data, place)
        if found is MISSING and not optional:
            raise SchemaError(f"in '{joined(path, place)}': missing")
        if found is not MISSING and (strict or not optional or found is not None):
            where = joined(path, place)
            if field.metadata.get("single"):
                found = _listed(found)
            value = convert(hint, found, where, strict=strict)
            values[name] = _checked(value, field.metadata, where) if field.metadata else value
    return cls(**values)


def _listed(data: object) -> object:
    """The data with a list of one in place of a single text."""
    if isinstance(data, Mapping):
        return {name: _listed(value) for name, value in data.items()}
    return [data] if isinstance(data, str) else data


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def within(data: object, path: str) -> object:
    """What decoded data has at a dotted path, or MISSING; `*` stands for every item of a list."""
    keys = path.split(".") if path else []
    for i, key in enumerate(keys):
        if key == "*" and isinstance(data, list):
            return [within(item, ".".join(keys[i + 1 :])) for item in data]
        data = data.get(key, MISSING) if isinstance(data, Mapping) else MISSING
    return data


def part(data: object, path: str) -> object:
    """What decoded data has at a dotted path, or None; see `within`."""
    value = within(data, path)
    return None if value is MISSING else value


@functools.cache
def _fields(cls: type) -> dict[str, tuple[dataclasses.Field[Any], Any, bool]]:
    """By name: the field, its type, and whether it has a default."""
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return {
        f.name: (f, hints[f.name], f.default is not missing or f.default_factory is not missing)
        for f in dataclasses.fields(cls)
    }


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can carry the text: lone surrogates it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def joined(path: str, name: str) -> str:
    """The path of a key, in which nothing can end a line."""
    name = name if name.isprintable() else repr(name)[1:-1]
    return f"{path}.{name}" if path else name


def _unknown(path: str, key: str, known: list[str]) -> SchemaError:
    meant = did_you_mean(key, known)
    return SchemaError(f"in '{path}': unknown key; {meant}known keys: {', '.join(known)}", path)


def _wrong(path: str, expected: str, found: object, next_step: str | None = None) -> SchemaError:
    what = f"in '{path or '(top)'}': expected {expected}, found {_shown(found)}"
    return SchemaError(what, path, expected, next_step)


def _shown(found: object) -> str:
    try:
        return f"{found!r:.60}"
    except RecursionError:
        return f"a {type(found).__name__} nested too deep to show"


def convert(hint: Any, data: object, path: str = "", *, strict: bool = True) -> object:
    """A value of the type `hint`; otherwise as `build`."""
    if hint is Any:
        return data
    if hint in SCALARS:
        return _scalar(hint, data, path, strict)
    if hint is datetime:
        return _moment(data, path)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return None if data is None else convert(inner[0], data, path, strict=strict)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise _wrong(path, "a list", data)
        item = typing.get_args(hint)[0]
        kept = [(i, v) for i, v in enumerate(data) if strict or v is not None]
        return tuple([convert(item, v, f"{path}[{i}]", strict=strict) for i, v in kept])
    if origin is dict:
        if not isinstance(data, Mapping):
            raise _wrong(path, "a mapping", data)
        of_key, of_value = typing.get_args(hint)
        return {
            convert(of_key, k, path, strict=strict): convert(of_value, v, joined(path, str(k)), strict=strict)
            for k, v in data.items()
        }
    return build(typing.cast(type, hint), data, path, strict=strict)


def convert_part(hint: Any, data: object, path: str, *, strict: bool = True) -> object:
    """What decoded data has at a dotted path, as a value of the type `hint`; nothing there counts as null."""
    return convert(hint, part(data, path), path, strict=strict)


def _moment(data: object, path: str) -> datetime:
    try:
        return parse_time(data if isinstance(data, str) else "")
    except (ValueError, OverflowError):
        raise _wrong(path, "a date in ISO 8601", data) from None


SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def _scalar(hint: Any, data: object, path: str, strict: bool) -> object:
    is_number = hint is float and isinstance(data, int)
    if not (isinstance(data, hint) or is_number) or isinstance(data, bool) != (hint is bool):
        raise _wrong(path, SCALARS[hint], data)
    if hint is float and not _is_finite(typing.cast(float, data)):
        raise _wrong(path, "a finite number", data)
    if hint is int and not -MOST <= typing.cast(int, data) <= MOST:
        raise _wrong(path, "a whole number of at most 30 digits", data)
    if strict and isinstance(data, str) and not is_utf8(data):
        raise _wrong(path, "text that UTF-8 can carry", data)
    return float(typing.cast(float, data)) if hint is float else data


def _checked(value: object, rules: Mapping[str, Any], path: str) -> object:
    low, high, choices = rules.get("low"), rules.get("high"), rules.get("choices")
    if isinstance(value, dict):
        return {key: _checked(one, rules, joined(path, str(key))) for key, one in value.items()}
    if isinstance(value, tuple):
        return tuple([_checked(one, rules, f"{path}[{i}]") for i, one in enumerate(value)])
    if isinstance(value, int | float) and not isinstance(value, bool):
        if low is not None and value < low:
            raise _wrong(path, f"at least {low:g}", value)
        if high is not None and value > high:
            is_percentage = (low, high) == (0, 1) and value <= 100
            step = f"write {value / 100:g} for {value:g}%" if is_percentage else None
            raise _wrong(path, f"at most {high:g}", value, step)
    if choices and value is not None and value not in choices:
        raise _wrong(path, f"one of {', '.join(choices)}", value)
    return value


MAX_YAML = 250_000
MAX_YAML_DEPTH = 20
# Including what aliases repeat.
MAX_YAML_NODES = 50_000
TAG = "tag:yaml.org,2002:"
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
FLOAT = re.compile(r"[-+]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,3})?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
NULLS = ("", "~", "null", "Null", "NULL")
KEY = re.compile(r"\s*(?:- +)*([^\s:#][^:]*?)\s*:(?:\s|$)")
QUOTE = "quote text that YAML could read as something else, as in \"area: sync\", '!org/old' or '*'"


@dataclass(frozen=True)
class Document:
    """Decoded YAML, and by path ("labels.allow[1]") the nodes that it was decoded from."""

    data: object
    nodes: Mapping[str, yaml.Node]

    def line(self, path: str) -> int | None:
        """The line, from 1, of what is at a path, or of the innermost that is around it."""
        while path and path not in self.nodes:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        node = self.nodes.get(path)
        return None if node is None else node.start_mark.line + 1

    def unquoted(self, path: str) -> str:
        """The text at a path if it has no quotes and YAML reads it as something else than text; otherwise ""."""
        node = self.nodes.get(path)
        is_text = not isinstance(node, yaml.ScalarNode) or node.style is not None or node.tag == f"{TAG}str"
        return "" if is_text else str(node.value)  # type: ignore[union-attr]  # a node, since it is no text


def read_yaml(path: Path) -> str:
    """The text of a file in UTF-8, or its beginning, a character more than may be decoded: devices have no end.

    Raises OSError, and ValueError for another encoding.
    """
    with path.open(encoding="utf-8-sig") as file:
        return file.read(MAX_YAML + 1)


def decoded_yaml(text: str, where: str) -> Document:
    """Raises ConfigError with `where`, the line, the key, the likely cause and the next step."""
    if len(text) > MAX_YAML:
        raise ConfigError(
            f"{where}: longer than {MAX_YAML:,} characters",
            likely="another file",
            next_step="check the path, or shorten the descriptions",
        )
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        reader = _Reader(where)
        return Document(None if root is None else reader.value(root, "", 0), reader.nodes)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{where}, line {line}: not valid YAML: it contains the character {error.character!r:.20}",
            likely="the file is binary, or of another encoding than UTF-8",
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _invalid(error, text, where) from None
    finally:
        if loader is not None:
            loader.dispose()


def _invalid(error: yaml.MarkedYAMLError, text: str, where: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place, key = "", ""
    if mark is not None:
        lines = text.split("\n")
        at = min(mark.line, len(lines) - 1)
        place, match = f", line {mark.line + 1}", KEY.match(lines[at])
        key = f" after the key {match[1]!r:.60}" if match else ""
    problem = error.problem or error.context or "it cannot be parsed"
    if "\\t" in problem:
        return ConfigError(
            f"{where}{place}: not valid YAML{key}: {problem}",
            likely="a tab at the beginning of a line",
            next_step="indent with spaces",
        )
    return ConfigError(
        f"{where}{place}: not valid YAML{key}: {problem}",
        likely="text with a colon or another special character, a bracket or quote that is not closed, or indentation",
        next_step=QUOTE,
    )


class _Loader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.depth == MAX_YAML_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # of PyYAML
            raise yaml.composer.ComposerError(
                None, None, f"nested more than {MAX_YAML_DEPTH} levels deep", mark
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Plain data of nodes; counts them, so that aliases cannot multiply without end."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.nodes: dict[str, yaml.Node] = {}
        self._count = 0

    def value(self, node: yaml.Node, path: str, depth: int) -> object:
        self._count += 1
        if self._count > MAX_YAML_NODES or depth > MAX_YAML_DEPTH:
            raise self._wrong(node, path, "aliases repeat too much", "write out what the aliases stand for")
        self.nodes.setdefault(path, node)
        tag = node.tag.removeprefix(TAG)
        if isinstance(node, yaml.MappingNode) and tag == "map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and tag == "seq":
            return [self.value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, tag, path)
        raise self._wrong(node, path, f"the tag {node.tag!r:.60} is not read", QUOTE)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        first: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, path, "a list or mapping is used as a key", QUOTE)
            name = str(key.value)
            inner = f"{path}.{name}" if path and name.isprintable() else joined(path, name)
            if key.tag != f"{TAG}str":
                raise self._wrong(
                    key,
                    inner,
                    f"the key {name!r:.60} has no quotes, and YAML reads it as {_kind(key)}",
                    _quoted(name),
                )
            if name in values:
                raise self._wrong(
                    key,
                    inner,
                    f"the key {name!r:.60} is there twice, first in line {first[name]}",
                    "put everything below one of them, and remove the other",
                )
            first[name] = key.start_mark.line + 1
            values[name] = self.value(value, inner, depth + 1)
        return values

    def _scalar(self, node: yaml.ScalarNode, tag: str, path: str) -> object:
        text = str(node.value)
        if tag == "str":
            return text
        if tag == "null" and text in NULLS:
            return None
        if tag == "bool" and text.lower() in yaml.SafeLoader.bool_values:
            return yaml.SafeLoader.bool_values[text.lower()]
        if tag == "int" and INTEGER.fullmatch(text):
            return int(text)
        if tag == "float" and FLOAT.fullmatch(text):
            return float(text)
        if tag == "float" and NOT_FINITE.fullmatch(text):
            return float(text.replace(".", "").lower())
        if tag in ("int", "float"):
            raise self._wrong(
                node,
                path,
                f"{text!r:.60} is not a number of at most 18 decimal digits",
                f"write such a number, or if it is text, {_quoted(text)}",
            )
        raise self._wrong(node, path, f"YAML reads {text!r:.60} as {_kind(node)}", _quoted(text))

    def _wrong(self, node: yaml.Node, path: str, what: str, next_step: str) -> ConfigError:
        line = node.start_mark.line + 1
        return ConfigError(f"{self.where}, line {line}: in '{path or '(top)'}': {what}", next_step=next_step)


YAML_KINDS = {
    "bool": "true or false",
    "null": "nothing (null)",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}


def _kind(node: yaml.Node) -> str:
    """What YAML takes a scalar for."""
    tag = node.tag.removeprefix(TAG)
    return YAML_KINDS.get(tag, f"a value with the tag {node.tag!r:.60}")


def _quoted(text: str) -> str:
    """The next step for text that lacks quotes."""
    return f'quote it: "{text}"' if text.isprintable() and len(text) < 60 and '"' not in text else "quote it"
