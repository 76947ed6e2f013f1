"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.files import write_whole

ROOT = Path(__file__).resolve().parents[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "expected"), [(0o077, 0o600), (0o022, 0o644)])
def test_a_new_file_has_what_the_mask_allows(mask: int, expected: int, tmp_path: Path) -> None:
    left_over = tmp_path / "report.html.part"  # of a stopped run, open to all
    left_over.write_text("x")
    left_over.chmod(0o644)
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "report.html", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "report.html").read_bytes() == b"new"
    assert mode(tmp_path / "report.html") == expected
    assert left_over.read_text() == "x"


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    path.chmod(0o600)
    write_whole(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", 0o600)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_full_disk_leaves_the_former_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from core.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_whole(Path(sys.argv[1]), bytes(5000))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "report.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"File too large: '{tmp_path / 'report.html'}'" in done.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "old"


def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "report.html.part").symlink_to(victim)
    write_whole(tmp_path / "report.html", b"new")
    assert victim.read_text() == "mine"
