"""What a store holds, in two files: the report as HTML with figures, and the summary of a run as Markdown.

``python run_analysis.py --report out.html`` writes the first, every run ends with the second. Both tell the same
sections.
"""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from core.files import write_whole
from dashboard.report import findings, study, tables
from dashboard.report.markdown import markdown
from dashboard.report.parts import Section, bullets
from dashboard.shared.text.glossary import TERMS
from db.connection.open import StoreError, analysis, open_store, shown, store_name
from db.reads import misfits, report
from db.reads import study as queries


def write_report(store: str | Path, path: str | Path) -> Path:
    """Write the report of a store.

    Parameters
    ----------
    store : str or Path
        A file or a URL; it is only read.
    path : str or Path
        The HTML file; one that exists is replaced, whole or not at all.

    Returns
    -------
    Path
        The absolute path of the file.

    Raises
    ------
    StoreError
        With one line: no store, nothing in it, or a path that cannot be written.
    """
    from dashboard.report.html import html  # charts, which a study does without

    target = Path(os.path.expanduser(path)).absolute()
    _check(target)
    engine = open_store(store, read_only=True, create=False)
    try:
        if queries.is_empty(engine):
            raise StoreError(f"{store_name(engine)}: holds no results to report; measure some with: "
                             f"{analysis(store)}")  # fmt: skip
        lead = f"Report of the store {shown(store)}, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        document = html(sections(engine), "Audio neuron atlas", f"{lead} by version {program_version()}.")
    except SQLAlchemyError as error:
        raise StoreError(f"{shown(store)}: could not be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()
    try:
        write_whole(target, document.encode())
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error.strerror}); give --report another path") from error
    return target


def write_summary(engine: Engine, path: Path, name: str) -> Path:
    """Write the summary of a store and return its path; an older file is replaced, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written; names it.
    """
    document = markdown(sections(engine), f"Summary of {name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, document.encode())
    return path


def _check(target: Path) -> None:
    """Refuse before minutes are spent."""
    if target.is_dir():
        raise StoreError(f"{target}: is a folder; give --report a file, such as {target / 'report.html'}")
    if not target.parent.is_dir():
        raise StoreError(f"{target}: its folder does not exist; make the folder or give --report another path")
    if not os.access(target.parent, os.W_OK):
        raise StoreError(f"{target}: no permission to write there; give --report another path")


def sections(engine: Engine) -> list[Section]:
    """Everything that a store says of its study.

    Raises
    ------
    StoreError
        With one line, where the store holds what this program never writes.
    """
    try:
        return _sections(engine)
    except Exception:
        misfits.refuse_misfits(engine)
        raise


def _sections(engine: Engine) -> list[Section]:
    coverage, runs = report.all_coverage(engine), queries.runs(engine)
    standing = report.named(engine, "significant effects")
    parts = {
        "In short": study.in_short(engine, coverage, len(standing)),
        "What was studied": study.studied(engine, coverage, runs),
        "Coverage: how many classes have neurons of their own": study.coverage(coverage),
        "Class-specific neurons by layer": study.by_layer(engine, coverage),
        "Linear heads": study.heads(engine),
        "Neurons that classes share": findings.sharing(engine),
        "Pitch tuning and preferences": findings.tuning(engine),
        "Ablation": findings.ablation(engine, standing),
        "Confounds and warnings": findings.confounds(engine),
        "What was not measured": findings.missing(tables.lacks(engine, coverage, runs)),
        "Words and rules": [bullets(f"**{word}**: {meaning}" for word, meaning in TERMS.items())],
        "How to cite": [bullets(findings.sources(engine, program_version()))],
    }
    return [Section(title, list(content)) for title, content in parts.items()]


def program_version() -> str:
    """Return the version of this program, as installed."""
    try:
        return version("audio-neuron-atlas")
    except PackageNotFoundError:  # run from its folder
        file = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return (
            str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["version"]) if file.is_file() else "unknown"
        )
