"""The one rendering of an issue: what stays, what goes, and that nothing breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage import text as rendering
from triage.text import MAX_RENDERED, clean, digest, render

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)
MARKUP = st.lists(
    st.sampled_from(
        [
            "<!--",
            "-->",
            "```",
            "~~~",
            "<details>",
            "</details>",
            "# Head",
            "> ",
            "- [ ] box",
            "[a](http://b)",
            "\n",
            "\n\n",
            "\0",
            "\ud800",
            "🐛",
            "/kind bug",
            "E0101 00:00:00 error",
            "_No response_",
            "word",
        ]
    ),
    max_size=60,
).map("".join)
INLINE = [
    *(
        "![",
        "[",
        "](",
        ")",
        "https://",
        "http:",
        "//",
        "www.",
        "example.org",
        "<",
        "</",
        ">",
        "a",
        "Z",
        "_",
        "`",
    ),
    *("**", " ", "  ", "\t", "\u00a0", "\u200b", "é", "x" * 59, "y" * 60, "(", "#"),
]
LOG = "\n".join(f"2024-01-01T00:00:{s:02d} starting part {s}" for s in range(40))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("before <!-- what\nwe ask --> after", "before after"),
        ("one <!-- never closed\n\ntwo", "one\ntwo"),
        ("<!-- never closed", ""),
        ("- [x] I agree\n* [ ] not this\n1. [X] nor this\n- a point", "- a point"),
        ("![a screenshot](https://x.y/z.png) seen", "a screenshot seen"),
        ('<img src="a.png" width=3> seen', "seen"),
        ("/kind bug\n/assign @me\n/lgtm\ntext", "text"),
        ("/usr/bin is empty\n/etc/hosts too", "/usr/bin is empty\n/etc/hosts too"),
        ("see [the docs](https://docs.example.org/a/b?c=d) there", "see the docs there"),
        ("see https://www.example.org/a/b?c=d#e there", "see example.org there"),
        ("### Version\n_No response_\n### Steps\npush", "Steps\npush"),
        ("### Version\n\nN/A\n\n### Last", ""),
        ("Please search before you post.\nIt broke", "It broke"),
        ("### Is there an existing issue for this?\n- [x] I have searched\n### What\nhang", "What\nhang"),
        ("**bold** and `code` <b>tag</b>", "bold and code tag"),
        ("---\n***\n| --- | --- |\n text ", "text"),
        ("> quoted\n>> twice", "quoted\ntwice"),
        ("a" * 100, "a" * 60),
        ("a\u200bb\u00a0\u00a0c", "a b c"),
        ("日本語のタイトル 🐛 ok", "日本語のタイトル 🐛 ok"),
        ("\x9b31mred\x07 and \0 null", "31mred and null"),
        ("lone \ud83d surrogate", "lone ? surrogate"),
    ],
)
def test_what_stays_of_a_body(body: str, kept: str) -> None:
    """Comments, forms, check-lists, images, commands and markup go; what the author says stays."""
    assert clean(body) == kept


def test_code_is_shortened_and_its_error_lines_stay() -> None:
    """Of a code block the first lines stay, and later ones only where they name an error."""
    code = "\n".join([f"call_{i}()" for i in range(20)] + ["ValueError: no such berth", "done()"])
    kept = clean(f"Before\n```python\n{code}\n```\nAfter").split("\n")
    assert kept == ["Before", *(f"call_{i}()" for i in range(5)), "ValueError: no such berth", "After"]


@pytest.mark.parametrize("fence", ["```\n{}\n```", "{}", "~~~\n{}\n~~~"])
def test_logs_are_shortened_and_their_error_lines_stay(fence: str) -> None:
    """Of a log, fenced or bare, the first lines and the errors stay; the frames of a stack do not."""
    dump = f"{LOG}\n2024-01-01T00:01:00 panic: index out of range\n\tat com.example.failing(Main.java:3)"
    kept = clean(fence.format(dump)).split("\n")
    assert kept == [*LOG.split("\n")[:3], "2024-01-01T00:01:00 panic: index out of range"]


def test_details_keep_a_line_and_the_errors() -> None:
    """Of a folded dump its first line stays and the errors in it; the prose after it is whole."""
    body = f"Look:\n<details>\n<summary>Output</summary>\n{LOG}\nfatal: gone\n</details>\nAfter\nit"
    assert clean(body).split("\n") == ["Look:", "Output", "fatal: gone", "After", "it"]


@pytest.mark.parametrize(
    "opener",
    [
        "```ferry push```",
        "<details><summary>ferry push</summary></details>",
        "<DETAILS>ferry push</Details>",
    ],
)
def test_what_closes_on_its_own_line_swallows_nothing(opener: str) -> None:
    """Code or details that open and close on one line leave all the following lines as they are."""
    prose = [f"sentence {i}" for i in range(30)]
    assert clean("\n".join([opener, *prose])).split("\n") == ["ferry push", *prose]


def test_a_fence_never_closed_keeps_more_than_code() -> None:
    """A fence left open is most often forgotten in prose: ten lines stay rather than five."""
    assert clean("```\n" + "\n".join(f"line {i}" for i in range(30))).count("\n") == 9


@pytest.mark.parametrize(
    ("title", "body", "text"),
    [
        ("", "", "(empty)"),
        ("", None, "(empty)"),
        ("\0\ud800", None, "?"),
        ("A  title\nof two lines", "", "A title of two lines"),
        ("", "only a body", "only a body"),
        ("T", "<!-- nothing -->", "T"),
    ],
)
def test_a_title_and_a_body_become_one_text(title: str, body: str | None, text: str) -> None:
    """The title is one line, the body follows; where both say nothing the text still is not empty."""
    assert render(title, body) == text


def test_a_body_of_a_megabyte_is_cut() -> None:
    """A body of 1 MB is read to its limit and rendered within the longest text."""
    text = render("t" * 100_000, "many words here\n" * 70_000)
    assert len(text) <= MAX_RENDERED
    assert text.startswith("t" * 300 + "\nmany words here\n")


@given(ANY_TEXT | MARKUP, ANY_TEXT | MARKUP)
def test_any_text_renders(title: str, body: str) -> None:
    """Whatever an issue holds, its text is valid UTF-8, one title line, not empty and bounded."""
    text = render(title, body)
    assert text.encode().decode() == text
    assert 0 < len(text) <= MAX_RENDERED
    assert text == text.strip()
    assert not set(text) & {chr(c) for c in (*range(10), *range(11, 32), *range(127, 160))}
    assert render(title, body) == text


@given((ANY_TEXT | MARKUP).filter(lambda text: "\r" not in text))
def test_line_ends_make_no_difference(body: str) -> None:
    """Windows, old Macintosh and Unix line ends render to the same text."""
    assert render("t", body.replace("\n", "\r\n")) == render("t", body)
    assert render("t", body.replace("\n", "\r")) == render("t", body)


def test_equal_texts_have_one_digest() -> None:
    """Two issues that render alike count as duplicates, others do not."""
    assert digest(render("a", "b\r\n")) == digest(render("a ", "b"))
    assert digest(render("a", "b")) != digest(render("a", "c"))


@given(st.lists(st.sampled_from(INLINE), max_size=12).map("".join))
def test_lines_without_markup_are_not_searched_for_it(line: str) -> None:
    """The patterns that are left out would have changed nothing."""
    slow = line
    for pattern in (rendering._IMAGE, rendering._LINK, rendering._URL):
        slow = pattern.sub(r"\1", slow)
    slow = rendering._TAG.sub(" ", slow).replace("`", "").replace("**", "")
    slow = rendering._SPACE.sub(" ", rendering._LONG_WORD.sub(r"\1", slow)).strip()
    assert rendering._plain(line) == slow
