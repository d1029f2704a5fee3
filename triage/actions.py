"""What the GitHub Actions runner passes in and takes back: inputs, the event, outputs and the job summary."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from triage.console import reporting
from triage.errors import DataError
from triage.files import read
from triage.issue import MOST_ISSUES, Kind, TextBeforeEdit
from triage.options import Event, EventComment
from triage.patterns import NAME
from triage.schema import SchemaError, decoded

# GitHub drops a step's summary when it is longer.
MAX_SUMMARY = 1_000_000
# GitHub sends no event of more than 25 MB.
MAX_EVENT = 64_000_000
# What an event is about, by the keys that hold it.
KEYS: dict[str, Kind] = {"issue": "issue", "pull_request": "pull request", "discussion": "discussion"}
# Of each issue, in an output that would be too long otherwise.
SHORTER = (20, 10, 5, 3, 1)


def event_of(environment: Mapping[str, str]) -> Event | None:
    """The event that started the workflow; None where it is about no issue, or outside a workflow."""
    path = environment.get("GITHUB_EVENT_PATH", "")
    return read_event(Path(path)) if path else None


def read_event(path: Path) -> Event | None:
    """The event in the runner's file; None where it is about no issue (a schedule, a dispatch).

    Raises DataError where the file does not hold an event.
    """
    try:
        data = decoded(read(path, MAX_EVENT))
    except (OSError, SchemaError) as error:
        raise DataError(
            f"{path}: cannot be read as an event ({getattr(error, 'strerror', None) or error})",
            likely="the file is not the one that GITHUB_EVENT_PATH names",
            next_step="omit --event inside a workflow, or use --repo and --issue",
        ) from None
    if not isinstance(data, dict):
        what = f"{path}: not a JSON object, so not an event"
        raise DataError(what, likely="the path is wrong", next_step="")
    about = next((key for key in KEYS if data.get(key)), "")
    thing = data.get(about)
    if not isinstance(thing, dict):
        return None
    number: Any = thing.get("number")
    repo = _at(data, "repository", "full_name")
    is_number = isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= MOST_ISSUES
    if not (is_number and isinstance(repo, str) and NAME.fullmatch(repo)):
        raise DataError(
            f"{path}: the event has no issue number or no repository",
            likely="the file was written by hand",
            next_step="compare it with the webhook events that GitHub documents",
        )
    # For an edited comment, `changes` describes the comment and not the issue.
    before = TextBeforeEdit() if "comment" in data else _before(data.get("changes"))
    action = str(data.get("action", ""))
    is_comment = "comment" in data and about != "pull_request"
    comment = _comment(data, action if about == "issue" else "") if is_comment else None
    name = _at(thing, "type", "name")
    told = name if isinstance(name, str) else "" if "type" in thing else None
    return Event(repo, number, action, before, comment, KEYS[about], told)


def _comment(data: object, action: str) -> EventComment:
    """The comment of an event about one, with its text if it was just written or edited on an issue."""
    parts = (("node_id",), ("user", "login"), ("body",), ("user", "type"))
    values = (_at(data, "comment", *keys) for keys in parts)
    node_id, author, body, account = (value if isinstance(value, str) else "" for value in values)
    has_text = action in ("created", "edited") and node_id and author
    is_bot = account != "User" or author.endswith("[bot]")
    return EventComment(node_id, author, body if has_text else "", is_bot, edited=action == "edited")


def _before(changes: object) -> TextBeforeEdit:
    """The text before, from an event's `changes`: not certain where they are missing, or a former value is."""
    if not isinstance(changes, dict) or not changes:
        return TextBeforeEdit(known=False)
    parts = {name: _at(changes, name, "from") for name in ("title", "body") if name in changes}
    texts = {name: value for name, value in parts.items() if isinstance(value, str)}
    return TextBeforeEdit(**texts, known=texts.keys() == parts.keys())


def _at(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


@dataclass(frozen=True)
class BoundedOutput:
    """An output that holds many things, of at most `most` characters in UTF-16; see `bounded_json`."""

    value: Any
    most: int
    ranked: bool = False


def bounded_json(value: Any, most: int, *, ranked: bool = False) -> tuple[str, int]:
    """(a collection as JSON of at most `most` characters in UTF-16, how many of its first items that holds).

    If the items are `ranked` collections themselves, they are shortened to the first few before any is left out.
    """
    items, text = value, _json(value)
    for length in SHORTER if ranked else ():
        if _units(text) > most:
            items = {key: _first(item, length) for key, item in value.items()}
            text = _json(items)
    if _units(text) <= most:
        return text, len(items)
    least, more = 0, len(items)
    while least + 1 < more:
        middle = (least + more) // 2
        least, more = (middle, more) if _units(_json(_first(items, middle))) <= most else (least, middle)
    return _json(_first(items, least)), least


def _first(value: Any, count: int) -> Any:
    return dict(islice(value.items(), count)) if isinstance(value, dict) else value[:count]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _output(name: str, value: str) -> str:
    # A random delimiter, so that a value cannot end itself and begin another output.
    fence = f"triage-{secrets.token_hex(16)}"
    return f"{name}<<{fence}\n{value}\n{fence}\n"


class Runner:
    """Writes a step's results to the files that the environment names; without them, nothing."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._output = environment.get("GITHUB_OUTPUT", "")
        self._summary = environment.get("GITHUB_STEP_SUMMARY", "")

    def output(self, name: str, value: str) -> None:
        """Set an output of the step; `value` may hold anything."""
        if self._output:
            self._append(self._output, f"the output `{name}`", _output(name, value))

    def outputs(self, collections: Mapping[str, BoundedOutput]) -> dict[str, int]:
        """Set these outputs, as JSON; how many of the last items of each were left out."""
        bounded = {name: bounded_json(c.value, c.most, ranked=c.ranked) for name, c in collections.items()}
        if self._output:
            text = "".join(_output(name, value) for name, (value, _) in bounded.items())
            self._append(self._output, "the outputs", text)
        return {name: len(collections[name].value) - held for name, (_, held) in bounded.items()}

    def summary(self, markdown: str) -> None:
        """Append to the job summary, cut at a line end where it is longer than GitHub accepts."""
        if self._summary:
            data = markdown.encode()[:MAX_SUMMARY].decode("utf-8", "ignore")
            whole = markdown if len(data) == len(markdown) else data.rpartition("\n")[0] + "\n\n…\n"
            self._append(self._summary, "the job summary", whole)

    def _append(self, path: str, what: str, text: str) -> None:
        """Raises ReportError; see `to_the_end`."""
        with reporting(f"{what} ({path})"), Path(path).open("a", encoding="utf-8", errors="replace") as file:
            file.write(text)
