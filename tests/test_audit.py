"""The audit of dependencies: licences read from what is installed, answers of the service of known faults."""

from __future__ import annotations

import subprocess
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from benchmarks import audit


class Told(Distribution):
    """A package that tells what it is told to."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    @property
    def metadata(self) -> Any:
        message = Message()
        for name, values in self.fields.items():
            for value in values if isinstance(values, list) else [values]:
                message[name.replace("_", "-")] = value
        return message

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: Any) -> Path:
        return Path(path)


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ({"License_Expression": "MIT"}, ("MIT",)),
        ({"License_Expression": "Apache-2.0 AND (BSD-2-Clause OR MIT)"}, ("Apache-2.0", "BSD-2-Clause", "MIT")),
        ({"Classifier": ["License :: OSI Approved :: BSD License", "Topic :: X"]}, ("BSD",)),
        (
            {"Classifier": ["License :: OSI Approved", "License :: OSI Approved :: Apache Software License"]},
            ("Apache-2.0",),
        ),
        ({"License": "The MIT License (MIT)\n\nCopyright"}, ("MIT",)),
        ({"License": "GNU Affero GPL"}, ("GPL",)),
        ({"License": "Only on Sundays"}, ("Only on Sundays",)),
        ({}, ()),
    ],
)
def test_licences_are_read(fields: dict[str, Any], licences: tuple[str, ...]) -> None:
    assert audit.licences_of(Told(**fields)) == licences


@pytest.mark.parametrize(
    ("name", "licences", "problem"),
    [("x", ("MIT",), ""), ("x", ("MIT", "GPL"), "has the licence GPL"), ("x", (), "tells no licence"),
     ("x", ("Apache-2.0 WITH LLVM-exception",), ""), ("nvidia-cublas", (), ""), ("certifi", ("MPL-2.0",), ""),
     ("x", ("MPL-2.0",), "has the licence MPL-2.0"), ("x", ("AGPL-3.0-only",), "has the licence AGPL-3.0-only")],
)  # fmt: skip
def test_only_what_is_allowed_or_explained_passes(name: str, licences: tuple[str, ...], problem: str) -> None:
    assert audit.judged(name, "1", licences).problem == problem


def test_every_pinned_package_may_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.tell_licences() == 0, capsys.readouterr().out
    assert len(audit.pinned()) > 100
    names = {name for name, _ in audit.pinned()}
    unused = {n for n in audit.EXPLAINED if not any(p == n or p.startswith(n) for p in names)}
    assert unused <= {"psycopg", "psycopg-binary"}, "explained, and not among the pinned"


def test_a_wrong_licence_is_told_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(audit, "licences", lambda _: [audit.judged("evil", "6.6", ("AGPL-3.0-only",))])
    assert audit.tell_licences() == 1
    assert "error: evil 6.6 has the licence AGPL-3.0-only; allow or explain it in audit.py" in capsys.readouterr().out


SOUND = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "not found"}
FAULTY = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


@pytest.mark.parametrize(
    ("answers", "offline_is_fine", "code"),
    [([SOUND], False, 0), ([SOUND, UNKNOWN], False, 3), ([SOUND, UNKNOWN], True, 0), ([FAULTY, UNKNOWN], True, 1)],
)
def test_what_the_service_does_not_know_is_not_sound(
    answers: list[dict[str, Any]], offline_is_fine: bool, code: int
) -> None:
    assert audit.judged_faults(answers, offline_is_fine) == code


@pytest.mark.parametrize("told", [("", "ConnectionError: no route"), ("{}", ""), ("", "No module named pip_audit")])
def test_no_answer_is_one_line(
    told: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, *told))
    assert audit.tell_faults(False) == audit.UNREACHABLE
    assert audit.tell_faults(True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.startswith("known faults were NOT all looked up: ") for line in lines)
