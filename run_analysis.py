"""The whole study in one command: record, score, compare with chance, ablate, store.

    python run_analysis.py --tasks all

records the MLP neurons of each model over labelled datasets, scores how selective each neuron is
for each class, sets every selection beside the same on shuffled labels, takes the class-specific
neurons out and measures what a linear head loses, and keeps it all in an SQLite store that
``streamlit run dashboard/app.py`` shows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.encoders import base
from core.progress import console
from core.recording import extract as extract_
from core.recording import top_clips
from core.run import listing, outcome, versions
from core.run.stages import attribute as attribute_
from core.run.stages import extract as extract_
from core.run.stages import score as score_
from core.run.stages import trace as trace_
from core.scoring import counts as counts_

if __name__ == "__main__":  # Ctrl-C while the libraries load ends the process without a traceback
    _on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

import numpy as np

from core.ablation import targets
from core.ablation.operations import Operation
from core.ablation.specificity import specificity
from core.datasets import InputError, report
from core.datasets.scan import Scan
from core.distributed.ranks import Ranks
from core.distributed.team import lead_or_follow
from core.encoders import Encoder
from core.probes import fit
from core.progress.progress import Progress, Update
from core.progress.time_left import Part
from core.recording import activations, checksums
from core.recording.activations import Activations
from core.run import disk_space, inputs, load, options, verdicts
from core.run.config import AnalysisConfig, ablate_clips_for
from core.run.stages import ablate as stages
from core.scoring import sharing
from db.connection.open import StoreError, exclusive_run, open_store, store_files_dir
from db.reads import study as queries
from db.reads.pipeline import specific_sets, stored_clips
from db.writes.store import Store

RESULTS = 3
"""Raised when stages change meaning, so that stored results of older code are computed anew."""


@dataclass
class Study:
    """One model of a run: what every stage needs, and what it leaves to be told at the end."""

    config: AnalysisConfig
    progress: Progress
    store: Store
    files: Path
    encoder: Encoder
    model_id: int
    ranks: Ranks
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    _run_id: int | None = None
    _batch_sizes: dict[str, int] = field(default_factory=dict)

    @property
    def run_id(self) -> int:
        """The run in the store, begun when the first stage has something to do."""
        if self._run_id is None:
            config = {**self.config.as_dict(), "model": self.encoder.name}
            self._run_id = self.store.start_run(
                self.encoder.name, config, self.config.seed, versions.code_version(), versions.versions(),
                str(self.encoder.device),
            )  # fmt: skip
        return self._run_id

    @property
    def did_anything(self) -> bool:
        return self._run_id is not None

    @contextmanager
    def timer(self, name: str) -> Iterator[None]:
        """Add the time of a block to what the run spent in ``extract``, ``score`` or ``ablate``."""
        _ = self.run_id  # the run begins here, so that one that is killed leaves its row
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    @contextmanager
    def stage(self, name: str, label: str, total: int, unit: str) -> Iterator[Update]:
        """A timed stage that shows how far it is."""
        with self.timer(name), self.progress.stage(label, total, unit) as update:
            yield update

    def key(self, name: str, content_key: str, *settings: object) -> str:
        """Name of a stage in the store: what its result depends on, hashed."""
        c = self.config
        facts = [RESULTS, name, self.encoder.name, self.encoder.weights_key, content_key,
                 c.padding, self.precision, *settings]  # fmt: skip
        if c.length != "native":
            facts.append(c.length)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def batch_size(self, scan: Scan) -> int:
        """Clips, or chunks, in one forward pass; found by trying, so once a dataset."""
        name = scan.dataset.name
        if name not in self._batch_sizes:
            self._batch_sizes[name] = load.batch_size(self.ranks, self.encoder, self.config.batch_size, scan.longest)
        return self._batch_sizes[name]

    @property
    def precision(self) -> str:
        return "float32" if self.config.precision == "auto" else self.config.precision

    def note(self, text: str) -> None:
        """Tell something at the end, once."""
        if text not in self.notes:
            self.notes.append(text)
            self.progress.note(text)

    def finish(self, status: str) -> None:
        if self._run_id is not None:
            self.store.finish_run(self._run_id, status, self.seconds, self.notes)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 some failed, 2 wrong input, 130 stopped)."""
    return lead_or_follow(lambda ranks: command(argv, ranks))


def command(argv: Sequence[str] | None, ranks: Ranks) -> int:
    """The command line, on the first of the ranks."""
    with Progress(console.output(), console.output(stderr=True)) as progress:
        try:
            config, show_list, report_path, log_path = options.parse(argv)
            if show_list:
                listing.show_list(config, progress.console)
                return 0
            if report_path:
                from dashboard.report.write import write_report  # charts and page, which a study does without

                progress.print(f"{write_report(config.db, report_path)} written")
                return 0
            inputs.open_log(progress, log_path, config)
            return progress.finish(run(config, progress, ranks))
        except KeyboardInterrupt as stop:
            told = " ".join(["stopped", *stop.args])
            progress.print(f"{told}; what is finished is kept, the same command goes on from here")
            return progress.finish(130)
        except (OSError, InputError, StoreError) as error:
            progress.error(outcome.in_words(error))
            return progress.finish(1 if isinstance(error, OSError) else 2)  # the disk's errors, the store's among them


def run(config: AnalysisConfig, progress: Progress, ranks: Ranks) -> int:
    """The study, step by step."""
    started = time.monotonic()
    progress.begin(config.as_dict(), versions.versions())
    encoders = load.load(ranks, config)
    progress.watch(str(encoders[0].device))
    tasks = inputs.tasks(config, progress)
    for line in report.shared_recordings([dataset for dataset, _ in tasks]):
        progress.warn(line)

    with progress.live(), exclusive_run(config.db, [encoder.name for encoder in encoders]):
        store = Store(open_store(config.db))
        model_ids = [store.register_model(base.model_record(encoder)) for encoder in encoders]
        files = store_files_dir(config.db)
        scans = [inputs.scan_dataset(dataset, of, files, config, progress) for dataset, of in tasks]
        for scan in scans:
            if config.limit:
                inputs.refuse_to_lose(config, scan, stored_clips(store.engine, scan.dataset.name))
            store.register_dataset(scan.record())
            load.hold(ranks, scan)
        data = [(scan, attributes) for scan, (_, attributes) in zip(scans, tasks, strict=True)]
        parts = [Part(s.dataset.name, len(s.dataset.clips), tuple(map(s.dataset.task, of))) for s, of in data]
        progress.plan([encoder.name for encoder in encoders], parts, config.stages)
        if told := disk_space.ask(config, encoders, data, files):
            progress.print(told, "dim")
        studies = [
            study_model(Study(config, progress, store, files, encoder, model_id, ranks), data)
            for encoder, model_id in zip(encoders, model_ids, strict=True)
        ]
        summarise(store, config, progress, files)
    return outcome.tell_end(progress, config, studies, time.monotonic() - started)


def study_model(study: Study, data: Sequence[tuple[Scan, Sequence[str]]]) -> Study:
    """One model over all datasets; a dataset or task that fails does not stop the others."""
    encoder, progress = study.encoder, study.progress
    progress.print(f"\n{encoder.name}: {encoder.n_neurons:,} neurons in {encoder.n_layers} layers", "bold")
    progress.print(f"  {encoder.description}; licence: {encoder.licence or 'not known'}", "dim")
    try:
        with progress.at(model=encoder.name):
            for scan, attributes in data:
                with outcome.keep_going(study, scan.dataset.name, dataset=scan.dataset.name):
                    matrices = extract(study, scan)
                    for task, attribute in ((scan.dataset.task(a), a) for a in attributes):
                        with outcome.keep_going(study, task, task=task):
                            study_task(study, scan, matrices, attribute)
            with outcome.keep_going(study, "shared neurons"):
                share(study)
                compare_selections(study)
    except BaseException as error:
        with suppress(StoreError):  # a full disk takes no last word either
            study.finish("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    study.finish("failed" if study.failures else "done")
    return study


def extract(study: Study, scan: Scan) -> Activations:
    """One forward pass over a dataset: counts of positive tokens per clip and neuron, embeddings."""
    config, encoder, name = study.config, study.encoder, scan.dataset.name
    matrices = activations.open_activations(encoder, scan, study.files, config.padding, study.precision)
    checksums.check(matrices, study.progress.warn)
    if not matrices.complete:
        if "extract" not in config.stages:
            raise InputError(f"{name} has no activations of {encoder.name} yet; add extract to --stages")
        with study.stage("extract", "extract", len(matrices.done), "clips") as update:
            extract_.extract(
                study.ranks, encoder, scan, matrices, study.batch_size(scan), config.padding, study.precision,
                config.workers, update,
            )  # fmt: skip
        if study.precision != "float32":
            study.note(extract_.changed_by_precision(encoder, scan, config.padding, study.precision))
    checksums.settle(matrices, study.files, lambda: study.store.forget_stages(study.model_id, name))
    key = study.key("top_clips", scan.content_key)
    if not study.store.is_done(key):
        study.store.write_top_clips(study.run_id, key, study.model_id, top_clips.top_clips(scan, matrices))
    trace(study, scan, matrices)
    return matrices


def trace(study: Study, scan: Scan, matrices: Activations) -> None:
    """One more forward pass over a dataset: when and where in its clips each neuron fires."""
    config, key = study.config, study.key("traces", scan.content_key)
    if "extract" not in config.stages or study.store.is_done(key):
        return
    chosen = top_clips.choose(scan.dataset.name, matrices)
    with study.stage("extract", "traces", len(np.unique(chosen.clips)), "clips") as update:
        found = trace_.trace(
            study.ranks, study.encoder, scan, matrices, study.batch_size(scan), config.padding, study.precision,
            config.workers, update, chosen,
        )  # fmt: skip
        study.store.write_traces(study.run_id, key, study.model_id, found)


def study_task(study: Study, scan: Scan, matrices: Activations, attribute: str) -> None:
    """Score one task, train its linear head, ablate."""
    config, task = study.config, scan.dataset.task(attribute)
    evidence = [config.event, config.selection_splits()]
    selection = [*evidence, [vars(s) for s in config.selections(scan.dataset.entropy_rate)]]
    score_key = study.key(
        "score", scan.content_key, task, selection, config.shuffles, config.seed, config.min_test_clips
    )
    how = [config.controls, stages.n_controls(config, study.encoder), config.control_layers, config.max_pairs,
           config.probe_seeds, config.seed, config.min_test_clips,
           ablate_clips_for(study.encoder.device, config.ablate_clips), "flips"]  # fmt: skip
    ablate_keys = {
        (choice, operation): study.key("ablate", scan.content_key, task,
                                       selection if choice.kind == "preset" else evidence, choice.key,
                                       operation.name, operation.gain, *how)
        for choice in map(targets.Choice.of, config.ablate) for operation in config.operations()
    }  # fmt: skip
    attribution_key = study.key("attribution", scan.content_key, task, config.seed, config.min_test_clips,
                                ablate_clips_for(study.encoder.device, config.ablate_clips))  # fmt: skip
    probe_key = study.key("probe", scan.content_key, task)
    done = study.store.is_done
    to_score = "score" in config.stages and not (done(score_key) and done(probe_key))
    to_ablate = [c for c, k in ablate_keys.items() if "ablate" in config.stages and not done(k)]
    to_attribute = "ablate" in config.stages and not done(attribution_key)
    if not to_score and not to_ablate and not to_attribute:
        return

    counts = counts_.count(scan, matrices, attribute, config.event, config.selection_splits())
    with study.timer("score"):
        heads = fit.fit_task(scan, attribute, np.asarray(matrices.embeddings))
    if to_score and not done(score_key):
        score(study, scan, matrices, attribute, counts, heads, score_key)
    if not done(score_key):
        raise InputError(f"{task} is not scored with these settings yet; add score to --stages")
    if not done(probe_key):
        study.store.write_probe(study.run_id, probe_key, study.model_id, heads.result)
        study.progress.print(f"  {task} · linear head: {fit.describe(heads.result)}")
    if to_attribute and heads.parts:
        attribute_neurons(study, scan, attribute, heads, attribution_key)
    refit = cache(lambda: stages.refit_heads(config, scan, matrices, attribute, heads))
    for choice, operation in to_ablate:
        key = ablate_keys[choice, operation]
        ablate(study, scan, matrices, attribute, counts, heads, refit, choice, operation, key)


def score(
    study: Study,
    scan: Scan,
    matrices: Activations,
    attribute: str,
    counts: counts_.TaskCounts,
    heads: fit.Probe,
    key: str,
) -> None:
    """Entropy and class-specific neurons by every preset, each beside its null and what it is worth."""
    config = study.config
    with study.stage("score", "score", score_.n_steps_of_score(config), "steps") as update:
        scores = score_.score(config, scan, matrices, attribute, counts, heads, update)
    for warning in scores.warnings:
        study.progress.warn(warning, indent=4)
    study.progress.print(f"    {verdicts.verdict(scores)}")
    study.store.write_scores(study.run_id, key, study.model_id, scores)


def attribute_neurons(study: Study, scan: Scan, attribute: str, heads: fit.Probe, key: str) -> None:
    """What the linear head would lose without each single neuron, by its gradient; checked on some."""
    config, encoder = study.config, study.encoder
    parts = attribute_.some_test_clips(config, encoder, scan, attribute, heads, attribute_.ATTRIBUTED_CLIPS)
    n_steps, batch_size = attribute_.n_steps_of_attribution(encoder, parts), study.batch_size(scan)
    with study.stage("ablate", "attribute", n_steps, "passes") as update:
        found = attribute_.attribute_neurons(
            config, encoder, scan, attribute, parts, batch_size, study.precision, update
        )
    study.store.write_attributions(study.run_id, key, study.model_id, found)


def ablate(
    study: Study,
    scan: Scan,
    matrices: Activations,
    attribute: str,
    counts: counts_.TaskCounts,
    heads: fit.Probe,
    refit: Callable[[], list[list[fit.LinearHead]]],
    choice: targets.Choice,
    operation: Operation,
    key: str,
) -> None:
    """Change each target's neurons, and as many random ones, and ask the same linear head again."""
    task, encoder = scan.dataset.task(attribute), study.encoder
    with study.timer("ablate"):
        sweep, told = stages.prepare_ablation(
            study.config, encoder, scan, matrices, attribute, counts, heads, choice, operation, refit,
            study.batch_size(scan), study.precision,
        )  # fmt: skip
    for line in told:
        study.note(line)
    if sweep is None:
        of = str(choice), operation.name, operation.gain
        study.store.write_ablations(study.run_id, key, study.model_id, task, [], of)
        return
    folder = study.files / "ablations" / key
    with study.stage("ablate", f"ablate {choice} {operation}", sweep.n_passes, "passes") as update:
        found = sweep.run(encoder, scan, folder, update, stages.asker(study.ranks))
    if fewer := stages.fewer_controls(sweep, found):
        study.note(fewer)
    study.store.write_ablations(study.run_id, key, study.model_id, task, found)
    shutil.rmtree(folder)


def share(study: Study) -> None:
    """Neurons that two classes share, over all tasks of the model that the store holds."""
    if "score" not in study.config.stages:
        return
    sets = specific_sets(study.store.engine, study.encoder.name)
    facts = [(s.preset, s.task, s.class_names, s.pairs, *s.nested) for s in sets]
    key = study.key("share", hashlib.sha256(repr(facts).encode()).hexdigest())
    if sets and not study.store.is_done(key):
        with study.timer("score"):
            shared = sharing.share_all(sets, study.encoder.n_neurons)
            study.store.write_shared(study.run_id, key, study.model_id, shared)


def compare_selections(study: Study) -> None:
    """How much more a class loses by its own neurons than the others do, for every way to choose them."""
    effects = queries.ablation_effects(study.store.engine, study.encoder.name)
    digest = hashlib.sha256(repr(effects.drop(columns="ablation_id").to_numpy().tolist()).encode()).hexdigest()
    key = study.key("specificity", digest)
    if len(effects) and not study.store.is_done(key):
        with study.timer("ablate"):
            study.store.write_specificity(study.run_id, key, study.model_id, specificity(effects, study.config.seed))
            for line in verdicts.most_specific(effects, study.config.seed):
                study.note(line)


def summarise(store: Store, config: AnalysisConfig, progress: Progress, files: Path) -> None:
    """The study in tables: what this run asked for to the user, all of the store to a file beside it."""
    from dashboard.report.terminal import in_short
    from dashboard.report.write import write_summary  # what the page shares, needed here alone

    path = write_summary(store.engine, files / "summary.md", config.shown_db)
    progress.summarise(*in_short(store.engine, *progress.time_left.names), path)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _on_interrupt)
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
