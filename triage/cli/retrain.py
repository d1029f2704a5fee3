"""`triage retrain`: learn a bundle from labelled issues, and make it active where it passes the gate."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import PreviousBundle, open_engines, previous_bundle
from triage.bundle.workers import add_engine_option, encoding, workers
from triage.console import log
from triage.errors import GateError
from triage.finetune.options import ready
from triage.github.open import add_config_options
from triage.issue import parse_time
from triage.sources.load import LoadedIssues, load_issues
from triage.sources.spec import configured, repositories, sources_of

if TYPE_CHECKING:
    from triage.bundle.bundle import Bundle
    from triage.bundle.store import Store
    from triage.finetune.retrain import Tune
    from triage.learn.dataset import Dataset
    from triage.learn.gate import GateResult
    from triage.learn.live_accuracy import RetrainAdvice
    from triage.learn.retrain import TrainedBundle

# So many of the newest unlabelled issues show how often labels would be added unasked.
UNLABELLED = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        required=True,
        metavar="FILE|OWNER/NAME",
        help="labelled issues: JSON Lines, plain or gzip, or a repository; OWNER/* are all of an owner's, "
        "!OWNER/NAME takes away; may be given several times",
    )
    parser.add_argument(
        "--store", required=True, help="where to keep the bundle: a directory, or github:OWNER/NAME"
    )
    parser.add_argument(
        "--against", help="the store whose active bundle the gate compares with (default: --store)"
    )
    add_config_options(parser)
    parser.add_argument("--repo", default="", help="OWNER/NAME of rows that do not name their repository")
    parser.add_argument(
        "--adapt",
        choices=("none", "head", "encoder", "auto"),
        default="auto",
        help="how vectors are adapted to the labels; auto: a head where it helps (default); encoder: fine-tuned, "
        "needs the extra `train`",
    )
    parser.add_argument(
        "--budget",
        default="30m",
        help="with --adapt encoder: how long fine-tuning may take, export included, "
        "such as 30m or 2h; reading and embedding issues come on top",
    )
    parser.add_argument(
        "--weights", help="with --adapt encoder: PyTorch weights to start from, a folder or org/name@COMMIT"
    )
    parser.add_argument(
        "--split",
        choices=("time", "stratified"),
        help="how windows are split off (default: by time where every row has a date)",
    )
    parser.add_argument(
        "--cache", type=Path, help="a folder for collected issues, so that only news is asked for"
    )
    parser.add_argument(
        "--plots", type=Path, help="a folder for a plot of how far the scores can be believed"
    )
    add_engine_option(parser)
    parser.add_argument("--always", action="store_true", help="learn even where too little is new")
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out broken rows instead of refusing the file"
    )


def run(args: argparse.Namespace) -> int:
    """Learn, compare, save; raises TriageError, and GateError where the candidate was only staged."""
    from triage.bundle.store import StoreName, refuse_exposure
    from triage.github.open import open_store, visibility_of
    from triage.learn.dataset import prepare

    tune = ready(args)
    sources = sources_of(args.sources)
    config = configured(sources, args)
    found = repositories(sources, config.learn.repositories)
    store = open_store(StoreName.parse(args.store), config)
    against = open_store(StoreName.parse(args.against), config) if args.against else store
    for home in dict.fromkeys((store, against)):
        refuse_exposure(home, found.names, lambda repo: found.visibility.get(repo) or visibility_of(repo))
    before = previous_bundle(against)
    gathered = load_issues(args, sources.files, found.names, config, before.bundle)
    data = prepare(gathered.issues, gathered.config, gathered.voices)
    if before.bundle and before.whole and not args.always:
        new, least = data.count_new(before.bundle), gathered.config.learn.min_new
        if new < least:
            words = f"{new} labelled issues are new since {before.name}; learn.min_new is {least}"
            print(f"nothing to do: {words}")
            return 0
    return _learn(args, gathered, data, (store, against), before, tune)


def _learn(
    args: argparse.Namespace,
    gathered: LoadedIssues,
    data: Dataset,
    stores: tuple[Store, Store],
    before: PreviousBundle,
    tune: Tune | None,
) -> int:
    from triage.actions.runner import Runner
    from triage.bundle.store import activate_or_stage
    from triage.learn.gate import GateResult, rule
    from triage.learn.recipe import Engines
    from triage.learn.retrain import RetrainContext, learn
    from triage.learn.vectors import NAME, embed
    from triage.progress import bar

    store, against = stores
    engines = Engines(*open_engines(gathered.config))
    with workers(args.engine) as cluster:
        embedded = embed(
            data.issues,
            engines.encoder,
            against.get(NAME),
            lambda held: store.put(NAME, held),
            lambda total: bar("embedding", total),
            encode=encoding(cluster, engines.encoder),
            piece=cluster.round if cluster else 0,
        )
    occasion = RetrainContext(
        before.later(gathered.at), args.split, args.adapt, gathered.bots, before.name, before.bundle
    )
    quiet, untuned = gathered.unlabelled(UNLABELLED), None
    if tune:
        from triage.finetune.retrain import Untuned, learn_tuned

        shipped = Untuned(embedded.vectors, engines)
        learnt, untuned = learn_tuned(data, shipped, gathered.config, occasion, tune, quiet)
    else:
        learnt = learn(data, embedded.vectors, gathered.config, engines, occasion, quiet)
    active = before.bundle
    ruling = rule(active, learnt.study, exist=gathered.exist, untuned=untuned) if active else GateResult()
    made = store.save(learnt.bundle)
    # Also of a candidate that the gate refuses: another job keeps it aside.
    Runner(os.environ).output("bundle", made)
    role = "active" if ruling.passed else "staged"
    activate_or_stage(store, made, learnt.bundle, role, against=against)
    _tell(args, made, learnt, ruling, before, _advice(gathered, learnt, active), embedded.computed)
    if not ruling.passed:
        raise GateError(f"{made} was not made active: {'; '.join(ruling.objections)}")
    return 0


def _advice(gathered: LoadedIssues, learnt: TrainedBundle, active: Bundle | None) -> RetrainAdvice:
    from triage.learn.live_accuracy import advise

    since = parse_time(active.manifest.created_at) if active else None
    return advise(learnt.study, gathered.issues, gathered.voices, since)


def _tell(
    args: argparse.Namespace,
    made: str,
    learnt: TrainedBundle,
    ruling: GateResult,
    before: PreviousBundle,
    advice: RetrainAdvice,
    computed: int,
) -> None:
    """The log, the job summary and, where asked for, the plots."""
    from triage.actions.runner import Runner
    from triage.figures import save_calibration
    from triage.github.client import SERVER_URL
    from triage.metrics import reliability
    from triage.reports import retrain_report

    verdict = learnt.study.verdict if learnt.study.enough else None
    bins = reliability(verdict.truth, verdict.scores) if verdict else []
    for line in retrain_report.plain(made, learnt, ruling, advice, computed):
        log(line)
    server = os.environ.get("GITHUB_SERVER_URL", SERVER_URL).rstrip("/")
    url = f"{server}/{{}}/issues/{{}}".format
    Runner(os.environ).summary(
        retrain_report.markdown(made, learnt, ruling, before.bundle, advice, bins, url)
    )
    if args.plots and bins:
        args.plots.mkdir(parents=True, exist_ok=True)
        save_calibration(bins, args.plots / f"{made}-reliability.png")
