"""Zero-shot quality of the concept head by label names alone, compared with similarity and the cross-encoder.

    python benchmarks/concepts.py MANY... [--three FILE] [--cache DIR]

MANY hold issues of many repositories, of which those kept aside (`triage/training/held_out.py`) and not evaluated
otherwise are used; at most 75 issues of each (seed 20), labels with at least 10 uses. Each way of scoring is a logistic
regression of what it knows, fitted on three quarters of the repositories together with its threshold (best micro-F1)
and measured on the others, four times. Intervals are of the difference to the cross-encoder, over 1000 resamples of the
repositories (seed 0). Below the table: the constants of `triage/engine/concepts.py`, fitted on those of
the first file, and the labels set on a first day, at the product's probability of 0.8. --three: issues with exactly one
of the labels bug, feature and question, the best one by name and description. --cache keeps vectors and the
cross-encoder's scores between runs.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from shared import embedded
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from zero_shot import THREE

from triage.arrays import Array, Floats, Mask
from triage.bundle.model import untaught_rule
from triage.config import ZeroShotConfig
from triage.decide.rules import UNMEASURED, Rules, elect_by_description, zero_shot_scores
from triage.engine.concepts import INTERCEPT, KIND_CONCEPTS, LOGIT, ConceptHead, ConceptZeroShot, concept_of
from triage.engine.encoder import Encoder
from triage.engine.model_folder import shipped
from triage.engine.zero_shot import BUILTIN_ZERO_SHOT, ZeroShotModel
from triage.engine.zero_shot.cross_encoder import CrossEncoder
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.issue import Issue
from triage.learn.tune import best_cut
from triage.metrics import bootstrap, macro_f1, micro_f1, precision_recall
from triage.sources.issue_file import iter_issues
from triage.text import LabelText
from triage.training.corpus import held_out_groups
from triage.training.cross_encoder_export import sampled

FOLDS, SEED = 4, 0
Way = Callable[["Part"], Array]
CROSS_ENCODER = "cross-encoder"
HEAD = (
    "| scored by | mAP | micro-F1 | macro-F1 | precision | micro-F1 to the cross-encoder | mAP to the cross-encoder |\n"
    "|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Part:
    """Issues of one repository: raw scores of its labels and which apply, all [n, L]; `kind` and `known` are [L].

    `logits` are those of a label's concept, 0 where the head does not know it.
    """

    similar: Floats
    read: Floats
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


def by_cross_encoder(part: Part) -> Array:
    """The cross-encoder with similarity, as it is served."""
    return columns(part, part.read)


def kinds_by_concept(part: Part) -> Array:
    """Kinds by concept, the rest by the cross-encoder."""
    return columns(part, part.logits * part.kind, part.kind, part.read * ~part.kind)


def kinds_by_concept_and_similarity(part: Part) -> Array:
    """Kinds by concept and similarity, the rest by the cross-encoder."""
    kind = part.kind
    return columns(part, part.logits * kind, part.similar * kind, kind, part.read * ~kind)


def without_cross_encoder(part: Part) -> Array:
    """Every label with a concept by it and by similarity, the others by similarity."""
    kind, other = part.kind, part.known & ~part.kind
    return columns(
        part,
        *(part.logits * kind, part.similar * kind, kind),
        *(part.logits * other, part.similar * other, other),
        part.similar * ~part.known,
    )


def kinds_by_both(part: Part) -> Array:
    """The cross-encoder for every label, and for kinds the concept besides."""
    return columns(part, part.read, part.logits * part.kind, part.similar * part.kind, part.kind)


WAYS = {
    "similarity": by_similarity,
    CROSS_ENCODER: by_cross_encoder,
    "**kinds by concept, the rest by the cross-encoder** (as served)": kinds_by_concept,
    "kinds by concept and similarity": kinds_by_concept_and_similarity,
    "kinds by concept and cross-encoder": kinds_by_both,
    "concepts and similarity, no cross-encoder": without_cross_encoder,
}


class Judge:
    """The shipped cross-encoder, whose scores a folder keeps."""

    def __init__(self, encoder: Encoder, cache: Path | None) -> None:
        self.model = CrossEncoder(shipped(BUILTIN_ZERO_SHOT), SimilarityZeroShot.load(encoder))
        self._cache = cache

    def raw(self, issues: Sequence[Issue], vectors: Floats, names: Sequence[str]) -> Floats:
        """[n, L]"""
        key = hashlib.sha256("\n".join([self.model.digest, *(i.digest for i in issues), *names]).encode())
        file = self._cache / f"judge-{key.hexdigest()[:16]}.npy" if self._cache else None
        if file and file.is_file():
            kept: Floats = np.load(file, allow_pickle=False)
            return kept
        raw = self.model.raw([i.text for i in issues], vectors, [LabelText(name) for name in names])
        if file:
            np.save(file, raw, allow_pickle=False)
        return raw


def part_of(
    sample: tuple[Sequence[Issue], Sequence[str], Mask],
    judge: Judge,
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
        read=judge.raw(issues, vectors, names),
        logits=np.stack(of, axis=1).astype(np.float32),
        kind=np.array([concept in KIND_CONCEPTS for concept in concepts]) & known,
        known=known,
        truth=truth,
        names=names,
    )


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
        base = answers[CROSS_ENCODER]
        micro = [
            pooled([parts[i] for i in d], [found[i] for i in d])
            - pooled([parts[i] for i in d], [base[i] for i in d])
            for d in draws.tolist()
        ]
        ranked = (average[name] - average[CROSS_ENCODER])[draws].mean(axis=1)
        more = " | ".join("" if name == CROSS_ENCODER else interval(x) for x in (np.array(micro), ranked))
        print(f"| {name} | {' | '.join(f'{x:.3f}' for x in cells)} | {more} |", flush=True)


def interval(values: Array) -> str:
    """95 %."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{low:+.3f} to {high:+.3f}"


def served_raw(part: Part, judge: CrossEncoder) -> Array:
    """What `ConceptZeroShot` gives, from the parts' scores."""
    odds = LOGIT * part.logits + INTERCEPT
    raw: Array = np.where(part.kind, (odds - judge.intercept) / judge.slope, part.read).astype(np.float64)
    return raw


def first_day(name: str, parts: Sequence[Part], raw: Sequence[Array], model: ZeroShotModel) -> None:
    """Labels set before anything is learnt: a line with the 90 % interval over resamples of the repositories."""
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
    parser.add_argument("--three", type=Path, help="issues labelled bug, feature or question")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="a folder that keeps vectors and scores between runs"
    )
    given = parser.parse_args()
    encoder = Encoder.load()
    head = ConceptHead.load(encoder)
    if head is None:
        parser.error("the shipped encoder has no concept head")
    judge = Judge(encoder, given.cache)
    first = {issue.repo for issue in iter_issues(given.many[0])}
    groups = held_out_groups(chain.from_iterable(map(iter_issues, given.many)))
    samples = [sample for repo, group in groups.items() if (sample := sampled(group, repo))]
    parts = [part_of(sample, judge, head, encoder, given.cache) for sample in samples]
    issues, labels = (sum(part.truth.shape[axis] for part in parts) for axis in (0, 1))
    kinds = sum(int(part.kind.sum()) for part in parts)
    print(f"{len(parts)} repositories, {issues} issues, {labels} labels, {kinds} of them kinds\n\n{HEAD}")
    table(parts)
    calibrating = [part for part, sample in zip(parts, samples, strict=True) if sample[0][0].repo in first]
    served = fit(kinds_by_concept, calibrating)
    logit, kind, _ = served.coef_[0]
    fitted = f"logit {logit:.2f} ({LOGIT}), intercept {served.intercept_[0] + kind:.2f} ({INTERCEPT})"
    print(f"\n{len(calibrating)} repositories: {fitted}")
    similar_alone = SimilarityZeroShot.load(encoder)
    model = ConceptZeroShot(head, judge.model)
    first_day("cross-encoder", parts, [part.read.astype(np.float64) for part in parts], judge.model)
    first_day("as served", parts, [served_raw(part, judge.model) for part in parts], judge.model)
    if given.three:
        models: dict[str, ZeroShotModel] = {"similarity": similar_alone, "as served": model}
        three(given.three, models, encoder, given.cache)


if __name__ == "__main__":
    main()
