"""`--engine ray`: the same vectors and decisions by the workers of a Ray, of which one is killed."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from tests.ray_machine import STAY, Machine, free_port
from tests.sample import CONFIG, LEARNT_FROM, NEW, Trained
from tests.test_benchmarks import bench_apart
from triage import __version__
from triage.cli import main
from triage.engine import ray_backend as on_ray
from triage.engine.encoder import Encoder, usable_cores
from triage.engine.model_folder import BUILTIN_ENCODER, MODEL_FILE, shipped
from triage.engine.ray_backend import PART, RETRIES, connected
from triage.errors import ClusterError, ModelError

pytestmark = pytest.mark.usefixtures("no_token")


def start(*argv: str | Path, config: Path = CONFIG) -> subprocess.Popen[str]:
    """The program in a process of its own, which Ray may shut down as it likes."""
    command = [sys.executable, "-m", "triage", *map(str, argv), f"--config={config}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """What it answered; the test fails where it did not succeed."""
    out, err = process.communicate(timeout=STAY * 4)
    assert process.returncode == 0, out + err
    return out


def recipe(folder: Path) -> dict[str, object]:
    """All that a bundle holds, its date apart."""
    files: dict[str, object] = {path.name: path.read_bytes() for path in folder.iterdir()}
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return files | {"manifest.json": {**manifest, "created_at": ""}}


@dataclass(frozen=True)
class Cheap:
    """A bundle that was learnt here, with zero-shot by similarity: it is not what workers are given."""

    config: Path
    store: Path


@pytest.fixture(scope="module")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Cheap:
    """Of the sample."""
    folder = tmp_path_factory.mktemp("cheap")
    found = Cheap(folder / "triage.yml", folder / "store")
    found.config.write_text(CONFIG.read_text("utf-8") + "zero_shot: {model: embedding}\n", "utf-8")
    argv = ["retrain", f"--from={LEARNT_FROM}", f"--store={found.store}", f"--config={found.config}"]
    assert main(argv) == 0
    return found


def test_a_bundle_is_the_same_though_a_worker_was_killed(
    machine: Machine, cheap: Cheap, tmp_path: Path
) -> None:
    """Vectors, rules and every other file, byte for byte, but for the date."""
    options = (f"--store={tmp_path}", f"--engine=ray://{machine.address}")
    learning = start("retrain", f"--from={LEARNT_FROM}", *options, config=cheap.config)
    killed = machine.kill_one_at_work()
    ended(learning)
    found, expected = (recipe(next((store / "bundles").iterdir())) for store in (tmp_path, cheap.store))
    assert found == expected
    assert killed not in machine.processes()


def test_a_plan_is_the_same_though_a_worker_was_killed(
    machine: Machine, cheap: Cheap, tmp_path: Path
) -> None:
    """Every line of it but the header, which holds the time."""
    argv = ("backfill", f"--from={LEARNT_FROM}", f"--store={cheap.store}")
    options = (f"--out={tmp_path / 'ray'}", f"--engine=ray://{machine.address}")
    planning = start(*argv, *options, config=cheap.config)
    killed = machine.kill_one_at_work()
    ended(planning)
    assert main([*argv, f"--out={tmp_path / 'here'}", f"--config={cheap.config}"]) == 0
    plans = [(tmp_path / name / "plan.jsonl").read_bytes().split(b"\n", 1)[1] for name in ("ray", "here")]
    assert plans[0] == plans[1]
    assert killed not in machine.processes()


def test_a_ray_of_this_machine_says_what_the_local_engine_says(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing that Ray prints is in the answer, and the labels are the same."""
    argv = ("backfill", "--from", NEW, "--store", trained.folder, "--out", tmp_path)
    by_ray = ended(start(*argv, "--engine=ray"))
    assert main([*map(str, argv), f"--config={CONFIG}"]) == 0
    assert by_ray == capsys.readouterr().out


class Doubling:
    """Takes twice of each number, and names the process that it was opened in."""

    def __init__(self) -> None:
        self.opened = os.getpid()

    def __reduce__(self) -> tuple[type[Doubling], tuple[()]]:
        return Doubling, ()

    def __call__(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        return [(2 * number, self.opened) for number in numbers]


class Refusing:
    """Cannot be opened, as a damaged model."""

    def __reduce__(self) -> tuple[Callable[[], Refusing], tuple[()]]:
        return refuse, ()

    def __call__(self, _: Sequence[int]) -> list[int]:
        raise AssertionError


def refuse() -> Refusing:
    raise ModelError("the model is damaged", likely="a test", next_step="none")


def die(_: Sequence[int]) -> list[int]:
    """Takes its worker with it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_results_come_in_the_order_of_the_items_and_are_counted(machine: Machine) -> None:
    """By processes that outlive a call, so that a model is opened once in each."""
    numbers, told = list(range(PART * 5 + 7)), list[int]()
    with connected(machine.address) as cluster:
        assert cluster.workers == 2
        work = cluster.hire(Doubling())
        calls = [work(numbers, progress=told.append), work(numbers), work(numbers)]
        assert work([]) == []
    assert [[value for value, _ in found] for found in calls] == [[2 * n for n in numbers]] * 3
    used = {process for found in calls for _, process in found}
    assert len(used) <= 2
    assert os.getpid() not in used
    assert (told, told[-1]) == (sorted(told), len(numbers))


def test_an_error_of_ours_comes_back_as_it_was(machine: Machine) -> None:
    """With its words, its exit code and its next step."""
    with connected(machine.address) as cluster, pytest.raises(ModelError) as failure:
        cluster.hire(Refusing())([1])
    assert str(failure.value) == "the model is damaged\n  likely cause: a test\n  next step: none"


def test_work_that_kills_every_worker_is_given_up(machine: Machine) -> None:
    """It would kill the next one too."""
    with connected(machine.address) as cluster, pytest.raises(ClusterError) as failure:
        cluster.hire(die)([1])
    assert failure.value.what == (f"the same task was run {RETRIES + 1} times, and each time its worker died")


def test_workers_with_another_triage_are_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """They might decide otherwise."""
    monkeypatch.setattr(on_ray, "__version__", "99.0")
    with connected(machine.address) as cluster, pytest.raises(ClusterError) as failure:
        cluster.hire(Doubling())([1])
    assert failure.value.what == f"a worker has triage {__version__}, and this is 99.0"


def test_a_ray_of_another_version_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both versions and the command that makes them one."""
    real = ray.__version__
    monkeypatch.setattr(ray, "__version__", "2.0.1")
    with pytest.raises(ClusterError) as failure, connected(machine.address):
        pass
    assert failure.value.what == f"the cluster at {machine.address} runs Ray {real}, and this is Ray 2.0.1"
    assert f'pip install "ray[data]=={real}"' in failure.value.next_step


def test_an_address_without_a_ray_is_said_at_once(tmp_path: Path) -> None:
    """The exit code is that of the cluster, and no plan is begun."""
    address = f"127.0.0.1:{free_port()}"
    planning = start("backfill", "--from", NEW, "--out", tmp_path, f"--engine=ray://{address}")
    _, err = planning.communicate(timeout=STAY)
    assert planning.returncode == ClusterError.exit_code
    assert err.startswith(f"error: no Ray cluster answers at {address}: [Errno ")
    assert "with --engine ray://auto" in err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_changed_on_its_way_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker checks what it was given against the manifest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sent = pickle.dumps(Encoder.load())
    data = (shipped(BUILTIN_ENCODER) / MODEL_FILE).read_bytes()
    sent = sent.replace(data[-99:], data[-99:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match=rf"{re.escape(MODEL_FILE)} was changed: expected sha256"):
        pickle.loads(sent)


def test_an_encoder_that_travelled_gives_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, and it reads as many tokens."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    texts = ["It crashes when a file is renamed. " * 20, "A question"]
    here = Encoder.load(budget=32)
    there = pickle.loads(pickle.dumps(here)).encode(texts)
    assert [vector.tobytes() for vector in there] == [vector.tobytes() for vector in here.encode(texts)]


def test_the_benchmark_compares_both_engines(machine: Machine) -> None:
    """It checks the bits itself, and tells each part beside encoding here."""
    done = bench_apart(
        "cluster.py", str(NEW), "--issues=8", "--repeat=1", f"--engine=ray://{machine.address}"
    )
    assert done.returncode == 0, done.stderr
    head, _, _, _, *rows = done.stdout.splitlines()
    assert head == f"8 issues, 2 workers, {usable_cores()} cores here; the vectors are the same bits"
    parts = "starting Ray", "reading", "cleaning", "sending the encoder", "first texts", "this process", "Ray"
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(parts)
