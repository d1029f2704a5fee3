"""Bundles for people to read on a terminal: the bundles of a store as a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from triage.bundle.bundle import Bundle, BundleManifest
from triage.decide.rules import BEST_F1, LabelRule, Rules
from triage.markdown import columns
from triage.reports.label_report import meter

HEADS = ("bundle", "made", "issues", "labels", "micro-F1", "target", "state")
UNKNOWN = "?"
UNOPPOSED = "hardly any learnt issue is without it"
UNREACHED = ", which no newer issue reached"


@dataclass(frozen=True)
class BundleLine:
    """A bundle in a list: its role, or empty, and its manifest, or the reason why that is not known."""

    name: str
    role: str
    manifest: BundleManifest | None
    problem: str = ""

    def to_dict(self) -> dict[str, object]:
        """The line as a JSON object; null is what is not known."""
        manifest = self.manifest
        return {
            "name": self.name,
            "state": self.role or None,
            "created_at": manifest.created_at if manifest else None,
            "issues": manifest.issues if manifest else None,
            "labels": manifest.labels or None if manifest else None,
            "micro_f1": manifest.figures.get("micro_f1") if manifest else None,
            "precision_target": manifest.target if manifest else None,
            "problem": self.problem or None,
        }


def listing(lines: Sequence[BundleLine]) -> list[str]:
    """The table of a store's bundles."""
    return columns([HEADS, *map(_cells, lines)]) if lines else []


def _cells(line: BundleLine) -> tuple[str, ...]:
    manifest, state = line.manifest, "; ".join(filter(None, [line.role, line.problem]))
    if manifest is None:
        return (line.name, *[UNKNOWN] * 5, state)
    f1 = manifest.figures.get("micro_f1")
    return (
        line.name,
        manifest.created_at[:16].replace("T", " "),
        str(manifest.issues),
        str(manifest.labels or UNKNOWN),
        UNKNOWN if f1 is None else f"{f1:.3f}",
        _target(manifest),
        state,
    )


def _target(manifest: BundleManifest) -> str:
    if manifest.target is None:
        return UNKNOWN
    return f"{manifest.target:g}" if manifest.target > BEST_F1 else "none"


def shown(name: str, role: str, bundle: Bundle) -> list[str]:
    """A bundle in full: its origin, its rules, what was measured, and its labels."""
    manifest, rules = bundle.manifest, bundle.rules
    sources = ", ".join(filter(None, manifest.sources)) or "no named repository"
    facts = {
        "made": f"{manifest.created_at} by triage {manifest.triage_version}",
        "learnt from": f"{manifest.issues} issues of {sources}",
        "after": manifest.after or "no other bundle",
        "encoder": f"{manifest.encoder}{', its own' if bundle.encoder else ''}, adaptation {manifest.adaptation}",
        "zero-shot": manifest.zero_shot or UNKNOWN,
        "vote": f"{rules.k} neighbours, {rules.weighting} weights; labels with at least {rules.min_examples} examples",
        "shared": ", ".join(rules.shared) or "no label between repositories",
        "target": f"{_target(manifest)}, when it was learnt",
        "split": divided(manifest.split),
        "held-out": ", ".join(f"{key} {value:g}" for key, value in manifest.figures.items())
        or "not measured",
    }
    width = max(map(len, facts))
    return [
        f"bundle {name}{f' is {role}' if role else ''}",
        *(f"  {title:<{width}}  {text}" for title, text in facts.items()),
        *label_table(rules, lambda rule: how_set(rules, rule, manifest.target)),
    ]


def divided(split: Mapping[str, str]) -> str:
    """How many issues a bundle was learnt, tuned and measured on, and from which day on."""
    if not split:
        return UNKNOWN
    days = {
        part: f" (from {split[f'{part}_from']:.10})" for part in ("tune", "test") if f"{part}_from" in split
    }
    purposes = {"train": "to learn from", "tune": "to tune on", "test": "to measure on"}
    parts = (f"{split.get(part, 0)} {what}{days.get(part, '')}" for part, what in purposes.items())
    return f"{'by ' if split.get('kind') == 'time' else ''}{split.get('kind', '')}: {', '.join(parts)}"


def label_table(rules: Rules, how: Callable[[LabelRule], str]) -> list[str]:
    """The labels for a terminal, those with most examples first; `how` says how one is set."""
    heads = ("label", "examples", "set", "precision on newer issues")
    rows = (
        (
            rule.name,
            str(rule.examples),
            how(rule),
            "" if rule.precision is None else f"{meter(rule.precision)} of {rule.predicted}",
        )
        for rule in sorted(rules.labels, key=lambda rule: (-rule.examples, rule.name))
    )
    return ["", *columns([heads, *rows], indent="  ")] if rules.labels else []


def is_never_set(rules: Rules, rule: LabelRule) -> bool:
    """Whether a label with enough examples was set on no issue when the rules were measured."""
    return bool(rules.points) and rule.precision is None


def is_settable(rules: Rules, rule: LabelRule) -> bool:
    """Whether the rules set the label at all: by votes, or by its description if these cannot tell."""
    if rule.name not in rules.needed:
        return rules.zero_shot.rare is not None
    return not is_never_set(rules, rule)


def how_set(rules: Rules, rule: LabelRule, target: float | None, barred: str | None = None) -> str:
    """How a label gets set under its precision target, or what keeps it from that, such as why it is `barred`."""
    if barred:
        return f"never: {barred}"
    if rule.name not in rules.needed:
        by_description = rules.zero_shot.rare is not None
        if rule.examples >= rules.min_examples:
            return f"{'by its description alone' if by_description else 'not yet'}: {UNOPPOSED}"
        return "by its description alone" if by_description else "not yet: too few examples"
    least = max(rule.enough, rules.threshold(target))
    needed = f"from {rule.votes or 0:.1f} votes and a probability of {least:.2f}"
    return f"{needed}{UNREACHED}" if is_never_set(rules, rule) else needed
