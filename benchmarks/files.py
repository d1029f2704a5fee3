"""What the changed files of a pull request add to its title and description.

    python benchmarks/files.py /usr/share/doc/{coreutils,gnupg,libgcrypt20,libharfbuzz0b}/changelog.gz --cache DIR

Histories of git that Debian's packages bring: each commit with its title, its text and the files that it changes. Its
labels are the areas that its author wrote at the start of the title (`cp,mv: …`, `[subset] …`), which are cut off.
No pull requests, then, but what they are made of. Commits without an area are dropped, and areas with fewer uses than
--least. Both rows are learnt and judged on the same commits, split by time; one does not get the files.
"""

from __future__ import annotations

import argparse
import gzip
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared import BEST_F1, add_data_options, embedded, shipped_engines, table_head

from triage.issue import Issue
from triage.learn.dataset import Dataset, prepare, split
from triage.learn.recipe import Engines, Recipe
from triage.metrics import summary
from triage.study.analysis import paired

# The newest commits of a longer history.
MOST = 4_000
AREA = r"[\w+-]{1,30}"
AREAS = re.compile(rf"({AREA}(?:, ?{AREA})*): (?=\S)|\[({AREA}(?:[,/] ?{AREA})*)\] (?=\S)")
TRAILER = re.compile(r"[A-Z][\w-]+-by: |\(cherry picked from|GnuPG-bug-id: |\+ commit ")
# ` src/cp.c | 12 +++--`, and `* src/cp.c (main), src/mv.c: Say why.`
STAT = re.compile(r" (\S.*?) +\| +(?:\d+ [+-]*|Bin .*)")
RENAMED = re.compile(r"\{?([^{}]*) => ([^{}]*)\}?")
CHANGED = re.compile(r"\* ([^:]*)(:.*|$)", re.DOTALL)


def commits(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """(title, paragraphs, changed files) of each commit of a history, newest first."""
    if re.match(r"(?:#.*\n\n)?commit ", text):
        for one in re.split(r"(?m)^commit [0-9a-f]{40}\n", text)[1:]:
            lines = one.split("\n")
            said = "\n".join(line.strip() for line in lines if line.startswith("    "))
            files = [match[1] for line in lines if (match := STAT.fullmatch(line))]
            title, *rest = re.split(r"\n\s*\n", said)
            yield title, rest, [RENAMED.sub(r"\2", file).replace("//", "/") for file in files]
        return
    for day in re.split(r"(?m)^\d{4}-\d\d-\d\d  .*\n", text)[1:]:
        yield from _of_day(re.split(r"\n\s*\n", re.sub(r"(?m)^\t", "", day.strip("\n"))))


def _of_day(paragraphs: list[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """The commits of a GNU change log under one date; a new one begins after a list of files, with an area."""
    begun: list[str] = []
    for paragraph in paragraphs:
        named = "\n+ commit " in paragraph or (AREAS.match(paragraph) and "\n*" in "\n".join(["", *begun]))
        if begun and named:
            yield _of_paragraphs(begun)
            begun = []
        begun.append(paragraph)
    if begun:
        yield _of_paragraphs(begun)


def _of_paragraphs(paragraphs: list[str]) -> tuple[str, list[str], list[str]]:
    """The names of files are cut out of the text, what is said of each stays."""
    title, *rest = re.split(r"\n(?=[*+] )|\n\n", "\n\n".join(paragraphs))
    said, files = list[str](), list[str]()
    for item in rest:
        match = CHANGED.match(item)
        if match:
            files += re.findall(r"[\w+./-]*[\w+-]", re.sub(r"[(\[<{].*?[)\]>}]", " ", match[1]))
        said.append(match[2].lstrip(": ") if match else item)
    return title, said, files


def labelled(path: Path, least: int) -> Dataset:
    """The commits of a history with an area, as pull requests; without their files those with one text are one."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
    found: list[Issue] = []
    for number, (title, rest, files) in enumerate(reversed(list(commits(text)))):
        if not (match := AREAS.match(title)) or not files:
            continue
        areas = re.split(r"[,/] ?", (match[1] or match[2]).casefold())
        body = "\n\n".join(part for part in rest if not TRAILER.match(part))
        found.append(
            Issue(
                path.parent.name,
                number + 1,
                title[match.end() :],
                body,
                datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=number),
                labels=tuple(areas),
                files=tuple(files),
            )
        )
    uses = Counter(name for issue in found[-MOST:] for name in issue.labels)
    kept = (replace(i, labels=tuple(n for n in i.labels if uses[n] >= least)) for i in found[-MOST:])
    return prepare((issue for issue in kept if issue.labels), BEST_F1)


def measure(path: Path, least: int, engines: Engines, cache: Path | None) -> str:
    """The row of a history."""
    data = labelled(path, least)
    vectors, windows = embedded(engines.encoder, data.issues, cache), split(data, "time")
    silent = replace(data, issues=[replace(issue, files=None) for issue in data.issues])
    text, both = (Recipe(each, vectors, windows, BEST_F1, engines, "head").result for each in (silent, data))
    f1 = [summary(one.truth, one.predicted, one.scores) for one in (text, both)]
    d = paired(both.truth, both.predicted, text.predicted)
    cells = [f"{one['micro_f1']:.3f} / {one['macro_f1']:.3f}" for one in f1]
    cells = [path.parent.name, str(len(data)), str(len(data.names)), str(len(windows.test.query)), *cells]
    return f"| {' | '.join(cells)} | {d.gain:+.3f} ({d.low:+.3f} to {d.high:+.3f}) |"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What the changed files of a pull request are worth.")
    add_data_options(parser)
    given = parser.parse_args()
    engines = shipped_engines()
    print(table_head("history", "commits", "areas", "judged on", "title and text", "and files", "difference"))
    for file in given.files:
        print(measure(file, given.least, engines, given.cache), flush=True)


if __name__ == "__main__":
    main()
