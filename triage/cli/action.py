"""`triage action`: what the Docker action runs. Inputs come from the environment only, never from a shell."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from triage import console
from triage.actions.runner import read_event
from triage.errors import TriageError, UsageError

FOLDER = "triage"
TRUE, FALSE = ("true", "yes", "1", "on"), ("", "false", "no", "0", "off")


def configure(parser: argparse.ArgumentParser) -> None:
    """No options: see action.yml for the inputs."""
    parser.epilog = "Reads the inputs of action.yml from INPUT_* variables, as the Actions runner sets them."


def run(_args: argparse.Namespace) -> int:
    """Carry out the `command` input; a failure is also an annotation of the run. Raises TriageError."""
    from triage.cli import main_inner

    inputs = Inputs(os.environ)
    try:
        argv = command_line(inputs)
        if token := inputs.text("token"):
            os.environ["GITHUB_TOKEN"] = token
        return main_inner(argv)
    except TriageError as error:
        console.error(str(error))
        raise


class Inputs:
    """The action's inputs. Docker actions get them as INPUT_NAME, upper case, dashes kept."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str = "") -> str:
        return self._environment.get(f"INPUT_{name.upper()}", "").strip() or default

    def flag(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in (*TRUE, *FALSE):
            raise UsageError(f"the input `{name}` is {value!r:.40}", next_step="write true or false")
        return value in TRUE

    def options(self, *names: str, **renamed: str) -> list[str]:
        """`--name=value` for each input that is given; `renamed` maps an option to another input."""
        pairs = [(name, name) for name in names] + [(o.replace("_", "-"), i) for o, i in renamed.items()]
        return [f"--{option}={self.text(name)}" for option, name in pairs if self.text(name)]

    @property
    def dry_run(self) -> list[str]:
        return ["--dry-run"] if self.flag("dry-run") else []

    @property
    def about_an_issue(self) -> bool:
        """Whether the event that started the workflow is about one."""
        path = self._environment.get("GITHUB_EVENT_PATH", "")
        return bool(path) and read_event(Path(path)) is not None

    @property
    def here(self) -> str:
        return self._environment.get("GITHUB_REPOSITORY", "")

    @property
    def store(self) -> str:
        return self.text("store", f"github:{self.here}")


def command_line(inputs: Inputs) -> list[str]:
    """The arguments of `triage` that the inputs mean. Raises UsageError."""
    command = inputs.text("command", "label")
    if command not in COMMANDS:
        raise UsageError(
            f"the input `command` is {command!r:.40}", next_step=f"choose one of {', '.join(COMMANDS)}"
        )
    return COMMANDS[command](inputs)


def _label(inputs: Inputs) -> list[str]:
    # Where an issue started the workflow, it is that one's turn; the sweep is for when none did.
    which = ["since"] if not inputs.about_an_issue else []
    return [
        "label",
        f"--store={inputs.store}",
        *inputs.options(*which, config_path="config", repo="repository", issue="issues"),
        *inputs.dry_run,
    ]


def _check(inputs: Inputs) -> list[str]:
    repo = inputs.text("repository", inputs.here)
    return ["check", f"--repo={repo}", f"--store={inputs.store}", *inputs.options(config_path="config")]


def _retrain(inputs: Inputs) -> list[str]:
    sources = inputs.text("repository", inputs.here).split()
    return [
        "retrain",
        *(f"--from={source}" for source in sources),
        f"--store={inputs.text('folder', FOLDER)}",
        f"--against={inputs.store}",
        *inputs.options("adapt", config_path="config"),
    ]


def _publish(inputs: Inputs) -> list[str]:
    if inputs.flag("dry-run"):
        raise UsageError("`publish` has no dry run", next_step="leave the step out, or run `check`")
    return [
        "bundle",
        "publish",
        f"--of={inputs.text('folder', FOLDER)}",
        f"--store={inputs.store}",
        *inputs.options(config_path="config"),
    ]


def _backfill(inputs: Inputs) -> list[str]:
    repo, folder = inputs.text("repository", inputs.here), inputs.text("folder", FOLDER)
    where = [f"--repo={repo}", *inputs.options(config_path="config"), *inputs.dry_run]
    if inputs.flag("apply"):
        return ["backfill", f"--apply={folder}/plan.jsonl", *where]
    if inputs.flag("merge"):
        # Names of our own making: no option can be among them.
        plans = sorted(Path(folder).glob("plan-*-of-*.jsonl"))
        if not plans:
            raise UsageError(
                f"{folder} holds no plan of a shard", next_step="download those that the runners uploaded"
            )
        return ["backfill", f"--out={folder}", "--merge", *map(str, plans)]
    chosen = inputs.options("since", "shard", issue="issues")
    return ["backfill", f"--from={repo}", f"--store={inputs.store}", f"--out={folder}", *chosen, *where]


COMMANDS: Mapping[str, Callable[[Inputs], list[str]]] = {
    "label": _label,
    "retrain": _retrain,
    "publish": _publish,
    "backfill": _backfill,
    "check": _check,
}
