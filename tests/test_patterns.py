"""Names and patterns of repositories: the last entry that matches decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import from_dict
from triage.errors import ConfigError
from triage.patterns import chosen, fault, is_pattern, owners

LISTED = {"org": ["org/beta", "org/Alpha", "org/archive-1", "org/docs"], "ann": ["ann/x"]}


@pytest.mark.parametrize(
    ("patterns", "names", "vain"),
    [
        (["org/*"], ["org/Alpha", "org/archive-1", "org/beta", "org/docs"], []),
        (["ORG/A*"], ["org/Alpha", "org/archive-1"], []),
        (["org/?eta", "ann/*"], ["org/beta", "ann/x"], []),
        (["org/*", "!org/archive-*"], ["org/Alpha", "org/beta", "org/docs"], []),
        (["!org/archive-*", "org/a*"], ["org/Alpha", "org/archive-1"], []),
        (["org/a*", "!org/*", "org/archive-*"], ["org/archive-1"], []),
        (["org/*", "!*/docs", "!ORG/ALPHA"], ["org/archive-1", "org/beta"], []),
        (["org/docs", "org/*"], ["org/docs", "org/Alpha", "org/archive-1", "org/beta"], []),
        (["away/fork", "away/fork"], ["away/fork"], []),
        (["org/zeta*", "org/be*"], ["org/beta"], ["org/zeta*"]),
        ([], [], []),
    ],
)
def test_entries_add_and_take_away_in_their_order(
    patterns: list[str], names: list[str], vain: list[str]
) -> None:
    """Whatever the case; a pattern that finds nothing is named, one that takes nothing away is not."""
    assert chosen(patterns, LISTED) == (names, vain)


@given(st.permutations(LISTED["org"]))
def test_the_order_of_the_list_does_not_matter(listed: list[str]) -> None:
    """What a pattern finds comes by name."""
    patterns = ["org/*", "!org/d*"]
    assert chosen(patterns, {"org": listed}) == chosen(patterns, LISTED)


def test_only_owners_of_patterns_that_add_are_listed() -> None:
    """Each once, in one of its spellings."""
    assert owners(["a/x", "B/*", "b/y?", "!c/*", "d/e*"]) == ["b", "d"]
    assert [is_pattern(name) for name in ("a/x", "a/*", "a/?", "!a/x")] == [False, True, True, True]


@pytest.mark.parametrize("wrong", ["*/x", "o?g/x", "org", "a/b/c", "org/", "/x", "org/[ab]", "!", "org/x y"])
def test_what_cannot_be_meant_is_refused_with_the_configuration(wrong: str) -> None:
    """Before anything is asked; there is no list of everybody's repositories."""
    assert fault(wrong) is not None
    with pytest.raises(ConfigError) as refused:
        from_dict({"learn": {"repositories": ["org/*", wrong]}}, where="it")
    assert refused.value.what == f"it: in 'learn.repositories': {fault(wrong)}"
    assert refused.value.next_step.startswith("write OWNER/NAME, OWNER/* for all repositories of an owner")


def test_an_owner_must_be_a_name_only_where_something_is_added() -> None:
    """Taking away needs no list."""
    assert (
        fault("*/x") == "'*/x': the owner must be a name, since only one owner's repositories can be listed"
    )
    assert fault("!*/x") is None
