"""`triage init`: a commented configuration and the workflows, written into a repository's folder; and a first look."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.store import StoreName
from triage.cli.reference import inline, template
from triage.config import Config, from_text, load
from triage.decide import Policy
from triage.errors import TriageError, UsageError
from triage.github.open import CONFIG_PATH, TOKEN, open_tracker

if TYPE_CHECKING:
    from triage.github.client import Tracker

PRECISION_TARGET = 0.9
WORKFLOWS = ("triage.yml", "triage-retrain.yml", "triage-backfill.yml")
# What an issue is, of which it is one thing; with or without a common prefix such as `type: `.
KINDS = {
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
        "--dir", type=Path, default=Path(), help="the repository's folder (default: this one)"
    )
    parser.add_argument(
        "--repo",
        default=os.environ.get("GITHUB_REPOSITORY", ""),
        help=f"OWNER/NAME whose labels and descriptions are read; needs {TOKEN}",
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that are there")


def run(args: argparse.Namespace) -> int:
    """Write the files, and say what comes next; raises TriageError."""
    if not args.dir.is_dir():
        raise UsageError(f"{args.dir} is no folder", next_step="give the repository's folder with --dir")
    tracker = open_tracker(args.repo) if args.repo and os.environ.get(TOKEN) else None
    labels = {name: x.description for name, x in tracker.labels().items()} if tracker else {}
    text = template(chosen(labels))
    from_text(text, where=CONFIG_PATH)
    files = {CONFIG_PATH: text}
    files |= {f".github/workflows/{name}": (workflows() / name).read_text("utf-8") for name in WORKFLOWS}
    for path, content in files.items():
        print(_write(args.dir / path, content, force=args.force))
    print(_next_steps(args.repo, labels))
    if tracker:
        print(f"\n{_look(tracker, args.dir / CONFIG_PATH)}")
    return 0


def _look(tracker: Tracker, config: Path) -> str:
    """What a backfill would do; the files are written, so that a failure here is only told."""
    from triage.backfill.preview import first_look

    try:
        return first_look(tracker, load(config), str(StoreName(repo=tracker.repo)))
    except TriageError as error:
        return f"What a backfill would do is not known: {error}"


def workflows() -> Path:
    """The folder of the workflows to copy: in the wheel, or at the top of the repository."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_workflows"
    return inside if inside.is_dir() else package.parent / "examples" / "workflows"


def chosen(labels: Mapping[str, str]) -> dict[str, str]:
    """The keys that are set, as YAML, for a repository with these labels and descriptions."""
    policy = Policy.of(Config())
    ours = {name: text for name, text in labels.items() if policy.may_set(name) is None}
    values = {"vote.precision_target": f" {PRECISION_TARGET}"}
    if any(ours.values()):
        values["labels.descriptions"] = "".join(map(_described, ours, ours.values()))
    if groups := exclusive(ours):
        values["labels.exclusive"] = f" {inline(groups)}"
    return values


def exclusive(names: Iterable[str]) -> list[list[str]]:
    """Groups of at least two labels that say what kind of thing an issue is, by their prefix."""
    groups: dict[str, list[str]] = {}
    for name in names:
        kind = name.replace("/", ":").rpartition(":")[2].strip()
        if kind.casefold() in KINDS:
            groups.setdefault(name.removesuffix(kind), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _described(name: str, text: str) -> str:
    mark = "" if text else "#"
    return f"\n    {mark}{inline({name: text})[1:-1]}"


def _write(path: Path, content: str, *, force: bool) -> str:
    """What was done with one file, in words."""
    there = path.exists()
    if there and not force:
        return f"kept     {path} (it is there already; --force overwrites it)"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror})", next_step="choose another --dir"
        ) from None
    return f"{'replaced' if there else 'wrote   '} {path}"


def _next_steps(repo: str, labels: Mapping[str, str]) -> str:
    steps = [
        f"Read {CONFIG_PATH}: which labels may the bot set, and what do they mean?",
        "Commit the files to the default branch; workflows run from nowhere else.",
        "Run the workflow `triage-retrain` once (Actions, Run workflow): it learns from the labels there are.",
        "Run the workflow `triage` on some past issues: it only reports, unless dry-run is switched off.",
        "Run the workflow `triage-backfill`: it plans labels for all past issues, and sets them once you approve.",
    ]
    if not labels:
        why = f"set {TOKEN}" if repo else f"set {TOKEN} and give --repo OWNER/NAME"
        steps.insert(
            0,
            f"No labels were read; to have them written into {CONFIG_PATH}, {why} and run again with --force.",
        )
    return "\nNext:\n" + "\n".join(f"  {i}. {step}" for i, step in enumerate(steps, 1))
