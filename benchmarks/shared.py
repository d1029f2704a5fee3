"""Shared by the benchmarks: labelled issues of a file, their vectors (kept between runs), engines, options, tables."""

from __future__ import annotations

import argparse
import dataclasses
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from triage.arrays import Floats, Mask
from triage.bundle.open import open_engines
from triage.config import PEOPLE_ONLY, PROCESS, Config, VoteConfig
from triage.engine.encoder import Encoder
from triage.issue import Issue, matches
from triage.learn.dataset import Dataset, prepare
from triage.learn.recipe import Engines
from triage.sources.issue_file import read_issues
from triage.training.corpus import grouped, label_names
from triage.training.held_out import EVALUATED, kept_aside

# Where methods are compared by F1, none is held to a precision.
BEST_F1 = Config(vote=VoteConfig(precision_target=0.0))


def held_out_groups(issues: Iterable[Issue]) -> dict[str, list[Issue]]:
    """The repositories held out by the draw; those that results are checked on are left out."""
    return grouped(issues, lambda repo: kept_aside(repo) and not matches(repo, EVALUATED))


def labelled(source: Path | Sequence[Issue], least: int) -> Dataset:
    """The issues of a file, or given ones, that carry a label with at least `least` uses, and only such labels.

    Pull requests, repeated texts, process labels and labels that only people set are dropped first.
    """
    issues = [
        issue
        for issue in (read_issues(source) if isinstance(source, Path) else source)
        if issue.kind == "issue"
    ]
    uses = Counter(label for issue in issues for label in issue.labels)
    unwanted = (*PROCESS, *PEOPLE_ONLY)
    kept = {name for name, count in uses.items() if count >= least and not matches(name, unwanted)}
    return prepare(
        (dataclasses.replace(i, labels=tuple(n for n in i.labels if n in kept)) for i in issues), Config()
    )


SAMPLE, SEED, LEAST_USES = 75, 20, 10


def sampled(
    issues: Sequence[Issue], repo: str, least: int = LEAST_USES
) -> tuple[list[Issue], list[str], Mask] | None:
    """(up to SAMPLE issues, the labels with `least` uses in the repository, which apply [n, L]).

    None where fewer than two labels have that many.
    """
    names = label_names(issues, least)
    carrying = [issue for issue in issues if set(names) & set(issue.labels)]
    if len(names) < 2:
        return None
    drawn = random.Random(f"{SEED} {repo}").sample(carrying, min(SAMPLE, len(carrying)))
    truth = np.array([[name in issue.labels for name in names] for issue in drawn], dtype=bool)
    return drawn, names, truth


def embedded(encoder: Encoder, issues: Sequence[Issue], cache: Path | None) -> Floats:
    """The vectors [n, d] of the issues; the folder `cache` keeps them by the digests of the texts."""
    file = cache / f"vectors-{encoder.digest[:16]}.npz" if cache else None
    known: dict[str, Floats] = {}
    if file and file.is_file():
        with np.load(file, allow_pickle=False) as kept:
            known = dict(zip(kept["digests"].tolist(), kept["vectors"], strict=True))
    missing = {issue.digest: issue.text for issue in issues if issue.digest not in known}
    known.update(zip(missing, encoder.encode(list(missing.values())), strict=True))
    if file and missing:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, digests=np.array(list(known)), vectors=np.array(list(known.values())))
    return np.array([known[issue.digest] for issue in issues], dtype=np.float32)


def described(data: Dataset) -> str:
    """The data by repository and dates, as the tables name it."""
    repos = sorted({issue.repo for issue in data.issues})
    where = repos[0] if len(repos) == 1 else f"{len(repos)} repositories"
    if not data.dated:
        return f"{where}, no dates"
    return f"{where}, {data.issues[0].created_at:%Y-%m} to {data.issues[-1].created_at:%Y-%m}"


def shipped_engines() -> Engines:
    """The shipped models, opened under the default configuration."""
    return Engines(*open_engines(Config()))


def add_data_options(parser: argparse.ArgumentParser, *, many: bool = True, least: bool = True) -> None:
    """FILE (`files`, or `file` where not `many`), --cache and, where asked for, --least."""
    if many:
        parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="labelled issues")
    else:
        parser.add_argument("file", type=Path, metavar="FILE", help="labelled issues")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="a folder that keeps vectors between runs")
    if least:
        help_text = "the uses a label needs (default: 20)"
        parser.add_argument("--least", type=int, default=20, metavar="N", help=help_text)


def table_head(*titles: str) -> str:
    """The first two lines of a Markdown table."""
    return f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}"
