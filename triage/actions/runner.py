"""The files of the GitHub Actions runner: the event, the outputs and the job summary."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triage.decide.case import TextBeforeEdit
from triage.errors import DataError

# GitHub drops a step's summary when it is longer.
MAX_SUMMARY = 1_000_000


@dataclass(frozen=True)
class Event:
    """What started the workflow: an issue or pull request of `repo`, and what was done to it."""

    repo: str
    number: int
    action: str
    before: TextBeforeEdit


def read_event(path: Path) -> Event | None:
    """The event in the runner's file; None where it is about no issue (a schedule, a dispatch).

    Raises DataError where the file is no event at all.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: no event can be read ({error})",
            likely="the file is not the one that GITHUB_EVENT_PATH names",
            next_step="leave --event out inside a workflow, or use --repo and --issue",
        ) from None
    if not isinstance(data, dict):
        raise DataError(f"{path}: an event is a JSON object", likely="another file was given", next_step="")
    thing = data.get("issue") or data.get("pull_request")
    if not isinstance(thing, dict):
        return None
    number, repo = thing.get("number"), _at(data, "repository", "full_name")
    if not isinstance(number, int) or isinstance(number, bool) or not isinstance(repo, str):
        raise DataError(
            f"{path}: the event names no issue number and repository",
            likely="the file was made by hand",
            next_step="compare it with the events that GitHub documents",
        )
    # An edited comment changes nothing of its issue.
    changes = None if "comment" in data else data.get("changes")
    return Event(repo, number, str(data.get("action", "")), _before(changes))


def _before(changes: object) -> TextBeforeEdit:
    parts = {name: _at(changes, name, "from") for name in ("title", "body")}
    return TextBeforeEdit(
        **{name: value if isinstance(value, str) else None for name, value in parts.items()}
    )


def _at(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


class Runner:
    """Where a step's results go, from the runner's environment variables; without them, nowhere."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._output = environment.get("GITHUB_OUTPUT", "")
        self._summary = environment.get("GITHUB_STEP_SUMMARY", "")

    def output(self, name: str, value: str) -> None:
        """Set an output of the step; `value` may hold anything."""
        if self._output:
            # A delimiter that nobody can guess, so that no value can end itself and begin another output.
            fence = f"triage-{secrets.token_hex(16)}"
            with Path(self._output).open("a", encoding="utf-8") as file:
                file.write(f"{name}<<{fence}\n{value}\n{fence}\n")

    def summary(self, markdown: str) -> None:
        """Append to the job summary, cut at a line where GitHub would refuse the whole."""
        if self._summary:
            data = markdown.encode()[:MAX_SUMMARY].decode("utf-8", "ignore")
            whole = markdown if len(data) == len(markdown) else data.rpartition("\n")[0] + "\n\n…\n"
            with Path(self._summary).open("a", encoding="utf-8") as file:
                file.write(whole)
