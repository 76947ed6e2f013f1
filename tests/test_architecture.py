"""What is loaded when, and what is never run: the rest is held by the contracts of `make lint` (pyproject.toml)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from db.connection.open import open_store

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "db", "dashboard")
PAGE_FILES = [f"dashboard.views.{p.name}.{p.name}" for p in (ROOT / "dashboard/views").glob("[a-z]*")]
"""What runs a page as soon as it is imported."""


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


LIVE = "dashboard/views/listen/model.py"
"""The one file of the page that may run a model."""


def test_page_reaches_the_model_only_when_asked() -> None:
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


@pytest.mark.parametrize("package", ["db", "dashboard"])
def test_store_and_page_load_no_torch(package: str) -> None:
    # Pages and migrations run on import; what they name is checked above.
    modules = [
        named(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in sources(package)
        if not within(
            named(path).replace("/", "."), "dashboard.app", "dashboard.navigation", *PAGE_FILES, "db.migrations"
        )
    ]
    assert len(modules) > 5
    code = "import sys, importlib\n"
    code += f"for name in {modules!r}: importlib.import_module(name)\n"
    code += "print(*sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'torchaudio', 'sklearn'}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


LIBRARIES = {
    "torch", "torchaudio", "scipy", "sklearn", "pandas", "transformers", "pyarrow", "sqlalchemy", "alembic", "psycopg",
    "streamlit", "altair", "vl_convert",
}  # fmt: skip
"""What takes a second or a good part of it to load."""
LOADS = """
import runpy, sys
sys.argv[0] = "run_analysis.py"
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print(end.code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded(*arguments: object) -> tuple[int, set[str]]:
    """Exit code of the command, and which of the libraries it has loaded."""
    command = [sys.executable, "-c", LOADS, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    code, *modules = done.stdout.splitlines()[-1].split()
    return int(code), set(modules) & LIBRARIES


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["--no-such-option"], 2), (["--shuffles", "x"], 2), (["--ablate", "mad:2"], 2)],
)
def test_help_and_wrong_options_load_no_library(arguments: list[str], code: int) -> None:
    assert loaded(*arguments) == (code, set())


def test_a_list_of_a_small_folder_loads_what_reads_the_store_and_no_more(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "pets" / name / "a.wav", np.linspace(-0.5, 0.5, 999), 44_100)
    folder = ("--data-dir", tmp_path / "pets")
    assert loaded("--list", *folder, "--db", tmp_path / "none.db") == (0, set())
    open_store(tmp_path / "there.db").dispose()
    assert loaded("--list", *folder, "--db", tmp_path / "there.db") == (0, {"sqlalchemy"})


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
