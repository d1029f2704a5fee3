"""A configuration of another repository, and one that extends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.live import FERRY, STORAGE, Step
from triage.cli import main
from triage.config import Config, from_dict, from_text, load
from triage.errors import ConfigError

SHARED = "lanternfish-io/.github"
BASE = """
labels: {max: 2, deny: [bug, docs], descriptions: {Sync: From all, area: It is}, exclusive: [[a, b]]}
rules: [{name: base, when: {title: a}, set: x}]
"""


def merged(own: str, base: str = BASE) -> Config:
    """A configuration over that which it extends."""
    return from_text(own, where="own.yml", fetch=lambda name: (f"the file {name}", base))


def test_what_is_not_set_is_as_it_is_there() -> None:
    """Keys of the file itself count, lists replace lists, and entries of mappings are added whatever their case."""
    own = "labels: {deny: [wontfix], descriptions: {sync: Mine, new: N}}\nvote:\nact: {comment: true}"
    found = merged(f"extends: o/r:t.yml\n{own}")
    assert (found.labels.max, found.labels.deny, found.labels.exclusive) == (2, ("wontfix",), (("a", "b"),))
    assert found.labels.descriptions == {"area": "It is", "sync": "Mine", "new": "N"}
    assert [rule.name for rule in found.rules] == ["base"]
    assert found.act.comment
    assert found.vote == Config().vote


def test_lists_that_are_named_are_added_to() -> None:
    """Those of the base come first."""
    found = merged(
        "extends: {config: o/r:t.yml, append: [labels.deny, rules]}\n"
        "labels: {deny: [c], exclusive: [[c, d]]}\nrules: [{name: own, when: {title: b}, set: y}]"
    )
    assert found.labels.deny == ("bug", "docs", "c")
    assert found.labels.exclusive == (("c", "d"),)
    assert [rule.name for rule in found.rules] == ["base", "own"]


@pytest.mark.parametrize("base", ["", "labels:\n", "labels: {max: 2}\n"])
def test_lists_that_the_base_leaves_as_they_are_by_default_are_added_to(base: str) -> None:
    """Or whoever forbids one label more would allow all that are forbidden by default."""
    found = merged(
        "extends: {config: o/r:t.yml, append: [labels.deny, rules]}\n"
        "labels: {deny: [c]}\nrules: [{name: own, when: {title: b}, set: y}]",
        base,
    )
    assert found.labels.deny == (*Config().labels.deny, "c")
    assert [rule.name for rule in found.rules] == ["own"]


@pytest.mark.parametrize(
    ("own", "base", "message"),
    [
        (
            "extends: o/r:t.yml\nlabels: {max: 0}",
            BASE,
            "own.yml, line 2: in 'labels.max': expected at least 1",
        ),
        (
            "extends: o/r:t.yml",
            "vote: {k: 0}",
            "the file o/r:t.yml, line 1: in 'vote.k': expected at least 1",
        ),
        (
            "extends: o/r:t.yml\nvote: {m: 9}",
            "vote: {k: 3}",
            "own.yml, which extends the file o/r:t.yml: in 'vote.m': 9 votes cannot be reached with 3 neighbours",
        ),
        (
            "extends: o/r:t.yml",
            "extends: o/r:other.yml",
            "the file o/r:t.yml, line 1: in 'extends': a configuration that is extended cannot extend another one",
        ),
        (
            "extends: {config: o/r:t.yml, append: labels.max}",
            BASE,
            "own.yml, line 1: in 'extends.append[0]': 'labels.max' is not a list of the configuration",
        ),
        ("extends: [a]", BASE, "own.yml, line 1: in 'extends': expected a mapping, found ['a']"),
    ],
)
def test_each_file_is_checked_by_itself_and_both_together(own: str, base: str, message: str) -> None:
    """The error names the file."""
    with pytest.raises(ConfigError) as refused:
        merged(own, base)
    assert refused.value.what.startswith(message)


def test_a_local_file_extends_one_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of a repository is read over GitHub only, which some commands do not use."""
    (tmp_path / "base.yml").write_text(BASE, "utf-8")
    own = tmp_path / "own.yml"
    own.write_text("extends: base.yml\n", "utf-8")
    assert load(own).labels.max == 2
    assert main(["check", f"--config={own}"]) == 0
    assert f"✓ the configuration is valid ({own}, which extends base.yml)" in capsys.readouterr().out
    own.write_text("extends: o/r:t.yml\n", "utf-8")
    assert main(["check", f"--config={own}"]) == 4
    assert "extends 'o/r:t.yml', which can be read only through GitHub" in capsys.readouterr().out
    own.write_text("extends: gone.yml\n", "utf-8")
    assert main(["check", f"--config={own}"]) == 4
    assert "gone.yml: there is no such file" in capsys.readouterr().out


@pytest.fixture
def shared(step: Step) -> Step:
    """An organisation with a configuration for all its repositories."""
    repository = step.github.world.add_repository(SHARED)
    repository.put_file("triage.yml", "labels: {deny: [bug]}\nact: {comment: false}\n")
    step.happen(step.repository.issues[STORAGE])
    return step


def test_the_configuration_may_be_in_another_repository(shared: Step) -> None:
    """As the input `config` names it, and it takes one request."""
    assert shared.label(f"--config-path={SHARED}:triage.yml") == 0
    assert shared.repository.issues[STORAGE].label_names == ["area: storage"]
    bodies = [request.body for request in shared.github.requests if isinstance(request.body, dict)]
    there = [body for body in bodies if dict(body.get("variables") or {}).get("name") == ".github"]  # type: ignore[call-overload]
    assert len(there) == 1


def test_the_repositorys_own_configuration_extends_that_of_another(shared: Step) -> None:
    """Its own keys count."""
    shared.configure(f"extends: {SHARED}:triage.yml\nlabels: {{allow: [bug, 'area: *']}}\n")
    assert shared.label() == 0
    assert shared.repository.issues[STORAGE].label_names == ["area: storage"]
    shared.run("check", f"--repo={FERRY}", f"--store={shared.store}")
    assert (
        f"✓ the configuration is valid (.github/triage.yml of {FERRY}, which extends {SHARED}:triage.yml)"
        in shared.out
    )


def test_a_path_alone_is_in_the_same_repository(shared: Step) -> None:
    """Wherever the file is that extends it."""
    shared.repository.put_file("config/base.yml", "labels: {deny: [bug]}")
    shared.configure("extends: config/base.yml\n")
    assert shared.label() == 0
    assert shared.repository.issues[STORAGE].label_names == ["area: storage"]


def test_a_path_alone_is_in_the_repository_of_the_file_that_names_it(shared: Step) -> None:
    """Also where that is another one."""
    shared.github.world.repositories[SHARED.casefold()].put_file("own.yml", "extends: triage.yml\n")
    assert shared.label(f"--config-path={SHARED}:own.yml") == 0
    assert shared.repository.issues[STORAGE].label_names == ["area: storage"]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (f"{SHARED}:gone.yml", f"{SHARED} has no file 'gone.yml' on its default branch"),
        ("octo/none:triage.yml", "where the configuration 'octo/none:triage.yml' is"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_an_error(shared: Step, name: str, what: str) -> None:
    """With the token as the likely cause where it sees no such repository; nothing is labelled."""
    shared.configure(f"extends: {name}\n")
    assert shared.label() == 4
    assert what in shared.err
    assert "octo" not in name or "use the token of an App" in shared.err
    assert shared.writes == []


PAGE = (Path(__file__).resolve().parents[1] / "docs" / "how-to" / "one-configuration.md").read_text("utf-8")


def test_the_called_workflows_take_what_the_page_passes() -> None:
    """Inputs and secrets that they declare, and all of these are on the page."""
    folder = Path(__file__).resolve().parents[1] / ".github" / "workflows"
    called = re.findall(r"uses: triage-bot/triage/\.github/workflows/([a-z]+\.yml)@v0", PAGE)
    assert called == ["label.yml", "retrain.yml"]
    for name in called:
        workflow = yaml.load((folder / name).read_text("utf-8"), Loader=yaml.BaseLoader)
        offered = workflow["on"]["workflow_call"]
        assert [key for key in (*offered["inputs"], *offered["secrets"]) if key not in PAGE] == []
        given = {level for job in workflow["jobs"].values() for level in job["permissions"].items()}
        block = PAGE.partition(f"workflows/{name}")[0].rpartition("permissions:\n")[2]
        passed = dict(re.findall(r"(\w+): (read|write)", block))
        # A called workflow gets no more than the calling job has.
        assert all(passed[scope] in (level, "write") for scope, level in given)


def test_the_configurations_on_the_page_are_valid() -> None:
    """Each of them."""
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "extends:" in block]
    assert [
        from_text(block, where="it", fetch=lambda _: ("base", "{}")).extends.config for block in blocks
    ] == ["ORG/.github:triage.yml"] * 2
    assert from_dict({"extends": "a.yml"}).extends.config == "a.yml"
