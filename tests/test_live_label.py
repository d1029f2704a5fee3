"""`triage label` on GitHub: which issues are read, what is set on them, and what is told about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.fake_github.faults import Hook, error, graphql_limit
from tests.fake_github.fixtures import DEMO
from tests.fake_github.repository import Repository
from tests.fake_github.state import ACTIONS_BOT
from tests.live import FERRY, STORAGE, SYNC, Step
from tests.sample import CONFIG, NEW, Trained
from triage.bundle.model import ServingModel
from triage.config import Config
from triage.decide import Policy, decide
from triage.issue import Issue

STORAGE_LABELS = ["bug", "area: storage"]


def test_a_new_issue_gets_the_labels_that_the_same_bundle_gives_it_from_a_file(
    step: Step, model: ServingModel, sample_config: Config, new_issues: list[Issue]
) -> None:
    """What was measured is what runs; outputs, log and summary tell it."""
    issue = step.repository.issues[STORAGE]
    step.configure(CONFIG.read_text("utf-8"))
    step.happen(issue)
    assert step.label() == 0
    [decision] = decide([next(i for i in new_issues if i.number == STORAGE)], model, Policy.of(sample_config))
    assert issue.label_names == STORAGE_LABELS == list(decision.labels)
    assert issue.label_events == [("labeled", name, ACTIONS_BOT) for name in STORAGE_LABELS]
    assert step.out == f"{FERRY}#938: bug, area: storage\n"
    scores = decision.to_dict()["scores"]
    neighbours = [neighbour.number for neighbour in decision.voters]
    assert step.outputs == {
        "labels": {"938": STORAGE_LABELS},
        "scores": {"938": scores},
        "neighbours": {"938": neighbours},
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
    assert "the issue carries it already" in step.summary


def test_a_dry_run_tells_and_changes_nothing(step: Step) -> None:
    """The summary says what would be done."""
    issue = step.repository.issues[STORAGE]
    assert step.label("--issue=938", "--dry-run") == 0
    assert (issue.label_names, step.writes) == ([], [])
    assert "#938</a> would get <code>bug</code>" in step.summary


def test_a_range_labels_what_there_is_and_tells_what_there_is_not(step: Step) -> None:
    """Gaps in the numbers are usual; one table shows them all."""
    step.repository.issues[SYNC].delete()
    assert step.label("--issue=937-938,971") == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert step.out.splitlines() == [
        f"{FERRY}#937: it does not exist, or the token may not see it",
        f"{FERRY}#938: bug, area: storage",
        f"{FERRY}#971: it was deleted",
    ]
    assert step.summary.startswith("### 1 of 3 issues were labelled\n\n| issue | labels | |\n")
    assert list(step.outputs["labels"]) == ["938"]  # type: ignore[call-overload, arg-type] # Json is wide


def test_issues_that_are_all_missing_end_in_failure(step: Step) -> None:
    """Whoever names one issue wants to know that it is not there."""
    assert step.label("--issue=5") == 8
    assert step.err.startswith(f"error: none of the issues 5 of {FERRY} was found\n")


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
    """Open issues of the last hours that nobody has labelled; the others are not touched."""
    repository, now = step.repository, datetime.now(UTC)
    step.github.world.clock.set(now)
    title, body = repository.issues[STORAGE].title, repository.issues[STORAGE].body
    missed, old, closed, labelled, touched = (
        repository.add_issue(title, body, at=now - timedelta(hours=hours)) for hours in (3, 40, 3, 3, 3)
    )
    closed.close("marit-oh")
    labelled.add_labels(["question"], "marit-oh")
    touched.add_labels(["question"], "marit-oh")
    touched.remove_labels(["question"], "marit-oh")
    step.event({"schedule": "23 4 * * *"})
    for issue in list(repository.issues.values()):
        if issue not in (missed, old, closed, labelled, touched):
            issue.created_at = now - timedelta(days=30)
    assert step.label("--since=36 hours") == 0
    assert missed.label_names == STORAGE_LABELS
    assert [x.label_names for x in (old, closed, labelled, touched)] == [[], [], ["question"], []]
    assert list(step.outputs["labels"]) == [str(missed.number)]  # type: ignore[arg-type, call-overload] # Json


def test_the_sweep_takes_pull_requests_where_they_are_labelled(step: Step) -> None:
    """As the events do: only where the configuration asks."""
    issue = step.repository.issues[STORAGE]
    pull = step.repository.add_issue(issue.title, issue.body, pull=True)
    assert step.label("--since=2020-01-01") == 0
    assert pull.label_names == []
    step.configure("act: {pull_requests: true}")
    assert step.label("--since=2020-01-01") == 0
    assert pull.label_names == STORAGE_LABELS


def test_without_a_bundle_described_labels_are_set_by_their_description(
    step: Step, sample_config: Config
) -> None:
    """The summary says that it is zero-shot classification; a label that only people set is not even scored."""
    meaning = sample_config.labels.descriptions["area: storage"]
    step.repository.labels["area: storage"].description = meaning
    step.repository.add_label("duplicate", meaning)
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{FERRY}") == 0
    assert issue.label_names == ["area: storage"]
    assert "zero&#45;shot classification by the labels&#39; descriptions" in step.summary
    assert list(step.outputs["scores"]["938"]) == ["area: storage"]  # type: ignore[index, call-overload] # Json


def test_a_description_in_the_configuration_goes_before_that_on_github(
    step: Step, sample_config: Config
) -> None:
    """Both are read; the maintainers' own words to the bot win."""
    step.repository.labels["area: storage"].description = "Recipes for bread"
    meaning = sample_config.labels.descriptions["area: storage"]
    issue = step.repository.issues[STORAGE]
    step.happen(issue)
    assert step.run("label", f"--store=github:{FERRY}") == 0
    vague = step.outputs["scores"]["938"]["area: storage"]  # type: ignore[index, call-overload] # Json is wide
    step.configure(f"labels: {{descriptions: {{'area: storage': '{meaning}'}}}}")
    assert step.run("label", f"--store=github:{FERRY}") == 0
    assert step.outputs["scores"]["938"]["area: storage"] > vague + 0.1  # type: ignore[index, call-overload, operator]


@pytest.mark.parametrize(("payload", "name"), [("issue", "issues"), ({"schedule": "23 4 * * *"}, "schedule")])
def test_with_nothing_to_label_with_an_event_ends_green(step: Step, payload: object, name: str) -> None:
    """A notice says what to do next; nobody gets a red mark for having added a workflow."""
    if payload == "issue":
        step.happen(step.repository.issues[STORAGE])
    else:
        step.event({"schedule": "23 4 * * *"})
    step.environment.setenv("GITHUB_EVENT_NAME", name)
    more = [] if payload == "issue" else ["--since=36 hours"]
    assert step.run("label", f"--store=github:{FERRY}", *more) == 0
    assert step.out.startswith("::notice::nothing was labelled: there is no bundle to label with")
    assert "### Nothing was labelled" in step.summary
    assert step.writes == []


def test_with_nothing_to_label_with_a_command_fails(step: Step) -> None:
    """Whoever asks for issues by number is told that it cannot be done."""
    assert step.run("label", f"--store=github:{FERRY}", "--issue=938") == 3
    assert step.err == (
        "error: there is no bundle to label with, and no label is described\n"
        "  likely cause: the repository has not been learnt from yet and no label carries a description\n"
        "  next step: run `triage retrain`, or describe labels under `labels.descriptions` in .github/triage.yml\n"
    )


def test_a_damaged_bundle_gives_way_to_the_one_before(step: Step, own_store: Trained) -> None:
    """The warning is an annotation of the run."""
    good = own_store.store.load(own_store.name)
    bad = type(good)(
        **{
            **vars(good),
            "manifest": type(good.manifest)(**{**vars(good.manifest), "created_at": "2999-01-01T00:00:00Z"}),
        }
    )
    name = own_store.store.save(bad)
    own_store.store.appoint("active", name)
    (own_store.folder / "bundles" / name / "vectors.npy").write_bytes(b"spoilt")
    step.store = own_store.folder
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert step.out.startswith("::warning::")
    assert f"going on with the previous bundle, {own_store.store.names()[1]}" in step.out


def test_a_pointer_that_names_no_bundle_gives_way_to_the_newest(step: Step, own_store: Trained) -> None:
    """A file cut short is damage as well."""
    (own_store.folder / "active").write_text("20", "utf-8")
    step.store = own_store.folder
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS


def test_a_store_without_one_whole_bundle_fails(step: Step, own_store: Trained) -> None:
    """Labelling by something else than was learnt would surprise."""
    (own_store.bundle_folder / "vectors.npy").write_bytes(b"spoilt")
    step.store = own_store.folder
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 7
    assert step.writes == []


def test_a_token_that_may_only_read_is_told_which_permission_is_missing(step: Step) -> None:
    """The same words in the log and on the run's page."""
    step.github.world.add_token("reader-token", ACTIONS_BOT, issues="read", contents="read")
    step.environment.setenv("GITHUB_TOKEN", "reader-token")
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 8
    assert "lacks the permission `issues: write`" in step.err
    assert "grant it under `permissions:` in the workflow" in step.err
    assert "reader-token" not in step.said


@pytest.mark.parametrize(
    ("fault", "code"),
    [(error(401, "Bad credentials"), 8), (error(404, "Not Found"), 8), (graphql_limit(9999), 9)],
)
def test_each_refusal_of_github_has_its_exit_code(step: Step, fault: Hook, code: int) -> None:
    """And one sentence, without a trace of Python."""
    step.github.faults.add(fault, times=None)
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == code
    assert step.err.startswith("error: cannot ")
    assert "Traceback" not in step.err


def test_what_was_done_before_a_failure_is_told(step: Step) -> None:
    """The summary of a run that broke off lists what it set."""
    step.github.faults.add(error(403, "Resource not accessible by integration"), operation="mutation", skip=1)
    assert step.label("--issue=938,971") == 8
    assert "#938</a> got <code>bug</code>" in step.summary
    assert step.outputs["labels"] == {"938": STORAGE_LABELS}


def test_no_token_is_a_clear_failure(step: Step) -> None:
    """The input and the variable are named."""
    step.environment.delenv("GITHUB_TOKEN")
    assert step.label("--issue=938") == 8
    assert f"there is no token to reach {FERRY} with" in step.err
    assert step.github.requests == []


def test_an_enterprise_server_is_reached_by_its_own_addresses(step: Step) -> None:
    """Where only the address of REST is known, GraphQL's follows from it."""
    step.environment.delenv("GITHUB_GRAPHQL_URL")
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert f'href="{step.github.server_url}/{FERRY}/issues/938"' in step.summary


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "no issue is named"),
        (["--issue=seven"], 2, "'seven' are no issue numbers"),
        (["--since=soon"], 2, "'soon' is no time"),
        (["--repo=nobody", "--issue=1"], 2, "'nobody' is not of the form OWNER/NAME"),
        (["--repo=octo/none", "--issue=1"], 8, "cannot "),
        (["--event=/nowhere.json"], 5, "/nowhere.json: no event can be read"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_so(
    step: Step, argv: list[str], code: int, words: str
) -> None:
    """Before anything is changed."""
    assert step.label(*argv) == code
    assert step.err.startswith(f"error: {words}")
    assert step.writes == []


def test_an_event_of_another_repository_names_no_issue_of_this_one(step: Step) -> None:
    """Its number would mean another issue here."""
    step.happen(step.repository.issues[STORAGE])
    assert step.label(f"--repo={DEMO}") == 2
    assert step.writes == []


def test_a_configuration_that_is_not_valid_stops_the_run(step: Step) -> None:
    """The file and the key are named."""
    step.configure("labels: {maximum: 3}")
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 4
    assert step.err.startswith(f"error: .github/triage.yml in {FERRY}: in 'labels.maximum': unknown key")


def test_a_file_of_issues_is_labelled_without_a_single_request(step: Step) -> None:
    """`--file` needs no token and no network."""
    step.environment.delenv("GITHUB_TOKEN")
    assert step.label(f"--file={NEW}") == 0
    assert step.out.count(f"{FERRY}#") == 12
    assert step.github.requests == []


def test_two_described_repositories_do_not_mix(step: Step, demo: Repository) -> None:
    """Only labels of the issue's own repository are set."""
    issue = demo.add_issue(
        "How do I list what a push would upload?", "I looked through the help and cannot see it."
    )
    step.happen(issue)
    assert step.label() == 0
    assert set(issue.label_names) <= {"bug", "docs", "question"}
    assert {event[0] for event in issue.label_events} <= {"labeled"}
