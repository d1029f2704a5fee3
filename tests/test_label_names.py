"""The names of labels: the same in any letter case, wherever they stand, and followed where they change."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_github.state import ACTIONS_BOT
from tests.learning import HOME, RETRAIN, active, histories, populate
from tests.live import STORAGE, Step
from tests.sample import CONFIG, LEARNT_FROM, NEW, SAMPLE, Trained
from triage.cli import main
from triage.config import Config
from triage.issue import Issue, fold, folded, with_one_spelling
from triage.learn.dataset import prepare
from triage.sources.issue_file import read_issues

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
    assert step.label(f"--issue={STORAGE}") == 0
    assert issue.label_names == ["area: storage"]


def test_a_label_that_is_there_is_not_set_again_under_another_spelling(step: Step) -> None:
    """It counts as carried, and keeps the others of its group out."""
    step.repository.rename_label("question", "Question")
    issue = step.repository.issues[STORAGE]
    issue.add_labels(["Question"], "marit-oh")
    step.configure("labels: {exclusive: [[bug, question]]}")
    assert step.label(f"--issue={STORAGE}") == 0
    assert issue.label_names == ["Question", "area: storage"]


def test_repositories_that_spell_a_label_differently_have_it_in_common(past: Step) -> None:
    """It is learnt once, from the examples of both, and each gets it as it is spelt there."""
    quay = past.github.world.add_repository("lanternfish-io/quay")
    told = [issue for issue in histories() if issue.events is None and issue.labels][:60]
    for i, issue in enumerate(told):
        title, labels = f"{issue.title}, at the quay", tuple(map(str.upper, issue.labels))
        populate(quay, [replace(issue, repo=quay.full_name, title=title, labels=labels, author=f"ann-{i}")])
    learn = "learn: {trusted_bots: [ferry-ci-robot], repositories: [lanternfish-io/quay], shared: ['*']}\n"
    past.configure(CONFIG.read_text("utf-8") + learn)
    assert past.run(*RETRAIN) == 0, past.err
    bundle = active(past)
    names = [rule.name for rule in bundle.rules.labels]
    assert len(names) == len(folded(names))
    assert "bug" in names
    assert bundle.rules.by_name["bug"].examples > sum("bug" in issue.labels for issue in told) + 20
    assert {ids.name: ids.labels["bug"] for ids in bundle.ids} == {
        repository.full_name: repository.labels["bug"].node_id for repository in (past.repository, quay)
    }
    like = past.repository.issues[STORAGE]
    other = quay.add_issue(like.title, like.body)
    for issue, spelt in ((like, str.lower), (other, str.upper)):
        past.happen(issue)
        past.environment.setenv("GITHUB_REPOSITORY", issue.repository.full_name)
        assert past.run("label", f"--store={HOME}") == 0, past.err
        assert spelt("bug") in issue.label_names
        assert issue.label_names == [*map(spelt, issue.label_names)]
        assert list(past.outputs["labels"].values()) == [issue.label_names]


def respelt(path: Path, folder: Path) -> Path:
    """The issues of a file, half of them with labels and history in capitals, as of another repository."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for row in rows[::2]:
        row["labels"] = [name.upper() for name in row["labels"]]
        for event in row.get("label_events") or ():
            event["label"] = event["label"].title()
    copy = folder / path.name
    copy.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return copy


def test_learning_does_not_depend_on_the_letter_case_of_labels(
    own_store: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules, examples and figures are those of one spelling, and every label is learnt once."""
    before = own_store.store.load(own_store.name)
    issues = respelt(LEARNT_FROM, tmp_path)
    learn = ["retrain", f"--from={issues}", f"--store={own_store.folder}", f"--config={CONFIG}"]
    assert main(learn) == 0
    assert "nothing to do: 0 labelled issues are new" in capsys.readouterr().out
    assert main([*learn, "--always"]) == 0
    after = own_store.store.load(own_store.name)
    assert after.manifest.created_at > before.manifest.created_at
    assert after.manifest.figures == before.manifest.figures
    assert [(fold(rule.name), rule.examples, rule.votes) for rule in after.rules.labels] == [
        (fold(rule.name), rule.examples, rule.votes) for rule in before.rules.labels
    ]
    assert (
        main(["label", f"--from={NEW}", f"--store={own_store.folder}", f"--config={CONFIG}", "--json"]) == 0
    )
    assert "BUG" in capsys.readouterr().out.upper()


@settings(max_examples=20)
@given(st.lists(st.sampled_from((str.lower, str.upper, str.title)), min_size=40, max_size=40))
def test_a_dataset_does_not_depend_on_the_letter_case_of_labels(cases: list[Callable[[str], str]]) -> None:
    """The same rows carry the same labels, and a label of a process is found by its whole history."""
    one, other = prepare(read_issues(SAMPLE / "events.jsonl"), Config()), iter(cases * 1000)
    issues = [
        replace(
            issue,
            labels=tuple(next(other)(name) for name in issue.labels),
            events=issue.events and tuple(replace(e, label=next(other)(e.label)) for e in issue.events),
        )
        for issue in read_issues(SAMPLE / "events.jsonl")
    ]
    two = prepare(issues, Config())
    assert list(map(fold, two.names)) == list(map(fold, one.names))
    assert (two.targets == one.targets).all()
    assert (two.dropped, folded(two.process)) == (one.dropped, folded(one.process))


def test_the_spelling_that_is_learnt_is_the_repositorys_or_the_most_frequent_one() -> None:
    """A label that only some issues spell otherwise."""
    issues = [Issue("o/r", i, "x", labels=(name,)) for i, name in enumerate(("bug", "Bug", "Bug", "docs"), 1)]
    assert [issue.labels for issue in with_one_spelling(issues)] == [("Bug",)] * 3 + [("docs",)]
    assert [issue.labels for issue in with_one_spelling(issues, ["bug"])] == [("bug",)] * 3 + [("docs",)]
