"""The documentation is complete and agrees with the program: options, keys, inputs, outputs, exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.make_reference import PAGES, exit_codes
from triage.cli import parser
from triage.errors import TriageError, install

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROSE = sorted([*DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *ROOT.glob("*.md")])
OF_TESTS = sorted((ROOT / "tests").rglob("README.md"))


@pytest.mark.parametrize(("name", "write"), PAGES.items(), ids=PAGES)
def test_a_generated_page_is_the_one_that_the_program_gives(name: str, write: Callable[[], str]) -> None:
    """`python -m docs.make_reference` writes them anew."""
    assert (DOCS / name).read_text("utf-8") == write()


def test_every_exit_code_is_documented() -> None:
    """In the tree of errors, the help and the page; no two failures share one."""
    failures = TriageError.__subclasses__()
    codes = [failure.exit_code for failure in failures]
    assert sorted(codes) == sorted(set(codes)) == sorted(set(exit_codes()) - {0, 1, 130})
    told = re.findall(r"(\d+) ", str(parser().epilog).partition("Exit codes: ")[2])
    assert [int(code) for code in told] == sorted(exit_codes())


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    """`mkdocs.yml` lists them, so that a reader finds each."""
    listed = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    """Also to the heading that is named."""
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", path.read_text("utf-8")):
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.name)
def test_every_command_that_the_pages_name_exists(path: Path) -> None:
    """With the options that they give it."""
    commands = re.findall(r"`triage ([a-z]+)((?: (?:--?[a-z-]+|[A-Z]+|[a-z]+))*)`", path.read_text("utf-8"))
    reference = (DOCS / "reference/cli.md").read_text("utf-8")
    for command, rest in commands:
        section = reference.partition(f"## `triage {command}`\n")[2].partition("\n## ")[0]
        assert section, command
        assert [option for option in re.findall(r"--[a-z-]+", rest) if f"`{option}`" not in section] == []


def test_the_picture_of_the_summary_is_small() -> None:
    """A page that loads at once."""
    data = (DOCS / "assets/summary.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 150_000


def test_nothing_recommends_the_other_project_of_this_name_on_the_package_index() -> None:
    """`triage` on PyPI is somebody else's: extras are installed from a checkout."""
    folders = ("triage", "docs", "examples", "benchmarks", ".github", "model_cache")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    offer = re.compile(rb"""pip install [^\n`]*["' ]triage(\[|[=<>~!"'`\s])""")
    kinds = {".py", ".md", ".yml", ".yaml", ".toml", ".html", ".txt", ".graphql", ".j2", ""}
    texts = {path: path.read_bytes() for path in files if path.suffix in kinds}
    assert [str(path) for path, text in texts.items() if offer.search(text)] == []
    assert install("learn") == 'pip install -e ".[learn]" in a checkout of this repository'


@pytest.mark.parametrize("path", OF_TESTS, ids=lambda path: str(path.parent.name))
def test_every_file_that_is_named_in_a_page_on_tests_is_there(path: Path) -> None:
    """From the folder of the page, from `tests/`, or from the top; `*` stands for some."""
    named = set(re.findall(r"`([\w/*]+\.(?:py|toml))`", path.read_text("utf-8")))
    assert len(named) > 10
    assert [
        name
        for name in named
        if not any([*path.parent.glob(name), *ROOT.glob(name), *(ROOT / "tests").glob(name)])
    ] == []
