"""Adapting the encoder's vectors to a repository's labels before neighbours are searched: not at all, or by a head.

A head is a projection learnt from the labels, in seconds and without torch: kernel ridge regression of all labels at
once. The points that are indexed must come from scores that did not see the issue's own labels, since in-sample scores
are far more confident than those of new issues. Ridge regression gives leave-one-out scores exactly and at no cost
(Allen's PRESS: the residual without row i is alpha_i / G_ii, where G is the inverse of the kernel plus its ridge), from
n - 1 issues each, while a new issue is scored from n. A logistic curve for each label (Platt, 1999) turns scores into
probabilities.

A label for a kind of issue, such as bug, starts from the weights of this concept (`triage.engine.zero_shot`) instead of
from nothing: the penalty is on the difference to them. They become part of the head's weights and cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from triage.arrays import Array, Floats, Indices, Mask
from triage.engine.encoder import in_threads
from triage.engine.head import VECTOR_SHARE, VIEW_SHARES, FeatureCounts, Head, KeptFeatures, sigmoid

# How vectors can be adapted without another encoder.
ADAPTATIONS = ("none", "head")

# With fewer examples a direction would be noise.
MIN_EXAMPLES = 5
# Memory grows with the square of the rows and time with the cube: a kernel of 8,000 takes half a gigabyte.
MAX_ROWS = 8_000
RIDGE = 0.7
# The correlation of a label with its concept before anything is learnt.
PRIOR = 0.3
# The length of the vector part, relative to a mean length of one of the label part.
VECTOR_LENGTH = 0.3
# Rows of the kernel computed, or factorised, at a time: the sparse product of all at once takes three times its memory.
BLOCK = 512
# Features whose weights are computed at a time.
FEATURES_AT_ONCE = 4096
# Features in more than this share of the issues are few, but take nine tenths of a sparse product's time.
OFTEN = 0.1
PRIOR_WEIGHT = 2.0
NEWTON_STEPS = 25
# Log-odds change by less with another step than they are rounded by.
CONVERGED = 1e-9
# Features of a single issue do not generalise.
MIN_TEXTS = 2
# Bounds the size of a head: two bytes for each feature and label.
MAX_FEATURES = 1 << 16


def fit(
    counts: FeatureCounts,
    vectors: Floats,
    targets: Mask,
    concepts: Floats | None = None,
    *,
    seed: int = 0,
    time_ordered: bool = True,
) -> tuple[Head, Floats]:
    """The head for new issues, and the points [n, d + l] of the n issues themselves, to be indexed.

    `counts` are the features of their texts and changed files, `vectors` [n, d] unit vectors of the encoder, `targets`
    [n, labels]; labels with fewer than MIN_EXAMPLES get no direction. `concepts` [labels, d] are the weights of the
    concept that each label means, or zeros; None: none means any. No point has seen the labels of its own issue. Of
    more than MAX_ROWS issues the newest are learnt from where they are `time_ordered`, oldest first, else a sample
    drawn by `seed`; the others are projected like new ones.
    """
    used = _used(len(targets), seed, time_ordered)
    scored = columns(targets, seed=seed, time_ordered=time_ordered)
    labels = targets[used].astype(np.float64)[:, scored]
    space = _Space.of(counts.of(used), vectors[used])
    known = space.prior(labels, None if concepts is None else concepts[scored])
    alpha, scores = _ridge(space.kernel(), labels, labels.mean(axis=0) + space.around @ known)
    slope, offset = _curves(scores, labels)
    probabilities = sigmoid(scores * slope + offset)
    shift = labels.mean(axis=0) * slope + offset
    head = space.head(alpha * slope, known * slope, shift, _balance(probabilities))

    rest = np.setdiff1d(np.arange(len(targets)), used)
    points = np.empty((len(targets), vectors.shape[1] + labels.shape[1]), dtype=np.float32)
    points[used] = head.join(probabilities, vectors[used])
    points[rest] = head.project(counts.of(rest), vectors[rest])
    return head, points


def columns(targets: Mask, *, seed: int = 0, time_ordered: bool = True) -> Indices:
    """The labels of `fit`, in the order of its head: columns of `targets`."""
    used = targets[_used(len(targets), seed, time_ordered)]
    return np.flatnonzero(used.sum(axis=0) >= MIN_EXAMPLES)


def _used(n: int, seed: int, time_ordered: bool) -> Indices:
    if n <= MAX_ROWS or time_ordered:
        return np.arange(max(0, n - MAX_ROWS), n)
    return np.sort(np.random.default_rng(seed).choice(n, MAX_ROWS, replace=False))


@dataclass(frozen=True)
class _Space:
    """The linear model's input for n issues: hashed features and the centred vector, weighted by their shares."""

    kept: KeptFeatures
    lexical: csr_matrix
    centre: Array
    stretch: float
    around: Array

    @classmethod
    def of(cls, counts: FeatureCounts, vectors: Floats) -> _Space:
        kept = KeptFeatures.of(counts, least=MIN_TEXTS, most=MAX_FEATURES)
        features = counts.weighted(kept, VIEW_SHARES)
        shape = (len(vectors), len(kept.buckets))
        lexical = csr_matrix((features.values, features.buckets, features.ends), shape)
        centre = vectors.mean(axis=0, dtype=np.float64)
        around = vectors - centre
        stretch = (VECTOR_SHARE / max(float((around**2).sum(axis=1).mean()), 1e-12)) ** 0.5
        return cls(kept, lexical, centre, stretch, around)

    def prior(self, labels: Array, concepts: Floats | None) -> Array:
        """The weights [d, l] that each label starts from: its concept's, scaled to a correlation of PRIOR."""
        weights = np.zeros((labels.shape[1], len(self.centre))) if concepts is None else concepts
        deviation = (self.around @ weights.T).std(axis=0)
        # Where all issues fit a concept equally well, it tells nothing of them.
        scale = np.divide(
            PRIOR * labels.std(axis=0), deviation, np.zeros_like(deviation), where=deviation > 1e-6
        )
        return np.asarray(weights.T * scale)

    def kernel(self) -> Array:
        """The lower triangle of the inner products of every two issues [n, n], plus one for the intercept."""
        n, features = self.lexical.shape
        often = np.bincount(self.lexical.indices, minlength=features) > OFTEN * n
        dense = np.hstack([self.around * self.stretch, self.lexical[:, often].toarray()])
        products: Array = dense @ dense.T
        products += 1
        seldom = self.lexical[:, ~often]
        across = seldom.T.tocsr()

        def add(start: int) -> int:
            stop = min(start + BLOCK, len(products))
            products[start:stop, :stop] += (seldom[start:stop] @ across[:, :stop]).toarray()
            return stop

        in_threads(add, range(0, n, BLOCK), None)
        return products

    def head(self, alpha: Array, start: Array, shift: Array, balance: float) -> Head:
        """The dual solution [n, l] written as weights of features; `start` [d, l] and `shift` [l] are added to them."""
        dense = self.stretch**2 * self.around.T @ alpha + start
        across = self.lexical.T.tocsr()
        words = np.empty((across.shape[0], alpha.shape[1]), dtype=np.float16)

        def fill(at: int) -> int:
            words[at : at + FEATURES_AT_ONCE] = across[at : at + FEATURES_AT_ONCE] @ alpha
            return at

        in_threads(fill, range(0, len(words), FEATURES_AT_ONCE), None)
        return Head(
            buckets=self.kept.buckets,
            idf=self.kept.idf,
            words=words,
            dense=dense.astype(np.float32),
            intercept=(alpha.sum(axis=0) + shift - self.centre @ dense).astype(np.float32),
            balance=np.array([balance], dtype=np.float32),
        )


def _ridge(kernel: Array, labels: Array, expected: Array) -> tuple[Array, Array]:
    """The dual solution and the score of each issue by the model without it, both [n, l].

    What is learnt is the difference to the `expected` labels [n, l]. Of the kernel the lower triangle is read; it is
    overwritten.
    """
    kernel.flat[:: len(kernel) + 1] += RIDGE
    inverse = _inverse_factor(kernel)
    alpha = inverse.T @ (inverse @ (labels - expected))
    # Of the kernel's inverse only the diagonal is needed: the squares of the inverse factor, summed by column.
    return alpha, labels - alpha / np.einsum("ki,ki->i", inverse, inverse)[:, None]


def _inverse_factor(kernel: Array) -> Array:
    """The inverse of the kernel's Cholesky factor, in its place: no second matrix of this size is held.

    By bordering, one block of rows after the other, without multiplying zeros. LAPACK does it in one call that lets no
    other thread run, such as the one that shows progress.
    """
    for start in range(0, len(kernel), BLOCK):
        before, here = slice(start), slice(start, start + BLOCK)
        blocks = [slice(at, at + BLOCK) for at in range(0, start, BLOCK)]
        factor = np.empty_like(kernel[here, before])
        for block in blocks:
            factor[:, block] = kernel[here, : block.stop] @ kernel[block, : block.stop].T
        corner = np.linalg.inv(np.linalg.cholesky(kernel[here, here] - factor @ factor.T))
        for block in blocks:
            kernel[here, block] = -corner @ (factor[:, block.start :] @ kernel[block.start : start, block])
        kernel[here, here], kernel[before, here] = np.tril(corner), 0
    return kernel


def _curves(scores: Array, labels: Array) -> tuple[Array, Array]:
    """Slope and offset [l] of the logistic curve from scores to labels, by Newton's method.

    The slope, for scores scaled to deviation one, is pulled towards one with the weight of two examples and is never
    negative: a label whose scores rank worse than chance gets its frequency.
    """
    mean, deviation = scores.mean(axis=0), scores.std(axis=0) + 1e-9
    z = (scores - mean) / deviation
    frequency = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    start = np.stack([np.ones_like(frequency), np.log(frequency / (1 - frequency))], axis=1)
    hold = np.array([PRIOR_WEIGHT, 1e-3])
    w = start.copy()
    for _ in range(NEWTON_STEPS):
        p = sigmoid(z * w[:, 0] + w[:, 1])
        v, error = p * (1 - p), p - labels
        cross = (z * v).sum(axis=0)
        hessian = np.stack([(z * z * v).sum(axis=0), cross, cross, v.sum(axis=0)], axis=1).reshape(-1, 2, 2)
        gradient = np.stack([(z * error).sum(axis=0), error.sum(axis=0)], axis=1) + hold * (w - start)
        step = np.linalg.solve(hessian + np.diag(hold), gradient[:, :, None])[:, :, 0]
        # A full step can overshoot without end where a few scores are far from all others; with this one the logistic
        # loss never rises (Bach, Self-concordant analysis for logistic regression, 2010).
        reach = np.maximum(np.abs(z * step[:, 0] + step[:, 1]).max(axis=0), 1e-12)
        w -= step * (np.log1p(reach) / reach)[:, None]
        if reach.max(initial=0) < CONVERGED:
            break
    slope = np.maximum(w[:, 0], 0) / deviation
    return slope, w[:, 1] - slope * mean


def _balance(probabilities: Array) -> float:
    """Scales the label part to a mean length of one and the vector to VECTOR_LENGTH; only the ratio counts."""
    length = float(np.sqrt(probabilities.sum(axis=1).mean()))
    return 1 / (VECTOR_LENGTH * length) if length else 1.0
