"""What is shipped: the wheel, the pinned packages, the image and the compose file."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from router.documents.json_types import JsonObject

ROOT = Path(__file__).parents[1]
COMMAND_SECONDS = 60.0
PASSWORDS = ("COUCHDB_ADMIN_PASSWORD", "ROUTER_COUCHDB__PASSWORD", "ROUTER_MATRIX__PASSWORD")


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


# --- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the files in a wheel built just now."""
    folder = tmp_path_factory.mktemp("wheel")
    built = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path).namelist()


def test_the_wheel_holds_every_file_of_the_package(wheel: list[str]) -> None:
    tracked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "router").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert tracked <= set(wheel)
    kinds = {Path(name).suffix for name in tracked}
    assert {".css", ".html", ".js", ".json", ".py", ".txt", ".typed"} <= kinds


def test_the_wheel_holds_the_licence_and_nothing_that_is_not_ours(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)
    assert {name.split("/")[0].partition("-")[0] for name in wheel} == {"router", "notification_router"}


def test_the_console_script_and_the_module_answer() -> None:
    for command in ([str(Path(sys.executable).with_name("router"))], [sys.executable, "-m", "router"]):
        said = run(*command, "--help")
        assert said.returncode == 0
        assert "Exit codes:" in said.stdout


# --- the pins


def pins() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            assert re.fullmatch(r"==[^*]+", str(pin.specifier)), line
            found.setdefault(canonicalize_name(pin.name), []).append(line)
    return found


def test_everything_that_is_asked_for_is_pinned_to_what_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    for text in asked:
        wanted = Requirement(text)
        if wanted.name == project["project"]["name"]:
            continue
        found = pins().get(canonicalize_name(wanted.name), [])
        assert found, f"{text} has no pin: run `make constraints`"
        for line in found:
            [pin] = Requirement(line).specifier
            assert wanted.specifier.contains(pin.version), f"{line} is not allowed by {text}: run `make constraints`"


def test_every_package_that_ours_need_is_pinned() -> None:
    installed = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    ours = canonicalize_name("notification-router")
    todo, seen = [ours], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in installed:
            continue
        seen.add(name)
        for text in installed[name].requires or []:
            needed = Requirement(text)
            extras = ("", "dev", "test", "lint", "demo") if name == ours else ("",)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(canonicalize_name(needed.name))
    assert len(seen) > 50
    assert seen - {ours} <= set(pins())


@pytest.mark.parametrize(
    "name", ["constraints.txt", "router/demo/synapse-constraints.txt", "router/demo/pouchdb/package-lock.json"]
)
def test_no_file_of_pins_holds_an_address_or_a_path(name: str) -> None:
    text = (ROOT / name).read_text()
    assert '"resolved"' not in text
    for line in text.splitlines():
        # The lock file names where a package's authors may be paid.
        if '"url":' not in line:
            assert "://" not in line
        assert "/home/" not in line
        assert "/work/" not in line


# --- Docker


def compose() -> dict[str, JsonObject]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services: dict[str, JsonObject] = document["services"]
    return services


def lasting(services: dict[str, JsonObject]) -> dict[str, JsonObject]:
    """The services that are there to stay; the others do one thing at the start and end."""
    return {name: service for name, service in services.items() if service["restart"] != "no"}


def test_each_service_that_stays_has_a_healthcheck_and_is_reached_from_this_machine_alone() -> None:
    services = compose()
    assert set(lasting(services)) == {"couchdb", "synapse", "mail", "router", "api"}
    for name, service in lasting(services).items():
        check = service["healthcheck"]
        assert isinstance(check, dict)
        assert {"test", "interval", "timeout", "retries"} <= set(check), name
    for service in services.values():
        ports = service.get("ports", [])
        assert isinstance(ports, list)
        assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_each_service_waits_for_what_it_needs() -> None:
    services = compose()
    for name, service in services.items():
        needs = service.get("depends_on", {})
        assert isinstance(needs, dict)
        for other, how in needs.items():
            stays = other in lasting(services)
            expected = "service_healthy" if stays else "service_completed_successfully"
            assert isinstance(how, dict)
            assert how["condition"] == expected, (name, other)
    needed = services["router"]["depends_on"]
    assert isinstance(needed, dict)
    assert set(needed) == {"setup", "matrix-user", "mail"}


def test_every_password_comes_from_outside_and_is_asked_for() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text().splitlines()
    for name in PASSWORDS:
        assert f"${{{name}:?" in text
        assert f"{name}=" in example  # to be filled in
    for line in text.splitlines():
        if re.search(r"(PASSWORD|TOKEN)\w*:", line):
            assert re.search(r": \$\{\w+:[?-]", line), line
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored


def test_every_setting_in_the_compose_file_is_one() -> None:
    environment = compose()["router"]["environment"]
    assert isinstance(environment, dict)
    assert all(name.startswith("ROUTER_") for name in environment)
    filled = {name: re.sub(r"\$\{\w+(?::-([^}]*)|[^}]*)\}", r"\1", str(value)) for name, value in environment.items()}
    filled |= {"ROUTER_COUCHDB__PASSWORD": "x", "ROUTER_MATRIX__PASSWORD": "x"}
    code = (
        "import json; from router.channels.registry import kinds; from router.settings_loading import load_settings as load;"
        "known = kinds(); settings = load(known);"
        "print(json.dumps({name: kind.missing(getattr(settings, name)) for name, kind in known.items()}))"
    )
    said = run(sys.executable, "-c", code, **filled)
    assert said.returncode == 0, said.stderr
    missing = json.loads(said.stdout)
    assert missing["matrix"] is None
    assert missing["email"] is None
    assert missing["sphinx"] is not None


def test_docker_compose_takes_the_file() -> None:
    """By Docker's own word where there is one; where there is none, what it would refuse first: an unknown key or volume."""
    if shutil.which("docker") and run("docker", "compose", "version").returncode == 0:
        taken = run("docker", "compose", "config", "--quiet", **dict.fromkeys(PASSWORDS, "secret"))
        assert taken.returncode == 0, taken.stderr
        refused = run("docker", "compose", "config", "--quiet", **dict.fromkeys(PASSWORDS, ""))
        assert refused.returncode != 0
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert {key for key in document if not key.startswith("x-")} == {"name", "services", "volumes"}
    known = {
        *("build", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init", "ports"),
        *("profiles", "restart", "stop_grace_period", "volumes"),
    }
    for name, service in document["services"].items():
        assert set(service) <= known, name
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in document["volumes"]


def test_the_image_runs_as_nobody_in_particular_and_looks_after_itself() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    last_stage = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    words = dict(line.split(" ", 1) for line in last_stage if line and not line.startswith("#"))
    assert words["USER"].isdigit()
    assert int(words["USER"]) > 0
    assert words["CMD"] == '["router", "run"]'
    assert '["python", "-m", "router.healthcheck"]' in words["HEALTHCHECK"]
    assert "constraints.txt" in "\n".join(lines)


def test_what_the_image_is_built_from_is_sent_to_docker() -> None:
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)
