"""Macro-F1 within each repository, for issues that carry exactly one label: part of `quality.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from baselines import METHODS, Material, Method, answer
from shared import BEST_F1
from sklearn.model_selection import StratifiedKFold

from triage.arrays import Array, Mask
from triage.config import LabelsConfig
from triage.learn.dataset import Dataset, Fold, Split, stratify
from triage.learn.recipe import Engines, Recipe
from triage.metrics import macro_f1

FOLDS, SEED = 5, 0
SERVED, THRESHOLDS, BEST = "served", "thresholds", "best label"
# Predictions for a test window by the way of choosing; all [n, L].
Ways = Mapping[str, Mask]
Chooser = Callable[[Material, Split], Ways]


def windows_of(targets: Mask) -> list[Split]:
    """Five stratified folds; of what is known in each, four stratified parts are tuned on in turn."""
    splits = []
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for known, query in folds.split(targets, targets.argmax(axis=1)):
        parts = [known[part] for part in stratify(targets[known], [1 / 4] * 4, seed=SEED)]
        tune = tuple(Fold(np.setdiff1d(known, part), part) for part in parts)
        splits.append(Split("stratified", tune, Fold(known, query)))
    return splits


def baseline(method: Method, material: Material, windows: Split) -> Ways:
    """A simple method: every label over its threshold, the best one of these, the best one whatever its score."""
    found = answer(method, material, windows)
    best = first(found.scores)
    return {SERVED: found.predicted & best, THRESHOLDS: found.predicted, BEST: best}


def product(adaptation: str, engines: Engines) -> Chooser:
    """The product with its labels as an exclusive group, and without."""

    def ways(material: Material, windows: Split) -> Ways:
        exclusive = LabelsConfig(exclusive=(tuple(material.data.names),))
        group = replace(BEST_F1, labels=exclusive)
        alone, together = (
            Recipe(material.data, material.vectors, windows, config, engines, adaptation).result
            for config in (group, BEST_F1)
        )
        return {SERVED: alone.predicted, THRESHOLDS: together.predicted, BEST: first(alone.scores)}

    return ways


def first(scores: Array) -> Mask:
    """The best label of each row alone; of equal ones the first."""
    best: Mask = np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    return best


def within_repositories(material: Material, engines: Engines, adapt: Sequence[str]) -> str:
    """The table, as Markdown: one row for each method and way of choosing."""
    repos = sorted({issue.repo for issue in material.data.issues})
    parts = [_only(material, repo) for repo in repos]
    lines = [
        f"\nMacro-F1 within each repository, stratified {FOLDS}-fold cross-validation (seed {SEED}), of {SERVED!r}: "
        f"an exclusive group, so at most one label; {THRESHOLDS!r}: every label elected; {BEST!r}: exactly one:\n",
        f"| method | chosen | {' | '.join(repos)} | mean |",
        "|---|---|" + "---|" * (len(repos) + 1),
    ]
    methods: dict[str, Chooser] = {
        **{name: partial(baseline, method) for name, method in METHODS.items()},
        **{f"**triage, `--adapt {adaptation}`**": product(adaptation, engines) for adaptation in adapt},
    }
    for name, ways in methods.items():
        by_repo = [_macro(ways, part) for part in parts]
        for way in (SERVED, THRESHOLDS, BEST):
            f1 = [scores[way] for scores in by_repo]
            lines.append(f"| {name} | {way} | {' | '.join(f'{x:.3f}' for x in (*f1, np.mean(f1)))} |")
    return "\n".join(lines)


def answers_within(ways: Chooser, material: Material, repo: str) -> tuple[Mask, Ways]:
    """The truth within one repository and the predictions by way of choosing, see `_answers`."""
    return _answers(ways, _only(material, repo))


def _macro(ways: Chooser, material: Material) -> dict[str, float]:
    """Macro-F1 by way of choosing."""
    truth, found = _answers(ways, material)
    return {way: macro_f1(truth, predicted) for way, predicted in found.items()}


def _answers(ways: Chooser, material: Material) -> tuple[Mask, Ways]:
    """The truth and the predictions for the queries of all folds together."""
    splits = windows_of(material.data.targets)
    found = [ways(material, windows) for windows in splits]
    truth = np.concatenate([material.data.targets[windows.test.query] for windows in splits])
    return truth, {way: np.concatenate([each[way] for each in found]) for way in found[0]}


def _only(material: Material, repo: str) -> Material:
    data = material.data
    rows = [i for i, issue in enumerate(data.issues) if issue.repo == repo]
    part = Dataset([data.issues[i] for i in rows], data.names, data.targets[rows], {})
    return Material(part, material.vectors[rows])
