"""`triage retrain`: learn a bundle from labelled issues, and make it active if it passes the gate."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from triage.bundle.open import (
    PreviousBundle,
    check_engine,
    encoding,
    fits,
    need,
    open_engines,
    previous_bundle,
    workers,
)
from triage.cli import arguments
from triage.console import bar, log, log_json, notice, reporting, stage
from triage.decide.case import Attribution
from triage.errors import GateError
from triage.github.open import open_store, server_url, visibility_of
from triage.options import ADAPTATIONS, RetrainOptions
from triage.schema import parse_time
from triage.sources.load import LoadedIssues, configured, load_issues, parse_sources, repositories

if TYPE_CHECKING:
    from triage.bundle.store import Store
    from triage.finetune.fine_tune import Tune
    from triage.learn.dataset import Dataset
    from triage.learn.gate import GateResult
    from triage.learn.retrain import RetrainAdvice, TrainedBundle

# The newest unlabelled issues show how often labels would be added to issues that need none.
UNLABELLED = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    arguments.add_sources(parser)
    arguments.add_store(parser, "store to save the bundle to", required=True)
    arguments.add_store(
        parser,
        "store whose active bundle the gate compares with",
        name="--against",
        default=" (default: --store)",
    )
    arguments.add_config(parser)
    parser.add_argument(
        "--adapt",
        choices=ADAPTATIONS,
        default=RetrainOptions.adapt,
        help="how vectors are adapted to the labels: by a head (default), not at all, or by fine-tuning the encoder, "
        "which needs the extra `train`",
    )
    parser.add_argument(
        "--time-limit",
        dest="budget",
        type=arguments.duration,
        default=RetrainOptions.budget,
        metavar="TIME",
        help="with --adapt encoder: time limit of fine-tuning and export, such as 30m (default) or 2h; it does not "
        "include reading and encoding issues",
    )
    parser.add_argument(
        "--weights", help="with --adapt encoder: initial PyTorch weights, a folder or org/name@COMMIT"
    )
    arguments.add(parser, "--split", "validation and test issues are split off")
    arguments.add(parser, "--cache")
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="folder for a plot of the scores' calibration"
    )
    arguments.add(parser, "--engine")
    arguments.add(parser, "--json", "the report")
    parser.add_argument("--always", action="store_true", help="learn even if there are few new labels")


def parse(args: argparse.Namespace) -> RetrainOptions:
    """The options of a command line."""
    return arguments.build(RetrainOptions, args)


def run(options: RetrainOptions) -> int:
    """Learn, compare, save; raises TriageError, and GateError where the candidate was only staged."""
    # Before what is learnt with is imported: its packages may be missing.
    tune = _tuner(options)
    with stage("retraining"):
        return _run(options, tune)


def _run(options: RetrainOptions, tune: Tune | None) -> int:
    from triage.bundle.store import refuse_exposure
    from triage.learn.dataset import prepare
    from triage.learn.gate import is_current

    sources = parse_sources(options.sources)
    tracker, config = configured(sources, options.config, options.against or options.store)
    if config.learn.shared is None and not config.learn.sharing:
        notice(
            "a pattern chooses repositories and `learn.shared` is not set: labels count only in their own repository"
        )
    selected = repositories(sources, config.learn.repositories, tracker)
    known = selected.visibility
    store = open_store(options.store, config, tracker)
    against = open_store(options.against, config, tracker) if options.against else store
    for home in dict.fromkeys((store, against)):
        refuse_exposure(home, selected.names, lambda repo: known.get(repo) or visibility_of(repo))
    with stage("reading the active bundle"):
        previous = previous_bundle(against)
    loaded = load_issues(
        sources.files,
        selected.names,
        config,
        repo=options.repo,
        skip_bad=options.skip_bad,
        cache=options.cache,
        bots=previous.bundle.manifest.bots if previous.bundle else (),
    )
    with stage("telling whose labels to learn"):
        data = prepare(loaded.issues, loaded.config, Attribution.of(loaded.config, loaded.bots))
    if previous.bundle and previous.whole and not options.always:
        new, least = data.count_new(previous.bundle), loaded.config.learn.min_new
        is_same = is_current(previous.bundle, loaded.config, data) and fits(previous.bundle, loaded.config)
        if new < least and is_same:
            log(
                f"nothing to do: {new} labelled issues are new since bundle {previous.name}, and fewer than {least} "
                "(learn.min_new) change little; --always learns all the same"
            )
            if options.json:
                log_json(
                    {"bundle": None, "active": previous.name, "new_issues": new, "min_new": least}, indent=2
                )
            return 0
    return _learn(options, loaded, data, (store, against), previous, tune)


def _tuner(options: RetrainOptions) -> Tune | None:
    """The function that fine-tunes the encoder if the options ask for it.

    Raises MissingExtra for any package that the run needs, before hours of reading and encoding are spent.
    """
    check_engine(options.engine)
    need("learn", "sklearn", *["matplotlib"] * bool(options.plots), to="learning")
    if options.adapt != "encoder":
        return None
    need("train", "torch", "transformers", "optimum", to="--adapt encoder")
    from triage.finetune.fine_tune import tuner

    return tuner(options)


def _learn(
    options: RetrainOptions,
    loaded: LoadedIssues,
    data: Dataset,
    stores: tuple[Store, Store],
    previous: PreviousBundle,
    tune: Tune | None,
) -> int:
    import numpy as np

    from triage.actions import Runner
    from triage.bundle.store import activate_or_stage
    from triage.learn.gate import GateResult, judge_candidate
    from triage.learn.recipe import Engines
    from triage.learn.retrain import RetrainContext, advise, learn
    from triage.learn.vectors import NAME, embed, embedded_before

    store, against = stores
    engines = Engines(*open_engines(loaded.config), progress=bar)
    unlabelled, untuned = loaded.unlabelled(UNLABELLED), None
    # These are looked at by every recipe, but not learnt from.
    seen = [] if tune else [*unlabelled, *(one.issue for one in data.reviewed)]
    # As many unlabelled issues as labelled ones are enough to tell them apart.
    data = data.with_unlabelled(max(UNLABELLED, len(data)))
    with stage("reading kept vectors"):
        kept = embedded_before(against)
    with workers(options.engine) as cluster, stage("encoding"):
        embedded = embed(
            [*data.issues, *data.unlabelled, *seen],
            engines.encoder,
            kept,
            lambda vectors: store.put(NAME, vectors),
            lambda total: bar("encoding", total),
            encode=encoding(cluster, engines.encoder),
            piece=cluster.round if cluster else 0,
        )
    context = RetrainContext(
        now=previous.later(loaded.at),
        kind=options.split,
        adapt=options.adapt,
        bots=loaded.bots,
        after=previous.name,
        active=previous.bundle,
        ids=loaded.ids,
    )
    vectors, left, others = np.split(embedded.vectors, [len(data), len(data) + len(data.unlabelled)])
    encoded = dict(zip((issue.digest for issue in seen), others, strict=True))
    if tune:
        from triage.finetune.fine_tune import learn_tuned

        with stage("fine-tuning"):
            learnt, untuned = learn_tuned(data, vectors, loaded.config, engines, context, tune, unlabelled)
    else:
        with stage("adapting vectors, tuning and measuring"):
            learnt = learn(data, vectors, loaded.config, engines, context, unlabelled, left, encoded)
    active = previous.bundle
    with stage("comparing with the active recipe"):
        result = (
            judge_candidate(active, learnt.recipe, exist=loaded.exist, ids=loaded.ids, untuned=untuned)
            if active
            else GateResult()
        )
    manifest = replace(learnt.bundle.manifest, refused=result.objections)
    learnt = replace(learnt, bundle=replace(learnt.bundle, manifest=manifest))
    with stage("saving the bundle"):
        saved = store.save(learnt.bundle)
    # A candidate that the gate refuses is an output too, so that another job can store it as staged.
    Runner(os.environ).output("bundle", saved)
    role = "active" if result.passed else "staged"
    with stage("making the bundle active" if result.passed else "staging the bundle"):
        activate_or_stage(store, saved, learnt.bundle, role, against=against)
    with stage("finding what to label next"):
        since = parse_time(active.manifest.created_at) if active else None
        advice = advise(learnt.recipe, loaded.issues, Attribution.of(loaded.config, loaded.bots), since)
    _report(options, saved, learnt, result, previous, advice, embedded.computed)
    if not result.passed:
        raise GateError(f"{saved} was not made active: {'; '.join(result.objections)}")
    return 0


def _report(
    options: RetrainOptions,
    name: str,
    learnt: TrainedBundle,
    result: GateResult,
    previous: PreviousBundle,
    advice: RetrainAdvice,
    computed: int,
) -> None:
    """Write the log, the job summary and, if asked for, the plot."""
    from triage.actions import Runner
    from triage.figures import save_calibration
    from triage.metrics import reliability
    from triage.reports import retrain_report

    verdict = learnt.recipe.result if learnt.recipe.enough else None
    bins = reliability(verdict.truth, verdict.scores) if verdict else []
    if options.json:
        log_json(retrain_report.to_dict(name, learnt, result, advice, computed), indent=2)
    else:
        lines = retrain_report.terminal(name, learnt, result, advice, computed)
        log("\n".join([*lines, *retrain_report.terminal_labels(learnt)]))
    url = f"{server_url()}/{{}}/issues/{{}}".format
    Runner(os.environ).summary(
        retrain_report.markdown(name, learnt, result, previous.bundle, advice, bins, url)
    )
    if options.plots and bins:
        with reporting(f"the plot in {options.plots}"):
            options.plots.mkdir(parents=True, exist_ok=True)
            save_calibration(bins, options.plots / f"{name}-reliability.png")
