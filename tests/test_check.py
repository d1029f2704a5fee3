"""`triage check`: what is wrong is told before it matters, and the exit code says what kind it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.live import FERRY, Step
from tests.sample import CONFIG, Trained
from triage.cli import main


def marks(out: str) -> list[str]:
    """The mark of each finding."""
    return [line[0] for line in out.splitlines() if line[0] in "✓✗!"]


def test_where_all_is_well_every_line_says_so(step: Step) -> None:
    """Configuration, labels, token and bundle."""
    step.configure(CONFIG.read_text("utf-8"))
    step.repository.issues[938].add_labels(["bug"], "marit-oh")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    lines = step.out.splitlines()
    assert lines[:6] == [
        f"✓ the configuration is valid (.github/triage.yml of {FERRY})",
        "✓ every label that the configuration names exists; the repository has 12",
        "✓ the token may read issues (`issues: read`)",
        "✓ the token may read the configuration and the bundle (`contents: read`)",
        "✓ the token may set labels (`issues: write`)",
        "✓ the token acts as github-actions[bot]",
    ]
    assert lines[6].endswith("is undamaged and fits the encoder; it was learnt from 161 issues today")
    assert step.writes == []


def test_a_repository_with_nothing_in_it_is_fine_and_told_what_is_missing(step: Step) -> None:
    """The first day."""
    step.repository.put_file("README.md", "# ferry")
    assert step.run("check", f"--repo={FERRY}") == 0
    assert (
        "✓ the configuration is valid (no .github/triage.yml on the default branch, so the default one)"
        in step.out
    )
    assert "! there is no bundle yet: run `triage retrain`" in step.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("labels: {max: 0}", "✗ {path}, line 1: in 'labels.max': expected at least 1, found 0"),
        ("labels: [", "✗ {path}, line 1: not valid YAML"),
        ("labels: {exclusive: [[bug]]}", "✗ the exclusive group bug holds fewer than two labels"),
        (
            "labels: {deny: ['*']}",
            "✗ every pattern in labels.allow is in labels.deny too: nothing can be set",
        ),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    """A local file needs no token."""
    path = tmp_path / "triage.yml"
    path.write_text(text, "utf-8")
    assert main(["check", f"--config={path}"]) == 4
    assert words.format(path=path) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "labels: {descriptions: {wontfix: Never}}",
            "! `wontfix` is described, but never set: only people set it (labels.deny)",
        ),
        (
            "learn: {repositories: ['!org/old-*', 'org/*']}",
            "! !org/old-* comes first in learn.repositories, where it excludes nothing",
        ),
        (
            "act: {suggest_in: github}",
            "! no label is suggested on GitHub (act.suggest_in): act.suggest is not set",
        ),
        (
            "act: {comment_duplicates: true}\nencoder: {model: elsewhere}",
            "! no comment names possible duplicates (act.comment_duplicates): under another encoder than the shipped "
            "one, they are looked for only from the similarity in act.duplicates, which is not set",
        ),
        (
            "act: {duplicates: 0.8}",
            "! possible duplicates are shown from a similarity of 0.8 (act.duplicates): below 0.94, most issues that "
            "the shipped encoder finds are none",
        ),
    ],
)
def test_what_does_no_harm_is_doubtful(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """It was probably meant otherwise, and fails nothing."""
    path = tmp_path / "triage.yml"
    path.write_text(text, "utf-8")
    assert main(["check", f"--config={path}"]) == 0
    assert f"{said}\n" in capsys.readouterr().out


def test_a_store_in_a_repository_that_does_not_exist_is_wrong(step: Step) -> None:
    """It is not said that there is no bundle yet."""
    assert step.run("check", f"--repo={FERRY}", "--store=github:lanternfish-io/fery") == 8
    assert "✗ cannot find lanternfish-io/fery: " in step.out
    assert "there is no bundle yet" not in step.out


def test_labels_that_the_repository_does_not_have_are_wrong(step: Step) -> None:
    """By what they are named for; `Bug` is the repository's `bug`."""
    step.configure(
        "labels: {descriptions: {Bug: Broken, chore: Work}, exclusive: [[question, task]], abstain: needs-triage}"
    )
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 4
    assert [line for line in step.out.splitlines() if line[0] == "✗"] == [
        "✗ `chore` is described, but the repository has no such label",
        "✗ `task` is in an exclusive group, but the repository has no such label",
        "✗ `needs-triage` is the abstain label, but the repository has no such label",
    ]


def test_labels_that_will_be_created_are_only_told(step: Step) -> None:
    """The configuration asks for them."""
    step.configure("labels: {create: true, descriptions: {chore: Work}}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "! `chore` is described; it does not exist yet and will be created (labels.create)" in step.out


def test_the_label_of_the_command_off_is_missed_where_commands_are_on(step: Step) -> None:
    """Whoever gives the command would be told so only then."""
    said = "! `no-triage` is the label of `/triage off` (act.off_label), but the repository has no such label"
    for config, there in (("act: {commands: true}", True), ("", False)):
        step.configure(config)
        assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
        assert (said in step.out) == there


def test_suggestions_are_told_with_what_they_need(step: Step) -> None:
    """From a probability that a label is set at anyway, nothing is left to suggest."""
    step.configure("act: {suggest: 0.5}\nvote: {precision_target: 0.8}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert (
        "✓ labels are suggested from a probability of 0.5 (act.suggest); a tick sets them where" in step.out
    )
    step.configure("act: {suggest: 0.5, suggest_in: github, duplicates: 0.94}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "(act.suggest); as GitHub's own suggestions, on newly opened issues\n" in step.out
    assert "duplicates" not in step.out
    step.configure("act: {suggest: 0.8}\nvote: {precision_target: 0.8}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "! little is suggested from a probability of 0.8 (act.suggest): labels are set at the" in step.out


def test_a_permission_that_is_missing_is_named(step: Step) -> None:
    """As a workflow spells it."""
    step.github.world.add_token("reading", "github-actions[bot]", issues="read", contents="read")
    step.environment.setenv("GITHUB_TOKEN", "reading")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 8
    assert "✗ the token may not set labels (`issues: write`)" in step.out
    step.configure("act: {suggest: 0.5}")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 8
    assert "✗ the token may not set labels and comment (`issues: write`)" in step.out


def test_a_token_that_may_read_nothing_is_told_all_that_it_lacks(step: Step) -> None:
    """One refusal does not hide the others."""
    step.repository.private = True
    step.github.world.add_token("blind", "github-actions[bot]", contents="read")
    step.environment.setenv("GITHUB_TOKEN", "blind")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 8
    assert "✗ cannot list the labels" in step.out
    assert "✗ the token may not read issues (`issues: read`)" in step.out
    assert "✓ bundle " in step.out


def test_a_persons_token_is_doubtful(step: Step) -> None:
    """Learning could not tell the bot's labels from theirs."""
    step.github.world.add_token("personal", "marit-oh", issues="write", contents="write")
    step.environment.setenv("GITHUB_TOKEN", "personal")
    assert step.run("check", f"--repo={FERRY}", f"--store={step.store}") == 0
    assert "! the token acts as marit-oh, a person: learning cannot tell" in step.out


def test_a_repository_that_the_token_cannot_see_ends_the_check(step: Step) -> None:
    """Nothing else could be found out."""
    assert step.run("check", "--repo=octo/none") == 8
    assert step.out.startswith("✗ cannot find octo/none: ")
    assert marks(step.out) == ["✗"]


def test_a_damaged_bundle_is_wrong(own_store: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named."""
    (own_store.bundle_folder / "vectors.npy").write_bytes(b"spoilt")
    assert main(["check", f"--store={own_store.folder}"]) == 7
    assert f"✗ {own_store.bundle_folder}: vectors.npy" in capsys.readouterr().out


def test_a_bundle_of_another_encoder_is_wrong(
    own_store: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its vectors mean nothing to this one."""
    path = tmp_path / "triage.yml"
    path.write_text("encoder: {max_tokens: 64}", "utf-8")
    assert main(["check", f"--store={own_store.folder}", f"--config={path}"]) == 7
    assert (
        f"✗ bundle {own_store.name} was learnt with another version of issue-encoder"
        in capsys.readouterr().out
    )


def test_an_old_bundle_is_doubtful(own_store: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """The schedule may have stopped."""
    bundle = own_store.store.load(own_store.name)
    manifest = dataclasses.replace(bundle.manifest, created_at="2020-01-01T00:00:00Z")
    own_store.store.set_role("active", own_store.store.save(dataclasses.replace(bundle, manifest=manifest)))
    assert main(["check", f"--store={own_store.folder}"]) == 0
    assert "days old: is the workflow `triage-retrain` switched off?" in capsys.readouterr().out


def test_an_app_that_the_bundle_does_not_know_as_the_bot_is_doubtful(step: Step, own_store: Trained) -> None:
    """Retraining ran with another token; `learn.bots` tells it whose labels these are."""
    bundle = own_store.store.load(own_store.name)
    manifest = dataclasses.replace(bundle.manifest, bots=("our-app[bot]",))
    name = own_store.store.save(dataclasses.replace(bundle, manifest=manifest))
    own_store.store.set_role("active", name)
    check = ("check", f"--repo={FERRY}", f"--store={own_store.folder}")
    doubt = "! the token acts as github-actions[bot], and the bundle knows this bot as our-app[bot]"
    assert (step.run(*check), doubt in step.out) == (0, True)
    step.configure("learn: {bots: ['github-actions*']}")
    assert (step.run(*check), doubt in step.out) == (0, False)


def test_the_first_failure_gives_the_exit_code(step: Step, own_store: Trained) -> None:
    """The others are told as well."""
    (own_store.bundle_folder / "vectors.npy").write_bytes(b"spoilt")
    step.configure("labels: {descriptions: {chore: Work}}")
    assert step.run("check", f"--repo={FERRY}", f"--store={own_store.folder}") == 4
    assert marks(step.out).count("✗") == 2


def test_nothing_to_check_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """The default configuration is fine by itself."""
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("error: there is nothing to check\n")


@pytest.mark.parametrize(
    "argv", [("check", f"--repo={FERRY}"), ("label", f"--repo={FERRY}", "--issue=938", "--dry-run")]
)
def test_a_configuration_that_is_named_and_not_there_is_an_error(step: Step, argv: tuple[str, ...]) -> None:
    """On the default branch and on this machine; the default one would be another."""
    step.repository.put_file("README.md", "# ferry")
    assert step.run(*argv, f"--store={step.store}", "--config-path=.github/traige.yml") == 4
    assert "has no file '.github/traige.yml' on its default branch" in step.out + step.err
    assert step.run(*argv, f"--store={step.store}", f"--config={step.folder / 'none.yml'}") == 4
    assert "none.yml: there is no such file" in step.out + step.err


def test_a_configuration_may_end_in_yaml(step: Step) -> None:
    """As many do."""
    step.repository.put_file(".github/triage.yaml", "labels: {max: 0}")
    assert step.run("check", f"--repo={FERRY}") == 4
    assert f".github/triage.yaml in {FERRY}, line 1: in 'labels.max'" in step.out


def test_two_configurations_are_an_error(step: Step) -> None:
    """One of them would have no effect."""
    step.configure("labels: {max: 3}")
    step.repository.put_file(".github/triage.yaml", "labels: {max: 2}")
    assert step.run("check", f"--repo={FERRY}") == 4
    assert "has both .github/triage.yml and .github/triage.yaml" in step.out
