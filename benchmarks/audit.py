"""What the project depends on: known faults of the packages, and their licences.

    python -m benchmarks.audit [--licences] [--faults] [--offline-is-fine]

Licences are read from what is installed (`importlib.metadata`), without a network. Known faults are asked of the
service that pip-audit asks; where it cannot be reached that is one line and exit code 3, or 0 with
``--offline-is-fine``. Exit code 1: a package has a known fault, or a licence that is neither allowed nor explained.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
SECONDS = 120
UNREACHABLE = 3

ALLOWED = {
    "MIT", "MIT-0", "MIT-CMU", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "PSF-2.0", "Python-2.0",
    "ISC",
    "HPND", "Unlicense", "CC0-1.0", "Zlib", "Unicode-3.0", "BSL-1.0", "CNRI-Python",
}  # fmt: skip
"""Permissive: any use, with the notice."""
EXPLAINED = {
    "certifi": ("MPL-2.0", "a list of certificates, used as it is; the licence binds changes to its files alone"),
    "tqdm": ("MPL-2.0", "used as it is; the licence binds changes to its files alone"),
    "pathspec": ("MPL-2.0", "of mypy, for development; used as it is"),
    "axe-playwright-python": ("MIT", "its axe-core is MPL-2.0: for tests, used as it is, never shipped"),
    "hypothesis": ("MPL-2.0", "for tests; used as it is"),
    "psycopg": ("LGPL-3.0", "the driver of PostgreSQL, for who asks for it; a library, used as it is and replaceable"),
    "psycopg-binary": ("LGPL-3.0", "as psycopg"),
    "espeakng-loader": ("GPL-3.0", "speech of the demo, installed by the user, never shipped (pyproject.toml)"),
    "praat-parselmouth": (
        "GPL-3.0",
        "what Praat tells of voices, installed by the user, never shipped (pyproject.toml)",
    ),
    "pretty_midi": ("MIT", "its SoundFont is GPL-2: for the demo, installed by the user, never shipped"),
    "greenlet": ("MIT AND PSF-2.0", "both permissive"),
    "numpy": ("BSD-3-Clause AND GPL-3.0-with-GCC-exception", "the exception frees what links to the GCC runtime"),
    "scipy": ("BSD-3-Clause AND GPL-3.0-with-GCC-exception", "the exception frees what links to the GCC runtime"),
    "scikit-learn": (
        "BSD-3-Clause AND GPL-3.0-with-GCC-exception",
        "the exception frees what links to the GCC runtime",
    ),
    "nvidia": ("NVIDIA", "CUDA's libraries, which torch asks for on Linux; used as they are, never shipped"),
    "cuda": ("NVIDIA", "as the others of NVIDIA"),
}
"""What no list of permissive licences holds,
and why it may be used; ``nvidia`` and ``cuda`` begin the names of many."""

_NAMES = (
    ("apache", "Apache-2.0"), ("gpl", "GPL"), ("gnu", "GPL"), ("mozilla", "MPL-2.0"), ("mpl", "MPL-2.0"),
    ("0bsd", "0BSD"), ("3-clause", "BSD-3-Clause"), ("2-clause", "BSD-2-Clause"), ("bsd", "BSD"), ("mit-cmu",
    "MIT-CMU"),
    ("mit-0", "MIT-0"), ("mit", "MIT"), ("expat", "MIT"), ("python software foundation", "PSF-2.0"), ("psf", "PSF-2.0"),
    ("python-2.0", "PSF-2.0"), ("isc", "ISC"), ("unlicense", "Unlicense"), ("hpnd", "HPND"),
    ("historical permission", "HPND"), ("cc0", "CC0-1.0"), ("zlib", "Zlib"), ("nvidia", "NVIDIA"),
    ("cnri", "CNRI-Python"), ("unicode", "Unicode-3.0"), ("boost", "BSL-1.0"), ("bsl", "BSL-1.0"),
)  # fmt: skip


@dataclass(frozen=True)
class Package:
    """One installed package; ``licences`` by SPDX names as far as they are told, ``problem`` empty if all is well."""

    name: str
    version: str
    licences: tuple[str, ...]
    problem: str
    note: str = ""


def licences_of(found: Distribution) -> tuple[str, ...]:
    """As the package tells them: its SPDX expression, else its classifiers,
    else the first line of its licence field."""
    told = found.metadata
    expression = told.get("License-Expression")
    if expression:
        parts = re.split(r"\s+(?:AND|OR)\s+|[()]", expression)
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    classifiers = [
        c.rpartition("::")[2].strip() for c in told.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    named = [c for c in classifiers if c != "OSI Approved"] or [(told.get("License") or "").strip().split("\n")[0][:80]]
    return tuple(dict.fromkeys(_spdx(name) for name in named if name))


def _spdx(name: str) -> str:
    return next((spdx for sign, spdx in _NAMES if sign in name.lower()), name)


def judged(name: str, version: str, licences: tuple[str, ...]) -> Package:
    """Whether a package may be used, and why where that is not plain."""
    family = re.match(r"nvidia|cuda", name)
    why = (
        EXPLAINED.get(name.lower().replace("_", "-"))
        or EXPLAINED.get(name)
        or EXPLAINED.get(family[0] if family else "")
    )
    if why:
        return Package(name, version, licences, "", f"{why[0]}: {why[1]}")
    if not licences:
        return Package(name, version, licences, "tells no licence")
    strange = [licence for licence in licences if licence.split(" WITH ")[0] not in ALLOWED]
    return Package(name, version, licences, f"has the licence {', '.join(strange)}" if strange else "")


def pinned(path: Path = CONSTRAINTS) -> list[tuple[str, str]]:
    """Name and version of each package that the tests run with."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [(name, version) for name, _, version in (line.partition("==") for line in lines if line)]


def licences(packages: Iterable[tuple[str, str]]) -> list[Package]:
    """Each package as installed; one that is not here is left out with a note."""
    found = []
    for name, version in packages:
        try:
            found.append(judged(name, version, licences_of(distribution(name))))
        except PackageNotFoundError:
            found.append(Package(name, version, (), "", "not installed here"))
    return found


def tell_licences() -> int:
    """A table of counts, what is explained, and what is wrong; returns the exit code."""
    found = licences(pinned())
    plain = Counter(" AND ".join(p.licences) for p in found if not p.note and not p.problem)
    print(f"{len(found)} packages of {CONSTRAINTS.name}:")
    for licence, n in plain.most_common():
        print(f"  {n:3} {licence}")
    for package in found:
        if package.note:
            print(f"  {package.name} {package.version}: {package.note}")
    wrong = [p for p in found if p.problem]
    for package in wrong:
        print(
            f"error: {package.name} {package.version} {package.problem}; allow or explain it in {Path(__file__).name}"
        )
    return int(bool(wrong))


def tell_faults(offline_is_fine: bool) -> int:
    """Ask for known faults of the pinned versions; returns the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip",
               "--progress-spinner", "off", "--timeout", "15", "--format", "json"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _unreachable(f"no answer within {SECONDS} s", offline_is_fine)
    if "No module named pip_audit" in done.stderr:
        return _unreachable("pip-audit is not installed: pip install 'audio-neuron-atlas[audit]'", offline_is_fine)
    try:
        answers = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return _unreachable((done.stderr.strip().splitlines() or ["no answer"])[-1][:160], offline_is_fine)
    return judged_faults(answers, offline_is_fine)


def judged_faults(answers: list[dict[str, Any]], offline_is_fine: bool) -> int:
    """Tell what pip-audit found; a package that its service does not know is not taken for a sound one."""
    faulty = [(a, fault) for a in answers for fault in a.get("vulns", ())]
    for package, fault in faulty:
        mended = ", ".join(fault.get("fix_versions", ())) or "no version yet"
        print(f"error: {package['name']} {package['version']} has {fault['id']}; mended in {mended}")
    unknown = [str(a["name"]) for a in answers if "skip_reason" in a]
    print(f"{len(answers) - len(unknown)} packages looked up, {len(faulty)} known faults")
    if faulty:
        return 1
    if unknown:
        some = ", ".join(unknown[:3])
        return _unreachable(f"the service knows nothing of {len(unknown)} packages ({some} ...)", offline_is_fine)
    return 0


def _unreachable(why: str, offline_is_fine: bool) -> int:
    print(f"known faults were NOT all looked up: {why}")
    return 0 if offline_is_fine else UNREACHABLE


def main() -> int:
    """Run what is asked for, both by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--licences", action="store_true", help="only the licences")
    parser.add_argument("--faults", action="store_true", help="only the known faults")
    parser.add_argument("--offline-is-fine", action="store_true", help="no failure where the service is not reached")
    given = parser.parse_args()
    both = given.licences == given.faults
    codes = [tell_licences()] if given.licences or both else []
    codes += [tell_faults(given.offline_is_fine)] if given.faults or both else []
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
