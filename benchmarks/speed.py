"""What reading fewer tokens of an issue costs and saves: F1 against issues embedded per second.

    python benchmarks/speed.py --texts FILE [--cache DIR] [--weights FOLDER --peer-python PATH]

FILE holds labelled issues; micro- and macro-F1 are the product's, on the newest 20% as in `quality.py`, by the vote of
plain vectors and with a head. Speed is that of the same issues of the file, in turn for each number of tokens
and threads; with the peer of `serve.py`, which reads 256 tokens with all cores, in turn too. Writes a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serve import HERE, run
from shared import described, embedded, labelled

from triage.config import Config
from triage.engine.encoder import Encoder, usable_cores
from triage.engine.zero_shot import open_zero_shot
from triage.figures import blank
from triage.learn.dataset import Dataset, split
from triage.learn.recipe import Engines, Recipe

BUDGETS = (32, 64, 96, 128, 192, 256)
THREADS = tuple(number for number in (1, 2) if number <= usable_cores())
ADAPTATIONS = ("none", "head")
# Within half a point of the whole, four times as fast as the peer: what was looked for.
HALF_A_POINT, TIMES = 0.005, 4
# Tokens and threads.
Pass = tuple[int, int]


@dataclass(frozen=True)
class Speed:
    """Issues a second, and processor milliseconds for each."""

    rate: float
    processor: float

    @classmethod
    def of(cls, runs: Sequence[Speed]) -> Speed:
        """The medians."""
        return cls(statistics.median(r.rate for r in runs), statistics.median(r.processor for r in runs))


def found(data: Dataset, encoder: Encoder, cache: Path | None) -> list[tuple[float, float]]:
    """(micro-F1, macro-F1) by adaptation."""
    config = Config()
    engines = Engines(encoder, open_zero_shot(config.zero_shot, encoder))
    vectors = embedded(encoder, data.issues, cache)
    recipes = (Recipe(data, vectors, split(data, None), config, engines, name) for name in ADAPTATIONS)
    figures = [recipe.result.figures for recipe in recipes]
    return [(each["micro_f1"], each["macro_f1"]) for each in figures]


def timed(encoder: Encoder, texts: Sequence[str], threads: int) -> Speed:
    """One pass over the texts."""
    start, used = time.perf_counter(), time.process_time()
    encoder.encode(texts, threads=threads)
    return Speed(len(texts) / (time.perf_counter() - start), 1000 * (time.process_time() - used) / len(texts))


def timed_peer(given: argparse.Namespace, texts: Sequence[str]) -> Speed:
    """One pass of the peer, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.json"
        path.write_text(json.dumps(texts))
        command = [given.peer_python, str(HERE / "serve_peer.py"), "embed", str(given.weights), str(path)]
        took = json.loads(run(command).out)
    return Speed(len(texts) / took["seconds"], 1000 * took["processor"] / len(texts))


def draw(
    path: Path,
    name: str,
    f1: Sequence[Sequence[tuple[float, float]]],
    speeds: Mapping[Pass, Speed],
    peer: Speed | None,
) -> None:
    """The picture: by the clock with each number of threads, and by processor time with one."""
    figure = blank(11, 5)
    clock, processor = figure.subplots(1, 2, sharey=True)
    for a, (adaptation, colour) in enumerate(zip(ADAPTATIONS, ("tab:blue", "tab:orange"), strict=True)):
        scores = [row[a][0] for row in f1]
        for threads, line in zip(THREADS, ("o-", "o--"), strict=False):
            label = f"--adapt {adaptation}, {threads} thread{'s' * (threads > 1)}"
            clock.plot([speeds[b, threads].rate for b in BUDGETS], scores, line, color=colour, label=label)
        work = [1000 / speeds[b, 1].processor for b in BUDGETS]
        processor.plot(work, scores, "o-", color=colour, label=f"--adapt {adaptation}")
        for budget, x, score in zip(BUDGETS, work, scores, strict=True):
            processor.annotate(str(budget), (x, score), textcoords="offset points", xytext=(3, 5))
        for axes in (clock, processor):
            axes.axhline(scores[-1] - HALF_A_POINT, color=colour, linewidth=0.6, linestyle=":")
    for axes, rate in ((clock, peer and peer.rate), (processor, peer and 1000 / peer.processor)):
        if rate:
            axes.axvline(rate, color="gray", label="sentence-transformers, 256 tokens")
            axes.axvline(TIMES * rate, color="gray", linestyle=":", label=f"{TIMES} times as fast")
        axes.set(xlim=(0, None))
        axes.legend(fontsize=8)
    clock.set(xlabel="issues embedded per second", ylabel="micro-F1", title=name)
    processor.set(xlabel="issues embedded per second of processor time; at the points: tokens")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def measure(given: argparse.Namespace) -> None:
    """Print the table and write the picture."""
    data = labelled(given.texts, given.least)
    texts = [issue.text for issue in data.issues[:: max(1, len(data) // given.number)]][: given.number]
    encoders = {budget: Encoder.load(budget=budget) for budget in BUDGETS}
    passes: dict[Pass, list[Speed]] = {(b, t): [] for b in BUDGETS for t in THREADS}
    peers = []
    for _ in range(given.rounds):
        for (budget, threads), runs in passes.items():
            runs.append(timed(encoders[budget], texts, threads))
        if given.weights and given.peer_python:
            peers.append(timed_peer(given, texts))
    speeds, peer = {key: Speed.of(runs) for key, runs in passes.items()}, Speed.of(peers) if peers else None
    f1 = [found(data, encoders[budget], given.cache) for budget in BUDGETS]
    print(f"{described(data)}: {len(data)} issues, {len(data.names)} labels; speed of {len(texts)} of them,")
    print(f"medians of {given.rounds} rounds; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    rates = " | ".join(f"issues/s, {threads} thread{'s' * (threads > 1)}" for threads in THREADS)
    print(
        f"| tokens | {rates} | micro- / macro-F1, `none` | micro- / macro-F1, `head` | ms of processor "
        "| share of the peer's |\n" + "|---" * (5 + len(THREADS)) + "|"
    )
    for budget, scores in zip(BUDGETS, f1, strict=True):
        one = speeds[budget, 1]
        rates = " | ".join(f"{speeds[budget, t].rate:.1f}" for t in THREADS)
        pairs = " | ".join(f"{micro:.3f} / {macro:.3f}" for micro, macro in scores)
        share = f"1 / {peer.processor / one.processor:.1f}" if peer else "-"
        print(f"| {budget} | {rates} | {pairs} | {one.processor:.1f} | {share} |")
    if peer:
        print(f"| the peer, 256 | - | {peer.rate:.1f} | - | - | {peer.processor:.1f} | 1 |")
    draw(given.out, described(data), f1, speeds, peer)
    print(f"\n{given.out}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="micro-F1 against issues embedded per second.")
    parser.add_argument("--texts", type=Path, required=True, metavar="FILE", help="labelled issues")
    parser.add_argument("--cache", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--least", type=int, default=20, help="the uses a label needs (default: 20)")
    parser.add_argument("--number", type=int, default=200, help="issues timed (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: 5)")
    picture = Path("benchmarks/pictures/speed.png")
    parser.add_argument("--out", type=Path, default=picture, help=f"default: {picture}")
    parser.add_argument("--weights", type=Path, help="as for serve.py: PyTorch weights of the same encoder")
    parser.add_argument("--peer-python", help="as for serve.py: a Python with sentence-transformers")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
