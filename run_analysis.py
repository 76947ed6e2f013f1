"""The whole study in one command: record, score, compare with chance, ablate, store.

    python run_analysis.py --tasks all

records the MLP neurons of each model over labelled datasets, scores how selective each neuron is
for each class, sets every selection beside the same on shuffled labels, takes the class-specific
neurons out and measures what a linear head loses, and keeps it all in an SQLite store that
``streamlit run dashboard/app.py`` shows.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # Ctrl-C while the libraries load ends the process without a traceback
    _on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)

# What answers a wrong option or --help; functions load what else they need, torch among it, when they are called.
from core.distributed.ranks import Ranks
from core.distributed.team import lead_or_follow
from core.errors import InputError
from core.progress.console import output
from core.progress.progress import Progress
from core.run import options, outcome
from core.run.config import AnalysisConfig
from core.run.versions import versions
from core.untrusted_text import quoted
from db.connection.errors import StoreError

if TYPE_CHECKING:
    from core.datasets.scan import Scan
    from core.datasets.task import Task
    from core.recording.activations import Activations
    from core.run.study import Study
    from db.writes.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 some failed, 2 wrong input, 130 stopped)."""
    return lead_or_follow(lambda ranks: command(argv, ranks))


def command(argv: Sequence[str] | None, ranks: Ranks) -> int:
    """The command line, on the first of the ranks."""
    with Progress(output(), output(stderr=True)) as progress:
        try:
            config, show_list, report_path, log_path, manifest_path = options.parse(argv)
            from core.run import inputs, listing
            from db.reads.folders import known_folders

            if show_list:
                listing.show_list(config, progress.console, known_folders(config.db))
                return 0
            if manifest_path:
                progress.print(listing.write_manifest(config, Path(manifest_path), known_folders(config.db)))
                return 0
            if report_path:
                from dashboard.report.write import write_report  # charts and page, which a study does without

                progress.print(f"{write_report(config.db, report_path)} written")
                return 0
            inputs.open_log(progress, log_path, config)
            return progress.finish(run(config, progress, ranks))
        except KeyboardInterrupt as stop:
            message = " ".join(["stopped", *stop.args])
            progress.print(f"{message}; what is finished is kept, the same command goes on from here")
            return progress.finish(130)
        except (OSError, InputError, StoreError) as error:
            progress.error(outcome.in_words(error))
            return progress.finish(1 if isinstance(error, OSError) else 2)  # the disk's errors, the store's among them


def run(config: AnalysisConfig, progress: Progress, ranks: Ranks) -> int:
    """The study, step by step."""
    from core.datasets import report
    from core.encoders.base import model_record
    from core.progress.time_left import Part
    from core.run import disk_space, inputs, load, partners, stages, units
    from core.run.side_by_side import models_at_once, side_by_side
    from core.run.steps import Steps
    from core.run.study import Study
    from core.units.kinds import MLP
    from db.connection.open import opened_to_write, store_files_dir
    from db.reads.folders import known_folders
    from db.reads.pipeline import scored_tasks, stored_models
    from db.writes.store import Store

    started = time.monotonic()
    progress.begin(config.as_dict(), versions())
    encoders = load.load(ranks, config)
    progress.watch(str(encoders[0].device))
    tasks = inputs.tasks(config, progress, known_folders(config.db))
    for line in report.shared_recordings([dataset for dataset, _ in tasks]):
        progress.warn(line)

    with progress.live(), opened_to_write(config.db, [encoder.name for encoder in encoders]) as engine:
        store, files = Store(engine), store_files_dir(config.db)
        for encoder in encoders if MLP in config.units else ():  # other weights of its name are told of before the scan
            store.register_model(model_record(encoder))
        data = inputs.scan_all(tasks, files, config, progress)
        left_out = tuple(progress.failures)
        for scan, _ in data:
            if replaced := store.register_dataset(scan.record(), config.replace):
                progress.warn(f"--replace: {replaced}")
            load.hold(ranks, scan)
        families = units.families(encoders, [scan for scan, _ in data], files, config, progress, ranks)
        views = [encoder for family in families for encoder in family]
        model_ids = {encoder.name: store.register_model(model_record(encoder)) for encoder in views}
        matched = partners.pairs(
            config.match, [model_record(encoder) for encoder in views], stored_models(engine),
            encoders[0].device.type, progress.warn,
        )  # fmt: skip
        parts = [
            Part(
                s.dataset.name,
                len(s.dataset.clips),
                *(tuple(map(s.dataset.task, each)) for each in (of, s.dataset.segment_attributes)),
            )
            for s, of in data
        ]
        at_once = models_at_once(encoders, ranks)
        progress.plan([encoder.name for encoder in views], parts, config.stages, at_once)
        message, is_short = disk_space.ask(config, views, data, files, scored_tasks(engine))
        if is_short:
            progress.warn(message)
        elif message:
            progress.print(message, "dim")
        wanted = {(encoder.name, task) for encoder in views for part in parts for task in part.tasks}
        outcome.tell_page(config, progress, wanted, scored_tasks(engine))
        studies = [
            [
                Study(config, progress, store, files, encoder, model_ids[encoder.name], ranks,
                      Steps(store, parts, config.stages), family)
                for encoder in family
            ]
            for family in families
        ]  # fmt: skip
        side_by_side(lambda family: study_family(family, store, data), studies, at_once, progress.stop)
        stages.match_models([study for family in studies for study in family], matched, [scan for scan, _ in data])
        summarise(store, config, progress, files)
    every = [study for family in studies for study in family]
    return outcome.tell_end(progress, config, every, time.monotonic() - started, left_out)


def study_family(studies: Sequence[Study], store: Store, data: Sequence[tuple[Scan, Sequence[str]]]) -> None:
    """One network, kind of unit after kind of unit: they share its modules, so one at a time."""
    for study in studies:
        study_model(study, store, data)


def study_model(study: Study, store: Store, data: Sequence[tuple[Scan, Sequence[str]]]) -> None:
    """One model over all datasets; a dataset or task that fails does not stop the others."""
    from core.datasets.task import Task
    from core.run import stages
    from core.units.kinds import MLP
    from db.reads.pipeline import described_units, specific_sets
    from db.reads.study import ablation_effects

    config, encoder, progress = study.config, study.encoder, study.progress
    units = "neurons" if encoder.unit_kind == MLP else "units"
    progress.print(f"\n{encoder.name}: {encoder.n_neurons:,} {units} in {encoder.n_layers} layers", "bold")
    progress.print(f"  {encoder.description}; licence: {encoder.licence or 'not known'}", "dim")
    with outcome.ending(study), progress.at(model=encoder.name):
        progress.listen(encoder.name, study.steps.tell)
        stages.carry_out(stages.Found(study))
        recordings: list[tuple[Scan, Activations]] = []
        for scan, attributes in data:
            name = scan.dataset.name
            with study.steps.of(name), outcome.keep_going(study, name, dataset=name):
                with study.steps.at("extract", name):
                    matrices = stages.record_activations(study, scan)
                    stages.carry_out(stages.TopClips(study, scan, matrices), stages.Trace(study, scan, matrices))
                recordings.append((scan, matrices))
                for task in (Task(scan, attribute) for attribute in attributes):
                    with outcome.keep_going(study, task.name, task=task.name):
                        study_task(study, task, matrices)
                for attribute in scan.dataset.segment_attributes:
                    in_time = stages.Segments(study, scan, matrices, attribute)
                    going = outcome.keep_going(study, in_time.task.name, dataset=name)
                    with going, study.steps.at("score", name, in_time.task.name):
                        stages.carry_out(in_time)
                with outcome.keep_going(study, f"{name}, descriptions", dataset=name):
                    stages.carry_out(stages.Describe(study, scan, matrices))
                    ours = described_units(store.engine, encoder.name, name) if config.import_descriptions else {}
                    stages.carry_out(stages.Referee(study, scan, matrices, ours), stages.Propose(study, scan, matrices))
        with outcome.keep_going(study, "shared neurons"):
            stages.carry_out(stages.Share(study, specific_sets(store.engine, encoder.name)))
            stages.carry_out(stages.Compare(study, ablation_effects(store.engine, encoder.name)))
        with outcome.keep_going(study, "map of units"):
            stages.carry_out(stages.Place(study, recordings))
        study_stimuli(study, store)


def study_task(study: Study, task: Task, matrices: Activations) -> None:
    """Score one task beside its nulls, tell how well a linear head does, and what it loses without which neurons."""
    from core.run import stages

    config, of = study.config, stages.TaskStudy(study, task, matrices)
    score, heads = stages.Score(of), [stages.Head(of), stages.ProbeLayers(of)]
    ways = config.operations(study.encoder.unit_kind)
    ablations = [stages.Ablate(of, choice, way) for choice in config.choices() for way in ways]
    others = [stages.Attribute(of), *ablations, stages.Erase(of), stages.Reconstruct(of)]
    is_left = any(stage.wanted and not study.store.is_done(stage.key) for stage in (score, *heads, *others))
    with study.steps.at("score", task.dataset.name, task.name):
        stages.carry_out(score)
        if is_left and not study.store.is_done(score.key):
            raise InputError(f"{task.name} is not scored with these settings yet; add score to --stages")
        stages.carry_out(*heads)
    with study.steps.at("ablate", task.dataset.name, task.name):
        stages.carry_out(*others)


def study_stimuli(study: Study, store: Store) -> None:
    """Made sounds through a model, set after set, and what they say of its class-specific units."""
    from core.run import stages
    from db.reads import stimuli
    from db.reads.pipeline import specific_sets, stimulus_stamps, task_attributes

    for name in study.config.stimuli:
        with outcome.keep_going(study, f"made sounds {name}"):
            stages.carry_out(stages.Stimulate(study, name))
    if study.config.stimuli:
        with outcome.keep_going(study, "what made sounds say of classes"):
            model = study.encoder.name
            stamps, sets = stimulus_stamps(store.engine, model), specific_sets(store.engine, model)
            units = partial(stimuli.of_all_units, store.engine, model)
            stages.carry_out(stages.Answer(study, sets, task_attributes(store.engine), stamps, units))


def summarise(store: Store, config: AnalysisConfig, progress: Progress, files: Path) -> None:
    """The study in tables: what this run asked for to the user, all of the store to a file beside it."""
    from core.units.kinds import MLP
    from dashboard.report.terminal import in_short  # what the page shares, needed here alone
    from dashboard.report.write import write_summary

    path = write_summary(store.engine, files / "summary.md", config.shown_db)
    progress.summarise(*in_short(store.engine, *progress.time_left.names), path)
    if set(config.units) - {MLP}:
        command = f'python -m db.reads.named {quoted(config.shown_db)} "units compared"'
        progress.print(f"kinds of unit side by side: page Units, or {command}")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _on_interrupt)
    code = main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
