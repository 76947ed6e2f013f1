"""The search and the page of a class in a real browser: by the keys alone, by a click, in a tab of its own."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from tests.browser.driver import MARKS, Page, expect, settle, state, visit
from tests.support import synthetic_store
from tests.support.notes import make_notes

pytestmark = MARKS

IMAGE = "<img src=x onerror=window.hacked=1>"
WIDTH = 390


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study, with notes and a class whose name means harm."""
    folder = tmp_path_factory.mktemp("search")
    rooms = synthetic_store.DATASETS["rooms"] | {"place": (IMAGE, "outdoors")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_store, "DATASETS", synthetic_store.DATASETS | {"rooms": rooms})
        made = synthetic_store.build_store(folder / "atlas.db", audio_root=folder / "audio")
    with closing(sqlite3.connect(made)) as connection:
        make_notes(connection, "notes-pitch")
        connection.commit()
    return made


class Hand:
    """Counts what it clicks and presses; what it types beside is free."""

    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.acts = 0

    def click(self, part: Locator) -> None:
        self.acts += 1
        part.click()

    def press(self, key: str) -> None:
        self.acts += 1
        self.tab.keyboard.press(key)

    def ask(self, words: str) -> None:
        self.press("/")
        expect(self.tab.get_by_role("combobox", name="Search the atlas")).to_be_focused()
        self.tab.keyboard.type(words)


def ask(tab: Page, words: str) -> None:
    Hand(tab).ask(words)


def test_a_misspelt_class_is_two_keys_and_a_name_away_and_plays(address: str, tab: Page) -> None:
    visit(tab, f"{address}/sharing?model=nano-sl")
    hand = Hand(tab)
    hand.ask("sirne")
    hand.press("Enter")  # before the answer is there
    tab.wait_for_url("**/classes?**")
    settle(tab)
    expect(tab.locator("h1")).to_have_text("Siren")
    assert {name: state(tab)[name] for name in ("model", "task", "class")} == {
        "model": "nano-sl", "task": "rooms-event", "class": "siren"
    }  # fmt: skip
    expect(tab.get_by_text("Silencing its").first).to_be_visible()
    assert hand.acts <= 2
    expect(tab.get_by_role("combobox", name="Search the atlas")).to_have_value("")
    cards = tab.locator(".card")
    expect(cards).to_have_count(6)
    first, second = cards.nth(0), cards.nth(1)
    hand.click(first.locator(".thumb"))
    expect(first).to_have_class(re.compile("playing"))
    assert hand.acts <= 3
    second.locator(".thumb").click()  # one is heard at a time
    expect(second).to_have_class(re.compile("playing"))
    expect(first).not_to_have_class(re.compile("playing"))
    first.locator("a").click()
    tab.wait_for_url("**/neuron?**")
    settle(tab)
    assert (state(tab)["class"], state(tab)["hear"]) == ("siren", "class")


def test_what_is_asked_most_is_a_click_or_two_away(address: str, tab: Page) -> None:
    visit(tab, f"{address}/coverage")
    pages = tab.get_by_test_id("stSidebarNavLink")
    main = tab.get_by_test_id("stMain")

    hand = Hand(tab)
    hand.click(pages.and_(tab.get_by_role("link", name="Compare", exact=True)))
    expect(main.get_by_text("nano-ssl").first).to_be_visible()
    expect(main.get_by_text("nano-sl", exact=True).first).to_be_visible()
    settle(tab)
    assert hand.acts == 1, "one model against the other"

    hand = Hand(tab)
    hand.click(pages.filter(has_text="Pitch"))
    expect(tab.get_by_role("heading", name="Octaves", exact=True)).to_be_visible()
    settle(tab, None)
    assert hand.acts == 1, "octaves"

    hand = Hand(tab)
    hand.ask("C4")
    hand.press("Enter")
    tab.wait_for_url("**/classes?**")
    settle(tab)
    assert state(tab)["class"] == "60"
    expect(tab.locator(".card .first a").first).to_be_visible()
    assert hand.acts <= 2, "the most selective neuron for a note"

    pages.filter(has_text="SQL").click()
    settle(tab)
    hand = Hand(tab)
    hand.click(tab.get_by_role("combobox", name="Example questions"))
    tab.keyboard.type("lowest entro")
    hand.press("Enter")
    expect(tab.get_by_text("10 rows, 8 columns")).to_be_visible()
    assert hand.acts <= 2, "the ten lowest entropies"


def test_arrows_choose_and_escape_closes(address: str, tab: Page) -> None:
    visit(tab, f"{address}/sql")
    ask(tab, "rooms")
    options = tab.get_by_role("option")
    expect(options).to_have_count(3)  # a dataset and its two tasks
    expect(options.nth(0)).to_have_attribute("aria-selected", "true")
    tab.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    expect(options.nth(2)).to_have_attribute("aria-selected", "true")
    tab.keyboard.press("Escape")
    expect(options).to_have_count(0)
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/coverage?**")
    settle(tab)
    assert state(tab)["dataset"] == "rooms"


def test_a_slash_in_a_text_is_a_slash(address: str, tab: Page) -> None:
    visit(tab, f"{address}/sql")
    editor = tab.get_by_role("textbox", name="Statement")
    editor.click()
    tab.keyboard.press("End")
    tab.keyboard.type("/")
    expect(editor).to_be_focused()
    assert "/" in editor.input_value()


def test_every_result_is_a_link_that_opens_alone(address: str, tab: Page) -> None:
    visit(tab, f"{address}/coverage")
    ask(tab, "L4·63")
    option = tab.get_by_role("option").first
    expect(option).to_contain_text("nano-ssl")
    with tab.context.expect_page() as opened:
        option.click(modifiers=["Control"])
    other = opened.value
    settle(other)
    expect(other.locator("h1")).to_contain_text("63")
    assert (state(other)["layer"], state(other)["neuron"]) == ("4", "63")
    other.close()
    assert tab.url.endswith("/coverage") or "/coverage?" in tab.url


def test_names_are_mere_text_and_nothing_is_said_to_be_nothing(address: str, tab: Page) -> None:
    tab.set_viewport_size({"width": WIDTH, "height": 844})
    visit(tab, f"{address}/speech", alerts=None)
    ask(tab, "<img")
    expect(tab.get_by_role("option").first).to_contain_text(IMAGE)
    box = tab.locator(".found").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= WIDTH
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/classes?**")
    settle(tab, alerts=None)
    assert state(tab)["class"] == IMAGE
    ask(tab, "xyzzy")
    expect(tab.get_by_text("Nothing here is called “xyzzy”.")).to_be_visible()
    assert tab.evaluate("window.hacked") is None
    assert tab.evaluate("document.documentElement.scrollWidth") <= WIDTH
