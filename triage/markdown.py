"""Markdown for GitHub: text that strangers wrote stays text, in cells, headings and links alike."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

PLAIN = frozenset(string.ascii_letters + string.digits + " ")
# GitHub looks for mentions and references in the rendered page, where entities are characters again.
LINKING = re.compile(r"[@#]|gh-(?=\d)", re.IGNORECASE)
BREAK = "\u200b"
# Marks of direction would reorder the text around them; a terminal obeys control characters.
DIRECTION = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
CONTROL = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if not chr(code).isspace()]
REMOVED = dict.fromkeys((*DIRECTION, *CONTROL), None)
RULES = {"<": "---", "^": ":-:", ">": "--:"}


def one_line(text: str) -> str:
    """Text on one line, without control characters and marks of direction."""
    return " ".join(text.translate(REMOVED).split())


def escape(text: str) -> str:
    """Text that neither Markdown nor HTML interprets; @ and # make no mention and no reference."""
    return _entities(LINKING.sub(lambda match: match[0] + BREAK, text))


def code(text: str) -> str:
    """Text as code, where GitHub looks for no mention and no reference: the name of a label."""
    return f"<code>{_entities(text)}</code>"


def codes(texts: Iterable[str]) -> str:
    """Several as code, with spaces between."""
    return " ".join(map(code, texts))


def escape_url(url: str) -> str:
    """An address that cannot end the attribute it is in."""
    return quote(url, safe=":/?#%=&+")


def issue_link(number: int, url: str) -> str:
    """`#7`, linked to the page of the issue."""
    return f'<a href="{escape_url(url)}">#{number}</a>'


def page_link(issue: tuple[int, str]) -> str:
    """`issue_link` of a pair, for the cells of a table."""
    return issue_link(*issue)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Any]],
    align: str = "",
    *,
    forms: Sequence[Callable[[Any], str]] = (),
    more: int = 0,
) -> list[str]:
    """The lines of a table and an empty one; without `forms`, which make cells of values, cells are escaped already.

    `align` has a character for each column, `<`, `^` or `>`; by default all are aligned to the left. A last row says
    how many `more` there are.
    """
    rule = f"|{'|'.join(RULES[side] for side in align or '<' * len(heads))}|"
    cells = ([form(cell) for form, cell in zip(forms, row, strict=True)] if forms else row for row in rows)
    rest = ["…", f"{more} more", *[""] * (len(heads) - 2)]
    return [_row(heads), rule, *map(_row, cells), *([_row(rest)] if more > 0 else []), ""]


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Rows for a terminal, cells below each other."""
    flat = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, cells)) for cells in zip(*flat, strict=True)]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in flat
    )
    return [f"{indent}{line}" for line in lines]


def details(title: str, lines: Iterable[str]) -> list[str]:
    """Lines under a title that unfolds them."""
    return [f"<details><summary>{title}</summary>", "", *lines, "</details>", ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entities(text: str) -> str:
    return "".join(c if c in PLAIN or ord(c) > 127 else f"&#{ord(c)};" for c in one_line(text))
