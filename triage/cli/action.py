"""`triage action`: run as the Docker action. The inputs build the same options as the command line, without a shell."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from triage import console
from triage.actions import Inputs, event_of
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
)

FOLDER = "triage"
# Those of action.yml.
INPUTS = (
    "command",
    "token",
    "config",
    "repository",
    "store",
    "issues",
    "since",
    "adapt",
    "folder",
    "apply",
    "shard",
    "merge",
    "dry-run",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """No options: see action.yml for the inputs."""
    parser.epilog = "Reads the inputs of action.yml from INPUT_* variables, as the Actions runner sets them."


def parse(_args: argparse.Namespace) -> Inputs:
    """The inputs in the environment."""
    return Inputs(os.environ)


def run(inputs: Inputs) -> int:
    """Run the command that the inputs name; an error also annotates the workflow run. Raises TriageError."""
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
    """Raise UsageError for an input that looks mistyped, and warn of any other unknown one: GitHub passes them on."""
    for name in inputs.names:
        meant = did_you_mean(name, INPUTS)
        if name not in INPUTS and meant:
            raise UsageError(
                f"the action has no input `{name}`", next_step=f"{meant}correct `with:` in the workflow"
            )
        if name not in INPUTS:
            warning(f"the action has no input `{name}`, which is ignored")


def command_of(inputs: Inputs) -> tuple[str, object]:
    """(module of triage.cli, its options) for the inputs. Raises UsageError."""
    command = inputs.text("command", "label")
    if command not in COMMANDS:
        raise UsageError(
            f"the input `command` is {command!r:.40}",
            next_step=f"{did_you_mean(command, COMMANDS)}choose one of {', '.join(COMMANDS)}",
        )
    module, options = COMMANDS[command]
    return module, options(inputs)


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
    )


def _publish(inputs: Inputs) -> BundleOptions:
    if inputs.flag("dry-run"):
        raise UsageError("`publish` has no dry run", next_step="leave the step out, or run `check`")
    return BundleOptions(
        action="publish",
        store=_store(inputs),
        config=_config(inputs),
        source=StoreName(_folder(inputs)),
    )


def _choose(action: str) -> Callable[[Inputs], BundleOptions]:
    """The options of `promote` or `rollback`, which change what is active."""

    def options(inputs: Inputs) -> BundleOptions:
        if inputs.flag("dry-run"):
            raise UsageError(f"`{action}` has no dry run", next_step="leave the step out, or run `check`")
        return BundleOptions(action=action, store=_store(inputs), config=_config(inputs))

    return options


def _backfill(inputs: Inputs) -> PlanOptions | ApplyOptions | MergeOptions:
    folder, dry_run = _folder(inputs), inputs.flag("dry-run")
    if inputs.flag("apply"):
        return ApplyOptions(folder / "plan.jsonl", _config(inputs), _repository(inputs), dry_run=dry_run)
    if inputs.flag("merge"):
        plans = sorted(folder.glob("plan-*-of-*.jsonl"))
        if not plans:
            raise UsageError(
                f"{folder} holds no plan of a shard", next_step="download those that the runners uploaded"
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


# The input `command` → (module of triage.cli, function that builds its options).
COMMANDS: Mapping[str, tuple[str, Callable[[Inputs], object]]] = {
    "label": ("label", _label),
    "retrain": ("retrain", _retrain),
    "publish": ("bundle", _publish),
    "promote": ("bundle", _choose("promote")),
    "rollback": ("bundle", _choose("rollback")),
    "backfill": ("backfill", _backfill),
    "check": ("check", _check),
}
