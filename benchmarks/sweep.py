"""How long it takes to try every k and m of the vote: one search and slices of it, or a search for each.

    python benchmarks/sweep.py FILE [--issues 5000] [--k 50] [--cache DIR]

Of FILE the newest labelled issues, labels with at least 20 uses; where fewer are labelled, issues without labels
fill the index up. The newest fifth asks, the others answer. "Asking again" is what the chapter does: for each k and
m the index (faiss, exact) is asked for the k nearest, their labels are counted, and micro- and macro-F1 follow.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from shared import embedded

from triage.arrays import Array, Floats, Mask
from triage.config import Config
from triage.decide.case import Attribution
from triage.decide.rules import K_MAX
from triage.engine.encoder import Encoder
from triage.engine.index import Index
from triage.metrics import macro_f1, micro_f1
from triage.sources.issue_file import read_issues
from triage.study.data import DataLimits, select, without_labels
from triage.study.methods.neighbours import Near
from triage.study.sweeps import neighbour_sweep


def again_and_again(
    known: Floats, targets: Mask, queries: Floats, truth: Mask, most: int
) -> tuple[Array, Array]:
    """(micro-F1, macro-F1) [most, most] at k = row + 1, m = column + 1; one search for each pair."""
    import faiss

    index = faiss.IndexFlatIP(known.shape[1])
    index.add(known)
    micro, macro = np.full((most, most), np.nan), np.full((most, most), np.nan)
    for k in range(1, most + 1):
        for m in range(1, k + 1):
            _, rows = index.search(queries, k)
            predicted = targets[rows].sum(axis=1) >= m
            micro[k - 1, m - 1] = micro_f1(truth, predicted)
            macro[k - 1, m - 1] = macro_f1(truth, predicted)
        print(f"\r{k} of {most} k", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return micro, macro


def once(known: Floats, targets: Mask, queries: Floats, truth: Mask, most: int) -> tuple[Array, Array]:
    """The same out of one search, as the product searches: equally similar issues in an order of our own."""
    near = Near(*Index(known, range(len(known))).search(queries))
    return sliced(near, targets, truth, most)


def once_in_faiss_order(
    known: Floats, targets: Mask, queries: Floats, truth: Mask, most: int
) -> tuple[Array, Array]:
    """The same out of one search of faiss, equally similar issues as they come."""
    import faiss

    index = faiss.IndexFlatIP(known.shape[1])
    index.add(known)
    return sliced(Near(*index.search(queries, most)), targets, truth, most)


def sliced(near: Near, targets: Mask, truth: Mask, most: int) -> tuple[Array, Array]:
    """(micro-F1, macro-F1) [most, most] from neighbours that are known."""
    grid = neighbour_sweep(near, targets, truth, most=most)
    return grid.micro[:, :, 0], grid.macro[:, :, 0]


WAYS = {
    "one search, sliced": once,
    "one search in faiss's order, sliced": once_in_faiss_order,
    "a search for each k and m": again_and_again,
}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="One search for all k and m, or one for each.")
    parser.add_argument("file", type=Path, metavar="FILE", help="issues, many of them labelled")
    parser.add_argument("--issues", type=int, default=5000, help="how many (default: 5000)")
    parser.add_argument("--k", type=int, default=K_MAX, help=f"the largest k (default: {K_MAX})")
    parser.add_argument("--cache", type=Path, help="a folder that keeps vectors between runs")
    given = parser.parse_args()
    config = Config()
    everything, limits = read_issues(given.file), DataLimits(least=20, issues=given.issues)
    data, labelled, _ = select(everything, config, Attribution.of(config), limits)
    quiet = without_labels(everything, labelled, given.issues, None)
    issues = [*quiet[len(data) - given.issues :], *data.issues] if len(data) < given.issues else data.issues
    targets = np.zeros((len(issues), len(data.names)), dtype=bool)
    targets[len(issues) - len(data) :] = data.targets
    vectors = embedded(Encoder.load(), issues, given.cache)
    start = len(issues) - len(issues) // 5
    task = vectors[:start], targets[:start], vectors[start:], targets[start:], given.k
    times, grids = [], []
    for way in WAYS.values():
        began = time.perf_counter()
        grids.append(way(*task))
        times.append(time.perf_counter() - began)
    pairs = given.k * (given.k + 1) // 2
    print(
        f"{start} issues in the index, {len(issues) - start} ask, {len(data.names)} labels, {pairs} pairs of k and m"
    )
    print(
        f"\n| | seconds | times faster | figures that differ, of {2 * pairs} | by at most |\n|---|---|---|---|---|"
    )
    for name, seconds, grid in zip(WAYS, times, grids, strict=True):
        apart = np.concatenate([np.abs(a - b).ravel() for a, b in zip(grid, grids[-1], strict=True)])
        differing = int((apart > 1e-12).sum())
        most = f"{np.nanmax(apart):.4f}" if differing else ""
        print(f"| {name} | {seconds:.2f} | {times[-1] / seconds:.0f} | {differing} | {most} |")


if __name__ == "__main__":
    main()
