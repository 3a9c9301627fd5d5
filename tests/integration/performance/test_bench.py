"""Whole benches of real images, as a person asks for them and as the gate does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from builder.config import load
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import ExitCode
from builder.gates.gate import Scene, Subject
from builder.gates.performance import judge_performance
from builder.gates.verdict import Outcome as Answer
from builder.gates.verdict import Verdict
from builder.paths import Paths
from builder.performance.archive import Archive
from builder.performance.bench import Result, Wish, bench
from builder.performance.comparison import Outcome
from builder.performance.effort import Effort
from builder.performance.prepare import prepare
from builder.performance.progress import NoProgress
from builder.performance.record import read_record
from builder.performance.rules import Rules
from builder.performance.settings import parse_changes
from builder.performance.subject import subjects_of
from builder.performance.tools import Tools
from tests.integration.conftest import builder
from tests.integration.gates.structure_labs import variation
from tests.integration.performance.test_performance_measure import NO_BENCH

Sabotage = Callable[..., AbstractContextManager[Image]]
BRIEF = Effort("brief", 0.3, 16)
CONFIG = """
[performance]
effort = "quick"
rounds = 2
[profiles.chat]
context = 512
slots = 2
users = 2
"""
EITHER = (ExitCode.DONE, ExitCode.UNJUDGED)
"""A machine with neighbours counts no round, and says so."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "builder.toml").write_text(CONFIG, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "BUILDER_STATE": str(folder / "state")}


@pytest.fixture(scope="module")
def baseline(folder: Path, environment: dict[str, str], cpu_image: str) -> tuple[int, dict[str, Any]]:
    """Status and document of an image that was measured alone."""
    files = [word for kind in ("markdown", "html", "prometheus", "out") for word in (f"--{kind}", f"its.{kind}")]
    done = builder("bench", cpu_image, "--json", *files, cwd=folder, env=environment)
    assert done.returncode in EITHER, done.stderr
    assert "round" not in done.stderr, "it is quiet"
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def small(tools: Tools, folder: Path) -> Tools:
    return replace(tools, config=load(folder / "builder.toml", {}, {}))


def brief(tools: Tools, archive: Path, *images: Image, changes: tuple[str, ...] = (), rounds: int = 3) -> Result:
    profiles = tools.config.settings.profiles
    named = [(image.references[0] if image.references else image.id, image) for image in images]
    subjects = subjects_of(named, "chat", profiles["chat"], parse_changes(changes, profiles))
    wish = Wish(BRIEF, Rules(least_rounds=2, most_rounds=rounds))
    return bench(prepare(subjects, tools), wish, tools, Archive(archive), NoProgress())


def test_an_image_alone_becomes_a_base_line(baseline: tuple[int, dict[str, Any]], folder: Path) -> None:
    status, document = baseline
    assert document["exit_code"] == status
    record = document["record"]
    assert record["outcome"] is None
    assert record["notes"][0].startswith("This is a base line of" if status == ExitCode.DONE else "A base line takes")
    assert len(record["runs"]) >= 4
    assert {run["subject"] for run in record["runs"]} == {"A"}
    assert record["machine"]["host"]
    assert record["subjects"][0]["build"].startswith("v0.5.0")
    assert read_record(Path(document["file"])) == read_record(folder / "its.out")
    figures = "ttft" if status == ExitCode.DONE else "builder_bench_runs_total"
    assert figures in (folder / "its.prometheus").read_text()
    assert (folder / "its.html").read_text().lstrip().lower().startswith("<!doctype html>")
    assert "ttft/short" in (folder / "its.markdown").read_text()


def test_it_is_shown_listed_and_compared(
    baseline: tuple[int, dict[str, Any]], folder: Path, environment: dict[str, str]
) -> None:
    name = Path(baseline[1]["file"]).name
    shown = builder("bench", "show", cwd=folder, env={**environment, "COLUMNS": "80"})
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "ttft/short" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines() if line.startswith(("ttft/", "itl/"))) <= 80
    listed = builder("bench", "list", cwd=folder, env=environment)
    assert name[:16] in listed.stdout
    past = builder("bench", "list", "--repository", "builder-test/llama", "--json", cwd=folder, env=environment)
    assert [row["file"] for row in json.loads(past.stdout)["history"]] == [name]
    compared = builder("bench", "compare", name, name, "--json", cwd=folder, env=environment)
    document = json.loads(compared.stdout)
    assert compared.returncode in EITHER
    assert document["record"]["outcome"] == ("not worse" if compared.returncode == 0 else "undecided")


@pytest.mark.usefixtures("baseline")
def test_a_record_of_another_model_is_not_compared(folder: Path, environment: dict[str, str]) -> None:
    other = json.loads((folder / "its.out").read_text())
    other["subjects"][0]["model"]["digest"] = "sha256:" + "0" * 64
    (folder / "other.json").write_text(json.dumps(other))
    done = builder("bench", "compare", "its.out", "other.json", cwd=folder, env=environment)
    assert done.returncode == ExitCode.UNJUDGED
    assert "The models differ" in done.stderr


def test_two_images_are_measured_by_turns_and_kept(small: Tools, image: Image, tmp_path: Path) -> None:
    result = brief(small, tmp_path, image, image)
    assert result.error is None
    assert result.taken.rounds >= 2
    assert [run.subject for run in result.taken.runs[:8]] == list("ABBABAAB")
    assert result.record.outcome in (Outcome.NOT_WORSE, Outcome.UNDECIDED), "an image is not worse than itself"
    assert result.exit_code in EITHER
    assert read_record(result.file) == result.record
    assert {judgement.metric for judgement in result.record.judgements} >= {"ttft/short", "llama-bench/tg64"}


def test_values_are_swept_and_one_is_recommended(small: Tools, image: Image, tmp_path: Path) -> None:
    result = brief(small, tmp_path, image, changes=("chat.ubatch=8,128",), rounds=2)
    assert [subject.overrides for subject in result.record.subjects] == [{"ubatch": "8"}, {"ubatch": "128"}]
    assert result.record.recommended == "B", "it is the configured one, and the other is no better"
    assert result.record.recommendation
    assert result.record.outcome is None


def test_a_second_image_that_dies_ends_it_and_what_was_measured_is_kept(
    small: Tools, image: Image, broken: Sabotage, tmp_path: Path
) -> None:
    with broken(ABORT_AT=12) as dying:
        result = brief(small, tmp_path, image, dying)
    assert result.error
    assert result.exit_code == ExitCode.UNJUDGED
    assert result.record.outcome is Outcome.UNDECIDED
    kept = read_record(result.file)
    assert not kept.whole
    assert kept.interrupted.startswith("In round 1:")
    assert "ended in the middle" in kept.interrupted
    assert [(run.subject, bool(run.set_aside)) for run in kept.runs] == [
        ("A", kept.runs[0].set_aside != ""),
        ("B", True),
    ]
    assert "llama-bench/tg64" in kept.runs[0].samples


def test_an_interrupted_bench_keeps_what_it_has_and_leaves_no_container(
    folder: Path, environment: dict[str, str], cpu_image: str, engine: Engine
) -> None:
    state = folder / "interrupted"
    command = [sys.executable, "-m", "builder", "bench", cpu_image, "--rounds", "50"]
    with subprocess.Popen(
        command, cwd=folder, env={**environment, "BUILDER_STATE": str(state)}, stderr=subprocess.PIPE, text=True
    ) as process:
        until = monotonic() + 600
        while not (records := list((state / "benches").glob("2*.json"))) and monotonic() < until:
            sleep(0.2)
        sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert f"What was measured is kept: {records[0]}" in said.replace("\n", "")
    record = read_record(records[0])
    assert record.interrupted == "Interrupted in round 2."
    assert len(record.runs) >= 2
    left = engine.ask("ps", "--all", "--quiet", "--filter", f"label=local.builder.run={record.started:%Y%m%dT%H%M%S}")
    assert left.stdout == ""
    owned = engine.ask("ps", "--all", "--format", '{{.Label "local.builder.run"}}').stdout.split()
    assert not [run for run in owned if run.endswith(f"-{process.pid}")]


def test_what_does_not_fit_is_told_before_anything_is_measured(
    folder: Path, environment: dict[str, str], cpu_image: str
) -> None:
    done = builder("bench", cpu_image, "--set", "chat.memory-limit=12m", cwd=folder, env=environment)
    assert done.returncode == ExitCode.UNJUDGED
    assert "more memory than its container may have" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no-such-image",), "There is no image no-such-image"),
        (("{image}", "--profile", "chatt"), "Did you mean `chat`?"),
        (("{image}", "--set", "chat.ubatchsize=1"), "to set"),
        (("{image}", "--effort", "hasty"), "quick, usual or thorough"),
        (("{image}", "--rounds", "1"), "performance.rounds"),
        (("{image}", "--html", "no/such/folder/page.html"), "There is no folder"),
        (("{image}", "--gpus", "all"), "measured on one GPU"),
        (("show", "no-such-record"), "There is no record"),
        (("compare", "no-such-record"), "There is no record"),
    ],
)
def test_bad_wishes_are_refused_before_anything_is_measured(
    folder: Path, environment: dict[str, str], cpu_image: str, words: tuple[str, ...], said: str
) -> None:
    done = builder("bench", *(word.format(image=cpu_image) for word in words), cwd=folder, env=environment, timeout=300)
    assert done.returncode in (ExitCode.USAGE, ExitCode.SOURCE)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def judged(small: Tools, name: str, tmp_path: Path) -> Callable[[Image], Verdict]:
    """The performance gate where images have a name of this test's own, and what is adopted another tag."""
    settings = small.config.settings
    image = settings.image.model_copy(update={"repository": name})
    channels = settings.channels.model_copy(update={"adopted": "stable"})
    own = settings.model_copy(update={"image": image, "channels": channels})
    paths = Paths(small.paths.cache, tmp_path)
    config = replace(small.config, settings=own)
    scene = Scene(small.engine, small.runner, small.reporter, paths, config, small.logs)
    return lambda image: judge_performance(Subject("it", image), "chat", scene)


def test_without_an_adopted_image_the_gate_measures_a_base_line_and_says_so(
    judged: Callable[[Image], Verdict], image: Image, name: str
) -> None:
    verdict = judged(image)
    assert verdict.gate == "performance"
    assert verdict.outcome in (Answer.PASS, Answer.UNJUDGED)
    assert [check.name for check in verdict.checks] == ["baseline"]
    if verdict.outcome is Answer.PASS:
        assert f"There is no {name}:stable yet" in verdict.checks[0].detail
    assert verdict.measurements["baseline"] is True
    assert Path(verdict.logs[0]).is_file()


def test_beside_an_adopted_image_of_another_kind_the_gate_cannot_judge(
    judged: Callable[[Image], Verdict], engine: Engine, cpu_image: str, image: Image, name: str
) -> None:
    with variation(engine, cpu_image, "LABEL local.builder.variant=cuda", root=False) as adopted:
        engine.tag(adopted.id, f"{name}:stable")
        verdict = judged(image)
    assert verdict.outcome is Answer.UNJUDGED
    assert "is of the variant cuda, and this one is cpu" in verdict.reasons[0]


def test_beside_one_without_llama_bench_the_gate_cannot_judge(
    judged: Callable[[Image], Verdict], engine: Engine, cpu_image: str, image: Image, name: str
) -> None:
    with variation(engine, cpu_image, NO_BENCH) as adopted:
        engine.tag(adopted.id, f"{name}:stable")
        verdict = judged(image)
    assert verdict.outcome is Answer.UNJUDGED
    assert f"{name}:stable has no llama-bench" in verdict.reasons[0]
