"""Patterns of repositories: names as OWNER/NAME, names with wildcards, and `!` to exclude."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_SHAPE = re.compile(r"[A-Za-z0-9._*?-]+/[A-Za-z0-9._*?-]+")
_WILD = re.compile(r"[*?]")
NOT = "!"


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
