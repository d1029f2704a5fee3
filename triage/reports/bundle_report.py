"""Bundles for people to read on a terminal: the bundles of a store as a table, and one of them in full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from triage.bundle.bundle import Bundle, BundleManifest
from triage.decide.rules import BEST_F1, LabelRule, OperatingPoint, Rules
from triage.markdown import columns

HEADS = ("bundle", "made", "learnt from", "labels", "target", "labels set on", "right", "state")
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
            "point": asdict(manifest.point) if manifest and manifest.point else None,
            "problem": self.problem or None,
        }


def listing(lines: Sequence[BundleLine]) -> list[str]:
    """The table of a store's bundles."""
    return columns([HEADS, *map(_cells, lines)]) if lines else []


def _cells(line: BundleLine) -> tuple[str, ...]:
    manifest, state = line.manifest, "; ".join(filter(None, [line.role, line.problem]))
    if manifest is None:
        return (line.name, *[UNKNOWN] * 6, state)
    point = manifest.point
    return (
        line.name,
        manifest.created_at[:16].replace("T", " "),
        f"{manifest.issues} issues",
        str(manifest.labels or UNKNOWN),
        _target(manifest),
        f"{point.coverage:.0%} of issues" if point else UNKNOWN,
        f"{point.right} of {point.labels}" if point else UNKNOWN,
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
        "target": f"{_target(manifest)}, when it was learnt"
        + (f": {gives(manifest.point)}" if manifest.point else ""),
        "split": divided(manifest.split),
        "newest issues": on_the_newest(manifest.figures) or "not measured",
    }
    width = max(map(len, facts))
    return [
        f"bundle {name}{f' is {role}' if role else ''}",
        *(f"  {title:<{width}}  {text}" for title, text in facts.items()),
        *label_table(rules, lambda rule: how_set(rules, rule, manifest.target)),
    ]


def gives(point: OperatingPoint) -> str:
    """What a precision target would have achieved, in words."""
    if point.threshold is None:
        return "not reached"
    return f"{point.coverage:.0%} of issues labelled, {point.right} of {point.labels} labels right"


def on_the_newest(figures: Mapping[str, float]) -> str:
    """The figures on the newest issues, in words; empty where they are not all there."""
    if not {"issues", "coverage", "precision", "micro_f1", "macro_f1"} <= figures.keys():
        return ""
    issues = f"the newest {figures['issues']:.0f} got a label"
    if not figures["coverage"]:
        return f"learnt from the older issues alone, none of {issues}"
    return (
        f"learnt from the older issues alone, {figures['coverage']:.0%} of {issues}, and {figures['precision']:.0%} "
        f"of these labels were right; counting missed labels too, micro-F1 is {figures['micro_f1']:.3f} and macro-F1 "
        f"{figures['macro_f1']:.3f}"
    )


def divided(split: Mapping[str, str]) -> str:
    """How many issues a bundle was learnt, tuned and measured on, and from which day on."""
    if not split:
        return UNKNOWN
    days = {
        part: f" (from {split[f'{part}_from']:.10})" for part in ("tune", "test") if f"{part}_from" in split
    }
    purposes = {"train": "to learn from", "tune": "to tune on", "test": "to measure on"}
    parts = (f"{split.get(part, 0)} {what}{days.get(part, '')}" for part, what in purposes.items())
    kind = split.get("kind", "")
    how = f"by {kind}" if kind == "time" else kind
    if "undated" in split:
        how += without_dates(kind, split["undated"])
    return f"{how}: {', '.join(parts)}"


def without_dates(kind: str, undated: str) -> str:
    """What became of the issues that have no date, in brackets after how all were split."""
    return f" ({undated} without a date{', taken as the oldest' if kind == 'time' else ''})"


def label_table(rules: Rules, how: Callable[[LabelRule], str]) -> list[str]:
    """The labels for a terminal, those with most examples first; `how` says how one is set."""
    heads = ("label", "examples", "set", "right on newer issues")
    rows = (
        (
            rule.name,
            str(rule.examples),
            how(rule),
            "" if rule.precision is None else f"{rule.precision:.0%} of {rule.predicted}",
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
