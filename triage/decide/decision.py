"""The evidence on an issue, and the decision that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triage.issue import Key
from triage.text import TEXT_VERSION


@dataclass(frozen=True)
class Neighbour:
    """A labelled issue near the one that is decided; `similarity` is a cosine, -1..1."""

    repo: str
    number: int
    similarity: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What the engines say about an issue; `triage.decide.rules.gather` makes it.

    `neighbours` are in falling similarity (ties: rising number). `votes` and `similarity_votes` are those of the k
    nearest for each label with enough examples, 0..k: the first elect, by the weighting of the rules, the second
    score, weighted by similarity. `zero_shot` are raw scores.
    """

    key: Key
    neighbours: tuple[Neighbour, ...] = ()
    votes: Mapping[str, float] = field(default_factory=dict)
    similarity_votes: Mapping[str, float] = field(default_factory=dict)
    zero_shot: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The labels for one issue, the reasons, and the alternatives.

    `sources` maps each elected label to what elected it, `held_back` those of them that are not set to the reason.
    `scores` are probabilities of all known labels, `needed` the votes that elect a label (None: votes never do).
    `left_alone` is the reason why the issue was not looked at, or empty.
    """

    key: Key
    labels: tuple[str, ...]
    sources: Mapping[str, str]
    held_back: Mapping[str, str]
    scores: Mapping[str, float]
    needed: Mapping[str, float | None]
    evidence: Evidence
    k: int
    bundle: str
    left_alone: str = ""

    @property
    def abstained(self) -> bool:
        return not self.labels

    @property
    def votes(self) -> Mapping[str, float]:
        return self.evidence.votes

    @property
    def voters(self) -> tuple[Neighbour, ...]:
        return self.evidence.neighbours[: self.k]

    def to_dict(self) -> dict[str, object]:
        """The decision as a JSON object: numbers and label names, no text of the issue."""
        return {
            "repo": self.key[0],
            "number": self.key[1],
            "labels": list(self.labels),
            "sources": {name: self.sources[name] for name in self.labels},
            "abstained": self.abstained,
            "held_back": dict(self.held_back),
            "scores": {name: round(score, 6) for name, score in ranked(self.scores)},
            "neighbours": [
                {"repo": n.repo, "number": n.number, "similarity": n.similarity, "labels": list(n.labels)}
                for n in self.voters
            ],
            "text_version": TEXT_VERSION,
            "bundle": self.bundle,
        }


def ranked(scores: Mapping[str, float]) -> list[tuple[str, float]]:
    """(label, score) pairs, best first, ties by name."""
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
