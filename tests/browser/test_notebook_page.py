"""The notebook in a real browser: a star by the keys, a name, a list with a link, out as CSV and in again."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.driver import (
    MARKS,
    Page,
    expect,
    faults_of_access,
    own_link,
    settle,
    state,
    text,
    visit,
    wait_until,
)  # fmt: skip

pytestmark = MARKS
WHERE = "neuron?model=nano-sl&task=rooms-event&layer=2&neuron=7"
NOTE = "<img src=x onerror=window.hacked=1> [x](javascript:window.hacked=1)"


def test_a_unit_is_starred_named_listed_found_and_taken_away(address: str, tab: Page, tmp_path: Path) -> None:
    visit(tab, f"{address}/{WHERE}")
    tab.get_by_role("button", name="Star", exact=False).focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("Starred, without name or note.")).to_be_visible()
    settle(tab)
    tab.get_by_role("button", name="Notes").focus()
    tab.keyboard.press("Enter")
    tab.get_by_role("textbox", name="Name").fill("siren cell")
    tab.get_by_role("textbox", name="Note").fill(NOTE)
    tab.get_by_role("combobox", name="Lists").fill("alarms")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    tab.get_by_role("button", name="Save").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_test_id("stMain").get_by_role("link", name="alarms")).to_be_visible()
    settle(tab)
    tab.keyboard.press("Escape")
    assert "siren cell" in text(tab) and "onerror" in text(tab)
    assert tab.evaluate("window.hacked") is None
    assert faults_of_access(tab) == []

    visit(tab, f"{address}/coverage?model=nano-sl")
    tab.keyboard.press("/")
    tab.keyboard.type("siren cell")
    expect(tab.get_by_role("option").first).to_contain_text("siren cell")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/neuron?**")
    settle(tab)
    assert (state(tab)["layer"], state(tab)["neuron"]) == ("2", "7")

    tab.get_by_test_id("stMain").get_by_role("link", name="alarms").click()
    expect(tab.locator("h1")).to_have_text("Notebook")
    settle(tab)
    assert state(tab)["list"] == "alarms" and own_link(tab).endswith("/notebook?list=alarms")
    tab.get_by_role("button", name="Export").click()
    with tab.expect_download() as got:
        tab.get_by_role("button", name="CSV of alarms").click()
    got.value.save_as(tmp_path / "alarms.csv")
    first = (tmp_path / "alarms.csv").read_text().splitlines()
    assert first[0] == "list,model,layer,neuron,name,note,starred_at" and first[1].startswith("alarms,nano-sl,2,7,")
    tab.keyboard.press("Escape")
    tab.get_by_test_id("stMain").get_by_role("link", name="Hear those of nano-sl").click()
    expect(tab.locator("h1")).to_have_text("Find")
    settle(tab)
    card = tab.locator(".st-key-gallery_grid .card")
    expect(card).to_have_count(1)
    expect(card.locator(".star")).to_have_text(re.compile("siren cell"))

    visit(tab, f"{address}/{WHERE}")
    tab.get_by_role("button", name="Notes").click()
    tab.get_by_role("button", name="Remove the star").click()
    expect(tab.get_by_role("button", name="Star", exact=False).first).to_be_visible()
    visit(tab, f"{address}/notebook", alerts=1)
    tab.get_by_role("button", name="Import").click()
    tab.locator("input[type=file]").set_input_files(tmp_path / "alarms.csv")
    expect(tab.get_by_text("alarms.csv")).to_be_visible()
    tab.get_by_role("button", name="Take it in").click()
    expect(tab.get_by_text("1 unit read from the file.")).to_be_visible()
    wait_until(tab, lambda: "alarms (1)" in text(tab), "the list is not back")
    tab.keyboard.press("Escape")
    for width in (390, 1280, 1920):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert faults_of_access(tab) == []
