"""Labels and repositories that are renamed after learning are followed by their ids, without another request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_github.state import ACTIONS_BOT
from tests.learning import RETRAIN, active
from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG
from triage.bundle.bundle import Bundle, Rows, under_present_names
from triage.issue import RepositoryIds, present_names

NEW_HOME = "lanternfish-io/longship"
LEARN = "learn: {{trusted_bots: [ferry-ci-robot], min_new: 5, shared: {}}}\n"


@pytest.fixture(params=["exact", "compressed"])
def learnt(past: Step, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Step:
    """The sample's repository, with a bundle learnt from it in which no label is shared."""
    if request.param == "compressed":
        monkeypatch.setattr("triage.engine.ivf_build.EXACT_ROWS", 50)
    past.configure(CONFIG.read_text("utf-8") + LEARN.format("[]"))
    assert past.run(*RETRAIN) == 0, past.err
    past.happen(past.repository.issues[STORAGE])
    past.configure("")
    return past


def label(step: Step, configuration: str = "") -> list[str]:
    """The labels that the new issue has after a run under this configuration, and a low target."""
    step.configure(f"vote: {{precision_target: 0.5}}\n{configuration}")
    before = len(step.github.requests)
    assert step.run("label", f"--store=github:{step.repository.full_name}") == 0, step.err
    assert len(step.github.requests) > before
    return step.repository.issues[STORAGE].label_names


def move(step: Step) -> None:
    """Rename the repository; the workflow runs in it under its new name."""
    step.github.world.rename_repository(step.repository, NEW_HOME)
    step.environment.setenv("GITHUB_REPOSITORY", NEW_HOME)
    step.happen(step.repository.issues[STORAGE])


def test_a_bundle_holds_the_ids_of_the_labels_that_it_knows(learnt: Step) -> None:
    """Beside their names, and the repository's."""
    [ids] = active(learnt).ids
    assert (ids.name, ids.id) == (FERRY, learnt.repository.node_id)
    assert ids.labels["bug"] == learnt.repository.labels["bug"].node_id
    assert set(ids.labels) >= {rule.name for rule in active(learnt).rules.labels}


@pytest.mark.parametrize("create", [False, True])
def test_a_renamed_label_is_set_under_its_new_name(learnt: Step, *, create: bool) -> None:
    """At once, and none is created under the old one, even where another label has that name by now."""
    learnt.repository.rename_label("bug", "defect")
    other = learnt.repository.add_label("bug", "Insects") if create else None
    there = set(learnt.repository.labels)
    found = label(learnt, f"labels: {{create: {str(create).lower()}}}")
    assert set(found) == {"defect", "area: storage"}
    assert learnt.outputs["labels"] == {str(STORAGE): found}
    assert "defect" in learnt.outputs["scores"][str(STORAGE)]
    assert set(learnt.repository.labels) == there
    assert other not in learnt.repository.issues[STORAGE].labels


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("labels: {deny: [bug]}", {"area: storage"}),
        ("labels: {exclusive: [[bug, 'area: storage']]}", {"defect", "area: storage"}),
        ("labels: {allow: [bug, 'area: *']}", {"area: storage"}),
    ],
)
def test_where_another_label_took_the_old_name_the_configuration_means_that_one(
    learnt: Step, configuration: str, expected: set[str]
) -> None:
    """But what was forbidden stays so. Where it is allowed, the other label may be set by its name."""
    learnt.repository.rename_label("bug", "defect")
    learnt.repository.add_label("bug", "Insects")
    found = set(label(learnt, configuration))
    assert found - {"bug"} == expected
    assert "bug" not in found or "allow" in configuration


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("labels: {deny: [bug]}", {"area: storage"}),
        ("labels: {allow: [bug]}", {"defect"}),
        ("labels: {exclusive: [[bug, 'area: storage']]}", {"defect"}),
        ("labels: {create: true, descriptions: {bug: Something does not work}}", {"defect", "area: storage"}),
        ("labels: {targets: {'b*g': 1.0}}", {"area: storage"}),
    ],
)
def test_a_configuration_that_names_a_renamed_label_still_means_it(
    learnt: Step, configuration: str, expected: set[str]
) -> None:
    """Nothing that was denied is set because somebody renamed it."""
    learnt.repository.rename_label("bug", "defect")
    assert set(label(learnt, configuration)) == expected


def test_learning_anew_after_a_rename_passes_the_gate(learnt: Step) -> None:
    """The old name has no example left, and another label has it by now."""
    learnt.repository.rename_label("bug", "defect")
    learnt.repository.add_label("bug", "Insects")
    move(learnt)
    learnt.configure(CONFIG.read_text("utf-8").replace("bug", "defect") + LEARN.format("[]"))
    store = f"--store=github:{NEW_HOME}"
    assert learnt.run("retrain", f"--from={NEW_HOME}", store, "--adapt=none") == 0, learnt.err
    assert "objection" not in learnt.out
    assert set(label(learnt)) == {"defect", "area: storage"}


def test_a_renamed_abstain_label_is_not_created_anew(past: Step) -> None:
    """It is never learnt, but named by the configuration."""
    past.repository.add_label("needs-triage")
    abstain = "labels: {abstain: needs-triage, create: true, deny: ['*']}\n"
    past.configure(abstain + LEARN.format("['*']"))
    assert past.run(*RETRAIN) == 0, past.err
    past.happen(past.repository.issues[STORAGE])
    past.repository.rename_label("needs-triage", "untriaged")
    assert label(past, abstain) == ["untriaged"]
    assert "needs-triage" not in past.repository.labels


def test_a_label_that_was_removed_is_not_put_back_after_a_rename(learnt: Step) -> None:
    """GitHub's history has it under its new name."""
    issue = learnt.repository.issues[STORAGE]
    issue.add_labels(["bug"], ACTIONS_BOT)
    issue.remove_labels(["bug"], "sorter[bot]")
    learnt.repository.rename_label("bug", "defect")
    assert label(learnt, "labels: {create: true}") == ["area: storage"]


def test_a_renamed_repository_is_recognised(learnt: Step) -> None:
    """Its own issues vote, though no label is shared, and are in the output under its new name."""
    move(learnt)
    assert set(label(learnt)) == {"bug", "area: storage"}
    assert learnt.outputs["neighbours"][str(STORAGE)]
    assert f"{NEW_HOME}/issues/" in learnt.summary
    assert f"/{FERRY}/" not in learnt.summary
    assert "no neighbour votes" not in learnt.said


def test_a_repository_that_took_a_former_name_is_another_one(learnt: Step) -> None:
    """Issues of the repository that had the name before do not vote for it: the run says so."""
    world, store = learnt.github.world, learnt.repository
    world.rename_repository(store, NEW_HOME)
    stranger = world.add_repository(FERRY)
    stranger.add_label("bug")
    issue = stranger.add_issue("S3 upload fails", "It stops after a retry.", number=STORAGE)
    learnt.happen(issue)
    assert learnt.run("label", f"--store=github:{NEW_HOME}") == 0
    assert issue.label_names == []
    assert f"it has no issues of {FERRY}, and no label is shared (learn.shared)" in learnt.said


def test_where_no_id_is_known_the_run_says_why_no_neighbour_votes(learnt: Step) -> None:
    """A bundle of an earlier version, or learnt from a file: a warning, and the reason in the summary."""
    learnt.environment.setattr("triage.learn.retrain._recorded", lambda *_: ())
    learnt.configure(CONFIG.read_text("utf-8") + LEARN.format("[]"))
    assert learnt.run(*RETRAIN, "--always") == 0
    move(learnt)
    label(learnt)
    assert f"it has no issues of {NEW_HOME}, and no label is shared (learn.shared)" in learnt.out
    assert "no neighbour votes" in learnt.summary
    assert learnt.outputs["neighbours"] == {str(STORAGE): []}


def test_following_names_takes_no_request(learnt: Step) -> None:
    """Ids come with what is read anyway."""
    learnt.github.requests.clear()
    label(learnt)
    before = len(learnt.github.requests)
    learnt.repository.rename_label("area: sync", "area: synchronisation")
    learnt.github.requests.clear()
    label(learnt)
    assert len(learnt.github.requests) <= before


def test_the_repositorys_id_comes_with_its_labels(step: Step) -> None:
    """Where configuration and bundle are at hand, nothing else asks for it."""
    assert step.label(f"--config={CONFIG}", f"--repo={FERRY}", f"--issue={STORAGE}", "--dry-run") == 0
    queries = [body["query"] for r in step.github.requests if isinstance(body := r.body, dict)]
    assert any("query Opening(" in str(query) for query in queries)
    assert not any(name in str(query) for query in queries for name in ("query Repository(", "query Labels("))
    assert str(STORAGE) in step.outputs["scores"]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({}, {}, {"bug": "bug", "docs": "docs"}),
        ({}, {"Bug": "1"}, {"bug": "Bug", "docs": "docs"}),
        ({"bug": "1"}, {"defect": "1", "docs": "2"}, {"bug": "defect", "docs": "docs"}),
        ({"bug": "1"}, {"defect": "1", "bug": "9"}, {"bug": "defect", "docs": "docs"}),
        ({"bug": "1", "docs": "2"}, {"docs": "1"}, {"bug": "docs", "docs": ""}),
        ({"bug": "1", "docs": "2"}, {"docs": "1", "bug": "2"}, {"bug": "docs", "docs": "bug"}),
        ({"bug": "1"}, {"bug": "9"}, {"bug": "bug", "docs": "docs"}),
        ({"bug": "1"}, {"docs": "1"}, {"bug": "docs", "docs": "docs"}),
    ],
    ids=[
        "unknown",
        "case",
        "renamed",
        "renamed and replaced",
        "into a deleted one",
        "swapped",
        "made anew",
        "into another",
    ],
)
def test_a_label_is_found_by_its_id_and_else_by_its_name(
    before: dict[str, str], now: dict[str, str], expected: dict[str, str]
) -> None:
    """Of a label that was deleted nothing remains once another has its name."""
    assert present_names(["bug", "docs"], before, now) == expected


@pytest.mark.parametrize(("here", "spelt"), [({}, "bug"), ({"BUG": "LA_1"}, "BUG")])
def test_a_bundle_with_two_spellings_of_a_label_is_served_with_one(
    bundle: Bundle, here: dict[str, str], spelt: str
) -> None:
    """Earlier versions learnt both: their examples are put together, under the repository's spelling."""
    labels = [
        tuple("Bug" if name == "bug" and i % 3 == 0 else name for name in each)
        for i, each in enumerate(bundle.rows.labels)
    ]
    rules = [
        replace(rule, name=name, examples=sum(name in each for each in labels))
        for rule in bundle.rules.labels
        for name in (("Bug", "bug") if rule.name == "bug" else (rule.name,))
    ]
    old = replace(
        bundle, rules=replace(bundle.rules, labels=tuple(rules)), rows=Rows(bundle.rows.keys, labels)
    )
    served, renamed = under_present_names(old, RepositoryIds(FERRY, "R_1", here) if here else None)
    [rule] = [rule for rule in served.rules.labels if rule.name.casefold() == "bug"]
    assert (rule.name, rule.examples) == (spelt, bundle.rules.by_name["bug"].examples)
    assert renamed == {}
    assert [name for each in served.rows.labels for name in each if name.casefold() == "bug"] == [
        spelt
    ] * rule.examples
