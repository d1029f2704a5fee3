"""`triage action`: run as the Docker action. The inputs build the same options as the command line, without a shell."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from triage import console
from triage.actions import event_of
from triage.bundle.store import StoreName
from triage.cli import arguments
from triage.console import warning
from triage.errors import TriageError, UsageError, did_you_mean
from triage.options import (
    ADAPTATIONS,
    ApplyOptions,
    BundleOptions,
    CheckOptions,
    ConfigSource,
    LabelOptions,
    MergeOptions,
    PlanOptions,
    RetrainOptions,
    UndoOptions,
)

FOLDER = "triage"
# What `backfill` with `apply` writes.
JOURNAL = "plan.journal.jsonl"
# Inputs of `backfill` that choose what a plan is made of, or what to do instead of making one.
OF_A_PLAN = ("issues", "since", "shard", "merge")
TRUE, FALSE = ("true", "yes", "1", "on"), ("", "false", "no", "0", "off")


class Inputs:
    """The inputs of the action for `command`; the runner passes them to it as INPUT_NAME, upper case, dashes kept."""

    def __init__(self, environment: Mapping[str, str], command: str = "label") -> None:
        self.environment = environment
        self.command = command

    @property
    def names(self) -> list[str]:
        """The inputs that are set to anything."""
        given = (name for name, value in self.environment.items() if value.strip())
        return sorted(name[6:].lower() for name in given if name.startswith("INPUT_"))

    def text(self, name: str, default: str = "") -> str:
        return self.environment.get(f"INPUT_{name.upper()}", "").strip() or default

    def flag(self, name: str) -> bool:
        """Raises UsageError where the input is neither true nor false."""
        value = self.text(name).lower()
        if value not in (*TRUE, *FALSE):
            raise UsageError(f"the input `{name}` is {value!r:.40}", next_step="write true or false")
        return value in TRUE


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command; all else are inputs."""
    parser.add_argument(
        "act",
        nargs="?",
        default="label",
        choices=list(ACTIONS),
        metavar="ACTION",
        help="action to run (default: label)",
    )
    parser.epilog = (
        "Reads the inputs of the action's file from INPUT_* variables, as the Actions runner sets them."
    )


def parse(args: argparse.Namespace) -> Inputs:
    """The inputs in the environment."""
    return Inputs(os.environ, args.act)


def run(inputs: Inputs) -> int:
    """Run the action's command; an error also annotates the workflow run. Raises TriageError."""
    try:
        check_names(inputs)
        module, options = command_of(inputs)
        if token := inputs.text("token"):
            os.environ["GITHUB_TOKEN"] = token
        with console.to_the_end():
            code: int = importlib.import_module(f"triage.cli.{module}").run(options)
        return code
    except TriageError as error:
        # Elsewhere there is no run to annotate, and the command line prints the error once.
        if console.in_actions():
            console.error(str(error))
        raise


def check_names(inputs: Inputs) -> None:
    """Raise UsageError for an input of another action or one that looks mistyped, and warn of any other unknown one.

    GitHub passes on whatever stands under `with:`.
    """
    known = ACTIONS[inputs.command].inputs
    for name in inputs.names:
        if name in known:
            continue
        what = f"the action `{inputs.command}` has no input `{name}`"
        others = [each for each, action in ACTIONS.items() if name in action.inputs]
        if others:
            raise UsageError(
                what,
                likely=f"it is an input of {', '.join(f'`{other}`' for other in others)}",
                next_step="remove it from `with:` in the workflow, or use that action",
            )
        if meant := did_you_mean(name, known):
            raise UsageError(what, next_step=f"{meant}correct `with:` in the workflow")
        warning(f"{what}, which is ignored")


def command_of(inputs: Inputs) -> tuple[str, object]:
    """(module of triage.cli, its options) for the inputs. Raises UsageError."""
    action = ACTIONS[inputs.command]
    return action.module, action.options(inputs)


def _label(inputs: Inputs) -> LabelOptions:
    from triage.cli.label import with_environment

    # An event about an issue labels that issue; `since` is for runs that a schedule started.
    event = event_of(inputs.environment)
    since = inputs.text("since")
    issues = inputs.text("issues")
    options = LabelOptions(
        config=_config(inputs),
        store=_store(inputs),
        event=None if issues else event,
        repo=arguments.repository(inputs.text("repository")),
        issues=arguments.issue_numbers(issues) if issues else (),
        since=arguments.when(since) if since and event is None else None,
        dry_run=inputs.flag("dry-run"),
    )
    return with_environment(options, inputs.environment)


def _check(inputs: Inputs) -> CheckOptions:
    return CheckOptions(_config(inputs), _repository(inputs), _store(inputs))


def _retrain(inputs: Inputs) -> RetrainOptions:
    adapt = inputs.text("adapt", RetrainOptions.adapt)
    if adapt not in ADAPTATIONS:
        raise UsageError(
            f"the input `adapt` is {adapt!r:.40}",
            next_step=f"{did_you_mean(adapt, ADAPTATIONS)}choose one of {', '.join(ADAPTATIONS)}",
        )
    return RetrainOptions(
        sources=tuple(map(arguments.repository, arguments.items(_named(inputs)))),
        store=StoreName(_folder(inputs)),
        against=_store(inputs),
        config=_config(inputs),
        adapt=adapt,
        cache=Path(inputs.text("cache")) if inputs.text("cache") else None,
    )


def _publish(inputs: Inputs) -> BundleOptions:
    return BundleOptions(
        action="publish",
        store=_store(inputs),
        config=_config(inputs),
        source=StoreName(_folder(inputs)),
    )


def _choose(inputs: Inputs) -> BundleOptions:
    """The options of `promote` or `rollback`, which change what is active."""
    return BundleOptions(action=inputs.command, store=_store(inputs), config=_config(inputs))


def _undo(inputs: Inputs) -> UndoOptions:
    return UndoOptions(_folder(inputs) / JOURNAL, dry_run=inputs.flag("dry-run"))


def _backfill(inputs: Inputs) -> PlanOptions | ApplyOptions | MergeOptions:
    folder, dry_run = _folder(inputs), inputs.flag("dry-run")
    kind = next((name for name in ("apply", "merge") if inputs.flag(name)), "")
    if kind and (
        given := [name for name in OF_A_PLAN if name != kind and inputs.text(name).lower() not in FALSE]
    ):
        raise UsageError(
            f"the inputs `{kind}` and `{given[0]}` exclude each other",
            next_step=f"remove one of them: `{given[0]}` is for the step that makes a plan",
        )
    if kind == "apply":
        return ApplyOptions(folder / "plan.jsonl", _config(inputs), _repository(inputs), dry_run=dry_run)
    if kind == "merge":
        plans = sorted(folder.glob("plan-*-of-*.jsonl"))
        if not plans:
            raise UsageError(
                f"{folder} contains no plan of a shard",
                next_step="download the artifacts of the shards into it",
            )
        return MergeOptions(tuple(plans), folder)
    since, issues, shard = inputs.text("since"), inputs.text("issues"), inputs.text("shard")
    return PlanOptions(
        source=_repository(inputs),
        out=folder,
        config=_config(inputs),
        store=_store(inputs),
        since=arguments.when(since) if since else None,
        issues=arguments.issue_numbers(issues) if issues else (),
        shard=arguments.shard(shard) if shard else None,
    )


def _config(inputs: Inputs) -> ConfigSource:
    return ConfigSource(path=inputs.text("config"))


def _repository(inputs: Inputs) -> str:
    return arguments.repository(_named(inputs))


def _named(inputs: Inputs) -> str:
    return inputs.text("repository", inputs.environment.get("GITHUB_REPOSITORY", ""))


def _store(inputs: Inputs) -> StoreName:
    named = inputs.text("store")
    return (
        arguments.store(named) if named else StoreName(repo=inputs.environment.get("GITHUB_REPOSITORY", ""))
    )


def _folder(inputs: Inputs) -> Path:
    return Path(inputs.text("folder", FOLDER))


@dataclass(frozen=True)
class Action:
    """An action: the module of triage.cli, the function that builds its options, and the inputs of its file."""

    module: str
    options: Callable[[Inputs], object]
    inputs: list[str]


# The inputs are in the order of the action's file, `NAME/action.yml`; that of `label` is at the top of the repository.
ACTIONS: Mapping[str, Action] = {
    "label": Action(
        "label", _label, ["token", "config", "repository", "store", "issues", "since", "dry-run"]
    ),
    "retrain": Action(
        "retrain", _retrain, ["token", "config", "repository", "store", "adapt", "cache", "folder"]
    ),
    "publish": Action("bundle", _publish, ["token", "config", "store", "folder"]),
    "promote": Action("bundle", _choose, ["token", "config", "store"]),
    "rollback": Action("bundle", _choose, ["token", "config", "store"]),
    "backfill": Action(
        "backfill",
        _backfill,
        [
            "token",
            "config",
            "repository",
            "store",
            "issues",
            "since",
            "folder",
            "apply",
            "shard",
            "merge",
            "dry-run",
        ],
    ),
    "undo": Action("undo", _undo, ["token", "folder", "dry-run"]),
    "check": Action("check", _check, ["token", "config", "repository", "store"]),
}
