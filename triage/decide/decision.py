"""What was decided about an issue, and the evidence it was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from triage.issue import Key
from triage.text import TEXT_VERSION


@dataclass(frozen=True)
class Neighbour:
    """A labelled issue near the one in question; `similarity` is a cosine, -1..1."""

    repo: str
    number: int
    similarity: float
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What the engines found: neighbours in falling similarity (ties: rising number), raw zero-shot scores."""

    key: Key
    neighbours: tuple[Neighbour, ...] = ()
    zero_shot: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The labels for one issue, why, and what else was considered.

    `scores` are probabilities for every label known; `held_back` names the labels that were elected and yet
    not set, with the reason; `votes` are those of the k neighbours that voted, `needed` what elects (None: nothing).
    """

    key: Key
    labels: tuple[str, ...]
    sources: Mapping[str, str]
    held_back: Mapping[str, str]
    scores: Mapping[str, float]
    votes: Mapping[str, float]
    needed: Mapping[str, float | None]
    evidence: Evidence
    k: int
    bundle: str

    @property
    def abstained(self) -> bool:
        return not self.labels

    @property
    def voters(self) -> tuple[Neighbour, ...]:
        return self.evidence.neighbours[: self.k]

    def to_dict(self) -> dict[str, object]:
        """The decision as one JSON object: numbers and label names, never a word of the issue."""
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
