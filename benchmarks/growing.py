"""Labelling while the first labelled issues come in, from label names alone to a few hundred labelled issues.

    python benchmarks/growing.py MANY... [--cache DIR] [--adapt head] [--fit]

MANY hold labelled issues of many repositories, one JSON object a line. Of each repository that no shipped model was
trained on and whose issues are dated, a stretch of 340 issues is taken, or its first and its last where there are more
than twice as many; labels need three uses. After each number of labelled issues, these are learnt by the program that
`triage retrain` runs, and the next 40 are labelled under the default target. *Silent* are stretches of which no issue
got a label. With --fit, the calibration that fits the judged pairs of issue and label best is printed, each stretch
weighing the same: `Calibration` and `WITH_HEAD` of `triage/decide/rules.py`. It leaves out the repositories that
results are checked on (EVALUATED), which a table of their own shows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import numpy as np
from replay import Replay
from shared import add_data_options, described, embedded, labelled, shipped_engines, table_head
from sklearn.linear_model import LogisticRegression

from triage.arrays import Array, Mask
from triage.bundle.model import ServingModel, untaught_rule
from triage.config import Config
from triage.decide import Decision, Evidence, Policy, Rules, case_of, decide
from triage.decide.rules import features
from triage.errors import DataError
from triage.issue import Issue, matches
from triage.learn.dataset import Dataset
from triage.learn.head import ADAPTATIONS
from triage.learn.recipe import Engines
from triage.sources.issue_file import iter_issues
from triage.training.corpus import grouped
from triage.training.held_out import EVALUATED, kept_aside

STEPS = (0, 12, 25, 50, 75, 100, 150, 200, 300)
STRETCH, JUDGED, FEWEST, LEAST_USES = 340, 40, 140, 3
# What --fit is fitted on: before, there is no vote; later, a repository's own issues tell as much.
FITTED = (25, 50, 75, 100, 150)


@dataclass(frozen=True)
class Judged:
    """The issues judged after `learnt` labelled ones: `truth` and `predicted` are [n, L] over all labels.

    `known` [p, f] and `carried` [p] are the pairs of issue and voted label, see `features`.
    """

    evaluated: bool
    learnt: int
    truth: Mask
    predicted: Mask
    known: Array
    carried: Mask


def repositories(issues: Iterable[Issue]) -> Iterator[Dataset]:
    """Those with enough dated issues."""
    for own in grouped(issues, kept_aside).values():
        with suppress(DataError):
            data = labelled(own, LEAST_USES)
            if data.dated and len(data) >= FEWEST:
                yield data


def stretches(repositories: Iterable[Dataset]) -> Iterator[Dataset]:
    """The stretches of each repository."""
    for data in repositories:
        starts = {0, len(data) - STRETCH} if len(data) > 2 * STRETCH else {0}
        for start in sorted(starts):
            rows = slice(start, start + STRETCH)
            used = np.flatnonzero(data.targets[rows].any(axis=0)).tolist()
            names = [data.names[j] for j in used]
            yield Dataset(data.issues[rows], names, data.targets[rows][:, used], {})


def judge(data: Dataset, given: argparse.Namespace, engines: Engines) -> Iterator[Judged]:
    """Learn and label as issues come."""
    vectors = embedded(engines.encoder, data.issues, given.cache)
    names = dict.fromkeys(data.names, "")
    untaught = Rules(zero_shot=untaught_rule(Config().zero_shot, engines.zero_shot))
    replay = Replay(data, vectors, engines, given.adapt, Config(), names)
    for learnt in (step for step in STEPS if step + JUDGED // 2 <= len(data)):
        model = (
            replay.learnt(learnt)
            if learnt
            else ServingModel(engines.encoder, engines.zero_shot, names, untaught)
        )
        rows = slice(learnt, learnt + JUDGED)
        issues = data.issues[rows]
        recorded = model.recorded(issues, vectors[rows])
        decisions = list(decide(map(case_of, issues), recorded, Policy()))
        predicted = np.array([[name in d.labels for name in data.names] for d in decisions])
        known, carried = pairs(model.rules, data, learnt, decisions)
        evaluated = matches(data.issues[0].repo, EVALUATED)
        yield Judged(evaluated, learnt, data.targets[rows], predicted, known, carried)


def pairs(rules: Rules, data: Dataset, start: int, decisions: Sequence[Decision]) -> tuple[Array, Mask]:
    """The evidence on each pair of issue and voted label, [p, f], and whether the issue carries the label."""
    near = [(i, d.evidence) for i, d in enumerate(decisions, start) if d.evidence.neighbours]
    if not near or not rules.voted:
        return np.empty((0, 4)), np.empty(0, bool)
    known = [judged_by(rules, evidence) for _, evidence in near]
    carried = [[rule.name in data.issues[i].labels for rule in rules.voted] for i, _ in near]
    return np.concatenate(known), np.concatenate([np.array(row, dtype=bool) for row in carried])


def judged_by(rules: Rules, evidence: Evidence) -> Array:
    """What the calibration multiplies, of each voted label [L, f]."""
    return features(
        votes=np.array([evidence.similarity_votes[rule.name] for rule in rules.voted]),
        k=rules.k,
        priors=np.array([rule.prior for rule in rules.voted]),
        recent=np.array([rule.recent for rule in rules.voted]),
        head=np.array([evidence.head.get(rule.name, np.nan) for rule in rules.voted]),
        mass=sum(evidence.head.values()),
    )


def rows_of(judged: Sequence[Judged]) -> Iterator[str]:
    """A row for each number of labelled issues."""
    yield table_head("labelled", "stretches", "silent", "issues that got a label", "labels set", "right")
    for step in STEPS:
        there = [one for one in judged if one.learnt == step]
        if there:
            got = [one.predicted.any(axis=1) for one in there]
            count = sum(int(one.predicted.sum()) for one in there)
            right = sum(int((one.predicted & one.truth).sum()) for one in there)
            silent = sum(not any(each) for each in got)
            share = np.concatenate(got).mean()
            yield (
                f"| {step} | {len(there)} | {silent} | {share:.2f} | {count} | {right / max(1, count):.3f} |"
            )


def fitted(judged: Sequence[Judged], adapt: str) -> str:
    """The slopes and the intercept that fit best."""
    used = [one for one in judged if one.learnt in FITTED and len(one.known) and not one.evaluated]
    known, carried = (
        np.concatenate([one.known for one in used]),
        np.concatenate([one.carried for one in used]),
    )
    weights = np.concatenate([np.full(len(one.known), 1 / len(one.known)) for one in used])
    names = ("vote", "recent") if adapt == "none" else ("vote", "head", "recent")
    columns = [("vote", "head", "recent").index(name) for name in names]
    model = LogisticRegression(C=1e3, max_iter=1_000)
    model.fit(known[:, columns], carried, sample_weight=weights * len(weights) / weights.sum())
    slopes = (f"{name} {slope:.2f}" for name, slope in zip(names, model.coef_[0], strict=True))
    return f"{', '.join(slopes)}, intercept {model.intercept_[0]:.2f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Labelling while the first labelled issues come in.")
    add_data_options(parser, least=False)
    parser.add_argument("--adapt", choices=ADAPTATIONS, default="head", help="(default: head)")
    parser.add_argument("--fit", action="store_true", help="print the calibration that fits best")
    given = parser.parse_args()
    engines = shipped_engines()
    issues = chain.from_iterable(map(iter_issues, given.files))
    judged = []
    for data in stretches(repositories(issues)):
        judged += judge(data, given, engines)
        print(described(data), file=sys.stderr, flush=True)
    print("All repositories:\n\n" + "\n".join(rows_of(judged)))
    evaluated = [one for one in judged if one.evaluated]
    if evaluated:
        print("\nThose that results are checked on:\n\n" + "\n".join(rows_of(evaluated)))
    if given.fit and len(evaluated) == len(judged):
        sys.exit("--fit needs repositories besides those that results are checked on")
    if given.fit:
        print(f"\nThe calibration that fits the others best: {fitted(judged, given.adapt)}")


if __name__ == "__main__":
    main()
