"""The categories of discussions: out of those that are named, into the one that fits, and nowhere else."""

from __future__ import annotations

import json

import pytest

from tests.fake_github.faults import Answer, forbidden
from tests.fake_github.issue import Issue
from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Reply
from tests.live import FERRY, STORAGE, Step
from triage.config import Config, from_dict
from triage.decide import Policy, case_of
from triage.engine.zero_shot import concept_of
from triage.issue import CATEGORY
from triage.issue import Issue as NewIssue
from triage.text import LabelText

RULE = "rules: [{when: {title: '.'}, set: 'discussion category: ideas'}]\n"
ON = f"act: {{discussions: true, categories: [general]}}\n{RULE}"
IDEAS = f"{CATEGORY}Ideas"
LABELS = ["bug", "area: storage"]
NUMBER = 5_000
FAST = "--per-minute=60000"


@pytest.fixture
def discussion(step: Step) -> Issue:
    """One in General that a fixed rule takes for an idea; the repository has two more categories."""
    step.configure(ON)
    for name in ("General", "Ideas", "Q&A"):
        step.repository.add_category(name, f"What belongs to {name}")
    step.github.world.add_token("talker", ACTIONS_BOT, issues="write", contents="read", discussions="write")
    step.environment.setenv("GITHUB_TOKEN", "talker")
    like = step.repository.issues[STORAGE]
    return step.repository.add_issue(like.title, like.body, discussion=True, number=NUMBER)


def label(step: Step, discussion: Issue, *argv: str) -> None:
    step.happen(discussion, "created")
    assert step.label(*argv) == 0


def test_a_new_discussion_is_moved(step: Step, discussion: Issue) -> None:
    """A dry run says where to; one request moves and labels it; a second run changes nothing."""
    label(step, discussion, "--dry-run")
    assert (discussion.category_name, step.writes) == ("General", [])
    assert step.outputs["would-label"] == {str(NUMBER): [IDEAS, *LABELS]}
    label(step, discussion)
    assert (discussion.category_name, discussion.label_names) == ("Ideas", LABELS)
    assert step.outputs["labels"] == {str(NUMBER): [IDEAS, *LABELS]}
    assert step.writes == ["mutation addLabelsToLabelable,updateDiscussion"]
    label(step, discussion)
    assert (discussion.category_name, len(step.writes)) == ("Ideas", 1)


def test_a_category_is_judged_by_its_description(step: Step, discussion: Issue) -> None:
    """As a label without examples is, and never into the one that it is moved out of."""
    step.configure("act: {discussions: true, categories: [General]}\nvote: {precision_target: 0.0}")
    step.repository.add_category("Storage", discussion.title)
    label(step, discussion)
    assert discussion.category_name == "Storage"


def test_a_category_that_is_not_named_stays(step: Step, discussion: Issue) -> None:
    """Its author, or a person since, has chosen it; the labels are set all the same."""
    discussion.move("Q&A")
    label(step, discussion)
    assert (discussion.category_name, discussion.label_names) == ("Q&A", LABELS)
    assert "a discussion has one category, and discussion category: Q&A stays" in step.out


@pytest.mark.parametrize("action", ["edited", "category_changed", "labeled"])
def test_what_a_person_moved_back_stays_there(step: Step, discussion: Issue, action: str) -> None:
    """GitHub does not tell who moved a discussion, so that it is moved only when it is opened."""
    label(step, discussion)
    discussion.remove_labels(LABELS, "marit-oh")
    discussion.move("General")
    step.happen(discussion, action, body="Something else.")
    assert step.label() == 0
    assert step.label("--since=36 hours") == 0
    assert (discussion.category_name, discussion.label_names) == ("General", [])


def test_without_the_key_nothing_is_requested(step: Step, discussion: Issue) -> None:
    """Nor with it, for an issue."""
    step.configure(f"act: {{discussions: true}}\n{RULE}")
    label(step, discussion)
    usual = len(step.github.requests)
    assert (discussion.category_name, discussion.label_names) == ("General", LABELS)
    step.configure(ON)
    step.github.requests.clear()
    label(step, step.repository.add_issue(discussion.title, discussion.body, discussion=True))
    assert len(step.github.requests) == usual + 1
    step.github.requests.clear()
    step.happen(step.repository.issues[STORAGE])
    assert step.label() == 0
    assert not [r for r in step.github.requests if "discussionCategories" in str(r.body)]
    assert step.outputs["labels"] == {str(STORAGE): LABELS}


def test_a_label_that_is_called_like_a_category_is_not_touched(step: Step, discussion: Issue) -> None:
    """Nor is one created for a category that is not there."""
    step.repository.add_label(IDEAS)
    step.configure(f"labels: {{create: true}}\n{ON.replace('ideas', 'polls and more')}")
    label(step, discussion)
    assert (discussion.category_name, discussion.label_names) == ("General", LABELS)
    assert len(step.repository.categories) == 3
    step.configure(ON)
    other = step.repository.add_issue(discussion.title, discussion.body, discussion=True)
    label(step, other)
    assert (other.category_name, other.label_names) == ("Ideas", LABELS)


def test_a_category_deleted_while_the_run_goes_on_is_left_out(step: Step, discussion: Issue) -> None:
    """The labels are set."""
    ideas = step.repository.categories["ideas"]
    del step.github.world.nodes[ideas.node_id]
    step.github.faults.add(
        Answer(
            Reply(
                200,
                {"data": {"repository": {"categories": {"nodes": [{"id": ideas.node_id, "name": "Ideas"}]}}}},
            )
        ),
        operation="query repository",
        when=lambda request: "discussionCategories" in str(request.body),
    )
    del step.repository.categories["ideas"]
    label(step, discussion)
    assert (discussion.category_name, discussion.label_names) == ("General", LABELS)
    assert "deleted in the meantime, so not set: discussion category: Ideas" in step.out


def test_without_the_permission_the_run_says_which(step: Step, discussion: Issue) -> None:
    """With the exit code for access; nothing is changed in part."""
    step.github.faults.add(forbidden(), operation="mutation")
    step.happen(discussion, "created")
    assert step.label() == 8
    assert "`discussions: write`" in step.err
    assert discussion.category_name == "General"


def test_a_server_without_categories_labels_the_rest(step: Step, discussion: Issue) -> None:
    """It is said once."""
    unknown = "Field 'discussionCategories' doesn't exist on type 'Repository'"
    step.github.faults.add(
        Answer(Reply(200, {"errors": [{"message": unknown, "type": "undefinedField"}]})),
        times=None,
        when=lambda request: "discussionCategories" in str(request.body),
    )
    label(step, discussion)
    assert (discussion.category_name, discussion.label_names) == ("General", LABELS)
    assert step.out.count(f"no discussion is moved: {FERRY} has no categories of discussions") == 1


def test_a_backfill_moves_discussions_and_takes_them_back(step: Step, discussion: Issue) -> None:
    """But for those that somebody has moved since; under whatever name the categories have by then."""
    add = step.repository.add_issue
    between, after, elsewhere = (add(discussion.title, discussion.body, discussion=True) for _ in range(3))
    elsewhere.move("Q&A")
    four = (discussion, between, after, elsewhere)
    folder = step.folder / "plan"
    plan, journal = folder / "plan.jsonl", str(folder / "plan.journal.jsonl")
    assert step.run("backfill", f"--from={FERRY}", f"--out={folder}", f"--store={step.store}") == 0
    entries = [json.loads(line) for line in plan.read_text("utf-8").splitlines()]
    planned = {entry["number"]: entry.get("labels", []) for entry in entries if "number" in entry}
    assert [IDEAS in planned[each.number] for each in four] == [True, True, True, False]
    assert IDEAS not in planned[STORAGE]
    between.move("Q&A")
    assert step.run("backfill", f"--apply={plan}", FAST, "--dry-run") == 0
    assert step.writes == []
    assert step.run("backfill", f"--apply={plan}", FAST) == 0
    assert [each.category_name for each in four] == ["Ideas", "Q&A", "Ideas", "Q&A"]
    before = len(step.writes)
    assert step.run("backfill", f"--apply={plan}", FAST) == 0
    assert len(step.writes) == before
    after.move("Q&A")
    step.repository.rename_category("General", "Everything else")
    assert step.run("undo", journal, FAST) == 0
    assert [each.category_name for each in four] == ["Everything else", "Q&A", "Q&A", "Q&A"]
    assert discussion.label_names == after.label_names == []
    assert f"{IDEAS}: it is not there any more" in step.out


def test_undo_leaves_a_discussion_whose_former_category_is_gone(step: Step, discussion: Issue) -> None:
    """It has nowhere to go back to; its labels are taken off."""
    folder = step.folder / "plan"
    plan = folder / "plan.jsonl"
    assert step.run("backfill", f"--from={FERRY}", f"--out={folder}", f"--store={step.store}") == 0
    assert step.run("backfill", f"--apply={plan}", FAST) == 0
    step.repository.delete_category("General")
    assert step.run("undo", str(folder / "plan.journal.jsonl"), FAST) == 0
    assert (discussion.category_name, discussion.label_names) == ("Ideas", [])
    assert f"{IDEAS}: the category that it was in before is gone" in step.out


def test_the_check_knows_the_key(step: Step, discussion: Issue) -> None:
    """What may be set, what does not exist, and a key without effect."""
    check = ("check", f"--repo={FERRY}", f"--store={step.store}")
    assert step.run(*check) == 0
    assert (
        "✓ of categories of discussions, these may be set: "
        "`discussion category: Ideas`, `discussion category: Q&A` (act.categories)\n" in step.out
    )
    step.configure("act: {discussions: true, categories: [Generale]}")
    assert step.run(*check) == 4
    assert (
        "✗ `discussion category: Generale` is in act.categories, "
        "but the repository has no such category of discussions\n" in step.out
    )
    step.configure("act: {categories: [General]}")
    assert step.run(*check) == 0
    assert (
        "! no discussion is moved (act.categories): discussions are not labelled (act.discussions)\n"
        in step.out
    )


@pytest.mark.parametrize(("name", "concept"), [("Q&A", "question"), ("Ideas", "feature"), ("General", None)])
def test_what_a_category_means_is_known(name: str, concept: str | None) -> None:
    """As of a label of that name."""
    assert concept_of(LabelText(f"{CATEGORY}{name}")) == concept


def test_nobody_is_moved_among_the_announcements() -> None:
    """Those are a person's to make; unless the list of what only people set is another one."""
    config: Config = from_dict({"act": {"discussions": True, "categories": ["General"]}})
    policy = Policy.of(config)
    assert policy.settable(
        [f"{CATEGORY}{name}" for name in ("Announcements", "Polls", "general", "Q&A")]
    ) == (f"{CATEGORY}Q&A",)
    assert policy.suggestions({f"{CATEGORY}Q&A": 0.9}, []) == ()
    issue = NewIssue("a/b", 1, "How?")
    assert case_of(issue, config, proposed=[IDEAS]).barred == {IDEAS: "only discussions have a category"}
