"""The rules between the packages, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "db", "dashboard")
OURS = (*PACKAGES, "run_analysis", "tests")
READS = tuple(path.stem for path in (ROOT / "db").glob("*queries.py"))


def sources(*places: str) -> list[Path]:
    found = [p for place in places for p in sorted((ROOT / place).rglob("*.py"))]
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    """Every module that a file names, ``from a import b`` as ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def within(module: str, *places: str) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def offenders(package: str, *, may: tuple[str, ...] = (), never: tuple[str, ...] = OURS) -> list[str]:
    """Imports of a package that are in ``never`` and not in ``may``."""
    return [
        f"{named(path)}: {module}"
        for path in sources(package)
        for module in imports(path)
        if within(module, *never) and not within(module, *may)
    ]


def test_the_reader_of_imports_sees_every_form(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        "import db\ndef f():\n    from core import null\n    import torch.nn as nn\nfrom db.writes.store import Store\n"
    )
    assert set(imports(path)) == {"db", "db.writes.store.Store", "core.evidence.permutation", "torch.nn"}
    assert within("db.writes.store.Store", "db.writes.store")
    assert not within("dbx", "db")


def test_core_knows_neither_store_nor_page() -> None:
    outside = ("streamlit", "altair", "sqlalchemy", "alembic")
    assert offenders("core", may=("core",), never=(*OURS, *outside)) == []


SMALL = ("core.results", "core.untrusted_text")
"""What the store may know of core: the records, and how a text that others wrote is shown. Both need no torch."""


def test_store_knows_of_core_only_its_records_and_texts() -> None:
    assert offenders("db", may=("db", *SMALL)) == []
    assert offenders("db", never=("torch", "torchaudio", "streamlit")) == []


LIVE = "dashboard/pages/listen/model.py"
"""The one file of the page that may run a model."""


def test_page_knows_of_the_store_only_how_to_open_and_to_read_it() -> None:
    allowed = {"session", "sandbox", "view_meanings", *READS}
    found = [line for line in offenders("dashboard", may=("dashboard",)) if not line.startswith(f"{LIVE}: core.")]
    named_otherwise = [line for line in found if not within(line.split(": ")[1], *(f"db.{name}" for name in allowed))]
    assert named_otherwise == []
    assert offenders("dashboard", never=("torch", "torchaudio")) == []


def test_page_reaches_the_model_in_one_file_and_only_when_asked() -> None:
    reaching = {line.split(": ")[0] for line in offenders("dashboard", never=("core",))}
    assert reaching == {LIVE}
    tree = ast.parse((ROOT / LIVE).read_text())
    typing = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    on_import = {name for node in tree.body if node not in typing for name in top_level_imports(node)}
    assert not any(within(name, "core") for name in on_import)


def top_level_imports(node: ast.stmt) -> list[str]:
    """Modules that a statement imports as soon as the file is loaded."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return []
    return [name for child in ast.walk(node) if isinstance(child, ast.Import | ast.ImportFrom) for name in
            top_level_imports(child)]  # fmt: skip


def test_core_and_store_meet_in_run_analysis_alone() -> None:
    joining = []
    for path in [*sources(*PACKAGES), *ROOT.glob("*.py")]:
        seen = [m for m in imports(path) if not within(m, *SMALL)]
        if any(within(m, "core") for m in seen) and any(within(m, "db") for m in seen):
            joining.append(named(path))
    assert joining == ["run_analysis.py"]


def test_core_init_is_empty() -> None:
    assert (ROOT / "core/__init__.py").read_text() == ""


@pytest.mark.parametrize("module", SMALL)
def test_records_and_texts_need_nothing_else_of_ours_and_no_torch(module: str) -> None:
    named_there = list(imports((ROOT / module.replace(".", "/")).with_suffix(".py")))
    assert not any(within(m, *OURS, "torch", "torchaudio") for m in named_there)


@pytest.mark.parametrize("package", ["db", "dashboard"])
def test_store_and_page_load_no_torch(package: str) -> None:
    # Pages and migrations run on import; what they name is checked above.
    modules = [
        named(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sources(package)
        if not within(named(path).replace("/", "."), "dashboard.app", "dashboard.views", "db.migrations")
    ]
    assert len(modules) > 5
    code = "import sys, importlib\n"
    code += f"for name in {modules!r}: importlib.import_module(name)\n"
    code += "print(*sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'torchaudio', 'sklearn'}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {
        named(path): len(path.read_text().splitlines()) for path in [*sources(*PACKAGES, "tests"), *ROOT.glob("*.py")]
    }
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def runs_code(call: ast.Call) -> bool:
    """Whether a call evaluates text, or unpickles without asking for weights alone."""
    called = ast.unparse(call.func)
    options = {k.arg: getattr(k.value, "value", True) for k in call.keywords}
    return (
        called in ("eval", "exec", "pickle.load", "pickle.loads")
        or (called == "torch.load" and options.get("weights_only") is not True)
        or (called == "np.load" and bool(options.get("allow_pickle")))
    )


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("eval(x)", True),
        ("network.eval()", False),
        ("torch.load(p)", True),
        ("torch.load(p, weights_only=False)", True),
        ("torch.load(p, weights_only=True)", False),
        ("np.load(p, allow_pickle=True)", True),
        ("np.load(p)", False),
    ],
)
def test_the_reader_of_calls_tells_them_apart(text: str, bad: bool) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert runs_code(call) is bad


def test_nothing_that_was_read_is_run_as_code() -> None:
    found = [
        f"{named(path)}:{node.lineno}"
        for path in [*sources(*PACKAGES), *ROOT.glob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and runs_code(node)
    ]
    assert found == []


def test_report_and_summary_are_the_only_page_code_that_the_command_loads_and_lazily() -> None:
    path = ROOT / "run_analysis.py"
    named_anywhere = {m for m in imports(path) if within(m, "dashboard")}
    summary = {"dashboard.report.terminal.in_short", "dashboard.report.write.write_summary"}
    assert named_anywhere == {"dashboard.report.write.write_report"} | summary
    at_the_top = ast.Module(
        [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)], []
    )
    assert "dashboard" not in ast.unparse(at_the_top)


def test_the_sandboxed_process_needs_the_standard_library_alone() -> None:
    outside = {m.split(".")[0] for m in imports(ROOT / "db/sandbox/worker.py")} - set(sys.stdlib_module_names)
    assert outside == {"__future__"} - set(sys.stdlib_module_names)
