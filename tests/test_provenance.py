"""Whose word a label is: people's, this bot's, another bot's, or nobody's."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.config import from_dict
from triage.decide.case import Attribution
from triage.issue import Issue, LabelEvent, TextEdit
from triage.learn.provenance import (
    Provenance,
    edited_since_labelled,
    process_by_evidence,
    provenance_of,
    with_present_names,
)
from triage.sources.issue_file import read_issues
from triage.sources.load import Identity, identity

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
SAMPLE = Path(__file__).parents[1] / "examples/sample/events.jsonl"
US = Attribution(me=frozenset({"triage[bot]"}))
NOBODYS = Provenance((), (), {})


def event(change: str, by: str = "ann", seconds: int = 3600, *, bot: bool = False) -> LabelEvent:
    """`+bug` or `-bug`, so many seconds after the opening."""
    return LabelEvent(change[1:], change[0] == "+", by, bot, OPENED + timedelta(seconds=seconds))


def issue(*events: LabelEvent, labels: str = "", author: str = "reporter", number: int = 1) -> Issue:
    return Issue(
        "octo/demo",
        number,
        "Crash",
        created_at=OPENED,
        author=author,
        labels=tuple(labels.split()),
        events=events,
    )


@pytest.fixture(scope="module")
def sample() -> dict[int, Issue]:
    return {found.number: found for found in with_present_names(read_issues(SAMPLE))}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        # The form's label, then a maintainer's.
        (117, Provenance(("area: sync",), (), {"bug": "opening"})),
        # A maintainer alone.
        (124, Provenance(("enhancement", "area: cli"), (), {})),
        # The form and this bot: nobody has said anything.
        (128, Provenance((), (), {"bug": "opening", "area: storage": "me"})),
        # `docs` by a person, called `documentation` since.
        (133, Provenance(("documentation",), (), {})),
        # This bot's labels were left standing beside a maintainer's.
        (136, Provenance(("performance",), (), {"bug": "me", "area: sync": "me"})),
        # This bot was put right.
        (142, Provenance(("security", "area: web"), ("bug",), {})),
        # Two maintainers: the last word stands.
        (169, Provenance(("area: sync",), (), {"bug": "opening"})),
        # An organisation is no bot.
        (186, Provenance(("bug",), (), {})),
        # `docs` by this bot, called `documentation` since.
        (291, Provenance((), (), {"documentation": "me"})),
        # The form was wrong, and a maintainer said so.
        (300, Provenance(("enhancement", "area: sync"), ("question",), {})),
        # One person's label, taken away by another.
        (314, Provenance(("bug", "area: storage"), ("performance",), {})),
        # A bot that opens issues with labels.
        (466, Provenance((), (), {"security": "opening"})),
        # Removed by the author and set by the bot again: the person's word stands.
        (476, Provenance((), ("stale",), {"enhancement": "opening"})),
        # Back and forth.
        (544, Provenance(("bug", "area: cli"), ("question",), {})),
        # A command bot with an ordinary account: nothing tells it from a person.
        (773, Provenance(("bug", "area: web"), ("area: storage",), {})),
    ],
)
def test_the_sample_holds_what_people_said(
    sample: dict[int, Issue], number: int, expected: Provenance
) -> None:
    """The histories of the sample, each with what its maintainers meant."""
    assert provenance_of(sample[number], US) == expected


def test_an_ordinary_account_that_is_a_bot_can_be_named(sample: dict[int, Issue]) -> None:
    """Named under `learn.bots`, what it sets and removes is nobody's word."""
    config = from_dict({"learn": {"bots": ["ferry-ci-*"]}})
    assert provenance_of(sample[773], Attribution.of(config)) == Provenance(
        (), (), {"bug": "bot", "area: web": "bot"}
    )


def test_a_trusted_bot_speaks_for_people(sample: dict[int, Issue]) -> None:
    """Trust goes before what GitHub or `learn.bots` says of the account, whatever the case of its login."""
    config = from_dict(
        {"learn": {"bots": ["ferry-*"], "trusted_bots": ["FERRY-ci-robot", "dependabot[bot]"]}}
    )
    attribution = Attribution.of(config)
    assert provenance_of(sample[650], attribution) == Provenance(("bug", "area: sync"), (), {})
    assert provenance_of(
        issue(event("+bug", "dependabot[bot]", bot=True), labels="bug"), attribution
    ).positive == ("bug",)


def test_the_bot_never_trusts_itself() -> None:
    """`trusted_bots` that match its own login change nothing."""
    attribution = Attribution.of(from_dict({"learn": {"trusted_bots": ["*"]}}), me=["GitHub-Actions[bot]"])
    mine = event("+bug", "github-actions[bot]", bot=True)
    assert provenance_of(issue(mine, labels="bug"), attribution) == Provenance((), (), {"bug": "me"})


@pytest.mark.parametrize(("login", "bot"), [("app[bot]", False), ("app", True)])
def test_a_bot_is_known_by_login_or_type(login: str, bot: bool) -> None:
    """Files differ in what they tell."""
    assert provenance_of(issue(event("+bug", login, bot=bot), labels="bug"), US).unjudged == {"bug": "bot"}


@pytest.mark.parametrize(
    ("by", "seconds", "positive"),
    [
        ("reporter", 0, False),
        ("reporter", 5, False),
        ("reporter", 6, True),
        ("ghost", 2, False),
        ("", 2, False),
        ("ann", 2, True),
        ("ghost", 60, True),
    ],
)
def test_labels_that_come_with_the_opening_are_no_judgement(by: str, seconds: int, positive: bool) -> None:
    """By the author or nobody, within five seconds; a maintainer may be that fast."""
    found = provenance_of(issue(event("+bug", by, seconds), labels="bug"), US)
    assert found == (Provenance(("bug",), (), {}) if positive else Provenance((), (), {"bug": "opening"}))


@pytest.mark.parametrize(
    ("repo", "author", "association", "positive"),
    [
        ("reporter/demo", "Reporter", "", True),
        ("octo/demo", "reporter", "OWNER", True),
        ("octo/demo", "reporter", "COLLABORATOR", True),
        ("octo/demo", "reporter", "CONTRIBUTOR", False),
        ("octo/demo", "reporter", "", False),
        ("octo/demo", "app[bot]", "MEMBER", False),
    ],
)
def test_who_can_label_while_opening_is_a_person_then(
    repo: str, author: str, association: str, positive: bool
) -> None:
    """The repository's owner, and who belongs to the project; to others it happens by a form."""
    found = dataclasses.replace(
        issue(event("+bug", author, 0), labels="bug", author=author), repo=repo, association=association
    )
    assert provenance_of(found, US).positive == (("bug",) if positive else ())


def edit(by: str, seconds: int, *, bot: bool = False) -> TextEdit:
    """A change of the text, so many seconds after the opening."""
    return TextEdit(by, bot, OPENED + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("edits", "changed"),
    [
        ((), False),
        ((edit("reporter", 10),), False),
        ((edit("Reporter", 7200),), True),
        ((edit("ann", 7200),), False),
        ((edit("ghost", 7200),), True),
        ((edit("app[bot]", 7200, bot=True),), True),
        ((edit("ann", 9000), edit("reporter", 7200)), True),
        # A person labelled after it.
        ((edit("reporter", 4000),), False),
    ],
)
def test_an_author_who_edits_after_the_last_persons_label_takes_it_from_the_evidence(
    edits: tuple[TextEdit, ...], changed: bool
) -> None:
    """What bots label or remove in between confirms nothing."""
    history = [event("+bug"), event("+docs", "ben", 5000), event("-web", "app[bot]", 8000, bot=True)]
    found = dataclasses.replace(issue(*history, labels="bug docs"), edits=edits)
    assert edited_since_labelled(found, US) is changed
    bare = dataclasses.replace(found, events=None)
    assert edited_since_labelled(bare, US) is any(each.actor != "ann" for each in edits)


def test_a_person_who_sets_the_bots_label_anew_confirms_it() -> None:
    """Taken away and put back by people, it is theirs."""
    history = [event("+bug", "triage[bot]", 6, bot=True), event("-bug"), event("+bug", "ben", 7200)]
    assert provenance_of(issue(*history, labels="bug"), US) == Provenance(("bug",), (), {})


def test_what_a_bot_took_from_a_person_is_no_counter_example() -> None:
    """The person meant it, and nobody has denied it; nor does it stand."""
    history = [event("+bug"), event("-bug", "stale[bot]", 7200, bot=True)]
    assert provenance_of(issue(*history), US) == NOBODYS


def test_without_a_history_labels_are_peoples() -> None:
    """A file without events, and a label that came along when an issue was transferred."""
    bare = Issue("octo/demo", 1, "Crash", labels=("bug", "docs"))
    assert provenance_of(bare, US) == Provenance(("bug", "docs"), (), {})
    assert provenance_of(issue(event("+bug"), labels="bug docs"), US) == Provenance(("bug", "docs"), (), {})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["+a", "-a", "+b", "-b"]),
            st.sampled_from(["ann", "reporter", "x[bot]", "triage[bot]"]),
            st.integers(0, 20),
        )
    ),
    st.sets(st.sampled_from("abc")),
)
def test_every_label_is_judged_once(history: list[tuple[str, str, int]], labels: set[str]) -> None:
    """Positive, negative and unjudged never overlap, and leave out no label that the issue carries."""
    found = provenance_of(issue(*(event(*each) for each in history), labels=" ".join(sorted(labels))), US)
    parts = [set(found.positive), set(found.negative), set(found.unjudged)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert labels <= set.union(*parts)
    assert set(found.positive) | set(found.unjudged) <= labels


def test_a_renamed_label_is_recognised_without_ids(sample: dict[int, Issue]) -> None:
    """The sample's `docs`; replaying all events under the new name gives the labels of every issue."""
    assert {e.label for found in sample.values() for e in found.events or ()} & {"docs"} == set()
    replayed = {
        n: [e.label for e in found.events or () if e.added and e.label in found.labels]
        for n, found in sample.items()
    }
    assert all(set(replayed[n]) == set(found.labels) for n, found in sample.items())


def test_a_rename_is_not_guessed_where_histories_disagree() -> None:
    """`docs` became two labels, was deleted from some issue, or is in use still: it stays what it was."""
    split = [
        issue(event("+docs"), labels="guide", number=1),
        issue(event("+docs"), labels="manual", number=2),
    ]
    deleted = [
        issue(event("+docs"), labels="guide", number=1),
        issue(event("+docs"), number=2),
    ]
    still_there = [
        issue(event("+docs"), labels="guide", number=1),
        issue(labels="docs", number=2),
    ]
    assert [with_present_names(each) for each in (split, deleted, still_there)] == [
        split,
        deleted,
        still_there,
    ]


def of_process(n: int, *events: LabelEvent, labels: str = "") -> list[Issue]:
    return [issue(*events, labels=labels, number=i) for i in range(1, n + 1)]


@pytest.mark.parametrize(
    ("issues", "expected"),
    [
        # Set by a bot, whatever became of it.
        (
            of_process(10, event("+rot", "stale[bot]", bot=True), labels="rot"),
            {"rot": "bots set or removed it 10 of 10 times"},
        ),
        (of_process(9, event("+rot", "stale[bot]", bot=True), labels="rot"), {}),
        # A bot never takes out what people set too, however much it does.
        (
            of_process(60, event("+docs", "app[bot]", bot=True), labels="docs")
            + of_process(14, event("+docs"), labels="docs"),
            {},
        ),
        (of_process(20, event("+docs"), event("-docs", "app[bot]", 7200, bot=True)), {}),
        # Set by people and removed by people as the issue went on.
        (
            of_process(6, event("+ask"), event("-ask", "ben", 7200))
            + of_process(4, event("+ask"), labels="ask"),
            {"ask": "removed later from 6 of 10 issues"},
        ),
        (
            of_process(5, event("+ask"), event("-ask", "ben", 7200))
            + of_process(5, event("+ask"), labels="ask"),
            {},
        ),
        # This bot's own guesses, and how people put them right, are no sign of a process.
        (of_process(20, event("+bug", "triage[bot]", 6, bot=True), event("-bug")), {}),
        (of_process(20, event("+bug", "triage[bot]", 6, bot=True), labels="bug"), {}),
    ],
)
def test_process_labels_are_known_by_their_history(issues: list[Issue], expected: dict[str, str]) -> None:
    """Bots handle them, or they come and go; only with enough issues to tell."""
    assert process_by_evidence(issues, US) == expected


def test_the_samples_process_label_is_found(sample: dict[int, Issue]) -> None:
    """Told that the bot is another account, `stale` is what a bot sets; the sample's other labels are not."""
    assert process_by_evidence(sample.values(), Attribution(), least=3) == {
        "stale": "bots set or removed it 4 of 5 times"
    }


def test_a_bots_token_tells_who_the_bot_is() -> None:
    """The workflow's own account, and those that are recorded."""
    assert identity("github-actions[bot]", True, ["Old-App[bot]"]) == Identity(
        frozenset({"github-actions[bot]", "old-app[bot]"})
    )


def test_a_persons_token_is_warned_about() -> None:
    """What the person said is only left out where the bot is recorded to have labelled under that login."""
    assert identity("Ann", False, ["triage[bot]"]) == Identity(
        frozenset({"triage[bot]"}),
        "the token is a person's (Ann), so that the labels it sets look like that person's own; "
        "use the workflow's or an App's token for labelling",
    )
    recorded = identity("Ann", False, ["ann"])
    assert recorded == Identity(
        frozenset({"ann"}),
        "the token is a person's (Ann), so that the labels it sets look like that person's own; "
        "labels that Ann set or removed are not learnt",
    )
    said = issue(event("+bug", "Ann"), labels="bug")
    assert provenance_of(said, Attribution.of(from_dict({}), recorded.me)).unjudged == {"bug": "me"}
