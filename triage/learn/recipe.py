"""One recipe on embedded issues: fitted on the past, tuned on the tuning window, measured on the newest window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from triage.arrays import Array, Floats, Ints, Mask
from triage.bundle.model import Neighbourhood, ServingModel, cosines, untaught_rule
from triage.config import Config
from triage.console import counted
from triage.decide import Decision, Evidence, Policy, Recorded, case_of, decide
from triage.decide.rules import AGAINST, WITH_HEAD, Calibration, LabelRule, Rules, rarity
from triage.engine.encoder import Encoder
from triage.engine.head import Head, Propensity
from triage.engine.zero_shot import ConceptHead, ZeroShotModel
from triage.issue import FILES_LEARNT, Issue, Names, fold, matches, native
from triage.learn.calibration import NEWEST, calibrated, elected, judged, propensity, recent_shares
from triage.learn.dataset import Dataset, Fold, Reviewed, Split
from triage.learn.head import MIN_EXAMPLES, columns, fit
from triage.learn.tune import (
    MIN_QUERIES,
    Trial,
    Window,
    affordable,
    joined,
    tune,
    tune_zero_shot,
)
from triage.metrics import summary
from triage.text import LabelText

# Issues in another language than the encoder knows, from which the vote in that language can be learnt.
SPOKEN = 20
# The share of the tuning window's issues that are as far from all neighbours as an issue about something else. Of texts
# about anything but software, most are further.
STRANGE = 0.005


@dataclass(frozen=True)
class Engines:
    """The opened models that learning uses; `progress` makes a callback from the title and the size of some work."""

    encoder: Encoder
    zero_shot: ZeroShotModel
    progress: Callable[[str, int], Callable[[int], None]] | None = None

    def listener(self, title: str, total: int) -> Callable[[int], None] | None:
        """The callback for this work, or None if nobody listens."""
        return self.progress(title, total) if self.progress and total else None


@dataclass(frozen=True)
class HeldOutResult:
    """Decisions on the newest window, and its labels (`truth`), all [n, L], for the labels that may be set."""

    names: Sequence[str]
    truth: Mask
    predicted: Mask
    scores: Array

    @property
    def figures(self) -> dict[str, float]:
        return summary(self.truth, self.predicted, self.scores) if len(self.truth) else {}


@dataclass(frozen=True)
class Recipe:
    """A recipe, the issues with their encoder vectors [n, d], and the windows to tune and measure on.

    `unlabelled` are newer issues without labels; the share of them that would get a label is measured.
    `unlabelled_vectors` [u, d] are those of the data's unlabelled issues, or empty. `encoded` are the vectors of other
    issues that were encoded already, by the digest of their text.
    """

    data: Dataset
    vectors: Floats
    split: Split
    config: Config
    engines: Engines
    adaptation: str
    unlabelled: Sequence[Issue] = ()
    unlabelled_vectors: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    encoded: Mapping[str, Floats] = field(default_factory=dict)

    @cached_property
    def enough(self) -> bool:
        """Whether there are enough issues to tune on."""
        return sum(len(fold.query) for fold in self.split.tune) >= MIN_QUERIES

    @cached_property
    def policy(self) -> Policy:
        return Policy.of(self.config)

    @cached_property
    def settable(self) -> Mask:
        """[L]: the labels that the policy allows."""
        return np.array([self.policy.may_set(name) is None for name in self.data.names])

    def adapted(self, rows: Ints) -> tuple[Head | None, Floats]:
        """The projection learnt from these rows, and their points in its space."""
        return self._adapted_known if rows is self.split.test.known else self._adapt(rows)

    @cached_property
    def _adapted_known(self) -> tuple[Head | None, Floats]:
        """That of all rows before the newest window, which several measurements need."""
        return self._adapt(self.split.test.known)

    def _adapt(self, rows: Ints) -> tuple[Head | None, Floats]:
        if self.adaptation == "none":
            return None, self.vectors[rows]
        return fit(self.data.counts.of(rows), self.vectors[rows], self.data.targets[rows], self._concepts)

    @cached_property
    def _concepts(self) -> Floats | None:
        """See `triage.learn.head.fit`; None where the encoder knows none."""
        head = ConceptHead.load(self.engines.encoder)
        return head.kinds(self._label_texts(self.data.names)) if head else None

    def _label_texts(self, names: Sequence[str]) -> list[LabelText]:
        descriptions = Names(self.config.labels.descriptions)
        return [LabelText(name, descriptions.get(name, "")) for name in names]

    @cached_property
    def window(self) -> Window:
        """The tuning window: each fold's queries, with their neighbours among the rows known before them."""
        return joined(list(map(self._search, self.split.tune)))

    @cached_property
    def rules(self) -> Rules:
        """The rules tuned on the tuning window, with the examples of all rows before the newest window."""
        start = untaught_rule(self.config.zero_shot, self.engines.zero_shot)
        window = self.window if self.enough else self._empty_window()
        known = self.split.test.known
        tuned = tune(window, self.config.vote, self.examples(known), len(known), start)
        tuned = replace(
            tuned,
            calibration=Calibration() if self.adaptation == "none" else WITH_HEAD,
            shared=self.config.learn.sharing,
            closest=self._least_close(window),
        )
        rules = self._known_of(tuned, known)
        if not window.names:
            return rules
        rules = self._calibrated(rules, window)
        return tune_zero_shot(rules, self._trial(rules), self.config.zero_shot)

    def rules_for(self, rows: Ints) -> Rules:
        """The tuned rules with the examples in `rows`; a label that is new there gets the common m.

        They are calibrated on the newest window too: it was measured before, and is most like the issues to come.
        """
        tuned = self.rules.by_name
        fresh = LabelRule("", 0, 0.0, self.rules.votes)
        labels = (
            replace(tuned.get(name, fresh), name=name, examples=count, prior=count / len(rows))
            for name, count in self.examples(rows).items()
        )
        rules = self._known_of(replace(self.rules, labels=tuple(labels)), rows)
        if not self.enough or not self.window.names:
            return rules
        window = joined([self.window, self._search(self.split.test)])
        return self._calibrated(rules, window, self._reviewed)

    def _calibrated(
        self, rules: Rules, window: Window, reviewed: Sequence[tuple[Evidence, Reviewed]] = ()
    ) -> Rules:
        past, by_age = judged(rules, window), self.split.kind == "time"
        return calibrated(rules, window.names, past, self.policy, by_age=by_age, reviewed=reviewed)

    @cached_property
    def _reviewed(self) -> list[tuple[Evidence, Reviewed]]:
        """The issues that the bot labelled, with the evidence that rows before the newest window give."""
        reviewed = self.data.reviewed
        if not reviewed:
            return []
        issues = [one.issue for one in reviewed]
        model = self.model(self.split.test.known, self.rules)
        return list(zip(model.evidence_near(issues, self._encode(issues)), reviewed, strict=True))

    def _encode(self, issues: Sequence[Issue]) -> Floats:
        """The encoder's vectors of these issues; only those that are not known are computed."""
        missing = {issue.digest: issue.text for issue in issues if issue.digest not in self.encoded}
        computed = self.engines.encoder.encode(list(missing.values()))
        known = {**self.encoded, **dict(zip(missing, computed, strict=True))}
        return np.array([known[issue.digest] for issue in issues]).reshape(len(issues), -1)

    def _known_of(self, rules: Rules, rows: Ints) -> Rules:
        """The rules with what else serving knows of these rows.

        Each label's share of the newest, the labels of the head, whether it knows changed files, and the languages.
        """
        if not len(rows):
            return rules
        targets = self.data.targets[rows]
        recent = dict(zip(self.data.names, self._recent(targets).tolist(), strict=True))
        scored = columns(targets).tolist() if self.adaptation != "none" else []
        with_files = sum(bool(self.data.files[i]) for i in rows)
        spoken = Counter(self.data.languages[i] for i in rows)
        learnt = sorted(name for name, count in spoken.items() if name and count >= SPOKEN)
        alone = self._unopposed(rows)
        labels = (replace(rule, recent=recent[rule.name]) for rule in rules.labels)
        return replace(
            rules,
            labels=tuple(replace(rule, votes=None) if rule.name in alone else rule for rule in labels),
            scored=tuple(self.data.names[j] for j in scored),
            files=FILES_LEARNT if scored and with_files >= MIN_EXAMPLES else 0,
            languages=self.config.languages or tuple(learnt),
        )

    def _recent(self, targets: Mask) -> Array:
        """[L]: each label's share of the newest of these rows; of all where the rows have no order in time."""
        return recent_shares(targets) if self.split.kind == "time" else np.asarray(targets.mean(axis=0))

    def _least_close(self, window: Window) -> float:
        """The similarity that the closest neighbour has for almost every issue of the tuning window, see `Evidence`.

        Issues that the head judges by their changed files too do not count.
        """
        pairs = zip(self._queries, window.rows, strict=False)
        by_text = (
            (i, near) for i, near in pairs if self.adaptation == "none" or not self.data.issues[i].files
        )
        found = [(i, near[near >= 0]) for i, near in by_text if (near >= 0).any()]
        closest = [float(cosines(self.vectors[i], self.vectors[near]).max()) for i, near in found]
        return round(float(np.quantile(closest, STRANGE)), 6) if len(closest) >= MIN_QUERIES else -1.0

    def examples(self, rows: Ints) -> dict[str, int]:
        """The number of these rows with each label, for labels with any."""
        counts = self.data.targets[rows].sum(axis=0)
        return {name: int(count) for name, count in zip(self.data.names, counts, strict=True) if count}

    @cached_property
    def result(self) -> HeldOutResult:
        """The decisions on the newest window, as arrays."""
        names = [name for name, may in zip(self.data.names, self.settable, strict=True) if may]
        decisions = self.newest
        predicted = [[name in d.labels for name in names] for d in decisions]
        scores = [[d.scores.get(name, 0.0) for name in names] for d in decisions]
        shape = len(decisions), len(names)
        return HeldOutResult(
            names=names,
            truth=self.data.targets[self.split.test.query][:, self.settable],
            predicted=np.array(predicted, dtype=bool).reshape(shape),
            scores=np.array(scores, dtype=float).reshape(shape),
        )

    @cached_property
    def newest(self) -> list[Decision]:
        """The decisions on the newest window, each as if the issue had just been opened."""
        issues = [self.data.issues[i] for i in self.split.test.query]
        return list(decide(map(case_of, issues), self._recorded, self.policy))

    @cached_property
    def on_unlabelled(self) -> list[Decision]:
        """The decisions on the given unlabelled issues."""
        return list(decide(map(case_of, self.unlabelled), self._recorded, self.policy))

    @cached_property
    def _recorded(self) -> Recorded:
        """The evidence on the newest window and on the given unlabelled issues, without the newest window's labels."""
        rows = self.split.test.query
        issues = [self.data.issues[i] for i in rows]
        model = self.model(self.split.test.known, self.rules)
        report = self.engines.listener("deciding the newest issues", len(issues))
        known = model.recorded(issues, self.vectors[rows], report).recorded
        report = self.engines.listener("deciding unlabelled issues", len(self.unlabelled))
        near = model.evidence_near(self.unlabelled, self._encode(self.unlabelled)) if self.unlabelled else ()
        more = {each.key: each for each in counted(near, report)}
        return Recorded(self.rules, {**known, **more}, model.name)

    def under(self, target: float) -> Recipe:
        """The same recipe with another precision target: nothing is fitted or searched again."""
        if target == self.rules.aim(self.policy.target):
            return self
        vote = replace(self.config.vote, precision_target=target)
        config = replace(self.config, vote=vote)
        return self._varied("_known_propensity", "window", "rules", "_recorded", config=config)

    def rival(self, adaptation: str, config: Config) -> Recipe:
        """Another recipe on the same issues: what does not depend on the recipe is not fitted again."""
        return self._varied("_known_propensity", adaptation=adaptation, config=config)

    def _varied(self, *kept: str, **changes: Any) -> Recipe:
        """The recipe with these changes, which leave the attributes `kept` as they are."""
        other = replace(self, **changes)
        other.__dict__.update({name: getattr(self, name) for name in kept})
        return other

    @property
    def added_on_unlabelled(self) -> float:
        """The share of the given unlabelled issues that would get a label."""
        added = sum(not decision.abstained for decision in self.on_unlabelled)
        return added / max(1, len(self.unlabelled))

    def model(self, rows: Ints, rules: Rules) -> ServingModel:
        """The serving model with an index of these rows."""
        projection, points = self.adapted(rows)
        is_known = rows is self.split.test.known
        propensity, _ = self._known_propensity if is_known else self.propensity(rows)
        return ServingModel(
            encoder=self.engines.encoder,
            zero_shot=self.engines.zero_shot,
            descriptions=self.config.labels.descriptions,
            rules=rules,
            neighbourhood=self._neighbourhood(points, rows),
            head=projection,
            prior=self.vectors[rows].mean(axis=0),
            propensity=propensity,
            never=frozenset(
                fold(name) for name, may in zip(self.data.names, self.settable, strict=True) if not may
            ),
        )

    def propensity(self, rows: Ints) -> tuple[Propensity | None, Array]:
        """What distinguishes these rows from the unlabelled issues of their time, except those that nobody looked at.

        And what it gives the rows themselves, see `triage.learn.calibration.propensity`.
        """
        if not len(rows) or len(self.unlabelled_vectors) != len(self.data.unlabelled):
            return None, np.ones(len(rows))
        newest = self.data.issues[rows[-1]].created_at
        left = [
            i
            for i, issue in enumerate(self.data.unlabelled)
            if issue.handled is not False
            and (newest is None or issue.created_at is None or issue.created_at <= newest)
        ]
        return propensity(self.vectors[rows], self.unlabelled_vectors[left])

    @cached_property
    def _queries(self) -> Ints:
        return np.concatenate([fold.query for fold in self.split.tune])

    def _unopposed(self, rows: Ints) -> frozenset[str]:
        """The labels that nearly all of these rows have, if no unlabelled issues show what they do not mean."""
        counts = self.examples(rows)
        alone = frozenset(name for name, count in counts.items() if count > len(rows) - AGAINST)
        return alone if alone and self.propensity(rows)[0] is None else frozenset()

    @cached_property
    def _voted(self) -> list[int]:
        known, least = self.split.test.known, self.config.vote.min_examples
        examples, alone = self.examples(known), self._unopposed(known)
        names = enumerate(self.data.names)
        return [j for j, name in names if examples.get(name, 0) >= least and name not in alone]

    def _search(self, fold: Fold) -> Window:
        """A fold's queries, with their neighbours among its known rows."""
        voted, known = self._voted, self.data.targets[fold.known]
        projection, points = self.adapted(fold.known)
        queries = self.vectors[fold.query]
        probabilities = np.full((len(fold.query), len(self.data.names)), np.nan)
        if projection:
            scored = projection.probabilities(self.data.counts.of(fold.query), queries)
            probabilities[:, columns(known)] = scored
            queries = projection.join(scored, queries)
        neighbourhood = self._neighbourhood(points, fold.known)
        similarities, at = neighbourhood.rows(self.data.keys(fold.query), queries)
        rows = np.append(fold.known, -1)[at]
        names = [self.data.names[j] for j in voted]
        return Window(
            names=names,
            similarities=similarities,
            rows=rows,
            targets=self.data.targets[:, voted],
            truth=self.data.targets[fold.query][:, voted],
            settable=self.settable[voted],
            head=probabilities[:, voted],
            mass=np.nansum(probabilities, axis=1),
            priors=np.tile(known[:, voted].mean(axis=0), (len(fold.query), 1)),
            recent=np.tile(self._recent(known)[voted], (len(fold.query), 1)),
            propensity=self._propensity_of(fold.query),
            speaks=self._speaks(fold.query, rows, names),
        )

    @cached_property
    def _known_propensity(self) -> tuple[Propensity | None, Array]:
        """That of all rows before the newest window."""
        return self.propensity(self.split.test.known)

    def _propensity_of(self, rows: Ints) -> Array:
        """[q]: of rows before the newest window by cross-validation, of others by all rows before it."""
        model, own = self._known_propensity
        given = np.ones(len(self.data)) if model is None else model.of(self.vectors)
        given[self.split.test.known] = own
        return given[rows]

    def _neighbourhood(self, points: Floats, rows: Ints) -> Neighbourhood:
        return Neighbourhood(points, self.data.keys(rows), self.data.labels(rows), self.config.learn.sharing)

    def _speaks(self, queries: Ints, rows: Ints, names: Sequence[str]) -> Mask | None:
        """Which labels of which neighbours count, see `Neighbourhood`; None: all."""
        shared = self.config.learn.sharing
        if "*" in shared:
            return None
        repos = np.array([issue.repo for issue in self.data.issues])
        same = repos[queries][:, None] == repos[np.maximum(rows, 0)]
        everywhere = np.array([matches(name, shared) for name in names], dtype=bool)
        speaks: Mask = same[..., None] | everywhere
        return speaks

    def _empty_window(self) -> Window:
        targets, nowhere = self.data.targets, np.zeros((0, 1), np.int64)
        nothing, none = np.zeros((0, 1), np.float32), np.zeros((1, 0))
        settable = np.zeros(0, bool)
        return Window(
            [],
            nothing,
            nowhere,
            targets[:, :0],
            targets[:0, :0],
            settable,
            none,
            none[0],
            none,
            none,
            none[0],
        )

    def _trial(self, rules: Rules) -> Trial:
        """Zero-shot scores of the newest queries of the tuning window, as many as are affordable."""
        columns, window = np.flatnonzero(self.settable).tolist(), self.window
        names = [self.data.names[j] for j in columns]
        queries, zero_shot = self._queries, self.engines.zero_shot
        most = min(NEWEST, affordable(len(queries), len(names), costly=zero_shot.costly))
        asked = queries[-most:]
        texts = [self.data.issues[i].text for i in asked]
        labels = self._label_texts(names)
        return Trial(
            raw=zero_shot.raw(
                texts,
                self.vectors[asked],
                labels,
                self.vectors.mean(axis=0),
                progress=self.engines.listener("judging labels by their descriptions", len(texts)),
            ),
            truth=self.data.targets[asked][:, columns],
            rare=np.array([name not in window.names for name in names], dtype=bool),
            rarity=np.array([rarity(rules, name) for name in names]),
            elected=elected(rules, window)[-most:, window.settable],
            voted_truth=window.truth[-most:, window.settable],
            groups=[native(name) for name in names],
        )
