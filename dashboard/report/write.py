"""The report: what a store holds, as one HTML file that needs nothing else.

``python run_analysis.py --report out.html``. Figures are inline SVG; every number stands beside its
null, its interval or its controls.
"""

from __future__ import annotations

import os
import tomllib
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dashboard.report import findings
from dashboard.report import study as report_study
from dashboard.report.html import Figures, document
from db.connection.open import StoreError, open_store, shown, store_name
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
    target = Path(os.path.expanduser(path)).absolute()
    _check(target)
    engine = open_store(store, read_only=True, create=False)
    try:
        if queries.is_empty(engine):
            raise StoreError(f"{store_name(engine)}: holds no results to report; measure some with: "
                             f"python run_analysis.py --db {shown(store)}")  # fmt: skip
        html = report_html(engine, shown(store))
    except SQLAlchemyError as error:
        raise StoreError(f"{shown(store)}: could not be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, suffix=".part", delete=False) as file:
            file.write(html)
        Path(file.name).chmod(0o644)
        os.replace(file.name, target)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written ({error.strerror}); give --report another path") from error
    return target


def _check(target: Path) -> None:
    """Refuse before minutes are spent."""
    if target.is_dir():
        raise StoreError(f"{target}: is a folder; give --report a file, such as {target / 'report.html'}")
    if not target.parent.is_dir():
        raise StoreError(f"{target}: its folder does not exist; make the folder or give --report another path")
    if not os.access(target.parent, os.W_OK):
        raise StoreError(f"{target}: no permission to write there; give --report another path")


def report_html(engine: Engine, name: str) -> str:
    """Return the report as HTML."""
    figures = Figures()
    study, found = report_study, findings
    sections = [
        ("In short", study.in_short(engine)),
        ("What was studied", study.studied(engine)),
        ("Coverage: how many classes have neurons of their own", study.coverage(engine, figures)),
        ("Class-specific neurons by layer", study.by_layer(engine, figures)),
        ("Linear heads", study.heads(engine, figures)),
        ("Neurons that classes share", found.sharing(engine, figures)),
        ("Pitch tuning and preferences", found.tuning(engine, figures)),
        ("Ablation", found.ablation(engine, figures)),
        ("Confounds and warnings", found.confounds(engine)),
        ("What was not measured", found.missing(engine)),
        ("Words and rules", study.terms()),
        ("How to cite", found.citing(engine, program_version())),
    ]
    when = datetime.now(UTC)
    lead = f"Report of the store {name}, written {when:%Y-%m-%d %H:%M} UTC by version {program_version()}."
    return document("Audio neuron atlas", lead, sections)


def program_version() -> str:
    """Return the version of this program, as installed."""
    try:
        return version("audio-neuron-atlas")
    except PackageNotFoundError:  # run from its folder
        file = Path(__file__).resolve().parents[2] / "pyproject.toml"
        return (
            str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["version"]) if file.is_file() else "unknown"
        )
