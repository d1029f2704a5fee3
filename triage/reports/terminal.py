"""Decisions for people to read."""

from __future__ import annotations

from triage.decide.decision import Decision, ranked
from triage.decide.rules import NEIGHBOURS
from triage.markdown import one_line

NEIGHBOURS_SHOWN = 5
ALSO_SHOWN = 3
BLOCKS = " ▏▎▍▌▋▊▉█"


def table(title: str, decision: Decision) -> str:
    """One issue for a terminal: its labels with their support, what was held back, and the nearest voters."""
    repo, number = decision.key
    lines = [f"{repo}#{number}  {one_line(title)[:90]}"]
    width = max([len(one_line(name)) for name in (*decision.labels, *decision.held_back)], default=0)
    rows = [("+", name, support(decision, name)) for name in decision.labels]
    rows += [("-", name, f"held back: {reason}") for name, reason in decision.held_back.items()]
    lines += [
        f"  {mark} {one_line(name):<{width}}  {meter(decision.scores[name])}  {why}"
        for mark, name, why in rows
    ]
    if decision.abstained:
        near = ", ".join(f"{one_line(name)} {x:.2f}" for name, x in ranked(decision.scores)[:ALSO_SHOWN])
        lines.append(f"  no label; the nearest were {near or 'none'}")
    lines += [
        f"      {n.similarity:.2f}  {n.repo if n.repo != repo else ''}#{n.number}  {one_line(', '.join(n.labels))}"
        for n in decision.voters[:NEIGHBOURS_SHOWN]
    ]
    return "\n".join(lines) + "\n"


def meter(score: float, width: int = 10) -> str:
    """A bar for a probability, and the number."""
    eighths = round(score * width * 8)
    whole, part = divmod(eighths, 8)
    return f"{(BLOCKS[8] * whole + BLOCKS[part] * (part > 0)):<{width}} {score:.2f}"


def support(decision: Decision, name: str) -> str:
    """Where a label comes from: its votes, or its description."""
    if decision.sources.get(name) == NEIGHBOURS:
        return f"{decision.votes[name]:.1f} of {len(decision.voters)} votes"
    return "zero-shot: by its description"
