"""Rules of other labelling actions, read as fixed rules for our configuration.

Read are `.github/labeler.yml` of actions/labeler (version 4 and 5), the regular expressions of github/issue-labeler,
and the policies of advanced-issue-labeler together with the issue forms that they name. What has no counterpart is
left out, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from triage.config import ConditionConfig, RuleConfig
from triage.errors import DataError, TriageError
from triage.patterns import NOT, PatternError, glob, regex
from triage.schema import decoded_yaml, read_yaml

GLOBS, REGEXES, FORMS = "actions/labeler", "github/issue-labeler", "advanced-issue-labeler"
FORM_FOLDER = "ISSUE_TEMPLATE"
# What a glob does not have, or only together with a wildcard of globs.
_REGEX = re.compile(r"/.+/[a-z]*|.*(?:[()|\\^$+]|\.\*|\s).*", re.DOTALL)
_SLASHED = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
# What no regular expression of JavaScript has: it repeats a repetition.
_ANY_FOLDERS = re.compile(r"(?:^|/)\*\*|\*\*/")
# Flags of JavaScript that change what a pattern matches in text, as RE2 writes them.
_FLAGS = {"i", "m", "s"}
BRANCHES = ("base-branch", "head-branch")
# Keys of actions/labeler that are settings of the whole file.
SETTINGS = ("changed-files-labels-limit", "max-files-changed")
# A condition that would become more rules than this is left out.
MOST_WAYS = 50


@dataclass
class ImportedRules:
    """The rules of a file, the action that it was written for, and what could not be read, as sentences."""

    action: str
    rules: list[RuleConfig] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, label: str, **when: Any) -> None:
        """Add a rule that sets a label, unless its patterns cannot be read."""
        try:
            for pattern in (*when.get("files", ()), *when.get("all_files", ())):
                glob(pattern.removeprefix(NOT))
            for pattern in (*when.get("title", ()), *when.get("body", ())):
                regex(pattern)
        except PatternError as error:
            self.left_out.append(f"{label!r:.80}: the pattern {pattern!r:.80} cannot be read: {error}")
            return
        self.rules.append(RuleConfig(name=name, when=ConditionConfig(**when), set=(label,)))


def read_rules(path: Path) -> ImportedRules:
    """The rules in a file. Raises DataError for a file of another kind, and ConfigError for one that is not YAML."""
    data = _read(path)
    if not isinstance(data, dict) or not data:
        raise _unknown(path, "it is not a mapping")
    if isinstance(data.get("policy"), list):
        return _from_policies(data["policy"], path)
    rules = {label: given for label, given in data.items() if label not in SETTINGS}
    texts = {label: _texts(given) for label, given in rules.items()}
    if all(text is not None for text in texts.values()):
        patterns = {label: text or [] for label, text in texts.items()}
        if _are_regexes([one for several in patterns.values() for one in several]):
            return _from_regexes(patterns)
    return _from_globs(rules, path)


def _are_regexes(patterns: Sequence[str]) -> bool:
    """Whether these are regular expressions; folders of globs may have parentheses, `+`, `$` and spaces too."""
    return any(map(_REGEX.fullmatch, patterns)) and not any(map(_ANY_FOLDERS.search, patterns))


def _read(path: Path) -> object:
    try:
        return decoded_yaml(read_yaml(path), str(path)).data
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})",
            likely="the path is wrong",
            next_step="check --import",
        ) from None


def _unknown(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path}: no rules that can be imported: {reason}",
        likely="another file",
        next_step=f"give a file of {GLOBS}, {REGEXES} or {FORMS}",
    )


def _texts(given: object) -> list[str] | None:
    """A text, or a list of them, as a list; None for anything else."""
    listed = given if isinstance(given, list) else [given]
    return [str(one) for one in listed] if all(isinstance(one, str) for one in listed) else None


# Regular expressions: all of a label's must match.


def _from_regexes(patterns: Mapping[str, Sequence[str]]) -> ImportedRules:
    found = ImportedRules(REGEXES)
    for label, given in patterns.items():
        if given:
            found.add(label, label, body=tuple(map(_for_re2, given)))
    return found


def _for_re2(pattern: str) -> str:
    """`/bug/i` as RE2 writes it: `(?i)bug`."""
    slashed = _SLASHED.fullmatch(pattern)
    if slashed is None:
        return pattern
    flags = "".join(sorted(_FLAGS & set(slashed[2])))
    return f"(?{flags}){slashed[1]}" if flags else slashed[1]


# Globs: a formula of conditions on the changed files, as alternatives of which each becomes a rule.

# Globs that some changed file has to match, and globs that all of them have to match.
Files = tuple[tuple[str, ...], tuple[str, ...]]


class _Unreadable(Exception):
    """A condition without a counterpart; `str()` says which."""


def _from_globs(rules: Mapping[str, object], path: Path) -> ImportedRules:
    found = ImportedRules(GLOBS)
    for label, given in rules.items():
        try:
            ways = _of_label(given)
        except _Unreadable as error:
            found.left_out.append(f"{label!r:.80}: {error}")
            continue
        for some, every in ways:
            when = {"files": some} if some else {}
            found.add(label, label, **(when | ({"all_files": every} if every else {})))
    if not (found.rules or found.left_out):
        raise _unknown(path, "it has no labels with conditions")
    return found


def _of_label(given: object) -> list[Files]:
    """The alternatives under which a label is set; conditions on branches make a whole condition unreadable."""
    entries = given if isinstance(given, list) else [given]
    is_v5 = any(isinstance(one, dict) and _is_v5(one) for one in entries)
    return _of_version_5(entries) if is_v5 else _merged([_of_version_4(one) for one in entries])


def _is_v5(entry: Mapping[str, object]) -> bool:
    nested = (entry.get(key) for key in ("any", "all"))
    inner = [one for several in nested if isinstance(several, list) for one in several]
    return any(key in entry for key in ("changed-files", *BRANCHES)) or any(
        isinstance(one, dict) for one in inner
    )


def _of_version_4(entry: object) -> list[Files]:
    if isinstance(entry, str):
        return [((entry,), ())]
    if not isinstance(entry, dict):
        raise _Unreadable(f"the condition {entry!r:.60} is not read")
    if unknown := [key for key in entry if key not in ("any", "all")]:
        raise _Unreadable(f"conditions on {unknown[0]!r:.40} are not supported")
    parts: list[list[Files]] = []
    if "any" in entry:
        parts.append([(_one_file(_globs(entry["any"])), ())])
    if "all" in entry:
        parts.append([((), _one_file(_globs(entry["all"])))])
    return _both(parts)


def _of_version_5(entries: Sequence[object]) -> list[Files]:
    """Groups `any` and `all` must each hold; conditions outside of a group form one `any` together."""
    groups: list[list[Files]] = []
    loose: list[object] = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise _Unreadable(f"the condition {entry!r:.60} is not read")
        for key, value in entry.items():
            if key in ("any", "all"):
                inner = [_conditions(one, every=key == "all") for one in _listed(value)]
                groups.append(_both(inner) if key == "all" else _merged(inner))
            else:
                loose.append({key: value})
    if loose:
        groups.append(_merged([_conditions(one, every=False) for one in loose]))
    return _both(groups)


def _conditions(entry: object, *, every: bool) -> list[Files]:
    if not isinstance(entry, dict):
        raise _Unreadable(f"the condition {entry!r:.60} is not read")
    ways: list[list[Files]] = []
    for key, value in entry.items():
        if key != "changed-files":
            raise _Unreadable(f"conditions on {key!r:.40} are not supported")
        for one in _listed(value):
            if not isinstance(one, dict):
                raise _Unreadable(f"the condition {one!r:.60} is not read")
            ways += [_changed(name, _globs(given)) for name, given in one.items()]
    return _both(ways) if every else _merged(ways)


def _changed(name: str, given: tuple[str, ...]) -> list[Files]:
    """The alternatives of one condition on the changed files."""
    plain = tuple(one for one in given if not one.startswith(NOT))
    negated = [one for one in given if one.startswith(NOT)]
    if name == "any-glob-to-any-file":
        some = [plain] if plain else []
        return [(files, ()) for files in (*some, *((one,) for one in negated))]
    if name == "any-glob-to-all-files":
        return [((), (one,)) for one in given]
    if name == "all-globs-to-any-file":
        return [(_one_file(given), ())]
    if name == "all-globs-to-all-files":
        return [((), _one_file(given))]
    raise _Unreadable(f"conditions on {name!r:.40} are not supported")


def _one_file(given: tuple[str, ...]) -> tuple[str, ...]:
    """Globs that one file must match all of: ours are alternatives, so that only one may be without a `!`."""
    if sum(not one.startswith(NOT) for one in given) > 1:
        raise _Unreadable(f"that one file matches all of {', '.join(given):.80} is not read")
    return given


def _both(parts: Sequence[list[Files]]) -> list[Files]:
    """The alternatives under which all parts hold."""
    ways: list[Files] = []
    for chosen in product(*parts):
        some = [files for files, _ in chosen if files]
        every = [files for _, files in chosen if files]
        if len(some) > 1:
            raise _Unreadable("that several files match, each a glob of its own, is not read")
        together = tuple(one for files in every for one in files)
        ways.append((some[0] if some else (), _one_file(together) if len(every) > 1 else together))
        if len(ways) > MOST_WAYS:
            raise _Unreadable(f"its conditions would become more than {MOST_WAYS} rules")
    return ways if parts else []


def _merged(parts: Sequence[list[Files]]) -> list[Files]:
    """The alternatives under which any part holds: those on single files as one."""
    ways = [way for part in parts for way in part]
    some = [files for files, every in ways if not every and not any(one.startswith(NOT) for one in files)]
    others = [way for way in ways if way[1] or any(one.startswith(NOT) for one in way[0])]
    joined = tuple(dict.fromkeys(one for files in some for one in files))
    return [(joined, ()), *others] if joined else others


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _globs(value: object) -> tuple[str, ...]:
    found = _texts(value)
    if not found:
        raise _Unreadable(f"the globs {value!r:.60} are not supported")
    return tuple(found)


# Issue forms: a policy names fields by their id, and an issue has their labels.


def _from_policies(policies: Sequence[object], path: Path) -> ImportedRules:
    found = ImportedRules(FORMS)
    forms = _Forms(path.parent / FORM_FOLDER)
    for policy in policies:
        if not isinstance(policy, dict):
            raise _unknown(path, f"the policy {policy!r:.60} is not a mapping")
        templates = _texts(policy.get("template", [])) or []
        for section in _listed(policy.get("section", [])):
            if not isinstance(section, dict):
                raise _unknown(path, f"the section {section!r:.60} is not a mapping")
            for field_id in _texts(section.get("id", [])) or []:
                _add_section(found, section, forms.field(field_id, templates), field_id)
    if not (found.rules or found.left_out):
        raise _unknown(path, "its policies have no sections with labels")
    found.left_out += forms.problems
    return found


def _add_section(
    found: ImportedRules, section: Mapping[str, object], form_field: FormField, field_id: str
) -> None:
    blocked = set(_texts(section.get("block-list", [])) or [])
    if (given := section.get("label")) is None:
        # Without a map, the options are the labels.
        labels = [(option, [option]) for option in form_field.options]
        if not labels:
            found.left_out.append(f"the field {field_id!r:.60}: the form does not list its options")
    else:
        maps = [one for one in _listed(given) if isinstance(one, dict)]
        labels = [(str(one.get("name", "")), _texts(one.get("keys", [])) or []) for one in maps]
    for label, keys in labels:
        if wanted := tuple(key for key in keys if key not in blocked):
            found.add(f"{form_field.label}: {label}", label, form={form_field.label: wanted})


@dataclass(frozen=True)
class FormField:
    """A field of an issue form: its label, which an issue shows, and its options, if it has any."""

    label: str
    options: tuple[str, ...] = ()


class _Forms:
    """The issue forms of a folder; `problems` says which fields were not found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []
        self._read: dict[Path, dict[str, FormField]] = {}

    def field(self, field_id: str, templates: Sequence[str]) -> FormField:
        """The field with that id in these forms (all, where none are named); else one with the id as its label."""
        named = [self.folder / Path(name).name for name in templates]
        for path in named or sorted([*self.folder.glob("*.yml"), *self.folder.glob("*.yaml")]):
            if path not in self._read:
                self._read[path] = self._fields_of(path)
            if field_id in self._read[path]:
                return self._read[path][field_id]
        self.problems.append(
            f"the field {field_id!r:.60}: no form in {self.folder} has it; its id stands for its label: correct it"
        )
        return FormField(field_id)

    def _fields_of(self, path: Path) -> dict[str, FormField]:
        """The fields of a form by their ids; none where it cannot be read."""
        try:
            form = _read(path)
        except TriageError as error:
            self.problems.append(error.what)
            return {}
        body = form.get("body") if isinstance(form, dict) else None
        fields = {}
        for one in body if isinstance(body, list) else []:
            attributes = one.get("attributes") if isinstance(one, dict) else None
            if isinstance(attributes, dict) and isinstance(one.get("id"), str):
                options = tuple(_option(option) for option in _listed(attributes.get("options") or []))
                label = str(attributes.get("label") or one["id"])
                fields[one["id"]] = FormField(label, tuple(filter(None, options)))
        return fields


def _option(option: object) -> str:
    label = option.get("label", "") if isinstance(option, dict) else option
    return label if isinstance(label, str) else ""


def as_data(rules: Sequence[RuleConfig]) -> list[dict[str, object]]:
    """The rules as the plain data of a configuration, without what is empty."""
    return [dict(_entry(rule)) for rule in rules]


def _entry(rule: RuleConfig) -> Iterator[tuple[str, object]]:
    if rule.name:
        yield "name", rule.name
    given = {name: _short(value) for name, value in vars(rule.when).items() if value}
    yield "when", given
    for effect in ("set", "bar", "require"):
        if labels := getattr(rule, effect):
            yield effect, list(labels)


def _short(value: object) -> object:
    """A list of one as its item, as a person would write it."""
    if isinstance(value, Mapping):
        return {key: _short(one) for key, one in value.items()}
    listed = list(value) if isinstance(value, tuple) else value
    return listed[0] if isinstance(listed, list) and len(listed) == 1 else listed
