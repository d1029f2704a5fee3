"""Zero-shot quality by label names alone: concepts and similarity, compared with similarity alone.

    python benchmarks/concepts.py MANY... [--one FILE]... [--three FILE] [--cache DIR] [--encoder FOLDER]

MANY hold issues of many repositories, of which those held out (`triage/training/held_out.py`) and not evaluated
otherwise are used; at most 75 issues of each (seed 20), labels with at least 10 uses. Each way of scoring is a logistic
regression of what it knows, fitted on three quarters of the repositories together with its threshold (best micro-F1)
and measured on the others, four times. Intervals are of the difference to similarity alone, over 1000 resamples of the
repositories (seed 0). --one: one repository, its newest 300 issues, labels with at least 20 uses, by the regressions on
all of MANY. Below the tables: the constants of `triage/engine/zero_shot.py` as fitted on all of MANY, and the
labels set on a first day, at the product's probability of 0.8. --three: issues with exactly one of the labels bug,
feature and question, the best one by name and description. --cache keeps vectors between runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from shared import described, embedded, held_out_groups, labelled, sampled
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from zero_shot import THREE

from triage.arrays import Array, Floats, Mask
from triage.bundle.model import untaught_rule
from triage.config import ZeroShotConfig
from triage.decide.rules import LEAST_SHARE, UNMEASURED, Rules, elect_by_description, zero_shot_scores
from triage.engine.encoder import Encoder
from triage.engine.model_folder import BUILTIN
from triage.engine.zero_shot import (
    CONCEPT,
    KIND,
    KIND_CONCEPTS,
    OTHER,
    ConceptHead,
    ConceptZeroShot,
    LabelWeights,
    SimilarityZeroShot,
    ZeroShotModel,
    concept_of,
)
from triage.issue import Issue
from triage.learn.tune import best_cut
from triage.metrics import bootstrap, macro_f1, micro_f1, precision_recall
from triage.sources.issue_file import iter_issues
from triage.text import LabelText

FOLDS, SEED = 4, 0
# Random subsets of the labels of each repository, besides all of them.
SUBSETS = 7
Way = Callable[["Part"], Array]
SIMILARITY = "similarity"
NEWEST, LEAST = 300, 20
HEAD = (
    "| scored by | mAP | micro-F1 | macro-F1 | precision | micro-F1 to similarity | mAP to similarity |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Part:
    """Issues of one repository: raw scores of its labels and which apply, all [n, L]; `kind` and `known` are [L].

    `logits` are those of a label's concept, 0 where the head does not know it.
    """

    similar: Floats
    logits: Floats
    kind: Mask
    known: Mask
    truth: Mask
    names: Sequence[str]


def columns(part: Part, *of: Array | Floats | Mask) -> Array:
    """[n * L, features]"""
    shape = part.truth.shape
    return np.stack([np.broadcast_to(each, shape).astype(np.float64).ravel() for each in of], axis=1)


def by_similarity(part: Part) -> Array:
    """Similarity alone."""
    return columns(part, part.similar)


def kinds_by_concept(part: Part) -> Array:
    """Kinds by concept and similarity, the rest by similarity."""
    kind = part.kind
    return columns(part, part.logits * kind, part.similar * kind, kind, part.similar * ~kind)


def all_by_similarity_too(part: Part) -> Array:
    """Every label with a concept by it and by similarity, the others by similarity."""
    kind, other = part.kind, part.known & ~part.kind
    return columns(
        part,
        *(part.logits * kind, part.similar * kind, kind),
        *(part.logits * other, part.similar * other, other),
        part.similar * ~part.known,
    )


def as_served(part: Part) -> Array:
    """Kinds by concept, other labels with a concept by it and by similarity, the rest by similarity."""
    kind, other = part.kind, part.known & ~part.kind
    return columns(
        part,
        *(part.logits * kind, kind),
        *(part.logits * other, part.similar * other, other),
        part.similar * ~part.known,
    )


WAYS = {
    SIMILARITY: by_similarity,
    "kinds by concept and similarity, the rest by similarity": kinds_by_concept,
    "concepts and similarity, kinds too": all_by_similarity_too,
    "**concepts and similarity, kinds by concept alone** (as served)": as_served,
}


def part_of(
    sample: tuple[Sequence[Issue], Sequence[str], Mask],
    head: ConceptHead,
    encoder: Encoder,
    cache: Path | None,
) -> Part:
    """A repository's issues under all ways of scoring."""
    issues, names, truth = sample
    vectors = embedded(encoder, issues, cache)
    labels = [LabelText(name) for name in names]
    concepts = [concept_of(label) for label in labels]
    known = np.array([concept in head.names for concept in concepts])
    logits = head.logits(vectors)
    of = [logits[:, head.names.index(c)] if c in head.names else np.zeros(len(issues)) for c in concepts]
    return Part(
        similar=SimilarityZeroShot.load(encoder).raw([], vectors, labels),
        logits=np.stack(of, axis=1).astype(np.float32),
        kind=np.array([concept in KIND_CONCEPTS for concept in concepts]) & known,
        known=known,
        truth=truth,
        names=names,
    )


def one(path: Path) -> tuple[str, tuple[Sequence[Issue], Sequence[str], Mask]]:
    """A repository's newest issues."""
    data = labelled(path, LEAST)
    return described(data), (data.issues[-NEWEST:], data.names, data.targets[-NEWEST:])


@dataclass(frozen=True)
class Found:
    """Probabilities of the labels of one repository, and which are set, [n, L]."""

    scores: Array
    chosen: Mask


def measured(way: Way, parts: Sequence[Part]) -> list[Found]:
    """Each repository by a regression and a threshold fitted on those of other folds."""
    order = np.random.default_rng(SEED).permutation(len(parts))
    found: dict[int, Found] = {}
    for fold in range(FOLDS):
        out = order[fold::FOLDS].tolist()
        rest = [parts[i] for i in order.tolist() if i not in out]
        fitted = fit(way, rest)
        cut, _ = best_cut(*_flat(way, fitted, rest))
        for i in out:
            scores = _scores(way, fitted, parts[i])
            found[i] = Found(scores, scores >= cut)
    return [found[i] for i in range(len(parts))]


def fit(way: Way, parts: Sequence[Part]) -> LogisticRegression:
    """On all pairs of issue and label."""
    truth = np.concatenate([part.truth.ravel() for part in parts])
    return LogisticRegression(C=100, max_iter=1000).fit(np.concatenate([way(part) for part in parts]), truth)


def _scores(way: Way, fitted: LogisticRegression, part: Part) -> Array:
    probabilities: Array = fitted.predict_proba(way(part))[:, 1].reshape(part.truth.shape)
    return probabilities


def _flat(way: Way, fitted: LogisticRegression, parts: Sequence[Part]) -> tuple[Array, Mask]:
    scores = np.concatenate([_scores(way, fitted, part).ravel() for part in parts])
    return scores, np.concatenate([part.truth.ravel() for part in parts])


def precise(part: Part, found: Found) -> float:
    """Mean average precision of the labels that any of the issues carries."""
    used = np.flatnonzero(part.truth.any(axis=0))
    return float(
        np.mean([average_precision_score(part.truth[:, j], found.scores[:, j]) for j in used])
        if len(used)
        else 0.0
    )


def pooled(parts: Sequence[Part], found: Sequence[Found]) -> float:
    """micro-F1 over all repositories."""
    hits = sum(int((f.chosen & p.truth).sum()) for p, f in zip(parts, found, strict=True))
    return (
        2 * hits / max(1, sum(int(f.chosen.sum() + p.truth.sum()) for p, f in zip(parts, found, strict=True)))
    )


def table(parts: Sequence[Part]) -> None:
    """A row for each way."""
    answers = {name: measured(way, parts) for name, way in WAYS.items()}
    average = {
        name: np.array([precise(*pair) for pair in zip(parts, found, strict=True)])
        for name, found in answers.items()
    }
    draws = bootstrap(len(parts))
    for name, found in answers.items():
        truth = np.concatenate([part.truth.ravel() for part in parts])[:, None]
        chosen = np.concatenate([each.chosen.ravel() for each in found])[:, None]
        macro = np.mean([macro_f1(p.truth, f.chosen) for p, f in zip(parts, found, strict=True)])
        cells = average[name].mean(), micro_f1(truth, chosen), macro, precision_recall(truth, chosen)[0]
        base = answers[SIMILARITY]
        micro = [
            pooled([parts[i] for i in d], [found[i] for i in d])
            - pooled([parts[i] for i in d], [base[i] for i in d])
            for d in draws.tolist()
        ]
        ranked = (average[name] - average[SIMILARITY])[draws].mean(axis=1)
        more = " | ".join("" if name == SIMILARITY else interval(x) for x in (np.array(micro), ranked))
        print(f"| {name} | {' | '.join(f'{x:.3f}' for x in cells)} | {more} |", flush=True)


def interval(values: Array) -> str:
    """95%."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{low:+.3f} to {high:+.3f}"


def elsewhere(title: str, part: Part, parts: Sequence[Part]) -> None:
    """A row for each way on a repository, fitted on others together with its threshold."""
    for name, way in WAYS.items():
        fitted = fit(way, parts)
        cut, _ = best_cut(*_flat(way, fitted, parts))
        scores = _scores(way, fitted, part)
        found = Found(scores, scores >= cut)
        cells = (
            precise(part, found),
            micro_f1(part.truth, found.chosen),
            macro_f1(part.truth, found.chosen),
            precision_recall(part.truth, found.chosen)[0],
        )
        print(f"| {title} | {name} | {' | '.join(f'{x:.3f}' for x in cells)} |", flush=True)


def constants(parts: Sequence[Part]) -> dict[str, LabelWeights]:
    """Those of the served model: a choice of each issue between the labels and none of them (conditional logit).

    Learnt from all labels of a repository and from random subsets, so that there are issues that none fits; each
    repository weighs the same. Source: McFadden, Conditional logit analysis of qualitative choice behavior (1974).
    """
    rng = np.random.default_rng(SEED)
    choices = [choice for part in parts for choice in varied(part, rng)]

    def loss(values: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros_like(values)
        for x, truth, weight in choices:
            odds = np.concatenate([x @ values, np.zeros((len(x), 1))], axis=1)
            powers = np.exp(odds - odds.max(axis=1, keepdims=True))
            shares = powers / powers.sum(axis=1, keepdims=True)
            total -= weight * float((truth * np.log(np.maximum(shares, LEAST_SHARE))).sum())
            slope += weight * np.einsum("nl,nlf->f", (shares - truth)[:, :-1], x)
        return total, slope

    a, b, c, d, e, f, g = minimize(loss, np.zeros(7), jac=True, method="L-BFGS-B").x.tolist()
    return {
        "KIND": LabelWeights(a, 0.0, b),
        "CONCEPT": LabelWeights(c, d, e),
        "OTHER": LabelWeights(0.0, f, g),
    }


def varied(part: Part, rng: np.random.Generator) -> Iterator[tuple[Array, Array, float]]:
    """(features [n, l, 7], what is chosen [n, l + 1], weight) of the labels of a part, and of subsets of them."""
    kind, concept = part.kind, part.known & ~part.kind
    other, shape = ~part.known, part.truth.shape
    each = (part.logits * kind, kind, part.logits * concept, part.similar * concept, concept)
    every = [*each, part.similar * other, other]
    x = np.stack([np.broadcast_to(column, shape).astype(np.float64) for column in every], axis=2)
    subsets = [np.arange(shape[1])]
    for _ in range(SUBSETS):
        count = round(np.exp(rng.uniform(0, np.log(shape[1]))))
        subsets.append(rng.choice(shape[1], count, replace=False))
    for columns in subsets:
        carried = part.truth[:, columns].astype(np.float64)
        wanted = np.concatenate([carried, carried.sum(axis=1, keepdims=True) == 0], axis=1)
        yield x[:, columns], wanted / wanted.sum(axis=1, keepdims=True), 1 / shape[0] / len(subsets)


def served_raw(part: Part) -> Array:
    """What `ConceptZeroShot` gives, from the part's scores."""
    raw = np.empty(part.truth.shape)
    for column, (kind, known) in enumerate(zip(part.kind, part.known, strict=True)):
        weights = KIND if kind else CONCEPT if known else OTHER
        raw[:, column] = (
            weights.logit * part.logits[:, column]
            + weights.similarity * part.similar[:, column]
            + weights.intercept
        )
    return raw


def first_day(name: str, parts: Sequence[Part], raw: Sequence[Array], model: ZeroShotModel) -> None:
    """Labels set before anything is learnt: a line with the 90% interval over resamples of the repositories."""
    rules = Rules(zero_shot=untaught_rule(ZeroShotConfig(), model))
    hits, told, issues, labelled = [], [], 0, 0
    for part, scores in zip(parts, raw, strict=True):
        names = [*part.names]
        chosen = np.zeros(part.truth.shape, dtype=bool)
        for row, values in zip(chosen, scores.tolist(), strict=True):
            found = zero_shot_scores(rules, dict(zip(names, values, strict=True)))
            best = elect_by_description(found, UNMEASURED, rules.zero_shot.top_k)
            row[[names.index(label) for label in best]] = True
        hits.append(int((chosen & part.truth).sum()))
        told.append(int(chosen.sum()))
        issues += len(chosen)
        labelled += int(chosen.any(axis=1).sum())
    draws = bootstrap(len(parts))
    low, high = np.quantile(
        np.array(hits)[draws].sum(axis=1) / np.array(told)[draws].sum(axis=1), [0.05, 0.95]
    )
    print(
        f"first day, {name}: precision {sum(hits) / sum(told):.3f} ({low:.3f} to {high:.3f}) of {sum(told)} labels, "
        f"{labelled / issues:.3f} of {issues} issues labelled"
    )


def three(path: Path, models: Mapping[str, ZeroShotModel], encoder: Encoder, cache: Path | None) -> None:
    """The best of three described labels, with the interval over resamples of the issues."""
    issues = list(iter_issues(path))
    vectors = embedded(encoder, issues, cache)
    truth = np.array([[label.name for label in THREE].index(issue.labels[0]) for issue in issues])
    draws = bootstrap(len(issues))
    for name, model in models.items():
        best = model.raw([issue.text for issue in issues], vectors, THREE).argmax(axis=1)
        f1 = np.array([f1_score(truth[d], best[d], average="macro") for d in draws])
        low, high = np.quantile(f1, [0.025, 0.975])
        print(
            f"bug, feature or question: {name}: macro-F1 {f1_score(truth, best, average='macro'):.3f} "
            f"({low:.3f} to {high:.3f})"
        )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What the concept head is worth where nothing was learnt.")
    parser.add_argument(
        "many", type=Path, nargs="+", help="issues of many repositories, one JSON object a line"
    )
    parser.add_argument("--one", type=Path, action="append", default=[], help="issues of one repository")
    parser.add_argument("--three", type=Path, help="issues labelled bug, feature or question")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="a folder that keeps vectors between runs")
    parser.add_argument("--encoder", type=Path, help="a model folder (default: the shipped encoder)")
    given = parser.parse_args()
    encoder = Encoder.load(given.encoder or BUILTIN)
    head = ConceptHead.load(encoder)
    if head is None:
        parser.error("the encoder has no concept head")
    groups = held_out_groups(chain.from_iterable(map(iter_issues, given.many)))
    samples = [sample for repo, group in groups.items() if (sample := sampled(group, repo))]
    parts = [part_of(sample, head, encoder, given.cache) for sample in samples]
    issues, labels = (sum(part.truth.shape[axis] for part in parts) for axis in (0, 1))
    kinds = sum(int(part.kind.sum()) for part in parts)
    print(f"{len(parts)} repositories, {issues} issues, {labels} labels, {kinds} of them kinds\n\n{HEAD}")
    table(parts)
    if given.one:
        print("\n| data | scored by | mAP | micro-F1 | macro-F1 | precision |\n|---|---|---|---|---|---|")
    for path in given.one:
        title, sample = one(path)
        elsewhere(title, part_of(sample, head, encoder, given.cache), parts)
    print()
    now = {"KIND": KIND, "CONCEPT": CONCEPT, "OTHER": OTHER}
    for name, weights in constants(parts).items():
        rounded = ", ".join(f"{value:.2f}" for value in astuple(weights))
        print(f"{name} = LabelWeights({rounded}), now {now[name]}")
    model = ConceptZeroShot(head, SimilarityZeroShot.load(encoder))
    first_day("as served", parts, [served_raw(part) for part in parts], model)
    if given.three:
        models: dict[str, ZeroShotModel] = {
            "similarity": SimilarityZeroShot.load(encoder),
            "as served": model,
        }
        three(given.three, models, encoder, given.cache)


if __name__ == "__main__":
    main()
