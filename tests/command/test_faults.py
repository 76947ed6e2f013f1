"""One kill and one full disk at stages of the real command; `benchmarks.faults` has fifty, and every stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import faults
from tests.support.warm import Started


@pytest.mark.skipif(sys.platform != "linux", reason="forks processes that have loaded torch")
def test_killed_runs_and_full_disks_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    arguments = ("--small", "--kills", "4", "--stages", "extract,score,attribution,ablate", "--full-disks", "traces",
                 "--seed", "1", "--json", str(found))  # fmt: skip
    with Started(faults.main, arguments) as process:
        out, err = process.communicate(600)
    assert process.returncode == 0, out + err
    told = json.loads(found.read_text())
    assert len(told["kills"]) == 4
    assert [row["lost"] for row in told["kills"]] == [0] * 4
    assert not any(any(row["repeated"].values()) for row in told["kills"])
    assert told["full_disks"]
    assert all(row["code"] == 1 and row["one_line"] and row["lost"] == 0 for row in told["full_disks"])
