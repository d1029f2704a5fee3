"""Every event about issues and pull requests that GitHub publishes an example of, through the whole program."""

from __future__ import annotations

import re

import pytest

from tests.fake_github.state import ACTIONS_BOT
from tests.fake_github.wire import Json
from tests.live import Step

NAMES = ("issues", "pull_request", "issue_comment", "discussion", "discussion_comment")


def about(example: dict[str, Json]) -> tuple[str, dict[str, Json], bool]:
    """The repository, the issue or pull request, and whether it is the latter."""
    repository, issue, pull = (example.get(name) for name in ("repository", "issue", "pull_request"))
    issue = issue or example.get("discussion")
    assert isinstance(repository, dict)
    thing = issue or pull
    assert isinstance(thing, dict)
    return str(repository["full_name"]), thing, pull is not None or "pull_request" in thing


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_each_published_example_of_an_event_leads_to_a_decision_or_to_one_clear_sentence(
    step: Step, webhook_examples: list[dict[str, Json]], name: str, there: bool
) -> None:
    """Exit code 0 with a line about the issue, or a documented one with words for what happened."""
    [examples] = [entry["examples"] for entry in webhook_examples if entry["name"] == name]
    assert isinstance(examples, list)
    world = step.github.world
    world.add_token("event-token", ACTIONS_BOT, issues="write", contents="read", pull_requests="write")
    step.environment.setenv("GITHUB_TOKEN", "event-token")
    for example in examples:
        assert isinstance(example, dict)
        repo, thing, is_pull = about(example)
        repository = world.repository(repo) or world.add_repository(repo)
        number, title, body = thing["number"], thing["title"], thing.get("body")
        assert isinstance(number, int)
        if there:
            repository.issues.pop(number, None)
            issue = repository.add_issue(
                str(title),
                str(body or ""),
                "Codertocat",
                number=number,
                pull=is_pull,
                discussion=name.startswith("discussion"),
            )
        step.event(example)
        assert step.label() == 0
        assert re.fullmatch(rf"{repo}#{number}: [^\n]+\n(  [^\n]+\n)*", step.out)
        assert step.err == ""
        if there:
            assert issue.label_names == []
        else:
            empty = {name: {} for name in ("labels", "scores", "neighbours", "duplicates")}
            assert step.outputs == empty | {"abstained": []}


def test_a_repository_that_the_token_cannot_see_is_one_clear_sentence(
    step: Step, webhook_examples: list[dict[str, Json]]
) -> None:
    """With the exit code for access."""
    [examples] = [entry["examples"] for entry in webhook_examples if entry["name"] == "issues"]
    assert isinstance(examples, list)
    step.event(examples[0])
    assert step.label() == 8
    assert step.err.startswith("error: cannot find Codertocat/Hello-World: Could not resolve to a Repository")
