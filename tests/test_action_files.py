"""The files that GitHub and Docker read: valid, pinned, locked, and without a hole to inject through."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / "action.yml"
EXAMPLES = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
WORKFLOWS = [*sorted((ROOT / ".github" / "workflows").glob("*.yml")), *EXAMPLES]
OURS = "triage-bot/triage@v0"
LOCKS = ("build", "dev", "image", "train")
# PyTorch without CUDA is locked by its address; the group is its version.
TORCH = re.compile(
    r" @ https://download\.pytorch\.org/whl/cpu/torch-([\w.%]+)-cp311-cp311-manylinux_2_28_x86_64\.whl"
)
# What each lock must hold: the project's own dependencies and these extras of it.
EXTRAS: dict[str, tuple[str, ...]] = {
    "image": ("learn",),
    "train": ("learn", "train"),
    "dev": ("learn", "train", "ray", "dev"),
}

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)


def run(*command: str) -> str:
    """What a tool of this environment says; fails the test where it is not content."""
    beside = Path(sys.executable).parent
    tool = shutil.which(command[0], path=str(beside)) or command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
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
    run("check-jsonschema", "--builtin-schema", "vendor.github-actions", str(ACTION))
    run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


def test_a_static_audit_finds_nothing_in_the_action_and_the_workflows() -> None:
    """zizmor has no finding, and it looked at every file."""
    said = run("zizmor", "--offline", "--no-progress", "--color", "never", *map(str, [ACTION, *WORKFLOWS]))
    assert "No findings to report" in said
    looked_at = {Path(line.split("completed ")[1]).name for line in said.splitlines() if "completed " in line}
    assert looked_at == {path.name for path in [ACTION, *WORKFLOWS]}


@each_workflow
def test_every_action_is_pinned_by_commit_and_says_which_version_it_is(path: Path) -> None:
    """Also those in comments, since people take the comment away; only our own action has its tag."""
    uses = re.findall(r"^[ #-]*uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    others = [use for use in uses if use != OURS]
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
        (
            "triage-retrain.yml",
            {"learn": {"contents": "read", "issues": "read"}, "publish": {"contents": "write"}},
        ),
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
    """Whoever reads issues cannot write to the repository, and whoever writes to it reads no issue."""
    found = jobs(ROOT / "examples" / "workflows" / name)
    assert {job: settings["permissions"] for job, settings in found.items()} == expected


@each_example
def test_an_example_does_nothing_in_a_fork_and_never_checks_a_repository_of_others_out(path: Path) -> None:
    """The first job is guarded, the others need it; the one checkout is of this project, without credentials."""
    first, *later = jobs(path).values()
    only = " && startsWith(github.event.comment.body, '/triage')" if path.stem == "triage-commands" else ""
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
        "triage-backfill-matrix": "triage-backfill",
    }
    assert concurrency["group"].startswith(alike.get(path.stem, path.stem))


@each_example
def test_an_example_gives_the_action_only_inputs_that_it_has(path: Path) -> None:
    """A misspelt input would be ignored by GitHub with a mere warning."""
    known = read(ACTION)["inputs"]
    assert isinstance(known, dict)
    given = {key for step in steps(path) if step.get("uses") == OURS for key in step.get("with", {})}  # type: ignore[attr-defined]
    by_environment = {
        key.removeprefix("INPUT_").lower()
        for step in steps(path)
        for key in step.get("env", {})  # type: ignore[attr-defined]
        if key.startswith("INPUT_")
    }
    assert (given | by_environment) - known.keys() == set()


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


def test_every_input_and_output_of_the_action_says_what_it_is() -> None:
    """No input is without words, and no argument is pasted together from inputs."""
    action = read(ACTION)
    assert action["runs"] == {"using": "docker", "image": "Dockerfile"}
    for section in ("inputs", "outputs"):
        entries = action[section]
        assert isinstance(entries, dict)
        assert [
            name for name, entry in entries.items() if not re.search(r"\w.*[.)]$", entry["description"])
        ] == []


def test_a_release_finds_the_line_that_it_pins(tmp_path: Path) -> None:
    """The release's own substitution, run on today's action.yml, changes that one line."""
    script = next(
        str(step["run"])
        for step in steps(ROOT / ".github" / "workflows" / "release.yml")
        if step.get("name") == "Pin action.yml to the digest"
    )
    shutil.copy(ACTION, tmp_path / "action.yml")
    digest = "sha256:" + "ab" * 32
    env = {"IMAGE": "ghcr.io/triage-bot/triage", "DIGEST": digest, "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=True)
    before, after = ACTION.read_text("utf-8"), (tmp_path / "action.yml").read_text("utf-8")
    assert after == before.replace("image: Dockerfile", f"image: docker://ghcr.io/triage-bot/triage@{digest}")
    assert after != before


def test_the_image_starts_from_a_digest_and_runs_the_action() -> None:
    """Every base is a stage of the file or pinned; the program is started without a shell."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))
    outside = [base for base in bases if base not in stages]
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", outside[0])
    assert re.search(r"^ENV .*\bORT_DISABLE_TELEMETRY=1\b", text.split("\nFROM ")[-1], re.MULTILINE)
    assert text.endswith('ENTRYPOINT ["/opt/venv/bin/triage", "action"]\n')
    assert all(
        "--require-hashes" in line for line in text.splitlines() if "install" in line and ".lock" in line
    )


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
    requirements = [Requirement(each) for each in wanted if not each.startswith("triage[")]
    packages = locked(name)
    assert [
        str(each)
        for each in requirements
        if (found := packages.get(canonicalize_name(each.name))) is None or found[0] not in each.specifier
    ] == []


def test_what_was_tested_is_what_is_shipped() -> None:
    """A package has the same version in every lock, and the image holds no torch."""
    tested = locked("dev")
    for name in ("build", "image", "train"):
        shared = {package: version for package, (version, _) in locked(name).items() if package in tested}
        assert shared == {package: tested[package][0] for package in shared}
    assert not {"torch", "transformers", "optimum"} & locked("image").keys()


def test_the_build_backend_is_locked_at_the_version_that_the_project_asks_for() -> None:
    """The wheel in the image is built by the pinned backend."""
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    assert [f"hatchling=={locked('build')['hatchling'][0]}"] == requires
