"""The files that GitHub and Docker read: valid, pinned, locked, and without a hole to inject through."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.fake_github.server import FakeGitHub
from tests.fake_github.state import ACTIONS_BOT
from tests.test_docs import blocks
from tests.workflows import action_file, declared
from triage import __version__
from triage.cli.action import ACTIONS
from triage.config import load

ROOT = Path(__file__).resolve().parents[1]
FILES = [action_file(name) for name in ACTIONS]
EXAMPLES = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
WORKFLOWS = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), *EXAMPLES]
OURS = re.compile(r"triage-bot/triage(?:/([a-z]+))?@v0")
LOCKS = ("build", "dev", "docs", "label", "learn", "train")
# What the locks of the images leave out of what their packages ask for.
UNUSED = {
    canonicalize_name(line.partition(" #")[0])
    for line in (ROOT / "requirements" / "unused.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
}
# PyTorch without CUDA is locked by its address; the group is its version.
TORCH = re.compile(
    r" @ https://download\.pytorch\.org/whl/cpu/torch-([\w.%]+)-cp311-cp311-manylinux_2_28_x86_64\.whl"
)
# What each lock must hold: the project's own dependencies and these extras of it.
EXTRAS: dict[str, tuple[str, ...]] = {
    "label": (),
    "learn": ("learn",),
    "train": ("learn", "train"),
    "dev": ("demo", "docs", "learn", "train", "ray", "dev"),
}

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)


def tool(name: str) -> str:
    """The path of a program of this environment."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or name


def run(*command: str) -> str:
    """What a tool of this environment says; fails the test where it is not content."""
    done = subprocess.run(
        [tool(command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def read(path: Path) -> dict[str, object]:
    """A YAML file as plain values, with `on:` as text instead of a truth value."""
    data: dict[str, object] = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    return data


def jobs(path: Path) -> dict[str, dict[str, object]]:
    found = read(path)["jobs"]
    assert isinstance(found, dict)
    return found


def steps(path: Path) -> list[dict[str, object]]:
    return [step for job in jobs(path).values() for step in job["steps"]]  # type: ignore[attr-defined]


def locked(name: str) -> dict[str, tuple[Version, list[str]]]:
    """The packages of a lock: the version and the hashes of each."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    form = re.compile(rf"([\w.-]+)(?:==(\S+)|{TORCH.pattern})((?: +--hash=sha256:[0-9a-f]{{64}})*) *")
    rows = [form.fullmatch(line) for line in lines]
    assert None not in rows, lines[rows.index(None)]
    found = [row.groups() for row in rows if row]
    return {
        canonicalize_name(package): (Version(one or other.replace("%2B", "+")), hashes.split())
        for package, one, other, hashes in found
    }


def test_the_action_and_every_workflow_are_valid_against_the_published_schemas() -> None:
    """GitHub would accept each file."""
    run("check-jsonschema", "--builtin-schema", "vendor.github-actions", *map(str, FILES))
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


def test_the_issue_forms_of_this_repository_are_valid_against_the_published_schemas() -> None:
    """And so is the page that offers them."""
    folder = ROOT / ".github" / "ISSUE_TEMPLATE"
    config, forms = folder / "config.yml", sorted({*folder.iterdir()} - {folder / "config.yml"})
    assert len(forms) == 3
    run("check-jsonschema", "--builtin-schema", "vendor.github-issue-config", str(config))
    run("check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *map(str, forms))


def test_this_repository_is_labelled_by_its_own_action() -> None:
    """By the code of the commit, with the inputs that it has, and a configuration that is valid."""
    assert load(ROOT / ".github" / "triage.yml").labels.descriptions
    used = [
        step
        for name in ("triage", "triage-retrain")
        for step in steps(ROOT / f".github/workflows/{name}.yml")
    ]
    ours = {
        str(step["uses"]).lstrip("$/.") or "label": step
        for step in used
        if str(step["uses"]).startswith("$/")
    }
    assert set(ours) == {"label", "retrain", "publish"}
    for name, step in ours.items():
        assert {*step.get("with", {})} <= {*declared(name)["inputs"]}  # type: ignore[call-overload]


def copied(folder: Path, renamed: Callable[[str], str]) -> list[Path]:
    """The files of the actions and workflows in another folder, where our own action has another address."""
    copies = [folder / path.relative_to(ROOT) for path in [*FILES, *WORKFLOWS]]
    for copy in copies:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(renamed((ROOT / copy.relative_to(folder)).read_text("utf-8")), "utf-8")
    return copies


def test_a_static_audit_finds_nothing_in_the_actions_and_the_workflows(tmp_path: Path) -> None:
    """zizmor has no finding and looked at every file; its one exception is the event of the files that obey comments.

    It sees the actions as they are released, with the digests of the images, and our own action pinned by a commit, as
    people pin those of others.
    """
    copies = copied(
        tmp_path, lambda text: OURS.sub(lambda found: found[0].replace("@v0", f"@{'0' * 40} # v0.0.0"), text)
    )
    pin(tmp_path)
    said = run("zizmor", "--offline", "--no-progress", "--color", "never", *map(str, copies))
    assert "No findings to report" in said
    looked_at = {line.split("completed ")[1] for line in said.splitlines() if "completed " in line}
    assert looked_at == {str(copy) for copy in copies}
    excepted = [line for copy in copies for line in copy.read_text("utf-8").splitlines() if "zizmor" in line]
    assert excepted == ["  issue_comment: # zizmor: ignore[dangerous-triggers]"] * 2


def test_the_audit_flags_the_event_of_comments_whatever_the_job_does(tmp_path: Path) -> None:
    """This is why there is an exception: the job here may do nothing, does nothing, and obeys the owner alone."""
    harmless = tmp_path / "harmless.yml"
    harmless.write_text(
        """\
name: harmless
on:
  issue_comment:
    types: [created]
permissions: {}
concurrency:
  group: harmless
  cancel-in-progress: false
jobs:
  nothing:
    name: nothing
    if: github.event.comment.author_association == 'OWNER'
    runs-on: ubuntu-latest
    timeout-minutes: 5
    permissions: {}
    steps:
      - run: "true"
""",
        "utf-8",
    )
    command = [tool("zizmor"), "--offline", "--no-progress", "--format", "json", str(harmless)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert [one["ident"] for one in found] == ["dangerous-triggers"]


def test_a_linter_finds_nothing_in_the_actions_and_the_workflows(tmp_path: Path) -> None:
    """Nor does ShellCheck in their scripts, and in those of the repository.

    actionlint reads the file of an action where a workflow uses it as one of its own repository. So each is used, also
    by the workflows on pages.
    """

    def local(text: str) -> str:
        return re.sub(r"triage-bot/triage(/\S+)?@v0", lambda found: f".{found[1] or '/'}", text)

    workflows = [path for path in copied(tmp_path, local) if path.name != "action.yml"]
    pages = (page.read_text("utf-8") for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))))
    offered = [
        text
        for page in pages
        for text in blocks(page, "yaml")
        if re.search(r"^on:.*^jobs:.* uses:", text, re.M | re.S)
    ]
    every = "".join(f"      - uses: ./{'' if name == 'label' else name}\n" for name in ACTIONS)
    offered.append(f"on: push\njobs:\n  each:\n    runs-on: ubuntu-latest\n    steps:\n{every}")
    for number, text in enumerate(offered):
        workflows.append(tmp_path / ".github" / "workflows" / f"offered-{number}.yml")
        workflows[-1].write_text(local(text), "utf-8")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    said = run("actionlint", "-verbose", "-no-color", "-shellcheck", tool("shellcheck"), *map(str, workflows))
    assert len(offered) == 5
    assert '"shellcheck" was disabled' not in said
    run("shellcheck", ".ci/run", ".github/try-images", "requirements/compile", "requirements/trim")


@each_workflow
def test_every_action_is_pinned_by_commit_and_says_which_version_it_is(path: Path) -> None:
    """Also those in comments, since people take the comment away.

    Only our own action has its tag, or is of the workflow's own commit (`$/`).
    """
    uses = re.findall(r"^[ #-]*uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    others = [use for use in uses if not OURS.fullmatch(use) and not use.startswith("$/")]
    assert len(uses) == len(re.findall(r"\buses:", path.read_text("utf-8")))
    assert [use for use in others if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_each_action_has_one_pin_in_all_files() -> None:
    """An update reaches every file or none."""
    text = "\n".join(path.read_text("utf-8") for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40} # v[\d.]+)$", text, re.MULTILINE))
    assert len(pins) == len({name for name, _ in pins})


@each_workflow
def test_no_expression_is_pasted_into_a_shell(path: Path) -> None:
    """What a person typed reaches a script as an environment variable or not at all."""
    scripts = [str(step["run"]) for step in steps(path) if "run" in step]
    assert [script for script in scripts if "${{" in script] == []


@each_workflow
def test_permissions_are_taken_away_at_the_top_and_given_by_job(path: Path) -> None:
    """A job has what it names and nothing else; it may name nothing, but not forget to."""
    assert read(path)["permissions"] == {}
    assert [name for name, job in jobs(path).items() if "permissions" not in job] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("triage.yml", {"label": {"contents": "read", "issues": "write"}}),
        ("triage-commands.yml", {"obey": {"contents": "read", "issues": "write"}}),
        ("triage-suggestions.yml", {"set": {"contents": "read", "issues": "write"}}),
        (
            "triage-retrain.yml",
            {"learn": {"contents": "read", "issues": "read"}, "publish": {"contents": "write"}},
        ),
        ("triage-retrain-one-job.yml", {"retrain": {"contents": "write", "issues": "read"}}),
        ("triage-undo.yml", {"undo": {"actions": "read", "issues": "write"}}),
        (
            "triage-retrain-encoder.yml",
            {"learn": {"contents": "read", "issues": "read"}, "publish": {"contents": "write"}},
        ),
        (
            "triage-backfill.yml",
            {
                "plan": {"contents": "read", "issues": "read"},
                "apply": {"contents": "read", "issues": "write"},
            },
        ),
        (
            "triage-backfill-matrix.yml",
            {
                "shard": {"contents": "read", "issues": "read"},
                "plan": {},
                "apply": {"contents": "read", "issues": "write"},
            },
        ),
    ],
)
def test_an_example_asks_for_no_more_than_its_jobs_need(name: str, expected: dict[str, object]) -> None:
    """Whoever reads issues cannot write to the repository, and whoever writes to it reads no issue.

    But for the one job that does both where there are no artifacts, which says so.
    """
    found = jobs(ROOT / "examples" / "workflows" / name)
    assert {job: settings["permissions"] for job, settings in found.items()} == expected


@each_example
def test_an_example_does_nothing_in_a_fork_and_never_checks_a_repository_of_others_out(path: Path) -> None:
    """The first job is guarded, the others need it; the one checkout is of this project, without credentials."""
    first, *later = jobs(path).values()
    begins = {"triage-commands": "/triage", "triage-suggestions": "<!-- triage"}.get(path.stem)
    only = f" && startsWith(github.event.comment.body, '{begins}')" if begins else ""
    assert first["if"] == f"${{{{ !github.event.repository.fork{only} }}}}"
    assert all("needs" in job for job in later)
    checkouts = [step["with"] for step in steps(path) if "actions/checkout@" in str(step.get("uses"))]
    ours = {"repository": "triage-bot/triage", "ref": "v0", "path": ".triage", "persist-credentials": "false"}
    assert checkouts == ([ours] if path.name == "triage-retrain-encoder.yml" else [])


@each_example
def test_an_example_lets_a_run_finish_before_the_next_begins(path: Path) -> None:
    """No run is cut short in the middle of its writes."""
    concurrency = read(path)["concurrency"]
    assert isinstance(concurrency, dict)
    assert concurrency["cancel-in-progress"] == "false"
    # Two ways to do the same must not do it at once.
    alike = {
        "triage-retrain-encoder": "triage-retrain",
        "triage-retrain-one-job": "triage-retrain",
        "triage-backfill-matrix": "triage-backfill",
        "triage-undo": "triage-backfill",
    }
    assert concurrency["group"].startswith(alike.get(path.stem, path.stem))


@each_example
def test_an_example_gives_each_action_only_inputs_that_it_has(path: Path) -> None:
    """A misspelt input would be ignored by GitHub with a mere warning."""
    for step in steps(path):
        uses, script = OURS.fullmatch(str(step.get("uses"))), str(step.get("run", ""))
        if uses:
            name, given = uses[1] or "label", {*step.get("with", {})}  # type: ignore[call-overload]
        elif script.startswith("triage action "):
            name = script.split()[2]
            given = {key.removeprefix("INPUT_").lower() for key in step["env"]}  # type: ignore[attr-defined]
        else:
            continue
        assert given - declared(name)["inputs"].keys() == set()


def test_labelling_can_be_started_by_an_issue_by_the_clock_and_by_hand() -> None:
    """The daily sweep and the dispatch with a range stand beside the events."""
    on = read(ROOT / "examples" / "workflows" / "triage.yml")["on"]
    assert isinstance(on, dict)
    assert set(on) == {"issues", "schedule", "workflow_dispatch"}
    assert on["issues"] == {"types": ["opened", "edited", "reopened", "labeled"]}
    assert set(on["workflow_dispatch"]["inputs"]) == {"issues", "dry-run"}


def test_a_label_does_not_cancel_the_run_that_waits_for_an_edit() -> None:
    """GitHub keeps one waiting run of a group; labels have their own."""
    concurrency = read(ROOT / "examples" / "workflows" / "triage.yml")["concurrency"]
    assert isinstance(concurrency, dict)
    assert concurrency["group"].endswith("-${{ github.event.action == 'labeled' }}")


def test_a_backfill_is_applied_only_behind_its_environment() -> None:
    """The job that writes waits for the reviewers, and its journal is kept whatever happens."""
    apply = jobs(ROOT / "examples" / "workflows" / "triage-backfill.yml")["apply"]
    assert apply["environment"] == "triage-backfill"
    last = apply["steps"][-1]  # type: ignore[index]
    assert (last["if"], last["with"]["name"]) == (
        "${{ !cancelled() }}",
        "triage-journal-${{ github.run_attempt }}",
    )


def test_every_folder_with_an_action_is_one_of_the_program() -> None:
    """No file is left over, and no command is without one."""
    assert sorted([ROOT / "action.yml", *ROOT.glob("*/action.yml")]) == sorted(FILES)


@pytest.mark.parametrize("name", ACTIONS)
def test_every_input_and_output_of_an_action_says_what_it_is(name: str) -> None:
    """No input is without words, and no argument is pasted together from inputs."""
    action = declared(name)
    folder = {} if name == "label" else {"args": [name]}
    image = "Dockerfile" if name == "label" else "../Dockerfile"
    assert action["runs"] == {"using": "docker", "image": image, **folder}
    for section in ("inputs", "outputs"):
        entries = action.get(section, {})
        assert [
            each for each, entry in entries.items() if not re.search(r"\w.*[.)]$", entry["description"])
        ] == []


def script(name: str) -> str:
    """The script of a step of the release."""
    return next(str(step["run"]) for step in steps(RELEASE) if step.get("name") == name)


DIGESTS = {"LABEL": "sha256:" + "ab" * 32, "LEARN": "sha256:" + "cd" * 32}


def pin(folder: Path) -> None:
    """Run the release's own substitution on the action files in a folder."""
    env = {"IMAGE": "ghcr.io/triage-bot/triage", "PATH": "/usr/bin:/bin", **DIGESTS}
    command = ["bash", "-eo", "pipefail", "-c", script("Pin the actions to the digests")]
    subprocess.run(command, cwd=folder, env=env, check=True)


def test_a_release_pins_each_action_to_the_image_that_it_needs(tmp_path: Path) -> None:
    """One line of each file changes; only `retrain` gets the image with the learning packages."""
    for path in FILES:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
    pin(tmp_path)
    for name, path in zip(ACTIONS, FILES, strict=True):
        digest = DIGESTS["LEARN" if name == "retrain" else "LABEL"]
        before = declared(name)["runs"]["image"]
        pinned = f"image: docker://ghcr.io/triage-bot/triage@{digest}"
        expected = path.read_text("utf-8").replace(f"image: {before}", pinned)
        assert (tmp_path / path.relative_to(ROOT)).read_text("utf-8") == expected
        assert pinned in expected


def test_a_release_reads_the_version_which_must_be_new_and_described(tmp_path: Path) -> None:
    """A version that is tagged or has no dated section of changes is refused, and so are pages of no release."""
    shutil.copytree(ROOT / "triage", tmp_path / "triage", ignore=lambda _, names: {*names} - {"__init__.py"})
    for name in ("README.md", "CHANGELOG.md", "SECURITY.md"):
        (tmp_path / name).write_text("# A page\n", "utf-8")
    (tmp_path / "docs").mkdir()
    page, changes = tmp_path / "docs" / "page.md", tmp_path / "CHANGELOG.md"
    page.write_text("# A page\n\nThe action is **not released yet**.\n", "utf-8")
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", str(tmp_path))

    def read_version() -> tuple[int, str]:
        for command in (("add", "."), ("commit", "-q", "--allow-empty", "-m", "x")):
            subprocess.run([*git, *command], check=True)
        command = [
            "bash",
            "-eo",
            "pipefail",
            "-c",
            script("Read the version, which must be new and described"),
        ]
        env = {"GITHUB_OUTPUT": str(tmp_path.parent / "output"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    subprocess.run([*git, "init", "-q"], check=True)
    code, said = read_version()
    assert (code, f"::error::CHANGELOG.md has no section '## {__version__}, YYYY-MM-DD'" in said) == (1, True)
    changes.write_text(f"# Changes\n\n## {__version__}, 2027-01-31\n\nThe first version.\n", "utf-8")
    code, said = read_version()
    assert (code, said.splitlines()[0]) == (1, "docs/page.md:3:The action is **not released yet**.")
    page.write_text("# A page\n", "utf-8")
    assert read_version() == (0, "")
    assert (tmp_path.parent / "output").read_text("utf-8") == f"version={__version__}\n"
    subprocess.run([*git, "tag", f"v{__version__}"], check=True)
    code, said = read_version()
    assert (code, f"::error::v{__version__} is released already" in said) == (1, True)


def test_a_release_joins_both_platforms_of_each_image_under_one_digest(tmp_path: Path) -> None:
    """By the digests that the jobs of the platforms wrote down; a stand-in for Docker says what it was told."""
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.write_text(
        '#!/bin/sh\necho "$@" >>told\ncase $3 in inspect) echo "{\\"digest\\": \\"sha256:of-$4\\"}";; esac\n',
        "utf-8",
    )
    docker.chmod(0o755)
    env = {"PATH": f"{docker.parent}:/usr/bin:/bin", "IMAGE": "ghcr.io/o/r", "VERSION": "1.2.3"}
    env["GITHUB_OUTPUT"] = str(tmp_path / "output")
    for platform in ("amd64", "arm64"):
        images = {
            "LABEL": f"sha256:label-{platform}",
            "LEARN": f"sha256:learn-{platform}",
            "PLATFORM": platform,
        }
        write = script("Write the digests down").replace("mkdir ", "mkdir -p ")
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", write], cwd=tmp_path, env={**env, **images}, check=True
        )
    join = ["bash", "-eo", "pipefail", "-c", script("Join the platforms")]
    subprocess.run(join, cwd=tmp_path, env=env, check=True)
    told = (tmp_path / "told").read_text("utf-8").splitlines()
    assert told[::2] == [
        f"buildx imagetools create --tag ghcr.io/o/r:{tag} "
        f"ghcr.io/o/r@sha256:{name}-amd64 ghcr.io/o/r@sha256:{name}-arm64"
        for name, tag in (("label", "1.2.3"), ("learn", "1.2.3-learn"))
    ]
    assert (tmp_path / "output").read_text("utf-8") == (
        "label=sha256:of-ghcr.io/o/r:1.2.3\nlearn=sha256:of-ghcr.io/o/r:1.2.3-learn\n"
    )


@pytest.mark.parametrize("before", ["", "v0"])
def test_a_release_is_a_commit_of_github_with_its_tags(
    github: FakeGitHub, tmp_path: Path, before: str
) -> None:
    """On top of main, with the pinned files and nothing else changed; `v0` moves to it, or begins there.

    Its text is the section of the changes. Once more, after a failure, the tag stays where it is.
    """
    repository = github.world.add_repository("o/r")
    here = {path.relative_to(ROOT).as_posix(): path for path in (*FILES, ROOT / "README.md")}
    for name, path in here.items():
        repository.put_file(name, path.read_text("utf-8"))
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / name)
    git = repository.git
    main = git.refs["refs/heads/main"]
    if before:
        git.refs[f"refs/tags/{before}"] = main
    pin(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changes\n\n## 0.1.0, 2027-01-31\n\n- New.\n\n## 0.0.1, x\n\nOld.\n", "utf-8"
    )
    (tmp_path / "bin" / "git").write_text(
        f"#!/bin/sh\ncase $1 in ls-remote) cat tag ;; *) echo {git.commits[main].tree} ;; esac\n", "utf-8"
    )
    (tmp_path / "tag").touch()
    (tmp_path / "bin" / "git").chmod(0o755)
    github.world.add_token("releasing", ACTIONS_BOT, contents="write")
    env = {"TOKEN": "releasing", "VERSION": "0.1.0", "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    env |= {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": main}
    command = ["bash", "-eo", "pipefail", "-c", script("Commit, tag and release")]
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
        sha = git.refs["refs/tags/v0.1.0"]
        (tmp_path / "tag").write_text(f"{sha}\trefs/tags/v0.1.0\n", "utf-8")
    assert len([one for one in github.requests if one.path.endswith("/git/commits")]) == 1
    releases = [one for one in github.requests if one.path.endswith("/releases")]
    assert [one.body["body"] for one in releases] == ["\n- New."] * 2
    assert git.refs["refs/tags/v0"] == sha
    assert git.refs["refs/heads/main"] == main
    commit = git.commits[sha]
    assert (commit.parents, commit.message, commit.verified) == ((main,), "Release v0.1.0", True)
    files = {
        name: git.blobs[entry.sha].decode() for name, entry in git.walk(commit.tree) if entry.kind == "blob"
    }
    assert files == {name: (tmp_path / name).read_text("utf-8") for name in here}
    assert sum("docker://" in text for text in files.values()) == len(FILES)


def test_the_image_starts_from_a_digest_and_runs_the_action() -> None:
    """Every base is a stage of the file or pinned; the program is started without a shell."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    outside = [base for base in bases if base not in stages]
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", outside[0])
    label, learn = re.findall(
        r"^(FROM \S+ AS (?:label|learn)\n.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert re.search(r"^ENV .*\bORT_DISABLE_TELEMETRY=1\b", label, re.MULTILINE)
    assert label.partition("\n\n")[0].endswith('\nENTRYPOINT ["/opt/venv/bin/triage", "action"]')
    assert learn.startswith("FROM label AS learn\n")
    assert text.endswith(learn), "a runner builds the last stage, which must be able to do everything"
    commands = [
        line for line in text.replace("\\\n", "").splitlines() if "install" in line and ".lock" in line
    ]
    assert len(commands) == 3
    assert all("--require-hashes" in command and "--only-binary :all:" in command for command in commands)


def test_the_image_is_built_from_every_folder_that_the_wheel_takes() -> None:
    """What the wheel includes is let through to the build, and copied into it."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    wheel = hatch["targets"]["wheel"]
    folders = {*wheel["packages"], *wheel["force-include"]}
    let_through = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    copied = set(re.findall(r"^COPY (\S+) \1$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    assert folders - let_through == set()
    assert folders - copied == set()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash(name: str) -> None:
    """Nothing is installed that was not seen when the lock was made."""
    packages = locked(name)
    assert packages
    assert [package for package, (_, hashes) in packages.items() if not hashes] == []


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_agrees_with_pyproject(name: str) -> None:
    """Each direct dependency is there, in the range that the project asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [
        each for extra in EXTRAS[name] for each in project["optional-dependencies"][extra]
    ]
    requirements = [Requirement(each) for each in wanted if not each.startswith(f"{project['name']}[")]
    packages = locked(name)
    assert [
        str(each)
        for each in requirements
        if (found := packages.get(canonicalize_name(each.name))) is None or found[0] not in each.specifier
    ] == []


def test_what_was_tested_is_what_is_shipped() -> None:
    """A package has the same version in every lock, and the image holds no torch."""
    tested = locked("dev")
    for name in ("build", "docs", "label", "learn", "train"):
        shared = {package: version for package, (version, _) in locked(name).items() if package in tested}
        assert shared == {package: tested[package][0] for package in shared}
    assert not {"torch", "transformers", "optimum"} & locked("learn").keys()


def test_the_image_that_labels_has_nothing_of_learning() -> None:
    """What learning adds to it is what the extra needs."""
    label, learn = locked("label"), locked("learn")
    assert label.items() <= learn.items()
    assert not {"scikit-learn", "scipy", "matplotlib", "joblib", "pillow"} & label.keys()
    assert {"scikit-learn", "scipy", "matplotlib"} <= learn.keys()


@pytest.mark.parametrize("name", ["label", "learn"])
def test_only_what_is_never_imported_is_left_out_of_an_image(name: str) -> None:
    """pip does not look for dependencies when the images are built, so this does."""
    packages, asked = locked(name), set()
    for package in packages:
        extras = ("crypto", "") if package == "pyjwt" else ("",)
        for each in map(Requirement, requires(package) or []):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                asked.add(canonicalize_name(each.name))
    assert asked - packages.keys() == UNUSED


def test_the_build_backend_is_locked_at_the_version_that_the_project_asks_for() -> None:
    """The wheel in the image is built by the pinned backend and its plugin."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    build = locked("build")
    assert [f"{name}=={build[name][0]}" for name in ("hatchling", "hatch-fancy-pypi-readme")] == wanted
