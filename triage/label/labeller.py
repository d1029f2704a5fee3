"""Labelling issues: of a file, to print the decisions, or on GitHub, to add the labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from triage import config as configuration
from triage.actions import BoundedOutput, Runner
from triage.bundle.open import open_serving, warn_if_untaught
from triage.comment import SUGGESTIONS, Part, is_own
from triage.config import Config
from triage.console import at_once, bar, log, log_json, notice, stage, status, warning
from triage.decide import Case, Decision, case_of, decide
from triage.decide.case import Attribution, is_judged, reason_of_people, with_rules
from triage.decide.policy import followed
from triage.decide.rules import BEST_F1, Rules
from triage.errors import NothingToLabelWith, TriageError
from triage.github.client import TOGETHER
from triage.github.errors import IssueGone, NotFound, no_such_issues
from triage.github.graphql import IssueFilter
from triage.github.open import open_repository, open_store, server_url
from triage.issue import KINDS, Names, TextBeforeEdit, fold
from triage.label.commands import NO_COMMAND, CommandHandler, command_in, refusal
from triage.label.owners import OwnerDesk
from triage.label.suggestions import (
    NOT_MINE,
    SWITCHED_OFF,
    SuggestionHandler,
    offering,
    refused,
    suggest_on_github,
)
from triage.label.writer import IssueEdit, LabelWriter
from triage.markdown import escape, issue_link
from triage.options import Event, EventComment, LabelOptions

if TYPE_CHECKING:
    from triage.bundle.model import ServingModel
    from triage.github.client import Tracker
    from triage.github.graphql import LiveIssue

# Issues that are read and decided together.
BATCH = 50
# What a dry run calls the labels that it does not set.
WOULD = "would-label"
# The actions of events after which only the abstain label is looked at.
LABEL_CHANGES = {"labeled", "unlabeled"}


@dataclass(frozen=True)
class LabelOutcome:
    """The result for one issue: the decision, and the labels that were added or, in a dry run, would be added.

    Without a decision, the issue was left alone for the reason in `note`; `missing`: there is no such issue. `answer`
    is the result of a command that asked for something other than labels, and `owners` says whom the labels involved.
    """

    repo: str
    number: int
    decision: Decision | None = None
    added: tuple[str, ...] = ()
    note: str = ""
    missing: bool = False
    answer: str = ""
    owners: str = ""


class Summary(Protocol):
    """Makes the Markdown of a run; `url` gives the page of an issue, `model` names the model."""

    def __call__(
        self,
        outcomes: Sequence[LabelOutcome],
        *,
        url: Callable[[str, int], str],
        dry_run: bool,
        model: str,
    ) -> str: ...


def label_file(options: LabelOptions, file: Path, show: Callable[[str, Decision], str]) -> int:
    """Decide the issues of a file, and print each as JSON, or as `show` gives it for the title and the decision."""
    from triage.sources.issue_file import read_issues

    config = configuration.load(options.config.file)
    issues = read_issues(file, repo=options.repo, skip_bad=options.skip_bad, warn=warning, partial_rows=True)
    store = open_store(options.store, config) if options.store else None
    model, done = open_serving(config, store), bar("labelling", len(issues))
    warn_if_untaught(model, store)
    for silence in filter(None, map(model.silence, dict.fromkeys(issue.repo for issue in issues))):
        warning(f"bundle {model.name}: {silence}")
    cases = (with_rules(case_of(issue), config.rules) for issue in issues)
    decisions = decide(cases, model, model.policy(config))
    with at_once(), stage("labelling"):
        for count, (issue, decision) in enumerate(zip(issues, decisions, strict=True), start=1):
            done(count)
            if options.json:
                log_json(decision.to_dict())
            else:
                log(show(issue.text.split("\n", 1)[0], decision))
    return 0


def label_live(options: LabelOptions, summary: Summary, show: Callable[..., str]) -> int:
    """Label issues on GitHub, print the outcomes as JSON or as `show` gives them, and publish them to the workflow.

    Raises TriageError.
    """
    runner, event = Runner(os.environ), None if options.issues else options.event
    comment = event.comment if event else None
    command = command_in(comment) if comment else None
    if event and comment and comment.edited and is_own(comment.body):
        return _settle(runner, options, event.number, comment, summary, show)
    if comment and command is None:
        return _left_alone(runner, options, show, NO_COMMAND)
    tracker, config = _opened(options, event)
    if event and (reason := _refused(event, config, tracker)):
        return _left_alone(runner, options, show, reason)
    available = tracker.labels()
    here = tracker.ids(available)
    described = {name: label.description for name, label in available.items()}
    store = open_store(options.store, config, tracker) if options.store else None
    try:
        model = open_serving(config, store, described=described, repo=here)
    except NothingToLabelWith as nothing:
        return _without_a_model(runner, nothing, unattended=options.unattended)
    warn_if_untaught(model, store, unattended=options.unattended)
    config = followed(config, model.renamed, available)
    tracker.most_files = max(tracker.most_files, model.rules.files)
    described_model = f"{_name(model, tracker.repository.name)}, {_aim(model.rules, config)}"
    url = f"{server_url()}/{{}}/issues/{{}}".format

    def markdown(outcomes: Sequence[LabelOutcome]) -> str:
        return summary(outcomes, url=url, dry_run=options.dry_run, model=described_model)

    def explained(outcome: LabelOutcome) -> str:
        return summary([outcome], url=url, dry_run=True, model=described_model)

    login = tracker.viewer().login
    who = Attribution.of(config, (login, *(model.bundle.manifest.bots if model.bundle else ())))
    writer = LabelWriter(tracker, login, config.labels, available, who)
    owners = OwnerDesk(writer, config) if config.owners else None
    labeller = Labeller(
        writer=writer,
        model=model,
        config=config,
        dry_run=options.dry_run,
        event=None if comment else event,
        unasked=not options.issues and not comment,
        comment=partial(_comment_parts, config=config, ids=here.labels, markdown=markdown, url=url),
        owners=owners,
        command=CommandHandler(command, comment, writer, config, explained, owners, options.dry_run)
        if comment and command is not None
        else None,
    )
    outcomes: list[LabelOutcome] = []
    try:
        with stage("deciding" if options.dry_run else "labelling"):
            for outcome in labeller.run(_selected(options, tracker, config, who)):
                _print(outcome, options, show)
                outcomes.append(outcome)
    finally:
        # A failure does not undo the labels that were added before.
        _publish(runner, outcomes, dry_run=options.dry_run)
        if outcomes:
            runner.summary(markdown(outcomes))
    _check_found(options, outcomes)
    return 0


def _check_found(options: LabelOptions, outcomes: Sequence[LabelOutcome]) -> None:
    if options.since and not outcomes:
        status("nothing to label: no open issue created since then waits for a label")
    if options.issues and all(outcome.missing for outcome in outcomes):
        raise no_such_issues(options.repo, options.issues)


def _opened(options: LabelOptions, event: Event | None) -> tuple[Tracker, Config]:
    numbers, edits = _numbers(options)
    is_discussion = event is not None and event.kind == "discussion"
    alone = numbers[0] if len(numbers) == 1 and not is_discussion else None
    tracker, config = open_repository(
        options.repo, options.config, store=options.store, issue=alone, edits=edits
    )
    # Numbers that a person named may be those of discussions.
    if not options.issues and not is_discussion:
        tracker.with_categories = False
    return tracker, config


def _comment_parts(
    outcome: LabelOutcome,
    config: Config,
    ids: Mapping[str, str],
    markdown: Callable[[Sequence[LabelOutcome]], str],
    url: Callable[[str, int], str],
) -> dict[str, Part]:
    """The parts of the comment that an outcome changes."""
    decision, parts = outcome.decision, dict[str, Part]()
    if config.act.comment and outcome.added:
        # What the issue may repeat is told in its own part, and only if asked.
        reasons = replace(outcome, decision=decision and replace(decision, duplicates=()))
        parts["reasons"] = markdown([reasons])
    # What is no longer so after an edit goes.
    if config.act.comment_duplicates and decision:
        parts["duplicates"] = possible_duplicates(decision, url)
    if config.act.suggest is not None and config.act.suggest_in == "comment" and decision:
        parts[SUGGESTIONS] = offering(decision, ids)
    return parts


def possible_duplicates(decision: Decision, url: Callable[[str, int], str]) -> str:
    """The issues that an issue may repeat, in Markdown, or empty; `url` gives the page of an issue."""
    links = [
        f"{issue_link(n.number, url(n.repo, n.number))} (similarity {n.encoder_similarity:.2f})"
        for n in decision.duplicates
    ]
    return f"**Possible duplicate of** {', '.join(links)}" if links else ""


def _settle(
    runner: Runner,
    options: LabelOptions,
    number: int,
    comment: EventComment,
    summary: Summary,
    show: Callable[..., str],
) -> int:
    """Apply what people ticked in the bot's comment; this needs no model."""
    tracker, config = open_repository(options.repo, options.config, issue=number)
    tracker.with_categories = False
    if config.act.suggest is None:
        return _left_alone(runner, options, show, SWITCHED_OFF)
    login = tracker.viewer().login
    if comment.is_bot and fold(comment.author) != fold(login):
        reason = NOT_MINE.format(author=comment.author, me=login)
        warning(f"nothing that was ticked is set: {reason}")
        return _left_alone(runner, options, show, reason)
    writer = LabelWriter(tracker, login, config.labels, tracker.labels(), Attribution.of(config, (login,)))
    try:
        added, words = SuggestionHandler(writer, config, options.dry_run).settle(comment.node_id, number)
    except NotFound as missing:
        return _left_alone(runner, options, show, missing.likely or missing.what)
    outcome = LabelOutcome(tracker.repository.name, number, added=added, answer=words)
    _print(outcome, options, show)
    _publish(runner, [outcome], dry_run=options.dry_run)
    url = f"{server_url()}/{{}}/issues/{{}}".format
    runner.summary(summary([outcome], url=url, dry_run=options.dry_run, model="people"))
    return 0


def _refused(event: Event, config: Config, tracker: Tracker) -> str:
    """Why nothing is done for an event under this configuration, or empty."""
    if event.comment:
        return refusal(event.comment, config, tracker)
    is_off = event.kind == "discussion" and not config.act.discussions
    return "it is a discussion (act.discussions)" if is_off else ""


def _left_alone(runner: Runner, options: LabelOptions, show: Callable[..., str], reason: str) -> int:
    """Report that the event asks for nothing, before a model is opened."""
    number = options.event.number if options.event else 0
    _print(LabelOutcome(options.repo, number, note=reason), options, show)
    _publish(runner, [], dry_run=options.dry_run)
    return 0


def _print(outcome: LabelOutcome, options: LabelOptions, show: Callable[..., str]) -> None:
    if options.json:
        log_json(_row(outcome, dry_run=options.dry_run))
    else:
        log(show(outcome, dry_run=options.dry_run))


@dataclass(frozen=True)
class Labeller:
    """Labels issues of one repository.

    `event` is what an issue is labelled for, `unasked` as in `case_of`. `comment` makes those parts of the
    comment on an issue that change; None: no comments. With a `command` an issue is labelled only if that is what it
    asks for.
    """

    writer: LabelWriter
    model: ServingModel
    config: Config
    dry_run: bool
    event: Event | None = None
    unasked: bool = False
    comment: Callable[[LabelOutcome], Mapping[str, Part]] | None = None
    command: CommandHandler | None = None
    owners: OwnerDesk | None = None

    def run(self, lives: Iterable[LiveIssue | LabelOutcome]) -> Iterator[LabelOutcome]:
        """One outcome for each issue, in order; outcomes are passed on."""
        rest, policy = iter(lives), self.model.policy(self.config)
        while batch := list(islice(rest, BATCH)):
            cases = [self._case(live) for live in batch if not isinstance(live, LabelOutcome)]
            decisions = decide(cases, self.model, policy)
            for start in range(0, len(batch), TOGETHER):
                group = batch[start : start + TOGETHER]
                decided = [(live, next(decisions)) for live in group if not isinstance(live, LabelOutcome)]
                outcomes = self._acted(decided)
                yield from (live if isinstance(live, LabelOutcome) else next(outcomes) for live in group)
                # It raises what failed after the last outcome.
                yield from outcomes

    def _case(self, live: LiveIssue) -> Case:
        case = case_of(
            live.issue,
            self.config,
            proposed=self.model.labels,
            available=self.writer.available,
            who=self.writer.who,
            before=self._before(live),
            unasked=self.unasked,
        )
        if self.event and self.event.action in LABEL_CHANGES:
            case = replace(case, left_alone=case.left_alone or "only its labels have changed")
        is_new = self.event is not None and self.event.action == "created"
        if live.issue.kind == "discussion" and self.unasked and not is_new:
            case = replace(
                case, left_alone=case.left_alone or "a discussion is labelled only when it is opened"
            )
        if live.comment == "" or live.issue.kind == "discussion" or case.left_alone:
            return case
        # What was refused stays so, also where suggestions are switched off by now.
        told = self.writer.comment_on(live)
        return replace(case, barred=Names({**case.barred, **refused(told, self.writer.ids)}))

    def _before(self, live: LiveIssue) -> TextBeforeEdit | None:
        """The text that an issue is compared with; None: it is decided in any case."""
        if self.event:
            return self.event.before if self.event.action == "edited" else None
        # The sweep takes an issue that the bot has labelled only where it was edited.
        labelled = is_judged(live.issue, self.writer.who) is not None
        return TextBeforeEdit(known=False) if self.unasked and labelled else None

    def _acted(self, decided: Sequence[tuple[LiveIssue, Decision]]) -> Iterator[LabelOutcome]:
        if self.command is None:
            yield from self._labelled(decided, self.dry_run)
            return
        for live, decision in decided:
            yield self.command.obey(live, partial(self._label, live, decision))

    def _label(self, live: LiveIssue, decision: Decision, dry_run: bool) -> LabelOutcome:
        (outcome,) = self._labelled([(live, decision)], dry_run)
        return outcome

    def _labelled(
        self, decided: Sequence[tuple[LiveIssue, Decision]], dry_run: bool
    ) -> Iterator[LabelOutcome]:
        """Add the labels, and set or remove the abstain label; the outcomes with what was done.

        Raises the first failure but IssueGone, after the outcomes of the other issues.
        """
        outcomes = [_outcome(live, decision) for live, decision in decided]
        if dry_run:
            for (live, _), outcome in zip(decided, outcomes, strict=True):
                yield self._with_owners(live, outcome, dry_run=True)
            return
        edits = [self._edit(live, outcome) for (live, _), outcome in zip(decided, outcomes, strict=True)]
        failure: TriageError | None = None
        for outcome, edit, added in zip(outcomes, edits, self.writer.write(edits), strict=True):
            if isinstance(added, IssueGone):
                yield replace(outcome, added=(), note=added.likely)
            elif isinstance(added, TriageError):
                failure = failure or added
            else:
                changed = _changed(outcome, edit.remove, added)
                try:
                    changed = self._with_owners(edit.live, changed, dry_run=False)
                    self._suggest(edit.live, outcome.decision)
                except TriageError as error:
                    failure = failure or error
                yield changed
        if failure:
            raise failure

    def _with_owners(self, live: LiveIssue, outcome: LabelOutcome, *, dry_run: bool) -> LabelOutcome:
        if self.owners is None or outcome.decision is None:
            return outcome
        return replace(outcome, owners=self.owners.involve(live, outcome.added, dry_run=dry_run))

    def _suggest(self, live: LiveIssue, decision: Decision | None) -> None:
        """Offer labels as GitHub's own suggestions, once for each issue: which were refused cannot be read."""
        opened = self.event is not None and self.event.action == "opened"
        if self.config.act.suggest_in != "github" or not opened or not decision or not decision.suggested:
            return
        if reason := suggest_on_github(self.writer, live, decision):
            notice(f"no label was suggested: {reason}")

    def _edit(self, live: LiveIssue, outcome: LabelOutcome) -> IssueEdit:
        """What the outcome means on GitHub."""
        labels = outcome.added
        remove = self.writer.to_unmark(live, labelled=bool(self.writer.addable(labels)))
        if outcome.decision and outcome.decision.abstained:
            labels = self.writer.to_mark(live)
        return IssueEdit(live, labels, remove, partial(self._comment_parts, outcome, remove))

    def _comment_parts(
        self, outcome: LabelOutcome, removed: tuple[str, ...], added: tuple[str, ...]
    ) -> Mapping[str, Part]:
        return self.comment(_changed(outcome, removed, added)) if self.comment else {}


def _outcome(live: LiveIssue, decision: Decision) -> LabelOutcome:
    """The outcome before anything is changed."""
    outcome = LabelOutcome(live.issue.repo, live.issue.number, decision, decision.labels)
    return replace(outcome, decision=None, note=decision.left_alone) if decision.left_alone else outcome


def _changed(outcome: LabelOutcome, removed: tuple[str, ...], added: tuple[str, ...]) -> LabelOutcome:
    """The outcome with what was done."""
    deleted = [name for name in outcome.added if name not in added]
    notes = [
        outcome.note,
        f"deleted in the meantime, so not set: {', '.join(deleted)}" if deleted else "",
        f"{', '.join(removed)} was removed" if removed else "",
    ]
    # The abstain label is no label of the outcome.
    added = tuple(name for name in outcome.added if name in added)
    return replace(outcome, added=added, note="; ".join(filter(None, notes)))


def _selected(
    options: LabelOptions, tracker: Tracker, config: Config, who: Attribution
) -> Iterator[LiveIssue | LabelOutcome]:
    if options.event and options.event.type is not None:
        tracker.types_told[options.event.number] = options.event.type
    if options.since and not options.issues:
        return _missed(tracker, options.since.at(datetime.now(UTC)), config, who)
    return _numbered(tracker, *_numbers(options))


def _numbers(options: LabelOptions) -> tuple[tuple[int, ...], bool]:
    """(the numbers of the issues that are named, whether the text before their edits is needed)."""
    if options.issues or options.since or not options.event:
        return options.issues, False
    return (options.event.number,), options.event.action == "edited"


def _numbered(tracker: Tracker, numbers: Sequence[int], edits: bool) -> Iterator[LiveIssue | LabelOutcome]:
    for number, live in zip(numbers, tracker.issues(numbers, edits=edits), strict=True):
        if isinstance(live, NotFound):
            yield LabelOutcome(tracker.repo, number, note=live.likely or live.what, missing=True)
        else:
            yield live


def _missed(
    tracker: Tracker, since: datetime, config: Config, who: Attribution
) -> Iterator[LiveIssue | LabelOutcome]:
    """Open issues whose event may have been missed: not labelled yet, edited since, or marked although labelled."""
    # Of a discussion nobody can tell whether its labels were removed.
    for kind in (kind for kind in KINDS if kind in config.act.kinds - {"discussion"}):
        for page in tracker.pages(IssueFilter(since=since, state="open", kind=kind, comments=True)):
            for issue, live in ((live.issue, live) for live in page.items):
                mark = config.labels.abstain
                marked = mark and len(issue.labels) > 1 and who.was_last_to_set(mark, issue)
                judged = is_judged(issue, who)
                if marked or (judged is None and not reason_of_people(issue, config, who)):
                    yield live
                elif judged is False and not reason_of_people(issue, config, who):
                    # Pages do not have the texts before an edit.
                    yield from _numbered(tracker, [issue.number], edits=True)


def _without_a_model(runner: Runner, nothing: NothingToLabelWith, *, unattended: bool) -> int:
    """Report that there is no model yet: an error only if a person asked for labels."""
    if not unattended:
        raise nothing
    notice(f"nothing was labelled: {nothing}")
    reason, next_step = escape(nothing.what), escape(nothing.next_step)
    runner.summary(f"### Nothing was labelled\n\n{reason}. Next step: {next_step}.\n")
    return 0


def _row(outcome: LabelOutcome, *, dry_run: bool) -> dict[str, object]:
    """The outcome as a JSON object; labels that were set and labels that would be set have different keys."""
    if outcome.answer:
        labels = {WOULD if dry_run else "labels": list(outcome.added)} if outcome.added else {}
        return {"repo": outcome.repo, "number": outcome.number, "answer": outcome.answer, **labels}
    if outcome.decision is None:
        return {"repo": outcome.repo, "number": outcome.number, "left_alone": outcome.note}
    row = outcome.decision.to_dict() | {"labels": list(outcome.added)}
    named = {WOULD if dry_run and name == "labels" else name: value for name, value in row.items()}
    said = {"note": outcome.note, "owners": outcome.owners}
    return named | {name: text for name, text in said.items() if text}


def _publish(runner: Runner, outcomes: Sequence[LabelOutcome], *, dry_run: bool) -> None:
    """Set the step's outputs, by issue number; neighbours are only those of the same repository."""
    decided = [(str(o.number), o, o.decision) for o in outcomes if o.decision]
    added = {str(o.number): list(o.added) for o in outcomes if o.decision or o.added}
    near = {number: [n.number for n in d.voters if n.repo == o.repo] for number, o, d in decided}
    # GitHub takes 1 MB of outputs from a job, in UTF-16: all together are less than half of that.
    outputs = {
        WOULD if dry_run else "labels": BoundedOutput(added, 150_000),
        "scores": BoundedOutput(
            {number: d.to_dict()["scores"] for number, _, d in decided}, 200_000, ranked=True
        ),
        "neighbours": BoundedOutput(near, 80_000, ranked=True),
        "duplicates": BoundedOutput({number: _linked(d) for number, _, d in decided if d.duplicates}, 20_000),
        "abstained": BoundedOutput([o.number for _, o, d in decided if d.abstained], 40_000),
    }
    for name, left_out in runner.outputs(outputs).items():
        if left_out:
            warning(
                f"the output `{name}` leaves out the last {left_out} issues: GitHub limits outputs to 1 MB"
            )


def _linked(decision: Decision) -> list[dict[str, object]]:
    """The likely duplicates, with the addresses of their pages."""
    page = f"{server_url()}/{decision.key[0]}/issues"
    return [{"url": f"{page}/{row['number']}", **row} for row in decision.duplicate_rows()]


def _aim(rules: Rules, config: Config) -> str:
    """The precision target in force, in words."""
    target = config.vote.precision_target
    if target == BEST_F1:
        return "without a precision target"
    chosen = (
        "" if target is not None else " (chosen at the last retraining)" if rules.points else " (the default)"
    )
    return f"precision target {rules.aim(target):g}{chosen}"


def _name(model: ServingModel, repo: str) -> str:
    if model.neighbourhood is None:
        return "zero-shot classification by the labels' descriptions, without a bundle"
    voters = model.silence(repo) or f"{model.rules.k} neighbours vote"
    return f"bundle {model.name}: {voters}, encoder {model.encoder.name}"
