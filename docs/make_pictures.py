"""Draws docs/assets/summary.png, the job summary of a real run: the program against the fake GitHub of the tests.

pip install markdown-it-py; apt-get install chromium; python -m docs.make_pictures
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

from tests.fake_github.graphql import GraphQL
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage.cli import main
from triage.config import load
from triage.sources.issue_file import read_issues

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "sample"
REPO, SHOWN = "lanternfish-io/ferry", 973
FLAGS = """--headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars
--force-device-scale-factor=1.5 --window-size=860,795"""
STYLE = """
body { font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif;
  color: #1f2328; margin: 16px; border: 1px solid #d1d9e0; border-radius: 6px; padding: 8px 24px 16px; }
h3 { font-size: 1.25em; margin: 16px 0; } a { color: #0969da; text-decoration: none; }
table { border-collapse: collapse; margin: 0 0 16px; } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
tr:nth-child(2n) { background: #f6f8fa; } td { white-space: nowrap; } summary { margin-bottom: 12px; }
code { font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em; white-space: break-spaces; } sub { color: #59636e; }
"""


def summary(folder: Path) -> str:
    """The Markdown that labelling one issue of the sample leaves; a person had taken one label off before."""
    config, page = SAMPLE / "triage.yml", folder / "summary.md"
    options = [f"--store={folder / 'store'}", f"--config={config}"]
    main(["retrain", f"--from={SAMPLE / 'issues.jsonl'}", *options])
    with FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github:
        github.world.add_token("token", ACTIONS_BOT, issues="write", contents="read")
        repository = github.world.add_repository(REPO)
        for name in load(config).labels.descriptions:
            repository.add_label(name)
        row = next(row for row in read_issues(SAMPLE / "new.jsonl") if row.number == SHOWN)
        issue = repository.add_issue(row.title, row.body, row.author, number=SHOWN)
        issue.add_labels(["bug"], ACTIONS_BOT)
        issue.remove_labels(["bug"], "marit-oh")
        os.environ |= {"GITHUB_TOKEN": "token", "GITHUB_API_URL": github.url}
        os.environ["GITHUB_STEP_SUMMARY"] = str(page)
        main(["label", f"--repo={REPO}", f"--issue={SHOWN}", *options])
    return page.read_text("utf-8")


def draw(markdown: str, page: Path, target: Path) -> None:
    """A screenshot of the Markdown as GitHub shows it, with everything unfolded."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    body = body.replace("<details>", "<details open>")
    page.write_text(f"<meta charset=utf-8><style>{STYLE}</style>{body}", "utf-8")
    command = ["chromium", *FLAGS.split(), f"--screenshot={target}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own page
    # A page of text needs few colours.
    Image.open(target).quantize(64).save(target, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw(summary(Path(scratch)), Path(scratch) / "page.html", ROOT / "docs" / "assets" / "summary.png")
