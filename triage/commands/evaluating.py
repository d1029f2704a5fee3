"""What `triage evaluate` measures: material from what was gathered, a design from the options, all in one folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from triage.commands.gathering import Gathered
from triage.commands.opening import open_engines
from triage.errors import DataError

if TYPE_CHECKING:
    from triage.evaluate.material import Material
    from triage.evaluate.results import Run
    from triage.evaluate.study import Outcome, Study
    from triage.issue import Issue
    from triage.learn.study import Engines, Floats

# What a later run goes on from: collected issues, vectors, results.
KEPT = "kept"


def design(
    args: argparse.Namespace, gathered: Gathered, sizes: Sequence[int] | None, budget: float | None
) -> tuple[Study, Engines]:
    """The study that the options ask for, and the opened engines. Raises DataError, ModelError."""
    from triage.evaluate import parts
    from triage.evaluate.results import Results
    from triage.evaluate.study import Design, Study
    from triage.learn.study import Engines

    engines = Engines(*open_engines(gathered.config))
    material = _material(args, gathered, engines)
    design = Design(parts.sizes(len(material.parts.train), sizes), range(args.seeds), budget)
    results = Results(args.out / KEPT / "runs")
    return Study(material, design, gathered.config.labels.descriptions, results), engines


def _material(args: argparse.Namespace, gathered: Gathered, engines: Engines) -> Material:
    from triage.evaluate import material
    from triage.learn.vectors import NAME, embed
    from triage.progress import bar

    file = args.out / KEPT / f"{NAME}.npz"

    def vectors(issues: Sequence[Issue]) -> Floats:
        kept = file.read_bytes() if file.is_file() else None
        return embed(
            issues, engines.encoder, kept, file.write_bytes, lambda total: bar("embedding", total)
        ).vectors

    limits = material.Limits(args.least, args.issues, args.unlabelled)
    return material.gathered(gathered.issues, gathered.config, gathered.voices, limits, vectors, args.split)


def measure(
    names: Sequence[str], study: Study, engines: Engines, gathered: Gathered, models: dict[str, str]
) -> Outcome:
    """Everything that can be measured within the budget. Raises DataError where that is nothing."""
    from triage.evaluate.method import Means
    from triage.evaluate.methods import build_all
    from triage.progress import bar

    means = Means(gathered.config, engines, study.material.data.dated, models, study.results.folder.parent)
    built, left_out = build_all(names, means)
    cells = sum(study.cells(method) for method in built.values())
    said, done = bar("evaluating", cells, "runs"), 0

    def listener(_run: Run, _fresh: bool) -> None:
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
    from triage.world.files import hold

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("wb") as file:
            hold(file, f"{folder}: another run is writing into it")
            yield
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room, or choose another folder with --out",
        ) from None
