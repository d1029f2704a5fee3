"""Every error that a user can meet: what happened, the likely cause, the next step, an exit code.

    TriageError
    ├── UsageError            2   the command line cannot be carried out as written
    ├── NothingToLabelWith    3   no bundle and no described label
    ├── ConfigError           4   the configuration is not valid
    ├── DataError             5   a file of issues, an event or a plan is not valid
    ├── ModelError            6   a model is missing, damaged or not the pinned one
    ├── BundleError           7   a bundle or its store cannot be used
    ├── AccessError           8   GitHub refuses, or its address, certificate or proxy is wrong
    ├── UnavailableError      9   GitHub cannot answer now: limits, outage, network
    │   └── LostRace              another run changed the store first
    ├── GateError            10   the candidate is worse than the active bundle
    ├── MissingExtra         11   an optional dependency is not installed
    ├── ClusterError         12   the Ray cluster cannot be reached, or its workers keep failing
    └── ReportError          13   what was done could not be printed or reported everywhere

Exit code 0 is success, 1 a defect of this program, 130 an interruption (Ctrl-C).
"""

from __future__ import annotations

from collections.abc import Iterable

# On the package index, where `triage` is another project.
DISTRIBUTION = "issue-triage-action"


def install(extra: str) -> str:
    """How to install an extra: from the package index or from a checkout, as this package was installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        from_index = distribution(DISTRIBUTION).read_text("direct_url.json") is None
    except PackageNotFoundError:
        from_index = False
    if from_index:
        return f'pip install "{DISTRIBUTION}[{extra}]"'
    return f'pip install -e ".[{extra}]" in a checkout of this repository'


def made_by(version: object = None) -> str:
    """The likely cause where another version wrote what this one cannot read; `version` is that one, if it is known."""
    # Not at the top: the package is being imported.
    from triage import __version__

    is_named = isinstance(version, str) and version != __version__
    return f"{f'triage {version:.20}' if is_named else 'another version of triage'} made it; this is {__version__}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A question that names the known word which is most like the given one, with a space after it, or nothing."""
    # Only a mistake needs it.
    import difflib

    alike = difflib.get_close_matches(given[:100].lower(), list(known), n=1)
    return f"did you mean {alike[0]!r}? " if alike else ""


class TriageError(Exception):
    """An error with a message for the user; `str()` is the whole message, one part a line."""

    exit_code = 1
    likely = ""
    next_step = ""

    def __init__(self, what: str, *, likely: str | None = None, next_step: str | None = None) -> None:
        self.what = what
        self.likely = self.likely if likely is None else likely
        self.next_step = self.next_step if next_step is None else next_step
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.likely:
            lines.append(f"  likely cause: {self.likely}")
        if self.next_step:
            lines.append(f"  next step: {self.next_step}")
        return "\n".join(lines)


class UsageError(TriageError):
    exit_code = 2
    next_step = "see `triage COMMAND --help`"


class NothingToLabelWith(TriageError):
    exit_code = 3
    likely = "the repository has not been learnt from yet and no label carries a description"
    next_step = "run `triage retrain`, or describe labels under `labels.descriptions` in .github/triage.yml"


class ConfigError(TriageError):
    exit_code = 4
    likely = "a typing mistake, or a key of another version"
    next_step = "compare with docs/reference/config.md, then run `triage check --config FILE`"


class DataError(TriageError):
    exit_code = 5
    likely = "the file was cut short, edited by hand or written by another tool"
    next_step = "correct the named line, or pass --skip-bad to skip invalid rows"


class ModelError(TriageError):
    exit_code = 6
    likely = "the model folder is incomplete or was changed after it was pinned"
    next_step = "run `triage models verify`, then `triage models pull` to fetch it again"


class BundleError(TriageError):
    exit_code = 7
    likely = "the bundle was changed after it was saved, or was made by another version"
    next_step = "run `triage bundle verify`, then `triage bundle rollback` or `triage retrain`"


class AccessError(TriageError):
    exit_code = 8
    likely = "the token lacks a permission, has expired or belongs to another host"
    next_step = "run `triage check --repo OWNER/NAME` to see which permission is missing"


class UnavailableError(TriageError):
    exit_code = 9
    likely = "GitHub limits requests at the moment or has an outage"
    next_step = "run the job again later; nothing was left half done"


class LostRace(UnavailableError):
    likely = "another run published at the same time"
    next_step = "run the job again: it starts from what the other run published"


class GateError(TriageError):
    exit_code = 10
    likely = "recent labels are fewer or noisier than before, or a setting was changed"
    next_step = "read the comparison in the summary; `triage bundle promote` overrides it"


class MissingExtra(TriageError):
    """Raised in place of importing an optional dependency; names the pip command."""

    exit_code = 11

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            what,
            likely=f"the extra `{extra}` is not installed",
            next_step=install(extra),
        )


class ClusterError(TriageError):
    exit_code = 12
    likely = "the cluster was stopped, or its machines are short of memory"
    next_step = "look at `ray status` there, then run the same command again: finished work is kept"


class ReportError(TriageError):
    exit_code = 13
    likely = "the disk is full, or the file may not be written to"
    next_step = "make room or choose another place; the work itself is done, and is not undone by this"
