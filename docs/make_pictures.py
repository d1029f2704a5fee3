"""Draws the pictures of docs/assets/, of the sample and by the program itself.

`summary.png`: an issue on the fake GitHub of the tests, the labels that it got there, and the job summary that says
why. `plan.png`: the page of a backfill.

pip install markdown-it-py pillow; apt-get install chromium; python -m docs.make_pictures
"""

from __future__ import annotations

import html
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image, ImageChops

from tests.fake_github.graphql import GraphQL
from tests.fake_github.issue import Issue
from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.validate import OpenApi
from tests.fetch_specs import GRAPHQL, OPENAPI, ensure
from triage.cli import main
from triage.config import load
from triage.sources.issue_file import read_issues

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "sample"
REPO, SHOWN = "lanternfish-io/ferry", 946
# Labels have colours on GitHub; these are the sample's.
COLOURS = {
    "bug": "d73a4a",
    "enhancement": "0e8a16",
    "question": "d876e3",
    "documentation": "0075ca",
    "area: sync": "fbca04",
    "area: web": "c5def5",
    "area: cli": "bfdadc",
    "area: storage": "5319e7",
}
FLAGS = """--headless --no-sandbox --disable-gpu --disable-background-networking --hide-scrollbars
--force-device-scale-factor=1.5"""
STYLE = """
body { font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif;
  color: #1f2328; background: #fff; margin: 0; padding: 16px; }
section { border: 1px solid #d1d9e0; border-radius: 6px; padding: 8px 24px 12px; margin-bottom: 16px; }
h2 { font-size: 1.4em; font-weight: 600; margin: 8px 0; } h2 span, .event { color: #59636e; font-weight: 400; }
h3 { font-size: 1.25em; margin: 12px 0; } a { color: #0969da; text-decoration: none; } p { margin: 8px 0; }
.label { border-radius: 2em; padding: 1px 10px; font-size: 13px; font-weight: 600; margin: 0 2px; }
table { border-collapse: collapse; margin: 0 0 12px; } th, td { border: 1px solid #d1d9e0; padding: 4px 13px; }
tr:nth-child(2n) { background: #f6f8fa; } td { white-space: nowrap; } summary { margin-bottom: 8px; }
code { font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em; white-space: break-spaces; } sub { color: #59636e; }
"""


@dataclass(frozen=True)
class Labelled:
    """An issue as it is on GitHub after the run, and the Markdown of the run's summary."""

    issue: Issue
    summary: str


def labelled(folder: Path, options: list[str]) -> Labelled:
    """Label one issue of the sample on the fake GitHub."""
    config, page = SAMPLE / "triage.yml", folder / "summary.md"
    with FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github:
        github.world.add_token("token", ACTIONS_BOT, issues="write", contents="read")
        repository = github.world.add_repository(REPO)
        for name in load(config).labels.descriptions:
            repository.add_label(name, color=COLOURS.get(name, "ededed"))
        row = next(row for row in read_issues(SAMPLE / "new.jsonl") if row.number == SHOWN)
        issue = repository.add_issue(row.title, row.body, row.author, number=SHOWN)
        os.environ |= {"GITHUB_TOKEN": "token", "GITHUB_API_URL": github.url}
        os.environ["GITHUB_STEP_SUMMARY"] = str(page)
        main(["label", f"--repo={REPO}", f"--issue={SHOWN}", *options])
        return Labelled(issue, page.read_text("utf-8"))


def page_of(labelled: Labelled) -> str:
    """The issue with its labels, and below it the summary as GitHub shows it."""
    issue = labelled.issue
    chips = "".join(
        f'<span class=label style="background: #{label.color}; color: {_ink(label.color)}">{html.escape(label.name)}'
        "</span>"
        for label in issue.labels
    )
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(labelled.summary)
    return f"""<!doctype html><meta charset=utf-8><style>{STYLE}</style>
<section><h2>{html.escape(issue.title)} <span>#{issue.number}</span></h2>
<p class=event><b>{ACTIONS_BOT.removesuffix("[bot]")}</b> bot added the labels {chips}</p></section>
<section>{body}</section>"""


def _ink(colour: str) -> str:
    """Black or white, whichever is easier to read on a background."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (0, 2, 4))
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#fff"


def draw(page: Path, target: Path, height: int) -> None:
    """A screenshot of the page, up to this height and without the empty space below it."""
    size = f"--window-size=860,{height}"
    command = ["chromium", *FLAGS.split(), size, f"--screenshot={target}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own page
    picture = Image.open(target).convert("RGB")
    empty = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    box = ImageChops.difference(picture, empty).getbbox()
    assert box is not None  # noqa: S101 - there is text on it
    # A page of text needs few colours.
    picture.crop((0, 0, picture.width, min(picture.height, box[3] + 24))).quantize(96).save(
        target, optimize=True
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        options = [f"--store={folder / 'store'}", f"--config={SAMPLE / 'triage.yml'}"]
        main(["retrain", f"--from={SAMPLE / 'issues.jsonl'}", *options])
        (folder / "page.html").write_text(page_of(labelled(folder, options)), "utf-8")
        draw(folder / "page.html", ROOT / "docs/assets/summary.png", 1400)
        main(["backfill", f"--from={SAMPLE / 'new.jsonl'}", f"--out={folder}", *options])
        draw(folder / "plan.html", ROOT / "docs/assets/plan.png", 1000)
