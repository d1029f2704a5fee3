"""What GitHub answered, read with the types it should have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from triage.errors import DataError
from triage.issue import parse_time

T = TypeVar("T")


class TypedJson:
    """A JSON object; every reader raises DataError that names the field where it is not as it should be."""

    def __init__(self, value: object, where: str = "answer") -> None:
        if not isinstance(value, Mapping):
            raise _unexpected(where, "an object")
        self._value: Mapping[str, object] = value
        self._where = where

    def text(self, key: str) -> str:
        return self._read(key, str, "a string")

    def words(self, key: str) -> str:
        """A string that GitHub may leave out or null, then empty."""
        return "" if self._value.get(key) is None else self.text(key)

    def number(self, key: str) -> int:
        return self._read(key, int, "a number")

    def flag(self, key: str) -> bool:
        return self._read(key, bool, "true or false")

    def time(self, key: str) -> datetime:
        try:
            return parse_time(self.text(key))
        except ValueError:
            raise _unexpected(f"{self._where}.{key}", "a date") from None

    def at(self, key: str) -> TypedJson:
        return TypedJson(self._value.get(key), f"{self._where}.{key}")

    def maybe(self, key: str) -> TypedJson | None:
        """The object under `key`, or None where it is null or left out."""
        return None if self._value.get(key) is None else self.at(key)

    def items(self, key: str) -> Iterator[TypedJson]:
        """The objects of a list in their order, without nulls."""
        where = f"{self._where}.{key}"
        found = self._read(key, list, "a list")
        return (TypedJson(item, f"{where}[{i}]") for i, item in enumerate(found) if item is not None)

    def _read(self, key: str, kind: type[T], expected: str) -> T:
        value = self._value.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise _unexpected(f"{self._where}.{key}", expected)
        return value


def _unexpected(where: str, expected: str) -> DataError:
    return DataError(
        f"GitHub's {where} is not {expected}",
        likely="a proxy in between, or a version of GitHub Enterprise Server that this program does not know",
        next_step="check GITHUB_API_URL, then report what `triage check --repo OWNER/NAME` says",
    )
