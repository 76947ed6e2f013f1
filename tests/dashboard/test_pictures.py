"""Pictures of charts whose names mean harm: drawn, or refused in one line, while the page goes on."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree

import altair as alt
import pandas as pd
import pytest
from streamlit.proto.BackMsg_pb2 import BackendOperationRequest
from streamlit.runtime import app_session
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

import dashboard.server  # noqa: F401 (tells why)
from dashboard.report.html import html
from dashboard.report.parts import Figure, Section
from dashboard.shared import draw, pictures
from dashboard.views.sql import charts, facts

NO_CHARACTERS = "\0\x01\x08\x0c\x1b\x7f\x9f\ud800\udfff\ufdd0\ufffe\uffff\U0001fffe\U0010ffff"


def drawn(chart: alt.Chart | alt.TopLevelLayerSpec, kind: str = "svg", **how: Any) -> bytes:
    return pictures.draw(chart.to_dict(), kind, draw.VEGA_LITE, **how)


def bars(names: list[str], title: str = "n") -> alt.Chart:
    frame = pd.DataFrame({"name": names, "n": range(len(names))})
    return alt.Chart(frame).mark_bar().encode(x=alt.X("name:N"), y=alt.Y("n:Q", title=title))


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_what_is_no_character_is_replaced_before(kind: str) -> None:
    made = drawn(bars([f"a{c}b" for c in NO_CHARACTERS], NO_CHARACTERS), kind)
    if kind == "svg":
        told = "".join(ElementTree.fromstring(made.decode()).itertext())
        assert "a\ufffdb" in told and "\ufffd" * len(NO_CHARACTERS) in told
    else:
        assert made.startswith(b"\x89PNG")


def test_characters_stay_and_long_texts_end_in_dots() -> None:
    kept = {"é\n\t日本🎧": ["x" * 1_000, 3, None, f"data:image/png;base64,{'A' * 2_000}"]}
    assert pictures.characters(kept) == kept
    assert pictures.characters({"y" * 99_000: 0}) == {"y" * 999 + "…": 0}


def test_a_name_of_99000_characters_is_drawn_in_time() -> None:
    assert drawn(bars(["a" * 99_000], "t" * 99_000)).startswith(b"<svg")


def test_what_takes_too_long_is_ended_and_holds_up_nobody() -> None:
    chart = bars([f"{number}{'n' * 150}" for number in range(5_000)]).to_dict()
    computed, stop = [], threading.Event()

    def bystander() -> None:
        last = time.process_time()  # what others do on the machine makes him wait too, and is no fault of this process
        while not stop.wait(0.01):
            computed.append(time.process_time() - last)
            last = time.process_time()

    thread = threading.Thread(target=bystander)
    thread.start()
    started = time.monotonic()
    with pytest.raises(pictures.NotDrawn, match=r"not drawn within 2 s: it shows too much\.$"):
        pictures.draw(chart, "svg", draw.VEGA_LITE, seconds=2)
    stop.set()
    thread.join()
    assert time.monotonic() - started < 5
    assert max(computed) < 0.5, "the interpreter's lock was held"


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's")
def test_what_takes_too_much_memory_is_ended() -> None:
    rows = alt.sequence(0, 50_000_000)
    with pytest.raises(pictures.NotDrawn, match="stopped"):
        drawn(alt.Chart(rows).mark_point().encode(x=alt.X("data:Q")), seconds=120)  # however busy the machine


@pytest.mark.parametrize("kind", ["bar", "line", "point", "heatmap"])
def test_any_answer_is_drawn_in_time_and_what_it_leaves_out_is_told(kind: str) -> None:
    long = "column" * 16_500
    frame = pd.DataFrame({long: [f"{'n' * 150}{number}" for number in range(5_000)], "n": range(5_000)})
    frame["kind"] = frame[long]
    x, y = ("n", long) if kind == "bar" else (long, "n")
    made = drawn(charts.answer_chart(frame, kind, x, y, "kind"), seconds=120)  # however busy the machine
    assert b"n" * (charts.LONGEST_NAME + 1) not in made
    told = " ".join(facts.remarks(frame, kind, x, y, "kind"))
    assert "of 5,000" in told and f"cut after {charts.LONGEST_NAME} characters" in told


def test_long_names_that_begin_alike_stay_apart() -> None:
    frame = pd.DataFrame({"name": ["n" * 80 + "a", "n" * 80 + "b", None, "c"], "n": [1, 2, 3, 4]})
    rows, lines = charts.drawn(frame, "bar", "n", "name", "")
    assert rows["name"].nunique() == 3 and set(rows["name"].dropna().map(len)) == {charts.LONGEST_NAME, 1}
    assert lines == [f"Names in it are cut after {charts.LONGEST_NAME} characters."]


def test_the_report_says_which_figure_could_not_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"class_a": ["a\x1b"], "class_b": ["b\uffff"], "n_shared": [1], "q_value": [0.5]})
    figure = Figure("shared", (frame,), "Who shares.")
    assert "a\ufffd</text>" in html([Section("T", [figure])], "", "")
    monkeypatch.setattr(sys, "executable", "/bin/false")  # a program that ends at once
    told = html([Section("T", [figure])], "", "")
    assert "<em>The chart could not be drawn: the program that draws it stopped.</em>" in told
    assert "Figure 1. Who shares." in told and "<svg" not in told


def test_the_visitor_is_told_why_there_is_no_picture(caplog: pytest.LogCaptureFixture) -> None:
    files = MediaFileManager(MemoryMediaFileStorage("/media"))

    def asked(reason: Exception) -> str:
        def make() -> bytes:
            raise reason

        with patch("streamlit.runtime.media_file_manager._get_session_id", return_value="a visitor"):
            request = BackendOperationRequest(request_id="1")
            request.deferred_file.file_id = files.add_deferred(make, "image/svg+xml", "here")
        answer = asyncio.run(app_session.DeferredFileHandler(lambda: files).handle(request, "a visitor"))
        assert answer.request_id == "1" and not answer.HasField("deferred_file")
        return answer.error_msg

    why = "The chart was not drawn within 20 s: it shows too much."
    assert asked(pictures.NotDrawn(why)) == why and not caplog.messages
    assert asked(OSError("/home/me/secret")) == "The file could not be made; the server's log says why."
    assert "secret" in caplog.text
