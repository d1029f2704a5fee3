"""What the zero-shot models are worth on repositories that none was trained on: similarity, the cross-encoder,
and as served.

    python benchmarks/judge.py MANY [FILE...] [--three FILE] [--judge FOLDER] [--fp32 [WEIGHTS]]

MANY holds issues of many repositories, of which those kept aside (`triage/training/held_out.py`) and not evaluated
otherwise are used; at most 75 issues of each (seed 20), labels with at least 10 uses, by their names alone. A FILE is
one repository: its newest 300 issues, labels with at least 20 uses. --three: issues with exactly one of the labels
bug, feature and question, the best one by name and description. mAP is the mean over labels of average precision; F1
is at each model's default threshold, calibrated as it is served without an index. --fp32 adds a row, for what int8
costs: the cross-encoder in PyTorch with the WEIGHTS that it was made of (WORK/weights of its training), or, where
none are named, with such as it may have been made of.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shared import described, labelled
from sklearn.metrics import average_precision_score, f1_score
from zero_shot import THREE

from triage.arrays import Array, Mask
from triage.config import ZeroShotConfig
from triage.engine.encoder import Encoder
from triage.engine.model_folder import BUILTIN, shipped
from triage.engine.zero_shot import BUILTIN_ZERO_SHOT, ZeroShotModel, calibrated, open_zero_shot
from triage.engine.zero_shot.cross_encoder import CrossEncoder
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.issue import Issue
from triage.metrics import macro_f1, micro_f1, precision_recall
from triage.sources.issue_file import iter_issues
from triage.text import LabelText
from triage.training.corpus import held_out_groups
from triage.training.cross_encoder_export import SEED, sampled

NEWEST, LEAST = 300, 20
# Issues that are timed.
TIMED = 60
HEAD = "| data | model | mAP | micro-F1 | macro-F1 | precision | issues | labels |\n|---|---|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Asked:
    """Issues of one repository, the labels asked about and which apply, [n, L]."""

    issues: Sequence[Issue]
    names: Sequence[str]
    truth: Mask


def many(path: Path) -> list[Asked]:
    """The repositories kept aside."""
    samples = (sampled(group, repo) for repo, group in held_out_groups(iter_issues(path)).items())
    return [Asked(*sample) for sample in samples if sample]


def one(path: Path) -> tuple[str, Asked]:
    """A repository's newest issues."""
    data = labelled(path, LEAST)
    return described(data), Asked(data.issues[-NEWEST:], data.names, data.targets[-NEWEST:])


def scores(model: ZeroShotModel, encoder: Encoder, asked: Asked) -> Array:
    """Probabilities [n, L]."""
    texts = [issue.text for issue in asked.issues]
    raw = model.raw(texts, encoder.encode(texts), [LabelText(name) for name in asked.names])
    return calibrated(raw, model.slope, model.intercept).astype(np.float64)


def show(title: str, models: Mapping[str, ZeroShotModel], encoder: Encoder, parts: Sequence[Asked]) -> None:
    """A row for each model; several repositories: mAP and macro-F1 are means over them."""
    for name, model in models.items():
        found = [scores(model, encoder, part) for part in parts]
        precise, macro = [], []
        for part, probability in zip(parts, found, strict=True):
            used = np.flatnonzero(part.truth.any(axis=0))
            precise.append(
                np.mean([average_precision_score(part.truth[:, j], probability[:, j]) for j in used])
            )
            macro.append(macro_f1(part.truth, probability >= model.threshold))
        chosen = np.concatenate([(probability >= model.threshold).ravel() for probability in found])[:, None]
        truth = np.concatenate([part.truth.ravel() for part in parts])[:, None]
        labels = sum(len(part.names) for part in parts)
        cells = (
            np.mean(precise),
            micro_f1(truth, chosen),
            np.mean(macro),
            precision_recall(truth, chosen)[0],
        )
        issues = sum(len(part.issues) for part in parts)
        print(
            f"| {title} | {name} | {' | '.join(f'{x:.3f}' for x in cells)} | {issues} | {labels} |",
            flush=True,
        )


def three(path: Path, models: Mapping[str, ZeroShotModel], encoder: Encoder) -> None:
    """The best of three described labels."""
    issues = list(iter_issues(path))
    texts = [issue.text for issue in issues]
    vectors = encoder.encode(texts)
    truth = [[label.name for label in THREE].index(issue.labels[0]) for issue in issues]
    for name, model in models.items():
        best = model.raw(texts, vectors, THREE).argmax(axis=1)
        print(
            f"bug, feature, question: {name}: macro-F1 {f1_score(truth, best, average='macro'):.3f}",
            flush=True,
        )


def speed(models: Mapping[str, ZeroShotModel], encoder: Encoder, parts: Sequence[Asked]) -> None:
    """Processor milliseconds for an issue, its vector given, with labels of all the repositories."""
    rng = np.random.default_rng(SEED)
    texts = [issue.text for part in parts for issue in part.issues][:TIMED]
    names = rng.permutation(sorted({name for part in parts for name in part.names}))
    vectors = encoder.encode(texts)
    for name, model in models.items():
        for count in (10, 50):
            labels = [LabelText(str(name)) for name in names[:count]]
            model.raw(texts[:2], vectors[:2], labels)
            start = time.process_time()
            model.raw(texts, vectors, labels)
            print(f"{name}: {1000 * (time.process_time() - start) / len(texts):.1f} ms for {count} labels")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Zero-shot models compared.")
    parser.add_argument("many", type=Path, help="issues of many repositories, one JSON object a line")
    parser.add_argument("files", type=Path, nargs="*", help="issues of one repository each")
    parser.add_argument("--three", type=Path, help="issues labelled bug, feature or question")
    parser.add_argument(
        "--judge", default=BUILTIN, help="a model folder (default: the shipped cross-encoder)"
    )
    parser.add_argument(
        "--fp32",
        type=Path,
        nargs="?",
        const=False,
        metavar="WEIGHTS",
        help="the cross-encoder in fp32 besides, with what it was made of or may have been made of",
    )
    given = parser.parse_args()
    encoder = Encoder.load()
    similar = SimilarityZeroShot.load(encoder)
    folder = shipped(BUILTIN_ZERO_SHOT) if given.judge == BUILTIN else Path(given.judge)
    models: dict[str, ZeroShotModel] = {
        "similarity": similar,
        "cross-encoder": CrossEncoder(folder, similar),
        "as served": open_zero_shot(ZeroShotConfig(model=given.judge), encoder),
    }
    if given.fp32 is not None:
        from judge_fp32 import Unquantized

        models["cross-encoder, fp32"] = Unquantized(folder, similar, given.fp32 or None)
    aside = many(given.many)
    print(f"seed {SEED}\n\n{HEAD}")
    show(f"{len(aside)} repositories kept aside", models, encoder, aside)
    for path in given.files:
        title, asked = one(path)
        show(title, models, encoder, [asked])
    if given.three:
        three(given.three, models, encoder)
    speed(models, encoder, aside)


if __name__ == "__main__":
    main()
