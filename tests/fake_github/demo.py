"""`make demo-github`: one issue's way through a repository, told as it happens, against the fake GitHub.

    python -m tests.fake_github.demo [--fast]

Every command is the program's own, and what is below a command is what it printed. GitHub is the fake one of the
tests: nothing leaves this machine. `--fast` does not wait for the reader.
"""

from __future__ import annotations

import argparse
import html
import io
import json
import os
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.fake_github.graphql import GraphQL
from tests.fake_github.issue import Issue
from tests.fake_github.repository import Repository
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, SpecsMissing, ensure
from triage.cli import main as triage

SAMPLE = Path(__file__).parents[2] / "examples" / "sample"
REPO, TOKEN, MAINTAINER = "lanternfish-io/ferry", "demo-token", "harbour-maintainer"
STORE = f"github:{REPO}"
COLOURS = {"bug": "d73a4a", "enhancement": "a2eeef", "question": "d876e3", "documentation": "0075ca"}
TAG = re.compile(r"<[^>]+>|\*\*|^#+ ", re.MULTILINE)
WIDTH = 96
# The newest issues of the sample, which nobody has labelled yet.
BACKLOG = 8


@dataclass(frozen=True)
class Demo:
    """The fake's repository, a folder to work in, and how many seconds a reader gets for a paragraph."""

    github: FakeGitHub
    repository: Repository
    folder: Path
    pause: float

    def say(self, title: str, text: str) -> None:
        """A heading, and what the reader should look at."""
        print(f"\n\033[1m── {title}\033[0m" if sys.stdout.isatty() else f"\n── {title}")
        print(textwrap.fill(text, WIDTH), flush=True)
        time.sleep(self.pause)

    def run(self, *argv: str, lines: int = 20) -> None:
        """A command of the program, as a step of a workflow runs it, and the beginning of what it printed.

        A failure ends the demo.
        """
        self.summary.write_text("", "utf-8")
        print(f"\n  $ triage {' '.join(argv)}", flush=True)
        with redirect_stdout(io.StringIO()) as printed:
            code = triage([*argv])
        said = printed.getvalue().splitlines()
        print("\n".join(f"  {line}".rstrip() for line in said[:lines]))
        if len(said) > lines:
            print(f"  … and {len(said) - lines} more lines")
        if code:
            raise SystemExit(code)
        time.sleep(self.pause)

    def event(self, issue: Issue, action: str, **before: str) -> None:
        """Let the workflow run for something that happened to the issue; `before` is what an edit changed."""
        path = self.folder / "event.json"
        changes = {name: {"from": text} for name, text in before.items()}
        thing = {"number": issue.number, "title": issue.title, "body": issue.body}
        payload = {"action": action, "issue": thing, "changes": changes, "repository": {"full_name": REPO}}
        path.write_text(json.dumps(payload), "utf-8")
        self.run("label", "--event=event.json", f"--store={STORE}")

    def show_summary(self, lines: int) -> None:
        """The beginning of the job's summary, without its markup."""
        text = html.unescape(TAG.sub("", self.summary.read_text("utf-8"))).replace("\u200b", "")
        shown = [line for line in text.splitlines() if line.strip() and not line.startswith("|")][:lines]
        print("\n  The job's summary begins:")
        print("\n".join(f"  ┃ {line}" for line in shown), flush=True)
        time.sleep(self.pause)

    def show_labels(self, *issues: Issue) -> None:
        """The labels of issues as GitHub has them now."""
        print()
        for issue in issues:
            print(f"  #{issue.number} {issue.title[:60]:60}  {', '.join(issue.label_names) or 'no label'}")
        time.sleep(self.pause)

    @property
    def summary(self) -> Path:
        return self.folder / "summary.md"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, that of a command that failed, or 1 without GitHub's published specifications."""
    parser = argparse.ArgumentParser(
        description="One issue's way through a repository, against a fake GitHub."
    )
    parser.add_argument("--fast", action="store_true", help="do not wait for the reader")
    options = parser.parse_args(argv)
    try:
        described = OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))
    except SpecsMissing as missing:
        print(
            f"error: {missing}\n  the fake GitHub is built from GitHub's published specifications",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch), FakeGitHub(*described) as github:
        github.world.add_token(TOKEN, ACTIONS_BOT, issues="write", contents="write")
        demo = Demo(github, _repository(github), Path(scratch), 0.0 if options.fast else 1.5)
        _as_in_a_workflow(demo)
        _tell(demo)
        return 1 if github.violations or github.crashes else 0


def _repository(github: FakeGitHub) -> Repository:
    """The sample's repository: its issues, labelled by people, and its configuration."""
    rows = _rows("issues.jsonl")
    repository = github.world.add_repository(REPO)
    for name in sorted({name for row in rows for name in row["labels"]}):
        repository.add_label(name, color=COLOURS.get(name, "c5def5"))
    for row in rows:
        opened = datetime.fromisoformat(row["created_at"])
        issue = repository.add_issue(
            row["title"], row["body"], row["author"], number=row["number"], at=opened
        )
        if row not in rows[-BACKLOG:]:
            issue.add_labels(row["labels"], MAINTAINER, at=opened + timedelta(hours=1))
    github.world.clock.set(datetime.fromisoformat("2026-04-01T08:00:00+00:00"))
    repository.put_file(".github/triage.yml", (SAMPLE / "triage.yml").read_text("utf-8"))
    return repository


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").splitlines()]


def _as_in_a_workflow(demo: Demo) -> None:
    """The environment of a workflow's step in the repository."""
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "INPUT_"))]:
        del os.environ[name]
    os.environ |= {
        "GITHUB_API_URL": demo.github.url,
        "GITHUB_GRAPHQL_URL": demo.github.graphql_url,
        "GITHUB_SERVER_URL": demo.github.server_url,
        "GITHUB_REPOSITORY": REPO,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_STEP_SUMMARY": str(demo.summary),
    }


def _tell(demo: Demo) -> None:
    repository, began = demo.repository, time.monotonic()
    issues = list(repository.issues.values())
    left = issues[-BACKLOG:]
    demo.say(
        "A repository",
        f"{REPO} is a sample project on a fake GitHub ({demo.github.server_url}). Its maintainers have labelled "
        f"{len(issues) - len(left)} issues by hand. The bot learns from them, and keeps what it learnt in the "
        "repository itself, in a git ref next to the branches.",
    )
    demo.run("retrain", f"--from={REPO}", f"--store={STORE}", lines=4)
    demo.show_summary(2)

    first, *more = _rows("new.jsonl")
    issue = repository.add_issue(first["title"], first["body"], first["author"])
    demo.say(
        "Somebody opens an issue",
        f"{first['author']} writes “{first['title']}”. The event starts the workflow, and the labels arrive.",
    )
    demo.event(issue, "opened")
    demo.show_summary(2)
    demo.show_labels(issue)

    removed = issue.label_names[0]
    issue.remove_labels([removed], MAINTAINER)
    demo.say(
        "A person disagrees",
        f"{MAINTAINER} removes the label “{removed}”. Later {first['author']} rewrites the text, and the workflow runs "
        "again. What a person removed is not put back.",
    )
    before = issue.body or ""
    issue.edit(
        f"{before}\n\nIt still happens with 0.9.3, with every bucket that I have tried, on three machines."
    )
    demo.event(issue, "edited", body=before)
    demo.show_labels(issue)

    right = {row["number"]: row["labels"] for row in _rows("truth.jsonl")}
    for row in more:
        made = repository.add_issue(row["title"], row["body"], row["author"])
        made.add_labels(right[row["number"]], MAINTAINER)
    demo.say(
        "The week after",
        f"People labelled {len(more)} more issues, and the weekly retraining learns from these. The new bundle becomes "
        "active only if it is not worse than the one before.",
    )
    demo.run("retrain", f"--from={REPO}", f"--store={STORE}", lines=4)
    demo.show_summary(2)

    bare = [issue for issue in repository.issues.values() if not issue.label_names]
    demo.say(
        "The backlog",
        f"{len(bare)} issues have no label, {len(left)} of them from before the bot. A backfill plans labels for them, "
        "and writes nothing. People review the plan on a page (plan.html), and then exactly this plan is applied.",
    )
    demo.run("backfill", f"--from={REPO}", f"--store={STORE}", "--unlabelled", "--out=plan")
    demo.run("backfill", "--apply=plan/plan.jsonl", "--per-minute=6000")
    demo.show_labels(*bare)

    demo.say(
        "Undo", "All of that was a mistake? One command takes back what the backfill set, and nothing else."
    )
    demo.run("undo", "plan/plan.journal.jsonl", "--per-minute=6000")
    demo.show_labels(issue, *bare)
    demo.say(
        "That is all",
        f"{len(demo.github.requests)} requests to a GitHub that does not exist, in {time.monotonic() - began:.0f} "
        "seconds. Try it on your own repository; these commands write nothing to GitHub: "
        "triage retrain --from OWNER/NAME --store bundles; triage backfill --from OWNER/NAME --store bundles",
    )


if __name__ == "__main__":
    sys.exit(main())
