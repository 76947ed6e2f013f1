"""What Dockerfile and compose.yaml name is there, and nobody in them is root; whether they build, only Docker tells."""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from sqlalchemy import make_url

from core.run import options
from db import reader
from db.connection.postgres import OLDEST_SERVER

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENTRY = "/atlas/"
"""Where the image holds the project."""


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile and what follows it, in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, those of the one that it is built from before its own."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, rest in instructions():
        if name == "FROM":
            base, _, stage = rest.split()
            found[stage] = list(found.get(base, []))
        found[stage].append((name, rest))
    return found


def taken_along() -> set[str]:
    """What of the project's folder an image is built from."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*" and rules[-1] == "**/__pycache__"
    assert all(rule.startswith("!") for rule in rules[1:-1])
    return {rule[1:] for rule in rules[1:-1]}


def test_images_hold_the_project_and_nothing_else() -> None:
    assert all((ROOT / name).exists() for name in taken_along())
    needed = {"core", "db", "dashboard", "docs", "run_analysis.py", "constraints.txt", *tops_of_package()}
    assert needed == taken_along()
    assert not any(fnmatch(name, rule) for name in (".env", "atlas.db", ".git", ".venv") for rule in taken_along())


def tops_of_package() -> set[str]:
    """What building the package reads."""
    return {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}


def test_what_is_copied_is_there() -> None:
    copied = [shlex.split(rest)[1:-1] for name, rest in instructions() if name == "COPY"]
    assert copied[-1] == ["."]
    assert {*copied[0]} == {"constraints.txt", *tops_of_package()}


def test_every_command_names_a_file_and_options_that_are_there() -> None:
    said = " && ".join(rest for name, rest in instructions() if name == "RUN").split(" && ")
    studies = [shlex.split(command)[2:] for command in said if command.startswith("python run_analysis.py")]
    assert [options.parse(study).config.db for study in studies] == ["/data/atlas.db"]
    scripts = set(re.findall(r"[\w/]+\.(?:py|txt)\b", " ".join(rest for _, rest in instructions())))
    assert scripts == {"run_analysis.py", "dashboard/app.py", "constraints.txt"}
    assert all((ROOT / script).is_file() for script in scripts)


def test_versions_and_extras_are_the_projects() -> None:
    (base,) = {rest.split()[0] for name, rest in instructions() if name == "FROM"} - set(stages())
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+", base)
    assert python and f"(Python {python[1]}, Linux)" in (ROOT / "constraints.txt").read_text()
    assert Version(python[1]) in SpecifierSet(PROJECT["requires-python"])
    arguments = dict(rest.partition("=")[::2] for name, rest in instructions() if name == "ARG")
    assert set(arguments["EXTRAS"].split(",")) <= set(PROJECT["optional-dependencies"])
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install -c constraints.txt" in rest]
    assert {"torch", "torchaudio", "tinysoundfont"} <= set(" ".join(installs).replace(";", "").split()) & pinned


@pytest.mark.parametrize("stage", list(stages()))
def test_nobody_in_an_image_is_root(stage: str) -> None:
    users = [rest for name, rest in stages()[stage] if name == "USER"]
    assert users and all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)
    before = [name for name, _ in stages()[stage][: [name for name, _ in stages()[stage]].index("USER")]]
    assert before == ["FROM", "RUN"], "as root nothing but the user and its folders is made"
    asked = next(rest for name, rest in stages()[stage] if name == "HEALTHCHECK")
    (port,) = [rest for name, rest in stages()[stage] if name == "EXPOSE"]
    assert f"127.0.0.1:{port}/_stcore/health" in asked


@pytest.mark.parametrize("name", list(SERVICES))
def test_nobody_of_the_team_is_root(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & set(service)
    if "build" in service:
        assert service["build"]["target"] in stages() and "user" not in service
    else:
        assert service["user"] == "postgres"
        image, _, version = service["image"].partition(":")
        assert image == "postgres" and int(version.partition("-")[0]) >= OLDEST_SERVER[0]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_page_asks_by_the_role_that_only_reads() -> None:
    page, study, store = (SERVICES[name] for name in ("page", "study", "store"))
    url, owner = make_url(page["environment"]["ATLAS_DB"]), store["environment"]["POSTGRES_USER"]
    assert (url.host, url.username, url.database) == ("store", reader.NAME, store["environment"]["POSTGRES_DB"])
    assert url.password is None and "ATLAS_WRITER_PASSWORD" not in str(page)
    written = options.parse([*study["entrypoint"][2:], *study["command"]]).config.db
    assert (make_url(written).username, make_url(written).host) == (owner, "store")
    assert SERVICES["reader"]["command"] == ["python", "-m", "db.reader", written]


def test_files_volumes_and_services_are_there() -> None:
    for service in SERVICES.values():
        script = next((part for part in service.get("entrypoint", []) if part.endswith(".py")), None)
        assert script is None or (ROOT / script.removeprefix(ENTRY)).is_file()
        assert set(service.get("depends_on", {})) <= {"store"}
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in named if not name.startswith("./")} <= set(COMPOSE["volumes"])
    assert SERVICES["study"]["working_dir"] == "/data", "counts lie in the folder where a study is started"
    assert "data:/data" in SERVICES["study"]["volumes"]


def test_the_guide_names_what_is_there() -> None:
    guide = (ROOT / "docs/docker.md").read_text()
    commands = re.findall(r"^docker compose (.*)$", guide, re.MULTILINE)
    assert len(commands) == 3
    assert all(set(re.sub(r"--data-dir .*|#.*", "", command).split()) & set(SERVICES) for command in commands)
    assert set(re.findall(r"--target (\w+)", guide)) <= set(stages())
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert asked == set(re.findall(r"\bATLAS_(?!DB)\w+", guide))
    assert ".env" in (ROOT / ".gitignore").read_text().split()
