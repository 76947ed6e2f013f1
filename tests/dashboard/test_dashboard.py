"""The pages on a made-up store: what they show, what the address restores, what they bear."""

from __future__ import annotations

import io
import json
import os
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
from sqlalchemy.exc import DBAPIError
from streamlit.testing.v1 import AppTest

from dashboard.report.write import sections
from dashboard.shared import address, data
from dashboard.shared.player import clip
from dashboard.shared.text import words
from db.connection.open import StoreError, open_store, opened_to_write
from db.reads import study
from db.reads.frames import frame
from db.reads.misfits import refuse_misfits
from db.upkeep import look_over
from db.writes.store import Store
from tests.support.pages import asked, open_page, said, show
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


def n_models(app: AppTest) -> str:
    """What *Overview* says under Models."""
    return next(metric.value for metric in app.metric if metric.label == "Models")


def test_overview_counts_what_the_store_holds(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page("overview")
    told = {"Models": "2", "Neurons": "768", "Tasks": "6", "Clips": "288"}
    assert {metric.label: metric.value for metric in app.metric if metric.label in told} == told
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
        app.button(key="fold_layers").click().run()
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
    app.session_state["cell_table"] = True
    app.run()
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
    assert f"the {address.NAMES[name]} “{words.plain(value)}”" in app.warning[0].value


@pytest.mark.parametrize("view", PAGES)
def test_a_missing_store_names_file_and_command(view: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(tmp_path / "none.db"))
    app = open_page(view)
    assert not app.exception
    assert "none\\.db" in app.info[0].value and str(tmp_path) not in said(app)
    assert app.code[0].value.startswith(COMMAND)


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_DB", str(empty_store))
    app = open_page("overview")
    assert not app.exception
    assert app.code[0].value.startswith(COMMAND)


@pytest.mark.parametrize("kind", ["text", "folder", "pipe", "locked", "of another program", "folder is gone"])
@pytest.mark.parametrize("view", ["overview", "sql"])
def test_a_file_that_is_no_store_gives_one_line(
    view: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.db"
    if kind == "text":
        path.write_text("not a database " * 200)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "locked":
        path.touch(mode=0)
    elif kind == "of another program":
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE photos (x)")
    else:
        path = path / "atlas.db"
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page(view)
    assert not app.exception
    (line,) = [part.value for part in (*app.error, *app.info)]
    assert path.name in words_of(line) and "\n" not in line
    assert str(tmp_path) not in said(app), "where it lies is the server's own"


def words_of(shown: str) -> str:
    """Text of Markdown without what keeps signs from meaning something."""
    return shown.replace("\\", "")


@pytest.fixture(scope="module")
def damaged(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a table's last pages are damaged: its first rows are found, and then no more."""
    path = tmp_path_factory.mktemp("damaged") / "damaged.db"
    with closing(sqlite3.connect(store)) as source:
        source.execute("VACUUM INTO ?", (str(path),))
        (size,) = source.execute("PRAGMA page_size").fetchone()
    whole = path.read_bytes()

    def without(pages: list[int]) -> bool:
        """Write the store so; returns whether that is found out after the first row."""
        content = bytearray(whole)
        for page in pages:
            content[(page - 1) * size : (page - 1) * size + 64] = b"\xff" * 64
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as connection:
            try:
                rows = connection.execute("SELECT * FROM activation_probability")
            except sqlite3.Error:
                return False
            try:
                rows.fetchall()
            except sqlite3.Error:
                return True
            return False

    late = [page for page in range(2, len(whole) // size + 1) if without([page])]
    assert len(late) > 20
    assert without(late[len(late) // 2 :])
    return path


@pytest.mark.parametrize("view", ["heatmap", "neuron"])
def test_a_store_that_is_found_damaged_half_way_gives_one_line(
    view: str, damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_DB", str(damaged))
    lines = []
    for model in ("nano-sl", "nano-ssl"):
        app = open_page(view, model=model)
        assert not app.exception
        assert str(damaged.parent) not in said(app)
        lines += [words_of(part.value) for part in app.error]
    assert lines and set(lines) == {"damaged.db: damaged; restore a copy, or delete it and run the analysis again"}


CHANGED = {
    "top_clip.mean_activation": ("UPDATE top_clip SET mean_activation = 'loud'", "neuron"),
    "ablation_effect.ci_high": ("UPDATE ablation_effect SET ci_high = x'00ff'", "overview"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_values_of_another_kind_are_told_in_one_line(
    what: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement, view = CHANGED[what]
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    app = show(view, path, monkeypatch)
    told = [str(error.value).replace("\\", "") for error in app.error]
    assert any(line.startswith(f"atlas.db: {what}") and "restore a copy" in line for line in told), told


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE run SET config_json = '7'", "run.config_json holds something else than JSON"),
        ("UPDATE run SET config_json = '{'", "run.config_json holds something else than JSON"),
        ("UPDATE clip SET duration_seconds = 'long'", "clip.duration_seconds holds values of another kind"),
        ("DROP VIEW runs; CREATE VIEW runs AS SELECT 'x' AS run_id", "its view runs is another than this version"),
    ],
)
def test_what_another_program_changed_is_told_by_report_and_upkeep(
    statement: str, told: str, tiny_store: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statement)
    for read in (look_over, lambda path: refuse_misfits(open_store(path, read_only=True))):
        with pytest.raises(StoreError, match=f"^atlas.db: {told}.*restore a copy") as error:
            read(path)
        assert "\n" not in str(error.value)
    if "config" in statement:
        with pytest.raises(StoreError, match=f"^atlas.db: {told}"):
            sections(open_store(path, read_only=True))


@pytest.mark.parametrize("view", ["overview", "neuron", "listen", "sql", "units"])
def test_a_store_of_other_units_alone_says_where_they_are(
    view: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("UPDATE model SET unit_kind = 'pca'")
        connection.commit()
    app = show(view, other, monkeypatch)
    is_told = "this store holds other units alone" in said(app)
    assert is_told == (view in ("overview", "listen")), "the others show any unit"


def test_rows_of_what_is_gone_are_told(tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(tiny_store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM model")
    (error,) = show("overview", path, monkeypatch).error
    assert "belong to a model that is gone" in str(error.value).replace("\\", "")


def test_a_store_without_its_neurons_is_told(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(shutil.copy(store, tmp_path / "atlas.db"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA foreign_keys = OFF; DELETE FROM neuron")
    (error,) = show("heatmap", path, monkeypatch, block="0-0").error
    assert "neurons of model 1 are gone, so it was changed by another program" in str(error.value).replace("\\", "")


def test_a_store_as_it_is_written_has_no_misfits(store: Path, tiny_store: Path) -> None:
    for path in (store, tiny_store):
        refuse_misfits(open_store(path, read_only=True))


def test_every_read_tells_damage_as_one_kind_of_error(damaged: Path) -> None:
    """That of SQLAlchemy, which who reads expects; not the driver's own."""
    engine = open_store(damaged, read_only=True)
    with pytest.raises(DBAPIError, match="malformed"):
        frame(engine, "SELECT * FROM activation_probability")
    engine.dispose()


def test_a_store_written_while_open_is_read_anew(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page("overview")
    assert n_models(app) == "1"
    engine = open_store(path)
    Store(engine).register_model(replace(MODEL, name="nano-sl"))
    engine.dispose()
    app.run()
    assert n_models(app) == "2"


def replace_by(new: Path, path: Path, how: str) -> None:
    """Put a store in another's place: ``cp`` keeps the file, ``mv`` brings another, ``rm`` leaves none for a moment."""
    if how == "rm":
        path.unlink()
    shutil.move(new, path) if how == "mv" else shutil.copyfile(new, path)


@pytest.mark.parametrize("how", ["cp", "mv", "rm"])
def test_a_store_in_the_place_of_another_is_read_and_told(
    how: str, one_model_store: Path, synthetic_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = tmp_path / "atlas.db", tmp_path / "new.db"
    shutil.copy(one_model_store, path)
    shutil.copy(synthetic_store, new)
    monkeypatch.setenv("ATLAS_DB", str(path))
    app, later = open_page("overview"), open_page("sql", sql="SELECT COUNT(*) AS n FROM model")
    assert n_models(app) == "1" and later.dataframe[0].value["n"].tolist() == [1]
    replace_by(new, path, how)
    assert n_models(app.run()) == "2"
    assert later.run().dataframe[0].value["n"].tolist() == [2]
    for page in (app, later):
        (told,) = page.toast
        assert told.value.startswith("The store was replaced while this page was open.")
        assert not page.error
        assert not page.run().toast, "told once"


@pytest.mark.parametrize("how", ["cp", "mv"])
def test_an_older_copy_of_the_same_size_and_time_is_read_and_told(
    how: str, one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy = tmp_path / "atlas.db", tmp_path / "copy.db"
    shutil.copy(one_model_store, path)
    with opened_to_write(path):  # which leaves it as one file
        pass
    shutil.copy(path, copy)
    with opened_to_write(path) as engine:
        Store(engine).register_model(replace(MODEL, name="nano-sl"))
    assert path.stat().st_size == copy.stat().st_size
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page("overview")
    assert n_models(app) == "2"
    facts = path.stat()
    os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    replace_by(copy, path, how)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert n_models(app.run()) == "1"
    assert len(app.toast) == 1


def test_a_run_that_goes_on_is_no_other_store(
    one_model_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page("overview")
    with opened_to_write(path) as engine:
        store = Store(engine)
        store.register_model(replace(MODEL, name="nano-sl"))
        assert n_models(app.run()) == "2", "while it writes"
        store.register_model(replace(MODEL, name="third"))
    assert n_models(app.run()) == "3"
    moved = Path(shutil.copy(path, tmp_path / "moved.db"))
    replace_by(moved, path, "mv")
    assert n_models(app.run()) == "3"
    assert not app.toast and not app.error


def test_a_store_that_is_gone_is_told_and_a_further_one_too(
    one_model_store: Path, synthetic_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(shutil.copy(one_model_store, tmp_path / "atlas.db"))
    monkeypatch.setenv("ATLAS_DB", str(path))
    app = open_page("overview")
    path.unlink()
    assert "which does not exist" in app.run().info[0].value and not app.metric
    shutil.copy(synthetic_store, path)
    assert n_models(app.run()) == "2" and len(app.toast) == 1


def test_another_stores_log_beside_it_is_told(
    one_model_store: Path, synthetic_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = tmp_path / "atlas.db", tmp_path / "new.db"
    shutil.copy(one_model_store, path)
    shutil.copy(synthetic_store, new)
    with opened_to_write(new):
        pass
    monkeypatch.setenv("ATLAS_DB", str(path))
    with closing(sqlite3.connect(path)) as writer:  # a run that writes; its log outlives its store
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("UPDATE model SET description = 'of the log'")
        writer.commit()
        app = open_page("overview")
        assert n_models(app) == "1"
        shutil.copyfile(new, path)
        app.run()
        assert not app.exception and not app.metric
        (error,) = app.error
        told = "atlas.db: another store lay here before, and its write-ahead log still does;"
        assert str(error.value).replace("\\", "").startswith(told)
        assert str(tmp_path) not in str(error.value)
        for part in ("atlas.db-wal", "atlas.db-shm"):
            (tmp_path / part).unlink()
        assert n_models(app.run()) == "2" and len(app.toast) == 1


def test_the_place_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATLAS_DB", raising=False)
    assert data.locate([]).location == "atlas.db"
    assert data.locate(["--db", "other.db"]).location == "other.db"
    assert data.locate(["--db"]).location == "atlas.db"
    monkeypatch.setenv("ATLAS_DB", "sqlite:////somewhere/atlas.db")
    assert data.locate([]).path == Path("/somewhere/atlas.db")
    assert data.locate(["--db", "postgresql://host/atlas"]).path is None


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
        shown = clip.render(clip.Stored(str(tmp_path), file.name))
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
        "assert not app.exception and 'record or upload' in app.info[0].value;"
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


def test_reading_a_store_that_a_run_left_unfinished_is_no_change(one_model_store: Path, tmp_path: Path) -> None:
    """Its readers bring an empty log and take it away; what pages keep is not to be thrown away for that."""
    path = tmp_path / "atlas.db"
    shutil.copy(one_model_store, path)
    with closing(sqlite3.connect(path)) as left:
        left.execute("PRAGMA journal_mode=WAL")
    before = data.locate(["--db", str(path)]).stamp
    for _ in range(3):
        data.read(data.locate(["--db", str(path)]), study.is_empty)
        assert data.locate(["--db", str(path)]).stamp == before
