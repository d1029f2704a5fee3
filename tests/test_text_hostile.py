"""Bodies made to blow up a parser: cleaning takes time in proportion to their length."""

from __future__ import annotations

import subprocess
import sys

import pytest

from triage.text import MAX_BODY_READ, MAX_RENDERED, render

SHAPES = [
    *(
        "<!--",
        "-->",
        "<!---->",
        "[",
        "![",
        "[a](",
        "![a](http://b",
        "[](",
        "<a ",
        "</",
        "<" * 7,
        "> ",
        "```\n",
    ),
    *(
        "~~~\n",
        "`",
        "<details>\n",
        "</details>\n",
        "# \n",
        "- [ ] \n",
        "- [",
        "\r",
        "\n",
        " ",
        "\t",
        "\0",
        "\ud83d",
    ),
    *("http://", "https://www.", "https://a.b/" + "c" * 50 + " ", "-=_*", "|" * 9 + "x\n", "_no response_\n"),
    *(
        "2024-01-01T00:00:00 x\n",
        "[12:00:00",
        "[        1",
        "at x\n",
        "error",
        "I0101 00:",
        "/a-",
        "please ",
        "🐛",
    ),
    *("a" * 59 + " ", "a", "\u200b", "1. [x] y\n", "<a" * 3 + "\n", "***", "`" * 5 + "x"),
]

# In a process of its own, so that a blow-up is an end by the clock rather than a suite that hangs. A cost that
# grows with the square makes eight times the text 64 times as long; measurements below the floor are noise.
MEASURE = """
import sys, time
from triage import text
text.MAX_BODY_READ = 10**9
def seconds(body):
    spans = []
    for _ in range(3):
        start = time.perf_counter()
        text.render("t", body)
        spans.append(time.perf_counter() - start)
    return min(spans)
for shape in eval(sys.stdin.read()):
    short, long = (shape * (n // len(shape) + 1) for n in (8_000, 64_000))
    a, b = seconds(short), seconds(long)
    if b > 0.02 and b > 27 * a:
        print(repr(shape), a, b)
"""


@pytest.mark.parametrize("shape", SHAPES)
def test_hostile_bodies_render(shape: str) -> None:
    """A body of 64 KB of one shape, alone or after a word, renders within the bounds."""
    body = shape * (65_536 // len(shape))
    for text in (render("t", body), render("t", f"word {body}"), render(body, "")):
        assert text.encode().decode() == text
        assert 0 < len(text) <= MAX_RENDERED


def test_nothing_past_the_limit_is_read() -> None:
    """What lies behind the longest body read changes nothing."""
    body = "word\n" * (MAX_BODY_READ // 5)
    assert render("t", body + "tail" * 100_000) == render("t", body)


def test_time_grows_with_the_length_and_not_with_its_square() -> None:
    """With the limit on the length taken away, eight times the hostile text costs far below 64 times as much."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=ascii(SHAPES),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
