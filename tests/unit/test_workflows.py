"""What workflows run is what the program takes, and their steps do what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.command_lines import Line, in_shell, understand

ROOT = Path(__file__).parents[2]
WORKFLOWS = tuple(sorted((ROOT / ".github" / "workflows").glob("*.yml")))
ACTION = ROOT / ".github" / "actions" / "build" / "action.yml"
_PIN = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40}$")
_NO_ENGINE = "tcp://127.0.0.1:1"


def read(file: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def jobs() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in WORKFLOWS:
        yield from ((f"{file.stem}/{name}", job) for name, job in read(file)["jobs"].items())


def steps() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, job in jobs():
        yield from ((name, step) for step in job["steps"])
    yield from (("action", step) for step in read(ACTION)["runs"]["steps"])


def scripts() -> tuple[tuple[str, str], ...]:
    return tuple((name, step["run"]) for name, step in steps() if "run" in step)


def lines() -> tuple[tuple[str, Line], ...]:
    return tuple((name, line) for name, script in scripts() for line in in_shell(script))


@pytest.mark.parametrize(("where", "line"), lines(), ids=str)
def test_every_command_line_is_one_of_the_program(where: str, line: Line) -> None:
    assert where
    understand(line)


def test_command_lines_are_found() -> None:
    assert {line.words[0] for _, line in lines()} == {"plan", "build", "promote", "patches"}


@pytest.mark.parametrize(("where", "script"), scripts(), ids=lambda text: text[:30])
def test_scripts_are_sound_and_take_no_input_as_code(where: str, script: str) -> None:
    assert "${{" not in script, where
    checker = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run(
        [checker, "--shell=bash", "-"], input=script, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflows_have_no_rights_and_are_not_cancelled(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize(("name", "job"), tuple(jobs()), ids=str)
def test_jobs_end_and_leave_no_credentials(name: str, job: Mapping[str, Any]) -> None:
    assert job["timeout-minutes"], name
    for step in job["steps"]:
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_actions_of_others_are_pinned() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    assert [one for one in used if not one.startswith("./") and not _PIN.match(one)] == []


def test_no_pull_request_reaches_a_runner_of_ones_own() -> None:
    for file in WORKFLOWS:
        workflow = read(file)
        own = any("self-hosted" in job["runs-on"] for job in workflow["jobs"].values())
        triggers = workflow[True]  # YAML reads the key `on` as true
        assert not (own and "pull_request" in triggers), file.name


def run_step(script: str, folder: Path, **environment: str) -> tuple[int, dict[str, str], str]:
    """Run a step's script as a runner does; its status, its outputs and its summary."""
    outputs, summary = folder / "outputs", folder / "summary"
    for file in (outputs, summary):
        file.write_text("")
    runner = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), "RUNNER_TEMP": str(folder)}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, **runner, **environment},
        timeout=300,
        check=False,
    )
    given = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    return done.returncode, given, summary.read_text()


def script_of(name: str) -> str:
    found: str = next(step["run"] for _, step in steps() if step.get("name") == name and "run" in step)
    return found


@pytest.fixture
def action(tmp_path: Path) -> dict[str, str]:
    """Variables of the action's step, with the program where the action installs it."""
    if not shutil.which("jq"):
        pytest.skip("jq is not here")
    place = tmp_path / "checkout" / ".github" / "actions" / "build"
    place.mkdir(parents=True)
    program = tmp_path / "checkout" / ".venv" / "bin" / "builder"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m builder "$@"\n')
    program.chmod(0o755)
    return {"GITHUB_ACTION_PATH": str(place), "REF": "latest", "ARCH": "auto", "SOAK": "", "PYTHONPATH": str(ROOT)}


def test_an_action_without_an_engine_says_why_and_fails(tmp_path: Path, action: dict[str, str]) -> None:
    status, outputs, summary = run_step(script_of_action(), tmp_path, **action, DOCKER_HOST=_NO_ENGINE)
    assert status == 3
    assert outputs == {"image": "", "tag": "", "exit-code": "3"}
    assert "No Docker engine answers" in summary


def test_an_action_gives_the_image_and_its_status(tmp_path: Path, action: dict[str, str]) -> None:
    report = {
        "image": {"id": "sha256:1", "references": ["local-ai-llama:b1-x", "local-ai-llama:candidate"]},
        "verdicts": [{"gate": "smoke", "outcome": "fail"}],
    }
    program = tmp_path / "checkout" / ".venv" / "bin" / "builder"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/words\necho '{json.dumps(report)}'\nexit 12\n")
    status, outputs, summary = run_step(script_of_action(), tmp_path, **{**action, "SOAK": "true"})
    assert status == 12
    assert outputs == {"image": "sha256:1", "tag": "local-ai-llama:b1-x", "exit-code": "12"}
    assert "| smoke | fail |" in summary
    assert (tmp_path / "words").read_text().split() == [
        *("build", "--cuda", "--ref", "latest", "--arch", "auto", "--no-promote", "--soak", "--json")
    ]


def script_of_action() -> str:
    found: str = next(step["run"] for where, step in steps() if where == "action" and step.get("id") == "build")
    return found


@pytest.mark.parametrize(("open_issue", "verb"), [("", "create"), ("7", "edit")])
def test_the_canary_opens_one_issue_or_updates_it(tmp_path: Path, open_issue: str, verb: str) -> None:
    (tmp_path / "check.txt").write_text("0004-mmq-tuning  conflict\n")
    client = tmp_path / "bin" / "gh"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1 $2" != "issue list" ] || echo "{open_issue}"\n')
    client.chmod(0o755)
    path = f"{client.parent}:{os.environ['PATH']}"
    texts = {"TITLE": "Patches do not apply", "REMEDY": "A refresh", "RUN": "https://x/1"}
    status, _, _ = run_step(script_of("tell"), tmp_path, PATH=path, **texts)
    assert status == 0
    changes = [line for line in (tmp_path / "asked").read_text().splitlines() if not line.startswith("issue list")]
    assert changes[0].startswith("label create patch-queue")
    assert [line.split()[1] for line in changes[1:]] == [verb]
    assert "0004-mmq-tuning  conflict" in (tmp_path / "body.md").read_text()


def test_the_canary_tells_a_patch_that_fails_from_a_check_that_does(tmp_path: Path) -> None:
    program = tmp_path / ".venv" / "bin" / "builder"
    program.parent.mkdir(parents=True)
    for code, status in ((0, 0), (4, 0), (3, 3)):
        program.write_text(f"#!/bin/sh\nexit {code}\n")
        program.chmod(0o755)
        ended, outputs, _ = run_step(script_of("check"), tmp_path)
        assert (ended, outputs["status"]) == (status, str(code))
