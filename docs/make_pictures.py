"""Draws the pictures in docs/assets, from what the program makes of the sample.

summary.png is an issue with its labels and the summary that says why, plan.png the page on which a backfill is
reviewed, report.png the page of `triage evaluate`, and pages.png the beginning of both. Nothing in them is
made up: the program runs on the fake GitHub of the tests.
pip install markdown-it-py pillow playwright; apt-get install chromium; python -m docs.make_pictures
"""

from __future__ import annotations

import html
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image, ImageChops, ImageOps
from playwright.sync_api import Page, sync_playwright

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
SAMPLE, ASSETS = ROOT / "examples" / "sample", ROOT / "docs" / "assets"
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
METHODS = "--methods=naive-bayes,tfidf,embedding,neighbours,adapted"
STUDY = (METHODS, "--slices=8,32", "--seeds=2", "--min-examples=10")
STYLE = """
body { font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Arial, sans-serif;
  color: #1f2328; background: #fff; margin: 0; padding: 16px; }
section { border: 1px solid #d1d9e0; border-radius: 6px; padding: 8px 24px 12px; margin-bottom: 16px; }
h2 { font-size: 1.4em; font-weight: 600; margin: 8px 0; } h2 span, .event { color: #59636e; font-weight: 400; }
h3 { font-size: 1.25em; margin: 12px 0; } a { color: #0969da; text-decoration: none; } p { margin: 8px 0; }
.label { border-radius: 2em; padding: 1px 10px; font-size: 13px; font-weight: 600; margin: 0 2px; }
table { border-collapse: collapse; margin: 0 0 12px; } th, td { border: 1px solid #d1d9e0; padding: 4px 13px; }
tr:nth-child(2n) { background: #f6f8fa; } summary { margin-bottom: 8px; }
code { font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em; white-space: break-spaces; } th { text-align: left } sub { color: #59636e; }
"""


@dataclass(frozen=True)
class Labelled:
    """An issue as it is on GitHub after the run, and the Markdown of the run's summary."""

    issue: Issue
    summary: str


@contextmanager
def ferry(folder: Path) -> Iterator[FakeGitHub]:
    """The sample's repository with its new issues on the fake GitHub, and a bundle learnt from the sample."""
    main(["retrain", f"--from={SAMPLE / 'issues.jsonl'}", *_options(folder)])
    with FakeGitHub(OpenApi(ensure(OPENAPI)), GraphQL(ensure(GRAPHQL))) as github:
        github.world.add_token("token", ACTIONS_BOT, issues="write", contents="read")
        repository = github.world.add_repository(REPO)
        for name in load(SAMPLE / "triage.yml").labels.descriptions:
            repository.add_label(name, color=COLOURS.get(name, "ededed"))
        for row in read_issues(SAMPLE / "new.jsonl"):
            repository.add_issue(row.title, row.body, row.author, number=row.number)
        os.environ |= {"GITHUB_TOKEN": "token", "GITHUB_API_URL": github.url}
        yield github


def _options(folder: Path) -> list[str]:
    return [f"--store={folder / 'store'}", f"--config={SAMPLE / 'triage.yml'}"]


def labelled(github: FakeGitHub, folder: Path) -> Labelled:
    """Label one issue of the sample."""
    page = folder / "summary.md"
    os.environ["GITHUB_STEP_SUMMARY"] = str(page)
    main(["label", f"--repo={REPO}", f"--issue={SHOWN}", *_options(folder)])
    del os.environ["GITHUB_STEP_SUMMARY"]
    repository = github.world.repository(REPO)
    assert repository is not None  # noqa: S101 - it was made above
    return Labelled(repository.issues[SHOWN], page.read_text("utf-8"))


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


@contextmanager
def browser(width: int, height: int) -> Iterator[Page]:
    """A page of Chromium, of this size in points."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = chromium.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=1.5, color_scheme="light"
        )
        yield context.new_page()
        chromium.close()


def save(page: Page, target: Path) -> None:
    """A screenshot, without the empty space below what is on it."""
    page.screenshot(path=target)
    picture = Image.open(target).convert("RGB")
    box = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    assert box is not None  # noqa: S101 - there is text on it
    bottom = min(picture.height, box[3] + 24)
    write(picture.crop((0, 0, picture.width, bottom)), target)


def write(picture: Image.Image, target: Path) -> None:
    """With few colours, which a page of text needs; the means are moved to where small labels have their own."""
    picture.quantize(255, kmeans=3).save(target, optimize=True)


def draw_both(target: Path, *drawn: Path) -> None:
    """The upper part of pages that were drawn, side by side with a line around each."""
    pages = [Image.open(path).convert("RGB") for path in drawn]
    size = (pages[0].width, pages[0].width)
    both = Image.new("RGB", (len(pages) * (size[0] + 24) - 24, size[1]), "white")
    for count, page in enumerate(pages):
        both.paste(
            ImageOps.expand(page.crop((0, 0, size[0] - 4, size[1] - 4)), 2, "#d1d9e0"),
            (count * (size[0] + 24), 0),
        )
    write(both.resize((both.width // 2, both.height // 2), Image.Resampling.LANCZOS), target)


def draw_summary(found: Labelled, target: Path) -> None:
    """The issue and its summary."""
    with browser(860, 1400) as page:
        page.set_content(page_of(found))
        save(page, target)


def draw_plan(folder: Path, target: Path) -> None:
    """A plan for the issues without a label, with the reasons for the first one."""
    main(["backfill", f"--from={REPO}", "--unlabelled", f"--out={folder / 'plan'}", *_options(folder)])
    with browser(1000, 1180) as page:
        page.goto((folder / "plan" / "plan.html").as_uri())
        page.get_by_role("button", name="why").first.click()
        save(page, target)


def draw_report(folder: Path, target: Path) -> None:
    """The report of a study of the sample."""
    config, issues = f"--config={SAMPLE / 'triage.yml'}", f"--from={SAMPLE / 'issues.jsonl'}"
    main(["evaluate", issues, config, *STUDY, f"--out={folder / 'study'}"])
    with browser(1000, 1180) as page:
        page.goto((folder / "study" / "report.html").as_uri())
        save(page, target)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, ferry(Path(scratch)) as github:
        draw_plan(Path(scratch), ASSETS / "plan.png")
        draw_summary(labelled(github, Path(scratch)), ASSETS / "summary.png")
        draw_report(Path(scratch), ASSETS / "report.png")
        draw_both(ASSETS / "pages.png", ASSETS / "plan.png", ASSETS / "report.png")
