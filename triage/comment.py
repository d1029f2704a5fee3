"""The text of the bot's one comment on an issue. Its parts stand under hidden marks, so that each is updated alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

# The first line of the comment, by which it is found again.
MARKER = "triage: reasons"
# In the order in which they are shown: why the labels were set, what may be accepted, what the issue may repeat,
# whom the labels concern, and the answer to the last command.
PARTS = ("reasons", "suggestions", "duplicates", "owners", "answer")
MARK = re.compile(r"^<!-- triage: part (\w+) -->$\n?", re.MULTILINE)
# The text of a part, or what makes it from the text of the comment before.
Part = str | Callable[[str], str]


def parts_of(text: str) -> dict[str, str]:
    """The parts of the comment with this text, by name; what stands before the first mark are its reasons.

    Windows line ends, which GitHub's editor writes, become those of Unix.
    """
    text = text.replace("\r\n", "\n").removeprefix(f"<!-- {MARKER} -->").lstrip("\n")
    first, *rest = MARK.split(text)
    parts = dict(zip(rest[::2], map(str.strip, rest[1::2]), strict=True))
    return {name: part for name, part in ({"reasons": first.strip()} | parts).items() if part}


def merged(text: str, new: Mapping[str, Part]) -> str:
    """The comment's text with `new` in place of its parts of these names; an empty part goes, and without any the text.

    `text` is that of the comment as it is ("": there is none). Raises KeyError for a name that is not in PARTS.
    """
    made = {name: part if isinstance(part, str) else part(text) for name, part in new.items()}
    parts = {**parts_of(text), **made}
    if unknown := new.keys() - set(PARTS):
        raise KeyError(*unknown)
    shown = [f"<!-- triage: part {name} -->\n{parts[name].strip()}\n" for name in PARTS if parts.get(name)]
    return "\n".join([f"<!-- {MARKER} -->", *shown]) if shown else ""
