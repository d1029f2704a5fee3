"""Spelling and style of what people read. Both checks work without a network and take seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
FOR_USERS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
# The reference comes from the program.
WRITTEN = [path for path in FOR_USERS if DOCS / "reference" not in path.parents]
# Its vocabulary is in pyproject.toml.
SPELT = ("docs", "triage", "benchmarks", "examples/workflows", ".github", "Makefile", "Dockerfile")
# A sentence with more words is read twice.
LONGEST = 40
# Written on the left in other guides; we write what is on the right.
WORDS = {
    r"behaviors?": "behaviour",
    r"colors?": "colour",
    r"favou?rites?": "nothing",
    r"centers?": "centre",
    r"(?:un)?labeled|labeling": "labelled, labelling",
    r"neighbors?": "neighbour",
    r"recogni[z]\w+": "recognise",
    r"\w+i[z]ations?": "-isation",
    r"licenses?": "licence",
    r"analy[z]es?": "analyse",
    r"e\.g\.|i\.e\.|etc\.": "for example, that is, and so on",
    r"in order to": "to",
    r"utili[sz]e\w*|leverage\w*": "use",
    r"simply|just|easily|obviously|of course": "nothing: it is not simple for everybody",
    r"please": "nothing",
    r"and/or": "or",
    r"click (?:on )?here": "the page's name",
    r"allows? (?:you|to)": "you can",
    r"whilst|amongst|thereof|herein|hereby": "a plain word",
    r"there is a possibility": "can",
}
# Names and quotations that are spelt as they are.
QUOTED = re.compile(r"organi[z]ation|Zero", re.IGNORECASE)


# What people read of the program: its messages, its pages, what its benchmarks print.
SHOWN = [
    path
    for kind in ("md", "py", "html", "js")
    for part in ("triage", "benchmarks")
    for path in ROOT.glob(f"{part}/**/*.{kind}")
]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> Iterator[str]:
    """The paragraphs, items and cells of a page, without code, links and what is quoted from a screen."""
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: {4,}.*\n)+", "", re.sub(r"`[^`]*`", "X", text), flags=re.MULTILINE)
    text = re.sub(r"^\[!\[.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?<![\w*])\*(?!\*)([^*]+?)\*(?![\w*])", "X", text)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#!]|\d+\.) ?)", text):
        for cell in block.split("|") if block.startswith("|") else [block]:
            yield " ".join(cell.split())


def test_the_words_are_spelt_right() -> None:
    """In the pages, the program and the workflows."""
    pages = [named(path) for path in [*ROOT.glob("*.md"), *(ROOT / "tests").glob("*.md")]]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *SPELT, *pages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FOR_USERS, ids=named)
def test_a_page_is_in_plain_english(path: Path) -> None:
    """No word that says nothing, one spelling for each, and no word twice in a row."""
    found = []
    for text in prose(path):
        words = QUOTED.sub("X", text)
        for pattern, better in WORDS.items():
            found += [
                f"{word!r}, write {better}: {text}"
                for word in re.findall(rf"\b(?:{pattern})(?!\w)", words, re.I)
            ]
        found += [f"{word!r} twice: {text}" for word in re.findall(r"\b([A-Za-z]{2,}) \1\b", text)]
    assert found == []


def test_a_percentage_is_written_one_way() -> None:
    """Without a space before its sign, as Python prints it."""
    pages = [*FOR_USERS, ROOT / "CHANGELOG.md", *SHOWN]
    assert [found for path in pages for found in re.findall(r".*\d\s%.*", path.read_text("utf-8"))] == []


@pytest.mark.parametrize("path", WRITTEN, ids=named)
def test_no_sentence_is_too_long(path: Path) -> None:
    """One idea a sentence."""
    sentences = [one for text in prose(path) for one in re.split(r"(?<=[.!?:;]) ", text)]
    assert [one for one in sentences if len(one.split()) > LONGEST] == []


@pytest.mark.parametrize("path", FOR_USERS, ids=named)
def test_a_page_begins_with_its_title_and_has_no_other(path: Path) -> None:
    """Then comes text, not the next heading."""
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.match(r"# \S.*\n\n(?!##\s)", text)
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
