"""The configuration (`.github/triage.yml`): frozen, parsed once at the edge, every default in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from triage.errors import ConfigError
from triage.issue import Kind
from triage.patterns import fault
from triage.schema import SchemaError, build, option

# Labels that state a person's decision rather than what the issue is about.
PEOPLE_ONLY = (
    "wontfix",
    "won't fix",
    "duplicate",
    "invalid",
    "spam",
    "good first issue",
    "good-first-issue",
    "help wanted",
    "help-wanted",
    "hacktoberfest*",
)
# Labels that tell where an issue stands in a process; they change without a word of the issue changing.
PROCESS = (
    "FrozenDueToAge",
    "stale*",
    "no-stale",
    "needs*",
    "started",
    "triage/*",
    "triage",
    "lifecycle/*",
    "status:*",
    "status/*",
    "waiting*",
    "pinned",
    "locked*",
    "cla:*",
    "cncf-cla:*",
    "release-note*",
    "do-not-merge*",
    "size/*",
    "approved",
    "lgtm",
)


@dataclass(frozen=True)
class LabelsConfig:
    """Which labels the bot may set, and what they mean."""

    allow: tuple[str, ...] = option(("*",), "Labels the bot may set; `*` and `?` stand for any text.")
    deny: tuple[str, ...] = option(PEOPLE_ONLY, "Labels that only people set, whatever `allow` says.")
    descriptions: dict[str, str] = option(
        {}, "What each label means in one sentence; read by zero-shot classification."
    )
    exclusive: tuple[tuple[str, ...], ...] = option(
        (), "Groups of which an issue carries at most one label; the best stays."
    )
    max: int = option(5, "The most labels set on one issue.", low=1)
    abstain: str | None = option(None, "A label to set when no other is set; the bot takes it away again.")
    create: bool = option(False, "Whether a label that the repository lacks may be created.")


@dataclass(frozen=True)
class VoteConfig:
    """How neighbours elect labels."""

    k: int | None = option(None, "The number of neighbours; tuned when not given.", low=1, high=50)
    m: int | None = option(None, "The votes a label needs; tuned when not given.", low=1, high=50)
    weighting: str = option(
        "similarity",
        "`similarity`: nearer neighbours count more; `uniform`: all k count the same.",
        choices=("similarity", "uniform"),
    )
    min_examples: int = option(10, "Labels with fewer examples are left to zero-shot classification.", low=1)
    precision_target: float | None = option(
        None, "The precision that each label must reach to be set; none: best micro-F1.", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class ZeroShotConfig:
    """Classification by name and description, for labels without enough examples."""

    model: str = option(
        "builtin",
        "`builtin` (the shipped cross-encoder), `embedding` (similarity to the description alone: faster), a folder, "
        "or a hub model.",
    )
    revision: str | None = option(None, "The pinned commit of a hub model; written by `triage models pull`.")
    sha256: dict[str, str] = option({}, "The pinned hash of each file of a hub model.")
    template: str = option(
        "This issue is about {}.", "The hypothesis that an entailment model judges; `{}` is the label."
    )
    threshold: float | None = option(
        None, "The least score of a label, 0 to 1; tuned when not given.", low=0.0, high=1.0
    )
    top_k: int | None = option(None, "Set at most this many best labels.", low=1)


@dataclass(frozen=True)
class EncoderConfig:
    """The sentence encoder."""

    model: str = option("builtin", "`builtin`, a folder, or a hub model.")
    revision: str | None = option(None, "The pinned commit of a hub model; written by `triage models pull`.")
    sha256: dict[str, str] = option({}, "The pinned hash of each file of a hub model.")
    budget: int | None = option(
        None,
        "The most tokens read of an issue; fewer are faster, with 128 at hardly a loss: see benchmarks/README.md.",
        low=16,
        high=512,
    )


@dataclass(frozen=True)
class LearnConfig:
    """What retraining learns from."""

    ignore: tuple[str, ...] = option(PROCESS, "Labels that are neither learnt nor set; patterns.")
    pull_requests: bool = option(False, "Whether pull requests are learnt from too.")
    repositories: tuple[str, ...] = option(
        (),
        "Other repositories to learn from besides the bot's own: OWNER/NAME, or patterns of names such as `org/*`; "
        "`!org/archive-*` takes away. The last entry that matches decides.",
    )
    shared: tuple[str, ...] = option(
        ("*",),
        "Labels that mean the same in all repositories learnt from; any other counts among issues of its own "
        "repository alone; patterns.",
    )
    trusted_bots: tuple[str, ...] = option(
        (), "Bots whose labels count as people's, since they carry out a person's word; patterns of logins."
    )
    bots: tuple[str, ...] = option(
        (),
        "Ordinary accounts that are bots, this one's among them if it labels with a person's token; "
        "what they label is not learnt; patterns of logins.",
    )
    min_new: int = option(
        10, "With fewer newly labelled issues than this, retraining leaves the bundle as it is.", low=0
    )
    publishers: tuple[str, ...] = option(
        ("*",), "Logins whose bundles are believed, where the store is a repository; patterns."
    )
    max_rate_limit_wait: int = option(
        4000,
        "The most seconds that reading issues to learn from waits for GitHub's limits at one request; an hour's "
        "points come back within the hour.",
        low=0,
    )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of items that are learnt from."""
        return _kinds(self.pull_requests)


@dataclass(frozen=True)
class ActConfig:
    """What the bot looks at and how it behaves on GitHub."""

    pull_requests: bool = option(False, "Whether pull requests are labelled too.")
    skip_authors: tuple[str, ...] = option((), "Authors whose issues are left alone; patterns of logins.")
    skip_bots: bool = option(True, "Whether issues opened by bots are left alone.")
    comment: bool = option(False, "Whether one comment tells the reasons, kept up to date in place.")
    max_rate_limit_wait: int = option(
        600, "The most seconds spent waiting for GitHub's limits at one request.", low=0
    )

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of items that may be labelled."""
        return _kinds(self.pull_requests)


@dataclass(frozen=True)
class Config:
    """The whole configuration; `Config()` is the default."""

    labels: LabelsConfig = field(default_factory=LabelsConfig)
    vote: VoteConfig = field(default_factory=VoteConfig)
    zero_shot: ZeroShotConfig = field(default_factory=ZeroShotConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    learn: LearnConfig = field(default_factory=LearnConfig)
    act: ActConfig = field(default_factory=ActConfig)


def _kinds(pull_requests: bool) -> frozenset[Kind]:
    return frozenset({"issue", "pull request"} if pull_requests else {"issue"})


def from_dict(data: object, *, where: str = "the configuration") -> Config:
    """The only door from decoded YAML to a Config. Raises ConfigError that names the path."""
    if isinstance(data, dict):
        # A section whose every key is commented out reads as nothing.
        data = {name: {} if section is None else section for name, section in data.items()}
    try:
        config = build(Config, data if data is not None else {})
    except SchemaError as error:
        raise ConfigError(f"{where}: {error}") from None
    vote = config.vote
    if vote.k is not None and vote.m is not None and vote.m > vote.k:
        raise ConfigError(f"{where}: in 'vote.m': {vote.m} votes of {vote.k} neighbours can never be reached")
    if not all(name.strip() for name in config.labels.descriptions):
        raise ConfigError(f"{where}: in 'labels.descriptions': a description belongs to no label")
    if wrong := next(filter(None, map(fault, config.learn.repositories)), None):
        raise ConfigError(
            f"{where}: in 'learn.repositories': {wrong}",
            next_step="write OWNER/NAME, OWNER/* for all of an owner's, or !OWNER/NAME to take away",
        )
    if "{}" not in config.zero_shot.template:
        raise ConfigError(f"{where}: in 'zero_shot.template': the place of the label, `{{}}`, is missing")
    return config


def from_text(text: str, *, where: str) -> Config:
    """A Config from YAML. Raises ConfigError."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{where}{place}: not valid YAML") from None
    return from_dict(data, where=where)


def load(path: Path | None) -> Config:
    """The Config in the file at `path`, or the default where `path` is None. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error})", likely="the path is wrong", next_step="check --config"
        ) from None
    return from_text(text, where=str(path))
