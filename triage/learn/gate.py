"""The gate: a candidate becomes active only if its recipe is not worse than that of the active bundle.

Both recipes are fitted without the newest window and judged on it, so that neither has seen it. Differences are paired:
both are judged on the same bootstrap samples of issues.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from triage.arrays import Array
from triage.bundle.bundle import Bundle
from triage.config import Config, VoteConfig
from triage.issue import RepositoryIds, fold, folded, present_names
from triage.learn.dataset import Dataset
from triage.learn.head import ADAPTATIONS
from triage.learn.recipe import HeldOutResult, Recipe
from triage.metrics import bootstrap
from triage.schema import SchemaError, build

# How much worse a candidate may be, in F1 or precision: the noise of a few hundred issues.
TOLERANCE: Mapping[str, float] = {"micro-F1": 0.01, "macro-F1": 0.02, "precision": 0.02}
# How many more unlabelled issues, as a share, a candidate may label.
ADDED_TOLERANCE = 0.1
# A loss beyond the tolerance counts when this share of the samples shows one; the interval leaves out 5% each side.
SURE, TAIL = 0.8, 0.05


@dataclass(frozen=True)
class MetricDifference:
    """One measure of both; `low` and `high` bound the paired difference, `worse` is its probability to be below 0."""

    measure: str
    active: float
    candidate: float
    low: float
    high: float
    worse: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Not worse beyond the tolerance, or not significantly."""
        return self.candidate >= self.active - self.tolerance or self.worse < SURE


@dataclass(frozen=True)
class GateResult:
    """The comparison; `objections` are empty where the candidate passed."""

    differences: tuple[MetricDifference, ...] = ()
    objections: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.objections


def recipe_settings(config: Config, adaptation: str, *, own_encoder: bool = False) -> dict[str, object]:
    """The configuration that a bundle depends on, besides the data, the models and the policy."""
    vote = dataclasses.asdict(config.vote)
    del vote["precision_target"]
    zero_shot = {"threshold": config.zero_shot.threshold, "top_k": config.zero_shot.top_k}
    return {"adaptation": adaptation, "own_encoder": own_encoder, "vote": vote, "zero_shot": zero_shot}


def is_current(bundle: Bundle, config: Config, data: Dataset) -> bool:
    """Whether the bundle was learnt with these settings, and from no other repositories than the data's."""
    said, now = bundle.manifest.recipe, recipe_settings(config, "")
    repositories = folded(issue.repo for issue in data.issues)
    return (
        all(said.get(section, now[section]) == now[section] for section in ("vote", "zero_shot"))
        and bundle.rules.shared == config.learn.sharing
        and folded(bundle.manifest.sources) <= repositories
    )


def judge_candidate(
    active: Bundle,
    candidate: Recipe,
    *,
    exist: Collection[str] | None = None,
    ids: Iterable[RepositoryIds] = (),
    untuned: Recipe | None = None,
) -> GateResult:
    """Compare the candidate with the recipe of the active bundle, on the candidate's newest window.

    `untuned` is the same recipe without the candidate's own encoder, where it has one. `exist` are the labels that the
    repository has now (None: unknown), with the `ids` of what was read: a deleted or renamed one may vanish.
    """
    objections = [
        f"the label {name} has no examples left; it had {count}"
        for name, count in _vanished(active, candidate, exist, ids)
    ]
    if not candidate.enough:
        return GateResult(objections=tuple(objections), notes=("too few issues to compare recipes",))
    had_own = bool(active.manifest.recipe.get("own_encoder"))
    if had_own and untuned is None:
        objections.append(
            "the active bundle has an encoder of its own: learn with --adapt encoder, as before"
        )
        return GateResult(objections=tuple(objections))
    rival, notes = _rival(active, candidate if untuned is None or had_own else untuned)
    if rival is candidate:
        notes = (*notes, "the recipe is the same as that of the active bundle")
    # Under one policy, the new one: another target is a wish, not a regression.
    target = candidate.rules.aim(candidate.policy.target)
    rival, candidate = rival.under(target), candidate.under(target)
    differences = compare(rival.result, candidate.result)
    objections += [
        f"{d.measure} would fall from {d.active:.3f} to {d.candidate:.3f} (tolerance {d.tolerance:.2f})"
        for d in differences
        if not d.passed
    ]
    had, has = rival.added_on_unlabelled, candidate.added_on_unlabelled
    if has > had + ADDED_TOLERANCE:
        objections.append(f"{has:.0%} of unlabelled issues would get labels, up from {had:.0%}")
    return GateResult(differences, tuple(objections), notes)


def compare(active: HeldOutResult, candidate: HeldOutResult) -> tuple[MetricDifference, ...]:
    """Every measure of two results on the same issues and labels, with its bootstrap interval."""
    issues = len(active.truth)
    drawn = np.array([np.bincount(rows, minlength=issues) for rows in bootstrap(issues)], dtype=float)
    # How often each issue is in a sample, after a row for all issues, once each.
    drawn = np.vstack([np.ones(issues), drawn])
    differences = []
    for name, had, has in zip(TOLERANCE, _measured(active, drawn), _measured(candidate, drawn), strict=True):
        gaps = (has - had)[1:]
        low, high = np.quantile(gaps, [TAIL, 1 - TAIL])
        differences.append(
            MetricDifference(
                name,
                float(had[0]),
                float(has[0]),
                float(low),
                float(high),
                float(np.mean(gaps < 0)),
                TOLERANCE[name],
            )
        )
    return tuple(differences)


def _measured(result: HeldOutResult, drawn: Array) -> tuple[Array, Array, Array]:
    """The measures of TOLERANCE for each sample; `drawn` [samples, n] is how often an issue is in it."""
    masks = result.truth & result.predicted, result.predicted, result.truth
    hits, predicted, true = (drawn @ mask for mask in masks)
    either = predicted + true
    f1 = np.divide(2 * hits, either, out=np.zeros_like(hits), where=either > 0)
    labels = np.maximum((true > 0).sum(axis=1), 1)
    right, set_, all_ = hits.sum(axis=1), predicted.sum(axis=1), either.sum(axis=1)
    macro = np.where(true > 0, f1, 0).sum(axis=1) / labels
    return 2 * right / np.maximum(1, all_), macro, right / np.maximum(1, set_)


def _rival(active: Bundle, candidate: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """The active bundle's recipe on the candidate's data, and notes on what could not be the same."""
    manifest, notes = active.manifest, []
    if manifest.encoder_digest != candidate.engines.encoder.digest:
        notes.append(
            f"the active bundle's encoder, {manifest.encoder}, is missing: its recipe gets the new one"
        )
    try:
        vote = build(VoteConfig, manifest.recipe.get("vote", {}))
        vote = replace(vote, precision_target=candidate.config.vote.precision_target)
    except SchemaError as error:
        notes.append(f"the active bundle's recipe cannot be read ({error}): the default is used instead")
        vote = VoteConfig()
    how = str(manifest.recipe.get("adaptation", manifest.adaptation))
    if how not in ADAPTATIONS:
        notes.append(f"the active bundle's adaptation, {how!r:.40}, is unknown: none is used instead")
        how = "none"
    if how == candidate.adaptation and vote == candidate.config.vote:
        return candidate, tuple(notes)
    return candidate.rival(how, replace(candidate.config, vote=vote)), tuple(notes)


def _vanished(
    active: Bundle, candidate: Recipe, exist: Collection[str] | None, ids: Iterable[RepositoryIds]
) -> list[tuple[str, int]]:
    """Labels that the active bundle votes on and that are missing in the new data for no known reason."""
    policy, known = candidate.policy, folded((*candidate.data.names, *candidate.data.process))
    renamed = _renamed(active, ids)
    there = None if exist is None else folded(exist) - renamed
    return [
        (rule.name, rule.examples)
        for rule in active.rules.voted
        if fold(rule.name) not in known
        and policy.may_set(rule.name) is None
        and (there is None or fold(rule.name) in there)
    ]


def _renamed(active: Bundle, ids: Iterable[RepositoryIds]) -> frozenset[str]:
    """The former names of labels that were renamed since, though other labels may have taken these names."""
    now = {each.id: each.labels for each in ids}
    known = [before for before in active.ids if before.id in now]
    names = (present_names(before.labels, before.labels, now[before.id]) for before in known)
    return folded(old for each in names for old, new in each.items() if fold(old) != fold(new))
