"""`triage evaluate`: compare methods on the user's own issues, as a report with a recommendation."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import open_engines
from triage.cli import arguments
from triage.console import bar, log, stage, warning
from triage.errors import DataError, MissingExtra
from triage.options import EvaluateOptions
from triage.sources.load import LoadedIssues, configured, load_issues, parse_sources, repositories

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.decide.case import Attribution
    from triage.issue import Issue
    from triage.learn.recipe import Engines
    from triage.study.data import StudyData
    from triage.study.run import StudyRun
    from triage.study.study import Study, StudyOutcome

OUT = "evaluation"
# The folder in --out from which a later run resumes: collected issues, vectors, results.
WORK = "kept"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    arguments.add_sources(parser)
    arguments.add_config(parser)
    arguments.add(parser, "--out", f"report and results (default: {OUT})", default=Path(OUT))
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--methods",
        metavar="NAME,NAME",
        help="methods to compare (default: all; names in docs/how-to/compare-methods.md)",
    )
    what.add_argument(
        "--slices",
        type=arguments.slice_sizes,
        metavar="N,N",
        help="numbers of labelled issues to learn from (default: 8,16,32,… and all)",
    )
    what.add_argument(
        "--seeds",
        type=arguments.count,
        default=EvaluateOptions.seeds,
        metavar="N",
        help=f"random draws of each slice (default: {EvaluateOptions.seeds})",
    )
    what.add_argument(
        "--time-limit",
        dest="budget",
        type=arguments.duration,
        metavar="TIME",
        help="time limit, such as 20m or 2h; runs that do not fit are left out, and listed",
    )
    arguments.add(what, "--split", "issues are split 50 / 25 / 25")
    what.add_argument(
        "--min-examples",
        dest="least",
        type=arguments.count,
        default=EvaluateOptions.least,
        metavar="N",
        help=f"skip labels with fewer than N uses (default: {EvaluateOptions.least})",
    )
    what.add_argument(
        "--limit",
        dest="issues",
        type=arguments.count,
        metavar="N",
        help="use only the newest N labelled issues (default: all)",
    )
    what.add_argument(
        "--unlabelled-limit",
        dest="unlabelled",
        type=arguments.count,
        default=EvaluateOptions.unlabelled,
        metavar="N",
        help="use the newest N issues without labels, for methods that learn from texts alone "
        f"(default: {EvaluateOptions.unlabelled})",
    )
    what.add_argument(
        "--model",
        type=arguments.model_location,
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="model that a method needs: a folder, or org/name@COMMIT (names in docs/how-to/compare-methods.md); "
        "may be repeated",
    )
    arguments.add(parser, "--cache", " (default: in --out)")


def parse(args: argparse.Namespace) -> EvaluateOptions:
    """The options of a command line. Raises UsageError for an unknown method or use of a model."""
    from triage.study.methods import chosen, models

    return arguments.build(
        EvaluateOptions,
        args,
        methods=tuple(chosen(args.methods)),
        models=models(args.model),
        command=shlex.join(["triage", *args.argv]),
    )


def run(options: EvaluateOptions) -> int:
    """Gather, measure, report; raises TriageError."""
    from triage.decide.case import Attribution
    from triage.study import methods

    if lacking := methods.lacking("learn"):
        raise MissingExtra(f"nothing can be evaluated here: {lacking}", "learn")
    sources = parse_sources(options.sources)
    tracker, config = configured(sources, options.config)
    names = repositories(sources, connection=tracker).names
    with held(options.out / WORK):
        loaded = load_issues(
            sources.files,
            names,
            config,
            repo=options.repo,
            skip_bad=options.skip_bad,
            cache=options.cache or options.out / WORK / "collected",
        )
        with stage("encoding"):
            study, engines = design(options, loaded, Attribution.of(loaded.config, loaded.bots))
        return _report(options, study, measure(options, study, engines, loaded))


def _report(options: EvaluateOptions, study: Study, outcome: StudyOutcome) -> int:
    from triage.actions import Runner
    from triage.github.open import server_url
    from triage.study.analysis import find
    from triage.study.report import terminal, write

    with stage("writing the report"):
        findings = find(study, outcome)
        written = write(options.out, study, outcome, findings, options.command, server_url())
    Runner(os.environ).summary(written.markdown)
    log("\n".join(terminal(study, outcome, findings)))
    log(f"  report  {written.page}\n  summary {written.summary}\n  figures {written.figures}")
    for name, reason in outcome.left_out.items():
        warning(f"{name} was left out: {reason}")
    return 0


def design(options: EvaluateOptions, loaded: LoadedIssues, attribution: Attribution) -> tuple[Study, Engines]:
    """The study that the options ask for, and the opened engines. Raises DataError, ModelError."""
    from triage.learn.recipe import Engines
    from triage.study.data import sizes
    from triage.study.run import Results
    from triage.study.study import Design, Study

    engines = Engines(*open_engines(loaded.config))
    data = _data(options, loaded, attribution, engines)
    slices = sizes(len(data.parts.train), options.slices)
    design = Design(slices, range(options.seeds), options.budget)
    results = Results(options.out / WORK / "runs")
    return Study(data, design, loaded.config.labels.descriptions, results), engines


def _data(
    options: EvaluateOptions, loaded: LoadedIssues, attribution: Attribution, engines: Engines
) -> StudyData:
    from triage.files import write
    from triage.learn.vectors import NAME, embed
    from triage.study import data

    file = options.out / WORK / f"{NAME}.npz"

    def vectors(issues: Sequence[Issue]) -> Floats:
        known = file.read_bytes() if file.is_file() else None
        return embed(
            issues, engines.encoder, known, partial(write, file), lambda total: bar("encoding", total)
        ).vectors

    limits = data.DataLimits(options.least, options.issues, options.unlabelled)
    return data.load_data(loaded.issues, loaded.config, attribution, limits, vectors, options.split)


def measure(options: EvaluateOptions, study: Study, engines: Engines, loaded: LoadedIssues) -> StudyOutcome:
    """The methods' results within the budget. Raises DataError where there is none on all issues."""
    from triage.study.methods import build_all
    from triage.study.protocol import MethodContext

    context = MethodContext(
        loaded.config, engines, study.material.data.dated, options.models, study.results.folder.parent
    )
    built, left_out = build_all(options.methods or (), context)
    cells = sum(study.cells(method) for method in built.values())
    progress, done = bar("evaluating", cells, "runs"), 0

    def listener(_run: StudyRun) -> None:
        nonlocal done
        done += 1
        progress(done)

    outcome = study.run(built, listener)
    outcome.left_out = left_out | outcome.left_out
    if not any(run.size == study.design.largest for run in outcome.runs):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.left_out.items())
        raise DataError(
            f"no method could be measured on all {study.design.largest} issues ({reasons})",
            likely="the time limit is too short, or models are missing",
            next_step="raise --time-limit, or choose other --methods; what was measured is kept",
        )
    return outcome


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the folder. Raises UsageError where another run holds it, DataError where it cannot be written."""
    from triage.files import lock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("wb") as file:
            lock(file, f"{folder}: another run is writing into it")
            yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room, or choose another folder with --out",
        ) from None
