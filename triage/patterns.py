"""Which repositories are meant: names as OWNER/NAME, patterns of names, and `!` before what is taken away."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_SHAPE = re.compile(r"[A-Za-z0-9._*?-]+/[A-Za-z0-9._*?-]+")
_WILD = re.compile(r"[*?]")
NOT = "!"


def is_pattern(given: str) -> bool:
    """Whether it is no plain name: with `*` or `?`, or taking away."""
    return given.startswith(NOT) or _WILD.search(given) is not None


def fault(given: str) -> str | None:
    """What is wrong with a name or pattern, or None.

    What a pattern adds is looked up in its owner's list, so that the owner must be a name; there is no list of
    everybody's repositories.
    """
    bare = given.removeprefix(NOT)
    if not _SHAPE.fullmatch(bare):
        return f"{given!r:.80} is not of the form OWNER/NAME"
    owner = bare.partition("/")[0]
    if not given.startswith(NOT) and _WILD.search(owner):
        return f"{given!r:.80}: the owner must be a name, since there is no list of everybody's repositories"
    return None


def owners(given: Iterable[str]) -> list[str]:
    """The owners whose repositories have to be listed, each once, in the order in which they are met."""
    wild = (each for each in given if is_pattern(each) and not each.startswith(NOT))
    return list({owner.casefold(): owner for owner in (each.partition("/")[0] for each in wild)}.values())


def chosen(given: Sequence[str], listed: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """(names, patterns that add nothing). `listed` are the names OWNER/NAME by the owner in lower case.

    Read from top to bottom as in .gitignore, so that the last entry that matches a name decides: a name or a
    pattern adds, `!` takes away what is there by then. Case does not matter. What a pattern finds comes in the
    order of the names, whatever the order of the list.
    """
    names: dict[str, str] = {}
    vain = []
    for each in given:
        if each.startswith(NOT):
            names = {low: name for low, name in names.items() if not _fits(low, each[1:])}
        elif not is_pattern(each):
            names.setdefault(each.casefold(), each)
        else:
            owner = each.partition("/")[0].casefold()
            found = {name.casefold(): name for name in listed.get(owner, ()) if _fits(name, each)}
            vain += [] if found else [each]
            names |= {low: found[low] for low in sorted(found) if low not in names}
    return list(names.values()), vain


def _fits(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name.casefold(), pattern.casefold())
