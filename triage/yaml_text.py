"""YAML of a user as plain data, within bounds: nothing is built of a document that is too large, deep or ambiguous.

Only what a configuration needs is read: mappings with text as keys, lists, text, decimal numbers, true, false, null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from triage.errors import ConfigError
from triage.schema import joined

MAX_CHARACTERS = 250_000
MAX_DEPTH = 20
# Including what aliases repeat.
MAX_NODES = 50_000
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


def read(path: Path) -> str:
    """The text of a file in UTF-8, or its beginning, a character more than may be decoded: devices have no end.

    Raises OSError, and ValueError for another encoding.
    """
    with path.open(encoding="utf-8-sig") as file:
        return file.read(MAX_CHARACTERS + 1)


def decode(text: str, where: str) -> Document:
    """Raises ConfigError with `where`, the line, the key, the likely cause and the next step."""
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"{where}: longer than {MAX_CHARACTERS:,} characters",
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
        if self.depth == MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # of PyYAML
            raise yaml.composer.ComposerError(None, None, f"nested more than {MAX_DEPTH} levels deep", mark)
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
        if self._count > MAX_NODES or depth > MAX_DEPTH:
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


KINDS = {
    "bool": "true or false",
    "null": "nothing (null)",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
}


def _kind(node: yaml.Node) -> str:
    """What YAML takes a scalar for."""
    tag = node.tag.removeprefix(TAG)
    return KINDS.get(tag, f"a value with the tag {node.tag!r:.60}")


def _quoted(text: str) -> str:
    """The next step for text that lacks quotes."""
    return f'quote it: "{text}"' if text.isprintable() and len(text) < 60 and '"' not in text else "quote it"
