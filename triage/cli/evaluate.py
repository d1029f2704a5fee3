"""`triage evaluate`: the methods side by side on one's own issues, as a report with a recommendation.

What `triage evaluate` measures: material from what was gathered, a design from the options, all in one folder.
"""

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
from triage.console import log, warning
from triage.errors import DataError, MissingExtra, UsageError
from triage.finetune.options import seconds_of
from triage.github.open import add_config_options
from triage.sources.load import LoadedIssues, load_issues
from triage.sources.spec import configured, repositories, sources_of

if TYPE_CHECKING:
    from triage.arrays import Floats
    from triage.issue import Issue
    from triage.learn.recipe import Engines
    from triage.study.data import StudyData
    from triage.study.results import StudyRun
    from triage.study.study import Study, StudyOutcome

OUT = "evaluation"
SEEDS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        required=True,
        metavar="FILE|OWNER/NAME",
        help="labelled issues: JSON Lines, plain or gzip, or a repository; OWNER/* are all of an owner's, "
        "!OWNER/NAME takes away; may be given several times",
    )
    add_config_options(parser)
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument(
        "--out", type=Path, default=Path(OUT), help=f"the folder of report and results (default: {OUT})"
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--methods", metavar="NAME,NAME", help="which methods (default: all; docs/evaluate.md has the names)"
    )
    what.add_argument(
        "--slices",
        metavar="N,N",
        help="how many labelled issues are learnt from (default: 8,16,32,… and all)",
    )
    what.add_argument(
        "--seeds", type=_count, default=SEEDS, metavar="N", help=f"draws of each slice (default: {SEEDS})"
    )
    what.add_argument(
        "--budget", metavar="TIME", help="such as 20m or 2h: what does not fit is left out, and named"
    )
    what.add_argument(
        "--split",
        choices=("time", "stratified"),
        help="how issues are split 50 / 25 / 25 (default: by time where every row has a date)",
    )
    what.add_argument(
        "--least", type=_count, default=20, metavar="N", help="the uses that a label needs (default: 20)"
    )
    what.add_argument(
        "--issues", type=_count, metavar="N", help="the newest N labelled issues alone (default: all)"
    )
    what.add_argument(
        "--unlabelled",
        type=_count,
        default=1_000,
        metavar="N",
        help="the newest N issues without labels, for methods that learn from text alone (default: 1000)",
    )
    what.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="a model that a method needs: a folder, or org/name@COMMIT; docs/evaluate.md has the names",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="a folder for collected issues, so that only news is asked for (default: in --out)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Gather, measure, report; raises TriageError."""
    from triage.study import methods

    chosen, sizes = methods.chosen(args.methods), _numbers(args.slices)
    budget = seconds_of(args.budget) if args.budget else None
    models = _models(args.model)
    if why := methods.lacking("learn"):
        raise MissingExtra(f"nothing can be evaluated here: {why}", "learn")
    sources = sources_of(args.sources)
    config = configured(sources, args)
    names = repositories(sources).names
    with held(args.out / KEPT):
        args.cache = args.cache or args.out / KEPT / "collected"
        gathered = load_issues(args, sources.files, names, config, None)
        study, engines = design(args, gathered, sizes, budget)
        outcome = measure(chosen, study, engines, gathered, models)
        return _report(args, study, outcome)


def _report(args: argparse.Namespace, study: Study, outcome: StudyOutcome) -> int:
    from triage.actions.runner import Runner
    from triage.study.analysis import find
    from triage.study.report import plain, write

    found = find(study, outcome)
    written = write(args.out, study, outcome, found, _command(args))
    Runner(os.environ).summary(written.markdown)
    for line in plain(study, outcome, found):
        log(line)
    print(f"  report  {written.page}\n  summary {written.summary}\n  figures {written.figures}")
    for name, why in outcome.left_out.items():
        warning(f"{name} was left out: {why}")
    return 0


def _command(args: argparse.Namespace) -> str:
    """The command line that gives the same report again."""
    words = ["triage", "evaluate"]
    for source in args.sources:
        words += ["--from", source]
    for name in (
        "config",
        "repo",
        "methods",
        "slices",
        "seeds",
        "budget",
        "split",
        "least",
        "issues",
        "unlabelled",
    ):
        value = getattr(args, name)
        if value:
            words += [f"--{name}", str(value)]
    for model in args.model:
        words += ["--model", model]
    return shlex.join([*words, "--out", str(args.out)])


def _models(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, where = each.partition("=")
        if not (name and equals and where):
            raise UsageError(f"--model {each!r:.60} is not of the form NAME=WHERE")
        found[name] = where
    return found


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip() != "all"]
    if any(not part.isdecimal() or not 2 <= int(part) <= 10_000_000 for part in parts):
        raise UsageError(f"{text!r:.60} are no sizes of slices", next_step="write 8,16,32, or all")
    return [int(part) for part in parts]


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no number of at least one")
    return int(text)


# What a later run goes on from: collected issues, vectors, results.
KEPT = "kept"


def design(
    args: argparse.Namespace, gathered: LoadedIssues, sizes: Sequence[int] | None, budget: float | None
) -> tuple[Study, Engines]:
    """The study that the options ask for, and the opened engines. Raises DataError, ModelError."""
    from triage.learn.recipe import Engines
    from triage.study import splits as parts
    from triage.study.results import Results
    from triage.study.study import Design, Study

    engines = Engines(*open_engines(gathered.config))
    material = _material(args, gathered, engines)
    design = Design(parts.sizes(len(material.parts.train), sizes), range(args.seeds), budget)
    results = Results(args.out / KEPT / "runs")
    return Study(material, design, gathered.config.labels.descriptions, results), engines


def _material(args: argparse.Namespace, gathered: LoadedIssues, engines: Engines) -> StudyData:
    from triage.files import write
    from triage.learn.vectors import NAME, embed
    from triage.progress import bar
    from triage.study import data as material

    file = args.out / KEPT / f"{NAME}.npz"

    def vectors(issues: Sequence[Issue]) -> Floats:
        kept = file.read_bytes() if file.is_file() else None
        return embed(
            issues, engines.encoder, kept, partial(write, file), lambda total: bar("embedding", total)
        ).vectors

    limits = material.DataLimits(args.least, args.issues, args.unlabelled)
    return material.gathered(gathered.issues, gathered.config, gathered.voices, limits, vectors, args.split)


def measure(
    names: Sequence[str], study: Study, engines: Engines, gathered: LoadedIssues, models: dict[str, str]
) -> StudyOutcome:
    """Everything that can be measured within the budget. Raises DataError where that is nothing."""
    from triage.progress import bar
    from triage.study.methods import build_all
    from triage.study.protocol import MethodContext

    means = MethodContext(
        gathered.config, engines, study.material.data.dated, models, study.results.folder.parent
    )
    built, left_out = build_all(names, means)
    cells = sum(study.cells(method) for method in built.values())
    said, done = bar("evaluating", cells, "runs"), 0

    def listener(_run: StudyRun, _fresh: bool) -> None:
        nonlocal done
        done += 1
        said(done)

    outcome = study.run(built, listener)
    outcome.left_out = left_out | outcome.left_out
    if not any(run.size == study.design.largest for run in outcome.runs):
        words = "; ".join(f"{name}: {why}" for name, why in outcome.left_out.items())
        raise DataError(
            f"no method could be measured on all {study.design.largest} issues ({words})",
            likely="the budget is too small, or models are missing",
            next_step="raise --budget, or choose other --methods; what was measured is kept",
        )
    return outcome


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder. Raises UsageError, and DataError where it cannot be written to."""
    from triage.files import lock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("wb") as file:
            lock(file, f"{folder}: another run is writing into it")
            yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room, or choose another folder with --out",
        ) from None
