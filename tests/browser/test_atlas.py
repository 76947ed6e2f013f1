"""The whole atlas in a real browser: every page, its links, what it hands out, and what attacks it.

``pytest -m browser tests/browser``; skipped where Chromium is not installed.
"""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pandas as pd
import pytest

from tests.browser.driver import (
    ATLAS,
    MARKS,
    Page,
    click_in,
    expect,
    faults_of_access,
    own_link,
    served,
    settle,
    state,
    text,
    visit,
    wait_until,
)
from tests.support import synthetic_store
from tests.support.segment_records import write_segments

pytestmark = MARKS

# Each page, its title, and how many notes its page has in the made-up study, which has no notes and no log odds.
PAGES = {
    "": ("Audio neuron atlas", 0),
    "listen": ("Listen", 1),
    "heatmap": ("Where the neurons lie", 0),
    "map": ("Map", 0),
    "layers": ("Layers", 0),
    "coverage": ("Coverage", 0),
    "sharing": ("Shared neurons", 0),
    "compare": ("Compare", 0),
    "units": ("Units of", 0),
    "classes": ("", 0),  # the class's own name
    "gallery": ("Find", 0),
    "neuron": ("Neuron", 0),
    "pair": ("beside", 0),
    "pitch": ("Pitch", 1),
    "stimuli": ("Stimuli", 0),
    "time": ("Time", 0),
    "speech": ("Speech", 1),
    "ablation": ("Ablation", 1),  # only accuracy is stored
    "sql": ("SQL", 0),
    "notebook": ("Notebook", 1),  # nothing is starred
}
VOICES = {"model": "nano-sl", "dataset": "voices", "task": "voices-emotion", "preset": "aape"}
NO_DATASET = {name: value for name, value in VOICES.items() if name != "dataset"}
STATEMENT = "SELECT task, n_classes, coverage FROM task_coverage WHERE model = 'nano-sl' AND preset = 'lape'"
# A state of each page that is not the first one, and what it then says.
STATES = {
    "": ({"preset": "lape", "layer_task": "voices-emotion"}, "voices-emotion"),
    "listen": ({"model": "nano-sl", "dataset": "rooms", "preset": "aape", "source": "upload"}, "Upload a sound"),
    "heatmap": ({**VOICES, "layer": "5", "class": "fear", "show": "above null"}, "Neurons of layer 5 for class fear"),
    "map": ({**VOICES, "colour": "class", "layer": "4", "neuron": "7"}, "Layer 4, neuron 7"),
    "stimuli": (
        {"model": "nano-ssl", "stimuli": "tones", "factor": "timbre", "at": "2.0.1"}, "Units that answer to timbre"
    ),
    "layers": ({**VOICES, "class": "fear"}, "fear is readable from layer 2 on"),
    "coverage": ({**VOICES}, "aape is a quota"),
    "sharing": (
        {**NO_DATASET, "preset": "calibrated", "with": "rooms-event", "row": "fear", "column": "siren"},
        "fear",
    ),
    "compare": ({**NO_DATASET, "other": "nano-ssl", "over": "the task in the sidebar"}, "nano-ssl"),
    "neuron": (
        {**VOICES, "class": "fear", "layer": "4", "neuron": "7", "part": "alike"},
        "Neuron 7 in layer 4 of nano-sl",
    ),
    "time": (
        {"model": "nano-sl", "time_task": "voices-phone", "time_class": "e", "layer": "1", "neuron": "7"},
        "Units of e",
    ),
    "classes": ({**NO_DATASET, "preset": "calibrated", "class": "fear", "by": "evidence", "cards": "3"}, "Fear"),
    "gallery": ({**VOICES, "class": "fear", "show": "all", "order": "entropy"}, "Find"),
    "pair": (
        {**VOICES, "layer": "4", "neuron": "7", "other_model": "nano-ssl", "other_layer": "3", "other_neuron": "9"},
        "L4·7 nano-sl beside L3·9 nano-ssl",
    ),
    "ablation": (
        {"model": "nano-sl", "dataset": "voices", "task": "voices-emotion", "selection": "top 5%", "gain": "0",
         "target": "sadness", "beside": "target"},
        "All classes by the neurons of sadness",
    ),
    "sql": ({"sql": STATEMENT, "view": "runs", "kind": "point", "x": "n_classes", "y": "coverage"},
        "6 rows, 3 columns"),
}  # fmt: skip
PHONE = {"width": 390, "height": 844}

IMAGE = "<img src=x onerror=window.hacked=1>"
SCRIPT = "<script>window.hacked=1</script>"
MARKDOWN = "![x](http://127.0.0.2:9/x.png) **bold** $x$ :red[ink]"
LINK = "[open](javascript:window.hacked=1) `code`"
FORMULA = "=cmd('calc')!A0"
QUOTE = "'; DROP TABLE neuron; --"
HOSTILE = {
    "<b onmouseover=window.hacked=1>sounds": {
        IMAGE: (SCRIPT, IMAGE, MARKDOWN, LINK, FORMULA, QUOTE),
        "=1+1": ("@SUM(1)", "+1", "-1", SCRIPT),
    },
    "![voices](x)": {"emotion": (FORMULA, IMAGE, MARKDOWN), "place": (LINK, QUOTE)},
}


def url(address: str, page: str, given: dict[str, str]) -> str:
    return f"{address}/{page}?{urlencode(given)}" if given else f"{address}/{page}"


def luminance(tab: Page) -> float:
    colour = tab.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
    return sum(float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]) / 3


def test_every_page_opens_and_explains_itself_to_everybody(address: str, tab: Page) -> None:
    visit(tab, address)
    links = tab.get_by_test_id("stSidebarNavLink")
    expect(links).to_have_count(len(PAGES))
    faults = []
    for place, (where, (title, notes)) in enumerate(PAGES.items()):
        links.nth(place).click()
        # Until then the page before may be settled, and where no title is asked for its own would do.
        wait_until(tab, lambda path=f"/{where}": urlsplit(tab.url).path == path, f"/{where} does not open")
        expect(tab.locator("h1")).to_contain_text(title)
        settle(tab, notes)
        assert urlsplit(tab.url).path == f"/{where}"
        faults += faults_of_access(tab)
        tab.emulate_media(color_scheme="dark")
        wait_until(tab, lambda: luminance(tab) < 60, "the page does not turn dark")
        faults += [f"dark: {fault}" for fault in faults_of_access(tab)]
        tab.emulate_media(color_scheme="light")
        wait_until(tab, lambda: luminance(tab) > 200, "the page does not turn light again")
        tab.get_by_test_id("stMain").locator(".st-key-help button").first.click()
        meaning = tab.get_by_role("dialog")
        expect(meaning.get_by_role("heading", name="About this page")).to_be_visible()
        expect(meaning.locator("h2").nth(1)).to_be_visible()
        expect(meaning).not_to_contain_text("not installed")
        tab.keyboard.press("Escape")
        expect(meaning).to_have_count(0)
    tab.keyboard.press("/")
    tab.keyboard.type("rooms")
    expect(tab.get_by_role("option").first).to_be_visible()
    assert faults + faults_of_access(tab) == []


def test_the_overview_is_there_soon(address: str, tab: Page) -> None:
    began = time.monotonic()
    visit(tab, address)
    expect(tab.get_by_role("heading", name="Three findings in two minutes")).to_be_visible()
    expect(tab.get_by_test_id("stVegaLiteChart")).to_have_count(3)
    assert time.monotonic() - began < 30
    expect(tab.locator("h1")).to_have_text("Audio neuron atlas")
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(0)
    tab.locator(".st-key-fold_layers button").click()
    tab.locator(".st-key-fold_runs button").click()
    expect(tab.get_by_test_id("stVegaLiteChart")).to_have_count(5)
    for folded in ("The numbers", "Problems", "Runs as a table", "Models"):
        tab.get_by_test_id("stExpander").filter(has_text=folded).locator("summary").click()
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(4)


def test_from_a_cell_to_a_clip_that_plays(address: str, tab: Page) -> None:
    visit(tab, f"{address}/heatmap?model=nano-ssl&task=notes-pitch")
    click_in(tab, "counts_chart", 0.82, 0.66)  # the second but last class in the last layer
    settle(tab)
    cell = state(tab)
    assert (cell["layer"], cell["class"]) == ("5", "G4")
    expect(tab.get_by_role("heading", name="Neurons of layer 5 for class G4")).to_be_visible()
    click_in(tab, "neurons_chart", 0.5, 0.42)
    tab.wait_for_url("**/neuron?**")
    expect(tab.locator("h1")).to_contain_text("in layer 5 of nano-ssl")
    settle(tab)
    assert "neuron" in state(tab)
    player = tab.locator(".st-key-neuron_player")
    expect(tab.get_by_role("slider", name="Position in Top 1: ")).to_be_visible()
    left = player.locator(".playhead").bounding_box()
    player.get_by_role("button", name="Play").click()
    audio = player.locator("audio")
    wait_until(tab, lambda: audio.evaluate("audio => audio.currentTime") > 0.2, "the sound does not go on")
    now = player.locator(".playhead").bounding_box()
    assert left and now
    assert now["x"] > left["x"] + 10
    expect(tab.get_by_role("option", name="Silent 1")).to_be_attached()

    title = tab.locator("h1").inner_text()
    tab.reload()
    settle(tab)
    expect(tab.locator("h1")).to_have_text(title)


def test_a_twin_in_another_model_is_heard_beside_it_on_a_phone_in_the_dark(address: str, tab: Page) -> None:
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size(PHONE)
    visit(tab, f"{address}/compare?model=nano-ssl&task=rooms-event&other=nano-sl")
    tab.locator(".st-key-fold_partners button").click()
    expect(tab.get_by_text("On held-out clips partners correlate by")).to_be_visible()
    settle(tab)
    assert too_wide(tab) == [] and faults_of_access(tab) == []
    visit(tab, f"{address}/neuron?model=nano-ssl&task=rooms-event&layer=2&neuron=8&part=twins")
    expect(tab.get_by_text("Its twin in nano-sl is")).to_be_visible()
    both = tab.get_by_role("region", name="Player of both")
    both.get_by_role("button", name="Play").click()
    audio = both.locator("audio")
    wait_until(tab, lambda: audio.evaluate("audio => audio.currentTime") > 0.1, "the sound does not go on")
    assert too_wide(tab) == [] and faults_of_access(tab) == []
    visit(tab, f"{address}/{tab.get_by_role('link', name='L2·9').get_attribute('href')}")
    expect(tab.locator("h1")).to_contain_text("Neuron 9 in layer 2 of nano-sl")
    expect(tab.get_by_text("Its twin in nano-ssl is")).to_be_visible()


@pytest.mark.parametrize("where", STATES)
def test_a_link_reopens_the_same_view_in_the_dark_on_a_phone(where: str, address: str, tab: Page) -> None:
    given, said = STATES[where]
    views = []
    tab.emulate_media(color_scheme="dark")
    tab.set_viewport_size(PHONE)
    link = url(address, where, given)
    for _ in range(2):
        tab.goto("about:blank")
        tab.goto(link)
        settle(tab, PAGES[where][1])
        expect(tab.get_by_test_id("stMain").get_by_text(said).first).to_be_visible()
        assert given.items() <= state(tab).items(), "the page does not keep what it was asked for"
        assert luminance(tab) < 60
        assert too_wide(tab) == []
        assert faults_of_access(tab) == []
        views.append((text(tab), state(tab)))
        link = own_link(tab)
        assert link.startswith(f"{address}/{where}?")
    assert views[0] == views[1]


ALONE = """() => {
  const middle = part => { const box = part.getBoundingClientRect(); return (box.top + box.bottom) / 2 };
  const words = [...document.querySelectorAll("[data-testid=stMain] :is(h3, strong, p)")];
  const heads = words.filter(part => !part.closest("button")).map(middle);
  return [...document.querySelectorAll("[class*=st-key-take_]")]
    .filter(menu => !heads.some(at => Math.abs(at - middle(menu)) < 14)).map(menu => menu.className);
}"""
"""The menus of exports beside which, in their line, stands no word."""


def test_exports_stand_in_the_lines_of_headings(address: str, tab: Page) -> None:
    for where in ("", "heatmap", "coverage", "sharing", "compare", "neuron", "ablation"):
        visit(tab, url(address, where, {"task": "rooms-event"} if where else {}), None)
        expect(tab.get_by_role("button", name="Export").first).to_be_visible()
        assert tab.evaluate(ALONE) == [], where or "overview"


def test_sounds_and_classes_of_a_neuron_stand_side_by_side_where_there_is_room(address: str, tab: Page) -> None:
    visit(tab, f"{address}/neuron?task=rooms-event")
    tops = []
    for width in (1280, 1920):
        tab.set_viewport_size({"width": width, "height": 900})
        boxes = [tab.get_by_role("heading", name=name).bounding_box() for name in ("Hear it", "Which classes it")]
        tops.append([box["y"] for box in boxes if box])
    assert tops[0][0] < tops[0][1] and tops[1][0] == tops[1][1]


def too_wide(tab: Page) -> list[str]:
    """What of the page itself must be scrolled sideways to be seen."""
    found: list[str] = tab.evaluate(
        "[document.body, ...document.querySelectorAll('[data-testid=stMain], [data-testid=stMainBlockContainer]')]"
        ".filter(part => part.scrollWidth > part.clientWidth).map(part => part.dataset.testid || part.tagName)"
    )
    return found


def test_what_an_address_asks_for_in_vain_is_text(address: str, tab: Page) -> None:
    tab.goto(url(address, "heatmap", {"model": MARKDOWN, "task": IMAGE, "layer": "9" * 5000}))
    settle(tab, alerts=3)
    for asked in (MARKDOWN, IMAGE):
        expect(tab.get_by_test_id("stAlert").filter(has_text=f"“{asked}”")).to_be_visible()
    assert tab.evaluate("window.hacked") is None


def test_back_leads_through_pages_and_states(address: str, tab: Page) -> None:
    visit(tab, url(address, "heatmap", {**VOICES, "layer": "1", "class": "anger"}))
    first = tab.get_by_role("heading", name="Neurons of layer 1 for class anger")
    expect(first).to_be_visible()
    tab.get_by_test_id("stSidebarNavLink").filter(has_text="Neuron").click()
    tab.wait_for_url("**/neuron?model=nano-sl&dataset=voices&task=voices-emotion**")
    expect(tab.locator("h1")).to_contain_text("of nano-sl")
    settle(tab)
    one = tab.locator("h1").inner_text()
    layer = tab.get_by_role("spinbutton", name="Layer")
    layer.fill("3")
    layer.press("Enter")
    expect(tab.locator("h1")).not_to_have_text(one)
    settle(tab)
    for words in ("Neuron", "in layer 3", "of nano-sl"):
        assert words in tab.locator("h1").inner_text()
    expect(tab).to_have_title(re.compile(r"^L3·\d+ nano-sl · Audio Neuron Atlas$"))
    tab.go_back()
    expect(tab.locator("h1")).to_have_text(one)
    settle(tab)
    tab.go_back()
    expect(first).to_be_visible()
    assert "/heatmap" in tab.url and state(tab)["class"] == "anger"
    expect(tab).to_have_title("Heatmap of voices-emotion, nano-sl · Audio Neuron Atlas")


def test_a_page_that_writes_out_its_state_is_one_step(address: str, tab: Page) -> None:
    visit(tab, f"{address}/")
    assert state(tab), "the page writes out what it shows"
    link = tab.get_by_test_id("stSidebarNavLink").filter(has_text="Heatmap")
    link.click()
    expect(tab.locator("h1")).to_contain_text("Where the neurons lie")
    settle(tab)
    wait_until(tab, lambda: "layer" in state(tab), "the page does not write out what it shows")
    tab.go_back()
    expect(tab.locator("h1")).to_have_text("Audio neuron atlas")
    settle(tab)
    tab.go_back()
    assert tab.url == "about:blank"


def download(tab: Page, name: str) -> bytes:
    with tab.expect_download() as waiting:
        tab.get_by_test_id("stPopoverBody").get_by_role("button", name=name, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_rows_and_pictures_can_be_taken_away(address: str, tab: Page) -> None:
    visit(tab, url(address, "heatmap", {"model": "nano-sl", "task": "voices-emotion"}))
    tab.get_by_role("button", name="Export").first.click()
    menu = tab.get_by_test_id("stPopoverBody")
    expect(menu.get_by_role("button", name="PNG", exact=True)).to_be_visible()
    settle(tab)
    rows = pd.read_csv(io.BytesIO(download(tab, "CSV")))
    assert len(rows) == 6 * 6
    assert {"layer", "class_name", "n_neurons"} <= set(rows.columns)
    whole = pd.read_parquet(io.BytesIO(download(tab, "Parquet")))
    assert whole["n_neurons"].tolist() == rows["n_neurons"].tolist()
    assert whole["class_name"].tolist() == rows["class_name"].tolist()
    drawing = download(tab, "SVG").decode()
    assert drawing.startswith("<svg")
    assert "sadness" in drawing
    assert download(tab, "PNG").startswith(b"\x89PNG")

    menu.get_by_role("link", name="Open in SQL").first.click()
    tab.wait_for_url("**/sql?**")
    settle(tab)
    statement = tab.get_by_role("textbox", name="Statement").input_value()
    assert "SELECT" in statement
    assert state(tab)["sql"].strip() == statement.strip()
    expect(tab.get_by_role("heading", name="Answer")).to_be_visible()
    expect(tab.get_by_text("36 rows")).to_be_visible()


def digests(store: Path) -> dict[str, str]:
    """Checksums of the store's folder, without what SQLite itself keeps to share a file between readers."""
    files = sorted(path for path in store.parent.iterdir() if path.is_file() and not path.name.endswith("-shm"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_attacks_on_the_editor_do_nothing(store: Path, address: str, tab: Page) -> None:
    visit(tab, f"{address}/sql")
    before = digests(store)
    stolen = store.parent / "stolen.db"
    attacks = [
        f"ATTACH DATABASE '{stolen}' AS other",
        f"VACUUM INTO '{stolen}'",
        "PRAGMA writable_schema = 1",
        "DROP TABLE neuron",
        "DELETE FROM neuron",
        "SELECT 1; DROP TABLE neuron",
        "WITH gone AS (SELECT 1) DELETE FROM neuron",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT writefile('/tmp/x', 'x')",
        f"SELECT {IMAGE}",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT SUM(i) FROM n",
    ]
    said = ""
    for attack in attacks:
        editor = tab.get_by_role("textbox", name="Statement")
        editor.fill(attack)
        editor.press("Control+Enter")
        wait_until(tab, lambda sql=attack: state(tab).get("sql") == sql, "the statement was not taken")
        settle(tab, alerts=1)
        refusal = tab.get_by_test_id("stAlert")
        expect(refusal).to_contain_text("No answer")
        said = refusal.inner_text().strip().removeprefix("No answer").strip()
        assert said
        assert "\n" not in said, attack
        assert "Traceback" not in said
    assert "second" in said or " s" in said, said  # the last one was stopped by the clock
    assert tab.evaluate("window.hacked") is None
    editor = tab.get_by_role("textbox", name="Statement")
    editor.fill("SELECT COUNT(*) AS n FROM neuron_selectivity")
    editor.press("Control+Enter")
    expect(tab.get_by_text("1 row, 1 column,")).to_be_visible()
    assert not stolen.exists()
    assert digests(store) == before


def test_names_are_completed_where_they_are_typed(address: str, tab: Page) -> None:
    visit(tab, f"{address}/sql")
    editor = tab.get_by_role("textbox", name="Statement")
    offered = tab.get_by_role("listbox", name="Names that fit").get_by_role("option")
    editor.fill("")
    editor.press_sequentially("SELECT t.n_classes_c")
    expect(offered).to_have_count(0)  # no view is named yet that t might stand for
    editor.press("Control+a")
    editor.press_sequentially("SELECT task FROM task_cov")
    expect(offered.first).to_contain_text("task_coverage")
    editor.press("Tab")
    editor.press_sequentially(" AS t WHERE t.n_classes_")
    expect(offered.first).to_contain_text("n_classes_covered")
    editor.press("Escape")
    expect(offered).to_have_count(0)
    editor.press("Control+ ")
    editor.press("Enter")
    editor.press_sequentially(" > 0 AND task = 'cov")
    expect(offered).to_have_count(0)  # nothing within a text
    editor.press_sequentially("' AND pres")
    editor.press("ArrowDown")
    editor.press("ArrowUp")
    editor.press("Enter")
    expect(editor).to_have_value(
        "SELECT task FROM task_coverage AS t WHERE t.n_classes_covered > 0 AND task = 'cov' AND preset"
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a store in which every name means harm."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_store, "DATASETS", HOSTILE)
        store = synthetic_store.build_store(
            folder / "atlas.db", models=(SCRIPT, f"=1+1{IMAGE}"), audio_root=folder / "audio"
        )
    write_segments(store, dataset="![voices](x)", phones=(MARKDOWN, IMAGE, LINK))
    with served(ATLAS, tmp_path_factory.mktemp("served"), "--db", str(store)) as at:
        yield at


@pytest.mark.parametrize("where", PAGES)
def test_hostile_names_are_mere_text(where: str, hostile: str, tab: Page) -> None:
    sounds = "<b onmouseover=window.hacked=1>sounds"
    given = {"model": SCRIPT, "task": f"{sounds}-{IMAGE}"}
    given |= {"heatmap": {"layer": "3", "class": MARKDOWN}, "neuron": {"layer": "3", "class": LINK}}.get(where, {})
    given |= {"ablation": {"target": MARKDOWN}, "sharing": {"row": SCRIPT, "column": MARKDOWN}}.get(where, {})
    given |= {"classes": {"class": MARKDOWN}}.get(where, {})
    given |= {"listen": {"source": "store", "clip": "1"}}.get(where, {})
    if where == "sql":
        given = {"sql": "SELECT * FROM task_coverage"}
    if where == "time":
        given = {"model": SCRIPT, "time_class": IMAGE}
    tab.goto(url(hostile, where, given))
    settle(tab, alerts=None)
    for folded in tab.get_by_test_id("stExpander").locator("summary").all():
        folded.click()
        settle(tab, alerts=None)
    assert tab.evaluate("window.hacked") is None
    made = tab.evaluate(
        """[...document.querySelectorAll('[data-testid=stApp] *')].filter(part =>
            part.matches('script, [onerror], [onmouseover], a[href^="javascript:"], .katex') ||
            (part.matches('img') && !part.src.startsWith('data:') && !part.src.startsWith('blob:'))
        ).map(part => part.outerHTML.slice(0, 200))"""
    )
    assert made == [], "a name became a part of the page"
    if where in ("neuron", "compare"):
        expect(tab.get_by_test_id("stMain").get_by_text(SCRIPT).first).to_be_visible()
    if where in ("heatmap", "ablation"):
        assert MARKDOWN in text(tab)
    if where == "time":
        assert f"Units of {IMAGE}" in text(tab)
        expect(tab.locator(".labels span").first).to_have_text(MARKDOWN)
    if where == "neuron":
        options = tab.get_by_role("option").all_inner_texts()
        assert any(IMAGE in option for option in options), options


def test_what_is_taken_away_holds_no_formula(hostile: str, tab: Page) -> None:
    given = {"model": SCRIPT, "task": f"<b onmouseover=window.hacked=1>sounds-{IMAGE}"}
    visit(tab, url(hostile, "heatmap", given))
    tab.get_by_role("button", name="Export").first.click()
    settle(tab)
    raw = download(tab, "CSV").decode()
    names = set(pd.read_csv(io.StringIO(raw))["class_name"])
    assert f"'{FORMULA}" in names
    assert FORMULA not in names
    assert {SCRIPT, IMAGE, MARKDOWN} <= names
