"""`triage action`: the inputs of action.yml, as the runner passes them on, become one command."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

from tests.fake_github.fixtures import BOT_TOKEN
from tests.live import CONFIG_PATH, FERRY, STORAGE, Step
from tests.workflows import declared, environment_of
from triage.backfill.plan import open_plan
from triage.cli import parser
from triage.cli.action import ACTIONS, Inputs, command_of
from triage.errors import UsageError

STORAGE_LABELS = ["bug", "area: storage"]


def inputs(step: Step, action: str = "label", **given: str) -> None:
    """Set the inputs of an action as the runner does."""
    for name in [name for name in os.environ if name.startswith("INPUT_")]:
        step.environment.delenv(name)
    named = {key.replace("_", "-"): value for key, value in given.items()}
    for name, value in environment_of(action, {"token": BOT_TOKEN, **named}).items():
        step.environment.setenv(name, value)


@pytest.fixture
def action(step: Step) -> Step:
    """A step whose token comes from the input alone."""
    step.environment.delenv("GITHUB_TOKEN")
    return step


def test_by_default_the_issue_of_the_event_is_labelled(action: Step) -> None:
    """Nothing but the event and the inputs' defaults is needed."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, store=str(action.store))
    assert action.run("action") == 0
    assert action.repository.issues[STORAGE].label_names == STORAGE_LABELS


def test_a_dispatch_labels_the_issues_that_it_names(action: Step) -> None:
    """And only reports where it is to be a dry run."""
    action.event({"inputs": {"issues": "938"}, "repository": {"full_name": FERRY}})
    inputs(action, store=str(action.store), issues="930-938", dry_run="true")
    assert action.run("action") == 0
    assert action.writes == []
    inputs(action, store=str(action.store), issues="938", dry_run="false")
    assert action.run("action") == 0
    assert action.repository.issues[STORAGE].label_names == STORAGE_LABELS


def test_a_schedule_sweeps_and_an_event_does_not(action: Step) -> None:
    """`since` may stand in a workflow that has both."""
    inputs(action, store=str(action.store), since="2020-01-01")
    action.happen(action.repository.issues[STORAGE])
    assert action.run("action") == 0
    labelled = [issue.number for issue in action.repository.issues.values() if issue.labels]
    assert labelled == [STORAGE]
    action.event({"schedule": "23 4 * * *"})
    assert action.run("action") == 0
    assert set(labelled) < {issue.number for issue in action.repository.issues.values() if issue.labels}


def test_the_configuration_lies_where_the_input_says(action: Step) -> None:
    """On the default branch."""
    action.repository.put_file(".github/other.yml", "labels: {deny: [bug]}")
    action.repository.put_file(CONFIG_PATH, "labels: {deny: ['*']}")
    action.happen(action.repository.issues[STORAGE])
    inputs(action, store=str(action.store), config=".github/other.yml")
    assert action.run("action") == 0
    assert action.repository.issues[STORAGE].label_names == ["area: storage"]


def test_a_failure_is_an_annotation_of_the_run(action: Step) -> None:
    """One line, whatever it says; the exit code is that of the command."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, store=str(action.store), token="revoked")
    assert action.run("action") == 8
    [annotation] = [line for line in action.out.splitlines() if line.startswith("::error::")]
    assert "GitHub does not accept the token" in annotation
    assert "next step: check GITHUB_TOKEN (in a workflow, the `token` input)" in annotation
    assert "revoked" not in action.said.replace("was revoked or", "")


def test_runners_share_a_plan_and_one_of_them_merges_it(action: Step, tmp_path: Path) -> None:
    """Each makes the plan of a shard; together they are the plan that one run makes."""
    plans = []
    for folder, shards in (("one", [""]), ("many", ["1/2", "2/2"])):
        usual = {"store": str(action.store), "folder": str(tmp_path / folder)}
        for shard in shards:
            inputs(action, "backfill", **usual, shard=shard)
            assert action.run("action", "backfill") == 0
        if len(shards) > 1:
            inputs(action, "backfill", **usual, merge="true")
            assert action.run("action", "backfill") == 0
        plans.append(open_plan(tmp_path / folder / "plan.jsonl"))
    assert plans[0].header == plans[1].header
    by_number = [sorted(plan.entries(), key=lambda entry: entry.number) for plan in plans]
    assert by_number[0] == by_number[1]
    assert "a backfill would label" in action.summary.lower()


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("label", {"dry_run": "perhaps"}, "the input `dry-run` is 'perhaps'"),
        ("label", {"issues": "--help"}, "'--help' are not issue numbers"),
        ("label", {"issues": "1;2"}, "'1;2' are not issue numbers"),
        ("label", {"store": "github:--repo=x"}, "'--repo=x' is not of the form OWNER/NAME"),
        (
            "label",
            {"shard": "1/2"},
            "the action `label` has no input `shard`\n  likely cause: it is an input of `backfill`",
        ),
        ("backfill", {"merge": "true"}, "triage contains no plan of a shard"),
        ("backfill", {"apply": "true", "issues": "7"}, "the inputs `apply` and `issues` exclude each other"),
        ("backfill", {"apply": "true", "merge": "true"}, "the inputs `apply` and `merge` exclude each other"),
        ("backfill", {"merge": "true", "shard": "1/2"}, "the inputs `merge` and `shard` exclude each other"),
        ("publish", {"dry_run": "true"}, "the action `publish` has no input `dry-run`"),
        ("promote", {"dry_run": "true"}, "the action `promote` has no input `dry-run`"),
        ("rollback", {"dry_run": "true"}, "the action `rollback` has no input `dry-run`"),
    ],
)
def test_an_input_that_cannot_be_is_named(action: Step, name: str, given: dict[str, str], words: str) -> None:
    """No input is taken for an option, and none is without effect."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, name, **given)
    assert action.run("action", name) == 2
    assert action.err.startswith(f"error: {words}")
    assert action.writes == []


def test_a_backfill_is_undone_by_the_journal_in_its_folder(action: Step, tmp_path: Path) -> None:
    """What it set goes; what a person touched since stays."""
    usual = {"store": str(action.store), "folder": str(tmp_path / "triage")}
    inputs(action, "backfill", **usual, issues="930-950")
    assert action.run("action", "backfill") == 0
    inputs(action, "backfill", folder=usual["folder"], apply="true")
    assert action.run("action", "backfill") == 0
    touched = action.repository.issues[STORAGE]
    touched.remove_labels(["bug"], "marit-oh")
    touched.add_labels(["bug"], "marit-oh")
    inputs(action, "undo", folder=usual["folder"], dry_run="true")
    action.github.requests.clear()
    assert action.run("action", "undo") == 0
    assert action.writes == []
    inputs(action, "undo", folder=usual["folder"])
    assert action.run("action", "undo") == 0
    labelled = {
        number: issue.label_names for number, issue in action.repository.issues.items() if issue.labels
    }
    assert labelled == {STORAGE: ["bug"]}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_declares_the_inputs_that_its_command_takes(name: str) -> None:
    """In one order, and its file names the command."""
    assert list(declared(name)["inputs"]) == list(ACTIONS[name].inputs)
    assert declared(name)["runs"].get("args", ["label"]) == [name]


@pytest.mark.parametrize("command", ACTIONS)
def test_the_inputs_build_the_options_that_the_command_line_builds(command: str) -> None:
    """With every input given."""
    given = {"repository": FERRY, "issues": "7", "since": "36 hours", "cache": "read"}
    named = {name: value for name, value in given.items() if name in ACTIONS[command].inputs}
    inputs = Inputs({**environment_of(command, named), "GITHUB_REPOSITORY": FERRY}, command)
    store = f"--store=github:{FERRY}"
    argv = {
        "label": ["label", store, f"--repo={FERRY}", "--issue=7", "--since=36 hours"],
        "retrain": [
            "retrain",
            f"--from={FERRY}",
            "--store=triage",
            f"--against=github:{FERRY}",
            "--cache=read",
        ],
        "publish": ["bundle", "publish", "--of=triage", store],
        "promote": ["bundle", "promote", store],
        "rollback": ["bundle", "rollback", store],
        "backfill": [
            *("backfill", f"--from={FERRY}", store, "--out=triage", "--issue=7", "--since=36 hours")
        ],
        "undo": ["undo", "triage/plan.journal.jsonl"],
        "check": ["check", f"--repo={FERRY}", store],
    }[command]
    args = parser().parse_args(argv)
    module, options = command_of(inputs)
    assert module == args.command
    assert options == importlib.import_module(f"triage.cli.{module}").parse(args)


def test_a_mistyped_input_does_not_pass_for_its_default(action: Step) -> None:
    """GitHub hands on what is under `with:`; `dryrun: true` would set labels. What is like no input is ignored."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, store=str(action.store), dryrun="true")
    assert action.run("action") == 2
    assert (
        "the action `label` has no input `dryrun`\n  next step: did you mean 'dry-run'? correct `with:`"
        in action.err
    )
    assert action.writes == []
    action.environment.delenv("INPUT_DRYRUN")
    inputs(action, store=str(action.store), colour="blue")
    assert action.run("action") == 0
    assert "::warning::the action `label` has no input `colour`, which is ignored" in action.out


def test_an_input_that_is_no_truth_value_is_refused() -> None:
    """Rather than taken for one."""
    with pytest.raises(UsageError, match="the input `apply` is 'ja'"):
        Inputs({"INPUT_APPLY": "ja"}).flag("apply")
