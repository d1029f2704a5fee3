"""The table that `triage label` prints: labels, votes, neighbours, and nothing that a terminal obeys."""

from __future__ import annotations

import pytest

from tests.test_summary import HOSTILE, decision
from triage.reports.label_report import meter, terminal


def test_a_decision_is_told_with_its_labels_what_was_held_back_and_who_voted() -> None:
    """Columns stand below each other, whatever the labels are called."""
    found = decision("bug", "area: sync", held={"question": "a bug already"})
    assert terminal("Renames lose files", found).splitlines() == [
        "octo/demo#7  Renames lose files",
        "  + bug         █████████  0.90  3.0 of 2 votes",
        "  + area: sync  ████████   0.80  3.0 of 2 votes",
        "  - question    ███████    0.70  held back: a bug already",
        "      0.90  #1  bug, area: sync",
        "      0.90  #2  bug, area: sync",
    ]


def test_where_no_label_is_set_the_nearest_are_named() -> None:
    """So that a person sees how far off it was."""
    assert "  no label; the highest scores were runner-up 0.90\n" in terminal("Hm", decision())


@pytest.mark.parametrize(
    "text", [*HOSTILE, "\x1b[31mred", "\x9b2J", "\x1b]0;title\x07", "a\rb", "\u2066x", "a\x00b"]
)
def test_nothing_that_a_terminal_obeys_is_printed(text: str) -> None:
    """Neither of a title nor of a label: no escape sequence, no new line, no turned direction."""
    lines = terminal(text, decision(text, held={f"{text}!": "no"})).split("\n")
    assert len(lines) == 6
    assert not [
        c for line in lines for c in line if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066"
    ]


@pytest.mark.parametrize(
    ("score", "drawn"),
    [(0.0, "           0.00"), (0.5, "█████      0.50"), (0.06, "▋          0.06"), (1.0, "██████████ 1.00")],
)
def test_a_score_is_drawn_to_an_eighth_of_a_block(score: float, drawn: str) -> None:
    """Ten blocks are certainty."""
    assert meter(score) == drawn
