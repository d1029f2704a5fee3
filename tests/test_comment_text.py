"""The text of the bot's one comment: parts that are written and updated each on its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.comment import MARKER, PARTS, merged, parts_of
from triage.markdown import escape

TEXTS = st.text().map(escape).map(str.strip)
COMMENTS = st.dictionaries(st.sampled_from(PARTS), TEXTS)


@given(COMMENTS, COMMENTS)
def test_a_part_that_is_not_written_stays_as_it_is(first: dict[str, str], second: dict[str, str]) -> None:
    """Whatever the parts say, as long as it is escaped; the last word on a part counts, and an empty one removes it."""
    text = merged(merged("", first), second)
    assert parts_of(text) == {name: part for name, part in (first | second).items() if part}


@given(COMMENTS)
def test_writing_the_same_again_changes_nothing(parts: dict[str, str]) -> None:
    """So that the comment is not edited without need."""
    text = merged("", parts)
    assert merged(text, parts) == text == merged(text, {})
    assert text.startswith(f"{MARKER}\n") or not any(parts.values())


def test_the_comment_of_an_earlier_version_is_taken_for_the_reasons() -> None:
    """It had no marks but the first line."""
    old = f"{MARKER}\n### #7 got <code>bug</code>\n\n<sub>Decided by a bundle.</sub>\n"
    assert merged(old, {"answer": "Yes."}) == (
        f"{MARKER}\n<!-- triage: part reasons -->\n### #7 got <code>bug</code>\n\n"
        "<sub>Decided by a bundle.</sub>\n\n<!-- triage: part answer -->\nYes.\n"
    )


def test_a_comment_that_was_edited_in_the_browser_keeps_its_parts() -> None:
    """GitHub's editor ends lines as Windows does."""
    text = merged("", {"reasons": "One.", "answer": "Two."}).replace("\n", "\r\n")
    assert merged(text, {"answer": "Three."}) == merged("", {"reasons": "One.", "answer": "Three."})


def test_a_part_without_a_place_is_a_mistake_of_ours() -> None:
    """It would vanish with the next update."""
    with pytest.raises(KeyError, match="advice"):
        merged("", {"advice": "Do."})
