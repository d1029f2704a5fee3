"""`triage action`: the inputs of action.yml, as the runner passes them on, become one command."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import yaml

from tests.fake_github.fixtures import BOT_TOKEN
from tests.live import CONFIG_PATH, FERRY, STORAGE, Step
from triage.actions import Inputs
from triage.backfill.plan import open_plan
from triage.cli import parser
from triage.cli.action import COMMANDS, INPUTS, command_of
from triage.errors import UsageError

ACTION = yaml.load((Path(__file__).parents[1] / "action.yml").read_text("utf-8"), Loader=yaml.BaseLoader)
STORAGE_LABELS = ["bug", "area: storage"]


def inputs(step: Step, **given: str) -> None:
    """Set the inputs as the runner does: every one that has a default, by its name in capitals."""
    defaults = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()}
    defaults["token"] = BOT_TOKEN
    for name, value in (defaults | {key.replace("_", "-"): value for key, value in given.items()}).items():
        step.environment.setenv(f"INPUT_{name.upper()}", value)


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
    assert "next step: check the `token` input" in annotation
    assert "revoked" not in action.said.replace("was revoked or", "")


def test_runners_share_a_plan_and_one_of_them_merges_it(action: Step, tmp_path: Path) -> None:
    """Each makes the plan of a shard; together they are the plan that one run makes."""
    plans = []
    for folder, shards in (("one", [""]), ("many", ["1/2", "2/2"])):
        usual = {"command": "backfill", "store": str(action.store), "folder": str(tmp_path / folder)}
        for shard in shards:
            inputs(action, **usual, shard=shard)
            assert action.run("action") == 0
        if len(shards) > 1:
            inputs(action, **usual, merge="true")
            assert action.run("action") == 0
        plans.append(open_plan(tmp_path / folder / "plan.jsonl"))
    assert plans[0].header == plans[1].header
    by_number = [sorted(plan.entries(), key=lambda entry: entry.number) for plan in plans]
    assert by_number[0] == by_number[1]
    assert "a backfill would label" in action.summary.lower()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"command": "destroy"}, "the input `command` is 'destroy'"),
        ({"dry_run": "perhaps"}, "the input `dry-run` is 'perhaps'"),
        ({"issues": "--help"}, "'--help' are not issue numbers"),
        ({"issues": "1;2"}, "'1;2' are not issue numbers"),
        ({"store": "github:--repo=x"}, "'--repo=x' is not of the form OWNER/NAME"),
        ({"command": "backfill", "merge": "true"}, "triage holds no plan of a shard"),
        ({"command": "publish", "dry_run": "true"}, "`publish` has no dry run"),
        ({"command": "promote", "dry_run": "true"}, "`promote` has no dry run"),
        ({"command": "rollback", "dry_run": "true"}, "`rollback` has no dry run"),
    ],
)
def test_an_input_that_cannot_be_is_named(action: Step, given: dict[str, str], words: str) -> None:
    """No input is taken for an option."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, **given)
    assert action.run("action") == 2
    assert action.err.startswith(f"error: {words}")
    assert action.writes == []


def test_every_command_that_the_action_offers_is_described_and_the_reverse() -> None:
    """In the words of action.yml."""
    described = re.findall(r"`([a-z]+)`", ACTION["inputs"]["command"]["description"])
    assert {*described} - {"folder"} == {*COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_inputs_build_the_options_that_the_command_line_builds(command: str) -> None:
    """With every input given."""
    given = {name.upper(): entry.get("default", "") for name, entry in ACTION["inputs"].items()}
    given |= {"COMMAND": command, "REPOSITORY": FERRY, "ISSUES": "7", "SINCE": "36 hours", "APPLY": "false"}
    inputs = Inputs({f"INPUT_{name}": value for name, value in given.items()} | {"GITHUB_REPOSITORY": FERRY})
    store = f"--store=github:{FERRY}"
    argv = {
        "label": ["label", store, f"--repo={FERRY}", "--issue=7", "--since=36 hours"],
        "retrain": ["retrain", f"--from={FERRY}", "--store=triage", f"--against=github:{FERRY}"],
        "publish": ["bundle", "publish", "--of=triage", store],
        "promote": ["bundle", "promote", store],
        "rollback": ["bundle", "rollback", store],
        "backfill": [
            *("backfill", f"--from={FERRY}", store, "--out=triage", "--issue=7", "--since=36 hours")
        ],
        "check": ["check", f"--repo={FERRY}", store],
    }[command]
    args = parser().parse_args(argv)
    module, options = command_of(inputs)
    assert module == args.command
    assert options == importlib.import_module(f"triage.cli.{module}").parse(args)


def test_the_known_inputs_are_those_of_the_action() -> None:
    """In one order."""
    assert list(INPUTS) == list(ACTION["inputs"])


def test_a_mistyped_input_does_not_pass_for_its_default(action: Step) -> None:
    """GitHub hands on what is under `with:`; `dryrun: true` would set labels. What is like no input is ignored."""
    action.happen(action.repository.issues[STORAGE])
    inputs(action, store=str(action.store), dryrun="true")
    assert action.run("action") == 2
    assert (
        "the action has no input `dryrun`\n  next step: did you mean 'dry-run'? correct `with:`" in action.err
    )
    assert action.writes == []
    action.environment.delenv("INPUT_DRYRUN")
    inputs(action, store=str(action.store), colour="blue")
    assert action.run("action") == 0
    assert "::warning::the action has no input `colour`, which is ignored" in action.out


def test_an_input_that_is_no_truth_value_is_refused() -> None:
    """Rather than taken for one."""
    with pytest.raises(UsageError, match="the input `apply` is 'ja'"):
        Inputs({"INPUT_APPLY": "ja"}).flag("apply")
