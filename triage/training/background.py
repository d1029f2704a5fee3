"""Background vectors: an encoder's vectors of issues in general, shipped with it without any text.

Zero-shot classification by similarity subtracts a label's score on them (`triage.engine.zero_shot`). Run as
`python -m triage.training.background FILE... --model FOLDER`, where each file holds issues of many repositories, one
JSON object a line.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triage.arrays import AnyArray
from triage.console import CommandParser, alert, log
from triage.engine.encoder import Encoder
from triage.engine.model_folder import CARD_FILE, read_manifest, sha256_of, write_manifest
from triage.engine.zero_shot import BACKGROUND_FILE
from triage.errors import DataError, TriageError
from triage.issue import Issue, matches
from triage.sources.issue_file import iter_issues
from triage.training.corpus import grouped
from triage.training.held_out import EVALUATED

MOST = 512
OF_EACH = 5
SEED = 20


def by_repository(issues: Iterable[Issue], exclude: Sequence[str] = EVALUATED) -> dict[str, list[Issue]]:
    """The issues of each repository that `exclude` does not name, each text once, by number."""
    groups = grouped(issues, lambda repo: not matches(repo, exclude))
    return {repo: sorted(rows, key=lambda issue: issue.number) for repo, rows in groups.items()}


def choose(groups: dict[str, list[Issue]], *, seed: int = SEED) -> list[Issue]:
    """At most OF_EACH issues of each repository and MOST in all."""
    draw = random.Random(seed)  # noqa: S311 - a sample that can be repeated, not a secret
    chosen = [i for group in groups.values() for i in draw.sample(group, min(OF_EACH, len(group)))]
    return draw.sample(chosen, MOST) if len(chosen) > MOST else chosen


def describe(chosen: Sequence[Issue]) -> str:
    """The section of the model card: the issues that the vectors come from, by repository, date and count."""
    counts = Counter(issue.repo for issue in chosen)
    dates = sorted(f"{i.created_at:%Y-%m-%d}" for i in chosen if i.created_at)
    span = f"opened {dates[0]} to {dates[-1]}" if dates else "without dates"
    undated = len(chosen) - len(dates)
    without = f" ({undated} without a date)" if dates and undated else ""
    names = ", ".join(f"{repo} ({count})" for repo, count in sorted(counts.items()))
    return (
        "## Background vectors\n\n"
        f"`{BACKGROUND_FILE}` holds the vectors of {len(chosen)} public GitHub issues {span}{without}, "
        f"at most {OF_EACH} of a repository, as float16 and shuffled. No text is shipped. They say how similar "
        "a label is to issues in general; zero-shot classification subtracts it. Made by "
        f"`python -m triage.training.background` with seed {SEED} from: {names}.\n"
    )


def write(folder: Path, chosen: Sequence[Issue]) -> None:
    """Encode `chosen` and add the vectors, their hash and their origin to the model folder."""
    encoder = Encoder.load(folder)
    vectors = encoder.encode([issue.text for issue in chosen])
    shuffled = np.random.default_rng(SEED).permutation(vectors)
    add_array(folder, BACKGROUND_FILE, shuffled.astype(np.float16), describe(chosen))


def add_array(folder: Path, name: str, array: AnyArray, section: str, **changes: Any) -> None:
    """Add an array to a model folder: the file, its hash, and a section of the card in place of the former one.

    `changes` are further fields of the manifest.
    """
    np.save(folder / name, array, allow_pickle=False)
    manifest = read_manifest(folder)
    files = {each: sha256_of(folder / each) for each in sorted({*manifest.files, name})}
    write_manifest(folder, dataclasses.replace(manifest, files=files, **changes))
    card = folder / CARD_FILE
    if card.is_file():
        heading = re.escape(section.partition("\n")[0])
        kept = re.sub(rf"\n*{heading}\n.*?(?=\n## |\Z)", "", card.read_text("utf-8"), flags=re.DOTALL)
        card.write_text(f"{kept.rstrip()}\n\n{section}", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = CommandParser(prog="python -m triage.training.background", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="issues, one JSON object a line")
    parser.add_argument("--model", required=True, type=Path, metavar="FOLDER", help="the encoder's folder")
    parser.add_argument(
        "--exclude",
        action="append",
        metavar="PATTERN",
        help="leave repositories out (default: the evaluated)",
    )
    given = parser.parse_args(arguments)
    try:
        issues = (issue for path in given.files for issue in iter_issues(path))
        chosen = choose(by_repository(issues, given.exclude or EVALUATED))
        if not chosen:
            raise DataError("no issue is left to make background vectors from")
        write(given.model, chosen)
    except TriageError as error:
        alert(f"error: {error}")
        return error.exit_code
    repositories = len({issue.repo for issue in chosen})
    log(f"{given.model / BACKGROUND_FILE}: {len(chosen)} vectors of {repositories} repositories")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
