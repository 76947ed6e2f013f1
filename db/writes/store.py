"""Writing results: one transaction a stage, together with the mark that the stage is done.

Whatever is written again replaces its former rows; a mark whose results were replaced by another
stage goes with them, so that ``is_done`` never promises what is no longer there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, delete, select, update

from core import results
from core.results import (
    Attributions,
    ClipTraces,
    DatasetRecord,
    LayerProbes,
    ModelRecord,
    ProbeResult,
    RunStep,
    TaskScores,
    TopClips,
)
from db.connection.open import StoreError, store_name, translate_errors
from db.schema.ablation import Ablation as AblationRow
from db.schema.ablation import ErasureArea, ErasureCurve, ErasurePoint
from db.schema.descriptions import Describing, UnitDescription, UnitExplanation
from db.schema.evidence import Attribution, AttributionCheck, LayerAttribution, NeuronAttribution, Specificity
from db.schema.layers import LayerProbe, LayerProbeScore, LayerWeight
from db.schema.mapping import UnitMap, UnitPlace
from db.schema.matching import Matching
from db.schema.scores import ModelTask, Probe, ProbeScore, SharedNeuron, Sharing
from db.schema.segments import SegmentStudy
from db.schema.sound import ActivationQuantile, ModelDataset
from db.schema.stamp import renew_stamp
from db.schema.stimuli import ConfoundAnswers, StimulusSet
from db.schema.study import Run, Stage, Task, TaskClass
from db.schema.study import RunStep as RunStepRow
from db.schema.units import Autoencoder, ReconstructedLayer, Reconstruction, UnitsFound, UnitTwin
from db.writes.ablation import insert_ablations
from db.writes.frames import insert_frame
from db.writes.matching import insert_partners
from db.writes.registry import forget_stages, write_dataset, write_model
from db.writes.rows import (
    analyze,
    bulk_insert,
    class_ids,
    clips_of,
    dataset_id,
    ensure_task,
    insert_row,
    model_id_of,
    model_shape,
    now,
    task_id,
    to_json,
)
from db.writes.scores import insert_scores, of_classes
from db.writes.segments import ensure_segments, insert_segment_scores
from db.writes.sound import insert_top_clips, insert_traces
from db.writes.stimuli import insert_answers, insert_study


class Store:
    """The writer of one store.

    Parameters
    ----------
    engine : Engine
        From `db.connection.open.open_store`, not read-only.

    Notes
    -----
    Every method is one transaction: it is stored whole or not at all. Every method raises
    `StoreError` where the database refuses for a reason the user can mend.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._name = store_name(engine)
        self._lock = Lock()  # threads write one after the other

    def register_model(self, model: ModelRecord) -> int:
        """Make a model known and return its id.

        The same model again changes nothing but its descriptions. A run of it that never said it finished was killed
        (`db.connection.open.exclusive_run` lets one at a time write): it becomes ``stopped``.

        Raises
        ------
        StoreError
            If the store holds other weights or widths under the same name.
        """
        of_it = Run.model_name == model.name
        with self._transaction() as connection:
            connection.execute(update(Run).where(of_it, Run.status == "running").values(status="stopped"))
            return write_model(connection, model)

    def register_dataset(self, dataset: DatasetRecord, replace: bool = False) -> str:
        """Make a dataset, its clips and labels known.

        The same dataset again changes nothing but its folder, descriptions and problems.

        Parameters
        ----------
        dataset : DatasetRecord
        replace : bool
            Delete what the store holds of another dataset, or of other clips, labels or splits, under the same name.

        Returns
        -------
        str
            What was deleted, in words; empty if nothing was.

        Raises
        ------
        StoreError
            If the store holds another dataset under the same name that is not to be replaced.
        """
        with self._transaction() as connection:
            return write_dataset(connection, dataset, replace)

    def start_run(
        self,
        model_name: str,
        config: Mapping[str, object],
        seed: int,
        code_version: str,
        versions: Mapping[str, str],
        device: str,
    ) -> int:
        """Note that a run begins and return its id."""
        with self._transaction() as connection:
            return insert_row(
                connection,
                Run,
                model_name=model_name,
                started_at=now(),
                status="running",
                config_json=to_json(config),
                seed=seed,
                code_version=code_version,
                versions_json=to_json(versions),
                device=device,
            )

    def plan_steps(self, run_id: int, steps: Sequence[RunStep]) -> None:
        """Note what a run that has begun is to do, step by step; no result, as `tell_step`."""
        begun = {"running": now()}
        rows = (
            (run_id, place, step.dataset, step.task, step.part, step.status, begun.get(step.status))
            for place, step in enumerate(steps)
        )
        columns = ("run_id", "position", "dataset", "task", "part", "status", "started_at")
        with self._transaction(is_result=False) as connection:
            bulk_insert(connection, RunStepRow, rows, columns)

    def tell_step(self, run_id: int, position: int, status: str | None = None, **told: Any) -> None:
        """Note how far a step of a run is, where the store takes it: no run ends because nothing is told of it.

        That is no result, and what pages keep of the store stays good (`db.schema.stamp`).

        Parameters
        ----------
        run_id, position : int
        status : str, optional
            Where it has changed, as `core.results.RunStep` has it.
        **told
            ``stage``, ``n_done``, ``n_total``, ``unit`` and ``stage_seconds_left`` of what the step is at.
        """
        values: dict[str, Any] = {**told, **({"told_at": now()} if told else {})}
        if status is not None:
            values |= {"status": status, "started_at" if status == "running" else "finished_at": now()}
        which = (RunStepRow.run_id == run_id, RunStepRow.position == position)
        with suppress(StoreError), self._transaction(is_result=False) as connection:
            connection.execute(update(RunStepRow).where(*which).values(**values))

    def finish_run(self, run_id: int, status: str, seconds: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        """Note how a run ended.

        Parameters
        ----------
        run_id : int
        status : str
            ``done``, ``failed`` or ``stopped``.
        seconds : mapping
            Seconds spent in ``extract``, ``score`` and ``ablate``; others are not kept.
        notes : sequence of str
            What was left out, and why.
        """
        values: dict[str, Any] = {
            "status": status,
            "finished_at": now(),
            "notes_json": to_json(list(notes)),
        }
        for stage in ("extract", "score", "ablate"):
            if stage in seconds:
                values[f"seconds_{stage}"] = float(seconds[stage])
        with self._transaction() as connection:
            connection.execute(update(Run).where(Run.id == run_id).values(**values))
        with self._transaction() as connection:
            analyze(connection)

    def forget_stages(self, model_id: int, dataset: str) -> None:
        """Take the marks of all that a model's matrices of a dataset gave: it is worked out anew, and replaced then."""
        with self._transaction() as connection:
            forget_stages(connection, model_id, dataset_id(connection, dataset))

    def is_done(self, key: str) -> bool:
        """Return whether the stage ``key`` is complete in the store."""
        with translate_errors(self._name), self.engine.connect() as connection:
            stage_id = connection.execute(select(Stage.id).where(Stage.key == key)).scalar()
        return stage_id is not None

    def write(self, run_id: int, stage_key: str, model_id: int, record: results.Record) -> None:
        """Store what a stage gave, with its mark, in one transaction; replaces what the same stage gave before."""
        _WRITERS[type(record)](self, run_id, stage_key, model_id, record)

    def write_scores(self, run_id: int, stage_key: str, model_id: int, scores: TaskScores) -> None:
        """Store the counts, entropies and selections of one (model, task)."""
        with self._stage(run_id, stage_key, "score") as (connection, stage_id):
            first_neuron, n_neurons = model_shape(connection, model_id)
            expected = (len(scores.class_names), n_neurons)
            if scores.positive_counts.shape != expected:
                raise ValueError(
                    f"positive_counts of {scores.task} have shape {scores.positive_counts.shape}, expected {expected}"
                )
            task = ensure_task(connection, scores.dataset, scores.attribute, scores.task)
            _remove(connection, ModelTask, stage_id, model_id=model_id, task_id=task)
            ids = {"model_id": model_id, "task_id": task, "run_id": run_id, "stage_id": stage_id}
            insert_scores(connection, ids, first_neuron, scores)

    def write_top_clips(self, run_id: int, stage_key: str, model_id: int, top_clips: TopClips) -> None:
        """Store the clips each neuron of a model answers to most in one dataset."""
        with self._stage(run_id, stage_key, "top_clips") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            dataset = dataset_id(connection, top_clips.dataset)
            which = {"model_id": model_id, "dataset_id": dataset}
            former = connection.execute(select(ModelDataset.id).filter_by(**which)).scalar()
            _remove(connection, ActivationQuantile, stage_id, model_dataset_id=former)
            _remove(connection, ModelDataset, stage_id, **which)
            owner = insert_row(connection, ModelDataset, **which, run_id=run_id, stage_id=stage_id)
            insert_top_clips(connection, owner, first_neuron, clips_of(connection, dataset), top_clips)

    def write_traces(self, run_id: int, stage_key: str, model_id: int, traces: ClipTraces) -> None:
        """Store what each neuron of a model does over one dataset's clips, beside its top clips there."""
        with self._stage(run_id, stage_key, "traces") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            dataset = dataset_id(connection, traces.dataset)
            statement = select(ModelDataset.id).filter_by(model_id=model_id, dataset_id=dataset)
            owner = connection.execute(statement).scalar()
            if owner is None:
                raise StoreError(f"dataset {traces.dataset} has no top clips of the model; write them first")
            _remove(connection, ActivationQuantile, stage_id, model_dataset_id=owner)
            insert_traces(connection, owner, stage_id, first_neuron, clips_of(connection, dataset), traces)

    def write_probe(self, run_id: int, stage_key: str, model_id: int, probe: ProbeResult) -> None:
        """Store the accuracies of one (model, task), or why there are none."""
        with self._stage(run_id, stage_key, "probe") as (connection, stage_id):
            which = {"model_id": model_id, "task_id": task_id(connection, probe.task)}
            _remove(connection, Probe, stage_id, **which)
            outcome = {"settings_json": to_json(dict(probe.settings)), "skipped": probe.skipped}
            owner = insert_row(connection, Probe, **which, run_id=run_id, stage_id=stage_id, **outcome)
            scores = of_classes(connection, which["task_id"], probe.rows.reset_index(drop=True))
            insert_frame(connection, ProbeScore, scores, probe_id=owner)

    def write_layer_probes(self, run_id: int, stage_key: str, model_id: int, layers: LayerProbes) -> None:
        """Store what heads read from each layer of one (model, task), or why there are none."""
        with self._stage(run_id, stage_key, "layer probes") as (connection, stage_id):
            which = {"model_id": model_id, "task_id": task_id(connection, layers.task)}
            _remove(connection, LayerProbe, stage_id, **which)
            outcome = {"settings_json": to_json(dict(layers.settings)), "skipped": layers.skipped, **layers.summary}
            owner = insert_row(connection, LayerProbe, **which, run_id=run_id, stage_id=stage_id, **outcome)
            if not layers.skipped:
                scores = of_classes(connection, which["task_id"], layers.scores.reset_index(drop=True))
                insert_frame(connection, LayerProbeScore, scores, layer_probe_id=owner)
                insert_frame(connection, LayerWeight, layers.weights, layer_probe_id=owner)

    def write_attributions(self, run_id: int, stage_key: str, model_id: int, attributions: Attributions) -> None:
        """Store every neuron's attribution of one (model, task), and the check on it."""
        with self._stage(run_id, stage_key, "attribution") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            which = {"model_id": model_id, "task_id": task_id(connection, attributions.task)}
            _remove(connection, Attribution, stage_id, **which)
            owner = insert_row(
                connection, Attribution, **which, run_id=run_id, stage_id=stage_id, **attributions.summary
            )
            known = class_ids(connection, which["task_id"], attributions.class_names)
            classes = np.array([known[name] for name in attributions.class_names], dtype=np.int64)
            tables = (
                (NeuronAttribution, attributions.neurons), (LayerAttribution, attributions.layers),
                (AttributionCheck, attributions.checks),
            )  # fmt: skip
            for table, rows in tables:
                if len(rows):
                    insert_frame(connection, table, rows, first_neuron, classes, attribution_id=owner)

    def write_ablations(self, run_id: int, stage_key: str, model_id: int, record: results.Ablations) -> None:
        """Store ablations of one (model, task), replacing those of the same selection, operation and gain."""
        task, ablations = record.task, record.ablations
        asked = {(a.selection, a.operation, a.gain) for a in ablations}
        asked.add((record.selection, record.operation, record.gain))
        with self._stage(run_id, stage_key, "ablate") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            key = task_id(connection, task)
            clips = clips_of(connection, select(Task.dataset_id).where(Task.id == key).scalar_subquery())
            which = {"model_id": model_id, "task_id": key}
            for selection, operation, gain in asked:
                how = {"selection": selection, "operation": operation, "gain": gain}
                _remove(connection, AblationRow, stage_id, **which, **how)
            written = {}
            for ablation in ablations:
                how = {name: getattr(ablation, name) for name in ("selection", "target", "operation", "gain")}
                owner = insert_row(
                    connection, AblationRow, **which, **how, run_id=run_id, stage_id=stage_id,
                    n_neurons=len(ablation.neuron_index), removed=ablation.removed,
                    control_removed=ablation.control_removed,
                )  # fmt: skip
                written[owner] = ablation
            insert_ablations(connection, first_neuron, key, clips, written)

    def write_erasure(self, run_id: int, stage_key: str, model_id: int, record: results.ErasureCurves) -> None:
        """Store the erasure curves of one (model, task)."""
        with self._stage(run_id, stage_key, "erasure") as (connection, stage_id):
            which = {"model_id": model_id, "task_id": task_id(connection, record.task)}
            _remove(connection, ErasureCurve, stage_id, **which)
            owner = insert_row(connection, ErasureCurve, **which, run_id=run_id, stage_id=stage_id)
            known = class_ids(connection, which["task_id"], record.class_names)
            classes = np.array([known[name] for name in record.class_names], dtype=np.int64)
            for table, rows in ((ErasurePoint, record.points), (ErasureArea, record.areas)):
                ranked = rows.rename(columns={"order": "ranked_by"})
                insert_frame(connection, table, ranked, classes=classes, erasure_curve_id=owner)

    def write_specificity(self, run_id: int, stage_key: str, model_id: int, specificity: results.Specificity) -> None:
        """Store how selections differ, in place of all of the model's."""
        with self._stage(run_id, stage_key, "specificity") as (connection, stage_id):
            _remove(connection, Specificity, stage_id, model_id=model_id)
            for row in specificity.rows.drop(columns=["model", "dataset"]).to_dict("records"):
                values = {str(name): value for name, value in row.items()}
                task = task_id(connection, values.pop("task"))
                insert_row(connection, Specificity, model_id=model_id, task_id=task, stage_id=stage_id, **values)

    def write_found_units(self, run_id: int, stage_key: str, model_id: int, found: results.FoundUnits) -> None:
        """Store what is known of a model's units that were found."""
        with self._stage(run_id, stage_key, "units") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            _remove(connection, UnitsFound, stage_id, model_id=model_id)
            insert_row(connection, UnitsFound, model_id=model_id, stage_id=stage_id)
            for table, rows in ((Autoencoder, found.autoencoders), (UnitTwin, found.twins)):
                if len(rows):
                    insert_frame(connection, table, rows, first_neuron, model_id=model_id)

    def write_reconstructions(
        self, run_id: int, stage_key: str, model_id: int, record: results.Reconstructions
    ) -> None:
        """Store what a task's head loses by a model's autoencoders."""
        with self._stage(run_id, stage_key, "reconstruction") as (connection, stage_id):
            which = {"model_id": model_id, "task_id": task_id(connection, record.task)}
            _remove(connection, Reconstruction, stage_id, **which)
            owner = insert_row(connection, Reconstruction, **which, run_id=run_id, stage_id=stage_id)
            insert_frame(connection, ReconstructedLayer, record.rows, reconstruction_id=owner)

    def write_shared(self, run_id: int, stage_key: str, model_id: int, shared: results.Sharing) -> None:
        """Store the neurons that classes share, over all tasks of a model, preset by preset."""
        with self._stage(run_id, stage_key, "share") as (connection, stage_id):
            statement = select(Task.name, TaskClass.name, TaskClass.id).join(TaskClass, TaskClass.task_id == Task.id)
            known = {(task, name): key for task, name, key in connection.execute(statement)}
            for record in shared.presets:
                which = {"model_id": model_id, "preset": record.preset}
                _remove(connection, Sharing, stage_id, **which)
                owner = insert_row(connection, Sharing, **which, run_id=run_id, stage_id=stage_id)
                classes = {
                    f"class_{of}_id": [
                        _known_class(known, task, name)
                        for task, name in zip(record.pairs[f"task_{of}"], record.pairs[f"class_{of}"], strict=True)
                    ]
                    for of in ("a", "b")
                }
                insert_frame(connection, SharedNeuron, record.pairs.assign(**classes), sharing_id=owner)

    def write_matching(self, run_id: int, stage_key: str, model_id: int, record: results.Matching) -> None:
        """Store the partners of two models' units over one dataset, in both directions."""
        with self._stage(run_id, stage_key, "match") as (connection, stage_id):
            dataset = dataset_id(connection, record.dataset)
            one, other = (model_id_of(connection, name) for name in record.models)
            for (own, partner), found in zip(((one, other), (other, one)), record.partners, strict=True):
                which = {"model_id": own, "partner_model_id": partner, "dataset_id": dataset}
                _remove(connection, Matching, stage_id, **which)
                first = model_shape(connection, own)[0], model_shape(connection, partner)[0]
                ids = {**which, "run_id": run_id, "stage_id": stage_id}
                insert_partners(connection, ids, first, found, record.facts)

    def write_descriptions(self, run_id: int, stage_key: str, model_id: int, record: results.Descriptions) -> None:
        """Store what one source says of a model's units over one dataset, and how well that predicts."""
        with self._stage(run_id, stage_key, "describe") as (connection, stage_id):
            dataset = dataset_id(connection, record.dataset)
            which = {"model_id": model_id, "dataset_id": dataset, "source": record.source}
            _remove(connection, Describing, stage_id, **which)
            first_neuron, _ = model_shape(connection, model_id)
            owner = insert_row(
                connection, Describing, **which, **record.facts, run_id=run_id, stage_id=stage_id, created_at=now()
            )
            for table, rows in ((UnitDescription, record.described), (UnitExplanation, record.explained)):
                if len(rows):
                    insert_frame(connection, table, rows, first_neuron, describing_id=owner)

    def write_map(self, run_id: int, stage_key: str, model_id: int, record: results.UnitMap) -> None:
        """Store where a model's units lie on its map, in place of the former map."""
        with self._stage(run_id, stage_key, "map") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            _remove(connection, UnitMap, stage_id, model_id=model_id)
            insert_row(connection, UnitMap, model_id=model_id, run_id=run_id, stage_id=stage_id, **record.facts)
            places = record.places.rename(columns={"x": "map_x", "y": "map_y"})
            insert_frame(connection, UnitPlace, places, first_neuron, model_id=model_id)

    def write_stimuli(self, run_id: int, stage_key: str, model_id: int, record: results.StimulusStudy) -> None:
        """Store what a model's units answer to one set of made sounds."""
        with self._stage(run_id, stage_key, "stimuli") as (connection, stage_id):
            first_neuron, _ = model_shape(connection, model_id)
            _remove(connection, StimulusSet, stage_id, model_id=model_id, name=record.stimulus_set)
            insert_study(
                connection, {"model_id": model_id, "run_id": run_id, "stage_id": stage_id}, first_neuron, record
            )

    def write_confound_answers(
        self, run_id: int, stage_key: str, model_id: int, record: results.ConfoundAnswers
    ) -> None:
        """Store what made sounds say of a model's class-specific units, in place of what they said before."""
        with self._stage(run_id, stage_key, "confound answers") as (connection, stage_id):
            _remove(connection, ConfoundAnswers, stage_id, model_id=model_id)
            insert_answers(connection, {"model_id": model_id, "run_id": run_id, "stage_id": stage_id}, record)

    def write_segments(self, run_id: int, stage_key: str, model_id: int, record: results.SegmentScores) -> None:
        """Store what a model's units do in segments of one attribute, with the segments where they are not there."""
        with self._stage(run_id, stage_key, "segments") as (connection, stage_id):
            which = {"model_id": model_id, "segment_attribute_id": ensure_segments(connection, record.labels)}
            _remove(connection, SegmentStudy, stage_id, **which)
            first_neuron, _ = model_shape(connection, model_id)
            insert_segment_scores(connection, {**which, "run_id": run_id, "stage_id": stage_id}, first_neuron, record)

    @contextmanager
    def _transaction(self, is_result: bool = True) -> Iterator[Connection]:
        """Begin a transaction; commit it, or on an error leave nothing of it."""
        with self._lock, translate_errors(self._name), self.engine.execution_options(writes=True).begin() as connection:
            yield connection
            if is_result:
                renew_stamp(connection)

    @contextmanager
    def _stage(self, run_id: int, key: str, name: str) -> Iterator[tuple[Connection, int]]:
        """Begin a transaction that marks the stage ``key`` done; yield it and the stage's id."""
        with self._transaction() as connection:
            connection.execute(delete(Stage).where(Stage.key == key))
            stage_id = insert_row(connection, Stage, key=key, run_id=run_id, name=name, finished_at=now())
            yield connection, stage_id


def _known_class(known: Mapping[tuple[str, str], int], task: str, name: str) -> int:
    """Return the id of a class that has scores."""
    if (task, name) not in known:
        raise StoreError(f"class {name} of task {task} is not in the store; write its scores first")
    return known[task, name]


def _remove(connection: Connection, table: Any, keep: int, **which: Any) -> None:
    """Delete the results of which these columns hold these values, what belongs to them, and their stages' marks.

    The mark of the stage ``keep``, which writes them anew, stays.
    """
    former = select(table.stage_id).filter_by(**which).where(table.stage_id.is_not(None))
    connection.execute(delete(Stage).where(Stage.id.in_(former), Stage.id != keep))
    connection.execute(delete(table).filter_by(**which))


_WRITERS: dict[type, Callable[[Store, int, str, int, Any], None]] = {
    TopClips: Store.write_top_clips,
    ClipTraces: Store.write_traces,
    TaskScores: Store.write_scores,
    ProbeResult: Store.write_probe,
    LayerProbes: Store.write_layer_probes,
    Attributions: Store.write_attributions,
    results.Ablations: Store.write_ablations,
    results.ErasureCurves: Store.write_erasure,
    results.Sharing: Store.write_shared,
    results.Specificity: Store.write_specificity,
    results.FoundUnits: Store.write_found_units,
    results.Reconstructions: Store.write_reconstructions,
    results.Matching: Store.write_matching,
    results.Descriptions: Store.write_descriptions,
    results.UnitMap: Store.write_map,
    results.StimulusStudy: Store.write_stimuli,
    results.ConfoundAnswers: Store.write_confound_answers,
    results.SegmentScores: Store.write_segments,
}
