"""The real pages in a real browser: click from the overview's heatmap to a clip that plays.

``pytest -m browser tests/browser``; skipped where Chromium is not installed.
"""

from __future__ import annotations

import time

from tests.browser.driver import MARKS, BrowserContext, click_in, expect, settle, state, visit, wait_until, watch

pytestmark = MARKS


def test_the_overview_is_there_soon(address: str, window: BrowserContext) -> None:
    visit(window, address).close()  # the first visit pays for the imports
    began = time.monotonic()
    tab = visit(window, address)
    expect(tab.get_by_test_id("stVegaLiteChart")).to_have_count(5)
    assert time.monotonic() - began < 30
    expect(tab.locator("h1")).to_have_text("Audio neuron atlas")
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(0)
    for folded in ("The numbers", "Problems", "Runs as a table", "Models"):
        tab.get_by_test_id("stExpander").filter(has_text=folded).locator("summary").click()
    expect(tab.get_by_test_id("stDataFrame")).to_have_count(4)
    tab.close()


def test_from_a_cell_to_a_clip_that_plays(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-ssl&task=notes-pitch")
    complaints = watch(tab)
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
    assert complaints.told() == []
    tab.close()


def test_the_link_reopens_the_same_page(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion&layer=5&class=fear")
    heading = tab.get_by_role("heading", name="Neurons of layer 5 for class fear")
    expect(heading).to_be_visible()
    tab.get_by_role("button", name="Link").click()
    link = tab.get_by_test_id("stPopoverBody").locator("code").inner_text().strip()
    tab.close()
    assert link.startswith(f"{address}/heatmap?")
    again = visit(window, link)
    expect(again.get_by_role("heading", name="Neurons of layer 5 for class fear")).to_be_visible()
    again.close()


def test_pages_hand_the_choice_on(address: str, window: BrowserContext) -> None:
    tab = visit(window, f"{address}/heatmap?model=nano-sl&task=voices-emotion")
    tab.get_by_test_id("stSidebarNavLink").filter(has_text="Neuron").click()
    tab.wait_for_url("**/neuron?model=nano-sl&task=voices-emotion**")
    expect(tab.locator("h1")).to_contain_text("of nano-sl")
    settle(tab)
    tab.close()
