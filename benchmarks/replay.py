"""A repository's past once more: learn, label the next months, learn again, beside a bundle never retrained.

    python benchmarks/replay.py FILE [--from YYYY-MM] [--every 1 | --issues N] [--adapt head] [--cache DIR]
        [--plot PNG]

Issues with a label of at least 20 uses in the whole FILE, as in `quality.py`. At the start of each period,
everything opened before it is learnt by the program that `triage retrain` runs, tuning included; the bundle then
labels the period's issues, which it never saw. The other bundle is the one learnt at the first of these starts.
A label that a bundle has never seen counts as missed wherever it belongs. *Promised* is the mean probability of the
labels that were set, as it was shown when they were.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from shared import add_data_options, described, embedded, labelled, shipped_engines, table_head

from triage.arrays import Floats
from triage.bundle.model import ServingModel, open_model
from triage.config import Config
from triage.decide import Policy, case_of, decide
from triage.figures import blank
from triage.learn.dataset import Dataset
from triage.learn.gate import TAIL, compare
from triage.learn.head import ADAPTATIONS
from triage.learn.recipe import Engines, HeldOutResult
from triage.learn.retrain import RetrainContext, learn

SHOWN = {
    "micro_f1": "micro-F1",
    "promised": "precision promised",
    "precision": "precision kept",
    "coverage": "share of issues labelled",
}
WAYS = ("retrained", "never retrained")


@dataclass(frozen=True)
class Period:
    """The rows from `start` to before `stop`, and what they are called."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Replayed:
    """One period and the results on it of both bundles, in the order of WAYS."""

    period: Period
    results: tuple[HeldOutResult, HeldOutResult]


@dataclass(frozen=True)
class Replay:
    """Dated issues with their vectors [n, d], and what learns from them; `descriptions` are those of labels."""

    data: Dataset
    vectors: Floats
    engines: Engines
    adapt: str
    config: Config = field(default_factory=Config)
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def learnt(self, stop: int) -> ServingModel:
        """The bundle of the rows before `stop`, opened; it knows of no label that only later issues carry."""
        data = self.data
        known = data.targets[:stop].sum(axis=0) > 0
        names = [name for name, there in zip(data.names, known, strict=True) if there]
        past = Dataset(data.issues[:stop], names, data.targets[:stop][:, known], {})
        context = RetrainContext(now="1970-01-01T00:00:00Z", kind="time", adapt=self.adapt)
        bundle = learn(past, self.vectors[:stop], self.config, self.engines, context).bundle
        return open_model(bundle, "", self.engines.encoder, self.engines.zero_shot, self.descriptions)

    def result(self, model: ServingModel, period: Period) -> HeldOutResult:
        """What the model answers for the period, beside the truth."""
        rows = slice(period.start, period.stop)
        policy, names = Policy.of(self.config), self.data.names
        issues = self.data.issues[rows]
        recorded = model.recorded(issues, self.vectors[rows])
        decisions = list(decide(map(case_of, issues), recorded, policy))
        return HeldOutResult(
            names=names,
            truth=self.data.targets[rows],
            predicted=np.array([[name in d.labels for name in names] for d in decisions]),
            scores=np.array([[d.scores.get(name, 0.0) for name in names] for d in decisions]),
        )

    def run(self, periods: Sequence[Period]) -> Iterator[Replayed]:
        """Each period labelled by the bundle of all that came before it, and by the first of these bundles."""
        first = self.learnt(periods[0].start)
        for period in periods:
            fresh = first if period is periods[0] else self.learnt(period.start)
            yield Replayed(period, (self.result(fresh, period), self.result(first, period)))


def by_months(data: Dataset, start: str, every: int) -> list[Period]:
    """Periods of `every` calendar months from the month `start` (YYYY-MM) on; those without issues are left out."""
    months = [_month(issue.created_at) for issue in data.issues]
    begin = _month(datetime.strptime(start, "%Y-%m").replace(tzinfo=UTC))
    bounds = np.searchsorted(months, range(begin, months[-1] + every + 1, every)).tolist()
    return [Period(f"{data.issues[a].created_at:%Y-%m}", a, b) for a, b in pairwise(bounds) if a < b]


def by_number(data: Dataset, start: str, size: int) -> list[Period]:
    """Periods of `size` issues each from the month `start` on; the last one may hold up to half as many more."""
    begin = next((period.start for period in by_months(data, start, 1)), len(data))
    bounds = list(range(begin, len(data) - size // 2, size))
    stops = [*bounds[1:], len(data)]
    return [Period(f"{data.issues[a].created_at:%Y-%m}", a, b) for a, b in zip(bounds, stops, strict=True)]


def _month(at: datetime | None) -> int:
    return at.year * 12 + at.month if at else 0


def pooled(results: Sequence[HeldOutResult]) -> HeldOutResult:
    """The results on several periods as one."""
    return HeldOutResult(
        names=results[0].names,
        truth=np.concatenate([v.truth for v in results]),
        predicted=np.concatenate([v.predicted for v in results]),
        scores=np.concatenate([v.scores for v in results]),
    )


def figures_of(result: HeldOutResult) -> dict[str, float]:
    """The figures, with the precision that was promised."""
    set_at = result.scores[result.predicted]
    return result.figures | {"promised": float(set_at.mean()) if len(set_at) else float("nan")}


def row(name: str, results: Sequence[HeldOutResult]) -> str:
    """A line of the table: each figure for both bundles."""
    figures = list(map(figures_of, results))
    cells = (f"{figures[0][key]:.3f} | {figures[1][key]:.3f}" for key in SHOWN)
    return f"| {name} | {len(results[0].truth)} | {' | '.join(cells)} |"


def report(done: Iterator[Replayed]) -> list[Replayed]:
    """Print the table as the periods come in, then the totals and how sure the differences are."""
    heads = (f"{title}, {way}" for title in SHOWN.values() for way in WAYS)
    print(table_head("from", "issues", *heads), flush=True)
    finished = []
    for each in done:
        finished.append(each)
        print(row(each.period.name, each.results), flush=True)
    fresh, first = (pooled([each.results[way] for each in finished]) for way in (0, 1))
    print(row("**all**", (fresh, first)))
    print(
        f"\nRetrained minus never retrained over all periods, with the {1 - 2 * TAIL:.0%} interval of a paired"
    )
    print("bootstrap over issues:\n\n| measure | difference | interval |\n|---|---|---|")
    for d in compare(first, fresh):
        print(f"| {d.measure} | {d.candidate - d.active:+.3f} | {d.low:+.3f} to {d.high:+.3f} |")
    return finished


def draw(title: str, done: Sequence[Replayed], path: Path) -> None:
    """The four figures over time."""
    figure = blank(10, 6)
    figure.suptitle(title)
    for axes, (key, name) in zip(figure.subplots(2, 2, sharex=True).flat, SHOWN.items(), strict=True):
        for way, label in enumerate(WAYS):
            values = [figures_of(each.results[way])[key] for each in done]
            axes.plot(range(len(done)), values, marker="o", color=f"C{way}", label=label)
        axes.set(title=name, ylim=(0, 1), xticks=range(len(done)))
        axes.grid(alpha=0.3)
        axes.set_xticklabels([each.period.name for each in done], rotation=60, fontsize=8)
    figure.axes[0].legend(loc="lower left", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Quality over time, with and without retraining.")
    add_data_options(parser, many=False)
    parser.add_argument(
        "--from", dest="start", metavar="YYYY-MM", help="first labelled month (default: halfway)"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--every", type=int, default=1, metavar="N", help="retrain every N months (default: 1)"
    )
    length.add_argument("--issues", type=int, metavar="N", help="retrain every N issues instead")
    parser.add_argument("--adapt", choices=ADAPTATIONS, default="head", help="(default: head)")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the figures over time")
    given = parser.parse_args()
    data = labelled(given.file, given.least)
    if not data.dated:
        sys.exit(f"{given.file}: a replay needs the dates of all issues")
    start = given.start or f"{data.issues[len(data) // 2].created_at:%Y-%m}"
    periods = by_number(data, start, given.issues) if given.issues else by_months(data, start, given.every)
    if not periods or not periods[0].start:
        sys.exit(f"{given.file}: there must be issues both before {start} and from then on")
    engines = shipped_engines()
    replay = Replay(data, embedded(engines.encoder, data.issues, given.cache), engines, given.adapt)
    title = f"{described(data)}: {len(data)} issues, {len(data.names)} labels, --adapt {given.adapt}"
    print(f"{title}; {periods[0].start} issues before the first period\n")
    done = report(replay.run(periods))
    if given.plot:
        draw(title, done, given.plot)


if __name__ == "__main__":
    main()
