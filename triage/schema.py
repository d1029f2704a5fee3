"""Frozen dataclasses from decoded YAML or JSON: the types of their fields are the schema.

A field's `metadata` may hold `doc` (one sentence, used by the documentation), `low` and `high` (inclusive
bounds of a number), `choices`, and `single` (one text may stand for a list of one); a `nested` field lies deeper in
the data. A text may stand for a dataclass with a `short`, which names the field that it is. A value of another type is
refused with its path.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from triage.errors import did_you_mean

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


def _wrong(path: str, expected: str, found: object) -> SchemaError:
    return SchemaError(f"in '{path or '(top)'}': expected {expected}, found {_shown(found)}", path, expected)


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
            raise _wrong(path, f"at most {high:g}", value)
    if choices and value is not None and value not in choices:
        raise _wrong(path, f"one of {', '.join(choices)}", value)
    return value
