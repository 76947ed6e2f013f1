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


def test_a_unit_tells_its_sentence_to_the_mouse_and_to_keys(address: str, tab: Page) -> None:
    sentence = "fires on high pitch (highest fifth of f0); others’ r up to 0.25"
    ready(tab, address, f"{WHERE}&layer=0&neuron=1")
    part(tab, ".stage").focus()
    expect(part(tab, ".status")).to_have_text(f"L0·1. {sentence}")
    tab.keyboard.press("ArrowLeft")
    expect(part(tab, ".status")).to_contain_text("L0·0. fires on high pitch and onsets")
    tab.mouse.move(*spot(tab, 0, 1))
    expect(part(tab, ".tip .name")).to_have_text("L0·1")
    expect(part(tab, ".tip .said")).to_have_text(sentence)


def test_the_legend_is_whole(address: str, tab: Page) -> None:
    for width in (1280, 390):
        tab.set_viewport_size({"width": width, "height": 900})
        ready(tab, address, WHERE.replace("colour=layer", "colour=class"))
        cut = """legend => [...legend.children].filter(one => !one.hidden).some(one => {
            const [inner, outer] = [one.getBoundingClientRect(), legend.getBoundingClientRect()];
            return inner.bottom > outer.bottom || inner.right > outer.right + 1;
        }) || legend.scrollHeight > legend.clientHeight + 1"""
        assert part(tab, ".legend").evaluate(cut) is False
        colours = part(tab, ".legend button:not([hidden]) .swatch").evaluate_all(
            "all => all.map(one => one.style.background)"
        )
        assert len(set(colours)) == len(colours) > 2


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
