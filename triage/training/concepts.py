"""The concept head: a linear classifier of concepts, learnt once over the issues of many repositories.

A repository teaches only the concepts that it has a label for: an issue without a label is a negative there, and says
nothing elsewhere. The kinds of issues, of which most issues have one, are learnt as a choice between those that the
repository has labels for; the other concepts each by itself. Classes weigh the same, and within a class a repository by
the root of its issues, so that neither a common concept nor a large repository dominates.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.engine.encoder import Encoder
from triage.engine.model_folder import CONCEPTS_FILE
from triage.engine.zero_shot import CONCEPTS, KIND_CONCEPTS, ConceptHead, concept_of
from triage.errors import DataError
from triage.files import write
from triage.issue import Issue
from triage.learn.vectors import embed
from triage.text import LabelText
from triage.training.background import add_array
from triage.training.corpus import Group, corpus
from triage.training.held_out import ONE_IN, refuse_held_out

# Issues read of a repository and concept, and tokens read of each: more teach little and take longer.
MOST, TOKENS = 150, 128
# A concept is learnt from so many issues of so many repositories.
LEAST_ISSUES, LEAST_REPOSITORIES = 30, 2
# Penalties of the weights to choose from: of the kinds, and of each other concept.
KIND_PENALTIES, PENALTIES = (1e-4, 3e-4, 1e-3), (0.3, 1.0, 3.0)
FOLDS, SEED = 3, 0
LEAST_SHARE = 1e-12


@dataclass(frozen=True)
class Examples:
    """Issues that carry a label for a concept: `carries` says which, `known` where that is known, [n, C]."""

    issues: Sequence[Issue]
    names: tuple[str, ...]
    carries: Mask
    known: Mask

    @property
    def repositories(self) -> list[str]:
        return [issue.repo for issue in self.issues]

    @property
    def kinds(self) -> list[int]:
        """The columns of the kinds of issues."""
        return [c for c, name in enumerate(self.names) if name in KIND_CONCEPTS]

    @property
    def others(self) -> list[int]:
        """The columns of all other concepts."""
        return [c for c, name in enumerate(self.names) if name not in KIND_CONCEPTS]

    def of(self, rows: Mask) -> Examples:
        """The same with some of the issues."""
        issues = [issue for issue, kept in zip(self.issues, rows, strict=True) if kept]
        return dataclasses.replace(self, issues=issues, carries=self.carries[rows], known=self.known[rows])


def examples(groups: Sequence[Group], *, seed: int = SEED) -> Examples:
    """At most MOST issues of each repository and concept; concepts with too few are left out."""
    rng = np.random.default_rng(seed)
    everything = tuple(CONCEPTS)
    issues, carries, known = list[Issue](), list[Mask](), list[Mask]()
    for group in groups:
        concepts = [concept_of(LabelText(name)) for name in group.labels]
        here: Mask = np.array([name in concepts for name in everything])
        drawn = Counter[str]()
        for row in rng.permutation(group.labelled):
            mine = {concept for j in group.carried[row] if (concept := concepts[j])}
            if all(drawn[concept] >= MOST for concept in mine):
                continue
            drawn.update(mine)
            own: Mask = np.array([name in mine for name in everything])
            issues.append(group.issues[row])
            carries.append(own)
            known.append(here)
    shape = len(issues), len(everything)
    learnt = Examples(
        issues,
        everything,
        np.array(carries, dtype=bool).reshape(shape),
        np.array(known, dtype=bool).reshape(shape),
    )
    return _with_enough(learnt)


def _with_enough(found: Examples) -> Examples:
    repositories = np.array(found.repositories)
    enough = [
        c
        for c in range(len(found.names))
        if found.carries[:, c].sum() >= LEAST_ISSUES
        and len(set(repositories[found.carries[:, c]])) >= LEAST_REPOSITORIES
    ]
    if not enough:
        raise DataError(
            "no concept has enough labelled issues to be learnt",
            likely="the files hold few labelled issues, or only repositories that are held out",
            next_step="name files with labelled issues of many repositories",
        )
    return dataclasses.replace(
        found,
        names=tuple(found.names[c] for c in enough),
        carries=found.carries[:, enough],
        known=found.known[:, enough],
    )


def fit(found: Examples, vectors: Floats, kind_penalty: float, penalty: float) -> ConceptHead:
    """The head from unit vectors [n, dimension] of the issues; see `KIND_PENALTIES`."""
    kinds = found.kinds
    rows = np.zeros((len(found.names), vectors.shape[1] + 1))
    if kinds:
        rows[kinds] = _kinds(found, vectors, kind_penalty)
    for c in found.others:
        rows[c] = _one(found, vectors, c, penalty)
    stored = rows.astype(np.float32)
    return ConceptHead(found.names, stored[:, :-1], stored[:, -1])


def _kinds(found: Examples, vectors: Floats, penalty: float) -> Array:
    """Multinomial logistic regression [kinds, dimension + 1] on the kinds that the issue's repository has labels for.

    So nothing is learnt from an issue about a kind that its repository has no label for: questions that are labelled
    as bugs where no other label is at hand would teach that questions are bugs.
    """
    alone, truth, choices, weights = _of_one_kind(found)
    x = np.hstack([vectors[alone], np.ones((len(truth), 1))])
    at, shape = np.arange(len(truth)), (len(found.kinds), x.shape[1])
    own = np.eye(shape[0])[truth]

    def loss(flat: Array) -> tuple[float, Array]:
        rows = flat.reshape(shape)
        shares = _shares(x @ rows.T, choices)
        slopes = rows.copy()
        slopes[:, -1] = 0
        value = -(weights * np.log(np.maximum(shares[at, truth], LEAST_SHARE))).sum()
        value += penalty * (slopes**2).sum() / 2
        return float(value), (((shares - own) * weights[:, None]).T @ x + penalty * slopes).ravel()

    from scipy.optimize import minimize

    fitted = minimize(
        loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300}
    )
    result: Array = fitted.x.reshape(shape)
    return result


def _of_one_kind(found: Examples) -> tuple[Mask, Ints, Mask, Array]:
    """Which issues [n] are of exactly one kind; of these their kind, the kinds they could be of, and their weights."""
    carries = found.carries[:, found.kinds]
    alone: Mask = carries.sum(axis=1) == 1
    truth = carries[alone].argmax(axis=1)
    repositories = [repo for repo, one in zip(found.repositories, alone, strict=True) if one]
    return alone, truth, found.known[alone][:, found.kinds], _weights(repositories, truth)


def _shares(logits: Array, choices: Mask) -> Array:
    """The softmax of each row over its choices."""
    z = np.where(choices, logits, -np.inf)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _one(found: Examples, vectors: Floats, column: int, penalty: float) -> Array:
    """Logistic regression [dimension + 1] within the repositories that have a label for the concept."""
    from sklearn.linear_model import LogisticRegression

    known, truth, weights = _of_concept(found, column)
    # In a part of the repositories, a concept may be on all issues that could have it, or on none.
    if truth.all() or not truth.any():
        return np.zeros(vectors.shape[1] + 1)
    # What a positive weighs does not depend on how many negatives there are.
    weights = 4 * truth.sum() * weights
    fitted = LogisticRegression(C=1 / penalty, max_iter=300).fit(vectors[known], truth, sample_weight=weights)
    return np.append(fitted.coef_[0], fitted.intercept_)


def _of_concept(found: Examples, column: int) -> tuple[Mask, Mask, Array]:
    """Which issues [n] are of repositories with a label for the concept; of these who carries it, and their weights."""
    known: Mask = found.known[:, column]
    truth: Mask = found.carries[known, column]
    repositories = [repo for repo, one in zip(found.repositories, known, strict=True) if one]
    return known, truth, _weights(repositories, truth.astype(np.int64))


def _weights(repositories: Sequence[str], classes: Ints) -> Array:
    """[n], one in all: every class weighs the same, and in it a repository by the root of its issues."""
    pairs = list(zip(repositories, classes.tolist(), strict=True))
    counts = Counter(pairs)
    weights = np.array([counts[pair] ** -0.5 for pair in pairs])
    present = np.unique(classes)
    for each in present:
        weights[classes == each] /= weights[classes == each].sum() * len(present)
    return weights


def losses(head: ConceptHead, found: Examples, vectors: Floats) -> tuple[float, float]:
    """(of kinds, mean of the other concepts): log loss on other issues, weighted as in `fit`."""
    alone, truth, choices, weights = _of_one_kind(found)
    logits = vectors.astype(np.float64) @ head.weights.T + head.intercepts
    kinds = 0.0
    if len(truth):
        shares = _shares(logits[alone][:, found.kinds], choices)
        kinds = -float(
            (weights * np.log(np.maximum(shares[np.arange(len(truth)), truth], LEAST_SHARE))).sum()
        )
    others = []
    for c in found.others:
        known, carries, weights = _of_concept(found, c)
        if carries.any() and not carries.all():
            margin = np.where(carries, 1, -1) * logits[known, c]
            others.append(float((weights * np.logaddexp(0, -margin)).sum()))
    return kinds, float(np.mean(others)) if others else 0.0


def chosen(found: Examples, vectors: Floats) -> tuple[float, float]:
    """The penalties with the least loss on repositories that were left out, FOLDS times."""
    names = np.array(found.repositories)
    fold_of = {
        repo: at % FOLDS
        for at, repo in enumerate(dict.fromkeys(names[np.random.default_rng(SEED).permutation(len(names))]))
    }
    folds = np.array([fold_of[repo] for repo in names])
    pairs = list(zip(KIND_PENALTIES, PENALTIES, strict=True))
    measured = np.zeros((len(pairs), 2))
    for fold in range(FOLDS):
        rest, out = folds != fold, folds == fold
        if not rest.any() or not out.any():
            continue
        known, asked = found.of(rest), found.of(out)
        for at, pair in enumerate(pairs):
            measured[at] += losses(fit(known, vectors[rest], *pair), asked, vectors[out])
    kind, other = measured.argmin(axis=0).tolist()
    return KIND_PENALTIES[kind], PENALTIES[other]


def train(
    issues: Iterable[Issue],
    folder: Path,
    cache: Path,
    progress: Callable[[int], Callable[[int], None]] | None = None,
) -> ConceptHead:
    """Learn the head and add it to the encoder in `folder`: the file, its hash, and a section of the card.

    `cache` keeps the vectors, so that another run does not encode again. Raises DataError where too few issues are
    left, ModelError where the folder holds no encoder.
    """
    encoder = Encoder.load(folder, budget=TOKENS)
    found = examples(corpus(issues))
    refuse_held_out(found.repositories)
    kept = cache.read_bytes() if cache.is_file() else None
    vectors = embed(found.issues, encoder, kept, partial(write, cache), progress).vectors
    kind_penalty, penalty = chosen(found, vectors)
    head = fit(found, vectors, kind_penalty, penalty)
    add(folder, head, described(found, kind_penalty, penalty))
    return head


def add(folder: Path, head: ConceptHead, section: str) -> None:
    """Add a head to the encoder in a model folder."""
    add_array(folder, CONCEPTS_FILE, head.rows(), section, concepts=head.names)


def described(found: Examples, kind_penalty: float, penalty: float) -> str:
    """The section of the model card: what the head is and on which issues it was learnt."""
    concepts = ", ".join(
        f"{name} ({count})"
        for name, count in zip(found.names, found.carries.sum(axis=0).tolist(), strict=True)
    )
    repositories = Counter(found.repositories)
    names = ", ".join(f"{repo} ({count})" for repo, count in sorted(repositories.items()))
    return (
        "## Concept head\n\n"
        f"`{CONCEPTS_FILE}` holds a linear classifier of {len(found.names)} concepts, for each its weights and its "
        "intercept as float32. Labels of all repositories that mean the same are one concept "
        "(`triage/engine/zero_shot.py` has the table). Logistic regression on the vectors of "
        f"{len(found.issues)} public issues of {len(repositories)} repositories at {TOKENS} tokens, at most {MOST} of "
        f"a repository and concept, seed {SEED}; penalties {kind_penalty} (kinds) and {penalty} (others), chosen on "
        "training repositories that were left out. Never on the repositories that results are checked on, nor on one "
        f"in {ONE_IN} of the others (`triage/training/held_out.py`). Made by `triage models train concepts`. No text "
        f"is shipped. Concepts and issues: {concepts}. Trained on: {names}.\n"
    )
