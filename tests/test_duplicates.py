"""Possible duplicates: issues that read much the same under the encoder alone, shown to people and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.fake_github.issue import Issue
from tests.live import FERRY, Step
from tests.sample import LEARNT_FROM
from triage.bundle.model import Neighbourhood
from triage.config import from_dict
from triage.decide import Evidence, Neighbour, Policy
from triage.decide.policy import DUPLICATE, MOST_DUPLICATES
from triage.sources.issue_file import read_issues

OLD = next(issue for issue in read_issues(LEARNT_FROM) if len(issue.text) > 200)


@pytest.fixture
def again(step: Step) -> Issue:
    """A new issue that says what an old one of the bundle says."""
    issue = step.repository.add_issue(f"{OLD.title} again", f"{OLD.body}\n\nThanks.", "rune", number=990)
    step.happen(issue)
    return issue


def near(number: int, similarity: float | None, repo: str = "o/r") -> Neighbour:
    """A neighbour that is known by its similarity under the encoder."""
    return Neighbour(repo, number, 0.99, ("bug",), similarity)


def found(policy: Policy, *neighbours: Neighbour) -> list[int]:
    """The numbers of the possible duplicates."""
    return [n.number for n in policy.duplicates(Evidence(("o/r", 1), neighbours))]


def test_a_repeated_issue_is_told_in_summary_output_and_log(step: Step, again: Issue) -> None:
    """With the number, the address and the similarity; the issue is labelled as any other, and stays open."""
    assert step.label() == 0
    told, *_ = step.outputs["duplicates"]["990"]
    assert told["number"] == OLD.number
    assert told["url"] == f"{step.github.server_url}/{FERRY}/issues/{OLD.number}"
    assert DUPLICATE <= told["similarity"] <= 1
    assert f"possible duplicate of #{OLD.number} ({told['similarity']:.2f})" in step.out
    assert f'**Possible duplicate of** <a href="{told["url"]}">#{OLD.number}</a>' in step.summary
    assert (again.state, again.comments) == ("open", [])
    assert {*step.writes} <= {"mutation addLabelsToLabelable"}


def test_each_line_of_json_has_the_duplicates(step: Step, again: Issue) -> None:
    """Those of an issue without any are an empty list."""
    assert step.label("--issue=990,938", "--json", "--dry-run") == 0
    rows = [json.loads(line) for line in step.out.splitlines()]
    assert [row["duplicates"][:1] and row["duplicates"][0]["number"] for row in rows] == [OLD.number, []]
    assert step.writes == []


def test_a_higher_similarity_can_be_asked_for(step: Step, again: Issue) -> None:
    """At 1 none is shown that differs at all; there is no output for an issue without duplicates."""
    step.configure("act: {duplicates: 1.0}")
    assert step.label() == 0
    assert step.outputs["duplicates"] == {}
    assert "ossible duplicate" not in step.said


def test_the_comment_names_them_only_if_asked(step: Step, again: Issue) -> None:
    """It notifies people; by itself, or below the reasons, and the second run leaves it as it is."""
    step.configure("act: {comment: true}")
    assert step.label() == 0
    [comment] = again.comments
    assert "ossible duplicate" not in comment.body
    step.configure("act: {comment_duplicates: true}")
    assert step.label() == 0
    assert [comment] == again.comments
    assert "got <code>" in comment.body
    assert f">#{OLD.number}</a> (similarity 0." in comment.body
    text = comment.body
    assert step.label() == 0
    assert [c.body for c in again.comments] == [text]


def test_the_comment_follows_what_the_issue_says_now(step: Step, again: Issue) -> None:
    """Edited into something else, it repeats nothing: the note goes, and with it a comment that says nothing else."""
    step.configure("act: {comment_duplicates: true}\nlabels: {deny: ['*']}")
    assert step.label() == 0
    [comment] = again.comments
    assert f">#{OLD.number}</a>" in comment.body
    title, body = again.title, again.body
    again.title, again.body = "Can the ferry carry penguins?", "I wonder whether it is allowed to."
    step.happen(again, "edited", title=title, body=body)
    assert step.label() == 0
    assert again.comments == []
    step.happen(again, "reopened")
    before = len(step.github.requests)
    assert step.label() == 0
    assert not [r for r in step.github.requests[before:] if r.operation == "query node" or r.writes]


def test_only_issues_of_the_same_repository_count_nearest_first() -> None:
    """Others may be private; and more than a few say that the issues are alike, not the same."""
    policy = Policy(duplicate=0.8)
    assert found(policy, near(7, 0.8), near(8, 0.79), near(9, 0.95, "o/other"), near(5, 0.9)) == [5, 7]
    assert found(policy, *(near(n, 0.9) for n in range(2, 20))) == [2, 3, 4][:MOST_DUPLICATES]
    assert found(policy, near(7, 0.9, "O/R"), near(8, None)) == [7]
    assert found(Policy(), near(7, 1.0)) == []


def test_the_measured_similarity_holds_for_the_shipped_encoder_alone() -> None:
    """For another encoder the same cosine means something else."""
    assert Policy.of(from_dict({})).duplicate == DUPLICATE
    other = {"encoder": {"model": "somewhere"}}
    assert Policy.of(from_dict(other)).duplicate is None
    assert Policy.of(from_dict(other | {"act": {"duplicates": 0.7}})).duplicate == 0.7


def test_the_similarity_is_that_of_the_encoder_whatever_the_head_says() -> None:
    """A head brings issues with the same labels together, whatever they are about."""
    vectors = np.eye(3, dtype=np.float32)
    # Of two issues that have nothing in common but the labels, and one that is the same.
    points = np.hstack([vectors[[0, 1]], np.full((2, 4), 2.0, np.float32)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    index = Neighbourhood(points, [("o/r", 1), ("o/r", 2)], [("bug",), ("bug",)])
    [(neighbours, closest)] = index.near_and_closest([("o/r", 9)], points[:1], vectors[:1])
    assert [(n.number, n.encoder_similarity) for n in neighbours] == [(1, 1.0), (2, 0.0)]
    assert (neighbours[1].similarity > 0.9, closest) == (True, 1.0)
