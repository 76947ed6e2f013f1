"""The map in a real browser: pointed at, clicked, walked through by keys, drawn around, one colour alone."""

from __future__ import annotations

from playwright.sync_api import Locator

from tests.browser.driver import MARKS, Page, expect, settle, state, visit, wait_until

pytestmark = MARKS
WHERE = "map?model=nano-sl&task=rooms-event&preset=calibrated&colour=layer"
MARGIN = 14
WIDTH = 64


def part(tab: Page, name: str) -> Locator:
    return tab.locator(f".st-key-unit_map {name}")


def ready(tab: Page, address: str, where: str = WHERE) -> None:
    visit(tab, f"{address}/{where}")
    expect(part(tab, ".legend button").first).to_be_visible()


def spot(tab: Page, layer: int, neuron: int) -> tuple[float, float]:
    """Where a unit is drawn, in the window."""
    part(tab, ".stage").scroll_into_view_if_needed()
    box = part(tab, ".stage").bounding_box()
    assert box is not None
    side = min(box["width"], box["height"]) - 2 * MARGIN - 2
    across, down = neuron / (WIDTH - 1) - 0.5, 0.5 - layer / 5
    return box["x"] + box["width"] / 2 + across * side, box["y"] + box["height"] / 2 + down * side


def test_the_mouse_tells_a_unit_and_a_click_plays_it(address: str, tab: Page) -> None:
    ready(tab, address)
    tab.mouse.move(*spot(tab, 3, 20))
    expect(part(tab, ".tip")).to_have_text("L3·20")
    tab.mouse.click(*spot(tab, 3, 20))
    expect(tab.get_by_role("heading", name="Layer 3, neuron 20")).to_be_visible()
    settle(tab)
    assert (state(tab)["layer"], state(tab)["neuron"]) == ("3", "20")
    audio = tab.locator(".st-key-map_player audio")
    wait_until(tab, lambda: bool(audio.evaluate("audio => audio.played.length > 0")), "the click plays nothing")


def test_keys_walk_and_play(address: str, tab: Page) -> None:
    ready(tab, address, f"{WHERE}&layer=2&neuron=10")
    part(tab, ".stage").focus()
    tab.keyboard.press("ArrowRight")
    expect(part(tab, ".status")).to_have_text("L2·11")
    tab.keyboard.press("ArrowUp")
    expect(part(tab, ".status")).to_have_text("L3·11")
    tab.keyboard.press("+")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Layer 3, neuron 11")).to_be_visible()
    settle(tab)
    assert (state(tab)["layer"], state(tab)["neuron"]) == ("3", "11")


def test_units_that_are_drawn_around_are_listed_until_the_area_is_cleared(address: str, tab: Page) -> None:
    ready(tab, address)
    part(tab, ".lasso").click()
    tab.mouse.move(*(at - 8 for at in spot(tab, 1, 0)))
    tab.mouse.down()
    for layer, neuron in ((1, 12), (0, 12), (0, 0)):
        x, y = spot(tab, layer, neuron)
        tab.mouse.move(x + 3 if neuron else x - 8, y - 8 if layer else y + 8, steps=6)
    tab.mouse.up()
    expect(tab.get_by_role("heading", name="In the area")).to_be_visible()
    settle(tab)
    expect(tab.get_by_text("26 units.")).to_be_visible()  # layers 0 and 1, neurons 0 to 12
    tab.reload()
    settle(tab)
    expect(tab.get_by_text("26 units.")).to_be_visible()
    part(tab, ".clear").click()
    expect(tab.get_by_role("heading", name="All units")).to_be_visible()
    settle(tab)
    assert "area" not in state(tab)


def test_one_colour_alone_leaves_the_others_mute(address: str, tab: Page) -> None:
    ready(tab, address)
    entry = part(tab, ".legend button").nth(4)
    entry.click()
    expect(entry).to_have_attribute("aria-pressed", "true")
    tab.mouse.move(*spot(tab, 3, 20))
    expect(part(tab, ".tip")).to_be_hidden()
    tab.mouse.move(*spot(tab, 4, 20))
    expect(part(tab, ".tip")).to_have_text("L4·20")
