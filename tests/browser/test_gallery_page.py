"""The gallery in a real browser: keys, sound, further cards, two of them side by side, a page that stays light."""

from __future__ import annotations

from playwright.sync_api import Locator

from tests.browser.driver import MARKS, Page, expect, faults_of_access, settle, state, visit, wait_until

pytestmark = MARKS
WHERE = "gallery?model=nano-sl&task=rooms-event&show=all&order=place"
CARDS = 24


def part(tab: Page, name: str) -> Locator:
    return tab.locator(f".st-key-gallery_grid {name}")


def plays(tab: Page) -> bool:
    return bool(part(tab, "audio").evaluate("audio => !audio.paused && audio.currentTime > 0"))


def endless(tab: Page) -> None:
    """Sounds begin anew at their end: they are short, and a busy machine looks seldom."""
    part(tab, "audio").evaluate("audio => (audio.loop = true)")


def focused(tab: Page) -> str:
    return str(
        part(tab, ".grid").evaluate("grid => grid.getRootNode().activeElement?.closest('.card')?.dataset.id ?? ''")
    )


def test_keys_play_and_walk(address: str, tab: Page) -> None:
    visit(tab, f"{address}/{WHERE}")
    thumb = part(tab, ".thumb").nth(4)
    expect(thumb.locator("img")).to_be_visible()
    endless(tab)
    thumb.focus()
    tab.keyboard.press(" ")
    wait_until(tab, lambda: plays(tab), "space plays nothing")
    expect(part(tab, ".card.playing")).to_have_count(1)
    tab.keyboard.press("Enter")
    wait_until(tab, lambda: not plays(tab), "Enter does not stop it")
    tab.keyboard.press("ArrowRight")
    assert focused(tab) == "0-5"
    tab.keyboard.press("ArrowDown")
    below = int(focused(tab).split("-")[1])
    assert below in (7, 8, 9, 11)  # by as many as stand in a row
    tab.keyboard.press("ArrowUp")
    assert focused(tab) == "0-5"


def test_the_mouse_plays_by_being_there(address: str, tab: Page) -> None:
    visit(tab, f"{address}/{WHERE}")
    thumb = part(tab, ".thumb").nth(4)
    expect(thumb.locator("img")).to_be_visible()
    endless(tab)
    tab.locator("h1").click()  # a browser wants a click before it plays
    thumb.hover()
    wait_until(tab, lambda: plays(tab), "nothing is heard")
    tab.mouse.move(5, 5)
    wait_until(tab, lambda: not plays(tab), "it goes on without the mouse")
    part(tab, ".hovers").uncheck()
    thumb.hover()
    tab.wait_for_timeout(600)
    assert not plays(tab)


def test_further_cards_come_and_those_far_away_go(address: str, tab: Page) -> None:
    visit(tab, f"{address}/{WHERE}")
    expect(part(tab, ".card").first).to_be_visible()
    for _ in range(6):
        n_pages = part(tab, ".page").count()
        part(tab, ".end").scroll_into_view_if_needed()
        wait_until(tab, lambda before=n_pages: part(tab, ".page").count() > before, "no more cards come")  # type: ignore[misc]
    n_pages = part(tab, ".page").count()
    assert n_pages >= 7
    wait_until(tab, lambda: part(tab, ".card").count() < n_pages * CARDS, "the page holds all cards it ever had")
    part(tab, ".page").first.scroll_into_view_if_needed()
    expect(part(tab, ".card[data-id='0-0']")).to_be_visible()


def test_a_card_leads_to_its_neuron_and_two_to_both(address: str, tab: Page) -> None:
    visit(tab, f"{address}/{WHERE}")
    name = part(tab, ".first a").nth(5)
    layer, neuron = name.inner_text().removeprefix("L").split("·")
    for place in (5, 6):
        part(tab, ".pick input").nth(place).check()
    expect(part(tab, ".said")).to_contain_text("beside")
    part(tab, ".go").click()
    expect(tab.locator("h1")).to_contain_text("beside")
    settle(tab)
    assert (state(tab)["layer"], state(tab)["neuron"]) == (layer, neuron)
    assert tab.url.split("?")[0] == f"{address}/pair"
    visit(tab, f"{address}/{WHERE}")
    part(tab, ".first a").nth(5).click()
    expect(tab.locator("h1")).to_contain_text("Neuron")
    settle(tab)
    assert (state(tab)["layer"], state(tab)["neuron"]) == (layer, neuron)


def test_words_find_units_and_what_explains_them_is_one_click_away(address: str, tab: Page) -> None:
    visit(tab, f"{address}/gallery?model=nano-sl&task=rooms-event&preset=calibrated")
    box = tab.get_by_role("textbox", name="Find in words")
    box.fill("high-pitched, not onset")
    box.press("Enter")
    expect(part(tab, ".card")).to_have_count(1)
    expect(part(tab, ".sentence")).to_have_text("fires on high pitch (highest fifth of f0)")
    expect(part(tab, ".card")).to_contain_text("r 0.50 on held-out clips, others’ up to 0.25")
    settle(tab)
    assert (state(tab)["find"], state(tab)["show"]) == ("high-pitched, not onset", "all")
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        settle(tab)
        assert faults_of_access(tab) == []
    box.fill("")
    box.press("Enter")
    settle(tab)
    tab.get_by_role("radio", name="classes only").click()
    expect(part(tab, ".card")).to_have_count(1)
    expect(part(tab, ".sentence")).to_have_text("fires on clips of siren")
    settle(tab)
    assert "find" not in state(tab) and state(tab)["explained"] == "classes"
