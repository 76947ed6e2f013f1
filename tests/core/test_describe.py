"""Terms, scores and sentences by hand; planted units that must be named, and noise that must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from core.describe import given
from core.describe.deals import deals
from core.describe.describe import Heard, own, scored
from core.describe.descriptors import PLACE
from core.describe.explain import N_SHIFTS, Table, explain
from core.describe.scores import average_precision, highest, score
from core.describe.sentence import Facts, ancestor, sentence, trees
from core.describe.terms import Term, Vocabulary, shaped
from core.describe.tokens import Tokens, column_spans
from core.errors import InputError
from core.results import TokenGrid
from tests.support.planted_descriptions import heard, with_units


@pytest.fixture(scope="module")
def moments() -> Heard:
    return heard(120)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Four clips; level 0 to 3 dB among the reference, nothing else known."""
    reference = np.full((4, len(PLACE)), np.nan, dtype=np.float32)
    reference[:, PLACE["level"]] = [0, 1, 2, 3]
    classes = {"dog": np.array([1, 0, 0, 0], bool), "door_knock": np.array([0, 1, 0, 0], bool)}
    return Vocabulary(classes, reference)


def test_terms_predict_what_they_say(vocabulary: Vocabulary) -> None:
    clip, sound = np.arange(4), vocabulary.reference
    value = vocabulary.value
    assert value(Term("class", "dog"), clip, sound).tolist() == [1, 0, 0, 0]
    rank = [0.125, 0.375, 0.625, 0.875]
    assert value(Term("descriptor", "level", "high"), clip, sound).tolist() == rank
    assert value(Term("descriptor", "level", "low"), clip, sound).tolist() == rank[::-1]
    assert value(Term("descriptor", "level", ">1.5"), clip, sound).tolist() == [0, 0, 1, 1]
    assert value(Term("descriptor", "f0", "high"), clip, sound).tolist() == [0.5] * 4, "nothing is known of it"
    very = shaped(np.array([0, 0.8, 0.9, 1], dtype=np.float32), "very high")
    assert very.tolist() == pytest.approx([0, 0, 0.5, 1], abs=1e-6)
    terms = [Term("class", "dog"), Term("class", "door_knock"), Term("descriptor", "level", ">1.5")]
    assert vocabulary.predict(terms, clip, sound).tolist() == [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "terms", "unknown"),
    [
        ("class:door knock; descriptor:flatness>0.7", ["class:door_knock", "descriptor:flatness>0.7"], []),
        ("descriptor:band 7 very low ; descriptor:F0", ["descriptor:band 7 very low", "descriptor:f0 high"], []),
        ("class:whale; descriptor:colour high", [], ["class:whale", "descriptor:colour high"]),
        ("Noisy, loud dogs", ["class:dog", "descriptor:flatness high", "descriptor:level high"], []),
        ("a door knock, high pitch", ["class:door_knock", "descriptor:f0 high"], ["a"]),
        ("hotdogma", [], ["hotdogma"]),
    ],
)
def test_descriptions_are_read(vocabulary: Vocabulary, text: str, terms: list[str], unknown: list[str]) -> None:
    found, not_known = vocabulary.read(text)
    assert (sorted(map(str, found)), not_known) == (terms, unknown)
    again, _ = vocabulary.read("; ".join(map(str, found)))
    assert again == found or not found


def test_scores_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    predicted = np.round(rng.standard_normal((200, 3)), 1).astype(np.float32)  # with ties
    y = (predicted + rng.standard_normal((200, 3))).astype(np.float32)
    clip = np.repeat(np.arange(20), 10)
    found = score(predicted, y, clip)
    for i in range(3):
        on = y[:, i] >= np.sort(y[:, i])[-10]
        guess = predicted[:, i] >= np.sort(predicted[:, i])[-10]
        guess = guess if guess.sum() == 10 else predicted[:, i] > np.sort(predicted[:, i])[-10]
        assert found.correlation[i] == pytest.approx(np.corrcoef(predicted[:, i], y[:, i])[0, 1], abs=1e-5)
        assert found.average_precision[i] == pytest.approx(average_precision_score(on, predicted[:, i]))
        assert found.f1[i] == pytest.approx(f1_score(on, guess))
        tops = [set(np.argsort(of[:, i].reshape(20, 10).mean(1))[-2:]) for of in (predicted, y)]
        assert found.iou[i] == pytest.approx(len(tops[0] & tops[1]) / len(tops[0] | tops[1]))
    flat = score(np.zeros((200, 1), np.float32), y[:, :1], clip)
    assert all(np.isnan(getattr(flat, name)[0]) for name in ("correlation", "average_precision", "f1", "iou"))
    constant = average_precision(np.zeros((10, 1), np.float32), np.eye(10, 1, dtype=np.float32))
    assert constant.tolist() == [0.1], "equal predictions count together, in whatever order"


def test_missing_and_extra_labels_lower_every_score(moments: Heard) -> None:
    """The two checks of NeuronEval (arXiv 2506.05774), on a unit of two of four classes."""
    clip, rng = moments.tokens.clip, np.random.default_rng(0)
    true = moments.vocabulary.predict([Term("class", "bell"), Term("class", "hum")], clip, moments.tokens.sound)
    values = (true + 0.1 * rng.standard_normal(len(true))).astype(np.float32)[:, None]
    of = Heard(moments.scan, moments.drawn, Tokens(clip, values, moments.tokens.sound), 0)

    def scores(*names: str) -> np.ndarray:
        row = scored(of, {0: [Term("class", name) for name in names]}, {}).iloc[0]
        return row[["correlation", "average_precision", "f1", "iou"]].to_numpy(dtype=float)

    whole = scores("bell", "hum")
    assert (scores("bell", "hum", "hiss") < whole).all(), "a label too many"
    assert (scores("bell")[:1] < whole[:1]).all() and (scores("bell", "hiss") < whole).all()
    # F1 and IoU look at the highest moments: a unit that is on in one class is lacking it where it is not named.
    values[:] = of.vocabulary.value(Term("class", "bell"), clip, moments.tokens.sound)[:, None] + values * 0.01
    assert (scores("hum") < scores("bell", "hum")).all(), "a label too few"
    assert (scores("bell", "hum") < scores("bell")).all()


@pytest.mark.parametrize("n_classes", [4, 10, 25, 50])
def test_a_class_is_scored_in_its_clips_however_rare_it_is(n_classes: int) -> None:
    """The two checks again, by scores alone: the right class, it and another, another; a unit of two, told by one."""
    clip = np.repeat(np.arange(200), 8)
    of = (np.arange(200) % n_classes == np.arange(n_classes)[:, None])[:, clip].T.astype(np.float32)
    rng = np.random.default_rng(0)
    one, two = (on[:, None] + 0.1 * rng.standard_normal((len(clip), 1)) for on in (of[:, 0], of[:, 0] + of[:, 1]))

    def scores(predicted: np.ndarray, y: np.ndarray) -> np.ndarray:
        found = score(predicted.astype(np.float32)[:, None], y.astype(np.float32), clip)
        return np.array([found.correlation, found.average_precision, found.f1, found.iou])[:, 0]

    right, more, other = of[:, 0], of[:, 0] + of[:, 1], of[:, 1]
    assert (scores(right, one) > scores(more, one)).all() and (scores(more, one) > scores(other, one)).all()
    assert (scores(more, two) > scores(right, two))[[0, 2, 3]].all()
    assert scores(other, one)[2:].max() < 0.1


def test_a_unit_that_is_seldom_on_is_on_then_alone() -> None:
    rng = np.random.default_rng(0)
    y = np.where(rng.random(4000) < 0.01, 1 + rng.random(4000), 0).astype(np.float32)[:, None]
    noise, clip = rng.random((4000, 1)).astype(np.float32), np.repeat(np.arange(400), 10)
    found = score(noise, y, clip)
    assert found.average_precision[0] == pytest.approx(average_precision_score(y[:, 0] > 0, noise[:, 0]))
    assert found.average_precision[0] < 0.05 and found.f1[0] < 0.1
    assert score(y, y, clip).f1[0] == 1 and score(y, y, clip).iou[0] == 1
    assert highest(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), 0.5).T.tolist() == [
        [0, 0, 0, 1],
        [1, 1, 1, 0],
    ]


def test_clips_change_places_whole_and_within_their_groups() -> None:
    clip = np.repeat(np.arange(6), [3, 3, 3, 3, 2, 4])
    starts, group = np.array([0, 3, 6, 9, 12, 14]), np.array([0, 0, 1, 1, 2, 2])
    for taken in deals(clip, group[clip], 50, 0):
        firsts = taken[starts]
        assert set(firsts) <= set(starts), "a clip begins with the beginning of another"
        of = group[np.searchsorted(starts, firsts)]
        assert (of[::2] == of[1::2]).all() and len(set(of)) == 3, "groups stay together"
        assert (np.diff(taken)[clip[1:] == clip[:-1]] >= 0).all(), "moments stay in order"
    gaps = deals(np.array([0, 0, 5, 5]), np.array([2, 2, 9, 9]), 20, 0)
    assert {tuple(taken) for taken in gaps} == {(0, 1, 2, 3), (2, 3, 0, 1)}, "clips without a moment leave gaps"
    same = deals(np.repeat(np.arange(4), 2), np.repeat(np.arange(4), 2), 200, 1)
    assert (np.sort(same, axis=1) == np.arange(8)).all() and abs((same[:, 0] == 0).mean() - 0.25) < 0.1


@pytest.mark.parametrize("n_groups", [120, 12])
def test_noise_that_lasts_over_clips_and_voices_is_named_once_in_forty(moments: Heard, n_groups: int) -> None:
    """Of units that are the same over a whole clip, or nearly over all clips of a voice."""
    n, rng = moments.drawn.n_chosen, np.random.default_rng(5)
    group = np.sort(np.arange(n) % n_groups)
    clip = np.repeat(np.arange(n), 12)
    terms = np.column_stack([rng.standard_normal((n_groups, 12))[group] + rng.standard_normal((n, 12))])[clip]
    y = (rng.standard_normal((n_groups, 800))[group] + 0.3 * rng.standard_normal((n, 800)))[clip]
    table = Table(terms.astype(np.float32), np.arange(12), np.zeros(12, bool), group[clip] * 5 // n_groups)
    found = explain(
        table, y.astype(np.float32), np.zeros(12, bool), deals(clip, group[clip], N_SHIFTS, 0), lambda: None
    )
    assert (found.both.explained > found.null_high).mean() < 0.045


def test_planted_terms_are_named_and_noise_is_not(moments: Heard) -> None:
    planted, truth = with_units(moments, 20, 20)
    described, explained = own(planted, lambda: None)
    named = {row.neuron_index: planted.vocabulary.read(row.predicts)[0] for row in described.itertuples()}
    right = [any((t.kind, t.name) == (one.kind, one.name) for t in named.get(i, ())) for i, one in enumerate(truth)]
    assert sum(right) >= 18 and sum(unit >= 20 for unit in named) <= 2
    assert described.loc[described["neuron_index"] < 20, "beats_null"].mean() > 0.9
    assert (described["correlation"] > described["shifted_high"])[described["neuron_index"] < 20].all()
    assert len(explained) == 40 and (explained.set_index("neuron_index")["n_terms"] > 0).sum() == len(described)
    of_class = next(i for i, one in enumerate(truth) if one.kind == "class" and right[i])
    text = described.set_index("neuron_index").loc[of_class, "description"]
    assert f"clips of {truth[of_class].name} (r = 0." in text and f"strongest in {truth[of_class].name}" not in text


def test_terms_that_add_nothing_are_not_named_and_none_points_down() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(400, 6)).astype(np.float32)
    y = np.column_stack([2 * x[:, 0] + x[:, 3], -x[:, 1], 0 * x[:, 0]]) + 0.3 * rng.standard_normal((400, 3)) * [
        1,
        1,
        0,
    ]
    table = Table(x, np.array([0, 0, 1, 2, 3, 4]), np.zeros(6, bool), np.arange(400) * 5 // 400)
    clips = np.arange(400)
    found = explain(
        table, y.astype(np.float32), np.eye(6, dtype=bool)[5], deals(clips, clips, N_SHIFTS, 0), lambda: None
    )
    assert sorted(found.both.terms[0].tolist()) == [-1, 0, 3] and found.named.tolist() == [True, False, False]
    weights = found.both.weights[0][:2] / found.both.weights[0][1]
    assert weights.tolist() == pytest.approx([2, 1], rel=0.15)
    later = found.held_out(x, y.astype(np.float32))
    fitted = np.linalg.lstsq(np.column_stack([np.ones(400), x[:, [0, 3]]]), y[:, 0], rcond=None)[1][0]
    assert later["by_both"][0] == pytest.approx(1 - fitted / ((y[:, 0] - y[:, 0].mean()) ** 2).sum(), abs=1e-4)


def test_sentences_are_exact_and_dull() -> None:
    terms = [Term("descriptor", "flatness", "high"), Term("descriptor", "band 7", "very high"), Term("class", "rain")]
    facts = Facts(0.714, 0.03, ("rain", "sea"), "nature", 0.3)
    assert sentence(terms, facts) == (
        "fires on noise, sound loud at 4510-6640 Hz (highest fifth of band 7) and clips of rain "
        "(r = 0.71, shifted 0.03), strongest in rain and sea (nature); level alone explains a third"
    )
    assert sentence([Term("descriptor", "level", "low")], Facts(0.5, 0.1, level_share=1.0)) == (
        "fires on quiet sound (r = 0.50, shifted 0.10)"
    )
    of = trees(
        {"event": ["rain", "sea", "dog", "cat"], "group": ["wet", "wet", "pet", "pet"], "hand": ["l", "r", "l", ""]}
    )
    assert of == {"event": [{"rain": "wet", "sea": "wet", "dog": "pet", "cat": "pet"}], "group": [], "hand": []}
    assert ancestor(["rain", "sea"], of["event"]) == "wet" and ancestor(["rain", "dog"], of["event"]) == ""
    assert ancestor(["rain"], of["event"]) == ""


def test_columns_lie_where_their_chunks_do() -> None:
    grid = TokenGrid((0.0, 8000.0), 0.25, 0.5, 1.25, 4)
    assert column_spans(grid, 6, 2.0)[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1.25, 1.5]
    assert column_spans(TokenGrid((0.0, 8000.0)), 4, 2.0).tolist() == [[0, 0.5], [0.5, 1], [1, 1.5], [1.5, 2]]


def test_a_table_of_others_is_read_and_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "lm.csv"
    file.write_text("model,layer,unit,description,predicts\nm,1,7,dogs,class:dog\nm,1,7,cats,\n", encoding="utf-8")
    (one,) = given.read(str(file))
    assert (one.layer, one.unit, one.author, one.predicts, one.unit_kind) == (1, 7, "lm.csv", "cats", "mlp")
    for text, told in [
        ("model,layer,unit\n", "no column description; expected model, layer, unit, description"),
        ("model,layer,unit,description\nm,-1,2,x\n", "line 2: layer and unit are '-1', '2'; expected numbers from 0"),
        ("model,layer,unit,description\nm,1,2,\n", "line 2: model or description is empty"),
        (f"model,layer,unit,description\nm,1,2,{'x' * 2000}\n", "2,000 characters; expected at most 1,000"),
    ]:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=told):
            given.read(str(file))
    with pytest.raises(InputError, match="none.csv: No such file"):
        given.read(str(tmp_path / "none.csv"))


def test_rows_on_models_that_are_not_studied_are_told(tmp_path: Path) -> None:
    file = tmp_path / "lm.csv"
    file.write_text("model,layer,unit,description\n", encoding="utf-8")
    with pytest.raises(InputError, match="no row below its header"):
        given.read(str(file))
    file.write_text("model,layer,unit,description,unit_kind\nm,1,7,dogs,\nn,1,7,dogs,\nm,1,7,cats,heads\n")
    rows = given.read(str(file))
    assert given.of_others(rows, {("m", "mlp"), ("m", "heads"), ("n", "mlp")}) == ""
    told = "2 of 3 rows are on n (mlp), m (heads), which this run does not study; it studies m (mlp)"
    assert given.of_others(rows, {("m", "mlp")}) == f"--import-descriptions: {told}"
