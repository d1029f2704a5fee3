"""A bundle with its engines: the model that gathers the evidence for `decide`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from triage import __version__
from triage.arrays import AnyFloats, Array, Floats, Ints, Mask
from triage.bundle.bundle import RELEARN, Bundle
from triage.bundle.ivf_files import LazyKeys
from triage.config import Config
from triage.config import ZeroShotConfig as Settings
from triage.console import counted
from triage.decide import Evidence, Neighbour, Policy, Recorded
from triage.decide.rules import K_MAX, Rules, ZeroShotRule, gather
from triage.engine.encoder import Encoder
from triage.engine.head import Head, Propensity, count
from triage.engine.index import Index, IvfCodes, IvfIndex
from triage.engine.zero_shot import ZeroShotModel
from triage.errors import BundleError, made_by
from triage.issue import Issue, Key, Names, distinct, fold, matches
from triage.text import LabelText

EVERY = ("*",)


class Neighbourhood:
    """The indexed issues of a bundle.

    `shared` are patterns of labels; other labels count only for issues of the repository in which they were set.
    Without any shared label, neighbours are searched in the issue's own repository only.
    """

    def __init__(
        self,
        vectors: Floats | IvfCodes,
        keys: Sequence[Key],
        labels: Sequence[tuple[str, ...]],
        shared: Sequence[str] = EVERY,
    ) -> None:
        self._index: Index | IvfIndex
        if isinstance(vectors, IvfCodes):
            self._index = IvfIndex(vectors, _Order(keys))
        else:
            self._index = Index(vectors, list(map(_order_of, keys)))
        self._keys, self._labels = keys, labels
        self._shared = None if "*" in shared else tuple(shared)
        self._parts = vectors, keys, labels, shared

    def __reduce__(self) -> tuple[type[Neighbourhood], tuple[object, ...]]:
        """Pickled without the index of faiss."""
        return Neighbourhood, self._parts

    def near(self, keys: Sequence[Key], vectors: Floats) -> Iterator[tuple[Neighbour, ...]]:
        """The K_MAX nearest of each, without the issue itself, which (repository, number) identifies."""
        for repo, similarities, rows in self._near(keys, vectors):
            pairs = zip(similarities, rows.tolist(), strict=True)
            yield tuple(self._neighbour(repo, similarity, row) for similarity, row in pairs)

    def near_and_closest(
        self, keys: Sequence[Key], points: Floats, vectors: Floats
    ) -> Iterator[tuple[tuple[Neighbour, ...], float]]:
        """The nearest of each with their similarities under the encoder alone, see `near`, and the highest of these.

        `points` are the issues' as the head gives them, `vectors` [n, d] as the encoder does.
        """
        near = self._near(keys, points)
        for vector, (repo, similarities, rows) in zip(vectors, near, strict=True):
            own = self._encoder_similarities(vector, rows)
            triples = zip(similarities, rows.tolist(), own, strict=True)
            yield tuple(self._neighbour(repo, *triple) for triple in triples), max(own, default=1.0)

    def _near(self, keys: Sequence[Key], points: Floats) -> Iterator[tuple[str, list[float], Ints]]:
        """The repository of each, and the similarities and rows of its nearest."""
        keys = self._spelt(keys)
        similarities, rows = self.rows(keys, points)
        for i, (repo, _) in enumerate(keys):
            there = rows[i] >= 0
            yield repo, similarities[i][there].tolist(), rows[i][there]

    def _encoder_similarities(self, vector: Floats, rows: Ints) -> list[float]:
        """Rounded, since processors round the last bits differently. Points begin with the encoder's vector."""
        index = self._index
        points = index.codes.vectors(rows) if isinstance(index, IvfIndex) else index.vectors[rows]
        return [round(s, 6) for s in cosines(vector, points[:, : len(vector)]).tolist()]

    def rows(self, keys: Sequence[Key], vectors: Floats) -> tuple[Floats, Ints]:
        """(similarities, rows), both [q, K_MAX], of the nearest to each; see `Index.search`."""
        keys = self._spelt(keys)
        without = list(map(_order_of, keys))
        if self._shared != ():
            return self._index.search(vectors, without=without)
        shape = len(keys), K_MAX
        similarities, rows = np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64)
        for repo in dict.fromkeys(repo for repo, _ in keys):
            mine = [i for i, key in enumerate(keys) if key[0] == repo]
            similarities[mine], rows[mine] = self._within(repo, vectors[mine], [without[i] for i in mine])
        return similarities, rows

    def _spelt(self, keys: Sequence[Key]) -> list[Key]:
        """The keys with repositories spelt as they are here."""
        here = {repo: self.repositories.spelt(repo) for repo in {repo for repo, _ in keys}}
        return [(here[repo], number) for repo, number in keys]

    def _within(self, repo: str, vectors: Floats, without: Sequence[Any]) -> tuple[Floats, Ints]:
        if isinstance(self._index, IvfIndex):
            owner = self.repositories.get(repo, len(self.repositories))
            return self._index.search(vectors, without=without, owner=owner)
        own: Mask = np.array([key[0] == repo for key in self._keys], dtype=bool)
        return self._index.search(vectors, without=without, within=own)

    def _neighbour(
        self, repo: str, similarity: float, row: int, encoder_similarity: float | None = None
    ) -> Neighbour:
        key, labels = self._keys[row], self._labels[row]
        if self._shared is not None and key[0] != repo:
            labels = tuple(name for name in labels if matches(name, self._shared))
        return Neighbour(*key, round(similarity, 6), labels, encoder_similarity)

    @cached_property
    def repositories(self) -> Names[int]:
        """The number that each repository has in the lists."""
        if isinstance(self._keys, LazyKeys):
            return Names({repo: i for i, repo in enumerate(self._keys.repos)})
        return Names({repo: i for i, repo in enumerate(dict.fromkeys(repo for repo, _ in self._keys))})


class _Order(Sequence[tuple[int, str]]):
    """`_order_of` the keys of a large index, read only where there is a tie."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, at: Any) -> Any:
        return _order_of(self._keys[at])


def _order_of(key: Key) -> tuple[int, str]:
    """The order of equally similar issues: by number, then by repository."""
    repo, number = key
    return number, repo


@dataclass(frozen=True)
class ServingModel:
    """The model behind `decide`; without a neighbourhood, zero-shot classification decides alone.

    `prior` [d] is the mean of the indexed encoder vectors. `bundle` is the one it was opened from, if any; `renamed`
    are the new names of labels that were renamed since it was learnt. `never` are the folded names of labels that the
    policy never sets: their descriptions are not asked about, or they would rival labels that may be set.
    """

    encoder: Encoder
    zero_shot: ZeroShotModel
    descriptions: Mapping[str, str]
    rules: Rules
    name: str = "none"
    neighbourhood: Neighbourhood | None = None
    head: Head | None = None
    prior: Floats | None = None
    propensity: Propensity | None = None
    bundle: Bundle | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    never: frozenset[str] = frozenset()

    def silence(self, repo: str) -> str:
        """Why no neighbour votes on issues of this repository; empty where some may."""
        if self.neighbourhood is None or self.rules.shared != () or repo in self.neighbourhood.repositories:
            return ""
        return f"no neighbour votes: it has no issues of {repo}, and no label is shared (learn.shared)"

    def policy(self, config: Config) -> Policy:
        """The policy of the configuration for what this model decides.

        Under a bundle's own encoder a cosine means something else than under the shipped one: duplicates are looked
        for only from the similarity that the configuration names.
        """
        own = self.bundle is not None and bool(self.bundle.encoder)
        policy = Policy.of(config)
        return replace(policy, duplicate=config.act.duplicates) if own else policy

    @cached_property
    def labels(self) -> frozenset[str]:
        """The labels that it can propose: those learnt, and those described."""
        return frozenset(distinct((*self.rules.by_name, *self.descriptions)))

    @cached_property
    def _texts(self) -> Names[str]:
        return Names(self.descriptions)

    @cached_property
    def _asked(self) -> dict[str, LabelText]:
        """The labels that were asked about so far: they are the same for every issue."""
        return {}

    def _label_text(self, name: str) -> LabelText:
        if name not in self._asked:
            self._asked[name] = LabelText(name, self._texts.get(name, ""))
        return self._asked[name]

    def evidence(self, issues: Sequence[Issue], threads: int | None = None) -> Iterator[Evidence]:
        """See `triage.decide.Model`; encodes in `threads` threads (None: one a core)."""
        return self.evidence_near(
            issues, self.encoder.encode([issue.text for issue in issues], threads=threads)
        )

    def evidence_near(self, issues: Sequence[Issue], vectors: Floats) -> Iterator[Evidence]:
        """The evidence on issues whose encoder vectors [n, d] are known already."""
        nearest: Iterable[tuple[tuple[Neighbour, ...], float]] = (((), 1.0),) * len(issues)
        probabilities: AnyFloats = np.empty((len(issues), 0))
        if self.neighbourhood is not None:
            points = vectors
            if self.head:
                counts = count([issue.text for issue in issues], [issue.files or () for issue in issues])
                probabilities = self.head.probabilities(counts, vectors)
                points = self.head.join(probabilities, vectors)
            nearest = self.neighbourhood.near_and_closest([issue.key for issue in issues], points, vectors)
        described, rules = distinct(self.descriptions), self.rules
        for issue, vector, row, (neighbours, closest) in zip(
            issues, vectors, probabilities, nearest, strict=True
        ):
            head = dict(zip(rules.scored, row.tolist(), strict=True))
            ask = partial(self._classify, issue, vector)
            fits = float(self.propensity.of(vector[None])[0]) if self.propensity else 1.0
            # Of changed files the encoder knows nothing: a title like no other may change `docs/` alone.
            near = 1.0 if rules.files and issue.files else closest
            yield gather(
                rules, issue.key, neighbours, described, ask, closest=near, head=head, propensity=fits
            )

    def recorded(
        self, issues: Sequence[Issue], vectors: Floats, report: Callable[[int], None] | None = None
    ) -> Recorded:
        """This model for issues whose encoder vectors [n, d] are known already; `report` gets the number done."""
        evidence = counted(self.evidence_near(issues, vectors), report)
        return Recorded(self.rules, {e.key: e for e in evidence}, self.name)

    def _classify(self, issue: Issue, vector: Floats, names: Sequence[str]) -> dict[str, float]:
        """Raw zero-shot scores of those of these labels that may be set."""
        names = [name for name in names if fold(name) not in self.never]
        if not names:
            return {}
        labels = [self._label_text(name) for name in names]
        raw = self.zero_shot.raw([issue.text], vector[None, :], labels, self.prior)[0]
        return {name: float(value) for name, value in zip(names, raw, strict=True)}


def cosines(vector: Floats, others: AnyFloats) -> Array:
    """The cosine of a unit vector [d] and each of the others [n, d], summed row by row."""
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-9)
    products: Array = (others * vector).sum(axis=1, dtype=np.float64) / lengths
    return products


def open_model(
    bundle: Bundle,
    name: str,
    encoder: Encoder,
    zero_shot: ZeroShotModel,
    descriptions: Mapping[str, str],
) -> ServingModel:
    """The model of a bundle. Raises BundleError if the bundle was learnt with another encoder."""
    manifest = bundle.manifest
    if manifest.encoder_digest != encoder.digest:
        same = manifest.encoder == encoder.name
        other = f"version of {encoder.name}" if same else f"encoder, {manifest.encoder}, than {encoder.name}"
        configured = manifest.triage_version == __version__
        raise BundleError(
            f"bundle {name} was learnt with another {other}",
            likely="`encoder` in the configuration was changed"
            if configured
            else f"{made_by(manifest.triage_version)}, which includes another model",
            next_step="run `triage retrain`, or restore `encoder`" if configured else RELEARN,
        )
    if bundle.prior.shape != (encoder.dimension,):
        raise BundleError(f"bundle {name} was not learnt from vectors of {encoder.dimension} numbers")
    return ServingModel(
        encoder=encoder,
        zero_shot=zero_shot,
        descriptions=descriptions,
        rules=bundle.rules,
        name=name,
        neighbourhood=Neighbourhood(
            bundle.vectors if bundle.codes is None else bundle.codes,
            bundle.rows.keys,
            bundle.rows.labels,
            bundle.rules.shared,
        ),
        head=Head.from_parts(bundle.head, manifest.head) if bundle.head else None,
        prior=bundle.prior,
        propensity=bundle.propensity,
        bundle=bundle,
    )


# Fitted by `benchmarks/first_day.py` to log-odds of the default zero-shot model; those of other models are on the same
# scale.
SHARPNESS, NOTHING, SLOPE, INTERCEPT = 1.3, 0.5, 0.80, 0.39
# Before anything is learnt, a wrong label costs more trust than a missing one: at most so many labels. Which precision
# they must reach, the policy says.
FIRST_DAY_MOST, EVEN = 2, 0.5


def untaught_rule(settings: Settings, zero_shot: ZeroShotModel) -> ZeroShotRule:
    """The rule without learning: labels that are likelier than not; no fallback for labels with examples."""
    # The model's own slope and intercept give log-odds of a label by itself.
    return ZeroShotRule(
        SLOPE,
        INTERCEPT,
        rare=EVEN if settings.threshold is None else settings.threshold,
        fallback=None,
        top_k=settings.top_k or FIRST_DAY_MOST,
        sharpness=SHARPNESS * zero_shot.slope,
        nothing=NOTHING - SHARPNESS * zero_shot.intercept,
    )
