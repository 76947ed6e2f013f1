"""The paper's figures, and this project's own, as named SQL over the public views.

    python -m db.reads.named                                  # their names
    python -m db.reads.named atlas.db "sharing by octave"     # one of them, as CSV

``NAMED`` maps a name to its title and its SQL; where a view would read far more than is asked for, over tables. The
texts take no parameters and run on SQLite and PostgreSQL; a view whose stage has not run gives no rows. Figures are
those of Kawamura, Niizumi, Ono (arXiv 2602.15307, 2026).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sqlalchemy import text

from core.untrusted_text import as_csv
from db.connection.open import StoreError, open_store
from db.reads.frames import frame


def _between(tasks_a: str, tasks_b: str) -> str:
    """Shared neurons of classes of two groups of tasks, whichever way round a pair is stored.

    Classes without neurons share none and are left out: with them the events of the paper fill ten thousand rows.
    """
    return f"""
SELECT model, preset, task_a, class_a, task_b, class_b, n_a, n_b, n_shared, expected, p_value, q_value,
       odds_ratio, odds_low, odds_high, CASE WHEN class_a = class_b THEN 1 ELSE 0 END AS same_class
FROM (
    SELECT model, preset, task_a, class_a, task_b, class_b, n_a, n_b, n_shared, expected, p_value, q_value,
           odds_ratio, odds_low, odds_high
    FROM shared_neurons
    UNION ALL
    SELECT model, preset, task_b, class_b, task_a, class_a, n_b, n_a, n_shared, expected, p_value, q_value,
           odds_ratio, odds_low, odds_high
    FROM shared_neurons
) AS both_ways
WHERE task_a IN ({tasks_a}) AND task_b IN ({tasks_b}) AND task_a < task_b AND n_a > 0 AND n_b > 0
ORDER BY model, preset, task_a, task_b, class_a, class_b"""


def _within(tasks: str) -> str:
    """Shared neurons of the classes of one task."""
    return f"""
SELECT model, preset, task_a AS task, class_a, class_b, n_a, n_b, n_shared, expected, p_value, q_value,
       odds_ratio, odds_low, odds_high, nested
FROM shared_neurons
WHERE task_a = task_b AND task_a IN ({tasks})
ORDER BY model, preset, task_a, n_shared DESC, class_a, class_b"""


def _answers(question: str, where: str = "") -> str:
    """What made sounds say of class-specific units, beside all units."""
    return f"""
SELECT model, unit_kind, task, preset, class_name, stimulus_set, answer, n_units, n_answer, share, share_low,
       share_high, share_all, p_value, q_value
FROM confound_answers
WHERE question = '{question}' {where}
ORDER BY model, unit_kind, task, preset, class_name, stimulus_set, answer"""


def _listed(*tasks: str) -> str:
    return ", ".join(f"'{task}'" for task in tasks)


_OCTAVES = _listed("surge-octave", "nsynth-octave", "demo-synth-octave", "demo-notes-octave")
_GENDERS = _listed("vc1-gender", "cremad-gender", "vocalsound-gender", "demo-speech-gender", "demo-digits-gender")
_EVENTS = _listed("esc50", "gise51", "us8k", "fsd50k", "vocalsound", "demo-events-event")
_GENRES = _listed("gtzan")
_EMOTIONS = _listed("cremad")
_LANGUAGES = _listed("voxforge", "vocalsound-language", "demo-speech-language")

NAMED: dict[str, tuple[str, str]] = {
    "coverage": (
        "Classes that have neurons, by model and task, beside the same selection on shuffled labels",
        """
SELECT model, task, preset, n_clips, n_classes, n_classes_covered, coverage, null_coverage_mean, null_coverage_low,
       null_coverage_high, n_class_specific, null_n_class_specific_mean, n_shuffles, replicated_share,
       replicated_share_all_pairs
FROM task_coverage
ORDER BY task, preset, model""",
    ),
    "models compared": (
        "Mean coverage and mean count of class-specific neurons over the tasks of clips of each model",
        """
SELECT model, preset, COUNT(*) AS n_tasks, AVG(coverage) AS coverage, AVG(null_coverage_mean) AS null_coverage,
       AVG(n_class_specific) AS n_class_specific, AVG(null_n_class_specific_mean) AS null_n_class_specific
FROM task_coverage
WHERE NOT EXISTS (SELECT 1 FROM segment_tasks WHERE segment_tasks.task = task_coverage.task)
GROUP BY model, preset
ORDER BY preset, model""",
    ),
    "in time": (
        "Classes of segments that have units, by model and task, beside the same rule on labels shifted in time",
        """
SELECT model, unit_kind, task, n_clips, n_classes, n_classes_covered, coverage, null_coverage_mean, null_coverage_low,
       null_coverage_high, n_class_specific, null_n_class_specific_mean, replicated_share, replicated_share_all_pairs,
       column_seconds, median_seconds, is_coarse
FROM segment_tasks
ORDER BY task, model, unit_kind""",
    ),
    "latencies by layer": (
        "How soon units answer to onsets, layer by layer: those whose curve leaves the band of shifted activity",
        """
SELECT model, unit_kind, task, layer, COUNT(*) AS n_curves, AVG(latency_seconds) AS latency_mean,
       MIN(latency_seconds) AS latency_lowest, MAX(latency_seconds) AS latency_highest,
       AVG(onset_index) AS onset_index, AVG(sustain_index) AS sustain_index, AVG(offset_index) AS offset_index
FROM segment_shapes
WHERE is_beyond = 1
GROUP BY model, unit_kind, task, layer
ORDER BY task, model, unit_kind, layer""",
    ),
    "units compared": (
        "Kinds of unit under the same evidence: coverage beside its null, units with evidence per 1,000, selective "
        "ones, replicated, found again by another seed, and what classes lose without their own, beyond random sets, "
        "by share, number and norm (mean, and the lowest and highest class)",
        """
SELECT coverage.model, coverage.task, coverage.unit_kind, counted.n_units, coverage.coverage,
       coverage.null_coverage_high, 1000.0 * coverage.n_class_specific / counted.n_units AS per_1000,
       1000.0 * coverage.null_n_class_specific_high / counted.n_units AS null_per_1000_high,
       selective.share AS selective_share, coverage.replicated_share, coverage.replicated_share_all_pairs,
       found.share AS found_again, effect.selection, effect.operation, effect.n_classes, effect.n_hold,
       effect.n_neurons, effect.removed, effect.control_removed, effect.selective, effect.random,
       effect.beyond_random, effect.lowest, effect.highest
FROM unit_coverage AS coverage
JOIN (SELECT model, unit_kind, COUNT(*) AS n_units FROM units GROUP BY model, unit_kind) AS counted
    ON counted.model = coverage.model AND counted.unit_kind = coverage.unit_kind
JOIN (
    SELECT model, task, unit_kind,
           AVG(CASE WHEN entropy_q_value < 0.05 THEN 1.0 WHEN entropy_q_value >= 0.05 THEN 0.0 END) AS share
    FROM unit_selectivity WHERE preset = 'calibrated' AND entropy IS NOT NULL
    GROUP BY model, task, unit_kind
) AS selective ON selective.model = coverage.model AND selective.task = coverage.task
    AND selective.unit_kind = coverage.unit_kind
LEFT JOIN (
    SELECT model, unit_kind, AVG(1.0 * found_again) AS share FROM unit_stability GROUP BY model, unit_kind
) AS found ON found.model = coverage.model AND found.unit_kind = coverage.unit_kind
LEFT JOIN (
    SELECT model, task, unit_kind, selection, operation, COUNT(*) AS n_classes, SUM(holds) AS n_hold,
           AVG(n_neurons) AS n_neurons, AVG(removed) AS removed, AVG(control_removed) AS control_removed,
           AVG(selective) AS selective, AVG(control_selective_mean) AS random,
           AVG(selective - control_selective_mean) AS beyond_random,
           MIN(selective - control_selective_mean) AS lowest, MAX(selective - control_selective_mean) AS highest
    FROM unit_ablation_effects
    WHERE target = affected_class AND selective IS NOT NULL
    GROUP BY model, task, unit_kind, selection, operation
) AS effect ON effect.model = coverage.model AND effect.task = coverage.task
    AND effect.unit_kind = coverage.unit_kind
WHERE coverage.preset = 'calibrated'
ORDER BY coverage.model, coverage.task, effect.selection, effect.operation, coverage.unit_kind""",
    ),
    "units with a partner": (
        "Units of each model that have a partner in another (each the other's most alike), beside dealt clips; "
        "untrained models stand among the others",
        """
SELECT model, unit_kind, partner_model, partner_kind, dataset, n_matched, n_partners, share, null_share,
       null_share_high, n_beyond, share_beyond
FROM matched_models
ORDER BY dataset, model, unit_kind, partner_model, partner_kind""",
    ),
    "units described": (
        "Units of each layer that a description tells of better than descriptions of other units do, on held-out clips",
        """
SELECT described.model, described.unit_kind, described.author, described.layer, COUNT(*) AS n_described,
       SUM(described.beats_null) AS n_beat, layer.width AS n_units,
       CAST(SUM(described.beats_null) AS DOUBLE PRECISION) / layer.width AS share_beat,
       AVG(described.correlation) AS mean_correlation, AVG(described.null_correlation_high) AS mean_null_high
FROM unit_descriptions AS described
JOIN model ON model.encoder = described.model AND model.unit_kind = described.unit_kind
JOIN layer ON layer.model_id = model.id AND layer.layer = described.layer
GROUP BY described.model, described.unit_kind, described.author, described.layer, layer.width
ORDER BY described.model, described.unit_kind, described.author, described.layer""",
    ),
    "units compared by layer": (
        "Kinds of unit layer by layer: units with evidence per 1,000 beside shuffled labels, classes covered, "
        "replicated, found again by another seed",
        """
SELECT layers.model, layers.task, layers.unit_kind, layers.layer, layers.n_units,
       1000.0 * layers.n_class_specific / layers.n_units AS per_1000,
       1000.0 * layers.null_n_class_specific_high / layers.n_units AS null_per_1000_high,
       layers.n_classes, layers.n_classes_covered, layers.null_n_classes_covered_high, layers.replicated_share,
       layers.replicated_share_all_pairs, found.share AS found_again
FROM unit_coverage_by_layer AS layers
LEFT JOIN (
    SELECT model, unit_kind, layer, AVG(1.0 * found_again) AS share FROM unit_stability
    GROUP BY model, unit_kind, layer
) AS found ON found.model = layers.model AND found.unit_kind = layers.unit_kind AND found.layer = layers.layer
WHERE layers.preset = 'calibrated' AND layers.n_units > 0
ORDER BY layers.model, layers.task, layers.unit_kind, layers.layer""",
    ),
    "neurons by layer": (
        "Class-specific neurons of each layer, and their share of the layer",
        """
SELECT model.name AS model, task.name AS task, selection.preset, layer.layer,
       COALESCE(found.n_class_specific, 0) AS n_class_specific, layer.width AS n_neurons,
       CAST(COALESCE(found.n_class_specific, 0) AS DOUBLE PRECISION) / layer.width AS share
FROM selection
JOIN model_task ON model_task.id = selection.model_task_id
JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
JOIN task ON task.id = model_task.task_id
JOIN layer ON layer.model_id = model.id
LEFT JOIN (
    SELECT selection_id, neuron.layer, COUNT(DISTINCT neuron_id) AS n_class_specific
    FROM class_specific_neuron
    JOIN neuron ON neuron.id = class_specific_neuron.neuron_id
    GROUP BY selection_id, neuron.layer
) AS found ON found.selection_id = selection.id AND found.layer = layer.layer
ORDER BY model.name, task.name, selection.preset, layer.layer""",
    ),
    "sharing by octave": (
        "Neurons that octaves share between synthesised and recorded notes",
        _between(_OCTAVES, _OCTAVES),
    ),
    "sharing by gender": (
        "Neurons that genders share between datasets of speech",
        _between(_GENDERS, _GENDERS),
    ),
    "sharing by event": (
        "Neurons that sound events share between datasets",
        _between(_EVENTS, _EVENTS),
    ),
    "sharing of genres": ("Neurons that genres of music share", _within(_GENRES)),
    "sharing of emotions": ("Neurons that emotions of speech share", _within(_EMOTIONS)),
    "sharing of languages": ("Neurons that languages share", _within(_LANGUAGES)),
    "sharing beyond chance": (
        "Classes of different tasks that share more neurons than chance gives (q < 0.05), most over chance first",
        """
SELECT model, preset, task_a, class_a, task_b, class_b, n_a, n_b, n_shared, expected, q_value,
       odds_ratio, odds_low, odds_high
FROM shared_neurons
WHERE task_a <> task_b AND q_value < 0.05
ORDER BY model, preset, n_shared / NULLIF(expected, 0) DESC NULLS LAST, task_a, class_a, task_b, class_b""",
    ),
    "self and cross": (
        "What taking out a class's neurons does to the class itself and to the others, beside random sets",
        """
SELECT model, task, selection, target, operation, gain, n_neurons,
       MAX(CASE WHEN affected_class = target THEN delta END) AS self_delta,
       MAX(CASE WHEN affected_class = target THEN ci_low END) AS self_low,
       MAX(CASE WHEN affected_class = target THEN ci_high END) AS self_high,
       MAX(CASE WHEN affected_class = target THEN q_value END) AS self_q_value,
       MAX(CASE WHEN affected_class = target THEN control_delta_mean END) AS self_control_delta,
       AVG(CASE WHEN affected_class <> target THEN delta END) AS cross_delta
FROM ablation_effects
GROUP BY model, task, selection, target, operation, gain, n_neurons
ORDER BY model, task, selection, operation, gain NULLS FIRST, target""",
    ),
    "what kind of effect": (
        "What classes lose without their own neurons, taken apart, by rule and size: means over classes",
        """
SELECT model, task, selection, operation, gain, outcome, AVG(n_neurons) AS n_neurons, COUNT(*) AS n_classes,
       SUM(CASE WHEN q_value < 0.05 AND outside_controls = 1 THEN 1 ELSE 0 END) AS n_hold,
       AVG(change) AS change, AVG(control_mean) AS control_mean, AVG(beyond_control) AS beyond_control
FROM ablation_outcomes
WHERE affected_class = target
GROUP BY model, task, selection, operation, gain, outcome
ORDER BY model, task, selection, operation, gain NULLS FIRST, outcome""",
    ),
    "what can still be read": (
        "Accuracy on each class without its neurons: frozen probe, offsets refitted, whole probe refitted",
        """
SELECT model, task, selection, operation, gain, target, n_neurons, n_clips, accuracy_unablated, accuracy_ablated,
       readable_offsets, readable_refit
FROM ablation_effects
WHERE affected_class = target AND readable_refit IS NOT NULL
ORDER BY model, task, selection, operation, gain NULLS FIRST, target""",
    ),
    "linear heads": (
        "How well the linear probe does on test clips, beside chance",
        """
SELECT model, task, metric, n_clips, accuracy, chance
FROM probe_accuracy
WHERE split = 'test' AND class_name IS NULL
ORDER BY task, model""",
    ),
    "accuracy by layer": (
        "What a linear head reads from each layer on test clips, beside chance and shuffled labels",
        """
SELECT probes.model, probes.task, probes.layer, probes.metric, probes.n_clips, probes.accuracy, probes.ci_low,
       probes.ci_high, probes.chance, probes.shuffled_high, weights.weight, summary.best_layer,
       summary.best_difference, summary.best_difference_low, summary.best_difference_high
FROM layer_probes AS probes
JOIN layer_summaries AS summary ON summary.model = probes.model AND summary.task = probes.task
    AND summary.unit_kind = probes.unit_kind
LEFT JOIN layer_weights AS weights ON weights.model = probes.model AND weights.task = probes.task
    AND weights.unit_kind = probes.unit_kind AND weights.layer = probes.layer
WHERE probes.split = 'test'
ORDER BY probes.task, probes.model, probes.unit_kind, probes.layer""",
    ),
    "coverage by evidence": (
        "Coverage by the rule of evidence alone, beside shuffled labels and what holds on test clips",
        """
SELECT model, task, n_classes, coverage, null_coverage_low, null_coverage_high,
       n_class_specific, null_n_class_specific_mean, replicated_share, replicated_share_all_pairs
FROM task_coverage
WHERE preset = 'calibrated'
ORDER BY task, model""",
    ),
    "most selective neurons": (
        "The neurons with the surest preference for one class that holds on test clips",
        """
SELECT model, task, class_name, layer, neuron, activation_probability, lift, lift_low, lift_high, entropy, q_value
FROM class_specific_neurons
WHERE preset = 'calibrated' AND replicated = 1 AND lift_low IS NOT NULL
ORDER BY lift_low DESC, model, task, layer, neuron
LIMIT 200""",
    ),
    "lowest entropies": (
        "The ten lowest entropies (0: fires in one class alone), the most active of equals first, beside their q",
        """
SELECT model, task, layer, neuron, top_class, entropy, max_probability, entropy_q_value
FROM neuron_selectivity
WHERE preset = 'calibrated' AND entropy IS NOT NULL
ORDER BY entropy, max_probability DESC, model, task, layer, neuron
LIMIT 10""",
    ),
    "neurons of most tasks": (
        "Neurons that are class-specific in the most tasks",
        """
SELECT model, layer, neuron, COUNT(DISTINCT task) AS n_tasks, COUNT(*) AS n_classes, MIN(q_value) AS least_q_value
FROM class_specific_neurons
WHERE preset = 'calibrated'
GROUP BY model, layer, neuron
ORDER BY n_tasks DESC, n_classes DESC, model, layer, neuron
LIMIT 200""",
    ),
    "classes by neuron": (
        "How many neurons answer to one class of a task, to two, to more",
        """
SELECT model, task, n_classes_of_neuron, COUNT(*) AS n_neurons
FROM (
    SELECT model, task, layer, neuron, COUNT(*) AS n_classes_of_neuron
    FROM class_specific_neurons
    WHERE preset = 'calibrated'
    GROUP BY model, task, layer, neuron
) AS by_neuron
GROUP BY model, task, n_classes_of_neuron
ORDER BY model, task, n_classes_of_neuron""",
    ),
    "dead neurons": (
        "Neurons of each layer that fire on no class of any task",
        """
SELECT model.name AS model, neuron.layer, SUM(CASE WHEN EXISTS (
           SELECT 1 FROM model_task
           JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id AND neuron_entropy.neuron_id = neuron.id
           WHERE model_task.model_id = neuron.model_id AND neuron_entropy.max_probability > 0
       ) THEN 0 ELSE 1 END) AS n_dead, COUNT(*) AS n_neurons
FROM (
    SELECT id, name FROM model
    WHERE unit_kind = 'mlp' AND EXISTS (
        SELECT 1 FROM model_task JOIN neuron_entropy ON neuron_entropy.model_task_id = model_task.id
        WHERE model_task.model_id = model.id
    )
) AS model
JOIN neuron ON neuron.model_id = model.id
GROUP BY model.name, neuron.layer
ORDER BY model.name, neuron.layer""",
    ),
    "classes without neurons": (
        "Classes that no neuron is specific for, by the rule of evidence",
        """
SELECT of_class.model, of_class.task, of_class.class_name, of_class.token_count
FROM activation_probabilities AS of_class
JOIN task_coverage ON task_coverage.model = of_class.model AND task_coverage.task = of_class.task
    AND task_coverage.preset = 'calibrated'
LEFT JOIN (
    SELECT DISTINCT model, task, class_name FROM class_specific_neurons WHERE preset = 'calibrated'
) AS found ON found.model = of_class.model AND found.task = of_class.task AND found.class_name = of_class.class_name
WHERE of_class.layer = 0 AND of_class.neuron = 0 AND found.class_name IS NULL
ORDER BY of_class.model, of_class.task, of_class.class_name""",
    ),
    "significant effects": (
        "Ablations beyond every random set, with q below 0.05 and an interval that excludes 0",
        """
SELECT model, task, selection, operation, gain, target, affected_class, n_clips, delta, ci_low, ci_high, q_value,
       control_delta_mean, control_delta_low, control_delta_high, n_controls
FROM ablation_effects
WHERE q_value < 0.05 AND (ci_low > 0 OR ci_high < 0)
  AND (delta < control_delta_low OR delta > control_delta_high)
ORDER BY delta, model, task, selection, gain NULLS FIRST, target, affected_class NULLS FIRST""",
    ),
    "largest effects": (
        "The ablations that cost a class most, significant or not, beside random sets",
        """
SELECT model, task, selection, operation, gain, target, affected_class, n_clips, delta, ci_low, ci_high, q_value,
       control_delta_mean, control_delta_low, control_delta_high, n_controls
FROM ablation_effects
WHERE affected_class IS NOT NULL
ORDER BY delta NULLS LAST, model, task, target, affected_class, selection, gain NULLS FIRST
LIMIT 100""",
    ),
    "told by level or spectrum": (
        "Tasks that level, duration, silence or the mean spectrum tell over chance, or as well as the model",
        """
SELECT model, task, feature, metric, accuracy, ci_low, ci_high, chance, n_clips, mark
FROM confound_probes
WHERE mark <> ''
ORDER BY model, task, feature, group_name""",
    ),
    "explained pairs": (
        "How many pairs of class and neuron level, duration or silence explain",
        """
SELECT model, task, CASE WHEN explained_by = '' OR explained_by IS NULL THEN 'nothing' ELSE explained_by END
       AS explained_by, COUNT(*) AS n_pairs
FROM class_specific_neurons
WHERE preset = 'calibrated'
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3""",
    ),
    "coverage by threshold": (
        "The paper's rule at other entropy rates, beside shuffled labels",
        """
SELECT model, task, preset, entropy_rate, probability_bar, coverage, null_coverage_mean, null_coverage_low,
       null_coverage_high, n_class_specific, null_n_class_specific_mean
FROM coverage_curves
WHERE preset = 'aape' AND probability_bar > 0.94 AND probability_bar < 0.96
ORDER BY model, task, entropy_rate""",
    ),
    "selectors that agree": (
        "How far the field's selectivity scores choose the same neurons, mean over tasks",
        """
SELECT model, selector_a, selector_b, AVG(spearman) AS spearman, AVG(overlap) AS overlap,
       AVG(expected_overlap) AS expected_overlap, COUNT(*) AS n_tasks
FROM selector_agreement
GROUP BY model, selector_a, selector_b
ORDER BY model, overlap DESC NULLS LAST, selector_a, selector_b""",
    ),
    "stability": (
        "What two halves of the clips choose alike, beside sets of that size by chance",
        """
SELECT model, task, preset, n_pairs_mean, jaccard_mean, jaccard_low, jaccard_high, jaccard_expected
FROM selection_stability
ORDER BY preset, model, task""",
    ),
    "octave tuning": (
        "Neurons of pitch tasks, and how many answer to octaves (interval over 0; 2.5 in 100 would by chance)",
        """
SELECT model, task, COUNT(*) AS n_neurons, AVG(bandwidth_semitones) AS mean_bandwidth,
       SUM(CASE WHEN oei_low > 0 THEN 1 ELSE 0 END) AS n_octave_equivalent,
       0.025 * COUNT(octave_equivalence_index) AS expected_by_chance
FROM neuron_tuning
GROUP BY model, task
ORDER BY model, task""",
    ),
    "preferences": (
        "Of the class-specific neurons of a task, how many surely fire more, or less, in each class",
        """
SELECT model.name AS model, task.name AS task, task_class.name AS class_name, counted.n_neurons,
       counted.n_more, counted.n_less
FROM (
    SELECT model_task_id, class_id, COUNT(*) AS n_neurons, SUM(CASE WHEN ci_low > 0 THEN 1 ELSE 0 END) AS n_more,
           SUM(CASE WHEN ci_high < 0 THEN 1 ELSE 0 END) AS n_less
    FROM neuron_preference
    GROUP BY model_task_id, class_id
) AS counted
JOIN model_task ON model_task.id = counted.model_task_id
JOIN model ON model.id = model_task.model_id AND model.unit_kind = 'mlp'
JOIN task ON task.id = model_task.task_id
JOIN task_class ON task_class.id = counted.class_id
ORDER BY model.name, task.name, task_class.name""",
    ),
    "factors of made sounds": (
        "Of each set of made sounds and factor the units that it explains, beside permuted labels",
        """
SELECT model, unit_kind, stimulus_set, factor, SUM(n_varying) AS n_varying, SUM(n_found) AS n_found,
       SUM(null_mean) AS null_n_found_mean, SUM(n_leading) AS n_leading
FROM stimulus_layers
GROUP BY model, unit_kind, stimulus_set, factor
ORDER BY model, unit_kind, stimulus_set, n_leading DESC, factor""",
    ),
    "gender by made vowels": (
        "Do units that are specific for a gender follow pitch, the length of the vocal tract, both or neither?",
        _answers("gender"),
    ),
    "notes kept": (
        "Which units that are specific for a pitch or octave keep their note over timbres and levels of made tones?",
        _answers("note"),
    ),
    "tuning kept": (
        "Does the tuning over one factor of made sounds stay at each level of another (pitch without its fundamental)?",
        """
SELECT model, unit_kind, stimulus_set, factor, other_factor, COUNT(*) AS n_units, AVG(kept) AS kept,
       AVG(null_kept) AS null_kept,
       AVG(CASE WHEN correlation > null_correlation_high THEN 1.0 ELSE 0.0 END) AS share_alike
FROM unit_invariance
GROUP BY model, unit_kind, stimulus_set, factor, other_factor
ORDER BY model, unit_kind, stimulus_set, factor, other_factor""",
    ),
    "classes by made sounds": (
        "Factors of made sounds that a class's specific units follow more often than other units do",
        _answers("follows", "AND q_value < 0.05"),
    ),
    "clips by class": (
        "Clips of each class and split",
        """
SELECT dataset, attribute, value, split, COUNT(*) AS n_clips, AVG(duration_seconds) AS mean_seconds
FROM clip_labels
GROUP BY dataset, attribute, value, split
ORDER BY dataset, attribute, value, split""",
    ),
}
"""Name to (title, SQL)."""

PAPER = (
    "coverage",
    "models compared",
    "neurons by layer",
    "sharing by octave",
    "sharing by gender",
    "sharing by event",
    "sharing of genres",
    "sharing of emotions",
    "sharing of languages",
    "self and cross",
)
"""Those of `NAMED` that ask what a table or figure of the paper shows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the names, or what one of the queries finds in a store as CSV; returns the exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given:
        width = max(map(len, NAMED))
        print("\n".join(f"{name:{width}}  {title}" for name, (title, _) in NAMED.items()))
        return 0
    try:
        if len(given) != 2 or given[1] not in NAMED:
            raise StoreError('expected a store and the name of a query, for instance atlas.db "sharing by octave"')
        engine = open_store(given[0], read_only=True)
        print(as_csv(frame(engine, text(NAMED[given[1]][1]))), end="")
        engine.dispose()
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
