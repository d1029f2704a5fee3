"""The documentation is complete and agrees with the program: options, keys, inputs, outputs, exit codes."""

from __future__ import annotations

import dataclasses
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.make_reference import PAGES, exit_codes
from tests.sample import Trained
from triage.cli import main, parser
from triage.config import Config, from_text
from triage.errors import TriageError

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PROSE = sorted([*DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *ROOT.glob("*.md")])
README = ROOT / "README.md"
PAGES_FOR_USERS = sorted([*DOCS.rglob("*.md"), README])
OF_TESTS = sorted((ROOT / "tests").rglob("README.md"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language, also those within a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in found]


def console_lines(text: str) -> list[str]:
    """The commands to copy, each on one line."""
    joined = "\n".join(blocks(text, "console")).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def steps_in(data: object) -> Iterator[dict[str, Any]]:
    """All mappings with `uses`, however deep."""
    if isinstance(data, dict):
        if "uses" in data:
            yield data
        data = list(data.values())
    for item in data if isinstance(data, list) else ():
        yield from steps_in(item)


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


def test_every_question_is_in_the_list_of_questions() -> None:
    """`how-to/index.md` leads to each page beside it."""
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "how-to/index.md").read_text("utf-8"))
    assert sorted(listed) == sorted(
        path.name for path in (DOCS / "how-to").glob("*.md") if path.stem != "index"
    )


@pytest.mark.parametrize("path", PROSE, ids=named)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    """Also to the heading that is named."""
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", path.read_text("utf-8")):
        page = (path.parent / target).resolve() if target else path
        assert page.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("path", PROSE, ids=named)
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    """With the options that it is given, in the text and on the lines to copy."""
    text = path.read_text("utf-8")
    commands = re.findall(r"`triage ([a-z]+(?: (?:--?[a-z-]+|[A-Z]+|[a-z]+))*)`", text)
    commands += [words for line in console_lines(text) for words in re.findall(r"(?:^|\| )triage (.*)", line)]
    reference = (DOCS / "reference/cli.md").read_text("utf-8")
    for command in commands:
        name, *rest = command.split()
        section = reference.partition(f"## `triage {name}`\n")[2].partition("\n## ")[0]
        assert section, command
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        assert [option for option in options if f"`{option}`" not in section] == [], command


@pytest.mark.parametrize("path", PAGES_FOR_USERS, ids=named)
def test_the_command_line_reads_every_command_to_copy(path: Path) -> None:
    """As a shell splits it; placeholders are ordinary words."""
    for line in console_lines(path.read_text("utf-8")):
        for words in re.findall(r"(?:^|\| )triage ([^|<>]*)", line):
            arguments = shlex.split(words.replace("OWNER/NAME", "o/n").replace("…", "x"))
            parser().parse_args(arguments)


@pytest.mark.parametrize("path", PAGES_FOR_USERS, ids=named)
def test_every_configuration_to_copy_is_valid(path: Path) -> None:
    """The program reads it as it is printed."""
    sections = {section.name for section in dataclasses.fields(Config)}
    for text in blocks(path.read_text("utf-8"), "yaml"):
        if text.partition(":")[0] in sections:
            from_text(text, where=path.name, fetch=lambda name: (name, "{}"))


@pytest.mark.parametrize("path", PAGES_FOR_USERS, ids=named)
def test_every_step_to_copy_has_inputs_that_the_action_has(path: Path) -> None:
    """And the action, or the workflow that is called, is one of ours; other actions are pinned by commit."""
    for text in blocks(path.read_text("utf-8"), "yaml"):
        for step in steps_in(yaml.load(text, Loader=yaml.BaseLoader)):
            if called := re.fullmatch(r"triage-bot/triage(/\.github/workflows/[a-z]+\.yml)@v0", step["uses"]):
                offered = yaml.load((ROOT / f".{called[1]}").read_text("utf-8"), Loader=yaml.BaseLoader)
                assert set(step.get("with", {})) <= set(offered["on"]["workflow_call"]["inputs"]), step
                continue
            ours = re.fullmatch(r"triage-bot/triage(/[a-z-]+)?@\S+", step["uses"])
            assert ours or re.search(r"@[0-9a-f]{40}$", step["uses"]), step["uses"]
            if ours:
                action = yaml.safe_load((ROOT / f".{ours[1] or ''}/action.yml").read_text("utf-8"))
                assert set(step.get("with", {})) <= set(action["inputs"]), step


def test_the_workflow_in_the_readme_is_valid_and_short(tmp_path: Path) -> None:
    """GitHub would accept it; twelve lines at most."""
    text = next(iter(blocks(README.read_text("utf-8"), "yaml")))
    assert len(text.splitlines()) <= 12
    file = tmp_path / "triage.yml"
    file.write_text(text, "utf-8")
    tool = Path(sys.executable).with_name("check-jsonschema")
    subprocess.run([tool, "--builtin-schema", "vendor.github-workflows", file], check=True)


def test_the_readme_labels_the_sample_as_it_says(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command, with a bundle that was learnt before."""
    monkeypatch.chdir(ROOT)
    lines = [line for line in console_lines(README.read_text("utf-8")) if line.startswith("triage label")]
    arguments = shlex.split(lines[0].replace("out/readme", str(trained.folder)))[1:]
    assert main(arguments) == 0
    assert "S3 multipart upload fails" in capsys.readouterr().out


def test_what_the_readme_shows_of_python_runs(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bundle that was learnt before."""
    monkeypatch.chdir(ROOT)
    (snippet,) = blocks(README.read_text("utf-8"), "python")
    exec(compile(snippet.replace("out/readme", str(trained.folder)), "README.md", "exec"), {})
    assert "area: storage" in capsys.readouterr().out


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    """Both tables, from the rows of the default setting and of the surer half of the issues."""
    measured = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    text = README.read_text("utf-8")
    row = r"^\| (\S+), \S+ \| (\d+)% of (\d+) \| ([\d.]+)% \(([\d.]+) to ([\d.]+)\) \|$"
    defaults = re.findall(row, text, re.MULTILINE)
    assert len(defaults) == 4
    for repo, share, issues, *kept in defaults:
        line = re.search(rf"^\| {repo}, .* \| recommended \(.*$", measured, re.MULTILINE)
        assert line
        right, low, high = (f"{float(value) / 100:.3f}" for value in kept)
        assert f"{right} ({low} to {high})" in line[0]
        found = re.search(rf"\| ([\d.]+) of {issues} \|", line[0])
        assert found and round(100 * float(found[1])) == int(share)
    shares, rights = ([float(one[place]) for one in defaults] for place in (1, 3))
    summary = (
        r"labelled (\d+) to (\d+)% of the newest issues of four repositories, and (\d+) to (\d+)% of these"
    )
    stated = re.search(summary, text)
    assert stated
    ends = (min(shares), max(shares), min(rights), max(rights))
    assert [int(end) for end in stated.groups()] == [round(end) for end in ends]
    halves = re.findall(r"^\| (\S+), \S+ \| (.*%(?:\*\*)?) \|$", text, re.MULTILINE)
    halves = [(repo, cells.split(" | ")) for repo, cells in halves if cells.count(" | ") == 3]
    assert len(halves) == 4
    methods = ("**triage, `--adapt head`**", "TF-IDF logistic regression", "plain k/m vote", "naive Bayes")
    for repo, cells in halves:
        for method, cell in zip(methods, cells, strict=True):
            rest = r"(?: \| [\d.]+){4} \| ([\d.]+) \|"
            line = re.search(rf"^\| {repo}, [^|]* \| {re.escape(method)}{rest}", measured, re.MULTILINE)
            assert line and f"{100 * float(line[1]):.1f}%" in cell


def test_the_badges_are_true() -> None:
    """What they say is what pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = README.read_text("utf-8")
    assert f"licence-{project['license']}-" in text
    assert f"python-{project['requires-python'].removeprefix('>=')}%2B-" in text


@pytest.mark.parametrize("name", ["how-to/why-this-label", "how-to/more-labels", "start/repository"])
def test_what_a_page_quotes_is_what_the_program_says(name: str) -> None:
    """The words in italics in the first column of a table stand in the source; an ellipsis and numbers are any text."""
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "triage").rglob("*.py"))
    source = re.sub(r'"\n\s*f?"', "", source)
    cells = re.findall(
        r"^\| ([^|]*\*[^|*]+\*[^|]*) \|", (DOCS / f"{name}.md").read_text("utf-8"), re.MULTILINE
    )
    quoted = [words for cell in cells for words in re.findall(r"(?<!\*)\*([^*]+)\*", cell)]
    assert len(quoted) > 2
    for words in quoted:
        parts = [part.strip() for part in re.split(r"…|[\d.]+", words)]
        assert [part for part in parts if part and part not in source] == [], words


@pytest.mark.parametrize("path", sorted((DOCS / "assets").glob("*.png")), ids=lambda path: path.name)
def test_a_picture_is_small(path: Path) -> None:
    """A page that loads at once."""
    data = path.read_bytes()
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
