"""What each way of adapting the vectors is worth, within each repository of a file.

    python benchmarks/adapt.py FILE [--weights FOLDER] [--folds 1] [--each] [--budget 900] [--work DIR]

FILE holds issues with exactly one label each. Each repository is cut into three stratified parts; two are known, the
third is asked about, and the label with the most votes among the 15 nearest known issues, weighted by similarity,
counts. One encoder is fine-tuned on the known issues of all repositories together, batches drawn within
repositories; with --each, one for each repository. Beside a tuned encoder the head sees words alone: the vectors of
known issues have seen their labels, and a linear model would trust them more than new ones deserve.

The folder of --work keeps the tuned encoders, so that a run that was stopped goes on. Minutes are those of training
and export; of a kept encoder, none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
from shared import embedded, labelled

from triage.arrays import Floats, Indices, Mask
from triage.decide.rules import K_MAX, kernel, tally
from triage.engine.encoder import Encoder
from triage.engine.head import count
from triage.engine.index import Index
from triage.engine.model_folder import MANIFEST_FILE
from triage.finetune.fine_tune import Labelled, fine_tune
from triage.finetune.training_loop import TrainingSchedule, TrainingStep
from triage.finetune.weights import Weights, find_weights
from triage.learn.dataset import Dataset, stratify
from triage.learn.head import fit
from triage.metrics import macro_f1

PARTS, SPLIT_SEED = 3, 7
K = 15
METHODS = ("none", "head", "encoder", "encoder+head")


@dataclass(frozen=True)
class Material:
    """The issues of a file, their frozen vectors [n, d], and the repository and part of each row [n]."""

    data: Dataset
    frozen: Floats
    repos: npt.NDArray[np.str_]
    parts: Indices

    @classmethod
    def read(cls, path: Path) -> Material:
        """Read, embed and cut."""
        data = labelled(path, least=1)
        repos = np.array([issue.repo for issue in data.issues])
        parts = np.zeros(len(data), dtype=np.intp)
        for repo in np.unique(repos):
            rows = np.flatnonzero(repos == repo)
            for number, part in enumerate(stratify(data.targets[rows], [1 / PARTS] * PARTS, seed=SPLIT_SEED)):
                parts[rows[part]] = number
        return cls(data, embedded(Encoder.load(), data.issues, None), repos, parts)

    def texts(self, rows: Indices) -> list[str]:
        return [self.data.issues[i].text for i in rows]


@dataclass(frozen=True)
class Training:
    """How encoders are tuned, and where they are kept."""

    weights: Weights
    plan: TrainingSchedule
    work: Path

    def tuned(self, name: str, material: Material, known: Indices) -> tuple[Floats, float]:
        """Vectors of all issues by an encoder tuned on the `known` ones, and the minutes that it took."""
        out, started = self.work / name, time.monotonic()
        if not (out / MANIFEST_FILE).is_file():
            groups = [str(repo) for repo in material.repos[known]]
            issues = Labelled(material.texts(known), material.data.targets[known], groups)
            fine_tune(
                issues,
                self.weights,
                out,
                plan=self.plan,
                checkpoint=self.work / f"{name}-run",
                progress=say,
            )
        minutes = (time.monotonic() - started) / 60
        return embedded(Encoder.load(out), material.data.issues, None), minutes


def say(step: TrainingStep) -> None:
    """A line on standard error, now and then."""
    if step.number % 25 == 0 or step.number == step.total:
        print(
            f"step {step.number} of {step.total}: {' '.join(f'{x:.3f}' for x in step.losses.values())}, "
            f"{step.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )


def vote(known: Floats, targets: Mask, queries: Floats) -> Mask:
    """The one label [q, L] of each query with the most votes."""
    similarities, at = Index(known, [(row, "") for row in range(len(known))]).search(queries)
    carries = targets[np.maximum(at, 0)] & (at >= 0)[..., None]
    votes = tally(kernel(similarities[:, :K_MAX], "similarity"), carries, K)
    best: Mask = np.arange(votes.shape[1]) == votes.argmax(axis=1)[:, None]
    return best


def answers(material: Material, tuned: Floats, known: Indices, query: Indices) -> Iterator[Mask]:
    """The predictions [q, L] of each of METHODS within one repository."""
    targets, frozen = material.data.targets[known], material.frozen
    yield vote(frozen[known], targets, frozen[query])
    yield vote(*with_head(material, frozen, known, query))
    yield vote(tuned[known], targets, tuned[query])
    points, _, asked = with_head(material, np.zeros_like(tuned), known, query)
    yield vote(joined(points, tuned[known]), targets, joined(asked, tuned[query]))


def with_head(
    material: Material, vectors: Floats, known: Indices, query: Indices
) -> tuple[Floats, Mask, Floats]:
    """The points of the known issues, their targets, and the points of the queries."""
    targets = material.data.targets[known]
    head, points = fit(count(material.texts(known)), vectors[known], targets, time_ordered=False)
    return points, targets, head.project(count(material.texts(query)), vectors[query])


def joined(points: Floats, vectors: Floats) -> Floats:
    """Both, of length one each, side by side."""
    both = np.hstack([points, vectors])
    return np.asarray(both / np.linalg.norm(both, axis=1, keepdims=True), dtype=np.float32)


def fold(material: Material, training: Training, number: int, each: bool) -> tuple[list[list[float]], float]:
    """macro-F1 by method and repository, and the minutes of training."""
    names = sorted(set(material.repos))
    known = material.parts != number
    minutes, by_repo, tuned = 0.0, [], np.zeros_like(material.frozen)
    if not each:
        tuned, minutes = training.tuned(f"all-{number}", material, np.flatnonzero(known))
    for at, repo in enumerate(names):
        own = material.repos == repo
        rows, query = np.flatnonzero(own & known), np.flatnonzero(own & ~known)
        if each:
            tuned, spent = training.tuned(f"{at}-{number}", material, rows)
            minutes += spent
        truth = material.data.targets[query]
        by_repo.append([macro_f1(truth, found) for found in answers(material, tuned, rows, query)])
    return [list(scores) for scores in zip(*by_repo, strict=True)], minutes


def table(names: Sequence[str], by_fold: Sequence[Sequence[Sequence[float]]]) -> str:
    """Markdown: a row for each method, the mean over folds for each repository, then over repositories."""
    lines = [f"| method | {' | '.join(names)} | mean |", "|---|" + "---|" * (len(names) + 1)]
    for method, scores in zip(METHODS, np.mean(by_fold, axis=0), strict=True):
        lines.append(f"| {method} | {' | '.join(f'{x:.3f}' for x in (*scores, np.mean(scores)))} |")
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Adaptations compared within repositories.")
    parser.add_argument("file", type=Path, help="issues with exactly one label each")
    parser.add_argument("--weights", help="folder, or org/name@COMMIT (default: the shipped encoder's)")
    parser.add_argument("--folds", type=int, choices=range(1, PARTS + 1), default=1, help="parts asked about")
    parser.add_argument("--each", action="store_true", help="one encoder for each repository")
    parser.add_argument("--budget", type=float, help="seconds for each encoder")
    parser.add_argument("--epochs", type=int, default=TrainingSchedule.epochs)
    parser.add_argument("--tokens", type=int, default=TrainingSchedule.max_tokens)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="a folder that keeps tuned encoders")
    given = parser.parse_args()
    weights = find_weights(given.weights)
    plan = TrainingSchedule(given.epochs, given.tokens, seconds=given.budget, seed=given.seed)
    material = Material.read(given.file)
    with TemporaryDirectory() as scratch:
        training = Training(weights, plan, given.work or Path(scratch))
        training.work.mkdir(parents=True, exist_ok=True)
        done = [fold(material, training, number, given.each) for number in range(given.folds)]
    print(table(sorted(set(material.repos)), [scores for scores, _ in done]))
    taken = ", ".join(f"{minutes:.1f}" for _, minutes in done)
    print(f"\nseed {given.seed}, {plan.epochs} epochs, {plan.max_tokens} tokens; minutes: {taken}")


if __name__ == "__main__":
    main()
