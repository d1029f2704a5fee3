"""The methods that are compared, by the names that `--methods` takes; each module is imported when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec

from triage.errors import MissingExtra, TriageError, UsageError, did_you_mean, install
from triage.study.protocol import Method, MethodContext

# name → module of this package, and its class. Cheap methods first: a budget is spent in this order.
METHODS: Mapping[str, tuple[str, str]] = {
    "naive-bayes": ("classical", "NaiveBayes"),
    "tfidf": ("classical", "Tfidf"),
    "embedding": ("zero_shot", "Embedding"),
    "concepts": ("zero_shot", "Concepts"),
    "neighbours": ("neighbours", "Neighbours"),
    "adapted": ("product", "Product"),
    "naive-bayes-augmented": ("classical", "AugmentedNaiveBayes"),
    "fill-mask": ("fill_mask", "FillMask"),
    "nli": ("zero_shot", "Inference"),
    "fine-tuned": ("fine_tuned", "FineTuned"),
    "domain-adapted": ("fine_tuned", "DomainAdapted"),
    "tuned": ("product", "ProductFinetuned"),
    "few-shot": ("few_shot", "FewShot"),
}
# What `--model NAME=WHERE` may name (docs/how-to/compare-methods.md).
MODELS = ("nli", "masked", "causal", "there", "back", "weights", "synonyms")
# The packages of the extra `train`.
TORCH = ("torch", "transformers")


def chosen(text: str | None) -> list[str]:
    """The names in "a,b", or all. Raises UsageError for one that is unknown."""
    names = list(METHODS) if text is None else text.replace(",", " ").split()
    _check(names, METHODS, "a method")
    return [name for name in METHODS if name in names]


def models(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Where models are, by what they are used for. Raises UsageError for a use that is unknown."""
    found = dict(named)
    _check(found, MODELS, "the name of a model that a method uses")
    return found


def _check(names: Iterable[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            meant = did_you_mean(name, known)
            raise UsageError(
                f"{name!r:.40} is not {what}", next_step=f"{meant}choose from {', '.join(known)}"
            )


def build(name: str, context: MethodContext) -> Method:
    """The method of this name. Raises MissingExtra and ModelError."""
    module, kind = METHODS[name]
    try:
        method: Method = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(context)
    except ModuleNotFoundError as error:
        raise MissingExtra(lacking("train") or f"{error.name} is not installed", "train") from error
    return method


def build_all(names: Sequence[str], context: MethodContext) -> tuple[dict[str, Method], dict[str, str]]:
    """(methods by name, why each of the others cannot be built here)."""
    built, left_out = {}, {}
    for name in names:
        try:
            method = build(name, context)
            why = lacking(method.needs) or method.unavailable()
        except TriageError as error:
            why = error.what
        if why:
            left_out[name] = why
        else:
            built[name] = method
    return built, left_out


def lacking(needs: str) -> str:
    """What to install for the extra `needs`; "" where it is there."""
    packages = TORCH if needs == "train" else ("sklearn",)
    missing = [package for package in packages if find_spec(package) is None]
    return f"{', '.join(missing)} is not installed: {install(needs)}" if missing else ""
