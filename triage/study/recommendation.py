"""The recommendation in sentences: which method, with how many labels, at what cost, and how certain that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from triage.study.analysis import CLOSE, Findings, Rival
from triage.study.run import StudyRun
from triage.study.study import StudyOutcome

# A doubling of the labels that brings less has brought nothing.
LITTLE = 0.01
FEW = 100


def recommendation(findings: Findings, outcome: StudyOutcome) -> list[str]:
    """Sentences, the most important first; they hold numbers and our own titles of methods only."""
    return list(_sentences(findings, outcome))


def _sentences(findings: Findings, outcome: StudyOutcome) -> Iterator[str]:
    advice, titles = findings.advice, outcome.titles
    best = advice.best
    figures = best.one
    data = (
        f"with {best.size} labelled issues" if outcome.learns[best.method] else "without any labelled issue"
    )
    yield (
        f"Use {titles[best.method]}: {data} it reaches micro-F1 {figures['micro_f1']:.3f} and macro-F1 "
        f"{best.each['macro_f1']:.3f} on {figures['issues']:.0f} held-out issues."
    )
    if figures["issues"] < FEW:
        yield f"{figures['issues']:.0f} issues are a small test: differences of several points may be chance."
    yield from certainty(advice.rivals, titles)
    if best.own:
        yield (
            f"By its own rules for setting labels it reaches micro-F1 {best.own['micro_f1']:.3f} and precision "
            f"{best.own['precision']:.3f}, with a label on {best.own['coverage']:.0%} of the issues."
        )
    yield from _labels(findings)
    if advice.cold and advice.until != min(point.size for curve in findings.curves for point in curve.micro):
        until = (
            f"with fewer than {advice.until} labelled issues" if advice.until else "at every size measured"
        )
        yield f"{titles[advice.cold]}, which needs no labels, is better {until}."
    yield _cost(best, outcome.needs[best.method])
    quick = [run for run in advice.as_good if _seconds(run) < 0.5 * _seconds(best)]
    if quick:
        share = _seconds(quick[0]) / max(1e-9, _seconds(best))
        yield f"Cheaper: {titles[quick[0].method]} is not significantly worse, at {share:.0%} of the time."


def certainty(rivals: Sequence[Rival], titles: Mapping[str, str]) -> Iterator[str]:
    """Whether the recommended method is better than each of the others, by the interval of the difference on test."""
    if not rivals:
        yield "No other method was measured on as many issues."
        return
    ahead = [rival for rival in rivals if rival.difference.against]
    if ahead:
        differences = "; ".join(difference(rival, titles) for rival in ahead)
        yield f"Caution: it was chosen on validation, but on test it is significantly worse: {differences}."
    close = [rival for rival in rivals if not rival.difference.sure and rival not in ahead]
    if close:
        differences = "; ".join(difference(rival, titles) for rival in close)
        yield f"It is not significantly better than some others: {differences}."
    elif not ahead:
        closest = min(rivals, key=lambda rival: rival.difference.gain)
        yield f"It is significantly better than every other method measured: {difference(closest, titles)}."


def difference(rival: Rival, titles: Mapping[str, str]) -> str:
    """By how much the recommended method is ahead of another."""
    d = rival.difference
    return f"{d.gain:+.3f} micro-F1 against {titles[rival.run.method]} (95 % interval {d.low:+.3f} to {d.high:+.3f})"


def _labels(findings: Findings) -> Iterator[str]:
    advice = findings.advice
    if advice.enough:
        yield (
            f"{advice.enough} labelled issues are enough to come within {CLOSE:.2f} of what it reaches with all "
            f"{advice.best.size}."
        )
    if advice.growth is None:
        return
    change = f"The last doubling of labelled issues changed micro-F1 by {advice.growth:+.3f}"
    yield f"{change}: more would {'hardly' if advice.growth < LITTLE else 'still'} help."


def _cost(run: StudyRun, extra: str) -> str:
    memory = f" and takes {run.memory:.0f} MB of additional memory" if run.memory is not None else ""
    return (
        f"It trains in {run.fit_seconds:.1f} s, scores 100 embedded issues in {per_hundred(run):.2f} s{memory}; "
        f"it needs the extra `{extra}`."
    )


def per_hundred(run: StudyRun) -> float:
    """Seconds for scoring 100 issues."""
    return 100 * run.score_seconds / max(1, run.queries)


def _seconds(run: StudyRun) -> float:
    return run.fit_seconds + run.score_seconds
