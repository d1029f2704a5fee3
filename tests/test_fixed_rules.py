"""Fixed rules: which of them apply to an issue, and what becomes of the labels that they name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import Config, RuleConfig, from_dict, from_text
from triage.decide import Case, Decision, Policy, Recorded, Rules, case_of, decide
from triage.decide.fixed_rules import FixedRules, answers
from triage.decide.rules import Evidence
from triage.errors import ConfigError
from triage.issue import Issue, Names

FORM = """### Component

Sync

### Platforms

Linux, Windows 11

### Version

_No response_

### Before you send this

- [X] I searched
- [ ] I can help
- [x] I read the guide

### Component

Storage
"""


def rules(*given: dict[str, Any]) -> tuple[RuleConfig, ...]:
    """The rules of a configuration."""
    return from_dict({"rules": list(given)}).rules


def issue(title: str = "It broke", body: str = "", **more: Any) -> Issue:
    """An issue of the demo."""
    return Issue("o/r", 1, title, body, **more)


def set_on(thing: Issue, *given: dict[str, Any]) -> dict[str, str]:
    """The labels that rules set, with the names of the rules."""
    return dict(FixedRules(rules(*given)).on(thing).set)


def test_the_answers_of_a_form_are_read() -> None:
    """Single and several options and ticked boxes; of two fields of one name the first counts."""
    assert answers(FORM.replace("\n", "\r\n")) == {
        "component": ("Sync",),
        "platforms": ("Linux, Windows 11", "Linux", "Windows 11"),
        "version": (),
        "before you send this": ("I searched", "I read the guide"),
    }


@pytest.mark.parametrize(
    ("form", "applies"),
    [
        ({"Component": "Sync"}, True),
        ({"component": "SYNC"}, True),
        ({"Component": "Storage"}, False),
        ({"Component": ["Storage", "Sync"]}, True),
        ({"Platforms": "Windows 11"}, True),
        ({"Platforms": "Windows"}, False),
        ({"Platforms": "Linux", "Component": "Storage"}, False),
        ({"Before you send this": "I can help"}, False),
        ({"Before you send this": "I searched"}, True),
        ({"Version": "_No response_"}, False),
        ({"Missing": "Sync"}, False),
    ],
)
def test_a_rule_on_answers(form: dict[str, Any], applies: bool) -> None:
    """Each field was answered with one of the options."""
    found = set_on(issue(body=FORM), {"when": {"form": form}, "set": "area/sync"})
    assert found == ({"area/sync": "rule 1"} if applies else {})


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ({"title": "broke"}, True),
        ({"title": "BROKE"}, False),
        ({"title": "(?i)BROKE"}, True),
        ({"title": ["It", "broke$"]}, True),
        ({"title": ["It", "worked"]}, False),
        ({"title": "broke", "body": "."}, False),
        ({"association": "NONE"}, True),
        ({"association": ["MEMBER", "OWNER"]}, False),
    ],
)
def test_everything_in_a_condition_must_hold(when: dict[str, Any], applies: bool) -> None:
    """And of several patterns every one."""
    assert bool(set_on(issue(association="NONE"), {"when": when, "set": "bug"})) == applies


@pytest.mark.parametrize(
    ("when", "files", "applies"),
    [
        ({"files": "docs/**"}, ("docs/a.md", "src/b.py"), True),
        ({"files": "docs/**"}, ("src/b.py",), False),
        ({"all_files": "docs/**"}, ("docs/a.md", "src/b.py"), False),
        ({"all_files": ["docs/**", "*.md"]}, ("docs/a.md", "b.md"), True),
        ({"all_files": ["docs/**", "!docs/api/**"]}, ("docs/a.md", "docs/api/b.md"), False),
        ({"files": "src/**", "all_files": "!src/docs/*"}, ("src/a.py", "b.py"), True),
        ({"files": "docs/**"}, (), False),
        ({"all_files": "docs/**"}, (), False),
        ({"files": "docs/**"}, None, False),
    ],
)
def test_a_rule_on_changed_files(when: dict[str, Any], files: tuple[str, ...] | None, applies: bool) -> None:
    """It is about pull requests."""
    pull = issue(kind="pull request", files=files)
    assert bool(set_on(pull, {"when": when, "set": "docs"})) == applies


def test_a_rule_on_changed_files_says_nothing_of_issues() -> None:
    """What it requires is not barred there either."""
    ruling = FixedRules(rules({"when": {"files": "docs/**"}, "require": "docs"})).on(issue())
    assert (dict(ruling.set), dict(ruling.barred)) == ({}, {})


def test_bar_and_require() -> None:
    """One rule that applies is sufficient for a label that several require."""
    given = rules(
        {"name": "beginners", "when": {"association": "FIRST_TIMER"}, "bar": ["core"]},
        {"name": "crash", "when": {"title": "crash"}, "require": ["Bug", "severe"]},
        {"when": {"title": "broke"}, "require": "bug"},
    )
    ruling = FixedRules(given).on(issue(association="FIRST_TIMER"))
    assert dict(ruling.barred) == {
        "core": "the rule 'beginners' bars it",
        "severe": "it needs the rule 'crash', which does not apply",
    }


# In a decision.


def decided(case: Case, config: Config, evidence: Evidence | None = None) -> Decision:
    """The decision with a model that has learnt nothing."""
    evidence = evidence or Evidence(case.issue.key)
    return next(decide([case], Recorded(Rules(), {case.issue.key: evidence}), Policy.of(config)))


def configured(*given: dict[str, Any], **sections: Any) -> Config:
    """A configuration with these rules."""
    return from_dict({"rules": list(given), **sections})


BUG = {"name": "broken", "when": {"title": "broke"}, "set": ["bug", "severe"]}


def test_what_a_rule_sets_needs_no_probability() -> None:
    """The decision names the rule."""
    config = configured(BUG)
    decision = decided(case_of(issue(), config), config)
    assert decision.labels == ("bug", "severe")
    assert dict(decision.ruled) == {"bug": "broken", "severe": "broken"}
    assert decision.to_dict()["sources"] == {"bug": "rule", "severe": "rule"}


def test_a_rule_labels_an_issue_that_says_nothing() -> None:
    """The text is not what it goes by; the reason why the rest is not judged stays."""
    config = configured({"when": {"association": "NONE"}, "set": "new"})
    decision = decided(case_of(issue("test", association="NONE"), config), config)
    assert decision.labels == ("new",)
    assert decision.unjudged.startswith("its text says nothing")


@pytest.mark.parametrize(
    ("sections", "labels", "reason"),
    [
        ({"labels": {"deny": ["severe"]}}, ("bug",), "only people set it (labels.deny)"),
        ({"labels": {"allow": ["bug"]}}, ("bug",), "it is not allowed (labels.allow)"),
        ({"labels": {"max": 1}}, ("bug",), "at most 1 label on one issue (labels.max)"),
        (
            {"labels": {"exclusive": [["bug", "severe"]]}},
            ("bug",),
            "at most one of bug, severe, and bug stays",
        ),
        ({"labels": {"abstain": "severe"}}, ("bug",), "it marks issues on which the bot abstained"),
        ({"learn": {"ignore": ["severe"]}}, ("bug", "severe"), ""),
    ],
)
def test_all_other_rules_about_labels_hold(
    sections: dict[str, Any], labels: tuple[str, ...], reason: str
) -> None:
    """Only what is ignored in learning may be set by a rule, since a process is what rules know."""
    config = configured(BUG, **sections)
    decision = decided(case_of(issue(), config), config)
    assert (decision.labels, decision.held_back.get("severe", "")) == (labels, reason)


def test_the_repositorys_spelling_is_used_and_its_labels_only() -> None:
    """A label that is not there is not created unasked."""
    config = configured(BUG)
    decision = decided(case_of(issue(), config, available=["Bug"]), config)
    assert decision.labels == ("Bug",)
    assert decision.held_back["severe"] == "the repository has no such label (labels.create)"


def test_a_barred_label_is_held_back_from_the_rule_that_sets_it() -> None:
    """Bars count more, whatever the order."""
    config = configured(BUG, {"name": "never", "when": {"title": "It"}, "bar": "Severe"})
    decision = decided(case_of(issue(), config), config)
    assert decision.labels == ("bug",)
    assert decision.held_back["severe"] == "the rule 'never' bars it"


@given(st.text(), st.text(), st.sampled_from(["NONE", "OWNER", ""]))
def test_rules_are_pure_and_take_any_text(title: str, body: str, association: str) -> None:
    """The same issue, the same ruling."""
    given = FixedRules(
        rules(
            {"when": {"title": "a|b", "body": "c"}, "set": "x"},
            {"when": {"form": {"A": "b"}, "association": "NONE"}, "bar": "y", "require": "z"},
        )
    )
    thing = issue(title, body, association=association)
    assert given.on(thing) == given.on(thing)


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
SPELT = st.sampled_from(["a", "A", "b", "B", "c", "d", "e"])


@given(
    ruled=st.lists(SPELT, unique_by=str.casefold),
    elected=st.dictionaries(NAMES, st.floats(0, 1)),
    existing=st.lists(SPELT, unique_by=str.casefold),
    barred=st.lists(SPELT),
    most=st.integers(1, 3),
)
def test_the_laws_hold_for_labels_of_rules(
    ruled: list[str], elected: dict[str, float], existing: list[str], barred: list[str], most: int
) -> None:
    """Whatever rules and votes want: nothing that is barred, denied or there, one of a group, at most so many."""
    policy = Policy(deny=("d",), exclusive=(("a", "b"),), most=most)
    reasons = Names(dict.fromkeys(barred, "barred"))
    labels, held_back = policy.apply(elected, elected, existing, reasons, ruled=ruled)
    names, there = [name.casefold() for name in labels], {name.casefold() for name in existing}
    assert len(names) == len(set(names)) <= most
    assert set(names).isdisjoint({*there, *map(str.casefold, barred), "d"})
    group = {"a", "b"}
    assert len(group & {*names, *there}) <= max(1, len(group & there))
    assert {*names, *map(str.casefold, held_back)} == {name.casefold() for name in (*ruled, *elected)}
    first = [name for name in ruled if name.casefold() in names]
    assert list(labels[: len(first)]) == first


# In the configuration.


def test_one_text_may_stand_for_a_list_of_one() -> None:
    """In a rule, wherever a list belongs."""
    text = (
        "rules:\n  - when: {title: a, form: {F: b}, association: OWNER, files: c}\n    set: x\n    bar: y\n"
    )
    (rule,) = from_text(text, where="it").rules
    assert (rule.when.title, rule.when.form, rule.when.files) == (("a",), {"F": ("b",)}, ("c",))
    assert (rule.set, rule.bar, rule.require) == (("x",), ("y",), ())


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "{set: x}",
            "it, line 2: in 'rules[0].when': no condition is given, so that the rule would apply to every issue\n"
            "  likely cause: a typing mistake, or a key of another version\n"
            '  next step: write title: "."',
        ),
        (
            "{when: {title: a}}",
            "it, line 2: in 'rules[0]': the rule has no effect\n"
            "  likely cause: a typing mistake, or a key of another version\n"
            "  next step: give it labels to `set`, `bar` or `require`",
        ),
        (
            "{when: {title: '(a'}, set: x}",
            "in 'rules[0].when.title[0]': the pattern '(a' cannot be read: missing ): (a",
        ),
        (
            "{when: {files: '@(a)'}, set: x}",
            "in 'rules[0].when.files[0]': the pattern '@(a)' cannot be read: patterns",
        ),
        (
            "{when: {association: GUEST}, set: x}",
            "in 'rules[0].when.association[0]': expected one of OWNER, MEMBER",
        ),
        ("{when: {titel: a}, set: x}", "in 'rules[0].when.titel': unknown key; did you mean"),
        ("{when: {form: {A: [1]}}, set: x}", "in 'rules[0].when.form.A[0]': expected a string, found 1"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_whole(rule: str, message: str) -> None:
    """With its line, the key and the next step."""
    with pytest.raises(ConfigError) as refused:
        from_text(f"rules:\n  - {rule}\n", where="it")
    assert message in str(refused.value)
    assert "it, line 2: " in str(refused.value)


def test_no_rules_are_the_default() -> None:
    """Also where the section is empty."""
    assert from_text("rules:\n", where="it") == from_text("rules: []\n", where="it") == Config()
