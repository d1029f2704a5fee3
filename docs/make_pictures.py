"""Draws docs/summary.png, the job summary of a real run: the program against the fake GitHub of the tests.

pip install markdown-it-py; apt-get install chromium; python docs/make_pictures.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fake_github.graphql import GraphQL  # noqa: E402 - the tests are no installed package
from tests.fake_github.server import FakeGitHub  # noqa: E402 - as above
from tests.fake_github.state import ACTIONS_BOT  # noqa: E402 - as above
from tests.fake_github.validate import OpenApi  # noqa: E402 - as above
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure  # noqa: E402 - as above
from triage.cli import main  # noqa: E402 - as above
from triage.config import load  # noqa: E402 - as above
from triage.world.issue_file import read_issues  # noqa: E402 - as above

SAMPLE = ROOT / "examples" / "sample"
REPO, SHOWN = "lanternfish-io/ferry", 942
WIDTH, HEIGHT = 860, 775
STYLE = """
body { font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif;
  color: #1f2328; margin: 16px; border: 1px solid #d1d9e0; border-radius: 6px; padding: 8px 24px 16px; }
h3 { font-size: 1.25em; margin: 16px 0; font-weight: 600; } a { color: #0969da; text-decoration: none; }
table { border-collapse: collapse; margin: 0 0 16px; } th, td { border: 1px solid #d1d9e0; padding: 6px 13px; }
tr:nth-child(2n) { background: #f6f8fa; } td { white-space: nowrap; } summary { margin-bottom: 12px; }
code { font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em; white-space: break-spaces; } h3 code { font-size: 85%; } sub { color: #59636e; }
"""


def summary(folder: Path) -> str:
    """The Markdown that labelling one issue of the sample leaves; a person had taken one label off before."""
    config, page = SAMPLE / "triage.yml", folder / "summary.md"
    main(
        [
            "retrain",
            "--from",
            str(SAMPLE / "issues.jsonl"),
            "--store",
            str(folder / "store"),
            "--config",
            str(config),
        ]
    )
    with FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github:
        github.world.add_token("token", ACTIONS_BOT, issues="write", contents="read")
        repository = github.world.add_repository(REPO)
        for name in load(config).labels.descriptions:
            repository.add_label(name)
        row = next(row for row in read_issues(SAMPLE / "new.jsonl") if row.number == SHOWN)
        issue = repository.add_issue(row.title, row.body, row.author, number=SHOWN)
        issue.add_labels(["documentation"], "tsevi")
        issue.remove_labels(["documentation"], "marit-oh")
        os.environ |= {
            "GITHUB_TOKEN": "token",
            "GITHUB_API_URL": github.url,
            "GITHUB_STEP_SUMMARY": str(page),
        }
        main(
            [
                "label",
                f"--repo={REPO}",
                f"--issue={SHOWN}",
                f"--store={folder / 'store'}",
                f"--config={config}",
            ]
        )
    return page.read_text("utf-8")


def draw(markdown: str, folder: Path, target: Path) -> None:
    """A screenshot of the Markdown as GitHub shows it, with everything unfolded."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    page = folder / "summary.html"
    page.write_text(
        f"<meta charset=utf-8><style>{STYLE}</style>{body.replace('<details>', '<details open>')}", "utf-8"
    )
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
    ]
    size = [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={target}", "--force-device-scale-factor=1.5"]
    subprocess.run(["chromium", *flags, *size, page.as_uri()], check=True, capture_output=True)  # noqa: S603, S607 - ours
    # A page of text needs few colours.
    Image.open(target).quantize(64).save(target, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        draw(summary(Path(scratch)), Path(scratch), ROOT / "docs" / "summary.png")
