"""How the bot does in earnest, for the terminal and for the job summary of a retraining."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import add

from triage.learn.live_accuracy import Drift, LiveAccuracy, RetrainAdvice
from triage.metrics import Bin
from triage.reports.job_summary import escape, escape_url, label
from triage.reports.terminal import meter

Url = Callable[[str, int], str]


def plain(advice: RetrainAdvice) -> Iterator[str]:
    """The lines for a terminal."""
    if advice.live:
        total = reduce(add, advice.live.values())
        yield (
            f"  since then     {total.set} labels set by the bot, {total.kept} still there, "
            f"{total.removed} removed by people; {total.missed} that it missed"
        )
    if advice.drift:
        yield f"  drift          {_drift(advice.drift)}"
    if advice.unsure:
        yield f"  label next     {', '.join(f'{repo}#{number}' for repo, number in advice.unsure)}"


def markdown(advice: RetrainAdvice, bins: Sequence[Bin], url: Url) -> str:
    """For the job summary, under the comparison; `url` gives the page of an issue."""
    return "\n".join([*_live(advice), *_next(advice, url), *_reliability(bins)]) + "\n"


def _live(advice: RetrainAdvice) -> Iterator[str]:
    if not advice.live:
        return
    yield from ("#### Since the active bundle was made", "")
    yield from (
        "| label | set by the bot | still there | removed by people | missed |",
        "|---|---|---|---|---|",
    )
    for name, one in advice.live.items():
        yield f"| {label(name)} {_row(one)}"
    yield f"| all {_row(reduce(add, advice.live.values()))}"
    yield ""


def _row(one: LiveAccuracy) -> str:
    return f"| {one.set} | {one.kept} | {one.removed} | {one.missed} |"


def _drift(found: Drift) -> str:
    return f"{found.share:.0%} of the newest {found.issues} issues have no close neighbour (usual: about 1%)"


def _next(advice: RetrainAdvice, url: Url) -> Iterator[str]:
    if advice.drift:
        yield from (f"- {escape(_drift(advice.drift))}", "")
    if advice.unsure:
        links = (f'<a href="{escape_url(url(repo, number))}">#{number}</a>' for repo, number in advice.unsure)
        yield from (f"- Labelled by hand, these would teach most: {', '.join(links)}", "")


def _reliability(bins: Sequence[Bin]) -> Iterator[str]:
    if not bins:
        return
    yield from ("<details><summary>How far the scores can be believed, on the newest issues</summary>", "")
    yield from ("| promised | reached | pairs of issue and label |", "|---|---|---|")
    for one in bins:
        bars = (f"<code>{meter(value)}</code>" for value in (one.promised, one.reached))
        yield f"| {' | '.join(bars)} | {one.pairs} |"
    yield from ("", "</details>", "")
