"""Installing Synapse: once, whoever asks, and with a sentence where it cannot be. Python and pip are played by scripts here;
the real ones make the environment that every other test of Synapse runs on."""

import asyncio
import sys
from pathlib import Path

import pytest

from router.demo import synapse_environment
from router.demo.synapse import Synapse
from router.demo.synapse_environment import SynapseError, install

MAKES_ENVIRONMENTS = """
mkdir -p "$3/bin" && cp "$0.pip" "$3/bin/python"
"""


class FakePython:
    """The Python that the tests believe to run on, and the pip of the environments it makes: what each does is a shell script."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "python"
        self.does(MAKES_ENVIRONMENTS)
        self.pip_does("exit 0")

    def does(self, script: str) -> None:
        write_script(self.path, script)

    def pip_does(self, script: str) -> None:
        write_script(self.path.with_name("python.pip"), script)


def write_script(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def write_pins(text: str) -> None:
    synapse_environment.CONSTRAINTS.write_text(text)


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePython:
    fake = FakePython(tmp_path / "fake")
    monkeypatch.setattr(sys, "executable", str(fake.path))
    monkeypatch.setattr(synapse_environment, "CONSTRAINTS", tmp_path / "constraints.txt")
    write_pins("some-package==1\n")
    return fake


def test_the_pins_name_the_version_and_no_address() -> None:
    pins = synapse_environment.CONSTRAINTS.read_text().splitlines()
    assert "matrix-synapse==1.163.2" in pins
    assert all("==" in line for line in pins if not line.startswith("#"))
    assert not any("://" in line or "--index" in line for line in pins)


async def test_it_is_installed_once_and_again_when_the_pins_change(tmp_path: Path, python: FakePython) -> None:
    python.pip_does(f'echo "$@" >> {tmp_path}/pip-was-run')
    said: list[str] = []
    environment = tmp_path / "synapse"
    pythons = await asyncio.gather(*(install(environment, on_progress=said.append) for _ in range(3)))
    assert pythons == [environment / "bin" / "python"] * 3
    assert sorted(set(said)) == [
        "installing Synapse (up to two minutes, once)",
        "making an environment for Synapse",
        "waiting for another process that is installing Synapse",
    ]
    runs = tmp_path / "pip-was-run"
    assert [str(tmp_path / "constraints.txt") in line for line in runs.read_text().splitlines()] == [True]
    said.clear()
    await install(environment, on_progress=said.append)
    assert said == []
    left_over = environment / "left-over"
    left_over.touch()
    write_pins("some-package==2\n")
    await install(environment, on_progress=said.append)
    assert len(runs.read_text().splitlines()) == 2
    assert not left_over.exists()


async def test_a_python_that_makes_no_environments(tmp_path: Path, python: FakePython) -> None:
    python.does("echo No module named venv >&2; exit 1")
    with pytest.raises(SynapseError, match="apt-get install python3-venv") as caught:
        await install(tmp_path / "synapse")
    log = tmp_path / "synapse.install.log"
    assert str(log) in str(caught.value)
    assert "No module named venv" in log.read_text()


async def test_an_installation_that_fails_and_is_tried_again(tmp_path: Path, python: FakePython) -> None:
    python.pip_does("echo no such package; exit 1")
    with pytest.raises(SynapseError, match="could not be installed; look at"):
        await install(tmp_path / "synapse")
    assert "no such package" in (tmp_path / "synapse.install.log").read_text()
    python.pip_does("exit 0")
    await install(tmp_path / "synapse")


async def test_an_installation_that_does_not_end(tmp_path: Path, python: FakePython) -> None:
    python.pip_does("exec sleep 60")
    with pytest.raises(SynapseError, match="took longer than 1 s"):
        await install(tmp_path / "synapse", timeout_seconds=1)
    # It is gone, and so is its lock.
    python.pip_does("exit 0")
    await install(tmp_path / "synapse", timeout_seconds=10)


async def test_a_synapse_that_does_not_start(tmp_path: Path, python: FakePython) -> None:
    python.pip_does('case "$*" in *pip*) exit 0;; esac; echo first; echo it is Tuesday >&2; exit 1')
    synapse = Synapse(tmp_path / "data", environment=tmp_path / "synapse")
    with pytest.raises(SynapseError, match=r"ended as soon as it was started \(first; it is Tuesday\)"):
        await synapse.start()
    await synapse.stop()
