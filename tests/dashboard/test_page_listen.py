"""The Listen page: what is worked out of one clip's activations, the reads behind it, and the page itself."""

from __future__ import annotations

import io
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile  # type: ignore[import-untyped]
from scipy.stats import hypergeom
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from core.encoders.nano import NanoConfig, NanoEncoder, NanoViT
from core.recording.listen import hear
from dashboard.views.listen import charts, lights, model
from dashboard.views.listen import facts as listen_facts
from db.connection.open import open_store
from db.reads import listen
from tests.support import drawn_charts
from tests.support.description_records import write_descriptions
from tests.support.map_records import write_maps
from tests.support.pages import asked, open_page
from tests.support.synthetic_store import LAYER_WIDTHS, N_NEURONS

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = ("n_neurons", "n_high", "share", "expected", "low", "high", "p_value", "q_value")
LEVELS = np.array([0.0, 0.5, 0.95, 1.0])
show = partial(open_page, "listen")


def test_percentiles_lie_between_the_levels() -> None:
    values = np.tile([1.0, 2.0, 4.0, 5.0], (7, 1))
    means = np.array([0.5, 1.0, 1.5, 3.0, 4.5, 5.0, 9.0])
    assert listen_facts.percentiles(means, LEVELS, values) == pytest.approx([0, 0, 25, 72.5, 97.5, 100, 100])


def test_a_percentile_among_equal_values_is_their_middle() -> None:
    values = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, np.nan]])
    found = listen_facts.percentiles(np.zeros(3), LEVELS, values)
    assert found[:2] == pytest.approx([47.5, 50])
    assert np.isnan(found[2])


def test_datasets_count_by_their_clips() -> None:
    assert listen_facts.pooled([np.array([90.0]), np.array([50.0])], [100, 300]) == pytest.approx([60])


def test_how_far_beyond_the_median() -> None:
    values = np.array([[0.0, 2.0, 4.0, 5.0], [1.0, 1.0, 1.0, 2.0]])
    found = listen_facts.beyond(np.array([8.0, 3.0]), LEVELS, values)
    assert found[0] == pytest.approx(3)
    assert np.isnan(found[1])
    assert listen_facts.at_level(LEVELS, values, 0.25)[0] == pytest.approx(1)


def test_the_strongest_come_first_and_ties_are_broken_by_how_far() -> None:
    found = listen_facts.strongest(
        np.array([100.0, 40, 100, np.nan]), np.array([2.0, 0, 3, np.nan]), np.arange(4.0), np.ones(4), (3, 1), 3
    )
    assert found[["layer", "neuron", "flat_index"]].to_numpy().tolist() == [[0, 2, 2], [0, 0, 0], [0, 1, 1]]
    assert found["mean_activation"].tolist() == [2, 0, 1]
    unknown = np.full(2, np.nan)
    by_rate = listen_facts.strongest(unknown, unknown, np.zeros(2), np.array([0.1, 0.9]), (1, 1), 2)
    assert by_rate["layer"].tolist() == [1, 0]


CLASSES = pd.DataFrame({"class_id": [7, 8], "task": ["t", "t"], "class_name": ["rain", "=dog"]})


def test_neurons_name_their_classes_the_strongest_first() -> None:
    pairs = pd.DataFrame(
        {"class_id": [7, 8, 7], "flat_index": [3, 3, 5], "lift": [2.0, 9.0, 4.0], "q_value": [0.04, 0.01, np.nan]}
    )
    found = listen_facts.with_classes(pd.DataFrame({"flat_index": [5, 3, 1]}), pairs, CLASSES)
    assert found["classes"].tolist() == [["rain (t)"], ["=dog (t)", "rain (t)"], []]
    assert found["lift"].tolist()[:2] == [4, 9]
    assert found["q_value"].tolist()[1] == 0.01


def test_classes_stand_beside_random_neurons_of_the_same_layers() -> None:
    high = np.zeros(30, dtype=bool)
    high[:4] = high[10:12] = True  # 4 of layer 0's 10, 2 of layer 1's 20
    pairs = pd.DataFrame({"class_id": [7] * 5 + [8] * 2, "flat_index": [0, 1, 2, 9, 10, 4, 5]})
    (row,) = listen_facts.spoken_for(high, (10, 20), pairs, CLASSES).to_dict("records")
    assert (row["class_name"], row["n_neurons"], row["n_high"]) == ("rain", 5, 4)
    assert row["expected"] == pytest.approx((4 * 0.4 + 1 * 0.1) / 5)
    first, second = hypergeom(10, 4, 4), hypergeom(20, 2, 1)
    by_hand = sum(first.pmf(a) * second.pmf(b) for a in range(5) for b in range(2) if a + b >= 4)
    assert row["p_value"] == pytest.approx(by_hand)
    assert row["low"] <= row["expected"] <= row["high"]


@pytest.mark.parametrize("case", [(50, 0, 5), (50, 50, 5), (50, 20, 45), (3072, 150, 30), (10, 3, 0)])
def test_chances_are_scipys(case: tuple[int, int, int]) -> None:
    n, n_marked, n_drawn = case
    expected = hypergeom(n, n_marked, n_drawn).pmf(np.arange(n_drawn + 1))
    assert listen_facts.hypergeometric(n, n_marked, n_drawn) == pytest.approx(expected, abs=1e-9)


def test_large_sets_agree_with_the_exact_count() -> None:
    in_layer, marked, drawn = np.array([3000, 3000]), np.array([150, 300]), np.array([300, 300])
    mean, low, high, p_value = listen_facts.random_set(in_layer, marked, drawn, 60)
    exact = np.convolve(*(hypergeom(3000, m, 300).pmf(np.arange(301)) for m in (150, 300)))
    assert mean == pytest.approx(45)
    assert p_value == pytest.approx(exact[60:].sum(), rel=0.25)
    assert exact[int(low) + 1 : int(high) + 1].sum() == pytest.approx(0.95, abs=0.02)


def test_q_values() -> None:
    found = listen_facts.false_discovery(np.array([0.01, 0.04, 0.03, 0.5]))
    assert found == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert len(listen_facts.false_discovery(np.zeros(0))) == 0


def test_time_is_cut_into_few_columns() -> None:
    pattern = np.array([[1.0, 3, 0, 0, 8], [1.0, 1, 0, -4, 0]])
    found = listen_facts.over_time([pattern, np.zeros((1, 5))], ["a", "b"], 0.5, 3)
    first = found[found["name"] == "a"]
    assert first["start"].tolist() == [0, 1, 2]
    assert first["end"].tolist() == [1, 2, 2.5]
    assert first["activation"].tolist() == [1.5, 0, 4]
    assert first["strength"].tolist() == [0.375, 0, 1]
    assert found.loc[found["name"] == "b", "strength"].tolist() == [0, 0, 0]


def test_the_moment_at_which_a_neuron_is_strongest() -> None:
    assert listen_facts.peak(np.array([[0.0, 1, 5], [0, 5, 0]]), 0.2) == pytest.approx(0.3)  # 3 and 2.5: the second
    assert np.isnan(listen_facts.peak(np.array([[-1.0, 0]]), 0.2))


def test_layers_are_summed_up() -> None:
    found = listen_facts.by_layer(np.array([True, False, True]), np.array([0.2, 0.4, 1.0]), (2, 1))
    assert found["share_high"].tolist() == [0.5, 1]
    assert found["mean_rate"].tolist() == pytest.approx([0.3, 1])


def test_charts_hold_their_rows() -> None:
    high = np.arange(N_NEURONS) % 7 == 0
    strip = listen_facts.over_time([np.ones((2, 3))] * 2, ["layer 0, neuron 1", "<b>"], 0.16, 100)
    spoken = pd.DataFrame(
        [("t", "rain", 9, 5, 0.6, 0.1, 0.0, 0.3, 1e-4, 2e-4, "rain · t")],
        columns=["task", "class_name", *NUMBERS, "label"],
    )
    made = [
        charts.time_chart(strip, "layer 0, neuron 1", 0.5),
        charts.class_chart(spoken),
        charts.layer_chart(listen_facts.by_layer(high, high, LAYER_WIDTHS)),
    ]
    for chart in made:
        spec = chart.to_dict(validate=True)
        assert spec["layer"]
    assert charts.MORE in json.dumps(made[1].to_dict())


@pytest.fixture(scope="module")
def store(one_model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of its own, for its quantiles change; the sounds are those of all."""
    folder = tmp_path_factory.mktemp("listen")
    (folder / "audio").symlink_to(one_model_store.parent / "audio")
    return Path(shutil.copy(one_model_store, folder / "atlas.db"))


@pytest.fixture(scope="module")
def encoder() -> NanoEncoder:
    """As wide as the made-up store's."""
    return NanoEncoder("nano-ssl", NanoViT(NanoConfig(mlp_width=LAYER_WIDTHS[0])), "synthetic-nano-ssl")


@pytest.fixture
def listening(store: Path, encoder: NanoEncoder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up store with a model behind it."""
    monkeypatch.setenv("ATLAS_DB", str(store))
    monkeypatch.setattr(model, "_encoder", lambda *a: encoder)
    return store


def with_percentiles(path: Path, encoder: NanoEncoder) -> None:
    """Quantiles of what noise drives the neurons to, for all datasets but ``voices``."""
    rng = np.random.default_rng(0)
    means = np.stack([hear(encoder, rng.normal(0, 0.1, 8000).astype(np.float32)).mean for _ in range(8)])
    values = np.quantile(means, LEVELS, axis=0).T.astype("<f4")
    engine = open_store(path)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM activation_quantile"))
        connection.execute(
            text(
                "INSERT INTO activation_quantile (model_dataset_id, levels_json, quantiles) SELECT model_dataset.id, "
                ":levels, :values FROM model_dataset JOIN dataset ON dataset.id = dataset_id WHERE name <> 'voices'"
            ),
            {"levels": json.dumps(LEVELS.tolist()), "values": values.tobytes()},
        )
    engine.dispose()


def without_percentiles(path: Path) -> None:
    engine = open_store(path)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM activation_quantile"))
    engine.dispose()


def test_reads(store: Path) -> None:
    engine = open_store(store, read_only=True)
    facts = listen.model_facts(engine, "nano-ssl")
    assert facts["weights_key"] == "synthetic-nano-ssl"
    assert facts["layer_widths"] == list(LAYER_WIDTHS)
    assert facts["runs"][0]["shuffles"] == 200
    assert listen.n_clips(engine)["n_clips"].tolist() == [96, 96, 96]
    found = listen.find_clips(engine, "rooms", "DOG")
    assert len(found) == 12
    assert set(found["dataset"]) == {"rooms"}
    assert listen.find_clips(engine, None, "100%").empty
    assert listen.find_clips(engine, None, "rooms-007")["path"].tolist() == ["train/rooms-007.flac"]
    assert len(listen.find_clips(engine, most=5)) == 5
    third = listen.find_clips(engine, "voices")["clip_id"].iloc[2]
    assert listen.nth_clip(engine, "voices", 2) == third
    pairs = listen.class_specific_pairs(engine, "nano-ssl", "calibrated", "rooms")
    classes = listen.classes(engine, "nano-ssl", "calibrated", "rooms")
    assert classes["class_name"].nunique() == len(classes) == 10
    assert set(pairs["class_id"]) <= set(classes["class_id"])
    view = pd.read_sql(
        text("SELECT layer, neuron FROM class_specific_neurons WHERE dataset = 'rooms' AND preset = 'calibrated'"),
        engine,
    )
    assert sorted(pairs["flat_index"]) == sorted(view["layer"] * LAYER_WIDTHS[0] + view["neuron"])


def wav(seconds: float = 1.0, rate: int = 16_000, level: float = 0.3, n_channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    samples = level * np.random.default_rng(1).normal(0, 0.3, (int(seconds * rate), n_channels))
    soundfile.write(buffer, np.clip(samples, -1, 1), rate, format="WAV")
    return buffer.getvalue()


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in app.subheader]


def said(app: AppTest, kind: str) -> str:
    return " ".join(str(element.value) for element in getattr(app, kind))


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(empty_store))
    app = show()
    assert not app.exception
    assert app.code[0].value.startswith("python run_analysis.py")


def test_a_clip_of_the_store_is_heard(listening: Path, encoder: NanoEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    with_percentiles(listening, encoder)
    app = show(source="store", clip="5", dataset="rooms", preset="aape")
    assert not app.exception
    assert not app.warning
    assert headings(app) == ["When they answer", "Classes they speak for", "By layer", "The neurons that answer most"]
    drawn_charts.check(app, 3)
    assert "96 clips of rooms" in said(app, "markdown")
    rows = app.dataframe[0].value
    assert rows["percentile"].is_monotonic_decreasing
    top = rows.iloc[0]
    assert asked(app, "neuron") == str(top["neuron"])
    assert asked(app, "layer") == str(top["layer"])


def test_percentiles_are_those_of_the_stored_quantiles(listening: Path, encoder: NanoEncoder) -> None:
    with_percentiles(listening, encoder)
    app = show(source="store", clip="5")
    assert "192 clips of the 2 datasets" in said(app, "markdown")  # voices has none
    row = app.dataframe[0].value.iloc[3]
    path = listening.parent / "audio" / "notes" / "train" / "notes-004.flac"
    mean = hear(encoder, soundfile.read(path, dtype="float32")[0]).mean
    assert row["mean_activation"] == pytest.approx(mean[int(row["flat_index"])], abs=1e-5)


def test_another_neuron_is_laid_over_the_clip(listening: Path) -> None:
    app = show(source="store", clip="5", layer="2", neuron="63")
    assert not app.exception
    assert asked(app, "neuron") == "63"
    told = show(source="store", clip="5", layer="9", neuron="7")
    assert not told.exception
    assert "layer “9”" in told.warning[0].value


def test_lights_stand_on_the_map_and_in_words(
    listening: Path, encoder: NanoEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = show(source="store", clip="5", layer="0", neuron="0")
    assert [("--describe" in code.value, "--map" in code.value) for code in plain.code][-2:] == [
        (True, False),
        (False, True),
    ]
    (tmp_path / "audio").symlink_to(listening.parent / "audio")
    path = Path(shutil.copy(listening, tmp_path / "atlas.db"))
    write_descriptions(write_maps(path, "nano-ssl"), "nano-ssl", "rooms")
    monkeypatch.setenv("ATLAS_DB", str(path))
    given: list[Any] = []
    monkeypatch.setattr(lights, "_component", lambda **settings: given.append(settings["data"]))
    app = show(source="store", clip="5", dataset="rooms", layer="0", neuron="0")
    assert not app.exception and not app.code
    (data,) = given
    chosen = next(row for row in data["rows"] if row["name"] == "layer 0, neuron 0")
    assert data["chosen"] == chosen["name"] and chosen["at"] == (0, 0) and chosen["listed"]
    assert chosen["said"] == "fires on high pitch and onsets; others’ r up to 0.25"
    assert data["units"] and "383 units" in data["label"]
    assert 40 <= len(data["rows"]) <= 41 and sum(row["listed"] for row in data["rows"]) in (10, 11)
    table = app.dataframe[0].value
    assert table["peak_seconds"].dropna().between(0, 4).all() and "description" in table


def test_without_percentiles_the_rest_is_shown(listening: Path) -> None:
    without_percentiles(listening)
    app = show(source="store", clip="7")
    assert not app.exception
    assert "no percentiles" in said(app, "info")
    assert headings(app) == ["When they answer", "The neurons that answer most"]
    assert app.dataframe[0].value["activation_rate"].is_monotonic_decreasing


@pytest.mark.parametrize(("rate", "n_channels"), [(8_000, 1), (96_000, 2), (44_100, 6)])
def test_an_upload_is_heard(rate: int, n_channels: int, listening: Path) -> None:
    app = show(source="upload")
    content = wav(0.6, rate, n_channels=n_channels)
    app.file_uploader[0].upload("<b>*rain*.wav", content, "audio/wav").run()
    assert not app.exception
    assert not app.warning
    assert "The neurons that answer most" in headings(app)


def test_a_recording_is_heard(listening: Path) -> None:
    app = show(source="record")
    app.audio_input[0].upload("recorded.wav", wav(0.5, 48_000)).run()
    assert not app.exception
    assert "The neurons that answer most" in headings(app)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"RIFF" + bytes(300), "cannot be read"), (b"", "is empty"), (wav(level=0.0), "silent"), (wav(0.01), "too short")],
)
def test_a_bad_upload_gives_one_sentence_and_the_page_lives_on(content: bytes, told: str, listening: Path) -> None:
    app = show(source="upload")
    app.file_uploader[0].upload("a.wav", content, "audio/wav").run()
    assert not app.exception
    assert len(app.warning) == 1
    assert told in app.warning[0].value
    app.file_uploader[0].clear().upload("b.wav", wav(0.5), "audio/wav").run()
    assert not app.exception
    assert not app.warning
    assert "The neurons that answer most" in headings(app)


def test_weights_that_are_not_here_are_told_and_the_clip_still_plays(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = show(source="store", clip="5")  # the made-up store's weights are nobody's
    assert not app.exception
    assert len(app.warning) == 1
    assert "other weights than those that were measured" in app.warning[0].value.replace("\\", "")
    assert [part.key for part in app.get("bidi_component")] == ["search", "copy_link", "listen_player"]


def test_clips_that_are_not_here(listening: Path) -> None:
    for clip in ("99999", "x'--", "9" * 30):
        app = show(source="store", clip=clip)
        assert not app.exception
        assert "which is not here" in app.warning[0].value
        assert "clip" not in app.query_params
    gone = listening.parent / "audio" / "notes" / "train" / "notes-002.flac"
    gone.rename(gone.with_suffix(".away"))
    app = show(source="store", clip="3")
    gone.with_suffix(".away").rename(gone)
    assert not app.exception
    assert "not where it was studied" in app.warning[0].value


def test_surprise_chooses_a_clip(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.randrange", lambda n: n - 1)
    app = show()
    next(button for button in app.button if button.label == "Surprise me").click().run()
    assert not app.exception
    assert asked(app, "source") == "store"
    assert asked(app, "clip") == "288"
    assert "The neurons that answer most" in headings(app)


def test_searching_narrows_the_clips(listening: Path) -> None:
    app = show(source="store", dataset="rooms")
    app.text_input[0].input("dog").run()
    assert not app.exception
    assert "12 found" in app.selectbox(key="select_clip").label


def test_a_model_that_cannot_take_the_sound_is_told(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory.\nTried")

    monkeypatch.setattr("core.recording.listen.hear", fails)
    app = show(source="store", clip="11")
    assert not app.exception
    assert "out of memory" in app.warning[0].value
