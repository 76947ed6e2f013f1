"""The pages on a made-up store: what they show, what the address restores, what they bear."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from dashboard.shared import data
from dashboard.shared.player import clip
from dashboard.shared.text import words
from db.connection.open import open_store
from db.reads import study
from db.writes.store import Store
from tests.support.pages import asked, open_page
from tests.support.tiny_study import MODEL

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("overview", "heatmap", "neuron")
COMMAND = "python run_analysis.py --tasks all"


@pytest.fixture(scope="module")
def store(synthetic_store: Path) -> Path:
    return synthetic_store


@pytest.mark.parametrize("view", PAGES)
def test_every_page_opens(view: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view)
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert app.title


@pytest.mark.parametrize("preset", ["aape", "lape"])
@pytest.mark.parametrize("view", PAGES)
def test_every_preset_opens(view: str, preset: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view, preset=preset)
    assert not app.exception
    assert asked(app, "preset") == preset


def test_overview_counts_what_the_store_holds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page("overview")
    assert {metric.label: metric.value for metric in app.metric} == {
        "Models": "2", "Neurons": "768", "Tasks": "6", "Clips": "288"
    }  # fmt: skip
    assert asked(app, "preset") == "calibrated"
    assert any("Problems (1)" in expander.label for expander in app.expander)


def test_the_probe_of_clips_with_several_labels_is_called_average_precision(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = tmp_path / "atlas.db"
    shutil.copy(store, several)
    with closing(sqlite3.connect(several)) as connection:
        of_task = "SELECT probe.id FROM probe JOIN task ON task.id = task_id WHERE task.name = 'rooms-event'"
        connection.execute(f"UPDATE probe_score SET metric = 'average precision' WHERE probe_id IN ({of_task})")
        connection.commit()
    titles = []
    for path in (store, several):
        monkeypatch.setenv("ATLAS_DB", str(path))
        app = open_page("overview")
        assert not app.exception
        charts = [json.loads(chart.proto.spec) for chart in app.get("vega_lite_chart")]
        layers = [layer["encoding"].get("x", {}) for chart in charts for layer in chart["layer"]]
        titles.append({x["title"] for x in layers if x.get("field") == "accuracy"})
    assert titles == [
        {"Accuracy on test clips"},
        {"Accuracy (circle) or Mean average precision (diamond) on test clips"},
    ]


def test_the_address_restores_the_heatmap(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    state = {"model": "nano-sl", "task": "rooms-event", "preset": "calibrated", "layer": "4"}
    app = open_page("heatmap", class_="dog", **state)
    assert not app.exception
    assert not app.warning
    chosen = {box.label: box.value for box in app.selectbox}
    assert chosen == {
        "Model": "nano-sl", "Dataset": "all datasets", "Task": "rooms-event", "Layer": 4, "Class": "dog"
    }  # fmt: skip
    assert asked(app, "class") == "dog"
    engine = open_store(store, read_only=True)
    expected = study.cell_neurons(engine, "nano-sl", "rooms-event", "calibrated", 4, "dog")
    assert sorted(app.dataframe[0].value["neuron"]) == sorted(expected["neuron"])


def test_a_select_box_writes_to_the_address(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page("heatmap", model="nano-sl", task="rooms-event", layer="4", class_="dog")
    app.selectbox(key="select_task").select("voices-emotion").run()
    assert not app.exception
    assert not app.warning
    assert asked(app, "task") == "voices-emotion"
    assert asked(app, "class") != "dog"


def test_next_goes_through_the_current_list(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    engine = open_store(store, read_only=True)
    found = study.cell_neurons(engine, "nano-ssl", "notes-pitch", "calibrated", 5)
    first, second = sorted(set(found["neuron"]))[:2]
    app = open_page("neuron", model="nano-ssl", task="notes-pitch", layer="5", neuron=str(first))
    buttons = {button.label: button for button in app.button}
    assert buttons["Previous"].disabled
    buttons["Next"].click().run()
    assert not app.exception
    assert asked(app, "neuron") == str(second)
    assert app.title[0].value == f"Neuron {second} in layer 5 of nano\\-ssl"


def test_a_neuron_without_top_clips_opens(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page("neuron", layer="0", neuron="0")
    assert not app.exception
    assert any("No clip drives it" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("view", "state"),
    [
        ("overview", {"preset": "best"}),
        ("heatmap", {"model": "m2d"}),
        ("heatmap", {"task": "x' OR 1=1"}),
        ("heatmap", {"layer": "99"}),
        ("heatmap", {"layer": "1", "class": "nothing"}),
        ("neuron", {"neuron": "-1"}),
        ("neuron", {"neuron": "seven"}),
        ("neuron", {"layer": "6"}),
        ("neuron", {"dataset": "nowhere"}),
    ],
)
def test_unknown_values_in_the_address_are_told(
    view: str, state: dict[str, str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view, **state)
    assert not app.exception
    assert len(app.warning) == 1
    name, value = list(state.items())[-1]
    assert f"{name} “{words.plain(value)}”" in app.warning[0].value


@pytest.mark.parametrize("view", PAGES)
def test_a_missing_store_names_file_and_command(view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(tmp_path / "none.db"))
    app = open_page(view)
    assert not app.exception
    assert "none\\.db" in app.info[0].value and str(tmp_path) not in app.info[0].value
    assert app.code[0].value.startswith(COMMAND)


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(empty_store))
    app = open_page("overview")
    assert not app.exception
    assert app.code[0].value.startswith(COMMAND)


def test_a_file_that_is_no_store_gives_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.db").write_text("not a database " * 200)
    monkeypatch.setenv("ATLAS_DB", str(tmp_path / "notes.db"))
    app = open_page("overview")
    assert not app.exception
    assert len(app.error) == 1
    assert "\n" not in app.error[0].value


def test_a_store_written_while_open_is_read_anew(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page("overview")
    assert app.metric[0].value == "1"
    engine = open_store(path)
    Store(engine).register_model(replace(MODEL, name="nano-sl"))
    engine.dispose()
    app.run()
    assert app.metric[0].value == "2"


def test_the_place_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATLAS_DB", raising=False)
    assert data.locate([]).location == "atlas.db"
    assert data.locate(["--db", "other.db"]).location == "other.db"
    assert data.locate(["--db"]).location == "atlas.db"
    monkeypatch.setenv("ATLAS_DB", "sqlite:////somewhere/atlas.db")
    assert data.locate([]).path == Path("/somewhere/atlas.db")
    assert data.locate(["--db", "postgresql://host/atlas"]).path is None


def test_clips_are_only_played_from_below_their_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.wav").touch()
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert clip.resolve(str(root), "a/b.wav") == root / "a" / "b.wav"
    for outside in ("../secret.wav", str(tmp_path / "secret.wav"), "link.wav", "a/../../x"):
        assert clip.resolve(str(root), outside) is None


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100])
def test_the_picture_peaks_where_the_tone_is(sample_rate: int) -> None:
    time = np.arange(sample_rate) / sample_rate
    picture = clip.log_mel(np.sin(2 * np.pi * 1000 * time).astype(np.float32), sample_rate)
    top = 2595 * np.log10(1 + sample_rate / 2 / 700)
    expected = 2595 * np.log10(1 + 1000 / 700) / top * (clip.N_MELS + 1) - 1
    assert abs(int(picture.mean(axis=1).argmax()) - expected) <= 2
    assert picture.max() == 0
    assert picture.min() >= -80


def test_any_length_of_clip_can_be_drawn(tmp_path: Path) -> None:
    for n_samples in (1, 100, 16000 * 70):
        file = tmp_path / f"{n_samples}.wav"
        soundfile.write(file, np.zeros((n_samples, 2)), 16000)
        shown = clip.render(str(file), 0)
        assert shown.picture.startswith(b"\x89PNG")
        assert shown.shortened == (n_samples > 16000 * clip.MAX_SECONDS)
        assert soundfile.info(io.BytesIO(shown.wav)).duration <= clip.MAX_SECONDS


def test_the_dashboard_loads_neither_torch_nor_what_listens_before_there_is_a_sound(store: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest;"
        "from dashboard.shared import data; from dashboard.shared.text import facts;"
        "from dashboard.shared import address, draw, page, share, sidebar; from dashboard.shared.player import clip;"
        "app = AppTest.from_file('dashboard/navigation.py', default_timeout=60).run();"
        "assert not app.exception and app.metric;"
        "app.switch_page('views/listen/listen.py').run();"
        "assert not app.exception and 'Record, upload' in app.info[0].value;"
        "print({'torch', 'core.recording.listen'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", "ATLAS_DB": str(store), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
