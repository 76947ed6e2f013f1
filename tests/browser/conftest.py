"""One server and one browser for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.synthetic_store import build_store

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up study with its sounds."""
    folder = tmp_path_factory.mktemp("store")
    return build_store(folder / "atlas.db", audio_root=folder / "audio")


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
