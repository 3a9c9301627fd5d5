"""The units in contrib/ are what systemd takes, and say what the page about them says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.command_lines import in_shell, understand

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "contrib" / "systemd"
_HOME = "/opt/builder"


@pytest.fixture(scope="module")
def analyze() -> str:
    """systemd's own checker, installed where the machine lacks it."""
    name = "systemd-analyze"
    if not shutil.which(name) and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "systemd"]
        quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, capture_output=True, timeout=600, check=False, env=quietly)
    return shutil.which(name) or pytest.skip(f"{name} is not here and cannot be installed")


def verify(analyze: str, folder: Path, change: tuple[str, str] = ("", "")) -> str:
    """What systemd has against the units, were the program where they say."""
    program = folder / "place" / ".venv" / "bin" / "builder"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    copies = []
    for unit in sorted(UNITS.glob("builder-nightly.*")):
        text = unit.read_text(encoding="utf-8").replace(_HOME, str(folder / "place"))
        copies.append(folder / unit.name)
        copies[-1].write_text(text.replace(*change), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", *copies], capture_output=True, text=True, timeout=300, check=False
    )
    return done.stdout + done.stderr + (f"status {done.returncode}" if done.returncode else "")


def test_systemd_has_nothing_against_the_units(analyze: str, tmp_path: Path) -> None:
    assert verify(analyze, tmp_path) == ""


@pytest.mark.parametrize(
    "change", [("KillMode=mixed", "KillMode=mixd"), ("Persistent=", "Persist="), ("03:17", "30:17")], ids=str
)
def test_it_would_say_what_is_wrong(analyze: str, tmp_path: Path, change: tuple[str, str]) -> None:
    assert "builder-nightly" in verify(analyze, tmp_path, change)


def test_the_service_runs_a_command_that_there_is() -> None:
    text = (UNITS / "builder-nightly.service").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    (line,) = in_shell(command)
    assert "build" in line.words
    understand(line)


def test_the_example_names_variables_that_there_are(tmp_path: Path) -> None:
    text = (UNITS / "builder.env.example").read_text(encoding="utf-8")
    given = dict(line[1:].split("=", 1) for line in text.splitlines() if re.match(r"#[A-Z_]+=", line))
    assert len(given) >= 3
    environment = {**os.environ, **given, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "builder", "config", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in given if name.startswith("BUILDER_")), done.stdout
