"""One server, one browser and one tab for each file of tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="module")
def store(synthetic_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up study with heads on its layers, maps, made sounds, segments and some units in words, in a folder."""
    from tests.support.description_records import write_descriptions
    from tests.support.layer_records import write_all_layers
    from tests.support.map_records import write_maps
    from tests.support.segment_records import write_segments
    from tests.support.stimulus_records import write_stimuli

    path = Path(shutil.copy(synthetic_store, tmp_path_factory.mktemp("store") / "atlas.db"))
    path = write_segments(write_stimuli(write_maps(write_all_layers(path)), "nano-ssl", "nano-sl"))
    return write_descriptions(path, "nano-sl", "rooms")


@pytest.fixture(scope="module")
def address(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the pages of the store are."""
    from tests.browser.driver import ATLAS, served

    with served(ATLAS, tmp_path_factory.mktemp("served"), "--db", str(store)) as url:
        yield url


@pytest.fixture(scope="module")
def flags() -> tuple[str, ...]:
    """What the browser is started with besides the usual."""
    return ()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory, flags: tuple[str, ...]) -> Iterator[BrowserContext]:
    """Open a browser without a history."""
    from tests.browser.driver import browser

    with browser(tmp_path_factory.mktemp("profile"), *flags) as context:
        yield context


@pytest.fixture(scope="module")
def kept_tab(window: BrowserContext) -> Page:
    """The tab of all tests: in a new one the pages' code would be read and compiled anew each time."""
    return window.new_page()


@pytest.fixture
def tab(kept_tab: Page) -> Iterator[Page]:
    """The tab, light, wide and empty; while the test runs, nothing may go wrong in it."""
    from tests.browser.driver import DESKTOP, sound

    kept_tab.emulate_media(color_scheme="light")
    kept_tab.set_viewport_size(DESKTOP)
    kept_tab.goto("about:blank")
    with sound(kept_tab):
        yield kept_tab
