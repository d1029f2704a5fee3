"""What an issue's history says about touching it: people first, and no flapping."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import ActConfig, Config, LabelsConfig
from triage.decide.case import Attribution, Case, case_of, is_material_change
from triage.decide.policy import Policy
from triage.issue import Issue, LabelEvent, TextBeforeEdit, fold, folded

ME = "github-actions[bot]"
WHO = Attribution(frozenset({ME}))
AT = datetime(2026, 1, 1, tzinfo=UTC)


def event(actor: str, label: str = "bug", *, added: bool = True) -> LabelEvent:
    """A label set (or taken off) by somebody."""
    return LabelEvent(label, added, actor, actor.endswith("[bot]"), AT)


def issue(
    *events: LabelEvent, title: str = "S3 upload fails", body: str = "It stops after a retry."
) -> Issue:
    """An issue with this history."""
    return Issue("octo/demo", 7, title, body, author="reporter", events=events)


@pytest.mark.parametrize(
    ("found", "act", "reason"),
    [
        (issue(), ActConfig(), ""),
        (Issue("o/r", 1, "x", kind="pull request"), ActConfig(), "it is a pull request (act.pull_requests)"),
        (Issue("o/r", 1, "x", kind="pull request"), ActConfig(pull_requests=True), ""),
        (Issue("o/r", 1, "x", author="dependabot[bot]"), ActConfig(), "a bot opened it (act.skip_bots)"),
        (Issue("o/r", 1, "x", author="dependabot[bot]"), ActConfig(skip_bots=False), ""),
        (issue(), ActConfig(skip_authors=("REP*",)), "its author is skipped (act.skip_authors)"),
    ],
)
def test_the_configuration_leaves_issues_alone(found: Issue, act: ActConfig, reason: str) -> None:
    """By their kind and by their author."""
    assert case_of(found, Config(act=act)).left_alone == reason


def edited(found: Issue, before: TextBeforeEdit) -> str:
    """Why an edited issue is left alone, if it is."""
    return case_of(found, Config(), who=WHO, before=before).left_alone


@pytest.mark.parametrize("added", [True, False])
def test_an_edited_issue_that_a_person_labelled_is_settled(added: bool) -> None:
    """Set or removed, it is the person's now."""
    before = TextBeforeEdit(body="Something else altogether.")
    reason = "a person has set or removed labels on it"
    assert edited(issue(event("marit-oh", added=added)), before) == reason
    assert edited(issue(event(ME, added=added), event("other[bot]")), before) == ""


def test_a_small_edit_settles_an_issue_and_a_large_one_does_not() -> None:
    """Title and body count together; a part that did not change is as it is now."""
    long = " ".join(f"word{i}" for i in range(40))
    assert (
        edited(issue(body=long), TextBeforeEdit(title="S3 uploads fail")) == "its text changed only a little"
    )
    assert edited(issue(body=long), TextBeforeEdit(body="quite different")) == ""
    assert edited(issue(body=long), TextBeforeEdit(body="")) == ""


def test_an_event_without_a_change_of_text_settles() -> None:
    """GitHub sends events of edits that change nothing that is read."""
    assert edited(issue(), TextBeforeEdit()) == "its text changed only a little"


@given(st.text(), st.text())
def test_whether_a_change_is_material_does_not_depend_on_its_direction(old: str, new: str) -> None:
    """Editing there and back is twice the same; a text is never a material change of itself."""
    assert is_material_change(old, new) == is_material_change(new, old)
    assert not is_material_change(old, old)


def test_a_label_that_was_removed_is_barred_for_good() -> None:
    """Whoever did it: bots and workflows carry out people's words, and some act under this bot's login."""
    events = [
        event("marit-oh", added=False),
        event(ME),
        event("k8s-ci-robot[bot]", "docs", added=False),
        event(ME, "question", added=False),
        event("marit-oh", "security", added=False),
        event("marit-oh", "security"),
        event(ME, "sync"),
    ]
    people, others = "a person removed it from this issue", "it was removed from this issue"
    barred = case_of(issue(*events), Config(), who=WHO).barred
    assert dict(barred) == {"bug": people, "docs": others, "question": others, "security": people}


def test_labels_that_the_repository_lacks_are_barred_unless_they_may_be_created() -> None:
    """Where its labels are known."""
    names, reason = ("bug", "docs"), "the repository has no such label (labels.create)"
    lacking = case_of(issue(), Config(), proposed=names, available={"bug"})
    create = Config(labels=LabelsConfig(create=True))
    assert lacking.barred == {"docs": reason}
    assert case_of(issue(), create, proposed=names, available={"bug"}).barred == {}
    assert case_of(issue(), Config(), proposed=names).barred == {}


def test_without_a_configuration_the_text_alone_counts() -> None:
    """As in evaluation, where labels that an issue carries must play no part."""
    found = replace(issue(event("marit-oh", added=False)), author="renovate[bot]", labels=("bug",))
    assert case_of(found) == Case(found)


def test_the_abstain_label_does_not_count_as_one() -> None:
    """It says that the issue has no label."""
    found = replace(issue(), labels=("bug", "unsure"))
    assert case_of(found, Config(labels=LabelsConfig(abstain="unsure"))).existing == ("bug",)


@pytest.mark.parametrize(
    ("events", "mine"),
    [
        ([event(ME)], True),
        ([event("marit-oh")], False),
        ([event(ME), event("marit-oh", added=False), event("marit-oh")], False),
        ([event("marit-oh"), event("marit-oh", added=False), event(ME)], True),
        ([event(ME), event(ME, added=False)], False),
        ([], False),
    ],
)
def test_a_label_is_the_bots_own_where_the_bot_set_it_last(events: list[LabelEvent], mine: bool) -> None:
    """Whoever touched it before."""
    found = issue(*events, event("marit-oh", "docs"))
    assert Attribution(frozenset({ME})).was_last_to_set("bug", found) is mine


HISTORY = st.lists(
    st.tuples(
        st.sampled_from([ME, "marit-oh", "other[bot]"]),
        st.sampled_from(["bug", "Bug", "docs", "web"]),
        st.booleans(),
    )
)


@given(HISTORY, st.integers(1, 3))
def test_nothing_removed_is_set_and_the_bot_sets_no_more_than_the_most(
    history: list[tuple[str, str, bool]], most: int
) -> None:
    """Whatever anybody did before, under whatever spelling."""
    events = [event(actor, label, added=added) for actor, label, added in history]
    carried = {fold(e.label): e.label for e in events}
    last = {fold(e.label): e.added for e in events}
    labels = tuple(carried[name] for name, added in last.items() if added)
    config = Config(labels=LabelsConfig(max=most))
    case = case_of(replace(issue(*events), labels=labels), config, who=WHO)
    scores = {"BUG": 0.9, "docs": 0.8, "web": 0.7, "sync": 0.6}
    chosen, _ = Policy.of(config).apply(scores, scores, case.existing, case.barred, case.own)
    taken = folded(e.label for e in events if not e.added)
    assert folded(chosen) & (taken | folded(labels)) == frozenset()
    assert len(chosen) + len(case.own) <= max(most, len(case.own))
    assert folded(case.own) == {fold(e.label) for e in events if e.added and e.actor == ME} & folded(labels)
