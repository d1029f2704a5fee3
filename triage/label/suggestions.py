"""Suggestions: labels that are not set are offered in the bot's one comment, and a maintainer's tick sets them.

Anybody who can edit the comment can tick a box in it, and can write anything else. So answers are read from the
versions of the comment that GitHub keeps: the bot's own last version says what was offered, and a tick belongs to the
account that made the first version with it. No other text is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triage.comment import (
    NONE,
    SUGGESTIONS,
    Offer,
    SuggestionAnswer,
    answers_in,
    boxes,
    offers_in,
    parts_of,
    suggestions_part,
    under_present_names,
)
from triage.decide.policy import Policy, switched_off
from triage.github.client import IssueChange, LabelSuggestion
from triage.github.comments import comment_versions
from triage.github.permissions import may_triage
from triage.issue import Issue, Names, fold, folded
from triage.markdown import code

if TYPE_CHECKING:
    from triage.config import Config
    from triage.decide import Decision
    from triage.github.comments import CommentVersion
    from triage.github.graphql import LiveIssue
    from triage.label.writer import LabelWriter

SWITCHED_OFF = "suggestions are switched off (act.suggest)"
NOT_MINE = (
    "{author} wrote the comment, and this workflow's token is {me}'s: give both workflows the same token"
)
NOT_THERE = "GitHub Enterprise Server has no label suggestions; set act.suggest_in to comment"
# The least probabilities of GitHub's words for confidence.
MEDIUM, HIGH = 0.5, 0.8
NO_TICK = "no suggestion in the comment was ticked"


def refused(text: str, ids: Mapping[str, str]) -> dict[str, str]:
    """The labels that people refused in the comment with this text, with the reason not to set them.

    `ids` are those of the repository's labels, by name.
    """
    answers = under_present_names(answers_in(text), ids)
    return {answer.name: f"{answer.login} refused it" for answer in answers if not answer.accepted}


def offering(decision: Decision, ids: Mapping[str, str]) -> Callable[[str], str]:
    """Makes the part of the comment from its previous text: labels with an answer are not offered again.

    `ids` as in `refused`.
    """

    def offer(text: str) -> str:
        if any(boxes(text).values()):
            # The run that the tick started has the last word.
            return parts_of(text)[SUGGESTIONS]
        answers = answers_in(text)
        told = folded(answer.what for answer in answers)
        names = [name for name in decision.suggested if fold(code(name)) not in told]
        offers = [
            Offer(code(name), f", probability {decision.scores[name]:.2f}", label_id=here.get(name, ""))
            for name in names
        ]
        return suggestions_part(offers, answers)

    here = Names(ids)
    return offer


def new_answers(versions: Sequence[CommentVersion], me: Collection[str]) -> list[SuggestionAnswer]:
    """The answers to what the bot offers; `versions` are the comment's texts, oldest first, `me` the bot's logins.

    A tick counts if it is still there, for the account that set it; the bot only keeps ticks, where it writes another
    part of the comment. Nothing counts if the bot's text is not known.
    """
    ids: dict[str, str] = {}
    by: dict[str, CommentVersion] = {}
    for version in versions:
        now = boxes(version.body)
        if fold(version.editor) in me:
            # What it has ticked without having offered it, somebody else wrote.
            ids = {o.what: o.label_id for o in offers_in(version.body) if not o.ticked or o.what in ids}
            by = {what: tick for what, tick in by.items() if now.get(what)}
        else:
            by = {what: by.get(what, version) for what in ids if now.get(what)}
    none = by.pop(NONE, None)
    answers = [_answer(what, v, ids[what], accepted=True) for what, v in by.items()]
    if none is not None:
        rest = [what for what in ids if what != NONE and what not in by]
        answers += [_answer(what, none, ids[what], accepted=False) for what in rest]
    return answers


def _answer(what: str, version: CommentVersion, label_id: str, *, accepted: bool) -> SuggestionAnswer:
    return SuggestionAnswer(what, accepted, version.editor, version.created_at, label_id)


def settling(answers: Sequence[SuggestionAnswer], seen: Collection[str]) -> Callable[[str], str]:
    """Makes the part of the comment that reports these answers, from its previous text.

    `seen` are the boxes whose ticks were handled or ignored: these are cleared. While another box is ticked, the part
    stays as it is, because that tick has its own run.
    """

    def settle(text: str) -> str:
        part = parts_of(text).get(SUGGESTIONS, "")
        if any(ticked and what not in seen for what, ticked in boxes(text).items()):
            return part
        every = [*answers_in(text), *answers]
        told = {NONE, *(answer.what for answer in every)}
        offers = [offer for offer in offers_in(text) if offer.what not in told]
        return suggestions_part(offers, every)

    return settle


def withdrawn(text: str) -> str:
    """The part of the comment with this text, without open suggestions."""
    return suggestions_part([], answers_in(text))


def suggest_on_github(writer: LabelWriter, live: LiveIssue, decision: Decision) -> str:
    """Offer the labels as GitHub's own label suggestions; returns why that failed, or empty.

    A label that the server set instead is removed again: it misses its precision target.
    """
    tracker = writer.tracker
    if tracker.enterprise_version():
        return NOT_THERE
    names = [name for name in decision.suggested if name in writer.available]
    before = folded((*live.issue.labels, *decision.labels))
    after = tracker.suggest_labels(
        live.issue.number,
        [
            LabelSuggestion(name, confidence(decision.scores[name]), rationale(decision.scores[name]))
            for name in names
        ],
    )
    wrong = tuple(name for name in names if fold(name) in folded(after) - before)
    if wrong:
        tracker.change([IssueChange(live.node_id, remove=tuple(writer.available[name].id for name in wrong))])
    return f"it set {', '.join(wrong)} instead, which was taken off again" if wrong else ""


def confidence(probability: float) -> str:
    """The probability in GitHub's three steps."""
    return "high" if probability >= HIGH else "medium" if probability >= MEDIUM else "low"


def rationale(probability: float) -> str:
    """Why a label is suggested, without any text of an issue."""
    return f"Similar issues of this repository give it a probability of {probability:.2f}, which is below its target."


@dataclass(frozen=True)
class SuggestionHandler:
    """Carries out what people ticked in the bot's comment; in a dry run it writes nothing."""

    writer: LabelWriter
    config: Config
    dry_run: bool = False

    def settle(self, comment_id: str, number: int) -> tuple[tuple[str, ...], str]:
        """(the labels that were set, a description of what happened to the ticks). Raises NotFound for the issue."""
        tracker, me = self.writer.tracker, folded([self.writer.me])
        versions = comment_versions(tracker, comment_id)
        ids = self.writer.ids
        ticked = new_answers(versions, me)
        if not ticked:
            return (), NO_TICK
        may = {login: may_triage(tracker, login) for login in {answer.login for answer in ticked}}
        answers = [answer for answer in ticked if may[answer.login]]
        now = under_present_names(answers, ids)
        live = tracker.issue(number)
        if reason := switched_off(live.issue, self.config):
            return (), reason
        names, notes = self._settable([answer for answer in now if answer.accepted], live.issue)
        added = names if self.dry_run else self.writer.add(live, names)
        if not self.dry_run:
            told = settling(answers, {NONE, *(answer.what for answer in ticked)})
            self.writer.comment(live, {SUGGESTIONS: told})
        would = "would be " if self.dry_run else ""
        words = [
            f"{', '.join(added)} {would or 'was '}set" if added else "",
            *(self._in_words(answer) for answer in now),
            *notes,
            *(f"{login} may not accept suggestions" for login, allowed in sorted(may.items()) if not allowed),
        ]
        return added, "; ".join(filter(None, words))

    def _settable(
        self, accepted: Sequence[SuggestionAnswer], issue: Issue
    ) -> tuple[tuple[str, ...], list[str]]:
        """(the accepted labels that can be set, why the others cannot)."""
        policy, here = Policy.of(self.config), {fold(code(name)): name for name in self.writer.available}
        names, notes = list[str](), list[str]()
        for answer in accepted:
            name = here.get(fold(answer.what))
            if name is None:
                notes.append(f"the repository no longer has the label {answer.name}")
            elif reason := policy.may_set(name):
                notes.append(f"{name}: {reason}")
            elif self._taken_off(name, answer, issue):
                notes.append(f"{name} was removed since")
            elif fold(name) not in folded(issue.labels):
                names.append(name)
        return tuple(names), notes

    def _taken_off(self, name: str, answer: SuggestionAnswer, issue: Issue) -> bool:
        events = (e for e in issue.events or () if fold(e.label) == fold(name) and not e.added)
        return any(answer.at is None or event.at >= answer.at for event in events)

    def _in_words(self, answer: SuggestionAnswer) -> str:
        return f"{answer.login} {'accepted' if answer.accepted else 'refused'} {answer.name}"
