"""Learning does nothing twice: what does not depend on a recipe is computed once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.learning import NOW, Material
from triage.arrays import Floats
from triage.config import Config
from triage.engine.encoder import Encoder
from triage.issue import Issue
from triage.learn import dataset, recipe
from triage.learn.dataset import Reviewed
from triage.learn.gate import judge_candidate
from triage.learn.recipe import Recipe
from triage.learn.retrain import RetrainContext, TrainedBundle, learn


def calls(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[int]:
    """The number of items that each call of a function gets from now on."""
    sizes: list[int] = []
    original: Callable[..., Any] = getattr(module, name)

    def noted(items: Any, *more: Any, **named: Any) -> Any:
        sizes.append(len(items))
        return original(items, *more, **named)

    monkeypatch.setattr(module, name, noted)
    return sizes


def learnt(material: Material, config: Config, unlabelled: list[Issue]) -> TrainedBundle:
    """From the sample, with unlabelled issues that have vectors."""
    data = replace(material.data, unlabelled=material.data.issues[:20])
    return learn(
        data,
        material.vectors,
        config,
        material.engines,
        RetrainContext(NOW),
        unlabelled,
        material.vectors[:20],
    )


def test_two_recipes_and_a_rival_count_each_text_once(
    material: Material, sample_config: Config, new_issues: list[Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features of all texts once; what tells labelled issues once before the newest window and once for the bundle."""
    counted, told = calls(monkeypatch, dataset, "count"), calls(monkeypatch, recipe, "propensity")
    made = learnt(material, sample_config, new_issues[:2])
    other = "none" if made.recipe.adaptation == "head" else "head"
    active = replace(made.bundle.manifest, recipe={**made.bundle.manifest.recipe, "adaptation": other})
    judged = judge_candidate(replace(made.bundle, manifest=active), made.recipe)
    assert len(judged.differences) == 3
    assert counted == [len(material.data)]
    assert told == [len(made.recipe.split.test.known), len(material.data)]


def test_what_was_encoded_is_not_encoded_again(
    material: Material, sample_config: Config, new_issues: list[Issue], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the recipe: issues whose vectors are given, with or without labels of the bot, cost no run."""
    unlabelled, reviewed = new_issues[:2], new_issues[2:4]
    data = replace(material.data, reviewed=[Reviewed(issue, (), ()) for issue in reviewed])
    encoder = material.engines.encoder
    seen = [*unlabelled, *reviewed]
    vectors = dict(zip([issue.digest for issue in seen], encoder.encode([i.text for i in seen]), strict=True))
    encoded: list[str] = []
    original = type(encoder).encode

    def noted(self: Encoder, texts: Sequence[str], **named: Any) -> Floats:
        encoded.extend(texts)
        return original(self, texts, **named)

    def made(given: Mapping[str, Floats]) -> TrainedBundle:
        context = RetrainContext(NOW)
        return learn(
            data, material.vectors, sample_config, material.engines, context, unlabelled, encoded=given
        )

    monkeypatch.setattr(Encoder, "encode", noted)
    once = made(vectors)
    assert [d.key for d in once.recipe.on_unlabelled] == [issue.key for issue in unlabelled]
    assert not {issue.text for issue in seen} & set(encoded)
    again = made({})
    assert {issue.text for issue in seen} <= set(encoded)
    assert (once.bundle.rules, once.recipe.on_unlabelled) == (again.bundle.rules, again.recipe.on_unlabelled)


def test_a_candidate_is_not_decided_again_under_its_own_target(
    material: Material, sample_config: Config, new_issues: list[Issue]
) -> None:
    """The gate judges under the candidate's target, which it has already; another target is another recipe."""
    candidate: Recipe = learnt(material, sample_config, new_issues[:2]).recipe
    own = candidate.rules.aim(candidate.policy.target)
    assert candidate.under(own) is candidate
    other = candidate.under(own / 2)
    assert other.policy.target == own / 2
    assert (other.window, other.rules) == (candidate.window, candidate.rules)
