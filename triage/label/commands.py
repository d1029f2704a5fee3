"""Commands in comments: a maintainer writes `/triage again`, `why`, `undo` or `off` as the first line of one.

A command is answered with a reaction or, if there is something to say, in the bot's one comment. Accounts that may not
give commands get no answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from triage.comment import SUGGESTIONS, answers_in, boxes, under_present_names
from triage.config import Config
from triage.decide.policy import Policy, switched_off
from triage.github.comments import react
from triage.github.permissions import may_triage
from triage.issue import fold, folded
from triage.label.suggestions import withdrawn
from triage.markdown import code, escape

if TYPE_CHECKING:
    from triage.github.client import Tracker
    from triage.github.graphql import LiveIssue
    from triage.label.labeller import LabelOutcome
    from triage.label.owners import OwnerDesk
    from triage.label.writer import LabelWriter
    from triage.options import EventComment

# The whole first line, so that a quotation, a block of code or a sentence about a command is none.
COMMAND = re.compile(r"/triage(?:[ \t]+(.*?))?[ \t\r]*", re.IGNORECASE)
AGAIN = "again"
KNOWN = {
    AGAIN: "decide again, even if people have labelled this issue",
    "why": "explain the decision, and change nothing",
    "undo": "take back what triage set here, except what somebody has changed since",
    "off": "leave this issue alone from now on",
}
# Reactions, as GraphQL names them.
DONE, NOT_DONE = "THUMBS_UP", "CONFUSED"

NO_COMMAND = "its comment is not a command"
SWITCHED_OFF = "commands are switched off (act.commands)"
NOT_ALLOWED = "the author of the comment may not give commands"


@dataclass(frozen=True)
class CommandAnswer:
    """The result of a command: `done` for the log, and `text` (Markdown, or empty) for the comment."""

    done: str
    text: str = ""
    reaction: str = DONE


def command_in(comment: EventComment) -> str | None:
    """The command in the comment, in lower case, which need not be KNOWN; None if there is no command.

    A comment by a bot, such as this one, and an edited comment contain no command.
    """
    match = COMMAND.fullmatch(comment.body.partition("\n")[0])
    return None if match is None or comment.is_bot or comment.edited else fold(match[1] or "")


def refusal(comment: EventComment, config: Config, tracker: Tracker) -> str:
    """Why the author of a command is not obeyed, or empty. GitHub is asked what the author may do.

    The association in the event says who somebody is, not what they may do: a member may have no more than read access.
    """
    if not config.act.commands:
        return SWITCHED_OFF
    return "" if may_triage(tracker, comment.author) else NOT_ALLOWED


@dataclass(frozen=True)
class CommandHandler:
    """Carries out the command `word` in a `comment`, and answers it; in a dry run it writes nothing.

    `explain` makes the text for the comment from what labelling would do.
    """

    word: str
    comment: EventComment
    writer: LabelWriter
    config: Config
    explain: Callable[[LabelOutcome], str]
    owners: OwnerDesk | None = None
    dry_run: bool = False

    def obey(self, live: LiveIssue, label: Callable[[bool], LabelOutcome]) -> LabelOutcome:
        """The outcome on the issue of the command; `label` labels it, or with True finds what it would do."""
        outcome = label(self.dry_run or self.word != AGAIN)
        answer = self._answer(live, outcome)
        if not self.dry_run:
            react(self.writer.tracker, self.comment.node_id, answer.reaction)
            if answer.text:
                self.writer.comment(live, {"answer": answer.text})
        if self.word == AGAIN:
            return outcome
        return replace(
            outcome, decision=None, added=(), note="", answer=f"/triage {self._known}: {answer.done}"
        )

    @property
    def _known(self) -> str:
        return self.word if self.word in KNOWN else "…"

    def _answer(self, live: LiveIssue, outcome: LabelOutcome) -> CommandAnswer:
        match self.word:
            case "again":
                # The labels speak for themselves.
                left_alone = "" if outcome.decision else outcome.note
                return (
                    _unable(f"Nothing was decided: {left_alone}") if left_alone else CommandAnswer("decided")
                )
            case "why":
                return CommandAnswer("explained in the comment", self.explain(outcome))
            case "undo":
                return self._undo(live)
            case "off":
                return self._switch_off(live)
        known = "\n".join(f"- `/triage {word}`: {meaning}" for word, meaning in KNOWN.items())
        return CommandAnswer("no such command", f"There is no such command. There are:\n\n{known}", NOT_DONE)

    def _undo(self, live: LiveIssue) -> CommandAnswer:
        """Remove what the bot set, but for labels that anybody touched or accepted; withdraw suggestions."""
        # What was accepted stays accepted, also where suggestions are switched off by now.
        told = self.writer.comment_on(live)
        answers = under_present_names(answers_in(told), self.writer.ids)
        accepted = {fold(answer.what) for answer in answers if answer.accepted}
        policy, who = Policy.of(self.config), self.writer.who
        ruled = folded(name for rule in self.config.rules for name in rule.set)
        mark = fold(self.config.labels.abstain or "")
        names = [
            name
            for name in live.issue.labels
            if (policy.may_set(name, ruled=fold(name) in ruled) is None or fold(name) == mark)
            and who.was_last_to_set(name, live.issue)
            and fold(code(name)) not in accepted
        ]
        people = self.owners.take_back(live, dry_run=self.dry_run) if self.owners else ()
        back = [*names, *people, *(["the suggestions"] if boxes(told) else [])]
        if not back:
            return _unable(
                "There is nothing to take back: triage set nothing here, or somebody has changed it since"
            )
        if not self.dry_run:
            self.writer.remove(live, names)
            if boxes(told):
                self.writer.comment(live, {SUGGESTIONS: withdrawn})
        return CommandAnswer(f"{'would take back' if self.dry_run else 'took back'} {', '.join(back)}")

    def _switch_off(self, live: LiveIssue) -> CommandAnswer:
        """Set the label that keeps the bot away; it is created only where the configuration allows it."""
        name = self.config.act.off_label
        if switched_off(live.issue, self.config):
            return CommandAnswer(f"it has {name} already")
        if name not in self.writer.available and not self.config.labels.create:
            return _unable(
                f"The repository has no label {name}, which switches triage off. Create it, or set labels.create to "
                "true, and write the command again"
            )
        if not self.dry_run:
            self.writer.add(live, (name,))
        return CommandAnswer(f"{'would set' if self.dry_run else 'set'} {name}")


def _unable(sentence: str) -> CommandAnswer:
    return CommandAnswer(f"{sentence[:1].lower()}{sentence[1:]}", f"{escape(sentence)}.", NOT_DONE)
