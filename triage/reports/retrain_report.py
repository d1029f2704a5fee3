"""The report of a retraining, for the terminal and for the job summary: the bundle, the gate, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import reduce
from operator import add

from triage.bundle.bundle import Bundle
from triage.decide.rules import BEST_F1, LabelRule, OperatingPoint, Rules
from triage.issue import Names
from triage.learn.calibration import WORTHWHILE, worthwhile
from triage.learn.gate import GateResult
from triage.learn.provenance import LiveAccuracy
from triage.learn.retrain import Drift, RetrainAdvice, TrainedBundle
from triage.markdown import code, details, escape, issue_link, table
from triage.metrics import Bin
from triage.reports.bundle_report import divided, gives, how_set, is_settable, label_table, on_the_newest
from triage.reports.label_report import Url, in_code, meter


def terminal(
    name: str, trained: TrainedBundle, gate: GateResult, advice: RetrainAdvice, computed: int
) -> list[str]:
    """Lines for a terminal; `computed` texts were encoded, the others came from the cache."""
    manifest, rules, data = trained.bundle.manifest, trained.bundle.rules, trained.recipe.data
    left = len(data.unlabelled)
    left_out = ", ".join(f"{count} {reason}" for reason, count in data.dropped.items())
    sources = ", ".join(filter(None, manifest.sources)) or "no named repository"
    return [
        f"bundle {name} is {'active' if gate.passed else 'staged: it did not pass the gate'}",
        f"  result         sets {_reach(trained, rules)}",
        f"  learnt from    {manifest.issues} issues of {sources}",
        f"  left out       {left_out or 'none'}",
        *([f"  unlabelled     {left} issues show what people leave without a label"] if left else []),
        f"  encoded        {computed} texts, {len(data) + left - computed} from the cache",
        f"  labels         {len(rules.voted)} judged by votes, {len(rules.rare)} by name and description",
        f"  adaptation     {_adaptation(trained.bundle)}",
        f"  vote           {rules.k} neighbours, {rules.weighting} weights",
        *(f"  target         {line}" for line in _target_lines(trained)),
        f"  split          {divided(manifest.split)}",
        *([f"  newest issues  {newest}"] if (newest := on_the_newest(manifest.figures)) else []),
        *(f"  gate           {line}" for line in _gate(gate)),
        *(f"  not learnt     {label}: {reason}" for label, reason in data.process.items()),
        *_terminal_advice(advice),
    ]


def terminal_labels(trained: TrainedBundle) -> list[str]:
    """The table of the labels for a terminal."""
    return label_table(trained.bundle.rules, lambda rule: _how_set(trained, rule))


def to_dict(
    name: str, trained: TrainedBundle, gate: GateResult, advice: RetrainAdvice, computed: int
) -> dict[str, object]:
    """The report as a JSON object: numbers, names of labels and numbers of issues."""
    manifest, recipe = trained.bundle.manifest, trained.recipe
    labels = {
        rule.name: {**asdict(rule), "set": _how_set(trained, rule)} for rule in trained.bundle.rules.labels
    }
    return {
        "bundle": name,
        "state": "active" if gate.passed else "staged",
        "manifest": asdict(manifest),
        "encoded": computed,
        "left_out": dict(recipe.data.dropped),
        "not_learnt": dict(recipe.data.process),
        "labels": labels,
        "gate": {
            "differences": [{**asdict(d), "passed": d.passed} for d in gate.differences],
            "objections": list(gate.objections),
            "notes": list(gate.notes),
        },
        "live": {label: asdict(one) for label, one in advice.live.items()},
        "drift": asdict(advice.drift) if advice.drift else None,
        "label_next": [f"{repo}#{number}" for repo, number in advice.unsure],
    }


def markdown(
    name: str,
    trained: TrainedBundle,
    gate: GateResult,
    active: Bundle | None,
    advice: RetrainAdvice,
    bins: Sequence[Bin],
    url: Url,
) -> str:
    """The job summary; holds label names and numbers only. `url` gives the page of an issue."""
    manifest = trained.bundle.manifest
    verdict = "is active" if gate.passed else "is staged; the active bundle stays active"
    before, newest = active.manifest.issues if active else 0, on_the_newest(manifest.figures)
    lines = [
        f"### Bundle <code>{name}</code> {verdict}",
        "",
        _in_short(trained, active),
        "",
        *(f"- **Objection:** {escape(objection)}" for objection in gate.objections),
        *(f"- {escape(note)}" for note in gate.notes),
        "",
        *_live(advice),
        *_next_steps(advice, url),
        *details(f"The {len(trained.bundle.rules.labels)} labels", _labels(trained, active)),
        *_targets(trained),
        *_differences(gate),
        *_calibration(bins),
        f"<sub>Learnt from {manifest.issues} labelled issues ({manifest.issues - before:+d}), "
        f"adaptation {_adaptation(trained.bundle)}."
        + (f" {newest[:1].upper()}{newest[1:]}." if newest else "")
        + "</sub>",
    ]
    return "\n".join(lines) + "\n"


def _in_short(trained: TrainedBundle, active: Bundle | None) -> str:
    """What the bundle does, and what the active one did, in one line."""
    rules = trained.bundle.rules
    now, then = _reach(trained, rules), ""
    if active:
        target = trained.recipe.policy.target
        aims = active.rules.aim(target), rules.aim(target)
        other = (
            ", with a precision target of {:g} instead of {:g}".format(*aims) if aims[0] != aims[1] else ""
        )
        then = f" (until now: {_reach(trained, active.rules)}{other})"
    return f"**It sets {now}**{then}."


def _reach(trained: TrainedBundle, rules: Rules) -> str:
    """How many labels the rules set, on how many issues, and how many of them are right."""
    may_set = trained.recipe.policy.may_set
    able = sum(may_set(rule.name) is None and is_settable(rules, rule) for rule in rules.labels)
    point = rules.point(trained.recipe.policy.target)
    labels = f"{able} of {len(rules.labels)} labels"
    if point is None or not point.labels:
        return f"{labels}; how many of them are right could not be measured yet"
    return f"{labels}, on {point.coverage:.0%} of issues, {_in_ten(point)} right"


def _in_ten(point: OperatingPoint) -> str:
    tenths = round(10 * point.right / point.labels)
    return f"{tenths} in 10" if tenths < 10 else "all" if point.right == point.labels else "more than 9 in 10"


def _aim(trained: TrainedBundle) -> tuple[float, str]:
    """(the target in force, where it comes from)."""
    given, rules = trained.recipe.policy.target, trained.bundle.rules
    if given is not None:
        return given, "set in the configuration"
    if rules.recommended is None:
        return rules.aim(None), "until there are enough issues to measure on"
    best = worthwhile(rules.points)
    if best is None or best.coverage < WORTHWHILE:
        return rules.recommended, f"the lowest one; none labels {WORTHWHILE:.0%} of the issues"
    if rules.recommended < best.target:
        return rules.recommended, f"enough to have at least {best.target:.0%} of the labels right"
    return rules.recommended, f"the highest at which at least {WORTHWHILE:.0%} of the issues get a label"


def _target_lines(trained: TrainedBundle) -> Iterator[str]:
    """The target in force, and what each one gives, for a terminal."""
    aim, why = _aim(trained)
    yield f"{aim:g}, {why}" if aim > BEST_F1 else f"none: thresholds for the best F1, {why}"
    for point in trained.bundle.rules.points:
        yield f"at {point.target:.2f}: {gives(point)}"


def _targets(trained: TrainedBundle) -> Iterator[str]:
    """A table of the effect of each precision target, and which one is in force."""
    points = trained.bundle.rules.points
    if not points:
        return
    aim, why = _aim(trained)
    rows = [
        (
            f"{point.target:.2f}{' ←' if point == trained.bundle.rules.point(aim) and aim > BEST_F1 else ''}",
            in_code(meter(point.coverage)),
            in_code(meter(point.right / point.labels)) if point.labels else "not reached",
            f"{point.right} of {point.labels}",
        )
        for point in points
    ]
    lead = (
        f"Precision target: {f'**{aim:g}**' if aim > BEST_F1 else 'none, thresholds for the best F1'} ({escape(why)}). "
        "What each target would have achieved on issues newer than the learnt ones:"
    )
    lines = table(("target", "issues that get a label", "labels that are right", "labels"), rows)
    yield from details("The effect of each precision target", [lead, "", *lines])


def _adaptation(bundle: Bundle) -> str:
    how = bundle.manifest.adaptation
    return how if not bundle.encoder else "encoder" if how == "none" else f"encoder and {how}"


def _gate(gate: GateResult) -> Iterator[str]:
    for d in gate.differences:
        yield (
            f"{d.measure} {d.active:.3f} → {d.candidate:.3f} "
            f"(difference {d.low:+.3f} to {d.high:+.3f}, tolerance {d.tolerance:.2f})"
        )
    yield from gate.notes
    yield from (f"objection: {objection}" for objection in gate.objections)


def _terminal_advice(advice: RetrainAdvice) -> Iterator[str]:
    if advice.live:
        total = reduce(add, advice.live.values())
        yield (
            f"  live           {total.set} labels set since the active bundle was made, {total.kept} kept, "
            f"{total.removed} removed by people; {total.missed} missed{_answers(total)}"
        )
    if advice.drift:
        yield f"  drift          {_drift(advice.drift)}"
    if advice.unsure:
        yield f"  label next     {', '.join(f'{repo}#{number}' for repo, number in advice.unsure)}"


def _differences(gate: GateResult) -> Iterator[str]:
    rows = [
        (
            d.measure,
            f"{d.active:.3f}",
            f"{d.candidate:.3f}",
            f"{d.low:+.3f} to {d.high:+.3f}",
            "✓" if d.passed else "✗",
        )
        for d in gate.differences
    ]
    if rows:
        lines = table(("on the newest issues", "active recipe", "candidate", "difference", ""), rows)
        yield from details("Compared with the active recipe", lines)


def _labels(trained: TrainedBundle, active: Bundle | None) -> Iterator[str]:
    examples_before = Names({rule.name: rule.examples for rule in active.rules.labels} if active else {})
    rows = [
        (
            code(rule.name),
            f"{rule.examples} ({rule.examples - examples_before.get(rule.name, 0):+d})",
            escape(_how_set(trained, rule)),
            in_code(meter(rule.precision)) if rule.precision is not None else "",
        )
        for rule in sorted(trained.bundle.rules.labels, key=lambda rule: -rule.examples)
    ]
    yield from table(("label", "examples", "set", "precision on newer issues"), rows)


def _how_set(trained: TrainedBundle, rule: LabelRule) -> str:
    rules, policy = trained.bundle.rules, trained.recipe.policy
    return how_set(rules, rule, policy.target_of(rule.name), policy.may_set(rule.name))


def _live(advice: RetrainAdvice) -> Iterator[str]:
    if not advice.live:
        return
    yield from ("#### Since the active bundle was made", "")
    lines = [(code(name), one) for name, one in advice.live.items()]
    lines.append(("all", reduce(add, advice.live.values())))
    heads, suggested = ["label", "set by the bot", "kept", "removed by people", "missed"], lines[-1][1]
    columns: list[tuple[int, ...]] = [(one.set, one.kept, one.removed, one.missed) for _, one in lines]
    answers = [(one.accepted, one.refused) for _, one in lines]
    if suggested.accepted or suggested.refused:
        heads += ["suggested and accepted", "suggested and refused"]
        columns = [column + pair for column, pair in zip(columns, answers, strict=True)]
    rows = [(name, *map(str, column)) for (name, _), column in zip(lines, columns, strict=True)]
    yield from table(heads, rows)


def _answers(live: LiveAccuracy) -> str:
    if not (live.accepted or live.refused):
        return ""
    return f"; of those suggested, {live.accepted} accepted and {live.refused} refused"


def _drift(drift: Drift) -> str:
    newest = f"{drift.share:.0%} of the newest {drift.issues} issues"
    return f"{newest} resemble no learnt issue and get no label (usually below 1%)"


def _next_steps(advice: RetrainAdvice, url: Url) -> Iterator[str]:
    if advice.drift:
        yield from (f"- {escape(_drift(advice.drift))}", "")
    if advice.unsure:
        links = (issue_link(number, url(repo, number)) for repo, number in advice.unsure)
        yield from (f"- Label these issues next; the bot would learn most from them: {', '.join(links)}", "")


def _calibration(bins: Sequence[Bin]) -> Iterator[str]:
    if not bins:
        return
    rows = [
        (*(in_code(meter(value)) for value in (one.promised, one.reached)), str(one.pairs)) for one in bins
    ]
    lines = table(("promised", "measured", "pairs of issue and label"), rows)
    yield from details("Promised and measured precision, on the newest issues", lines)
