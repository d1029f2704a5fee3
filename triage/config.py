"""The configuration (`.github/triage.yml`) as frozen dataclasses, which are schema, defaults and documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from triage.errors import ConfigError
from triage.issue import Kind, distinct, fold, folded
from triage.patterns import NAME, NOT, PatternError, adds_by_pattern, fault, glob, regex
from triage.schema import SchemaError, build, decoded_yaml, option, read_yaml

# Labels that state a person's decision rather than what the issue is about: no text can tell them.
PEOPLE_ONLY = (
    "*wontfix*",
    "wont?fix*",
    "won't fix*",
    "*duplicate",
    "invalid",
    "*: invalid",
    "*/invalid",
    "spam",
    "*good first issue*",
    "*good-first-issue*",
    "*help wanted*",
    "*help-wanted*",
    "*up?for?grabs*",
    "*contributions?welcome",
    "*contribution?welcome",
    "hacktoberfest*",
    "discussion category: announcement*",
    "discussion category: poll*",
)
# Labels for the state of an issue in a process: they change while its text does not.
PROCESS = (
    "FrozenDueToAge",
    "stale*",
    "*stale",
    "inactive",
    "no-*activity",
    "need*",
    "started",
    "*in progress",
    "triage/*",
    "triage",
    "triaged",
    "lifecycle/*",
    "status:*",
    "status/*",
    "state:*",
    "waiting*",
    "awaiting*",
    "pending*",
    "*on hold",
    "blocked",
    "*pinned",
    "*assigned",
    "locked*",
    "cla:*",
    "cncf-cla:*",
    "release-note*",
    "do-not-merge*",
    "size/*",
    "approved",
    "lgtm",
)

# What GitHub says an author is to a repository (CommentAuthorAssociation).
ASSOCIATIONS = (
    "OWNER",
    "MEMBER",
    "COLLABORATOR",
    "CONTRIBUTOR",
    "FIRST_TIME_CONTRIBUTOR",
    "FIRST_TIMER",
    "MANNEQUIN",
    "NONE",
)

PATTERNS = "see https://github.com/google/re2/wiki/Syntax for regular expressions, and docs/how-to/rules.md for globs"
# A login, or the name of an organisation and a team of it.
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?")
REPOSITORIES = "write OWNER/NAME, OWNER/* for all repositories of an owner, or !OWNER/NAME to exclude one"


# A number from 0 to 1, such as a probability; a list, empty by default, for which a single text may stand.
share, one_or_more = partial(option, low=0.0, high=1.0), partial(option, (), single=True)


@dataclass(frozen=True)
class LabelsConfig:
    """Which labels the bot may set, and what they mean."""

    allow: tuple[str, ...] = option(("*",), "Labels that the bot may set; patterns.")
    deny: tuple[str, ...] = option(
        PEOPLE_ONLY, "Labels that the bot never sets, even if `allow` matches; patterns."
    )
    descriptions: dict[str, str] = option(
        {}, "What each label means, in one sentence; zero-shot classification reads it."
    )
    targets: dict[str, float] = share(
        {},
        "Precision targets of single labels, instead of `vote.precision_target`; patterns. A label's own name takes "
        "precedence over a pattern, and an earlier pattern over a later one.",
    )
    exclusive: tuple[tuple[str, ...], ...] = option(
        (),
        "Groups of labels. An issue gets at most one label of a group: the one with the highest probability.",
    )
    max: int = option(5, "The maximum number of labels that the bot sets on an issue, over all runs.", low=1)
    abstain: str | None = option(
        None,
        "A label for issues that get no other label; the bot removes it once they get one, whoever sets it.",
    )
    create: bool = option(
        False, "Create labels that the repository does not have, instead of not setting them."
    )


@dataclass(frozen=True)
class VoteConfig:
    """How neighbours elect labels."""

    k: int | None = option(None, "The number of neighbours that vote; tuned if not set.", low=1, high=50)
    m: int | None = option(
        None, "The number of votes that a label needs; tuned for each label if not set.", low=1, high=50
    )
    weighting: str = option(
        "similarity",
        "`similarity`: nearer neighbours have more weight; `uniform`: all have the same weight.",
        choices=("similarity", "uniform"),
    )
    min_examples: int = option(
        10, "Labels with fewer labelled issues than this are judged by zero-shot classification.", low=1
    )
    precision_target: float | None = share(
        None,
        "Set a label only if the probability that it is right is at least this. If not set, each retraining chooses "
        "a high target at which enough issues still get a label. 0 asks for the best F1 instead.",
    )


@dataclass(frozen=True)
class PinnedModel:
    """A model, and what pins it if it comes from the hub."""

    model: str = option("builtin", "`builtin`, a folder, or a model of the hub.")
    revision: str | None = option(None, "The commit of a hub model; `triage models pull` writes it.")
    sha256: dict[str, str] = option(
        {}, "The hash of each file of a hub model; `triage models pull` writes it."
    )


@dataclass(frozen=True)
class ZeroShotConfig(PinnedModel):
    """Classification by name and description, for labels with too few examples."""

    model: str = option(
        "builtin",
        "`builtin` (known concepts, and similarity to the label's name and description), `embedding` (similarity "
        "only), or an entailment model: a folder, or a model of the hub.",
    )
    template: str = option(
        "This issue is about {}.", "The hypothesis for an entailment model; `{}` is replaced by the label."
    )
    threshold: float | None = share(
        None,
        "The minimum probability of a label, in addition to its precision target. If not set, it is tuned; before "
        "anything is learnt, it is 0.5.",
    )
    top_k: int | None = option(
        None,
        "The maximum number of labels that zero-shot classification sets, those with the highest probabilities; 2 if "
        "not set.",
        low=1,
    )


@dataclass(frozen=True)
class EncoderConfig(PinnedModel):
    """The sentence encoder, which turns the text of an issue into a vector."""

    max_tokens: int | None = option(
        None,
        "The maximum number of tokens that are read of an issue. Fewer are faster; 128 cost hardly any accuracy "
        "(benchmarks/README.md). If not set, the model decides.",
        low=16,
        high=512,
    )


@dataclass(frozen=True)
class LearnConfig:
    """Which issues and labels retraining learns from."""

    ignore: tuple[str, ...] = option(
        PROCESS, "Labels that are neither learnt nor set, such as process labels; patterns."
    )
    pull_requests: bool = option(False, "Learn from pull requests too, and from the files that they change.")
    repositories: tuple[str, ...] = option(
        (),
        "Other repositories to learn from: OWNER/NAME, or a pattern such as `org/*`; `!org/archive-*` excludes. "
        "The last entry that matches a repository decides.",
    )
    shared: tuple[str, ...] | None = option(
        None,
        "Labels that mean the same in all these repositories; patterns. Any other label counts only for issues of its "
        "own repository. If not set, all labels are shared; but if a pattern such as `org/*` chooses repositories, "
        "none are, because anybody who can create a matching repository would teach all others.",
    )
    trusted_bots: tuple[str, ...] = option(
        (),
        "Bots whose labels count as people's, because the bots follow people's commands; patterns of logins.",
    )
    bots: tuple[str, ...] = option(
        (),
        "Accounts under which this bot labels, such as its App if retraining uses another token, and user accounts "
        "that are bots; patterns of logins. Their labels are not learnt, and an issue that they close does not count "
        "as dealt with.",
    )
    min_new: int = option(
        10,
        "With fewer newly labelled issues than this, and the same models, repositories and settings, retraining "
        "changes nothing.",
        low=0,
    )
    publishers: tuple[str, ...] = option(
        ("*",),
        "If the store is a repository, the accounts whose bundles are trusted; patterns of logins. Unless `*` is "
        "listed, GitHub must have verified a bundle's signature, as it does for workflows and Apps.",
    )
    max_rate_limit_wait: int = option(
        4000,
        "The maximum number of seconds that a request waits for GitHub's rate limits while issues are read for "
        "learning. The limits are reset every hour.",
        low=0,
    )

    @property
    def sharing(self) -> tuple[str, ...]:
        """`shared`, or else its default."""
        if self.shared is not None:
            return self.shared
        return () if any(map(adds_by_pattern, self.repositories)) else ("*",)

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of items to learn from."""
        return _kinds(self.pull_requests)


@dataclass(frozen=True)
class ActConfig:
    """Which issues the bot labels, and how it behaves on GitHub."""

    pull_requests: bool = option(False, "Label pull requests too.")
    discussions: bool = option(
        False,
        "Label discussions too, but only once, when they are opened, and in a backfill only those without labels. "
        "The reason: GitHub keeps no history of their labels.",
    )
    types: bool = option(
        False,
        "Also set the issue types that an organisation defines. They are learnt and set like an exclusive group of "
        "labels called `issue type: Bug` and so on. A type is never replaced.",
    )
    categories: tuple[str, ...] = option(
        (),
        "Categories, such as `General`, from which a discussion is moved to the category that it belongs to. triage "
        "writes a category as a label called `discussion category: Ideas` and so on. If not set, no discussion is "
        "moved.",
    )
    skip_authors: tuple[str, ...] = option((), "Authors whose issues are not labelled; patterns of logins.")
    skip_bots: bool = option(True, "Do not label issues that a bot opened.")
    comment: bool = option(False, "Explain the labels in one comment, which is updated in place.")
    off_label: str = option(
        "no-triage",
        "A label that keeps the bot away from an issue, whoever set it. The bot does not learn it, and sets it only "
        "on command.",
    )
    commands: bool = option(
        False,
        "Obey `/triage again`, `why`, `undo` and `off` in comments by people who have at least the role triage. The "
        "workflow must listen to `issue_comment`.",
    )
    duplicates: float | None = share(
        None,
        "The minimum similarity (cosine of the encoder's vectors) at which issues are shown as possible duplicates. If "
        "not set, 0.94 for the included encoder (see benchmarks/README.md); with other encoders, none are shown.",
    )
    suggest: float | None = share(
        None,
        "Suggest labels that are not set but have at least this probability. The bot lists them in its one comment, "
        "and a maintainer sets them with a tick. The workflow must listen to `issue_comment`. If not set, none are "
        "suggested.",
    )
    suggest_in: str = option(
        "comment",
        "Where labels are suggested. `comment`: in the bot's one comment; `github`: as GitHub's own label suggestions, "
        "on newly opened issues only. GitHub Enterprise Server has no such suggestions.",
        choices=("comment", "github"),
    )
    comment_duplicates: bool = option(False, "Also name possible duplicates in the bot's one comment.")
    max_rate_limit_wait: int = option(
        600, "The maximum number of seconds that a request waits for GitHub's rate limits.", low=0
    )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of items that may be labelled."""
        return _kinds(self.pull_requests) | ({"discussion"} if self.discussions else frozenset())


@dataclass(frozen=True)
class ConditionConfig:
    """When a rule applies: all conditions that are given must hold."""

    title: tuple[str, ...] = one_or_more(
        "A regular expression (RE2) that must match somewhere in the title, or several, which must all match. "
        "`(?i)` at the start ignores case."
    )
    body: tuple[str, ...] = one_or_more("The same for the body.")
    form: dict[str, tuple[str, ...]] = option(
        {},
        "Answers in an issue form: the name of each field, with one option, or several of which one must be chosen. "
        "Case is ignored.",
        single=True,
    )
    association: tuple[str, ...] = one_or_more(
        "The author's relation to the repository, as GitHub names it; several are alternatives.",
        choices=ASSOCIATIONS,
    )
    files: tuple[str, ...] = one_or_more(
        "For pull requests only: a changed file must match one of these globs (`docs/**`); `!docs/api/**` excludes."
    )
    all_files: tuple[str, ...] = one_or_more(
        "For pull requests only: globs; each changed file must match one of them. `!docs/api/**` excludes."
    )


@dataclass(frozen=True)
class RuleConfig:
    """A fixed rule, applied before the vote: if its conditions hold, it sets or bars its labels.

    A label that a rule sets needs no probability. All other settings still apply to it (`labels.allow`, `labels.deny`,
    `labels.exclusive`, `labels.max`), and a label that was removed from an issue is not set again.
    """

    when: ConditionConfig = option(
        ConditionConfig(), "When the rule applies: all conditions that are given must hold."
    )
    name: str = option("", "The name of the rule in the summary; if not set, its position in the list.")
    set: tuple[str, ...] = one_or_more("Labels to set.")
    bar: tuple[str, ...] = one_or_more("Labels that the issue does not get, whatever elects them.")
    require: tuple[str, ...] = one_or_more(
        "Labels that an issue gets only if this rule, or another rule that requires them, applies."
    )

    @property
    def reads_files(self) -> bool:
        """Whether it needs the changed files of a pull request."""
        return bool(self.when.files or self.when.all_files)


@dataclass(frozen=True)
class ExtendsConfig:
    """The configuration that this one extends: keys that are not set here have the values from there.

    `extends: ORG/.github:triage.yml` is short for `extends: {config: ORG/.github:triage.yml}`. Mappings such as
    `labels.descriptions` are merged. A list replaces the other one unless `append` names it. The other configuration
    cannot extend a third one.
    """

    short: ClassVar[str] = "config"

    config: str = option(
        "",
        "The file: `OWNER/NAME:PATH` on the default branch of a repository that the token can read, or a path in the "
        "same repository. In a local configuration, a path relative to its folder.",
    )
    append: tuple[str, ...] = one_or_more(
        "Lists, such as `labels.deny` or `rules`, to which this file adds entries instead of replacing them."
    )


@dataclass(frozen=True)
class AssignConfig:
    """How the `owners` of a label are involved when the bot sets it on an open issue, or has set it before."""

    choose: str = option(
        "round-robin",
        "`round-robin`: one person for each label, by the number of the issue; `least-busy`: the person with the "
        "fewest open issues, which takes one more request; `all`: everybody.",
        choices=("round-robin", "least-busy", "all"),
    )
    max: int = option(
        1,
        "The maximum number of people on an issue or pull request, including those already on it.",
        low=1,
        high=10,
    )


@dataclass(frozen=True)
class Config:
    """The whole configuration; `Config()` is the default."""

    labels: LabelsConfig = field(default_factory=LabelsConfig)
    vote: VoteConfig = field(default_factory=VoteConfig)
    zero_shot: ZeroShotConfig = field(default_factory=ZeroShotConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    act: ActConfig = field(default_factory=ActConfig)
    rules: tuple[RuleConfig, ...] = ()
    owners: dict[str, tuple[str, ...]] = option(
        {},
        "Who looks after the issues of a label. People (logins) are assigned, or asked to review a pull request. Teams "
        "(`org/team`) are mentioned once in the bot's comment, or asked for a review.",
        single=True,
    )
    assign: AssignConfig = field(default_factory=AssignConfig)
    extends: ExtendsConfig = field(default_factory=ExtendsConfig)

    @property
    def has_shipped_encoder(self) -> bool:
        """Whether issues are encoded by the encoder that triage includes."""
        return self.encoder.model == "builtin"

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages besides English that the models know: none if they are triage's own, else any ("*")."""
        own = {"builtin", "embedding"}
        return () if self.has_shipped_encoder and self.zero_shot.model in own else ("*",)


def _kinds(pull_requests: bool) -> frozenset[Kind]:
    return frozenset({"issue", "pull request"} if pull_requests else {"issue"})


def from_dict(data: object, *, where: str = "the configuration") -> Config:
    """A Config from plain data. Raises ConfigError with the path of the key."""
    try:
        return _built(data)
    except SchemaError as error:
        raise ConfigError(f"{where}: {error}", next_step=error.next_step) from None


def _built(data: object) -> Config:
    """Raises SchemaError, which has the path of the key."""
    if isinstance(data, dict):
        # A section whose keys are all commented out is null.
        data = {name: section for name, section in data.items() if section is not None}
    config = build(Config, data if data is not None else {})
    vote = config.vote
    if vote.k is not None and vote.m is not None and vote.m > vote.k:
        raise _refused("vote.m", f"{vote.m} votes cannot be reached with {vote.k} neighbours")
    if not all(name.strip() for name in config.labels.descriptions):
        raise _refused("labels.descriptions", "a description has no label")
    if len(once := distinct(config.labels.descriptions)) < len(config.labels.descriptions):
        again = next(name for name in config.labels.descriptions if name not in once)
        first = next(name for name in once if fold(name) == fold(again))
        raise _refused(
            "labels.descriptions", f"{again!r:.60} and {first!r:.60} are one label", "remove one of them"
        )
    if wrong := next(filter(None, map(fault, config.learn.repositories)), None):
        raise _refused("learn.repositories", wrong, REPOSITORIES)
    for label, listed in config.owners.items():
        if not listed or not all(map(OWNER.fullmatch, listed)):
            wrong = next((owner for owner in listed if not OWNER.fullmatch(owner)), "nobody")
            raise _refused(
                f"owners.{label:.60}",
                f"found {wrong!r:.60}",
                "write logins, or teams as `org/team`, without `@`",
            )
    if "{}" not in config.zero_shot.template:
        raise _refused("zero_shot.template", "`{}`, the place of the label, is missing")
    for i, rule in enumerate(config.rules):
        _check_rule(rule, f"rules[{i}]")
    _check_appended(config)
    return config


def _check_appended(config: Config) -> None:
    """Raise SchemaError for a name that is no list."""
    for i, name in enumerate(config.extends.append):
        value: object = config
        for part in name.split("."):
            value = getattr(value, part, None)
        if not isinstance(value, tuple):
            example = "name lists as they are written here, such as labels.deny"
            raise _refused(
                f"extends.append[{i}]", f"{name!r:.60} is not a list of the configuration", example
            )


def _check_rule(rule: RuleConfig, path: str) -> None:
    """Raise SchemaError for a rule that says nothing, or whose patterns cannot be read."""
    when = rule.when
    if not any(vars(when).values()):
        raise _refused(
            f"{path}.when",
            "no condition is given, so that the rule would apply to every issue",
            'write title: "."',
        )
    if not (rule.set or rule.bar or rule.require):
        raise _refused(path, "the rule has no effect", "give it labels to `set`, `bar` or `require`")
    patterns = {"title": when.title, "body": when.body, "files": when.files, "all_files": when.all_files}
    for name, given in patterns.items():
        read = glob if "files" in name else regex
        for i, pattern in enumerate(given):
            try:
                read(pattern.removeprefix(NOT) if "files" in name else pattern)
            except PatternError as error:
                where = f"{path}.when.{name}[{i}]"
                raise _refused(
                    where, f"the pattern {pattern!r:.80} cannot be read: {error}", PATTERNS
                ) from None


def _refused(path: str, reason: str, next_step: str | None = None) -> SchemaError:
    return SchemaError(f"in '{path}': {reason}", path, next_step=next_step)


# Gives (where it is, its text) of the configuration that another one extends; raises ConfigError.
Fetch = Callable[[str], tuple[str, str]]


def from_text(text: str, *, where: str, fetch: Fetch | None = None) -> Config:
    """A Config from YAML. Raises ConfigError with the line and the path of the key.

    `fetch` reads what it extends; without it, a configuration that extends another one is refused.
    """
    data, config = _from_document(text, where)
    base = config.extends.config
    if not base:
        return config
    if fetch is None:
        raise _needs_github(where, base)
    there, base_text = fetch(base)
    base_data, base_config = _from_document(base_text, there, is_base=True)
    append = config.extends.append
    merged = _merged(_stating(base_data, base_config, append), data, append)
    return from_dict(merged, where=f"{where}, which extends {there}")


def _stating(data: object, config: Config, paths: Iterable[str]) -> object:
    """Decoded data with the lists at these paths, which are the defaults of its `config` where it has none."""
    stated = dict(data) if isinstance(data, dict) else {}
    for section, _, name in (path.partition(".") for path in paths):
        if name:
            default = list(getattr(getattr(config, section), name))
            stated[section] = {name: default, **(stated.get(section) or {})}
    return stated


def _merged(base: object, own: object, append: Collection[str], path: str = "") -> object:
    """Decoded data over that which it extends; lists at the paths in `append` are added to it."""
    if isinstance(base, dict) and isinstance(own, dict):
        # A section whose keys are all commented out says nothing.
        given = {name: value for name, value in own.items() if path or value is not None}
        spelt = {fold(name): name for name in base}
        merged = {name: value for name, value in base.items() if fold(name) not in folded(given)}
        for name, value in given.items():
            place = f"{path}.{name}" if path else name
            merged[name] = _merged(base.get(spelt.get(fold(name), name)), value, append, place)
        return merged
    if isinstance(base, list) and isinstance(own, list) and path in append:
        return [*base, *own]
    return base if own is None and not path else own


def _from_document(text: str, where: str, *, is_base: bool = False) -> tuple[object, Config]:
    """(decoded data, Config) of one file; `is_base`: another one extends it."""
    document = decoded_yaml(text, where)
    try:
        config = _built(document.data)
        if is_base and config.extends.config:
            raise _refused(
                "extends", "a configuration that is extended cannot extend another one", "merge the two files"
            )
        return document.data, config
    except SchemaError as error:
        line = document.line(error.path)
        what = f"{where}{f', line {line}' if line else ''}: {error}"
        if error.expected == "a string" and (plain := document.unquoted(error.path)):
            raise ConfigError(
                what,
                likely=f"{plain!r:.40} has no quotes, so that YAML does not read it as text",
                next_step=f'quote it: "{plain:.40}"',
            ) from None
        raise ConfigError(what, next_step=error.next_step) from None


def load(path: Path | None, fetch: Fetch | None = None) -> Config:
    """The Config in the file at `path`, or the default if it is None. Raises ConfigError.

    `fetch` reads what it extends in a repository; a file beside it is read in any case.
    """
    if path is None:
        return Config()

    def extended(name: str) -> tuple[str, str]:
        if elsewhere(name) is None:
            beside = path.parent / name
            return str(beside), _read(beside)
        if fetch is None:
            raise _needs_github(str(path), name)
        return fetch(name)

    return from_text(_read(path), where=str(path), fetch=extended)


def _needs_github(where: str, name: str) -> ConfigError:
    return ConfigError(
        f"{where}: extends {name!r:.200}, which can be read only through GitHub",
        likely="this command does not use GitHub",
        next_step="name a local file in `extends`, or write its keys here",
    )


def elsewhere(name: str) -> tuple[str, str] | None:
    """(repository, path) of a file that is named as OWNER/NAME:PATH; None where it is a path alone."""
    repo, _, path = name.partition(":")
    return (repo, path) if path and NAME.fullmatch(repo) else None


def _read(path: Path) -> str:
    try:
        return read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file",
            likely="the path is wrong",
            next_step="correct --config, or leave it out for the default configuration",
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})",
            likely="the path is wrong",
            next_step="check --config",
        ) from None
