"""What one encoder is worth beside another: on the same rows and windows, by the vote and with a head.

    python benchmarks/encoders.py FILE... --encoder FOLDER --encoder FOLDER [--cache DIR] [--aside] [--head]

Data and windows are those of `quality.py`. The first encoder is what the others are compared with: the difference in
micro-F1 and its 95% interval over 1000 resamples of the judged issues, the same for both. Where each issue carries
exactly one label and none has a date, macro-F1 within each repository follows (see `within.py`).

With --aside, FILE holds issues of many repositories, of which only those kept aside
(`triage/training/held_out.py`) are used: labels with at least 10 uses, each repository by itself, stratified where
dates are missing. With --head, the vote and `--adapt none` are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from baselines import Material, answer, plain_vote
from shared import BEST_F1, add_data_options, described, embedded, held_out_groups, labelled
from within import BEST, answers_within, baseline, product

from triage.arrays import Mask
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import SimilarityZeroShot
from triage.errors import DataError
from triage.learn.dataset import Dataset, split
from triage.learn.recipe import Engines, Recipe
from triage.metrics import bootstrap, macro_f1, micro_f1
from triage.sources.issue_file import iter_issues
from triage.study.analysis import paired

WAYS = ("plain k/m vote", "`--adapt none`", "`--adapt head`")
ASIDE_LEAST, ASIDE_ISSUES = 10, 60


def predictions(
    data: Dataset, encoder: Encoder, cache: Path | None, ways: Sequence[str] = WAYS
) -> tuple[Mask, dict[str, Mask]]:
    """The truth in the judged window and what each of the ways predicts there, [n, L]."""
    vectors, windows = embedded(encoder, data.issues, cache), split(data, None)
    engines = Engines(encoder, SimilarityZeroShot.load(encoder))
    found = {}
    for way in ways:
        if way == WAYS[0]:
            found[way] = answer(plain_vote, Material(data, vectors), windows).predicted
        else:
            adaptation = "none" if way == WAYS[1] else "head"
            found[way] = Recipe(data, vectors, windows, BEST_F1, engines, adaptation).result.predicted
    return data.targets[windows.test.query], found


def compare(
    title: str, data: Dataset, encoders: Mapping[str, Encoder], cache: Path | None, ways: Sequence[str]
) -> None:
    """Print a row for each way and encoder."""
    first: dict[str, Mask] = {}
    for name, encoder in encoders.items():
        truth, found = predictions(data, encoder, cache, ways)
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


def within(data: Dataset, encoders: Mapping[str, Encoder], cache: Path | None, ways: Sequence[str]) -> None:
    """Print macro-F1 within each repository, exactly one label for each issue."""
    repos = sorted({issue.repo for issue in data.issues})
    print(f"\n| way | encoder | {' | '.join(repos)} | mean | mean above the first (95%) |")
    print(f"|---|---|{'---|' * (len(repos) + 2)}")
    first: dict[str, list[tuple[Mask, Mask]]] = {}
    for name, encoder in encoders.items():
        material = Material(data, embedded(encoder, data.issues, cache))
        engines = Engines(encoder, SimilarityZeroShot.load(encoder))
        choosers = {
            WAYS[0]: lambda m, w: baseline(plain_vote, m, w),
            WAYS[1]: product("none", engines),
            WAYS[2]: product("head", engines),
        }
        for way in ways:
            found = [answers_within(choosers[way], material, repo) for repo in repos]
            pairs = [(truth, answers[BEST]) for truth, answers in found]
            scores = [macro_f1(*pair) for pair in pairs]
            cells = " | ".join(f"{score:.3f}" for score in (*scores, np.mean(scores)))
            gain = mean_gained(pairs, first[way]) if way in first else ""
            first.setdefault(way, pairs)
            print(f"| {way} | {name} | {cells} | {gain} |", flush=True)


def mean_gained(ours: Sequence[tuple[Mask, Mask]], theirs: Sequence[tuple[Mask, Mask]]) -> str:
    """The difference in mean macro-F1, and its interval over resamples of the issues within each repository."""

    def gains(seed: int) -> list[float]:
        (truth, our), (_, their) = ours[seed], theirs[seed]
        drawn = [np.arange(len(truth)), *bootstrap(len(truth), seed=seed)]
        return [macro_f1(truth[rows], our[rows]) - macro_f1(truth[rows], their[rows]) for rows in drawn]

    gain, *drawn = np.mean([gains(repo) for repo in range(len(ours))], axis=0)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"


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
    parser.add_argument("--head", action="store_true", help="only `--adapt head`")
    given = parser.parse_args()
    ways = WAYS[2:] if given.head else WAYS
    encoders = {folder.name: Encoder.load(folder) for folder in given.encoder}
    print("| data | way | encoder | micro-F1 | macro-F1 | micro-F1 above the first (95%) | issues |")
    print("|---|---|---|---|---|---|---|")
    for path in given.files:
        if given.aside:
            aside(path, encoders, given.cache)
            continue
        data = labelled(path, 20)
        compare(described(data), data, encoders, given.cache, ways)
        if not data.dated:
            within(data, encoders, given.cache, ways)


if __name__ == "__main__":
    main()
