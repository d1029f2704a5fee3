"""What one encoder is worth beside another: on the same rows and windows, by the vote and with a head.

    python benchmarks/encoders.py FILE... --encoder FOLDER --encoder FOLDER [--cache DIR] [--aside]

Data and windows are those of `quality.py`. The first encoder is what the others are compared with: the difference in
micro-F1 and its 95 % interval over 1000 resamples of the judged issues, the same for both. Where each issue carries
exactly one label and none has a date, macro-F1 within each repository follows (see `within.py`).

With --aside, FILE holds issues of many repositories, of which only those kept aside
(`triage/training/held_out.py`) are used: labels with at least 10 uses, each repository by itself, stratified where
dates are missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from baselines import Material, answer, plain_vote
from shared import BEST_F1, add_data_options, described, embedded, labelled
from within import BEST, baseline, macro_within, product

from triage.arrays import Mask
from triage.engine.encoder import Encoder
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.errors import DataError
from triage.learn.dataset import Dataset, split
from triage.learn.recipe import Engines, Recipe
from triage.metrics import macro_f1, micro_f1
from triage.sources.issue_file import iter_issues
from triage.study.analysis import paired
from triage.training.corpus import held_out_groups

WAYS = ("plain k/m vote", "`--adapt none`", "`--adapt head`")
ASIDE_LEAST, ASIDE_ISSUES = 10, 60


def predictions(data: Dataset, encoder: Encoder, cache: Path | None) -> tuple[Mask, dict[str, Mask]]:
    """The truth in the judged window and what each of WAYS predicts there, [n, L]."""
    vectors, windows = embedded(encoder, data.issues, cache), split(data, None)
    engines = Engines(encoder, SimilarityZeroShot.load(encoder))
    material = Material(data, vectors)
    found = {WAYS[0]: answer(plain_vote, material, windows).predicted}
    for way, adaptation in zip(WAYS[1:], ("none", "head"), strict=True):
        found[way] = Recipe(data, vectors, windows, BEST_F1, engines, adaptation).result.predicted
    return data.targets[windows.test.query], found


def compare(title: str, data: Dataset, encoders: Mapping[str, Encoder], cache: Path | None) -> None:
    """Print a row for each way and encoder."""
    first: dict[str, Mask] = {}
    for name, encoder in encoders.items():
        truth, found = predictions(data, encoder, cache)
        for way, predicted in found.items():
            gain = ""
            if way in first:
                gain = gained(truth, predicted, first[way])
            scores = f"{micro_f1(truth, predicted):.3f} | {macro_f1(truth, predicted):.3f}"
            print(f"| {title} | {way} | {name} | {scores} | {gain} | {len(truth)} |", flush=True)
        first = first or found


def gained(truth: Mask, ours: Mask, theirs: Mask) -> str:
    """The difference in micro-F1 and its interval."""
    found = paired(truth, ours, theirs)
    return f"{found.gain:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def within(data: Dataset, encoders: Mapping[str, Encoder], cache: Path | None) -> None:
    """Print macro-F1 within each repository, exactly one label for each issue."""
    repos = sorted({issue.repo for issue in data.issues})
    print(f"\n| way | encoder | {' | '.join(repos)} | mean |\n|---|---|{'---|' * (len(repos) + 1)}")
    for name, encoder in encoders.items():
        material = Material(data, embedded(encoder, data.issues, cache))
        engines = Engines(encoder, SimilarityZeroShot.load(encoder))
        choosers = (
            lambda m, w: baseline(plain_vote, m, w),
            product("none", engines),
            product("head", engines),
        )
        for way, chooser in zip(WAYS, choosers, strict=True):
            scores = [macro_within(chooser, material, repo)[BEST] for repo in repos]
            cells = " | ".join(f"{score:.3f}" for score in (*scores, np.mean(scores)))
            print(f"| {way} | {name} | {cells} |", flush=True)


def aside(path: Path, encoders: Mapping[str, Encoder], cache: Path | None) -> None:
    """Print micro-F1 over the judged issues of all repositories kept aside, each learnt by itself."""
    sets, first = kept_sets(path), {}
    for name, encoder in encoders.items():
        answers = [predictions(data, encoder, cache) for data in sets]
        truth = padded([truth for truth, _ in answers])
        for way in WAYS:
            predicted = padded([found[way] for _, found in answers])
            gain = ""
            if way in first:
                gain = gained(truth, predicted, first[way])
            first.setdefault(way, predicted)
            title, f1 = f"{len(sets)} repositories kept aside", micro_f1(truth, predicted)
            print(f"| {title} | {way} | {name} | {f1:.3f} | | {gain} | {len(truth)} |", flush=True)


def kept_sets(path: Path) -> list[Dataset]:
    """The labelled issues of each repository kept aside that has enough of them."""
    sets = []
    for issues in held_out_groups(iter_issues(path)).values():
        with suppress(DataError):
            sets.append(labelled(issues, ASIDE_LEAST))
    return [data for data in sets if len(data) >= ASIDE_ISSUES and len(data.names) > 1]


def padded(parts: Sequence[Mask]) -> Mask:
    """The rows of all, with as many columns as the widest has; columns mean something else in each."""
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Encoders compared.")
    add_data_options(parser, least=False)
    parser.add_argument(
        "--encoder", type=Path, action="append", required=True, help="a model folder; several"
    )
    parser.add_argument("--aside", action="store_true", help="only repositories kept aside")
    given = parser.parse_args()
    encoders = {folder.name: Encoder.load(folder) for folder in given.encoder}
    print("| data | way | encoder | micro-F1 | macro-F1 | micro-F1 above the first (95 %) | issues |")
    print("|---|---|---|---|---|---|---|")
    for path in given.files:
        if given.aside:
            aside(path, encoders, given.cache)
            continue
        data = labelled(path, 20)
        compare(described(data), data, encoders, given.cache)
        if not data.dated:
            within(data, encoders, given.cache)


if __name__ == "__main__":
    main()
