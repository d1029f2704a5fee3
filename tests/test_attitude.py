"""What an issue's history says about touching it: people first, and no flapping."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import ActConfig
from triage.decide.history import (
    TextBeforeEdit,
    is_material_change,
    reason_to_leave_edited,
    reason_to_skip,
    removed_by_people,
    set_by,
)
from triage.issue import Issue, LabelEvent

ME = "github-actions[bot]"
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
    ("found", "bot", "act", "reason"),
    [
        (issue(), False, ActConfig(), None),
        (
            Issue("o/r", 1, "x", kind="pull request"),
            False,
            ActConfig(),
            "it is a pull request (act.pull_requests)",
        ),
        (Issue("o/r", 1, "x", kind="pull request"), False, ActConfig(pull_requests=True), None),
        (issue(), True, ActConfig(), "a bot opened it (act.skip_bots)"),
        (issue(), True, ActConfig(skip_bots=False), None),
        (issue(), False, ActConfig(skip_authors=("REP*",)), "its author is skipped (act.skip_authors)"),
    ],
)
def test_who_and_what_is_left_alone(found: Issue, bot: bool, act: ActConfig, reason: str | None) -> None:
    """By the configuration."""
    assert reason_to_skip(found, bot, act) == reason


@pytest.mark.parametrize("added", [True, False])
def test_an_edited_issue_that_a_person_labelled_is_settled(added: bool) -> None:
    """Set or removed, it is the person's now."""
    before = TextBeforeEdit(body="Something else altogether.")
    assert (
        reason_to_leave_edited(issue(event("marit-oh", added=added)), before, ME)
        == "a person has set or removed labels on it"
    )
    assert reason_to_leave_edited(issue(event(ME, added=added), event("other[bot]")), before, ME) is None


def test_a_small_edit_settles_an_issue_and_a_large_one_does_not() -> None:
    """Title and body count together; a part that did not change is as it is now."""
    long = " ".join(f"word{i}" for i in range(40))
    assert (
        reason_to_leave_edited(issue(body=long), TextBeforeEdit(title="S3 uploads fail"), ME)
        == "its text changed only a little"
    )
    assert reason_to_leave_edited(issue(body=long), TextBeforeEdit(body="quite different"), ME) is None
    assert reason_to_leave_edited(issue(body=long), TextBeforeEdit(body=""), ME) is None


def test_an_event_without_a_change_of_text_settles() -> None:
    """GitHub tells of edits that changed nothing that is read."""
    assert reason_to_leave_edited(issue(), TextBeforeEdit(), ME) == "its text changed only a little"


@given(st.text(), st.text())
def test_whether_a_change_is_material_does_not_depend_on_its_direction(old: str, new: str) -> None:
    """Editing there and back is twice the same; a text is never a material change of itself."""
    assert is_material_change(old, new) == is_material_change(new, old)
    assert not is_material_change(old, old)


def test_a_label_that_a_person_removed_is_barred_for_good() -> None:
    """Also where the bot or a person set it again later; what bots removed is not."""
    events = [
        event(ME),
        event("marit-oh", added=False),
        event(ME),
        event("stale[bot]", "docs", added=False),
        event(ME, "question", added=False),
    ]
    assert removed_by_people(events) == {"bug": "a person removed it from this issue"}


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
    assert set_by("bug", [*events, event("marit-oh", "docs")], ME) is mine
