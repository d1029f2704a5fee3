"""The names of labels: the same in any letter case, wherever they stand, and followed where they change."""

from __future__ import annotations

import pytest

from tests.fake_github.state import ACTIONS_BOT
from tests.live import STORAGE, Step

STORAGE_LABELS = ["bug", "area: storage"]


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("labels: {deny: [BUG]}", ["area: storage"]),
        ("labels: {allow: ['AREA: *']}", ["area: storage"]),
        ("labels: {exclusive: [[Bug, 'Area: Storage']]}", ["bug"]),
        ("labels: {abstain: Bug}", ["area: storage"]),
        ("labels: {descriptions: {BUG: Something is broken}}", STORAGE_LABELS),
        ("learn: {ignore: [BUG]}", ["area: storage"]),
    ],
)
def test_the_configuration_may_spell_labels_in_any_case(
    step: Step, configuration: str, expected: list[str]
) -> None:
    """As GitHub does, which has one label for both."""
    issue = step.repository.issues[STORAGE]
    step.configure(configuration)
    step.happen(issue)
    assert step.label() == 0, step.err
    assert issue.label_names == expected


def test_the_abstain_label_may_be_spelt_in_any_case(step: Step) -> None:
    """It is set, taken away again, and left to people, as if spelt like the repository's."""
    step.repository.add_label("Needs-Triage")
    issue = step.repository.issues[STORAGE]
    step.configure("labels: {abstain: needs-triage, deny: ['*']}")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["Needs-Triage"]
    step.configure("labels: {abstain: needs-triage}")
    assert step.label() == 0
    assert issue.label_names == STORAGE_LABELS
    issue.remove_labels(STORAGE_LABELS, "marit-oh")
    issue.add_labels(["needs-triage"], "marit-oh")
    assert step.label() == 0
    assert issue.label_names == ["Needs-Triage"]


@pytest.mark.parametrize("create", [False, True])
def test_a_label_whose_case_was_changed_is_set_as_it_is_spelt_now(step: Step, *, create: bool) -> None:
    """At once, before any retraining, and no second label is created."""
    step.repository.rename_label("bug", "Bug")
    issue, there = step.repository.issues[STORAGE], set(step.repository.labels)
    step.configure(f"labels: {{create: {str(create).lower()}}}")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["Bug", "area: storage"]
    assert set(step.repository.labels) == there
    assert step.writes == ["mutation addLabelsToLabelable"]


@pytest.mark.parametrize("create", [False, True])
def test_a_removed_label_is_not_put_back_under_another_spelling(step: Step, *, create: bool) -> None:
    """A person removed `bug`, which was spelt `Bug` afterwards."""
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["bug"], ACTIONS_BOT)
    issue.remove_labels(["bug"], "marit-oh")
    step.repository.rename_label("bug", "Bug")
    step.configure(f"labels: {{create: {str(create).lower()}}}")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["area: storage"]


def test_a_label_that_is_there_is_not_set_again_under_another_spelling(step: Step) -> None:
    """It counts as carried, and keeps the others of its group out."""
    step.repository.rename_label("question", "Question")
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["Question"], "marit-oh")
    step.configure("labels: {exclusive: [[bug, question]]}")
    step.happen(issue)
    assert step.label() == 0
    assert issue.label_names == ["Question", "area: storage"]
