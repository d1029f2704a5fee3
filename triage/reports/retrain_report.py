"""What a retraining did, for the terminal and for the job summary."""

from __future__ import annotations

from collections.abc import Iterator

from triage.bundle.bundle import Bundle
from triage.decide.rules import Rules
from triage.learn.dataset import Dataset
from triage.learn.gate import GateResult
from triage.learn.retrain import TrainedBundle
from triage.reports.job_summary import escape
from triage.reports.terminal import meter


def news(active: Bundle, data: Dataset) -> int:
    """How many issues the active bundle does not hold with these labels."""
    held = dict(zip(active.rows.keys, active.rows.labels, strict=True))
    return sum(held.get(issue.key) != issue.labels for issue in data.issues)


def plain(name: str, learnt: TrainedBundle, ruling: GateResult, computed: int) -> list[str]:
    """The lines for a terminal."""
    manifest, rules, data = learnt.bundle.manifest, learnt.bundle.rules, learnt.study.data
    left_out = ", ".join(f"{count} {reason}" for reason, count in data.dropped.items())
    tried = ", ".join(f"{how} {f1:.3f}" for how, f1 in learnt.tried.items())
    split = ", ".join(f"{key} {value}" for key, value in manifest.split.items())
    sources = ", ".join(filter(None, manifest.sources)) or "no named repository"
    return [
        f"bundle {name} is {'active' if ruling.passed else 'staged: it did not pass the gate'}",
        f"  learnt from    {manifest.issues} issues of {sources}",
        f"  left out       {left_out or 'none'}",
        f"  embedded       {computed} texts, {manifest.issues - computed} from the cache",
        f"  labels         {len(rules.voted)} with at least {rules.min_examples} examples, {len(rules.rare)} rarer",
        f"  adaptation     {_adaptation(learnt.bundle)}{f' (micro-F1 when tuning: {tried})' if tried else ''}",
        f"  vote           {rules.k} neighbours, {rules.weighting} weights",
        *(f"  never set      {name}: it does not reach the precision target" for name in _short(rules)),
        f"  split          {split}",
        *(f"  held-out       {line}" for line in _held_out(manifest.figures)),
        *(f"  gate           {line}" for line in _gate(ruling)),
        *(f"  not learnt     {label}: {why}" for label, why in data.process.items()),
    ]


def _short(rules: Rules) -> list[str]:
    """The labels that votes never set, though they have examples enough."""
    return [rule.name for rule in rules.voted if rule.votes is None]


def _adaptation(bundle: Bundle) -> str:
    how = bundle.manifest.adaptation
    return how if not bundle.encoder else "encoder" if how == "none" else f"encoder and {how}"


def _held_out(figures: dict[str, float]) -> Iterator[str]:
    if figures:
        yield (
            f"micro-F1 {figures['micro_f1']:.3f}, macro-F1 {figures['macro_f1']:.3f}, precision "
            f"{figures['precision']:.3f} at {figures['coverage']:.0%} coverage, {figures['issues']:.0f} issues"
        )


def _gate(ruling: GateResult) -> Iterator[str]:
    for d in ruling.differences:
        yield (
            f"{d.measure} {d.active:.3f} → {d.candidate:.3f} "
            f"(difference {d.low:+.3f} to {d.high:+.3f}, tolerance {d.tolerance:.2f})"
        )
    yield from ruling.notes
    yield from (f"objection: {objection}" for objection in ruling.objections)


def markdown(name: str, learnt: TrainedBundle, ruling: GateResult, active: Bundle | None) -> str:
    """For the job summary; holds label names and numbers alone."""
    manifest = learnt.bundle.manifest
    verdict = "is active" if ruling.passed else "is staged, the active bundle stays"
    before = active.manifest.issues if active else 0
    lines = [
        f"### Bundle <code>{name}</code> {verdict}",
        "",
        f"Learnt from {manifest.issues} labelled issues ({manifest.issues - before:+d}), "
        f"adaptation {_adaptation(learnt.bundle)}.",
        *(f"On the newest issues, looked at once: {line}." for line in _held_out(manifest.figures)),
        "",
        *(f"- **Objection:** {escape(objection)}" for objection in ruling.objections),
        *(f"- {escape(note)}" for note in ruling.notes),
        "",
        *_differences(ruling),
        *_labels(learnt, active),
    ]
    return "\n".join(lines) + "\n"


def _differences(ruling: GateResult) -> Iterator[str]:
    if ruling.differences:
        yield "| on the newest issues | active recipe | candidate | difference | |"
        yield "|---|---|---|---|---|"
    for d in ruling.differences:
        mark = "✓" if d.passed else "✗"
        yield f"| {d.measure} | {d.active:.3f} | {d.candidate:.3f} | {d.low:+.3f} to {d.high:+.3f} | {mark} |"
    yield ""


def _labels(learnt: TrainedBundle, active: Bundle | None) -> Iterator[str]:
    had = active.rules.by_name if active else {}
    described = learnt.bundle.rules.zero_shot.rare is not None
    yield "| label | examples | set by the vote | precision when tuning |"
    yield "|---|---|---|---|"
    for rule in sorted(learnt.bundle.rules.labels, key=lambda rule: -rule.examples):
        gained = rule.examples - (had[rule.name].examples if rule.name in had else 0)
        if rule.examples < learnt.bundle.rules.min_examples:
            how = "by its description alone" if described else "a suggestion: too few examples"
        elif rule.votes is None:
            how = "a suggestion: it does not reach the precision target"
        else:
            how = f"from {rule.votes:.1f} votes"
        precision = f"<code>{meter(rule.precision)}</code>" if rule.precision is not None else ""
        yield f"| {escape(rule.name)} | {rule.examples} ({gained:+d}) | {how} | {precision} |"
    yield ""
