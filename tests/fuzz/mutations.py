"""Mutations of valid samples: of bytes, lines, JSON, YAML and the headers of arrays. The same seed, the same input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

NASTY_TEXT = [
    "",
    "\x00",
    "\u2028",
    "\u0085",
    "\ud800",
    "\u202eadmin",
    "\ufeff",
    "🐛" * 50,
    "e\u0301" * 20,
    "::error::x",
    "x\n::stop-commands::y",
    "##[group]x",
    "../../etc/passwd",
    "/dev/zero",
    "a" * 5_000,
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    "2026-13-45T99:99:99Z",
    "1/99999999999",
    "github:",
    "*",
    "!",
    "[" * 40,
]
NASTY: list[Any] = [
    *NASTY_TEXT,
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63) - 1,
    10**400,
    1e308,
    -1e308,
    1e-320,
    0.5,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"": None},
    ["bug", 1],
    {"bug": "bug"},
]
NASTY_YAML = [
    "!!bool x",
    "!!timestamp x",
    "!!int ''",
    "!!python/object:os.system x",
    "!!binary x",
    "&a [*a]",
    "*nowhere",
    "9" * 400,
    "0x" + "f" * 500,
    "1:30:45",
    "2026-01-01",
    ".nan",
    "no",
    "~",
    "|\n  x",
    "{a: b, a: c}",
    "[" * 60,
    "- " * 60,
    "? x",
    "<<: *a",
    "'",
    '"\\x',
    "\t",
    "%YAML 9.9",
    "---",
    "...",
]
HEADERS = [
    (b"'<f4'", b"'<f8'"),
    (b"'<f4'", b"'|O'"),
    (b"'<f4'", b"'<M8[s]'"),
    (b"'<f4'", b"[('a', '<f4')]"),
    (b"'<i8'", b"'<i4'"),
    (b"'<i8'", b"'>i8'"),
    (b"'|u1'", b"'|S1'"),
    (b"False", b"True"),
    (b"(", b"(1000000000, "),
    (b"(", b"(-"),
    (b"(", b"(0, "),
    (b",)", b", 0)"),
    (b",)", b", 999999999999)"),
    (b"),", b"**9),"),
    (b"{", b"{" * 30),
    (b"shape", b"shap"),
    (b"\x01\x00", b"\x02\x00"),
    (b"\x01\x00", b"\x09\x09"),
    (b"\x93NUMPY", b"PK\x03\x04"),
]


def mutated(sample: bytes, random: Random) -> bytes:
    """The sample with one to four mutations of the kinds that fit it."""
    data = sample
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(_kinds(data))(data, random)
    return data


def _kinds(data: bytes) -> Sequence[Callable[[bytes, Random], bytes]]:
    of_bytes = [_flip, _cut, _drop, _double, _insert, _digits]
    if b"\x93NUMPY" in data[:200] or data[:2] in (b"PK", b"\x1f\x8b"):
        return [*of_bytes, _header, _header]
    return [*of_bytes, _line, _json, _json, _json, _json, _yaml]


def _place(data: bytes, random: Random) -> int:
    return random.randrange(len(data) + 1)


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 8)) if data else 0):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: _place(data, random)]


def _drop(data: bytes, random: Random) -> bytes:
    start = _place(data, random)
    return data[:start] + data[start + random.choice((1, 2, 10, 100)) :]


def _double(data: bytes, random: Random) -> bytes:
    start = _place(data, random)
    end = start + random.choice((1, 10, 100, 1_000))
    return data[:end] + data[start:end] * random.choice((1, 3)) + data[end:]


def _insert(data: bytes, random: Random) -> bytes:
    at = _place(data, random)
    text = random.choice(NASTY_TEXT).encode("utf-8", "surrogatepass")
    return data[:at] + random.choice((text, random.randbytes(4), b"\n", b"\x00")) + data[at:]


def _digits(data: bytes, random: Random) -> bytes:
    numbers = list(re.finditer(rb"\d+", data[:100_000]))
    if not numbers:
        return data
    found = random.choice(numbers)
    huge = random.choice(
        (b"9" * 400, b"9" * 5_000, b"-1", b"0", b"1e999", b"18446744073709551616", b"00", b"1.5")
    )
    return data[: found.start()] + huge + data[found.end() :]


def _header(data: bytes, random: Random) -> bytes:
    old, new = random.choice(HEADERS)
    at = data.find(b"\x93NUMPY")
    start = max(at, 0)
    return data[:start] + data[start : start + 200].replace(old, new, 1) + data[start + 200 :]


def _line(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    how = random.randrange(4)
    if how == 0:
        del lines[i]
    elif how == 1:
        lines.insert(j, lines[i])
    elif how == 2:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines[i] = b"  " + lines[i]
    return b"".join(lines)


def _yaml(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    i = random.randrange(len(lines))
    key, colon, _ = lines[i].partition(b":")
    value = random.choice((random.choice(NASTY_YAML), str(random.choice(NASTY))))
    lines[i] = key + colon + b" " + value.encode("utf-8", "replace")
    return b"\n".join(lines)


def _json(data: bytes, random: Random) -> bytes:
    """A change within the JSON that the sample is, or that one of its lines is."""
    lines = [data] if data[:1] == b"{" and b"}\n{" not in data else data.splitlines(keepends=True)
    if not lines:
        return data
    i = random.randrange(len(lines))
    try:
        value = json.loads(lines[i])
    except (ValueError, RecursionError):
        return data
    text = _written(_changed(value, random, random.randrange(6)), random)
    lines[i] = text.encode("utf-8", "surrogatepass") + b"\n"
    return b"".join(lines)


def _written(value: object, random: Random) -> str:
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.1:
        # A key that is there twice.
        text = text.replace("{", '{"number": "twice", "labels": 7, ', 1)
    return text


def _changed(value: Any, random: Random, depth: int) -> Any:
    """The value with a change at a random place in it."""
    if isinstance(value, dict) and value and depth:
        key = random.choice(list(value))
        how = random.randrange(8)
        if how == 0:
            return {name: item for name, item in value.items() if name != key}
        if how == 1:
            return value | {random.choice(NASTY_TEXT): value[key]}
        return value | {key: _changed(value[key], random, depth - 1)}
    if isinstance(value, list) and value and depth:
        at = random.randrange(len(value))
        how = random.randrange(5)
        if how == 0:
            return value[:at] + value[at + 1 :]
        if how == 1:
            return [*value, value[at]]
        return [*value[:at], _changed(value[at], random, depth - 1), *value[at + 1 :]]
    if random.random() < 0.05:
        return _deep(random.choice((50, 70, 900)))
    return random.choice(NASTY)


def _deep(levels: int) -> Any:
    value: Any = []
    for i in range(levels):
        value = [value] if i % 2 else {"a": value}
    return value
