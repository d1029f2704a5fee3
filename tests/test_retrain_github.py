"""`triage retrain` on GitHub: from the issues of a repository to a bundle in it, and to labels."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fake_github.repository import Repository
from tests.fake_github.state import ACTIONS_BOT
from tests.learning import AFTERWARDS, HOME, RETRAIN, active
from tests.live import FERRY, STORAGE, Step
from tests.sample import CONFIG
from tests.storing import ACTIVE
from tests.tracking import tracker_of
from triage.bundle.bundle import Bundle
from triage.github.git_store import GitStore
from triage.schema import parse_time


def labels_of(bundle: Bundle, number: int) -> tuple[str, ...] | None:
    """What the bundle says of an issue; None where it does not hold it."""
    return dict(zip(bundle.rows.keys, bundle.rows.labels, strict=True)).get((FERRY, number))


def relabel(repository: Repository, count: int) -> None:
    """Let a maintainer find a question in so many issues that carry `bug` alone."""
    bugs = [issue for issue in repository.issues.values() if issue.label_names == ["bug"]]
    for issue in bugs[:count]:
        issue.remove_labels(["bug"], "marit-oh")
        issue.add_labels(["question"], "marit-oh")


def test_from_issues_to_a_bundle_to_labels(past: Step) -> None:
    """People's words alone are learnt; a new issue then gets its labels by them."""
    assert past.run(*RETRAIN) == 0
    bundle = active(past)
    assert (bundle.manifest.sources, bundle.manifest.bots) == ((FERRY,), (ACTIONS_BOT,))
    assert past.out.startswith("bundle ")
    assert " is active\n" in past.out
    assert re.search(
        r"\. Learnt from the older issues alone, \d+% of the newest \d+ got a label, and \d+% of these labels ",
        html.unescape(past.summary),
    )
    # Dated by GitHub's clock, months from this machine's, when reading began.
    assert timedelta(0) <= parse_time(bundle.manifest.created_at) - AFTERWARDS < timedelta(minutes=1)
    # Its form set `bug` before anybody had read it.
    assert labels_of(bundle, 117) == ("area: sync",)
    assert past.repository.git.refs.keys() == {"refs/heads/main", ACTIVE, "refs/triage/embeddings"}
    issue = past.repository.issues[STORAGE]
    past.happen(issue)
    assert past.run("label", f"--store={HOME}") == 0
    assert "bug" in issue.label_names
    assert set(issue.label_names) <= {"bug", "area: storage"}


def test_the_active_bundle_is_looked_up_at_the_beginning_and_before_another_takes_its_place(
    past: Step,
) -> None:
    """In between a retraining goes by what it has read: GitHub moves the ref only if nobody else has."""
    past.run(*RETRAIN)
    past.github.requests.clear()
    assert past.run(*RETRAIN, "--always") == 0
    assert list(map(str, past.github.requests)).count(f"GET /repos/{FERRY}/git/ref/triage/active") == 2


def test_a_bundle_is_dated_after_the_one_before_whatever_the_clocks(past: Step) -> None:
    """Names sort by it. Here the bundle before comes from a machine whose clock was years ahead."""
    past.run(*RETRAIN)
    store, quick = GitStore(tracker_of(past.github, repo=FERRY)), active(past)
    manifest = replace(quick.manifest, created_at="2030-01-01T00:00:00Z")
    store.set_role("active", store.save(replace(quick, manifest=manifest)))
    assert past.run(*RETRAIN, "--always") == 0
    assert active(past).manifest.created_at == "2030-01-01T00:00:01Z"
    assert past.run("bundle", "rollback", f"--store={HOME}") == 0
    assert active(past).manifest.created_at == "2030-01-01T00:00:00Z"


def test_what_the_bot_set_itself_is_not_learnt(past: Step) -> None:
    """Nor remembered as a counter-example, until a person speaks."""
    issue = past.repository.issues[STORAGE]
    issue.add_labels(["question"], ACTIONS_BOT)
    past.run(*RETRAIN)
    assert labels_of(active(past), STORAGE) is None
    issue.remove_labels(["question"], "marit-oh")
    past.run(*RETRAIN, "--always")
    assert labels_of(active(past), STORAGE) == ()


def test_the_summary_tells_how_the_bot_did_and_what_to_label_next(past: Step) -> None:
    """Since the bundle before: what people took away and added; links to issues that nobody labelled.

    By GitHub's clock, which is months from this machine's.
    """
    past.run(*RETRAIN)
    issue = past.repository.issues[STORAGE]
    issue.add_labels(["area: sync", "bug"], ACTIONS_BOT)
    issue.remove_labels(["area: sync"], "marit-oh")
    issue.add_labels(["area: storage"], "marit-oh")
    assert past.run(*RETRAIN, "--always") == 0
    assert (
        "  live           2 labels set since the active bundle was made, 1 kept, 1 removed by people; 1 missed\n"
        in (past.out)
    )
    assert "| <code>area&#58; sync</code> | 1 | 0 | 1 | 0 |\n" in past.summary
    assert "| all | 2 | 1 | 1 | 1 |\n" in past.summary
    [advised] = re.findall(
        r"- Label these issues next; the bot would learn most from them: (.*)\n", past.summary
    )
    numbers = {int(number) for number in re.findall(r">#(\d+)</a>", advised)}
    assert len(numbers) == 8
    assert all(not past.repository.issues[number].labels for number in numbers)
    assert f'<a href="{past.github.server_url}/{FERRY}/issues/{min(numbers)}">' in advised
    assert re.search(
        r"\d+&#37; of the newest \d+ issues resemble no learnt issue and get no label", past.summary
    )
    assert "| promised | measured | pairs of issue and label |" in past.summary


def test_too_few_new_labels_end_green_at_once(past: Step) -> None:
    """Nothing is embedded, nothing written, and no bundle named; with more, learning goes on."""
    past.run(*RETRAIN)
    [name] = GitStore(tracker_of(past.github, repo=FERRY)).names()
    relabel(past.repository, 4)
    past.github.requests.clear()
    assert past.run(*RETRAIN) == 0
    assert past.out == (
        f"nothing to do: 4 labelled issues are new since bundle {name}, and fewer than 5 (learn.min_new) change "
        "little; --always learns all the same\n"
    )
    assert (past.writes, past.summary) == ([], "")
    relabel(past.repository, 1)
    assert past.run(*RETRAIN) == 0
    assert " is active\n" in past.out
    assert "  encoded        0 texts, " in past.out


def test_few_new_labels_are_enough_where_the_bundle_cannot_label(past: Step) -> None:
    """Whoever changes the encoder, or upgrades to one, is told to retrain, and can."""
    past.run(*RETRAIN)
    past.configure(CONFIG.read_text("utf-8") + "encoder: {max_tokens: 64}\n")
    assert past.run("label", "--issue=938", "--dry-run", f"--store={HOME}") == 7
    assert "next step: run `triage retrain`" in past.err
    assert past.run(*RETRAIN) == 0
    assert " is active\n" in past.out


@pytest.mark.parametrize(
    "changed",
    [
        "vote: {min_examples: 3}",
        "zero_shot: {top_k: 1}",
        "zero_shot: {model: embedding}",
        "learn: {min_new: 5, shared: [bug]}",
    ],
)
def test_few_new_labels_are_enough_where_the_settings_are_others(past: Step, changed: str) -> None:
    """Whoever changes what is learnt with expects that a retraining heeds it; once."""
    past.run(*RETRAIN)
    past.configure(changed)
    past.run(*RETRAIN)
    assert "nothing to do" not in past.said
    past.run("bundle", "promote", f"--store={HOME}")
    assert past.run(*RETRAIN) == 0
    assert past.out.startswith("nothing to do: 0 labelled issues are new")


def test_a_bundle_tuned_for_another_zero_shot_model_says_so(past: Step) -> None:
    """Scores of the one mean something else than those of the other."""
    past.run(*RETRAIN)
    past.configure("zero_shot: {model: embedding}")
    assert past.run("label", "--issue=938", "--dry-run", f"--store={HOME}") == 0
    assert "was tuned for the zero-shot model concepts, and the configuration has embedding" in past.said
    past.run(*RETRAIN)
    past.run("label", "--issue=938", "--dry-run", f"--store={HOME}")
    assert "was tuned for" not in past.said


def test_what_changed_between_two_runs_is_followed(past: Step, tmp_path: Path) -> None:
    """A renamed label keeps its issues; deleted labels and issues, and transferred ones, are gone."""
    repository, cache = past.repository, f"--cache={tmp_path / 'cache'}"
    past.run(*RETRAIN, cache)
    before = active(past)
    repository.rename_label("documentation", "docs please")
    repository.delete_label("question")
    repository.issues[117].delete()
    repository.issues[124].transfer(past.github.world.add_repository("lanternfish-io/quay"))
    # A clock that is far ahead makes the numbers due to be compared.
    for path in (tmp_path / "cache").glob("*/state.json"):
        state = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps(state | {"counted_at": "2020-01-01T00:00:00Z"}), "utf-8")
    assert past.run(*RETRAIN, cache, "--always") == 0
    now = active(past)
    had, has = before.rules.by_name, now.rules.by_name
    assert {"docs please"} == set(has) - set(had)
    assert {"documentation", "question"} == set(had) - set(has)
    assert has["docs please"].examples == had["documentation"].examples
    assert [labels_of(before, number) is not None for number in (117, 124)] == [True, True]
    assert [labels_of(now, number) for number in (117, 124)] == [None, None]


def test_no_word_of_an_issue_is_at_rest_in_the_store(past: Step) -> None:
    """Of no blob and of no commit message, though all was learnt from them."""
    past.run("retrain", f"--from={FERRY}", f"--store={HOME}")
    git = past.repository.git
    main = set(git.files("refs/heads/main").values())
    held = b"\n".join([data for data in git.blobs.values() if data not in main]).lower()
    held += "\n".join(commit.message for commit in git.commits.values()).lower().encode()
    assert len(held) > 200_000
    issues = past.repository.issues.values()
    # Pairs of words of the titles: some single words are label names.
    pairs = {pair for issue in issues for pair in re.findall(r"(?=\b(\w+ \w+)\b)", issue.title.lower())}
    assert len(pairs) > 500
    assert [pair for pair in pairs if pair.encode() in held] == []
    lines = {line for issue in issues for line in (issue.body or "").lower().splitlines() if len(line) > 12}
    assert [line for line in lines if line.encode() in held] == []


def test_a_text_that_its_author_changed_after_people_labelled_it_is_not_learnt(
    past: Step, tmp_path: Path
) -> None:
    """Title or body; the label was given to another text. What a maintainer edits, or an author before, is."""
    issues = past.repository.issues
    authors, maintainers = [117, 124, 186], [142, 300]
    assert past.run(*RETRAIN, f"--cache={tmp_path}") == 0
    before = active(past)
    assert all(labels_of(before, number) is not None for number in (*authors, *maintainers))
    issues[117].edit("How do I install this?")
    author = issues[124].author
    assert author is not None
    issues[124].rename("How do I install this?", author.login)
    issues[186].edit("How do I install this?", by="some-app[bot]")
    issues[142].edit("A question of installation.", by="marit-oh")
    issues[300].rename("A question of use", "marit-oh")
    assert past.run(*RETRAIN, "--always", f"--cache={tmp_path}") == 0
    now = active(past)
    assert [labels_of(now, number) for number in authors] == [None, None, None]
    assert all(labels_of(now, number) == labels_of(before, number) for number in maintainers)
    assert "changed by their authors after people had labelled them" in past.out
    issues[117].add_labels(["question"], "marit-oh")
    assert past.run(*RETRAIN, "--always", f"--cache={tmp_path}") == 0
    assert labels_of(active(past), 117) == ("area: sync", "question")


@pytest.mark.parametrize("named", [True, False])
def test_labels_that_an_app_of_the_bots_own_sets_too_are_learnt(past: Step, *, named: bool) -> None:
    """Though it set most of them, and retraining runs with the workflow's token; named, it counts as this bot."""
    past.run(*RETRAIN)
    examples = active(past).rules.by_name["documentation"].examples
    for number in range(2000, 2060):
        issue = past.repository.add_issue(f"Chapter {number}", f"About {number}", number=number)
        issue.add_labels(["documentation"], "our-app[bot]")
    if named:
        past.configure("learn: {bots: ['our-app*']}")
    past.run(*RETRAIN, "--always")
    assert active(past).rules.by_name["documentation"].examples == examples
    assert "bots set or removed" not in past.out + past.summary
    assert ("60 labels set since the active bundle was made" in past.out) is named


def test_an_owner_who_labels_while_opening_is_a_person(past: Step) -> None:
    """Others cannot: the labels are those of an issue form."""
    repository = past.repository
    team = repository.add_issue("Map of harbours", "Show them.", "marit-oh", number=2000)
    other = repository.add_issue("Map of rivers", "Show these.", "somebody", number=2001)
    for issue in (team, other):
        assert issue.author is not None
        issue.add_labels(["enhancement"], issue.author.login, at=issue.created_at)
    repository.team.add("marit-oh")
    assert past.run(*RETRAIN) == 0
    assert [labels_of(active(past), number) for number in (2000, 2001)] == [("enhancement",), None]
