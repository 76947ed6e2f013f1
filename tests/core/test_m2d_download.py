"""Published M2D checkpoints: found by name, fetched after the licence was accepted, else told how to fetch."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.datasets import InputError
from core.encoders.m2d import download
from core.encoders.m2d import encoder as m2d
from tests.support.tiny_m2d import write, zipped


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATLAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "m2d"


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server in place of the real one; yields the folder of release v0.1.0."""
    folder = tmp_path / "server" / "v0.1.0"
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder.parent))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "RELEASES", f"http://127.0.0.1:{server.server_port}")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_address_of_a_release() -> None:
    expected = "https://github.com/nttcslab/m2d/releases/download/v0.1.0/m2d_vit_base-80x608p16x16-221006-mr7.zip"
    assert download.url("m2d_vit_base-80x608p16x16-221006-mr7") == expected


def test_without_weights_the_option_is_named() -> None:
    with pytest.raises(InputError, match="m2d needs --weights"):
        m2d.load(None)


def test_path_that_is_not_there_names_the_nearest_published(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean m2d_vit_base-80x608p16x16-221006-mr7"):
        m2d.load(Path("m2d_vit_base-80x608p16x16-221006"))
    with pytest.raises(InputError, match=r"no weights at .*a\.pth; expected a checkpoint file"):
        m2d.load(tmp_path / "a.pth")


def test_published_name_without_a_terminal_says_what_to_fetch(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(InputError, match="its licence must be accepted at a terminal") as caught:
        m2d.load(Path(download.PAPER))
    assert f"fetch {download.url(download.PAPER)} by hand and give the file with --weights" in str(caught.value)


def test_published_name_is_fetched_once_after_the_licence(
    cache: Path, releases: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(releases, download.PAPER)
    zipped(releases / f"{download.PAPER}.zip", (f"{download.PAPER}/checkpoint-300.pth", path.read_bytes()))
    for answer in ("n\n", "\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        with pytest.raises(InputError, match="was not accepted; nothing was fetched"):
            m2d.load(Path(download.PAPER))
        assert not cache.exists()
    assert "non-commercial testing and evaluation only" in capfd.readouterr().err
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    encoder = m2d.load(Path(download.PAPER))
    assert encoder.checkpoint == download.PAPER
    assert "the paper's model" in encoder.description
    monkeypatch.setattr(download, "RELEASES", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert m2d.load(Path(download.PAPER)).sha256 == encoder.sha256


def test_failed_fetch_says_what_to_do_and_leaves_nothing(
    cache: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failure() -> str:
        monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
        with pytest.raises(InputError, match="by hand and give the file with --weights") as caught:
            m2d.load(Path(download.PAPER))
        assert not cache.exists() or not list(cache.iterdir())
        return str(caught.value)

    assert "404" in failure()
    (releases / f"{download.PAPER}.zip").write_bytes(b"PK\x03\x04 half of it")
    assert "is not a whole .zip" in failure()
    monkeypatch.setattr(download, "RELEASES", "http://127.0.0.1:9")
    assert "could not be fetched" in failure()
