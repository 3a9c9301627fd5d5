"""The program as it ends where something is amiss: a status, a sentence, and with `--json` a document."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from builder.cli.app import main
from builder.errors import ExitCode


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def error_of(stdout: str) -> dict[str, Any]:
    document = json.loads(stdout)
    assert document["schema_version"] == 1
    error: dict[str, Any] = document["error"]
    assert error["cause"]
    assert error["remedy"]
    return error


def test_an_empty_profile_is_no_profile() -> None:
    done = run("judge", "some-image", "--profile", "", "--json")
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert error_of(done.stdout)["cause"] == "There is no profile ''."


@pytest.mark.parametrize("gpus", ["foo", "-1", "0,foo"])
def test_what_can_be_no_gpu_is_refused_before_anything_is_asked(gpus: str) -> None:
    done = run("judge", "some-image", f"--gpus={gpus}", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == ExitCode.USAGE
    assert "is neither a number nor a UUID" in done.stderr


def test_a_gate_that_is_not_there_is_named_alone() -> None:
    done = run("judge", "some-image", "--gate", "version, speed", DOCKER_HOST="tcp://127.0.0.1:1")
    assert done.returncode == ExitCode.USAGE
    assert "There is no gate `speed`." in done.stderr


class Interrupting(StringIO):
    """Standard output on which a person presses Ctrl-C in the middle of what is written."""

    def write(self, text: str) -> int:
        written = super().write(text[:10])
        signal.raise_signal(signal.SIGINT)
        return written + super().write(text[10:])


def test_an_interruption_leaves_the_one_document_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Interrupting()
    with monkeypatch.context() as changed:
        changed.setattr(sys, "stdout", out)
        status = main(["config", "--json"])
    assert status == ExitCode.INTERRUPTED
    assert json.loads(out.getvalue()).keys() == {"schema_version", "values", "sources"}


def test_what_cannot_be_said_on_a_full_disk_changes_no_status() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "builder", "prune", "--older-than", "a week"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, timeout=120, check=False)
    assert done.returncode == ExitCode.USAGE


def test_lines_of_what_is_no_terminal_are_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    words = " ".join(f"word{number}" for number in range(60))
    done = run("config", BUILDER_PROFILES_CHAT_EXTRA_ARGUMENTS=words)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("profiles.chat.extra-arguments")]
    assert words.replace(" ", ", ") in line
    assert line.endswith("BUILDER_PROFILES_CHAT_EXTRA_ARGUMENTS")
    assert not [line for line in done.stdout.splitlines() if line.endswith(" ")]


def test_a_fault_is_a_document_too(tmp_path: Path) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho nonsense\n")
    client.chmod(0o755)
    done = run("judge", "some-image", "--json", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == ExitCode.UNEXPECTED
    error = error_of(done.stdout)
    assert (error["exit_code"], "JSONDecodeError" in error["cause"]) == (ExitCode.UNEXPECTED, True)
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_an_interruption_is_a_document_too(signum: signal.Signals, status: int, tmp_path: Path) -> None:
    asked, client = tmp_path / "asked", tmp_path / "docker"
    client.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 600\n")
    client.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", "from builder.cli.app import entry; entry()", "judge", "some-image", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    deadline = monotonic() + 120
    while not asked.exists() and monotonic() < deadline:
        sleep(0.02)
    process.send_signal(signum)
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert error_of(out)["exit_code"] == status


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "DOCKER_HOST=tcp://127.0.0.1:1 says where it is: correct it, or unset"),
        ({"DOCKER_HOST": "", "DOCKER_CONTEXT": "nowhere"}, "DOCKER_CONTEXT=nowhere says where it is"),
    ],
)
def test_a_setting_that_leads_to_no_engine_is_named(environment: dict[str, str], named: str) -> None:
    done = run("judge", "some-image", **environment)
    assert done.returncode == ExitCode.MACHINE
    assert "No Docker engine answers" in done.stderr
    assert named in done.stderr
    assert "builder setup" not in done.stderr
