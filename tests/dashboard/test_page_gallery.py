"""The gallery: what cards say, what the browser may ask, the page with its filters."""

from __future__ import annotations

import math
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from streamlit.testing.v1 import AppTest

from dashboard.shared import share, thumbnails
from dashboard.shared.grid import grid
from dashboard.shared.grid.grid import PAGE, Answer, Card, pair_state
from dashboard.shared.player import clip
from dashboard.shared.player.player import Overlay
from dashboard.views.gallery import facts
from tests.support import pages
from tests.support.description_records import write_descriptions
from tests.support.pages import asked, said

show = partial(pages.show, "gallery")
HERE = {"model": "nano-ssl", "task": "rooms-event", "preset": "calibrated"}
ROW: dict[Any, Any] = {
    "class_name": "siren", "n_specific": 3, "is_specific": 1, "lift": 5.25, "lift_low": 3.9, "lift_high": 6.8,
    "q_value": 1e-6, "replicated": 1.0, "entropy": 1.0, "entropy_q_value": 0.002, "max_probability": 0.25,
    "attribution": 0.5, "standard_error": 0.1,
}  # fmt: skip


def spaced(lines: tuple[str, ...]) -> list[str]:
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def test_a_card_says_nothing_without_what_it_is_read_against() -> None:
    assert facts.title(ROW) == "siren and 2 more"
    assert spaced(facts.lines(ROW, 20, "calibrated")) == [
        "lift 5.2× [3.9, 6.8] · q < 0.0001",
        "replicated on test clips",
        "entropy 1.00 of 3.00 nats · q = 0.002",
        "attribution +0.5 [+0.3, +0.7] logits",
    ]
    nan = float("nan")
    other = {**ROW, "is_specific": 0, "n_specific": 0, "entropy_q_value": 0.3, "attribution": nan}
    assert facts.title(other) == "siren"
    assert spaced(facts.lines(other, 20, "aape")) == [
        "highest class (25.0% of tokens), not class-specific by aape",
        "entropy 1.00 of 3.00 nats · q = 0.3, as shuffled labels give",
    ]
    unknown = spaced(
        facts.lines({**ROW, "lift_low": nan, "lift_high": nan, "q_value": nan, "replicated": nan}, 20, "aape")
    )
    assert unknown[0] == "lift 5.2× · q not computed"


def test_the_clip_to_hear_is_the_strongest_of_the_class() -> None:
    clips = pd.DataFrame({"rank": [1, 2, 3], "classes": [("door",), ("siren", "rain"), ("siren",)]})
    assert (facts.heard(clips, "siren") or {})["rank"] == 2
    assert (facts.heard(clips, "dog") or {})["rank"] == 1
    assert facts.heard(clips.iloc[:0], "dog") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.5-2", (0.5, 2.0)), ("0-1", (0.0, 1.0)), ("0-3", None), ("2-1", None), ("x", None), ("-1-2", None),
        ("0.5", None), ("nan-1", None), ("0-inf", None), ("0.5-inf", None), (None, None), ("", None),
    ],
)  # fmt: skip
def test_a_range_of_entropies(given: str | None, expected: tuple[float, float] | None) -> None:
    assert facts.entropy_range(given, math.log(20)) == expected


@pytest.mark.parametrize("told", [None, [], [[1, 2, 3]], [["a", 1, 2], "b"], [["a", 1], ["b", 1, 2]], {"a": 1}])
def test_what_names_no_two_neurons_leads_nowhere(told: object) -> None:
    assert pair_state(told) is None
    assert pair_state([["a", 1.0, 2], ["b", 3, "x"]]) == {
        "model": "a", "layer": "1", "neuron": "2", "other_model": "b", "other_layer": "3", "other_neuron": "x"
    }  # fmt: skip


@pytest.fixture
def cards(tmp_path: Path) -> list[Card]:
    """Thirty cards: one whose clip is there, one whose is gone, others without any."""
    soundfile.write(tmp_path / "a.wav", np.sin(np.arange(8000)).astype(np.float32) / 2, 16000)
    overlay = Overlay(np.array([[0, 255]], dtype=np.uint8), 0.25, (0.0, 8000.0), "", 1.0)
    made = [Card("m", 0, number, f"neuron?neuron={number}", "dog", ("line",)) for number in range(30)]
    made[0] = Card("m", 0, 0, "", "dog", (), "dog", clip.Stored(str(tmp_path), "a.wav"), overlay, 0.5)
    made[1] = Card("m", 0, 1, "", "dog", (), "dog", clip.Stored(str(tmp_path), "gone.wav"), overlay, 0.5)
    return made


def answer(cards: list[Card]) -> Answer:
    return Answer("query", len(cards), lambda page: cards[page * PAGE : (page + 1) * PAGE])


def test_the_first_page_comes_with_its_pictures(cards: list[Card], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "BUDGET_SECONDS", 60)
    given = answer(cards)
    given.first(1)
    assert list(given.data["pages"]) == ["0"] and len(given.data["pages"]["0"]) == PAGE
    drawn, gone = given.data["pictures"]["0-0"], given.data["pictures"]["0-1"]
    assert drawn["src"].startswith("data:image/webp;base64,") and drawn["seconds"] == 0.5
    assert drawn["overlay"]["edges"] == [0.0, 1.0]
    assert "is not where it was studied" in gone["problem"] and gone["overlay"]["columns"] == 2
    assert given.data["pages"]["0"][2]["problem"] and not given.data["pages"]["0"][2]["drawn"]
    assert not given.data["sounds"]


def test_drawing_is_bounded_in_time_and_goes_on_when_asked(cards: list[Card], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "BUDGET_SECONDS", 0)
    given = answer(cards)
    given.first(1)
    assert list(given.data["pictures"]) == ["0-0"]
    monkeypatch.setattr(grid, "BUDGET_SECONDS", 60)
    given = answer(cards)
    given.to({"pictures": 0.0}, "key")
    assert list(given.data["pictures"]) == ["0-0", "0-1"] and not given.data["pages"]


def test_further_cards_and_a_sound_are_given_when_asked(cards: list[Card], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "serve", lambda wav, kind, place: f"{len(wav) > 8000} {kind} {place}")
    given = answer(cards)
    given.to({"page": 1.0}, "key")
    assert [card["name"] for card in given.data["pages"]["1"]] == [f"L0·{number}" for number in range(24, 30)]
    given.to({"sound": "0-0"}, "key")
    assert given.data["sounds"] == {"0-0": "True audio/wav key-0-0"}
    given.to({"sound": "0-1"}, "key")
    assert list(given.data["sounds"]) == ["0-0"], "its picture says why there is none"


@pytest.mark.parametrize("odd", [-1, 2, 0.5, 1e300, float("nan"), float("inf"), "0", None, [], {}, True and "1"])
def test_what_there_is_not_is_not_given(odd: object, cards: list[Card]) -> None:
    given = answer(cards)
    for name in ("page", "pictures", "sound"):
        given.to({name: odd}, "key")
    assert not given.data["pages"] and not given.data["pictures"] and not given.data["sounds"]
    assert given.card(odd) is None


@pytest.mark.parametrize("odd", ["1-6", "2-0", "0-24", "a-b", "0--1", "٣-0", "9" * 400 + "-0", "0-0-0", ""])
def test_names_of_no_card(odd: str, cards: list[Card]) -> None:
    assert answer(cards).card(odd) is None


def test_thumbnails_show_what_was_studied_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "secret.wav", np.zeros(800), 16000)
    (tmp_path / "in" / "text.wav").write_text("no sound")
    for path, sha256, why in [
        ("../secret.wav", "", "outside"), ("text.wav", "", "cannot be read"), ("text.wav", "00", "has changed"),
    ]:  # fmt: skip
        with pytest.raises(clip.NotPlayed, match=why):
            thumbnails.of(clip.Stored(str(tmp_path / "in"), path, sha256))


def test_the_page_is_filtered_by_its_address(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch, **HERE)
    assert not app.warning
    assert "shuffled labels give" in said(app)
    found = int(said(app).split("**")[1].split()[0].replace(",", ""))
    narrow = show(one_model_store, monkeypatch, **HERE, class_="dog", layer="5", show="replicated", order="lift")
    assert 0 < int(said(narrow).split("**")[1].split()[0]) < found
    assert (asked(narrow, "class"), asked(narrow, "layer"), asked(narrow, "order")) == ("dog", "5", "lift")
    none = show(one_model_store, monkeypatch, **HERE, entropy="0-0.001")
    assert "No neuron is like that" in said(none)
    odd = show(one_model_store, monkeypatch, **HERE, entropy="zero", class_="nowhere", order="x")
    assert len(odd.warning) == 3


@pytest.fixture(scope="module")
def described(one_model_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study, of which some units are described over rooms."""
    path = Path(shutil.copy(one_model_store, tmp_path_factory.mktemp("described") / "atlas.db"))
    return write_descriptions(path, "nano-ssl", "rooms")


def n_found(app: AppTest) -> int:
    told = re.search(r"\*\*([\d,]+) neurons?\*\*", said(app))
    return int(told[1].replace(",", "")) if told else -1


@pytest.mark.parametrize(
    ("state", "n", "told"),
    [
        ({"find": "high-pitched"}, 2, "“high pitched” (f0 high) 2"),
        ({"find": "high-pitched, not onset"}, 1, "not “onset” (onset high) 1"),
        ({"find": "onset, layer 0, zebra"}, 0, "“zebra” finds nothing"),
        ({"explained": "descriptors"}, 1, ""),
        ({"explained": "classes"}, 1, ""),
    ],
)
def test_units_are_found_in_words(
    described: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, str], n: int, told: str
) -> None:
    app = show(described, monkeypatch, **HERE, **state)
    assert not app.warning and asked(app, "show") == "all"
    assert told in said(app)
    assert n_found(app) == n if n else "No neuron is like that" in said(app)


def test_a_layer_is_found_without_descriptions(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch, **HERE, find="layer 3")
    assert 50 < n_found(app) <= 64 and f"“layer 3” {n_found(app)}" in said(app)


def test_orders_by_words_are_of_all_units(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for order in ("surprise", "disagreement"):
        app = show(described, monkeypatch, **HERE, show="all", order=order)
        assert n_found(app) > 300 and not app.code


def test_all_that_is_found_can_be_taken_away_with_its_words(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[pd.DataFrame] = []
    monkeypatch.setattr(share, "take_away", lambda _name, rows, _head: given.append(rows()))
    app = show(described, monkeypatch, **HERE, show="all", order="surprise")
    (rows,) = given
    assert len(rows) == n_found(app) > 300 and "ORDER BY" in rows.attrs["sql"]
    assert rows["correlation"].iloc[:2].tolist() == [0.75, 0.5] and rows["description"].notna().sum() == 4
    assert set(rows["class_name"]) <= set(app.selectbox(key="select_class_").options) and rows["neuron"].iloc[0] == 0


def test_what_is_typed_and_chosen_goes_to_the_address(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(described, monkeypatch, **HERE, show="replicated")
    app.text_input(key="find_words").set_value(" onset,  LAYER 0 ").run()
    assert (asked(app, "find"), asked(app, "show")) == ("onset, LAYER 0", "all") and n_found(app) == 1
    app.text_input(key="find_words").set_value(" ").run()
    assert "find" not in app.query_params
    app.segmented_control(key="select_explained").set_value("classes").run()
    assert asked(app, "explained") == "classes" and n_found(app) == 1
    assert not app.exception


def test_without_descriptions_the_page_says_how_to_get_them(
    one_model_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = show(one_model_store, monkeypatch, **HERE)
    needed = show(one_model_store, monkeypatch, **HERE, order="surprise")
    for app, n in ((plain, 1), (needed, 2)):
        assert [code.value.split(" --describe")[0].endswith("extract,score") for code in app.code] == [True] * n
    assert "No unit of nano\\-ssl is described over rooms" in said(needed)


def test_filters_write_to_the_address(one_model_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = show(one_model_store, monkeypatch, **HERE)
    app.selectbox(key="select_class_").select("dog").run()
    app.slider(key="select_entropy").set_range(0.5, 1.5).run()
    assert not app.exception
    assert (asked(app, "class"), asked(app, "entropy")) == ("dog", "0.5-1.5")
    app.selectbox(key="select_class_").select("any class").run()
    assert "class" not in app.query_params and asked(app, "entropy") == "0.5-1.5"
    app.selectbox(key="select_task").select("rooms-place").run()
    assert not app.exception and "entropy" not in app.query_params


def test_an_empty_store_names_the_command(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert show(empty_store, monkeypatch).code[0].value.startswith("python run_analysis.py")
