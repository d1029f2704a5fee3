"""What a zero-shot model's scores mean where nothing is tuned: measured on repositories that it was not trained on."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triage.arrays import Array, Mask
from triage.config import PEOPLE_ONLY, PROCESS
from triage.decide.policy import matches
from triage.engine.encoder import Encoder
from triage.engine.zero_shot.cross_encoder import CrossEncoder
from triage.engine.zero_shot.similarity import SimilarityZeroShot
from triage.errors import DataError
from triage.issue import Issue
from triage.learn.tune import logistic
from triage.metrics import Cuts, micro_f1, precision_recall, sigmoid
from triage.text import LabelText
from triage.training.held_out import EVALUATED, kept_aside

LEAST_USES, SAMPLE, SEED = 10, 75, 20
# A first day of wrong labels is long remembered: the threshold is likelier than not, whatever F1 says.
LEAST_THRESHOLD = 0.5


@dataclass(frozen=True)
class Calibration:
    """See `Manifest` for the first four; `words` say what it was measured on and found."""

    slope: float
    intercept: float
    similarity: float
    threshold: float
    words: str


def calibrate(issues: Iterable[Issue], folder: Path) -> Calibration:
    """Fit the logistic on issues of repositories kept aside, but for those that results are checked on.

    Two things speak for a label, the cross-encoder in `folder` and similarity under the shipped encoder. Each
    repository weighs the same. Raises DataError where there are none.
    """
    groups: dict[str, dict[str, Issue]] = defaultdict(dict)
    for issue in issues:
        if kept_aside(issue.repo) and not (issue.kind != "issue" or matches(issue.repo, EVALUATED)):
            groups[issue.repo].setdefault(issue.digest, issue)
    encoder = Encoder.load()
    similar = SimilarityZeroShot.load(encoder)
    models = CrossEncoder(folder, similar), similar, encoder
    found = [judged(models, list(group.values()), repo) for repo, group in sorted(groups.items())]
    told = [each for each in found if each is not None]
    if not told:
        raise DataError(
            "no repository is left to calibrate on",
            likely="the files hold too few repositories",
            next_step="name files with issues of more of them",
        )
    evidence = np.concatenate([raw for raw, _ in told])
    truth = np.concatenate([carried for _, carried in told])
    weights = np.concatenate([np.full(len(raw), 1 / len(raw)) for raw, _ in told])
    (slope, likeness), intercept = logistic(evidence, truth, weights)
    scores = sigmoid(evidence @ np.array([slope, likeness]) + intercept)
    cut = max(LEAST_THRESHOLD, _best_threshold(scores, truth))
    chosen = (scores >= cut)[:, None]
    precision, recall = precision_recall(truth[:, None], chosen)
    words = (
        f"Calibrated on {len(truth)} pairs of issue and label of {len(told)} repositories that it was not trained on "
        f"(seed {SEED}, label names alone): at the default threshold of {cut:.2f} micro-F1 is "
        f"{micro_f1(truth[:, None], chosen):.3f}, precision {precision:.3f}, recall {recall:.3f}"
    )
    return Calibration(
        round(slope, 4), round(intercept, 4), round(max(0.0, likeness / slope), 4), round(cut, 4), words
    )


def judged(
    models: tuple[CrossEncoder, SimilarityZeroShot, Encoder], issues: Sequence[Issue], repo: str
) -> tuple[Array, Mask] | None:
    """Logit and similarity [pairs, 2] and truth [pairs] of some issues of a repository; None where `sampled` is."""
    judge, similar, encoder = models
    found = sampled(issues, repo)
    if found is None:
        return None
    drawn, names, truth = found
    texts, labels = [issue.text for issue in drawn], [LabelText(name) for name in names]
    parts = judge.read(texts, labels), similar.raw(texts, encoder.encode(texts), labels)
    return np.stack([part.ravel() for part in parts], axis=1).astype(np.float64), truth.ravel()


def sampled(issues: Sequence[Issue], repo: str) -> tuple[list[Issue], list[str], Mask] | None:
    """Up to SAMPLE issues, the labels with LEAST_USES in the repository, and which apply [n, L].

    None where fewer than two labels are used so often.
    """
    unwanted = (*PROCESS, *PEOPLE_ONLY)
    uses = Counter(name for issue in issues for name in issue.labels if not matches(name, unwanted))
    names = sorted(name for name, count in uses.items() if count >= LEAST_USES)
    labelled = [issue for issue in issues if set(names) & set(issue.labels)]
    if len(names) < 2:
        return None
    pick = random.Random(f"{SEED} {repo}")  # noqa: S311 - a sample that can be repeated, not a secret
    drawn = pick.sample(labelled, min(SAMPLE, len(labelled)))
    truth = np.array([[name in issue.labels for name in names] for issue in drawn], dtype=bool)
    return drawn, names, truth


def _best_threshold(scores: Array, truth: Mask) -> float:
    cuts = Cuts.of(scores, truth)
    return float(cuts.values[int(cuts.f1(true=truth.sum()).argmax())])
