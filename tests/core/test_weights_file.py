"""Files that are no checkpoint, or are meant to do harm: one line each, and nothing of them is run."""

from __future__ import annotations

import pickle
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.encoders.m2d.checkpoint import read
from core.files import is_zip
from tests.support.tiny_m2d import NAME, random_state, refusal, saved, wrapped, write, zipped

TENSORS = random_state()


class Evil:
    """Runs a command when unpickled by a reader that allows it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", ["pth", "legacy", "bare pickle", "in model", "in args", "zip"])
def test_malicious_pickle_is_refused_with_one_line_and_runs_nothing(tmp_path: Path, form: str) -> None:
    marker, path = tmp_path / "ran", tmp_path / NAME / "a.pth"
    content: Any = {**TENSORS, "extra": Evil(marker)}
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.exists(), "the trap itself works"
    marker.unlink()
    if form == "in model":
        content = {"model": content}
    elif form == "in args":
        content = wrapped(TENSORS, "model")
        content["args"].hook = Evil(marker)
    saved(path, content, _use_new_zipfile_serialization=form != "legacy")
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(Evil(marker), protocol=2))
    elif form == "zip":
        path = zipped(tmp_path / "r.zip", (f"{NAME}/a.pth", path.read_bytes()))
    assert "is refused: it asks for posix.system" in refusal(path)
    assert not marker.exists()


def test_numbers_of_numpy_in_a_training_files_records_are_passed_over(tmp_path: Path) -> None:
    records = {"best": np.float64(0.486), "kind": np.dtype("float32"), "epoch": np.int64(3)}
    path = saved(tmp_path / NAME / "a.pth", {"model": TENSORS, "extra_state": records}, pickle_protocol=2)
    assert read(path).state.keys() == TENSORS.keys()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".zip"])
@pytest.mark.parametrize(
    "content", [b"", b"not weights\n", b"<html>404</html>", b"RIFF\x24\0\0\0WAVEfmt ", b"\x80\x04K\x01.", bytes(999)]
)
def test_other_files_are_told_in_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"some{suffix}"
    path.write_bytes(content)
    assert f"some{suffix}" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("form", ["pth", "legacy", "safetensors", "zip"])
def test_truncated_file_is_told_in_one_line(tmp_path: Path, share: float, form: str) -> None:
    path = tmp_path / NAME / ("a.safetensors" if form == "safetensors" else "a.pth")
    path.parent.mkdir()
    if form == "safetensors":
        save_file(TENSORS, path)
    else:
        saved(path, TENSORS, _use_new_zipfile_serialization=form != "legacy")
    if form == "zip":
        path = zipped(tmp_path / "r.zip", (f"{NAME}/a.pth", path.read_bytes()))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert path.name in refusal(path)


def test_archive_that_is_broken_inside_is_told(tmp_path: Path) -> None:
    path = zipped(tmp_path / "r.zip", (f"{NAME}/a.pth", write(tmp_path).read_bytes()))
    content = bytearray(path.read_bytes())
    content[5000:5050] = bytes(50)
    path.write_bytes(content)
    assert "r.zip is not a readable .zip" in refusal(path)


def test_archive_of_none_or_two_is_told(tmp_path: Path) -> None:
    assert "holds 0 checkpoints, expected 1" in refusal(zipped(tmp_path / "0.zip", ("readme.txt", b"hello")))
    assert "holds 2 checkpoints" in refusal(zipped(tmp_path / "2.zip", ("a.pth", b"a"), ("b.pth", b"b")))


def test_archive_made_to_fill_the_disk_is_refused(tmp_path: Path) -> None:
    assert "would unpack to 60,000,000 bytes; refused" in refusal(
        zipped(tmp_path / "b.zip", ("a.pth", bytes(60_000_000)))
    )
    path = write(tmp_path / "c")
    with zipfile.ZipFile(path) as packed:
        members = [(name, packed.read(name)) for name in packed.namelist()]
    assert "PyTorch never does" in refusal(zipped(path, *members, (members[0][0][:-8] + "data/99", bytes(10_000_000))))


@pytest.mark.parametrize("member", ["../../evil/checkpoint.pth", "/evil/checkpoint.pth", f"../{NAME}/checkpoint.pth"])
def test_archive_writes_nothing_where_its_names_point(tmp_path: Path, member: str) -> None:
    content = write(tmp_path / "made").read_bytes()
    shutil.rmtree(tmp_path / "made")
    path = zipped(tmp_path / f"{NAME}.zip", (member, content))
    assert read(path).name == NAME
    assert sorted(tmp_path.rglob("*")) == [path]
    assert not Path("/evil").exists()


def test_folder_of_none_or_several_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty holds no checkpoint" in refusal(tmp_path / "empty")
    first = write(tmp_path)
    shutil.copy(first, first.with_name("checkpoint-100.pth"))
    assert "holds 2 checkpoints (checkpoint-100.pth, checkpoint-300.pth)" in refusal(first.parent)


def test_content_without_tensors_is_told(tmp_path: Path) -> None:
    assert "holds a list, not named tensors" in refusal(saved(tmp_path / "a.pth", [torch.zeros(2)]))
    assert "lacks 18 of the 18 tensors" in refusal(saved(tmp_path / "b.pth", {"a": torch.zeros(2), 3: "x"}))


def test_the_end_of_a_zip_that_names_several_disks_is_no_zip(tmp_path: Path) -> None:
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 1, 0, 2)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 46, 0, 0)
    path = tmp_path / "weights.pth"
    path.write_bytes(bytes(100) + locator + end)
    assert not is_zip(path)
