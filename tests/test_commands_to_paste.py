"""Commands that the program tells to paste: whatever names hold, a shell reads them as names."""

from __future__ import annotations

import io
import os
import re
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from core.progress.console import _Terminal
from core.progress.progress import Progress
from core.run.config import AnalysisConfig
from core.run.outcome import tell_end
from core.untrusted_text import as_command, harmless
from dashboard.shared.text import words
from db.connection.open import StoreError, open_store
from db.sandbox.ask import run_sql
from tests.support.pages import open_page
from tests.support.synthetic_store import build_store

ROOT = Path(__file__).resolve().parents[1]
EVIL = "hf:x; touch PWNED #"
NAMES = (
    EVIL, "$(touch PWNED)", "`touch PWNED`", "it's; touch PWNED", "a\ntouch PWNED\n", "a\x15touch PWNED\r",
    "\x03\x04\x1b[A", "a\\b'c\x01d", "-x", "--db=y", "", " ", "*", "~",
    "é 日本 \u202e\u2066x", "\U000e0001", "!!", "a&b|c>d<e",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_reads_a_name_as_a_name(name: str, tmp_path: Path) -> None:
    pasted = as_command("printf '%s\\0' program", {"--model": name, "--untrained": None})
    assert pasted.isprintable() and harmless(pasted) == pasted, "a terminal obeys keys while it is pasted into"
    done = subprocess.run(
        ["bash", "-c", pasted], cwd=tmp_path, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    joint = [f"--model={name}"] if name.startswith("-") else ["--model", name]
    assert done.stdout.decode().split("\0")[:-1] == ["program", *joint, "--untrained"]
    assert list(tmp_path.iterdir()) == []


def test_no_command_is_put_together_elsewhere() -> None:
    """Names reach a command by `as_command` alone."""
    for package in ("core", "db", "dashboard"):
        for path in (ROOT / package).rglob("*.py"):
            for line in path.read_text().splitlines():
                assert not re.search(r"""f["'].*(run_analysis\.py|streamlit run|python -m)[^"']*\{""", line), (
                    path,
                    line,
                )


@pytest.mark.parametrize(
    ("view", "state"),
    [("neuron", {"layer": "3", "part": "cause"}), ("compare", {}), ("ablation", {}), ("pitch", {}), ("speech", {}),
     ("listen", {"source": "store", "clip": "1"})],
)  # fmt: skip
def test_no_page_shows_a_name_as_a_command(
    view: str, state: dict[str, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("evil")
    store = build_store(folder / "atlas.db", models=[EVIL], audio_root=folder / "audio")
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DELETE FROM top_clip")
        connection.execute("DELETE FROM contrast_clip")
        connection.commit()
    monkeypatch.setenv("ATLAS_DB", str(store))
    app = open_page(view, **state)
    assert not app.exception
    commands = [shlex.split(part.value) for part in app.code if part.value.startswith("python ")]
    assert all(EVIL in command for command in commands if "--model" in command)
    assert "touch" not in {word for command in commands for word in command}
    assert commands or view not in ("neuron", "compare"), "these pages name a command here"


def test_the_last_line_of_a_run_is_a_command() -> None:
    text = io.StringIO()
    console = _Terminal(file=text, soft_wrap=True, markup=False, emoji=False, highlight=False)
    tell_end(Progress(console, console), AnalysisConfig(db="my store; touch PWNED.db"), [], 60.0)
    last = text.getvalue().splitlines()[-1]
    assert last == "look at them with: streamlit run dashboard/app.py -- --db 'my store; touch PWNED.db'"


def test_errors_of_a_store_end_in_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "a b; touch PWNED.db"
    for ask in (lambda: open_store(missing, create=False), lambda: run_sql(missing, "SELECT 1")):
        with pytest.raises(StoreError) as error:
            ask()
        assert str(error.value).endswith("python run_analysis.py --db 'a b; touch PWNED.db'")
    monkeypatch.setenv("ATLAS_DB", str(missing))
    app = open_page("overview")
    assert shlex.split(app.code[0].value)[-2:] == ["--db", missing.name]
    assert words.plain(missing.name) in app.info[0].value and str(tmp_path) not in app.info[0].value
