"""What zero-shot classification makes of the first labelled issues, before any label has enough for the vote.

    python benchmarks/first_labels.py MANY...

MANY hold labelled issues of many repositories, one JSON object a line. From each of them that no shipped model was
trained on (`triage/training/held_out.py`) and that has enough, 25 issues are drawn to judge (seed 20), and others that
count as labelled so far: as they come, or those with the commonest label alone, as where maintainers label bugs only.
Labels with ten examples are left to the vote. The number of issues that the assumption of the first day counts as
(ASSUMED in `triage/decide/rules.py`) is varied; 0 believes the first issues alone.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
from shared import held_out_groups

from triage.arrays import Array, Mask
from triage.bundle.model import untaught_rule
from triage.config import ZeroShotConfig
from triage.decide import Rules, rules
from triage.decide.rules import LabelRule, ZeroShotRule, elect_by_description, zero_shot_scores
from triage.engine.encoder import Encoder
from triage.engine.zero_shot import ZeroShotModel, open_zero_shot
from triage.issue import Issue
from triage.sources.issue_file import iter_issues
from triage.text import LabelText, language, says_nothing
from triage.training.corpus import label_names

SEED, JUDGED, FEWEST, LEAST_USES = 20, 25, 60, 2
ASSUMPTIONS, LABELLED = (0, 5, 10, 20, 40, 80), (1, 2, 4, 8, 16, 32, 64)
TARGET = 0.8


@dataclass(frozen=True)
class Repository:
    """Raw scores of its labels on the issues to judge, [n, L], the labels these carry, and those of other issues."""

    names: Sequence[str]
    raw: Array
    truth: Mask
    others: Mask


def read(issues: Sequence[Issue], model: ZeroShotModel, encoder: Encoder) -> Repository | None:
    """A repository, or None where it has too little."""
    names = label_names(issues, LEAST_USES)
    told = [i for i in issues if not says_nothing(i.title, i.body) and not language(i.text)]
    told = [issue for issue in told if set(names) & set(issue.labels)]
    if len(told) < FEWEST or len(names) < LEAST_USES:
        return None
    random.Random(f"{SEED} {told[0].repo}").shuffle(told)
    texts = [issue.text for issue in told[:JUDGED]]
    raw = model.raw(texts, encoder.encode(texts), [LabelText(name) for name in names]).astype(np.float64)
    carried = np.array([[name in issue.labels for name in names] for issue in told], dtype=bool)
    return Repository(names, raw, carried[:JUDGED], carried[JUDGED:])


def learnt(repository: Repository, labelled: int, rule: ZeroShotRule, *, alone: bool) -> Rules:
    """The rules after the first labelled issues; `alone`: only those with the most common label."""
    common = repository.others.sum(axis=0).argmax()
    rows = repository.others[repository.others[:, common]] if alone else repository.others
    counts = rows[:labelled].sum(axis=0) * (np.arange(rows.shape[1]) == common if alone else 1)
    total = min(labelled, len(rows))
    labels = tuple(
        LabelRule(name, int(count), count / total, None)
        for name, count in zip(repository.names, counts, strict=True)
        if count
    )
    return Rules(labels=labels, zero_shot=rule)


def judged(repository: Repository, known: Rules) -> Iterator[tuple[int, int]]:
    """(labels set, right ones among them) on each issue."""
    rare = [j for j, name in enumerate(repository.names) if name not in known.needed]
    for row, truth in zip(repository.raw, repository.truth, strict=True):
        scores = zero_shot_scores(known, {repository.names[j]: float(row[j]) for j in rare})
        chosen = elect_by_description(scores, TARGET, known.zero_shot.top_k)
        yield len(chosen), sum(bool(truth[repository.names.index(name)]) for name in chosen)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Zero-shot classification with the first labelled issues.")
    parser.add_argument(
        "many", type=Path, nargs="+", help="issues of many repositories, one JSON object a line"
    )
    given = parser.parse_args()
    encoder = Encoder.load()
    model = open_zero_shot(ZeroShotConfig(), encoder)
    rule = replace(untaught_rule(ZeroShotConfig(), model), rare=TARGET)
    groups = held_out_groups(chain.from_iterable(map(iter_issues, given.many)))
    read_ones = [read(issues, model, encoder) for issues in groups.values()]
    repositories = [repository for repository in read_ones if repository]
    print(f"seed {SEED}, {len(repositories)} repositories; precision, and labels set an issue\n")
    print(f"| labelled | {' | '.join(f'counts as {count}' for count in ASSUMPTIONS)} |")
    print(f"|---|{'---|' * len(ASSUMPTIONS)}")
    for alone in (False, True):
        for labelled in LABELLED:
            cells = []
            for assumed in ASSUMPTIONS:
                with patch.object(rules, "ASSUMED", assumed):
                    every = (judged(r, learnt(r, labelled, rule, alone=alone)) for r in repositories)
                    done = np.array(list(chain.from_iterable(every)))
                told, right = done.sum(axis=0)
                cells.append(f"{right / told:.2f}, {told / len(done):.2f}" if told else "none set")
            print(f"| {labelled}{', one label alone' * alone} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
