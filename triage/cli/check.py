"""`triage check`: find errors in a configuration, a token's permissions or a bundle before they matter."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from triage import config as configuration
from triage.cli import arguments
from triage.config import Config, RuleConfig, elsewhere
from triage.console import log, log_json
from triage.decide.case import Attribution
from triage.decide.fixed_rules import FixedRules, applies, concerns
from triage.decide.policy import DUPLICATE, Policy, unsorted
from triage.errors import AccessError, ConfigError, TriageError, UsageError
from triage.github.open import config_of, open_repository, open_store, visibility_of
from triage.issue import CATEGORY, KINDS, TYPE, Issue, Names, fold, folded, is_category, is_type, native
from triage.learn.provenance import provenance_of
from triage.options import CONFIG_PATH, OTHER_CONFIG_PATH, CheckOptions
from triage.patterns import NOT, adds_by_pattern
from triage.schema import parse_time

if TYPE_CHECKING:
    from triage.bundle.store import StoreName
    from triage.github.client import Tracker
    from triage.github.graphql import Label


FINE, WRONG, DOUBTFUL = "✓", "✗", "!"
# In JSON.
MARKS = {FINE: "fine", WRONG: "wrong", DOUBTFUL: "doubtful"}
# By the group of the label, see `native`.
CALLED = {"": "label", TYPE: "issue type", CATEGORY: "category of discussions"}
OLD_DAYS = 45
# Of those whose API GitHub publishes today.
OLDEST_SERVER = (3, 17)
NO_DUPLICATES = (
    "no comment names possible duplicates (act.comment_duplicates): under {}, they are looked for only from the "
    "similarity in act.duplicates, which is not set"
)


# What a check found, as (mark, sentence).
Findings = Iterable[tuple[str, str]]


@dataclass
class Report:
    """Prints findings; `code` is the exit code of the first failure."""

    code: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)

    def add(self, found: Findings, failure: type[TriageError] = ConfigError) -> None:
        """Print the findings of a check: a wrong one is a `failure`, and an error ends this check, not the others."""
        try:
            for mark, sentence in found:
                self._add(mark, sentence, failure)
        except TriageError as error:
            self._add(WRONG, str(error), type(error))

    def _add(self, mark: str, sentence: str, failure: type[TriageError]) -> None:
        log(f"{mark} {sentence}")
        self.findings.append({"finding": MARKS[mark], "text": sentence})
        if mark == WRONG:
            self.code = self.code or failure.exit_code


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    arguments.add(parser, "--repo", "check the configuration and labels of this repository, and the token")
    arguments.add_store(parser)
    arguments.add_config(parser)
    arguments.add(parser, "--json", "the findings")


def parse(args: argparse.Namespace) -> CheckOptions:
    """The options of a command line. Raises UsageError where they name nothing."""
    if not (args.repo or args.config or args.store):
        raise UsageError("there is nothing to check", next_step="give --repo, --config or --store")
    return arguments.build(CheckOptions, args)


def run(options: CheckOptions) -> int:
    """Print what is fine (✓), wrong (✗) and doubtful (!); returns the exit code of the first failure, or 0."""
    report = Report()
    _check(report, options)
    if options.json:
        log_json({"code": report.code, "findings": report.findings}, indent=2)
    return report.code


def _check(report: Report, options: CheckOptions) -> None:
    from triage.bundle.store import StoreName

    tracker, config = None, Config()
    try:
        if options.repo:
            store = options.store or StoreName(repo=options.repo)
            tracker, config = open_repository(options.repo, options.config, store=store)
        else:
            config = configuration.load(options.config.file)
        base = f", which extends {config.extends.config}" if config.extends.config else ""
        report.add([(FINE, f"the configuration is valid ({_source(options, tracker)}{base})")])
    except (ConfigError, AccessError) as error:
        report.add([(WRONG, str(error))], type(error))
        return
    report.add(contradictions(config))
    report.add(teaching(config))
    name = options.store or (StoreName(repo=tracker.repo) if tracker else None)
    if tracker:
        report.add(_server(tracker, config))
        report.add(_labels(tracker, config))
        report.add(_token(tracker, config), AccessError)
        report.add(_owners(tracker, config))
        report.add(_rules(tracker, config) if config.rules else ())
    if name and tracker and config.learn.repositories:
        report.add(_sources(tracker, config, name))
    if name:
        report.add(_store(name, config, tracker))


def _source(options: CheckOptions, tracker: Tracker | None) -> str:
    if options.config.file:
        return str(options.config.file)
    if tracker is None:
        return "the default one"
    path, text = config_of(tracker, options.config.path)
    if text is None:
        return f"no {path} on the default branch, so the default one"
    if not options.config.path and path == CONFIG_PATH and tracker.read_file(OTHER_CONFIG_PATH) is not None:
        raise ConfigError(
            f"{tracker.repo} has both {CONFIG_PATH} and {OTHER_CONFIG_PATH}, and reads only the first",
            likely="a file that was renamed is still there",
            next_step="remove one of them",
        )
    return path if elsewhere(path) else f"{path} of {tracker.repo}"


def contradictions(config: Config) -> Findings:
    """The contradictions within a configuration, as (mark, sentence)."""
    policy, labels = Policy.of(config), config.labels
    for name in labels.descriptions:
        if reason := policy.may_set(name):
            yield DOUBTFUL, f"`{name}` is described, but never set: {reason}"
    yield from _rules_without_effect(config, policy)
    yield from _suggesting(config)
    yield from _naming_duplicates(config, policy)
    if config.act.categories and not config.act.discussions:
        yield (
            DOUBTFUL,
            "no discussion is moved (act.categories): discussions are not labelled (act.discussions)",
        )
    for group in labels.exclusive:
        if len(folded(group)) < 2:
            yield WRONG, f"the exclusive group {', '.join(group) or '(empty)'} holds fewer than two labels"
    if config.learn.repositories[:1] and config.learn.repositories[0].startswith(NOT):
        yield (
            DOUBTFUL,
            f"{config.learn.repositories[0]} comes first in learn.repositories, where it excludes nothing",
        )
    if folded(labels.allow) <= folded(labels.deny):
        yield WRONG, "every pattern in labels.allow is in labels.deny too: nothing can be set"


def _suggesting(config: Config) -> Findings:
    suggest, target = config.act.suggest, config.vote.precision_target
    if suggest is not None and target is not None and suggest >= target:
        yield (
            DOUBTFUL,
            f"little is suggested from a probability of {suggest:g} (act.suggest): labels are set at the precision "
            f"target {target:g} (vote.precision_target)",
        )
    elif suggest is not None:
        where = (
            "as GitHub's own suggestions, on newly opened issues"
            if config.act.suggest_in == "github"
            else "a tick sets them where a workflow listens to `issue_comment: edited`"
        )
        yield FINE, f"labels are suggested from a probability of {suggest:g} (act.suggest); {where}"
    elif config.act.suggest_in == "github":
        yield DOUBTFUL, "no label is suggested on GitHub (act.suggest_in): act.suggest is not set"


def _naming_duplicates(config: Config, policy: Policy) -> Findings:
    if policy.duplicate is None and config.act.comment_duplicates:
        yield DOUBTFUL, NO_DUPLICATES.format("another encoder than the shipped one")
    elif policy.duplicate is not None and policy.duplicate < DUPLICATE and config.has_shipped_encoder:
        yield (
            DOUBTFUL,
            f"possible duplicates are shown from a similarity of {policy.duplicate:g} (act.duplicates): below "
            f"{DUPLICATE:g}, most issues that the shipped encoder finds are none",
        )


def _rules_without_effect(config: Config, policy: Policy) -> Findings:
    for rule, given in FixedRules(config.rules).named:
        for name in given.set:
            if reason := policy.may_set(name, ruled=True):
                yield DOUBTFUL, f"the rule {rule!r} sets `{name}`, which is never set: {reason}"
        if given.reads_files and not config.act.pull_requests:
            yield (
                DOUBTFUL,
                f"the rule {rule!r} is about changed files, and pull requests are not labelled (act.pull_requests)",
            )


def teaching(config: Config) -> Findings:
    """Who may teach whom, where several repositories are learnt from, as (mark, sentence)."""
    learn = config.learn
    patterns = ", ".join(f"`{given}`" for given in learn.repositories if adds_by_pattern(given))
    shared = ", ".join(f"`{pattern}`" for pattern in learn.sharing)
    if learn.repositories and not shared:
        reason = (
            "is empty" if learn.shared is not None else f"is not set, and {patterns} chooses repositories"
        )
        yield FINE, f"no repository teaches another its labels: learn.shared {reason}"
    elif patterns:
        yield (
            DOUBTFUL,
            f"whoever may create a repository that {patterns} matches teaches all the others the labels {shared} "
            "(learn.shared)",
        )
    elif learn.repositories:
        names = ", ".join(f"`{given}`" for given in learn.repositories if not given.startswith(NOT))
        yield (
            FINE,
            f"whoever may label issues in {names} teaches the others the labels {shared} (learn.shared)",
        )


def _server(tracker: Tracker, config: Config) -> Findings:
    """What GitHub Enterprise Server lacks; nothing is said of github.com."""
    from triage.label.suggestions import NOT_THERE

    if version := tracker.enterprise_version():
        yield FINE, f"the server is GitHub Enterprise Server {version}"
        if tuple(map(int, version.split(".")[:2])) < OLDEST_SERVER:
            oldest = ".".join(map(str, OLDEST_SERVER))
            yield DOUBTFUL, f"triage is tested with the API of {oldest} and later: update the server"
        yield (
            DOUBTFUL,
            "the server does not run version 4 and later of the actions that upload and download artifacts: retrain "
            "with `triage-retrain-one-job.yml`, and write `@v3` in `triage-backfill.yml`",
        )
        if config.act.suggest is not None and config.act.suggest_in == "github":
            yield WRONG, f"no label is suggested: {NOT_THERE}"


def _labels(tracker: Tracker, config: Config) -> Findings:
    known = tracker.labels()
    yield from strangers(config, known)
    if config.act.types:
        yield from _native(config, [name for name in known if is_type(name)], "issue types", "act.types")
    if config.act.categories and config.act.discussions:
        left = unsorted(config.act.categories)
        categories = [name for name in known if is_category(name) and name not in left]
        yield from _native(config, categories, "categories of discussions", "act.categories")


def _native(config: Config, names: Sequence[str], what: str, key: str) -> Findings:
    policy = Policy.of(config)
    settable = ", ".join(f"`{name}`" for name in names if policy.may_set(name) is None)
    if settable:
        yield FINE, f"of {what}, these may be set: {settable} ({key})"
    elif names:
        yield DOUBTFUL, f"none of the {what} may be set: labels.deny matches each ({key})"
    else:
        yield DOUBTFUL, f"the repository has no {what} to set ({key})"


def strangers(config: Config, known: Mapping[str, Label]) -> Findings:
    """The labels that the configuration names and the repository lacks, as (mark, sentence)."""
    named = dict.fromkeys(config.labels.descriptions, "is described")
    named |= {name: "is in an exclusive group" for group in config.labels.exclusive for name in group}
    for rule, given in FixedRules(config.rules).named:
        named |= {name: f"is in the rule {rule!r}" for name in (*given.set, *given.bar, *given.require)}
    named |= dict.fromkeys(config.owners, "has owners")
    if config.labels.abstain:
        named[config.labels.abstain] = "is the abstain label"
    if config.act.discussions:
        named |= dict.fromkeys(unsorted(config.act.categories), "is in act.categories")
    there = Names(known)
    missing = {name: role for name, role in Names(named).items() if name not in there}
    for name, role in missing.items():
        if config.labels.create and not native(name):
            yield DOUBTFUL, f"`{name}` {role}; it does not exist yet and will be created (labels.create)"
        else:
            yield WRONG, f"`{name}` {role}, but the repository has no such {CALLED[native(name)]}"
    if config.act.commands and config.act.off_label not in there and not config.labels.create:
        yield (
            DOUBTFUL,
            f"`{config.act.off_label}` is the label of `/triage off` (act.off_label), but the repository has no such "
            "label",
        )
    if not missing:
        yield FINE, f"every label that the configuration names exists; the repository has {len(known)}"


def _owners(tracker: Tracker, config: Config) -> Findings:
    """Whether the owners of labels can be assigned; of teams, whether they are of this repository's owner."""
    from triage.github.permissions import can_be_assigned

    owned = Names({owner: label for label, listed in config.owners.items() for owner in listed})
    home = tracker.repository.name.partition("/")[0]
    for owner, label in owned.items():
        if "/" in owner and fold(owner.partition("/")[0]) != fold(home):
            yield WRONG, f"{owner} owns `{label}`, and is no team of {home}"
        elif "/" not in owner and not can_be_assigned(tracker, owner):
            yield WRONG, f"{owner} owns `{label}`, and issues cannot be assigned to them"
    if owned:
        yield FINE, f"{len(owned)} accounts and teams own {len(config.owners)} labels"


@dataclass
class RuleTrial:
    """A fixed rule tried on past issues: counts of those that it is about.

    It `fires` on some; of these people labelled `labelled`, and `agreed` have all labels that it sets and none that it
    bars. `missed`: people gave a label that it requires to an issue on which it does not apply.
    """

    name: str
    rule: RuleConfig
    tried: int = 0
    fires: int = 0
    labelled: int = 0
    agreed: int = 0
    missed: int = 0

    @property
    def is_doubtful(self) -> bool:
        """Whether it never fires, or people mostly label otherwise."""
        return not self.fires or (self.labelled >= 5 and self.agreed * 2 < self.labelled) or self.missed > 0

    def describe(self) -> str:
        """The result in a sentence."""
        if not self.tried:
            return f"the rule {self.name!r} was not tried: there are no pull requests"
        parts = [f"the rule {self.name!r} fires on {self.fires} of the newest {self.tried} {self.items}"]
        if self.fires and (self.rule.set or self.rule.bar):
            parts.append(f"people labelled {self.labelled} of these, and agreed on {self.agreed}")
        if self.missed:
            labels = ", ".join(self.rule.require)
            parts.append(f"people set {labels} on {self.missed} where it does not apply")
        return "; ".join(parts)

    @property
    def items(self) -> str:
        about_pulls = self.rule.when.files or self.rule.when.all_files
        return "pull requests" if about_pulls else "issues"

    def count(self, issue: Issue, people: frozenset[str]) -> None:
        """Count an issue, to which people gave these labels, in lower case."""
        if not concerns(self.rule, issue):
            return
        self.tried += 1
        if applies(self.rule.when, issue):
            self.fires += 1
            self.labelled += bool(people)
            self.agreed += bool(people) and (
                folded(self.rule.set) <= people and people.isdisjoint(folded(self.rule.bar))
            )
        else:
            self.missed += not people.isdisjoint(folded(self.rule.require))


def _rules(tracker: Tracker, config: Config) -> Findings:
    """Try the fixed rules on the newest page of issues, and of pull requests."""
    from triage.github.graphql import IssueFilter

    attribution = Attribution.of(config, [tracker.viewer().login])
    trials = [RuleTrial(name, rule) for name, rule in FixedRules(config.rules).named]
    for kind in (kind for kind in KINDS if kind in config.act.kinds):
        for live in next(tracker.pages(IssueFilter(kind=kind))).items:
            people = folded(provenance_of(live.issue, attribution).positive)
            for trial in trials:
                trial.count(live.issue, people)
    for trial in trials:
        yield DOUBTFUL if trial.is_doubtful else FINE, trial.describe()


def _token(tracker: Tracker, config: Config) -> Findings:
    from triage.github.permissions import permissions_of

    may, act = permissions_of(tracker), config.act
    suggests = act.suggest is not None and act.suggest_in == "comment"
    comments = act.comment or act.comment_duplicates or act.commands or suggests
    for allowed, permission in (
        (may.read_issues, "read issues (`issues: read`)"),
        (may.read_contents, "read the configuration and the bundle (`contents: read`)"),
        (may.write_labels, f"set labels {'and comment ' * comments}(`issues: write`)"),
    ):
        if allowed is None:
            yield DOUBTFUL, f"whether the token may {permission} is known only once there is an issue"
        else:
            yield FINE if allowed else WRONG, f"the token may {'' if allowed else 'not '}{permission}"
    viewer = tracker.viewer()
    if viewer.is_bot:
        yield FINE, f"the token acts as {viewer.login}"
        return
    yield (
        DOUBTFUL,
        f"the token acts as {viewer.login}, a person: learning cannot tell what the bot labelled from what they did; "
        "use the workflow's own token or an App's",
    )


def _sources(tracker: Tracker, config: Config, name: StoreName) -> Findings:
    """Raises NotFound for a pattern without a match, BundleError where the store is too public."""
    from triage.bundle.store import refuse_exposure
    from triage.sources.load import select

    selected = select(config.learn.repositories, tracker)
    known = selected.visibility
    store = open_store(name, config, tracker)
    refuse_exposure(store, selected.names, lambda repo: known.get(repo) or visibility_of(repo))
    skipped = f"; skipped as forks or without issues: {selected.left_out}" if selected.left_out else ""
    number = f"{len(selected.names)} repositor{'y' if len(selected.names) == 1 else 'ies'}"
    yield FINE, f"learn.repositories names {number}{skipped}"


def _login(bots: tuple[str, ...], config: Config, tracker: Tracker | None) -> Findings:
    """Whether learning knows the account that labels, where the bundle says who learnt it."""
    viewer = tracker.viewer() if tracker else None
    if viewer and viewer.is_bot and bots and not Attribution.of(config, bots).is_own(viewer.login):
        yield (
            DOUBTFUL,
            f"the token acts as {viewer.login}, and the bundle knows this bot as {', '.join(bots)}: if it labels with "
            "this token, list the account in `learn.bots`, so that its labels count as this bot's",
        )


def _store(name: StoreName, config: Config, tracker: Tracker | None) -> Findings:
    """Raises BundleError where the active bundle cannot be used, ModelError where the encoder cannot."""
    from triage.bundle.model import open_model
    from triage.bundle.open import open_engines

    store = open_store(name, config, tracker)
    active = store.role("active")
    if name.is_missing:
        yield DOUBTFUL, f"{name}: there is no such store; is the path mistyped?"
        return
    if active is None:
        yield DOUBTFUL, "there is no bundle yet: run `triage retrain`, or the workflow `triage-retrain`"
        return
    bundle = store.load(active)
    model = open_model(bundle, active, *open_engines(config, bundle), {})
    days = max(0, (datetime.now(UTC) - parse_time(bundle.manifest.created_at)).days)
    state = f"bundle {active} is undamaged and fits the encoder; it was learnt from {bundle.manifest.issues} issues"
    yield FINE, f"{state} {days} days ago" if days else f"{state} today"
    yield from _login(bundle.manifest.bots, config, tracker)
    if config.act.comment_duplicates and model.policy(config).duplicate != Policy.of(config).duplicate:
        yield DOUBTFUL, NO_DUPLICATES.format("the bundle's own encoder")
    if days > OLD_DAYS:
        yield (
            DOUBTFUL,
            f"the bundle is {days} days old: is the workflow `triage-retrain` switched off? "
            "GitHub stops schedules after 60 days without activity",
        )
