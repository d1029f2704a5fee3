"""Bodies made to blow up a parser: the cost of cleaning does not grow with the square of their length."""

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

# Of 300 kB of a shape, each character takes microseconds at most, half a second in all. A cost that grows with the
# square of the length would take minutes to hours, so that nothing has to be compared: the alarm counts this process's
# own work, and ends it. The shape that it was at is the last line.
BOUNDED = """
import signal, sys
from triage import text
text.MAX_BODY_READ = 10**9
for shape in eval(sys.stdin.read()):
    print(ascii(shape), flush=True)
    signal.setitimer(signal.ITIMER_VIRTUAL, 20)
    text.render("t", shape * (300_000 // len(shape)))
print("done")
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


def test_the_cost_does_not_grow_with_the_square_of_the_length() -> None:
    """With the limit on the length taken away, 300 kB of any hostile shape are rendered, and not only begun."""
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED], input=ascii(SHAPES), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "done", "")
