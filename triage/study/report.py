"""The report of a study: a page, a summary in Markdown, the figures, and all numbers as JSON.

Names of labels and repositories come from strangers, as do titles: they are escaped, and so are reasons, which may
name a path. The page holds the titles of the test issues; the summary holds numbers and names only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from triage import __version__
from triage.arrays import Array
from triage.backfill.plan import title_of
from triage.errors import DataError
from triage.markdown import code, escape, table
from triage.reports import render
from triage.reports.bundle_report import without_dates
from triage.study.analysis import CLOSE, Findings, Rival
from triage.study.plots import plots
from triage.study.run import StudyRun
from triage.study.study import Study, StudyOutcome

LABELS_SHOWN = 40
# All of the nearest vote; the page lists the first ones.
NEIGHBOURS_SHOWN = 8
# Of the test issues and their scores, what a page can hold.
MOST_ISSUES, MOST_LABELS = 5_000, 10
# Methods whose scores are probabilities, and where the page's slider then begins.
CALIBRATED, START = ("adapted", "tuned"), 0.9
# A doubling of the labels that brings less has brought nothing; fewer test issues than FEW are a small test.
LITTLE, FEW = 0.01, 100

Row = tuple[str, list[str]]


@dataclass(frozen=True)
class Written:
    """The files of a report; `markdown` is the text of `summary`."""

    page: Path
    summary: Path
    figures: Path
    markdown: str


def write(
    folder: Path, study: Study, outcome: StudyOutcome, findings: Findings, command: str, server_url: str
) -> Written:
    """Write report.html, report.md, results.json and figures/ into the folder. Raises DataError, MissingExtra.

    `server_url` is the address of the issues' pages.
    """
    text = markdown(study, outcome, findings, command)
    written = Written(folder / "report.html", folder / "report.md", folder / "figures", text)
    try:
        figures = _draw(written.figures, study, outcome, findings)
        results = json.dumps(_results(study, outcome, findings, command), ensure_ascii=False, indent=1)
        (folder / "results.json").write_text(results + "\n", "utf-8")
        written.summary.write_text(text, "utf-8")
        with written.page.open("w", encoding="utf-8") as file:
            tested = _tested(study, outcome, findings, server_url)
            file.writelines(_page(study, outcome, findings, figures, command, tested))
    except OSError as error:
        raise DataError(
            f"{folder}: the report cannot be written ({error.strerror or error})",
            likely="the disk is full, or the folder is not writable",
            next_step="make room, or choose another folder with --out; finished runs are kept",
        ) from None
    return written


def terminal(study: Study, outcome: StudyOutcome, findings: Findings) -> Iterator[str]:
    """Lines for a terminal: the recommendation and a table."""
    yield from recommendation(findings, outcome)
    yield ""
    width = max(len(outcome.titles[run.method]) for run in findings.table)
    yield f"{'':{width}}  micro-F1  macro-F1  training"
    for run in findings.table:
        title = outcome.titles[run.method]
        yield (
            f"{title:{width}}  {run.one['micro_f1']:8.3f}  {run.each['macro_f1']:8.3f}  {run.fit_seconds:6.1f} s"
        )
    yield _split(study)


def markdown(study: Study, outcome: StudyOutcome, findings: Findings, command: str) -> str:
    """The summary, also for the job page of a workflow."""
    lines = [f"## Methods compared on {escape(_source(study))}", ""]
    lines += [f"- {sentence}" for sentence in recommendation(findings, outcome)]
    lines += ["", _split(study), ""]
    lines += [*_methods(outcome, findings), *_curves(outcome, findings), *_sweeps(outcome, findings)]
    lines += _labels(findings)
    if outcome.left_out:
        lines += ["Not measured:", ""]
        lines += [*(f"- {name}: {escape(reason)}" for name, reason in outcome.left_out.items()), ""]
    lines.append(f"How to repeat this: `{command.replace('`', '')}`")
    return "\n".join(lines) + "\n"


def _source(study: Study) -> str:
    repositories = {issue.repo for issue in study.material.data.issues}
    return min(repositories) if len(repositories) == 1 else f"{len(repositories)} repositories"


def _split(study: Study) -> str:
    """How the data was split, in two sentences."""
    parts, about = study.parts, study.material.describe()
    how = "by time" if parts.kind == "time" else "by iterative stratification (seed 0)"
    if about["undated"]:
        how += without_dates(parts.kind, str(about["undated"]))
    return (
        f"{about['labelled']} labelled issues with {len(study.material.data.names)} labels "
        f"({about['cardinality']:.2f} per issue), split {how}: {len(parts.train)} for training, "
        f"{len(parts.validation)} for validation, {len(parts.test)} for testing; {len(study.unlabelled)} unlabelled "
        f"ones. Training slices are drawn with {len(study.design.seeds)} seeds."
    )


def _memory(run: StudyRun) -> str:
    return "" if run.memory is None else f"{run.memory:.0f} MB"


def _methods(outcome: StudyOutcome, findings: Findings) -> Iterator[str]:
    heads = (
        "method",
        "micro-F1",
        "macro-F1",
        "precision at 50% coverage",
        "validation",
        "training",
        "scoring 100 issues",
        "memory",
    )
    rows = (
        (
            outcome.titles[run.method],
            f"{run.one['micro_f1']:.3f}",
            f"{run.each['macro_f1']:.3f}",
            f"{run.one['precision_at_50%_coverage']:.3f}",
            f"{run.validation:.3f}",
            f"{run.fit_seconds:.1f} s",
            f"{per_hundred(run):.2f} s",
            _memory(run),
        )
        for run in findings.table
    )
    yield from table(heads, rows)


def _curves(outcome: StudyOutcome, findings: Findings) -> Iterator[str]:
    """Micro- and macro-F1 for every size of training slice."""
    sizes = sorted({point.size for curve in findings.curves if curve.learns for point in curve.micro})
    if not sizes:
        return
    yield from ("Micro-F1 / macro-F1 by the number of labelled issues:", "")
    rows = []
    for curve in findings.curves:
        macro = {point.size: point.mean for point in curve.macro}
        cells = {point.size: f"{point.mean:.3f} / {macro[point.size]:.3f}" for point in curve.micro}
        rows.append([outcome.titles[curve.method], *(cells.get(size, "") for size in sizes)])
    yield from table(("method", *map(str, sizes)), rows)


def _sweeps(outcome: StudyOutcome, findings: Findings) -> Iterator[str]:
    for sweep in findings.sweeps:
        (threshold, _), (top, _) = sweep.threshold.best(), sweep.top_k.best()
        third = "" if sweep.test_top_3 is None else f", {sweep.test_top_3:.3f} with the best three"
        yield (
            f"{outcome.titles[sweep.method]}: micro-F1 {sweep.test_threshold:.3f} with threshold {threshold:g}, "
            f"{sweep.test_top_k:.3f} with the best {top:g} labels{third}."
        )
        yield ""
    k, m, floor = findings.voted.micro_at
    near = f" and similarity at least {floor:g}" if floor > -1 else ""
    yield (
        f"Nearest neighbours: best with k = {k}, m = {m}{near}; micro-F1 {findings.voted.micro_on_test:.3f} on test."
    )
    yield ""


def _labels(findings: Findings) -> Iterator[str]:
    rows = (
        (
            code(line.name),
            str(line.support),
            *(f"{value:.3f}" for value in (line.precision, line.recall, line.f1)),
            f"{code(line.confused)} ({line.times})" if line.confused else "",
        )
        for line in findings.labels[:LABELS_SHOWN]
    )
    yield from table(("label", "issues", "precision", "recall", "F1", "confused with"), rows)


def _page(
    study: Study,
    outcome: StudyOutcome,
    findings: Findings,
    figures: Sequence[dict[str, object]],
    command: str,
    tested: dict[str, object],
) -> Iterator[str]:
    best = outcome.titles[findings.advice.best.method]
    return render(
        "evaluation",
        source=_source(study),
        split=_split(study),
        recommendation=recommendation(findings, outcome),
        quality=list(_quality_rows(outcome, findings)),
        costs=[_cost_row(outcome, run) for run in findings.table],
        remarks=[(outcome.titles[run.method], run.remarks) for run in findings.table if run.remarks],
        left_out=[(outcome.titles.get(name, name), reason) for name, reason in outcome.left_out.items()],
        figures=figures,
        best=best,
        labels=findings.labels,
        k=findings.k,
        queries=findings.queries,
        issues=study.material.data.issues,
        shown=NEIGHBOURS_SHOWN,
        about=study.material.describe(),
        command=command,
        tested=tested,
    )


def _tested(study: Study, outcome: StudyOutcome, findings: Findings, server_url: str) -> dict[str, object]:
    """What each method says of the newest test issues, as the page's script reads it; the product comes first."""
    data, rows = study.material.data, study.parts.test[-MOST_ISSUES:].tolist()
    runs = sorted(findings.table, key=lambda run: run.method not in CALIBRATED)
    methods = [
        {
            "title": outcome.titles[run.method],
            "scale": "probability" if run.method in CALIBRATED else "score",
            "start": START if run.method in CALIBRATED else round(min(1.0, max(0.0, run.common)), 2),
            "scores": [_likeliest(scores) for scores in outcome.answers[run.method].test[-len(rows) :]],
        }
        for run in runs
    ]
    issues = [
        {
            "repo": issue.repo,
            "number": issue.number,
            "title": title_of(issue),
            "labels": np.flatnonzero(data.targets[row]).tolist(),
        }
        for row, issue in ((row, data.issues[row]) for row in rows)
    ]
    whole = len(study.parts.test)
    return {
        "server": server_url.rstrip("/"),
        "names": data.names,
        "methods": methods,
        "issues": issues,
        "cut": whole if whole > len(rows) else 0,
    }


def _likeliest(scores: Array) -> list[tuple[int, int]]:
    """(column, score in ten-thousandths) of the highest scores, in falling order; below a hundredth none is kept."""
    best = np.argsort(-scores, kind="stable")[:MOST_LABELS].tolist()
    pairs = ((j, round(10_000 * min(1.0, max(0.0, float(scores[j]))))) for j in best)
    return [(j, score) for j, score in pairs if score >= 100]


def _quality_rows(outcome: StudyOutcome, findings: Findings) -> Iterator[Row]:
    """Each method with the thresholds of the study and, if it has its own rules, once more with these."""
    averages = ("precision", "recall", "coverage")
    for run in findings.table:
        values = [run.one["micro_f1"], run.each["macro_f1"], run.each["micro_f1"]]
        values += [run.one[key] for key in (*averages, "precision_at_50%_coverage")] + [run.validation]
        yield outcome.titles[run.method], [f"{value:.3f}" for value in values]
        if run.own:
            own = {key: f"{run.own[key]:.3f}" for key in ("micro_f1", "macro_f1", *averages)}
            cells = [own["micro_f1"], own["macro_f1"], "", *(own[key] for key in averages), "", ""]
            yield f"{outcome.titles[run.method]}, own rules", cells


def _cost_row(outcome: StudyOutcome, run: StudyRun) -> Row:
    return outcome.titles[run.method], [
        f"{run.fit_seconds:.1f} s",
        f"{run.fit_cpu:.1f} s",
        f"{per_hundred(run):.2f} s",
        f"{100 * run.score_cpu / max(1, run.queries):.2f} s",
        _memory(run),
        outcome.needs[run.method],
        run.setting or f"threshold {run.common:.3f}",
    ]


def _draw(folder: Path, study: Study, outcome: StudyOutcome, findings: Findings) -> list[dict[str, object]]:
    """Save all figures, remove those of an earlier run, and return the new ones for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.suffix in {".png", ".svg", ".json"}:
            old.unlink()
    figures: list[dict[str, object]] = []
    for plot in plots(study.material, findings, outcome.titles):
        plot.save(folder)
        data = base64.b64encode((folder / f"{plot.name}.svg").read_bytes()).decode()
        words = {"name": plot.name, "title": plot.title, "caption": plot.caption}
        figures.append({**words, "data": data, "charts": [asdict(chart) for chart in plot.charts]})
    return figures


def _results(study: Study, outcome: StudyOutcome, findings: Findings, command: str) -> dict[str, object]:
    about = study.material.describe()
    del about["words"]
    return {
        "triage": __version__,
        "command": command,
        "recommendation": recommendation(findings, outcome),
        "data": about,
        "split": {
            "kind": study.parts.kind,
            "train": len(study.parts.train),
            "validation": len(study.validation),
            "test": len(study.test),
            "unlabelled": len(study.unlabelled),
        },
        "sizes": list(study.design.sizes),
        "seeds": list(study.design.seeds),
        "advice": asdict(findings.advice),
        "runs": [asdict(run) for run in outcome.runs],
        "labels": [asdict(line) for line in findings.labels],
        "sweeps": [asdict(sweep) for sweep in findings.sweeps],
        "left_out": outcome.left_out,
        "titles": outcome.titles,
    }


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
    yield from _enough(findings)
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
    return f"{d.gain:+.3f} micro-F1 against {titles[rival.run.method]} (95% interval {d.low:+.3f} to {d.high:+.3f})"


def _enough(findings: Findings) -> Iterator[str]:
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
