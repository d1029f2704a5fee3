"""The recommendation in words: which method, with how many labels, at what cost, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator

from triage.study.analysis import Findings
from triage.study.compare import CLOSE, Rival
from triage.study.results import StudyRun
from triage.study.study import StudyOutcome

# Under so much, a doubling of the labels brought nothing to speak of.
LITTLE = 0.01
FEW = 100


def recommendation(found: Findings, outcome: StudyOutcome) -> list[str]:
    """Sentences, the most important first; they hold names of methods and numbers alone."""
    return list(_sentences(found, outcome))


def _sentences(found: Findings, outcome: StudyOutcome) -> Iterator[str]:
    advice, titles = found.advice, outcome.titles
    best = advice.best
    figures = best.one
    known = (
        f"with {best.size} labelled issues" if outcome.learns[best.method] else "without any labelled issue"
    )
    yield (
        f"Take {titles[best.method]}: {known} micro-F1 {figures['micro_f1']:.3f} and macro-F1 "
        f"{best.each['macro_f1']:.3f} on {figures['issues']:.0f} issues it had not seen."
    )
    if figures["issues"] < FEW:
        yield f"{figures['issues']:.0f} issues to judge on are few: differences of several points are chance."
    yield from sureness(advice.rivals, titles)
    if best.own:
        yield (
            f"With its own rules, as it labels: micro-F1 {best.own['micro_f1']:.3f}, precision "
            f"{best.own['precision']:.3f}, a label on {best.own['coverage']:.0%} of the issues."
        )
    yield from _labels(found)
    if advice.cold:
        until = (
            f"as long as there are fewer than {advice.until} labelled issues"
            if advice.until
            else "throughout"
        )
        if advice.until != min(point.size for curve in found.curves for point in curve.micro):
            yield f"{titles[advice.cold]}, which needs no labels, is better {until}."
    yield _cost(best, outcome.needs[best.method])
    quick = [run for run in advice.as_good if _seconds(run) < 0.5 * _seconds(best)]
    if quick:
        yield (
            f"If that is too much: {titles[quick[0].method]} is not surely worse, at "
            f"{_share(quick[0], best)} of the time."
        )


def sureness(rivals: tuple[Rival, ...], titles: dict[str, str]) -> Iterator[str]:
    """How sure it is that the recommended method is the best."""
    if not rivals:
        yield "Nothing else was measured on as many issues."
        return
    ahead = [rival for rival in rivals if rival.difference.against]
    if ahead:
        yield (
            f"Mind: it was chosen on validation, and on test it is surely behind: "
            f"{'; '.join(difference(rival, titles) for rival in ahead)}."
        )
    unsure = [rival for rival in rivals if not rival.difference.sure and rival not in ahead]
    if not unsure and not ahead:
        closest = min(rivals, key=lambda rival: rival.difference.gain)
        yield f"That it is better than every other method measured is sure: {difference(closest, titles)}."
        return
    if unsure:
        yield f"Not sure to be better than others: {'; '.join(difference(rival, titles) for rival in unsure)}."


def difference(rival: Rival, titles: dict[str, str]) -> str:
    """How far the recommended method is ahead of another."""
    d = rival.difference
    return f"{d.gain:+.3f} micro-F1 against {titles[rival.run.method]} (95 % interval {d.low:+.3f} to {d.high:+.3f})"


def _labels(found: Findings) -> Iterator[str]:
    advice = found.advice
    if advice.enough:
        yield (
            f"{advice.enough} labelled issues are enough to come within {CLOSE:.2f} of what it reaches with all "
            f"{advice.best.size}."
        )
    if advice.growth is None:
        return
    if advice.growth < LITTLE:
        yield f"The last doubling of labelled issues changed micro-F1 by {advice.growth:+.3f}: more would hardly help."
    else:
        yield f"The last doubling of labelled issues brought {advice.growth:+.3f}: more would still help."


def _cost(run: StudyRun, needs: str) -> str:
    memory = f", {run.memory:.0f} MB of memory above the start" if run.memory is not None else ""
    return (
        f"It learns in {run.fit_seconds:.1f} s and scores 100 issues in {per_hundred(run):.2f} s once they are "
        f"embedded{memory}; it needs the extra `{needs}`."
    )


def per_hundred(run: StudyRun) -> float:
    """Seconds for scoring 100 issues."""
    return 100 * run.score_seconds / max(1, run.queries)


def _seconds(run: StudyRun) -> float:
    return run.fit_seconds + run.score_seconds


def _share(run: StudyRun, best: StudyRun) -> str:
    return f"{_seconds(run) / max(1e-9, _seconds(best)):.0%}"
