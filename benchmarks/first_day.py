"""What labels are worth that are set by their names and descriptions alone, before anything is learnt.

    python benchmarks/first_day.py MANY... [--one FILE]... [--areas FILE]

MANY hold labelled issues of many repositories, one JSON object a line. From each of them that no shipped model was
trained on (`triage/training/held_out.py`) up to 40 issues are drawn (seed 20); all labels with two uses are asked
about by name, without process labels and those that people set. The constants in `triage/bundle/model.py` are fitted
on one half of the repositories and measured on the other, both ways; the last line has those of all repositories.
Every FILE holds issues of one repository that models are checked on, AREAS words that become as many labels
`area/WORD`, none of which the issues carry.

"before" is how labels were set without a comparison between them: each by the probability that the model gives it by
itself, from one half on, at most five. Precision is over all labels set, with the 90% interval of a
bootstrap over repositories.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from shared import held_out_groups
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from triage.arrays import Array, Mask
from triage.bundle.model import EVEN, INTERCEPT, NOTHING, SHARPNESS, SLOPE, untaught_rule
from triage.config import ZeroShotConfig
from triage.decide import Evidence, Policy, Recorded, Rules, case_of, decide
from triage.decide.rules import COMMONER, ZeroShotRule, contrast
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import LabelText, ZeroShotModel, calibrated, open_zero_shot
from triage.issue import Issue
from triage.sources.issue_file import iter_issues
from triage.text import language, names_kind, says_nothing
from triage.training.corpus import grouped, label_names

SEED, SAMPLE, LEAST_USES, FEWEST = 20, 40, 2, 10
# Random subsets of a repository's labels, so that the fit knows few labels too, and what each weighs.
SUBSETS, WEIGHT = 3, 0.15
# Labels of an issue that the fit sees: those that may be set.
BEST = 2
MOST_BEFORE = 5
SHARPNESSES, NOTHINGS = (0.8, 1.0, 1.3, 1.6), (-0.5, 0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Asked:
    """Issues of one repository and raw scores of its labels [n, L]; `truth` says which they carry."""

    issues: Sequence[Issue]
    names: Sequence[str]
    raw: Array
    truth: Mask
    weight: float = 1.0

    def of(self, columns: Sequence[int]) -> Asked:
        """The same with some of the labels."""
        names = [self.names[j] for j in columns]
        return replace(
            self, names=names, raw=self.raw[:, columns], truth=self.truth[:, columns], weight=WEIGHT
        )


def asked(
    issues: Sequence[Issue], model: ZeroShotModel, encoder: Encoder, names: Sequence[str] = ()
) -> Asked | None:
    """A sample of a repository's issues, asked about its labels, or those given; None if there is too little."""
    told = [i for i in issues if not says_nothing(i.title, i.body) and not language(i.text)]
    if not names:
        names = label_names(issues, LEAST_USES)
        told = [issue for issue in told if set(names) & set(issue.labels)]
    if len(told) < FEWEST or len(names) < 2:
        return None
    drawn = random.Random(f"{SEED} {told[0].repo}").sample(told, min(SAMPLE, len(told)))
    texts = [issue.text for issue in drawn]
    raw = model.raw(texts, encoder.encode(texts), [LabelText(name) for name in names]).astype(np.float64)
    truth = np.array([[name in issue.labels for name in names] for issue in drawn], dtype=bool)
    return Asked(drawn, names, raw, truth)


def fit(parts: Sequence[Asked], rule: ZeroShotRule) -> tuple[float, float, float, float]:
    """(log loss, slope, intercept, what labels of a kind are commoner by) on the BEST labels of each issue."""
    rng = np.random.default_rng(SEED)
    rows, truths, weights = [], [], []
    for part in chain.from_iterable(varied(part, rng) for part in parts):
        best = (-part.raw).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable") < BEST
        odds = contrast(rule, part.raw, np.ones(len(part.names), dtype=bool))[best]
        kinds = np.broadcast_to([names_kind(name) for name in part.names], part.raw.shape)[best]
        rows.append(np.stack([odds, kinds], axis=1))
        truths.append(part.truth[best])
        weights.append(
            np.full(len(odds), part.weight * min(BEST, len(part.names)) * len(part.raw) / len(odds))
        )
    x, y, weight = np.concatenate(rows), np.concatenate(truths), np.concatenate(weights)
    fitted = LogisticRegression(C=1e3).fit(x, y, sample_weight=weight / weight.mean())
    loss = log_loss(y, fitted.predict_proba(x)[:, 1], sample_weight=weight)
    return float(loss), float(fitted.coef_[0, 0]), float(fitted.intercept_[0]), float(fitted.coef_[0, 1])


def sharpened(model: ZeroShotModel, sharpness: float, nothing: float) -> ZeroShotRule:
    """The product's rule with these constants."""
    return replace(
        untaught_rule(ZeroShotConfig(), model),
        sharpness=sharpness * model.slope,
        nothing=nothing - sharpness * model.intercept,
    )


def varied(part: Asked, rng: np.random.Generator) -> Iterable[Asked]:
    """The part, and random subsets of its labels."""
    yield part
    for _ in range(SUBSETS):
        count = round(np.exp(rng.uniform(0, np.log(len(part.names)))))
        yield part.of(rng.choice(len(part.names), count, replace=False).tolist())


def chosen(part: Asked, rule: ZeroShotRule) -> Mask:
    """The labels that the product sets on the first day, [n, L]."""
    evidence = {
        issue.key: Evidence(issue.key, zero_shot=dict(zip(part.names, row, strict=True)))
        for issue, row in zip(part.issues, part.raw.tolist(), strict=True)
    }
    model = Recorded(Rules(zero_shot=rule), evidence)
    decisions = decide(map(case_of, part.issues), model, Policy())
    return np.array([[name in d.labels for name in part.names] for d in decisions], dtype=bool)


def chosen_before(part: Asked, model: ZeroShotModel) -> Mask:
    """The labels that are likelier than not, each by itself."""
    probability = calibrated(part.raw.astype(np.float32), model.slope, model.intercept)
    rank = (-probability).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    mask: Mask = (probability >= EVEN) & (rank < MOST_BEFORE)
    return mask


def row(title: str, parts: Sequence[Asked], masks: Sequence[Mask]) -> str:
    """A line of the table."""
    hits = np.array([(mask & part.truth).sum() for part, mask in zip(parts, masks, strict=True)])
    told = np.array([mask.sum() for mask in masks])
    issues = sum(len(mask) for mask in masks)
    rng = np.random.default_rng(SEED)
    drawn = (rng.integers(len(parts), size=len(parts)) for _ in range(2000))
    low, high = np.quantile([hits[i].sum() / max(1, told[i].sum()) for i in drawn], [0.05, 0.95])
    labelled = sum(mask.any(axis=1).sum() for mask in masks) / issues
    wrong = sum((m & ~p.truth).any(axis=1).sum() for p, m in zip(parts, masks, strict=True)) / issues
    precision = (
        f"{hits.sum() / max(1, told.sum()):.3f} ({low:.3f} to {high:.3f})" if told.sum() else "none set"
    )
    return (
        f"| {title} | {precision} | {told.sum()} | {labelled:.3f} | {wrong:.3f} | {issues} | {len(parts)} |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Labels by name and description alone, before anything is learnt."
    )
    parser.add_argument(
        "many", type=Path, nargs="+", help="issues of many repositories, one JSON object a line"
    )
    parser.add_argument("--one", type=Path, action="append", default=[], help="issues of one repository")
    parser.add_argument(
        "--areas", type=Path, help="words, each of which becomes a label that no issue carries"
    )
    given = parser.parse_args()
    encoder = Encoder.load()
    model = open_zero_shot(ZeroShotConfig(), encoder)
    rule = untaught_rule(ZeroShotConfig(), model)
    groups = held_out_groups(chain.from_iterable(map(iter_issues, given.many)))
    parts = [part for group in groups.values() if (part := asked(group, model, encoder))]
    print(
        f"seed {SEED}\n\n| issues | precision | labels set | labelled | with a wrong label | issues | repositories |"
    )
    print("|---|---|---|---|---|---|---|")
    order = np.random.default_rng(SEED).permutation(len(parts))
    halves = [[parts[i] for i in order[::2]], [parts[i] for i in order[1::2]]]
    masks = []
    for fitting, testing in (halves, halves[::-1]):
        _, slope, intercept, _ = fit(fitting, rule)
        masks += [chosen(part, replace(rule, slope=slope, intercept=intercept)) for part in testing]
    shown = [*halves[1], *halves[0]]
    print(row("not fitted on, before", shown, [chosen_before(part, model) for part in shown]))
    print(row("not fitted on", shown, masks))
    for path in given.one:
        [(repo, issues)] = grouped(iter_issues(path), lambda _: True).items()
        areas = [f"area/{word}" for word in given.areas.read_text("utf-8").split()] if given.areas else []
        for title, part in (
            (repo, asked(issues, model, encoder)),
            (f"{repo}, {len(areas)} areas", asked(issues, model, encoder, areas) if areas else None),
        ):
            if part:
                print(row(f"{title}, before", [part], [chosen_before(part, model)]))
                print(row(title, [part], [chosen(part, rule)]), flush=True)
    grid = [(sharpness, nothing) for sharpness in SHARPNESSES for nothing in NOTHINGS]
    fits = {pair: fit(parts, sharpened(model, *pair)) for pair in grid}
    best = min(fits, key=lambda pair: fits[pair])
    print(
        f"\nleast log loss of {len(grid)}: sharpness {best[0]} ({SHARPNESS}), nothing {best[1]} ({NOTHING})"
    )
    _, slope, intercept, commoner = fit(parts, rule)
    print(
        f"slope {slope:.2f} ({SLOPE}), intercept {intercept:.2f} ({INTERCEPT}), commoner {commoner:.2f} ({COMMONER})"
    )


if __name__ == "__main__":
    main()
