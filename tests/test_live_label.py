"""`triage label` on GitHub: which issues are read, what is set on them, and what is told about it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_github.faults import Hook
from tests.fake_github.state import ACTIONS_BOT
from tests.live import FERRY, STORAGE, SYNC, Step
from tests.sample import CONFIG, NEW
from triage.actions import Runner
from triage.bundle.model import ServingModel
from triage.config import Config
from triage.decide import Decision, Evidence, Neighbour, Policy, case_of, decide
from triage.issue import Issue
from triage.label.labeller import LabelOutcome, _publish

STORAGE_LABELS = ["bug", "area: storage"]


def test_a_new_issue_gets_the_labels_that_the_same_bundle_gives_it_from_a_file(
    step: Step, model: ServingModel, sample_config: Config, new_issues: list[Issue]
) -> None:
    """What was measured is what runs; outputs, log and summary tell it."""
    issue = step.repository.issues[STORAGE]
    step.configure(CONFIG.read_text("utf-8"))
    step.happen(issue)
    assert step.label() == 0
    [decision] = decide(
        [case_of(next(i for i in new_issues if i.number == STORAGE))], model, Policy.of(sample_config)
    )
    assert issue.label_names == STORAGE_LABELS == list(decision.labels)
    assert issue.label_events == [("labeled", name, ACTIONS_BOT) for name in STORAGE_LABELS]
    first, *reasons = step.out.splitlines()
    assert first == f"{FERRY}#938: bug, area: storage"
    assert [line.split()[:2] for line in reasons] == [["+", "bug"], ["+", "area:"]]
    assert all(line.endswith(f" of {model.rules.k} votes") for line in reasons)
    scores = decision.to_dict()["scores"]
    neighbours = [neighbour.number for neighbour in decision.voters]
    assert step.outputs == {
        "labels": {"938": STORAGE_LABELS},
        "scores": {"938": scores},
        "neighbours": {"938": neighbours},
        "duplicates": {},
        "abstained": [],
    }
    page = f"{step.github.server_url}/{FERRY}/issues"
    assert (
        f'### <a href="{page}/938">#938</a> got <code>bug</code> <code>area&#58; storage</code>'
        in step.summary
    )
    assert all(f'<a href="{page}/{number}">#{number}</a>' in step.summary for number in neighbours[:10])


def test_labels_are_added_by_one_graphql_request_and_rest_writes_nothing(step: Step) -> None:
    """REST would create a label that does not exist, and an empty list there takes all away."""
    step.happen(step.repository.issues[STORAGE])
    step.label()
    assert step.writes == ["mutation addLabelsToLabelable"]


def test_running_twice_changes_nothing(step: Step) -> None:
    """The second run finds its labels there and sends no request to set any."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.label()
    after_one, writes = (issue.label_names, issue.label_events), step.writes
    assert step.label() == 0
    assert ((issue.label_names, issue.label_events), step.writes) == (after_one, writes)
    assert "the issue already has it" in step.summary


def test_a_dry_run_tells_and_changes_nothing(step: Step) -> None:
    """The summary says what would be done, and so does each line of the log; no output claims that a label was set."""
    issue = step.repository.issues[STORAGE]
    assert step.label("--issue=938,946,99999", "--dry-run") == 0
    assert (issue.label_names, step.writes) == ([], [])
    assert "#938</a> would get <code>bug</code>" in step.summary
    lines = step.out.splitlines()
    assert [line for line in lines if not line.startswith("dry run: ")] == []
    assert f"dry run: {FERRY}#938: would get bug, area: storage" in lines
    assert f"dry run: {FERRY}#99999: it does not exist, or the token cannot see it" in lines
    assert set(step.outputs) == {"would-label", "scores", "neighbours", "duplicates", "abstained"}
    assert step.outputs["would-label"]["938"] == STORAGE_LABELS


def test_the_json_of_a_dry_run_does_not_claim_that_a_label_was_set(step: Step) -> None:
    """Each line is an object, also that of an issue left alone."""
    for options, name in (("--dry-run",), "would-label"), ((), "labels"):
        assert step.label("--issue=938,99999", "--json", *options) == 0
        decided, missing = map(json.loads, step.out.splitlines())
        assert decided[name] == STORAGE_LABELS
        assert {"labels", "would-label"} & set(decided) == {name}
        assert missing == {
            "repo": FERRY,
            "number": 99999,
            "left_alone": "it does not exist, or the token cannot see it",
        }


def test_the_outputs_of_a_run_over_many_issues_stay_below_the_limit_and_say_what_is_left_out(
    step: Step, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub takes 1 MB from a job, all outputs together, counted in UTF-16."""
    names = [f"area: a label with a long name {n}" for n in range(60)]
    found = Decision(
        key=(FERRY, 1),
        labels=tuple(names[:5]),
        sources=dict.fromkeys(names[:5], "neighbours"),
        held_back={},
        scores=dict.fromkeys(names, 0.123456),
        needed={},
        evidence=Evidence((FERRY, 1), tuple(Neighbour(FERRY, n, 0.9, ("bug",)) for n in range(50))),
        k=50,
        bundle="b",
    )
    outcomes = [LabelOutcome(FERRY, n, found, found.labels) for n in range(10_000, 15_000)]
    _publish(Runner(os.environ), outcomes, dry_run=False)
    text = (step.folder / "output").read_text("utf-8")
    assert len(text.encode("utf-16-le")) < 1_000_000
    for name in ("labels", "scores", "neighbours"):
        held = list(step.outputs[name])
        assert held == [str(outcome.number) for outcome in outcomes[: len(held)]]
    said = "".join(capsys.readouterr())
    assert (
        f"::warning::the output `labels` leaves out the last {5_000 - len(step.outputs['labels'])} issues"
        in said
    )


def test_a_range_labels_what_there_is_and_tells_what_there_is_not(step: Step) -> None:
    """Gaps in the numbers are usual; one table shows them all."""
    step.repository.issues[SYNC].delete()
    assert step.label("--issue=937-938,973") == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert [line for line in step.out.splitlines() if not line.startswith("  ")] == [
        f"{FERRY}#937: it does not exist, or the token cannot see it",
        f"{FERRY}#938: bug, area: storage",
        f"{FERRY}#973: it was deleted",
    ]
    assert step.summary.startswith("### 1 of 3 issues were labelled\n\n| issue | labels | note |\n")
    assert list(step.outputs["labels"]) == ["938"]


def test_issues_that_are_all_missing_end_in_failure(step: Step) -> None:
    """Whoever names one issue wants to know that it is not there."""
    assert step.label("--issue=5") == 8
    assert step.err.startswith(f"error: issue 5 of {FERRY} was not found\n")


@pytest.mark.parametrize("fate", ["deleted", "transferred"])
def test_an_issue_that_went_before_it_was_read_is_noted(step: Step, fate: str) -> None:
    """An event about it is nothing to fail for."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    if fate == "deleted":
        issue.delete()
    else:
        issue.transfer(step.github.world.add_repository("lanternfish-io/quay"))
    assert step.label() == 0
    assert f"it was {fate}" in step.out
    assert "was left alone" in step.summary


def test_an_issue_that_goes_while_it_is_decided_is_noted(step: Step) -> None:
    """Between reading and writing."""
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    step.github.faults.add(Hook(lambda _: issue.delete()), operation="mutation")
    assert step.label() == 0
    assert step.out == f"{FERRY}#938: the issue was deleted or transferred\n"
    assert step.outputs["labels"] == {"938": []}


def test_a_label_that_goes_while_it_is_decided_is_left_out(step: Step) -> None:
    """The others are set all the same, and the summary says which was not."""
    issue, repository = step.repository.issues[STORAGE], step.repository
    step.happen(issue)
    step.github.faults.add(Hook(lambda _: repository.delete_label("bug")), operation="mutation")
    assert step.label() == 0
    assert issue.label_names == ["area: storage"]
    assert "bug" not in repository.labels
    assert "deleted in the meantime, so not set: bug" in step.out
    assert step.outputs["labels"] == {"938": ["area: storage"]}


def test_when_every_label_goes_no_empty_request_is_sent(step: Step) -> None:
    """One request failed, and no other follows."""
    repository = step.repository
    step.happen(repository.issues[STORAGE])

    def clear(_: object) -> None:
        for name in list(repository.labels):
            repository.delete_label(name)

    step.github.faults.add(Hook(clear), operation="mutation")
    assert step.label() == 0
    assert step.writes == ["mutation addLabelsToLabelable"]


def test_the_sweep_labels_what_the_events_missed(step: Step) -> None:
    """Open issues of the last hours that nobody has labelled but a form; the others are not touched."""
    repository, now = step.repository, datetime.now(UTC)
    step.github.world.clock.set(now)
    title, body = repository.issues[STORAGE].title, repository.issues[STORAGE].body
    missed, old, closed, labelled, touched, by_form = (
        repository.add_issue(title, body, at=now - timedelta(hours=hours)) for hours in (3, 40, 3, 3, 3, 3)
    )
    by_form.add_labels(["question"], "reporter", at=by_form.created_at)
    closed.close("marit-oh")
    labelled.add_labels(["question"], "marit-oh")
    touched.add_labels(["question"], "marit-oh")
    touched.remove_labels(["question"], "marit-oh")
    step.event({"schedule": "23 4 * * *"})
    for issue in list(repository.issues.values()):
        if issue not in (missed, old, closed, labelled, touched, by_form):
            issue.created_at = now - timedelta(days=30)
    assert step.label("--since=36 hours") == 0
    assert missed.label_names == STORAGE_LABELS
    assert [x.label_names for x in (old, closed, labelled, touched)] == [[], [], ["question"], []]
    assert by_form.label_names == ["question", *STORAGE_LABELS]
    assert set(step.outputs["labels"]) == {str(missed.number), str(by_form.number)}
    assert step.label("--since=2 hours") == 0
    assert step.err == "nothing to label: no open issue created since then waits for a label\n"


def test_the_sweep_takes_what_was_edited_since_the_bot_labelled_it(step: Step) -> None:
    """Its run may have been cancelled; what was edited only a little, or by people's labels is theirs, stays."""
    repository = step.repository
    storage, sync = repository.issues[STORAGE], repository.issues[SYNC]
    became, mended, theirs, same = (repository.add_issue(sync.title, sync.body) for _ in range(4))
    assert step.label(f"--issue={became.number}-{same.number}") == 0
    there = became.label_names
    assert there
    theirs.add_labels(["question"], "marit-oh")
    for issue in (became, theirs):
        issue.edit(storage.body)
        issue.rename(storage.title, "reporter")
    mended.edit(f"{sync.body} Thanks")
    step.event({"schedule": "23 4 * * *"})
    for issue in list(repository.issues.values())[:-4]:
        issue.close("marit-oh")
    assert step.label("--since=2020-01-01") == 0
    assert set(became.label_names) == {*there, *STORAGE_LABELS}
    assert [i.label_names for i in (mended, theirs, same)] == [there, [*there, "question"], there]
    assert step.out.splitlines()[0] == f"{FERRY}#{mended.number}: left alone: its text changed only a little"
    assert list(step.outputs["labels"]) == [str(became.number)]


def test_the_sweep_removes_the_abstain_label_where_people_have_labelled(step: Step) -> None:
    """The event may have been missed, or come while the label was being set."""
    step.repository.add_label("needs-triage")
    step.configure("labels: {abstain: needs-triage}")
    issue, by_person = step.repository.issues[STORAGE], step.repository.issues[SYNC]
    issue.add_labels(["needs-triage"], ACTIONS_BOT)
    by_person.add_labels(["needs-triage"], "marit-oh")
    for each in (issue, by_person):
        each.add_labels(["question"], "marit-oh")
    assert step.label("--since=2020-01-01") == 0
    assert (issue.label_names, by_person.label_names) == (["question"], ["needs-triage", "question"])


def test_the_sweep_takes_pull_requests_where_they_are_labelled(step: Step) -> None:
    """As the events do: only where the configuration asks."""
    issue = step.repository.issues[STORAGE]
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    assert step.label("--since=2020-01-01") == 0
    assert pull.label_names == []
    step.configure("act: {pull_requests: true}")
    assert step.label("--since=2020-01-01") == 0
    assert pull.label_names == STORAGE_LABELS


def test_without_a_bundle_described_labels_are_set_by_their_description(step: Step) -> None:
    """The summary says that it is zero-shot classification; a label that only people set is not even scored."""
    meaning = "uploads to S3 and other object storage fail, parts of a multipart upload are invalid"
    step.repository.labels["area: storage"].description = meaning
    step.repository.add_label("duplicate", meaning)
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{FERRY}") == 0
    assert issue.label_names == ["area: storage"]
    assert "zero&#45;shot classification by the labels&#39; descriptions" in step.summary
    assert list(step.outputs["scores"]["938"]) == ["area: storage"]


def test_a_description_in_the_configuration_goes_before_that_on_github(
    step: Step, sample_config: Config
) -> None:
    """Both are read; the maintainers' own words to the bot win."""
    step.repository.labels["area: storage"].description = "Recipes for bread"
    meaning = sample_config.labels.descriptions["area: storage"]
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{FERRY}") == 0
    vague = step.outputs["scores"]["938"]["area: storage"]
    step.configure(f"labels: {{descriptions: {{'area: storage': '{meaning}'}}}}")
    assert step.run("label", f"--store=github:{FERRY}") == 0
    assert step.outputs["scores"]["938"]["area: storage"] > vague + 0.1


def test_an_enterprise_server_is_reached_by_its_own_addresses(step: Step) -> None:
    """Where only the address of REST is known, GraphQL's follows from it."""
    step.environment.delenv("GITHUB_GRAPHQL_URL")
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert f'href="{step.github.server_url}/{FERRY}/issues/938"' in step.summary


def test_a_file_of_issues_is_labelled_without_a_single_request(step: Step) -> None:
    """`--from` needs no token and no network."""
    step.environment.delenv("GITHUB_TOKEN")
    assert step.label(f"--from={NEW}") == 0
    assert step.out.count(f"{FERRY}#") == 12
    assert step.github.requests == []
