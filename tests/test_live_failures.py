"""`triage label` on GitHub where something is missing, damaged, refused or mistyped: clear words and a code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_github.faults import Hook, Partial, error, graphql_limit
from tests.fake_github.fixtures import DEMO
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json
from tests.live import FERRY, STORAGE, Step
from tests.sample import Trained

STORAGE_LABELS = ["bug", "area: storage"]


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


def test_without_a_store_a_command_says_so(step: Step) -> None:
    """It is not said that nothing was learnt."""
    assert step.run("label", f"--repo={FERRY}", "--issue=938") == 3
    assert step.err == (
        "error: no store of bundles was named, and no label is described\n"
        "  likely cause: the store was left out\n"
        "  next step: name the store that `triage retrain` wrote to (`--store`): a folder, or github:OWNER/NAME, "
        "where the workflows keep their bundles\n"
    )


def test_a_store_without_a_bundle_is_told_to_whoever_asked(step: Step, tmp_path: Path) -> None:
    """A path that was mistyped, a file, and no store at all; an event has nobody to tell it to."""
    step.repository.labels["bug"].description = "Something is broken"
    words = "labels are judged by their descriptions alone"
    assert (
        step.run("label", f"--repo={FERRY}", "--issue=938", f"--store={tmp_path / 'typo'}", "--dry-run") == 0
    )
    assert f"::warning::{tmp_path / 'typo'} is no store: {words}. Next step: `triage retrain`\n" in step.out
    assert step.run("label", f"--repo={FERRY}", "--issue=938", "--dry-run") == 0
    assert f"no store was named (--store): {words}\n" in step.err
    file = tmp_path / "file"
    file.write_text("", "utf-8")
    assert step.run("label", f"--repo={FERRY}", "--issue=938", f"--store={file}") == 2
    assert f"error: {file} is a file, not a store\n" in step.err


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
    own_store.store.set_role("active", name)
    (own_store.folder / "bundles" / name / "vectors.npy").write_bytes(b"spoilt")
    step.store = own_store.folder
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert step.repository.issues[STORAGE].label_names == STORAGE_LABELS
    assert step.out.startswith("::warning::")
    assert f"continuing with the previous bundle, {own_store.store.names()[1]}" in step.out


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
    """The summary of a run that broke off lists what it set; GitHub refuses one of two changes in a request."""
    refused: list[dict[str, Json]] = [
        {"type": "FORBIDDEN", "message": "Resource not accessible by integration", "path": ["a1"]}
    ]
    step.github.faults.add(Partial(refused, [["a1"]]), operation="mutation")
    assert step.label("--issue=938,946") == 8
    assert "#938</a> got <code>bug</code>" in step.summary
    assert step.outputs["labels"] == {"938": STORAGE_LABELS}


def test_no_token_is_a_clear_failure(step: Step) -> None:
    """The input and the variable are named."""
    step.environment.delenv("GITHUB_TOKEN")
    assert step.label("--issue=938") == 8
    assert f"there is no token to reach {FERRY}" in step.err
    assert step.github.requests == []


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        ([], 2, "no issue was given"),
        (["--issue=seven"], 2, "'seven' are not issue numbers"),
        (["--since=soon"], 2, "'soon' is not a time"),
        (["--repo=nobody", "--issue=1"], 2, "'nobody' is not of the form OWNER/NAME"),
        (["--repo=octo/none", "--issue=1"], 8, "cannot "),
        (["--event=/nowhere.json"], 5, "/nowhere.json: cannot be read as an event"),
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
    assert step.err.startswith(
        f"error: .github/triage.yml in {FERRY}, line 1: in 'labels.maximum': unknown key"
    )
