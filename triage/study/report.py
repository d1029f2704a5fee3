"""Writes the report of a study: a page, a summary, the figures, and all numbers as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from triage import __version__
from triage.errors import DataError
from triage.study.analysis import Findings
from triage.study.plots import plots
from triage.study.recommendation import recommendation
from triage.study.report_markdown import markdown
from triage.study.report_page import Figure, page
from triage.study.study import Study, StudyOutcome


@dataclass(frozen=True)
class Written:
    """Where things lie; `markdown` is what stands in `summary`."""

    page: Path
    summary: Path
    figures: Path
    markdown: str


def write(folder: Path, study: Study, outcome: StudyOutcome, found: Findings, command: str) -> Written:
    """report.html, report.md, results.json and figures/ in the folder. Raises DataError, MissingExtra."""
    written = Written(
        folder / "report.html",
        folder / "report.md",
        folder / "figures",
        markdown(study, outcome, found, command),
    )
    try:
        written.figures.mkdir(parents=True, exist_ok=True)
        for old in written.figures.iterdir():
            if old.suffix in {".png", ".svg", ".json"}:
                old.unlink()
        drawn = []
        for plot in plots(study.material, found, outcome.titles):
            plot.save(written.figures)
            svg = (written.figures / f"{plot.name}.svg").read_bytes()
            drawn.append(Figure(plot.name, plot.title, plot.caption, svg))
        results = json.dumps(_results(study, outcome, found, command), ensure_ascii=False, indent=1)
        (folder / "results.json").write_text(results + "\n", "utf-8")
        written.summary.write_text(written.markdown, "utf-8")
        with written.page.open("w", encoding="utf-8") as file:
            file.writelines(page(study, outcome, found, drawn, command))
    except OSError as error:
        raise DataError(
            f"{folder}: the report cannot be written ({error})",
            likely="the disk is full, or the folder may not be written to",
            next_step="make room, or choose another folder with --out; what was measured is kept",
        ) from None
    return written


def _results(study: Study, outcome: StudyOutcome, found: Findings, command: str) -> dict[str, object]:
    about = study.material.describe()
    del about["words"]
    advice = asdict(found.advice)
    return {
        "triage": __version__,
        "command": command,
        "recommendation": recommendation(found, outcome),
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
        "advice": advice,
        "runs": [asdict(run) for run in outcome.runs],
        "labels": [asdict(line) for line in found.labels],
        "sweeps": [asdict(sweep) for sweep in found.sweeps],
        "left_out": outcome.left_out,
        "titles": outcome.titles,
    }
