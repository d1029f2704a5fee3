"""Patterns that maintainers write: of repositories, and regular expressions and globs for texts that anybody writes.

Repositories are named as OWNER/NAME, or with wildcards, and `!` excludes. Regular expressions and globs are matched by
RE2, whose time is linear in the text whatever the pattern is. It is loaded at the first of them.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_SHAPE = re.compile(r"[A-Za-z0-9._*?-]+/[A-Za-z0-9._*?-]+")
_WILD = re.compile(r"[*?]")
NOT = "!"
# Memory of one pattern, in bytes: RE2 refuses a pattern that would need more.
MAX_MEMORY = 4 << 20
MAX_PATTERN = 10_000
# Globs that braces may stand for: `{a,b}/{c,d}` is four.
MAX_EXPANDED = 1_000
_EXTENDED = re.compile(r"[?*+@!]\(")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"[^,]*\.\.[^,]*")


def is_pattern(given: str) -> bool:
    """Whether it has `*`, `?` or `!`, and is not a plain name."""
    return given.startswith(NOT) or _WILD.search(given) is not None


def adds_by_pattern(given: str) -> bool:
    """Whether it is a pattern that includes repositories, so that whoever creates one may be included."""
    return is_pattern(given) and not given.startswith(NOT)


def fault(given: str) -> str | None:
    """The error in a name or pattern, or None. The owner must be a name, since only an owner's list can be searched."""
    bare = given.removeprefix(NOT)
    if not _SHAPE.fullmatch(bare):
        return f"{given!r:.80} is not of the form OWNER/NAME"
    owner = bare.partition("/")[0]
    if not given.startswith(NOT) and _WILD.search(owner):
        return f"{given!r:.80}: the owner must be a name, since only one owner's repositories can be listed"
    return None


def owners(given: Iterable[str]) -> list[str]:
    """The owners whose repositories have to be listed, each once, in the order of the patterns."""
    included = filter(adds_by_pattern, given)
    by_name = {owner.casefold(): owner for owner in (pattern.partition("/")[0] for pattern in included)}
    return list(by_name.values())


def chosen(given: Sequence[str], listed: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """(names, patterns that match nothing). `listed` are the names OWNER/NAME by the owner in lower case.

    As in .gitignore, the last entry that matches a name decides: a name or a pattern includes, `!` excludes. Case does
    not matter. The matches of a pattern are sorted by name.
    """
    names: dict[str, str] = {}
    unmatched = []
    for pattern in given:
        if pattern.startswith(NOT):
            names = {low: name for low, name in names.items() if not _fits(low, pattern[1:])}
        elif not is_pattern(pattern):
            names.setdefault(pattern.casefold(), pattern)
        else:
            owner = pattern.partition("/")[0].casefold()
            matches = {name.casefold(): name for name in listed.get(owner, ()) if _fits(name, pattern)}
            unmatched += [] if matches else [pattern]
            names |= {low: matches[low] for low in sorted(matches) if low not in names}
    return list(names.values()), unmatched


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())


class PatternError(ValueError):
    """A pattern that cannot be read; `str()` says why."""


@functools.lru_cache(maxsize=4096)
def regex(pattern: str) -> Callable[[str], bool]:
    """Whether a text has a match of the regular expression somewhere. Raises PatternError."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it has more than {MAX_PATTERN:,} characters")
    search = _compiled(pattern).search
    return lambda text: search(_utf8(text)) is not None


@functools.lru_cache(maxsize=4096)
def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a path from the repository's root matches the glob as a whole. Raises PatternError.

    `*` and `?` stop at slashes, `**` as a folder stands for any folders, `[ab]`, `[!ab]` and `{a,b}` are alternatives,
    and a backslash takes the next character as it is. A leading dot is a character like any other.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"it has more than {MAX_PATTERN:,} characters")
    if _EXTENDED.search(pattern):
        raise PatternError(
            "patterns such as `!(…)` and `@(…)` are not supported; write alternatives as `{a,b}`"
        )
    if not pattern.removeprefix("./"):
        raise PatternError("it is empty")
    ways = [one.removeprefix("./") for one in _expanded(pattern)]
    if any(one.startswith("/") or one.endswith("/") for one in ways):
        raise PatternError(
            "no path of a file begins or ends with a slash; for all files of a folder write `docs/**`"
        )
    match = _compiled(f"(?s)(?:{'|'.join(map(_path, ways))})").fullmatch
    return lambda path: match(_utf8(path)) is not None


def globs(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a path matches any of these globs, and none of those after a `!`; these alone mean all other paths."""
    given = list(patterns)
    wanted = [glob(one) for one in given if not one.startswith(NOT)]
    unwanted = [glob(one[1:]) for one in given if one.startswith(NOT)]
    return lambda path: (
        (not wanted or any(fits(path) for fits in wanted)) and not any(fits(path) for fits in unwanted)
    )


def _compiled(pattern: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(pattern, options=options)
    except UnicodeEncodeError:
        raise PatternError("it has a character that UTF-8 cannot carry") from None
    except re2.error as error:
        reason = error.args[0] if error.args else b"RE2 cannot read it"
        raise PatternError(
            reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        ) from None


def _utf8(text: str) -> str:
    """The text without lone surrogates, which RE2 cannot be given."""
    return text.encode("utf-8", "replace").decode()


def _expanded(pattern: str) -> list[str]:
    """The globs without braces that a glob stands for."""
    done: list[str] = []
    rest = [pattern]
    while rest:
        one = rest.pop()
        braces = _BRACES.search(one)
        if braces is None:
            done.append(one)
        elif _RANGE.fullmatch(braces[1]):
            raise PatternError("ranges such as `{1..3}` are not supported; write `{1,2,3}`")
        else:
            rest += [one[: braces.start()] + way + one[braces.end() :] for way in braces[1].split(",")]
        if len(done) + len(rest) > MAX_EXPANDED:
            raise PatternError(f"its braces stand for more than {MAX_EXPANDED:,} globs")
    return done


def _path(pattern: str) -> str:
    """A glob without braces as a regular expression for a whole path."""
    *folders, name = pattern.split("/")
    start = "".join("(?:[^/]+/)*" if part == "**" else f"{_segment(part)}/" for part in folders)
    return start + (".+" if name == "**" else _segment(name))


def _segment(pattern: str) -> str:
    if pattern == "*":
        return "[^/]+"
    return "".join(_pieces(pattern))


def _pieces(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        end = pattern.find("]", at + 1) if char == "[" else -1
        if char == "\\" and at < len(pattern):
            yield re.escape(pattern[at])
            at += 1
        elif char == "*":
            yield "[^/]*"
        elif char == "?":
            yield "[^/]"
        elif end > 0:
            inside = pattern[at:end]
            negated = inside[:1] in ("!", "^")
            chosen = "".join(c if c == "-" else re.escape(c) for c in inside[negated:])
            yield f"[^/{chosen}]" if negated else f"[{chosen}]"
            at = end + 1
        else:
            yield re.escape(char)
