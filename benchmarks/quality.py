"""How well labels are found: the product beside simple methods, on the same rows and windows.

    python benchmarks/quality.py FILE... [--adapt none,head] [--cache DIR] [--least 20]

Of each FILE, issues with a label of at least 20 uses, once process labels and labels that only people set are
dropped. Windows are the product's own: by time, the newest 20% for the figures; stratified (seed 0) where
issues have no dates. Everything is tuned on the window before. Where each issue carries exactly one label and
none has a date, macro-F1 within each repository follows, by stratified cross-validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines import METHODS, Material, answer
from shared import BEST_F1, add_data_options, described, embedded, labelled, shipped_engines
from within import within_repositories

from triage.arrays import Array, Mask
from triage.learn.dataset import Split, split
from triage.learn.head import ADAPTATIONS
from triage.learn.recipe import Engines, Recipe
from triage.metrics import summary
from triage.study.analysis import paired

RIVAL = "TF-IDF logistic regression"
SHOWN = ("micro_f1", "macro_f1", "precision", "coverage", "precision_at_50%_coverage")
HEAD = (
    "| data | method | micro-F1 | macro-F1 | precision | coverage | precision at 50% coverage | issues | labels |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """A method's answers for the test window: [n, L]."""

    method: str
    predicted: Mask
    scores: Array


def rows_of(material: Material, windows: Split, engines: Engines, adapt: Sequence[str]) -> list[Row]:
    """What each method answers; logistic regressions with one threshold and with one for each label."""
    rows = []
    for name, method in METHODS.items():
        found = answer(method, material, windows)
        rows.append(Row(name, found.predicted, found.scores))
        if "regression" in name:
            rows.append(Row(f"{name}, a threshold per label", found.by_label, found.scores))
    for adaptation in adapt:
        result = Recipe(material.data, material.vectors, windows, BEST_F1, engines, adaptation).result
        rows.append(Row(product(adaptation), result.predicted, result.scores))
    return rows


def product(adaptation: str) -> str:
    """The product's row."""
    return f"**triage, `--adapt {adaptation}`**"


@dataclass(frozen=True)
class Rest:
    """What is printed of a file below the table: lines of two more tables, and one of its own if any."""

    windows: str
    differences: list[str]
    within: str


def measure(path: Path, least: int, adapt: Sequence[str], cache: Path | None) -> Rest:
    """Print the rows of a file."""
    data = labelled(path, least)
    engines = shipped_engines()
    material = Material(data, embedded(engines.encoder, data.issues, cache))
    windows = split(data, None)
    truth, name = data.targets[windows.test.query], described(data)
    rows = rows_of(material, windows, engines, adapt)
    for row in rows:
        figures = summary(truth, row.predicted, row.scores)
        cells = " | ".join(f"{figures[key]:.3f}" for key in SHOWN)
        print(f"| {name} | {row.method} | {cells} | {len(truth)} | {len(data.names)} |", flush=True)
    by_name = {row.method: row.predicted for row in rows}
    differences = []
    for adaptation in adapt:
        d = paired(truth, by_name[product(adaptation)], by_name[RIVAL])
        differences.append(f"| {name} | `{adaptation}` | {d.gain:+.3f} | {d.low:+.3f} to {d.high:+.3f} |")
    alone = not data.dated and bool((data.targets.sum(axis=1) == 1).all())
    within = within_repositories(material, engines, adapt) if alone else ""
    return Rest(f"| {name} | {len(data)} | {sizes(windows.describe(data))} |", differences, within)


def sizes(said: Mapping[str, str]) -> str:
    """The cells of the windows' table."""
    days = {key: f" from {said[key][:10]}" if key in said else "" for key in ("tune_from", "test_from")}
    tune, test = f"{said['tune']}{days['tune_from']}", f"{said['test']}{days['test_from']}"
    return f"{said['kind']} | {said['train']} | {tune} | {test}"


def adaptations(text: str) -> list[str]:
    """The value of --adapt."""
    names = text.split(",")
    if unknown := set(names) - set(ADAPTATIONS):
        raise argparse.ArgumentTypeError(f"{unknown.pop()!r} is none of {', '.join(ADAPTATIONS)}")
    return names


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="How well labels are found, beside simple methods.")
    add_data_options(parser)
    parser.add_argument(
        "--adapt", type=adaptations, default="none,head", help="of the product (default: none,head)"
    )
    given = parser.parse_args()
    print(HEAD)
    rest = [measure(file, given.least, given.adapt, given.cache) for file in given.files]
    print(f"\nmicro-F1 of triage minus that of {RIVAL}, and its 95% interval over 1000 resamples of")
    print("the test issues, seed 0:\n")
    print("| data | `--adapt` | difference | 95% interval |\n|---|---|---|---|")
    print("\n".join(line for each in rest for line in each.differences))
    print("\nThe windows:\n\n| data | issues | split | neighbours only | tuned on | judged on |")
    print("|---|---|---|---|---|---|")
    print("\n".join(each.windows for each in rest))
    print("\n".join(each.within for each in rest if each.within))


if __name__ == "__main__":
    main()
