"""What a server loads before its first visitor comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dashboard
from dashboard.shared import warm

FOLDER = Path(dashboard.__file__).parent


def test_names_that_a_script_imports(tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("from __future__ import annotations\nimport a.b\nfrom c.d import e, f as g\nx = 1\n")
    assert list(warm.imported(script)) == ["__future__.annotations", "a.b", "c.d.e", "c.d.f"]


def test_all_that_the_first_page_imports_is_there_before_it() -> None:
    load = (
        "import sys, threading; from pathlib import Path; from dashboard.shared import warm\n"
        "scripts = [Path(each) for each in sys.argv[1:]]\n"
        "warm.begin(scripts)\n"
        "[each.join() for each in threading.enumerate() if each is not threading.main_thread()]\n"
        "assert {'pandas', 'altair', 'db.reads.steps', 'dashboard.views.overview.facts'} <= set(sys.modules)\n"
        "assert 'psycopg' not in sys.modules, 'a store in a file needs no driver'\n"
        "before = set(sys.modules)\n"
        "for script in scripts:\n"
        "    exec(''.join(l for l in script.read_text().splitlines(True) if l.startswith(('import ', 'from '))))\n"
        "print(sorted(set(sys.modules) - before))"
    )
    scripts = [FOLDER / "navigation.py", FOLDER / "views" / "overview" / "overview.py"]
    done = subprocess.run(
        [sys.executable, "-c", load, *map(str, scripts)], capture_output=True, text=True, cwd=FOLDER.parent
    )
    assert done.stdout == "[]\n", done.stderr
