"""The paper's figures, and this project's own, as named SQL over the public views.

    python -m db.named_queries                                  # their names
    python -m db.named_queries atlas.db "sharing by octave"     # one of them, as CSV

``NAMED`` maps a name to its title and its SQL. The text takes no parameters and runs on SQLite and PostgreSQL; a
view whose stage has not run gives no rows. Figures are those of Kawamura, Niizumi, Ono (arXiv 2602.15307, 2026).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sqlalchemy import text

from db.frames import frame
from db.session import StoreError, open_store


def _between(tasks_a: str, tasks_b: str) -> str:
    """Shared neurons of classes of two groups of tasks, whichever way round a pair is stored."""
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
WHERE task_a IN ({tasks_a}) AND task_b IN ({tasks_b}) AND task_a < task_b
ORDER BY model, preset, task_a, task_b, class_a, class_b"""


def _within(tasks: str) -> str:
    """Shared neurons of the classes of one task."""
    return f"""
SELECT model, preset, task_a AS task, class_a, class_b, n_a, n_b, n_shared, expected, p_value, q_value,
       odds_ratio, odds_low, odds_high, nested
FROM shared_neurons
WHERE task_a = task_b AND task_a IN ({tasks})
ORDER BY model, preset, task_a, n_shared DESC, class_a, class_b"""


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
        "Mean coverage and mean count of class-specific neurons over the tasks of each model",
        """
SELECT model, preset, COUNT(*) AS n_tasks, AVG(coverage) AS coverage, AVG(null_coverage_mean) AS null_coverage,
       AVG(n_class_specific) AS n_class_specific, AVG(null_n_class_specific_mean) AS null_n_class_specific
FROM task_coverage
GROUP BY model, preset
ORDER BY preset, model""",
    ),
    "neurons by layer": (
        "Class-specific neurons of each layer, and their share of the layer",
        """
SELECT model, task, preset, layer, SUM(is_class_specific) AS n_class_specific, COUNT(*) AS n_neurons,
       CAST(SUM(is_class_specific) AS DOUBLE PRECISION) / COUNT(*) AS share
FROM neuron_selectivity
GROUP BY model, task, preset, layer
ORDER BY model, task, preset, layer""",
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
ORDER BY model, preset, n_shared / NULLIF(expected, 0) DESC, task_a, class_a, task_b, class_b""",
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
ORDER BY model, task, selection, operation, gain, target""",
    ),
    "linear heads": (
        "How well the linear head does on test clips, beside chance",
        """
SELECT model, task, metric, n_clips, accuracy, chance
FROM probe_accuracy
WHERE split = 'test' AND class_name IS NULL
ORDER BY task, model""",
    ),
}
"""Name to (title, SQL)."""


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
        print(frame(engine, text(NAMED[given[1]][1])).to_csv(index=False), end="")
        engine.dispose()
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
