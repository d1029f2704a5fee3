"""Policy: which of the elected labels may be set, and the reason for each that may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import Config, LabelsConfig, LearnConfig, from_dict
from triage.decide import Policy
from triage.issue import Names, matches

SCORES = {"bug": 0.9, "enhancement": 0.8, "question": 0.7, "area: web": 0.6, "area: cli": 0.5, "docs": 0.5}
NAMES = st.sampled_from(sorted(SCORES))


@pytest.mark.parametrize(
    ("name", "pattern", "does"),
    [
        ("area: web", "area:*", True),
        ("area: web", "area", False),
        ("P1", "P?", True),
        ("P10", "P?", False),
        ("WontFix", "wontfix", True),
        ("STRASSE", "straße", True),
        ("[core] io", "[core]*", True),
        ("c", "[core]", False),
        ("a*b", "a*b", True),
        ("", "*", True),
    ],
)
def test_patterns_are_globs_without_brackets(name: str, pattern: str, does: bool) -> None:
    """`*` and `?` are wild, brackets are letters of the name, and case does not count."""
    assert matches(name, [pattern]) is does


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bug", None),
        ("untriaged", "it marks issues on which the bot abstained"),
        ("wontfix", "only people set it (labels.deny)"),
        ("Good First Issue", "only people set it (labels.deny)"),
        ("hacktoberfest-accepted", "only people set it (labels.deny)"),
        ("stale", "it belongs to a process (learn.ignore)"),
        ("needs-info", "it belongs to a process (learn.ignore)"),
    ],
)
def test_what_may_be_set_by_default(name: str, reason: str | None) -> None:
    """Labels of people and of processes are denied by default, each with its reason."""
    assert Policy.of(Config(labels=LabelsConfig(abstain="untriaged"))).may_set(name) == reason


def test_what_is_not_allowed_is_held_back() -> None:
    """With an allow list everything else is held back, and a denied label even if it is allowed."""
    config = Config(
        labels=LabelsConfig(allow=("area:*", "docs"), deny=("docs",)), learn=LearnConfig(ignore=())
    )
    labels, held = Policy.of(config).apply(SCORES, SCORES)
    assert labels == ("area: web", "area: cli")
    not_allowed = "it is not allowed (labels.allow)"
    assert held == {
        "bug": not_allowed,
        "enhancement": not_allowed,
        "question": not_allowed,
        "docs": "only people set it (labels.deny)",
    }


def test_of_an_exclusive_group_the_best_stays() -> None:
    """At most one label of a group is set; the others say which one stayed."""
    policy = Policy(exclusive=(("question", "bug", "enhancement"),))
    labels, held = policy.apply(SCORES, SCORES)
    assert labels == ("bug", "area: web", "area: cli", "docs")
    reason = "at most one of question, bug, enhancement, and bug stays"
    assert held == {"enhancement": reason, "question": reason}


def test_a_label_there_already_keeps_its_rivals_out() -> None:
    """What the issue carries is not proposed again and wins over a better rival in its group."""
    policy = Policy(exclusive=(("bug", "question"),))
    assert policy.apply(["bug", "question", "docs"], SCORES, existing={"question"}) == (
        ("docs",),
        {
            "bug": "at most one of bug, question, and question stays",
            "question": "the issue already has it",
        },
    )


def test_a_barred_label_says_why() -> None:
    """A label that this issue must not get is held back with the reason given."""
    labels, held = Policy().apply(["bug", "docs"], SCORES, barred=Names({"bug": "a person removed it"}))
    assert (labels, held) == (("docs",), {"bug": "a person removed it"})


@pytest.mark.parametrize(
    ("needed", "reason"),
    [
        (0.95, "its probability is below 0.95, which its precision target needs"),
        (0.904, "its probability is below 0.90, which its precision target needs, by less than 0.01"),
    ],
)
def test_a_label_below_its_target_says_by_how_much(needed: float, reason: str) -> None:
    """A probability of 0.90 that is below 0.90, as both are shown, would be a riddle."""
    assert Policy.of(Config()).apply(["bug"], SCORES, needed={"bug": needed}) == ((), {"bug": reason})


def test_the_best_labels_are_kept_up_to_the_maximum() -> None:
    """Of more labels than allowed the best stay; equal scores go by name."""
    labels, held = Policy(most=5).apply(SCORES, SCORES)
    assert labels == ("bug", "enhancement", "question", "area: web", "area: cli")
    assert held == {"docs": "at most 5 labels on one issue (labels.max)"}
    assert Policy(most=1).apply(["a", "b"], {"a": 0.9, "b": 0.8}) == (
        ("a",),
        {"b": "at most 1 label on one issue (labels.max)"},
    )


@given(
    st.lists(NAMES, unique=True),
    st.builds(
        Policy,
        allow=st.lists(NAMES | st.just("*")).map(tuple),
        deny=st.lists(NAMES).map(tuple),
        ignore=st.lists(NAMES).map(tuple),
        exclusive=st.lists(st.lists(NAMES)),
        most=st.integers(1, 6),
        abstain=st.none() | NAMES,
    ),
    st.sets(NAMES),
)
def test_every_elected_label_is_set_or_explained(
    elected: list[str], policy: Policy, existing: set[str]
) -> None:
    """Each elected label is either set or held back with a reason, and what is set keeps every rule."""
    labels, held = policy.apply(elected, SCORES, existing)
    assert sorted((*labels, *held)) == sorted(elected)
    assert all(held.values())
    assert list(labels) == sorted(labels, key=lambda name: (-SCORES[name], name))
    assert len(labels) <= policy.most
    assert all(policy.may_set(name) is None for name in labels)
    assert policy.settable(elected) == tuple(name for name in elected if policy.may_set(name) is None)
    for group in policy.exclusive:
        assert len({*group} & {*labels}) <= (0 if {*group} & existing else 1)
    assert policy.apply(list(reversed(elected)), SCORES, existing) == (labels, held)


def test_the_policy_is_that_of_the_configuration() -> None:
    """Every field of the policy comes from the configuration."""
    data = {
        "labels": {"allow": ["a"], "deny": ["b"], "exclusive": [["c", "d"]], "max": 2, "abstain": "e"},
        "learn": {"ignore": ["f"]},
        "act": {"duplicates": 0.7, "suggest": 0.5},
    }
    wanted = Policy(
        ("a",), ("b",), ("f",), (("c", "d"),), 2, "e", off="no-triage", duplicate=0.7, suggest=0.5
    )
    assert Policy.of(from_dict(data)) == wanted
