"""The k/m vote and the learnt rules: k, the votes (m) that each label needs, and the calibration of scores.

A label is elected if at least m of the k nearest neighbours have it. Source: *NLP with Transformers*, chapter 9, where
every vote counts the same. With similarity weighting, a neighbour with the cosine s has exp((s - s_1) / T) of the vote
of the nearest one, which has s_1. The k votes are scaled to sum to k, so that m means the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from triage.arrays import AnyFloats, Array, Mask
from triage.issue import Key, Names, fold, folded, native
from triage.schema import option
from triage.text import names_kind

# The depth of every search; tuning and serving slice the same list.
K_MAX = 50
# The width of the similarity kernel; between 0.05 and 0.2 the choice moves micro-F1 by under a point.
TEMPERATURE = 0.1
WEIGHTINGS = ("uniform", "similarity")
NEIGHBOURS, ZERO_SHOT = "neighbours", "zero-shot"
# The probability from which a description counts although the issue resembles nothing that was learnt from.
STANDS_OUT = 0.8
UNFAMILIAR = "it does not resemble any learnt issue"
# Votes are sums of floats, with rounding errors below this.
EPSILON = 1e-9
# The target that asks for the best F1 instead of a precision, and the probability below which nothing is set even then.
BEST_F1, FLOOR = 0.0, 0.2
# The target where nothing has been measured yet, and a probability that none reaches.
UNMEASURED, NEVER = 0.8, 1.01
# Probabilities of the head are clipped to this far from 0 and 1.
CLIP = 1e-4
# The prior at which zero-shot scores need no correction, and the lowest prior assumed of any label.
COMMON, RAREST = 0.1, 0.01
# How much commoner, in log-odds, labels for the kind of an issue are than others where nothing was learnt
# (`benchmarks/first_day.py`).
COMMONER = 0.48
# The weight of this assumption, in labelled issues: the first ones do not show how common labels are
# (`benchmarks/first_labels.py`).
ASSUMED = 20
# The labelled issues that must lack a label before the vote can tell what it does not mean.
AGAINST = 3
LEAST_SHARE = 1e-12


@dataclass(frozen=True)
class Neighbour:
    """A labelled issue that is similar to the one to decide.

    `similarity` is the cosine, -1..1, in the space in which neighbours vote; `encoder_similarity` is the cosine of the
    encoder's vectors alone (None: not known).
    """

    repo: str
    number: int
    similarity: float
    labels: tuple[str, ...]
    encoder_similarity: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Evidence:
    """What the engines found about an issue; `gather` makes it.

    `neighbours` are in falling similarity (ties: rising number). `votes` and `similarity_votes` are those of the k
    nearest for each label with enough examples, 0..k: the first elect, by the weighting of the rules, the second
    score, weighted by similarity. `head` are the head's probabilities, `zero_shot` raw scores. `propensity` the
    probability that people label an issue like this at all. `closest` is the highest cosine with a neighbour under the
    encoder alone, because under the head, issues that may share labels are near whatever they are about. It is 1 if the
    changed files count too.
    """

    key: Key
    neighbours: tuple[Neighbour, ...] = ()
    votes: Mapping[str, float] = field(default_factory=dict)
    similarity_votes: Mapping[str, float] = field(default_factory=dict)
    zero_shot: Mapping[str, float] = field(default_factory=dict)
    closest: float = 1.0
    head: Mapping[str, float] = field(default_factory=dict)
    propensity: float = 1.0


@dataclass(frozen=True)
class LabelRule:
    """How one label is elected.

    `votes` is the m of this label (None: votes never elect it; if nearly all labelled issues have the label, it is
    judged by its description). `examples` is the number of issues with it in the index, `prior` their share, and
    `recent` their share of the newest. `offset` is added to the log-odds of the label. The label is elected only with
    the probability `enough`, whatever its target, see `triage.learn.calibration.best_f1`.
    `precision` was measured over `predicted` issues newer than those learnt from, under the targets in force then;
    None: the label was set on none. `least` is a further probability that it must reach, because it broke its promise.
    """

    name: str
    examples: int
    prior: float
    votes: float | None
    recent: float = 0.0
    offset: float = 0.0
    precision: float | None = None
    predicted: int = 0
    least: float = 0.0
    enough: float = 0.0


@dataclass(frozen=True)
class Calibration:
    """The logistic regression that gives the probability that a maintainer would set a label on an issue.

    Its slopes multiply log-odds: of the label's share of the votes, of its probability under the head, and of its
    share of the newest issues. `mass` multiplies the logarithm of the sum of all labels' probabilities under the head:
    of two labels that are equally likely by themselves, the one on an issue that resembles nothing known is less so.
    The defaults are those of many repositories with few labelled issues and no head (`benchmarks/growing.py`).
    """

    vote: float = 1.1
    head: float = 0.0
    recent: float = -0.4
    mass: float = 0.0
    intercept: float = -0.4


# Those of the same repositories with a head.
WITH_HEAD = Calibration(vote=0.22, head=0.96, recent=-0.46, intercept=-0.37)


@dataclass(frozen=True)
class OperatingPoint:
    """What a precision target would have achieved on issues newer than the learnt ones.

    A label needs the probability `threshold` (None: no threshold reaches the target). With it, `labels` were set on the
    share `coverage` of the issues, and `right` of them were right; the precision is at least `low` with confidence.
    """

    target: float
    threshold: float | None
    coverage: float = 0.0
    labels: int = 0
    right: int = 0
    low: float = 0.0


@dataclass(frozen=True)
class ZeroShotRule:
    """When zero-shot classification sets a label; scores are sigmoid(slope * contrast + intercept + shift * rarity).

    `contrast` is how far a raw score stands out from those of the other labels, see the function; with a `sharpness` of
    0 it is the raw score. `rarity` is the distance in log-odds between the label's prior and a prior of one in ten: a
    description counts less the rarer its label is. `rare` is the threshold of labels without enough examples,
    `fallback` that of the others where the vote elects nothing; None: no label is set. At most the `top_k` best labels
    are set.
    """

    slope: float
    intercept: float
    rare: float | None
    fallback: float | None
    top_k: int | None = None
    shift: float = 1.0
    sharpness: float = 0.0
    nothing: float = 0.0


@dataclass(frozen=True)
class Rules:
    """The settings of one bundle.

    `votes` is the m of labels without one of their own. The vote elects nothing if all neighbours are further than
    `closest` (see `Evidence`). Labels that match none of the patterns `shared` count only for issues of their own
    repository. `languages` are those besides English in which issues are judged (see `triage.text.language`; "*":
    all). `scored` are the labels of the head, in its order; the head reads this many of the changed `files` of a pull
    request. `points` say what each precision target would give; `recommended` is one of these targets (None: too few
    issues to tell).
    """

    k: int = option(10, "", low=1)
    weighting: str = option("similarity", "", choices=WEIGHTINGS)
    votes: float | None = None
    min_examples: int = 10
    calibration: Calibration = field(default=Calibration())
    labels: tuple[LabelRule, ...] = ()
    zero_shot: ZeroShotRule = field(default=ZeroShotRule(1.0, 0.0, 0.5, 0.5))
    shared: tuple[str, ...] = ("*",)
    languages: tuple[str, ...] = ("*",)
    closest: float = -1.0
    scored: tuple[str, ...] = ()
    files: int = option(0, "", low=0)
    points: tuple[OperatingPoint, ...] = ()
    recommended: float | None = None

    @cached_property
    def by_name(self) -> Names[LabelRule]:
        return Names({rule.name: rule for rule in self.labels})

    @cached_property
    def voted(self) -> tuple[LabelRule, ...]:
        """The labels that the vote judges: enough issues have them, and enough do not."""
        return tuple(
            rule
            for rule in self.labels
            if rule.examples >= self.min_examples and (rule.votes is not None or self.is_opposed(rule))
        )

    def is_opposed(self, rule: LabelRule) -> bool:
        """Whether enough labelled issues lack the label to show what it does not mean, and how common it is."""
        return round(self.labelled) - rule.examples >= AGAINST

    @cached_property
    def needed(self) -> Mapping[str, float | None]:
        """The votes that elect each of these labels; None: votes never elect it."""
        return {rule.name: rule.votes for rule in self.voted}

    @cached_property
    def enough(self) -> Mapping[str, float]:
        """The probability that each of these labels needs to be elected, see `LabelRule`."""
        return {rule.name: rule.enough for rule in self.voted}

    @cached_property
    def _asked(self) -> dict[tuple[str, ...], tuple[Array, Mask, list[str]]]:
        return {}

    def asked(self, names: tuple[str, ...]) -> tuple[Array, Mask, list[str]]:
        """What `zero_shot_odds` takes of labels besides their scores [L]; kept, since most issues ask for the same."""
        if names not in self._asked:
            rare = np.array([name not in self.needed for name in names], dtype=bool)
            self._asked[names] = (
                np.array([rarity(self, name) for name in names]),
                rare,
                [native(name) for name in names],
            )
        return self._asked[names]

    @cached_property
    def labelled(self) -> float:
        """The number of issues that the labels' examples and shares are of."""
        return max((rule.examples / rule.prior for rule in self.labels if rule.prior > 0), default=0.0)

    @cached_property
    def rare(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in self.labels if rule.name not in self.needed)

    def threshold(self, target: float | None) -> float:
        """The probability that a label needs under a precision target; above 1 where no probability reaches it.

        None is the recommended target, and BEST_F1 no target. A threshold is never below its target; it lies above
        where labels that were as likely as the target were right less often.
        """
        aim = self.aim(target)
        if aim <= BEST_F1:
            return FLOOR
        reached = (p.threshold for p in self.points if p.target <= aim + EPSILON)
        return max([aim, *(NEVER if threshold is None else threshold for threshold in reached)])

    def threshold_of(self, name: str, target: float | None) -> float:
        """The probability that this label needs under its target."""
        rule = self.by_name.get(name)
        least = rule.least if rule and self.aim(target) > BEST_F1 else 0.0
        return max(self.threshold(target), least)

    def aim(self, target: float | None) -> float:
        """The target in force if the configuration has this one: None means the recommended target."""
        if target is not None:
            return target
        return UNMEASURED if self.recommended is None else self.recommended

    def point(self, target: float | None) -> OperatingPoint | None:
        """What was measured at the target, or at the nearest lower one."""
        below = [p for p in self.points if p.target <= self.aim(target) + EPSILON]
        return below[-1] if below else None


def kernel(similarities: AnyFloats, weighting: str) -> Array:
    """The weight of each neighbour, [..., K], from similarities in falling order (-inf: no neighbour)."""
    s = np.asarray(similarities, dtype=np.float64)
    present = np.isfinite(s)
    if weighting == "uniform":
        return present.astype(np.float64)
    nearest = np.where(present[..., :1], s[..., :1], 0.0)
    weights: Array = np.where(present, np.exp((np.where(present, s, 0.0) - nearest) / TEMPERATURE), 0.0)
    return weights


def tally(weights: Array, carries: Mask, k: int) -> Array:
    """The votes of each label among the k nearest, [..., L] in 0..k.

    `weights` is [..., K] as `kernel` gives them, `carries` [..., K, L] says which neighbour carries which
    label. The votes of fewer than k neighbours sum to their number.
    """
    w, c = weights[..., :k], carries[..., :k, :]
    total = w.sum(axis=-1, keepdims=True)
    present = (w > 0).sum(axis=-1, keepdims=True)
    scale = np.divide(present, total, out=np.zeros_like(total), where=total > 0)
    # A sum over the neighbours in their order, so that one issue and thousands give the same bits.
    votes: Array = np.zeros(c.shape[:-2] + c.shape[-1:])
    for i in range(w.shape[-1]):
        votes += (w[..., i] * scale[..., 0])[..., None] * c[..., i, :]
    return votes


def gather(
    rules: Rules,
    key: Key,
    neighbours: tuple[Neighbour, ...],
    described: Sequence[str] = (),
    ask: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {},
    *,
    closest: float = 1.0,
    head: Mapping[str, float] = MappingProxyType({}),
    propensity: float = 1.0,
) -> Evidence:
    """The evidence on an issue: its votes are counted, and `ask` gives raw zero-shot scores where they are needed.

    `described` are the labels that have a description; see `Evidence` for `head` and `propensity`.
    """
    votes, similarity_votes = _count(rules, neighbours[: rules.k])
    counted = Evidence(
        key, neighbours, votes, similarity_votes, closest=closest, head=head, propensity=propensity
    )
    elected = likely_enough(rules, counted, vote_scores(rules, counted))
    wanted = asks_zero_shot(rules, described, elected)
    return replace(counted, zero_shot=ask(wanted) if wanted else {})


def _count(rules: Rules, voters: Sequence[Neighbour]) -> tuple[dict[str, float], dict[str, float]]:
    """The votes that elect, and those weighted by similarity, of each label with enough examples."""
    names = [rule.name for rule in rules.voted]
    similarities = np.array([voter.similarity for voter in voters])
    columns = {fold(name): j for j, name in enumerate(names)}
    carries = np.zeros((len(voters), len(names)), dtype=bool)
    for row, voter in zip(carries, voters, strict=True):
        row[[columns[label] for label in map(fold, voter.labels) if label in columns]] = True

    def counted(weighting: str) -> dict[str, float]:
        votes = tally(kernel(similarities, weighting), carries, rules.k)
        return dict(zip(names, map(float, votes), strict=True))

    by_similarity = counted("similarity")
    return by_similarity if rules.weighting == "similarity" else counted(rules.weighting), by_similarity


def vote_scores(rules: Rules, evidence: Evidence) -> dict[str, float]:
    """The probability of each label with enough examples, see `Calibration`.

    The votes are weighted by similarity, whatever elects, and the prior counts as one more neighbour: labels with
    equally many neighbours, or with none, get different scores, and ties are rare.
    """
    of = [rule for rule in rules.voted if rule.name in evidence.similarity_votes]
    if not of:
        return {}
    known = features(
        votes=np.array([evidence.similarity_votes[rule.name] for rule in of]),
        k=rules.k,
        priors=np.array([rule.prior for rule in of]),
        recent=np.array([rule.recent for rule in of]),
        head=np.array([evidence.head.get(rule.name, np.nan) for rule in of]),
        mass=sum(evidence.head.values()),
    )
    c = rules.calibration
    slopes = (c.vote, c.head, c.recent, c.mass)
    odds = (sum(slope * x for slope, x in zip(slopes, row, strict=True)) for row in known.tolist())
    return {
        rule.name: sigmoid(x + c.intercept + rule.offset) * evidence.propensity
        for rule, x in zip(of, odds, strict=True)
    }


def features(
    *, votes: Array, k: int, priors: Array, recent: Array, head: Array, mass: AnyFloats | float
) -> Array:
    """What `Calibration` multiplies, [..., L, 4]; all are [..., L] or broadcast to it, `mass` is [...].

    If the head does not know a label (NaN), its share of all issues is used instead.
    """
    shape = np.broadcast_shapes(votes.shape, priors.shape)
    columns = (
        log_odds((votes + priors) / (k + 1), 1e-6),
        log_odds(np.where(np.isnan(head), priors, head), CLIP),
        log_odds(recent, CLIP),
        np.log(np.maximum(np.asarray(mass, dtype=np.float64), CLIP))[..., None],
    )
    stacked: Array = np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)
    return stacked


def log_odds(shares: Array, least: float) -> Array:
    """Of any shape; shares nearer than `least` to 0 or 1 are taken for that."""
    clipped = np.clip(shares, least, 1 - least)
    odds: Array = np.log(clipped / (1 - clipped))
    return odds


def sigmoid(x: float) -> float:
    """The logistic function, without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def unfamiliar(rules: Rules, evidence: Evidence) -> str:
    """The reason why the learnt issues say nothing about this one, or empty."""
    if not evidence.neighbours:
        return ""
    return "" if evidence.closest >= rules.closest else UNFAMILIAR


def elect_by_vote(rules: Rules, votes: Mapping[str, float]) -> list[str]:
    """The labels that have the votes they need. Raising any `votes` of a rule never adds a label."""
    return [
        name
        for name, count in votes.items()
        if (need := rules.needed[name]) is not None and count > 0 and count >= need - EPSILON
    ]


def likely_enough(rules: Rules, evidence: Evidence, scores: Mapping[str, float]) -> list[str]:
    """The labels that the vote elects and that are likely enough by their `scores`; see `LabelRule`."""
    if unfamiliar(rules, evidence):
        return []
    elected = elect_by_vote(rules, evidence.votes)
    return [name for name in elected if scores[name] >= rules.by_name[name].enough]


def rarity(rules: Rules, name: str) -> float:
    """How much rarer than COMMON the label is, in log-odds.

    Kinds of issues are assumed to be commoner than other labels, with the weight of ASSUMED issues. Only this counts
    if no issue is labelled, or for a label that nearly all of them have, such as `bug` where only bugs are labelled.
    """
    common, assumed = math.log(COMMON / (1 - COMMON)), COMMONER if names_kind(name) else 0.0
    rule = rules.by_name.get(name)
    if not rules.labels or (rule and not rules.is_opposed(rule)):
        return assumed
    examples = (rule.examples if rule else 0) + ASSUMED * sigmoid(common + assumed)
    prior = min(max(examples / (rules.labelled + ASSUMED), RAREST), 1 - RAREST)
    return math.log(prior / (1 - prior)) - common


def contrast(rule: ZeroShotRule, raw: AnyFloats, against: Mask) -> Array:
    """Log-odds of each label [..., L] in a softmax of sharpness * raw with the labels `against` [L] and `nothing`.

    So either one label stands out from all others, however many there are, or none does; `nothing` stands for "none".
    """
    if not rule.sharpness:
        return np.asarray(raw, dtype=np.float64)
    x: Array = rule.sharpness * np.asarray(raw, dtype=np.float64)
    highest = np.maximum(x.max(axis=-1, keepdims=True, initial=rule.nothing), rule.nothing)
    shares = np.exp(x - highest)
    rivals = np.where(against, shares, 0.0)
    others = rivals.sum(axis=-1, keepdims=True) - rivals + np.exp(rule.nothing - highest)
    odds: Array = x - highest - np.log(np.maximum(others, LEAST_SHARE))
    return odds


def zero_shot_odds(
    rule: ZeroShotRule, raw: AnyFloats, rarities: Array, rare: Mask, groups: Sequence[str]
) -> Array:
    """The log-odds of labels [..., L]; see `ZeroShotRule`. The `rare` [L] are compared with each other alone.

    For they are always asked for together, the others only where the vote elects nothing. Rivals are of one of the
    `groups` [L], see `native`: an issue may have the label `bug` and the type of that name.
    """
    contrasts = np.zeros_like(raw, dtype=np.float64)
    for one in set(groups):
        group = np.array([other == one for other in groups], dtype=bool)
        among = np.where(rare, contrast(rule, raw, rare & group), contrast(rule, raw, group))
        contrasts = np.where(group, among, contrasts)
    odds: Array = rule.slope * contrasts + rule.intercept + rule.shift * rarities
    return odds


def zero_shot_scores(rules: Rules, raw: Mapping[str, float]) -> dict[str, float]:
    """Calibrated zero-shot scores; see `ZeroShotRule`."""
    odds = zero_shot_odds(rules.zero_shot, np.array(list(raw.values())), *rules.asked(tuple(raw)))
    return dict(zip(raw, map(sigmoid, odds.tolist()), strict=True))


def elect_by_description(
    scores: Mapping[str, float], threshold: float | None, top_k: int | None
) -> list[str]:
    """The labels whose zero-shot score reaches the threshold, at most the `top_k` best."""
    if threshold is None:
        return []
    reached = [name for name, score in scores.items() if score >= threshold - EPSILON]
    return sorted(reached, key=lambda name: (-scores[name], fold(name)))[:top_k]


def elect(rules: Rules, evidence: Evidence) -> tuple[dict[str, str], dict[str, float]]:
    """(label → the source that elected it, label → calibrated score of every known label)."""
    strange = unfamiliar(rules, evidence)
    scores = vote_scores(rules, evidence)
    by_vote = likely_enough(rules, evidence, scores)
    described = zero_shot_scores(rules, evidence.zero_shot)
    rule, least = rules.zero_shot, STANDS_OUT if strange else 0.0
    rare, others = dict[str, float](), dict[str, float]()
    for name, score in described.items():
        if score >= least - EPSILON:
            (others if name in scores else rare)[name] = score
    by_description = elect_by_description(rare, rule.rare, rule.top_k)
    if not by_vote:
        by_description += elect_by_description(others, rule.fallback, rule.top_k)
    sources = dict.fromkeys(by_vote, NEIGHBOURS) | dict.fromkeys(by_description, ZERO_SHOT)
    return sources, scores | {name: score for name, score in described.items() if name not in scores}


def asks_zero_shot(rules: Rules, described: Sequence[str], elected: Collection[str]) -> list[str]:
    """The labels to classify zero-shot: those without enough examples, and all where the vote `elected` none and
    there is a fallback.
    """
    voted = folded(rules.needed)
    wanted = [name for name in described if fold(name) not in voted]
    asked = folded(wanted)
    wanted += [name for name in rules.rare if fold(name) not in asked]
    if rules.zero_shot.fallback is not None and not elected:
        wanted += [rule.name for rule in rules.voted]
    return wanted
