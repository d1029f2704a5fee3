"""`triage init`: write a commented configuration and the workflows to a repository's folder, and preview a backfill.

The configuration's keys, with their descriptions and bounds, come from the dataclasses themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import os
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage.cli import arguments
from triage.config import Config, from_text, load
from triage.console import log, stage
from triage.decide import Policy
from triage.errors import TriageError, UsageError
from triage.files import write
from triage.github.open import TOKEN, open_tracker
from triage.issue import distinct, fold
from triage.markdown import one_line
from triage.options import CONFIG_PATH, InitOptions

if TYPE_CHECKING:
    from triage.backfill.planner import FirstLook
    from triage.github.client import Tracker

SCHEMA_URL = "https://raw.githubusercontent.com/triage-bot/triage/v0/docs/reference/config.schema.json"
# Editors with a YAML language server complete keys, and mark what is wrong.
HEADER = f"""\
# yaml-language-server: $schema={SCHEMA_URL}
# How triage behaves in this repository. All keys are listed; those after a `#` without a space show the default.
# Check changes with `triage check --config FILE`.
"""
WORKFLOWS = ("triage.yml", "triage-retrain.yml", "triage-backfill.yml")
# Shown for sections whose default, nothing, would not say how they are written.
EXAMPLES = {
    "rules": "[{name: sync, when: {form: {Component: Sync}}, set: [area/sync]}]",
    "owners": "{area/sync: [alice, org/sync-team]}",
}
# Labels of which an issue has at most one, with or without a common prefix such as `type: `.
TYPES = {
    "bug",
    "defect",
    "enhancement",
    "feature",
    "feature request",
    "feature-request",
    "question",
    "support",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--dir",
        dest="folder",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of the repository (default: the current one)",
    )
    arguments.add(
        parser,
        "--repo",
        f"read labels and their descriptions from this repository; needs {TOKEN}",
        default=os.environ.get("GITHUB_REPOSITORY", ""),
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="convert the rules of another action: .github/labeler.yml of actions/labeler, the regular expressions of "
        "github/issue-labeler, or the policy of advanced-issue-labeler; may be repeated",
    )
    parser.add_argument("--force", action="store_true", help="overwrite existing files")


def parse(args: argparse.Namespace) -> InitOptions:
    """The options of a command line. Raises UsageError where the folder does not exist."""
    if not args.folder.is_dir():
        raise UsageError(
            f"{args.folder} is not a folder", next_step="give the repository's folder with --dir"
        )
    args.imports = tuple(args.imports)
    return arguments.build(InitOptions, args)


def run(options: InitOptions) -> int:
    """Write the files, and print the next steps; raises TriageError."""
    tracker = open_tracker(options.repo) if options.repo and os.environ.get(TOKEN) else None
    labels = {name: label.description for name, label in tracker.labels().items()} if tracker else {}
    values, look = chosen(labels) | _imported(options.imports), None
    if tracker:
        with stage("trying a backfill on the newest issues"):
            look = _look(tracker, template(values), options)
        values |= _target(look)
    text = template(values)
    config = from_text(text, where=CONFIG_PATH)
    files = {CONFIG_PATH: text}
    files |= {f".github/workflows/{name}": (workflows() / name).read_text("utf-8") for name in WORKFLOWS}
    for path, content in files.items():
        log(_write(options.folder / path, content, force=options.force))
    by_files = any(rule.reads_files for rule in config.rules) and not config.act.pull_requests
    log(_next_steps(options.repo, labels, by_files=by_files))
    if look:
        log(f"\n{look.words}")
    return 0


def _imported(files: Iterable[Path]) -> dict[str, str]:
    """The rules of other actions' files as YAML, with what could not be taken over; says what was read."""
    from triage.cli.rule_import import as_data, read_rules

    lines: list[str] = []
    for path in files:
        found = read_rules(path)
        log(f"read     {path}: {len(found.rules)} rule{'s' * (len(found.rules) != 1)} of {found.action}")
        lines += [f"  # From {inline(str(path))}, for {found.action}."]
        for reason in found.left_out:
            log(f"left out {reason}")
            lines.append(f"  # Left out: {one_line(reason)}")
        lines += [f"  - {inline(rule)}" for rule in as_data(found.rules)]
    return {"rules": "\n" + "\n".join(lines)} if any(line.startswith("  - ") for line in lines) else {}


def _look(tracker: Tracker, text: str, options: InitOptions) -> FirstLook:
    """What a backfill would do under the configuration `text`, or the one that is there and stays."""
    from triage.backfill.planner import FirstLook, first_look
    from triage.bundle.store import StoreName

    path = options.folder / CONFIG_PATH
    try:
        config = load(path) if path.exists() and not options.force else from_text(text, where=CONFIG_PATH)
        return first_look(tracker, config, StoreName(repo=tracker.repo))
    except TriageError as error:
        return FirstLook(f"What a backfill would do is not known: {error}")


def _target(look: FirstLook) -> dict[str, str]:
    """The recommended precision target, and why; without one, each retraining chooses."""
    point = look.recommended
    if point is None:
        return {}
    why = f"{point.coverage:.0%} of newer issues got a label, and {point.right} of {point.labels} labels were right"
    return {"vote.precision_target": f" {point.target:g}  # at it, {why}"}


def workflows() -> Path:
    """The folder of the workflows to copy: in the wheel, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_workflows"
    return inside if inside.is_dir() else package.parent / "examples" / "workflows"


def chosen(labels: Mapping[str, str]) -> dict[str, str]:
    """The YAML of the keys to set for a repository with these labels and descriptions, by `section.name`."""
    policy = Policy.of(Config())
    ours = {name: text for name, text in labels.items() if policy.may_set(name) is None}
    values: dict[str, str] = {}
    if any(ours.values()):
        values["labels.descriptions"] = "".join(map(_described, ours, ours.values()))
    if groups := exclusive(ours):
        values["labels.exclusive"] = f" {inline(groups)}"
    return values


def exclusive(names: Iterable[str]) -> list[list[str]]:
    """Groups of at least two labels with the same prefix that state the type of an issue."""
    groups: dict[str, list[str]] = {}
    for name in distinct(names):
        kind = name.replace("/", ":").rpartition(":")[2].strip()
        if fold(kind) in TYPES:
            groups.setdefault(fold(name.removesuffix(kind)), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _described(name: str, text: str) -> str:
    mark = "" if text else "#"
    return f"\n    {mark}{inline({name: text})[1:-1]}"


def _write(path: Path, content: str, *, force: bool) -> str:
    """Write a file unless it exists; returns a line that says what was done."""
    exists = path.exists()
    if exists and not force:
        return f"kept     {path} (it exists; --force overwrites it)"
    try:
        write(path, content.encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})", next_step="choose another --dir"
        ) from None
    return f"{'replaced' if exists else 'wrote   '} {path}"


def _next_steps(repo: str, labels: Mapping[str, str], *, by_files: bool) -> str:
    steps = [
        f"Read {CONFIG_PATH}: which labels may the bot set, and what do they mean?",
        "Commit the files to the default branch; workflows run from there only.",
        "Run the workflow `triage-retrain` once (Actions, Run workflow): it learns from the existing labels.",
        "Run the workflow `triage` on some past issues: it only reports, unless dry-run is switched off.",
        "Run the workflow `triage-backfill`: it plans labels for all past issues, and sets them once you approve.",
    ]
    if by_files:
        steps.insert(
            1,
            "Rules about changed files are about pull requests, which are not labelled yet: set act.pull_requests to "
            "true, and uncomment pull_request_target and pull-requests in the workflow `triage`.",
        )
    if not labels:
        remedy = f"set {TOKEN}" if repo else f"set {TOKEN}, give --repo OWNER/NAME,"
        steps.insert(
            0,
            f"No labels were read; to add them to {CONFIG_PATH}, {remedy} and run again with --force.",
        )
    return "\nNext:\n" + "\n".join(f"  {i}. {step}" for i, step in enumerate(steps, 1))


@dataclass(frozen=True)
class Key:
    """One key of a section of the configuration."""

    name: str
    doc: str
    default: object
    choices: tuple[str, ...]
    low: float | None
    high: float | None

    @property
    def bounds(self) -> str:
        """What values are taken, where that is bounded."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f"at least {self.low:g}" if self.low is not None else ""


def sections() -> Iterator[tuple[str, str, list[Key]]]:
    """(name, description, keys) of each section, in order; of a list, the keys of its items."""
    hints = typing.get_type_hints(Config)
    for section in dataclasses.fields(Config):
        yield section.name, *_described_section(section, hints[section.name])


def _described_section(section: dataclasses.Field[object], hint: Any) -> tuple[str, list[Key]]:
    """The description and the keys of a section; one that has no keys is a value, described by its field."""
    items = [one for one in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(one)]
    if not items:
        return section.metadata["doc"], []
    return inspect.cleandoc(items[0].__doc__ or ""), list(_keys(items[0]))


def _keys(cls: Any, prefix: str = "") -> Iterator[Key]:
    hints = typing.get_type_hints(cls)
    for option in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[option.name]):
            yield from _keys(hints[option.name], f"{prefix}{option.name}.")
            continue
        default = option.default
        if option.default_factory is not dataclasses.MISSING:
            default = option.default_factory()
        rules = option.metadata
        yield Key(
            prefix + option.name,
            rules["doc"],
            default,
            rules["choices"],
            rules["low"],
            rules["high"],
        )


def template(chosen: Mapping[str, str]) -> str:
    """A configuration that explains itself: `chosen` maps `section.name` to its YAML, all else is the default.

    A chosen value may be a block: lines indented by four below the key.
    """
    return "\n".join([HEADER, *(line for section in sections() for line in _section(*section, chosen))])


def _section(name: str, doc: str, keys: list[Key], chosen: Mapping[str, str]) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in doc.split("\n"))
    default = getattr(Config(), name)
    if not dataclasses.is_dataclass(default):
        # A list or a value, whose keys, if any, are in the documentation.
        yield from (f"# For example: {name}: {EXAMPLES[name]}" for _ in range(name in EXAMPLES))
        yield f"{name}:{chosen[name]}" if name in chosen else f"#{name}: {inline(default)}"
        yield ""
        return
    yield f"{name}:"
    for key in keys:
        yield f"  # {key.doc}"
        value = chosen.get(f"{name}.{key.name}")
        yield f"  #{key.name}: {inline(key.default)}" if value is None else f"  {key.name}:{value}"
    yield ""


def inline(value: object) -> str:
    """A value as YAML on one line."""
    import yaml

    plain = _plain(value)
    as_json = json.dumps(plain, ensure_ascii=False)
    if not as_json.isprintable() or "\\" in as_json:
        # YAML itself would break the line at a separator of lines in a name.
        return "".join(char if char.isprintable() else _escaped(char) for char in as_json)
    text: str = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
