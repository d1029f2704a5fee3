"""Markdown from text that strangers wrote: nothing but text, whatever it holds."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from triage.markdown import code, details, escape, escape_url, issue_link, table


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_escaped_text_holds_no_mark_of_markdown_or_html(text: str) -> None:
    """Letters, digits, spaces, entities and what lies beyond ASCII."""
    assert re.fullmatch(r"(?:[a-zA-Z0-9 ]|&#\d+;|[^\x00-\x7e])*", escape(text))
    assert re.fullmatch(r"<code>(?:[a-zA-Z0-9 ]|&#\d+;|[^\x00-\x7e])*</code>", code(text))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_address_cannot_end_its_attribute(text: str) -> None:
    """Nor begin a tag."""
    assert not set('"<>|`\\ \n') & set(escape_url(text))


def test_a_table_has_a_rule_below_its_heads_and_an_empty_line_at_its_end() -> None:
    """Columns are aligned as asked, to the left by default."""
    assert list(table(("a", "b"), [("1", "2")])) == ["| a | b |", "|---|---|", "| 1 | 2 |", ""]
    assert list(table(("", "b", "c"), [], "^<>"))[1] == "|:-:|---|--:|"


def test_details_and_links_are_elements() -> None:
    """Markdown inside of details is rendered, as empty lines surround it."""
    assert list(details("More", ["text", ""])) == [
        "<details><summary>More</summary>",
        "",
        "text",
        "",
        "</details>",
        "",
    ]
    assert issue_link(7, 'https://h/"7') == '<a href="https://h/%227">#7</a>'
