"""The image with upstream's own test programs: made on exactly the served one, found again, never in its way."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import ExitCode
from builder.image.bases import Choice
from tests.integration.conftest import SERVER, builder

OPS, ARCHS = "test-backend-ops", "test-llama-archs"
LABEL = "local.builder.tests"


@pytest.fixture(autouse=True)
def _bases(cpu_bases: Choice) -> None:
    assert cpu_bases


def _build(tree: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    number = ("--build-number", "10991")
    return builder("build", "--cpu", "--origin", str(tree), "--name", name, *number, "--json", *more)


def _built(tree: Path, name: str, *more: str) -> dict[str, Any]:
    done = _build(tree, name, *more)
    assert done.returncode == ExitCode.DONE, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _image(engine: Engine, reference: str) -> Image:
    image = engine.image(reference)
    assert image is not None
    return image


def _files(engine: Engine, image: str) -> set[str]:
    done = engine.ask("run", "--rm", "--network=none", "--entrypoint=find", image, "/opt", "/usr/local/bin", timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _without_programs(tree: Path) -> None:
    shutil.rmtree(tree / "tests")


def _without_compiling(tree: Path) -> None:
    (tree / "tests" / f"{OPS}.cpp").write_text('#include "no-such-header.h"\nint main() { return 0; }\n')


def test_it_is_the_served_image_and_the_programs(engine: Engine, tree: Path, name: str) -> None:
    document = _built(tree, name)
    reference = document["image"]["references"][0]
    assert document["tests"] == {
        "id": _image(engine, f"{reference}-tests").id,
        "reference": f"{reference}-tests",
        "programs": [OPS, ARCHS],
        "found": False,
        "reason": "",
    }
    served, tests = _image(engine, reference), _image(engine, f"{reference}-tests")
    assert tests.layers[:-1] == served.layers
    assert tests.labels == {**served.labels, LABEL: f"{OPS},{ARCHS}"}
    assert tests.entrypoint == (OPS,)
    assert tests.user == served.user
    check = engine.ask("image", "inspect", "--format", "{{json .Config.Healthcheck.Test}}", tests.id).stdout
    assert json.loads(check) == ["NONE"]

    home, path = "/opt/llama.cpp", "/usr/local/bin"
    added = _files(engine, tests.id) - _files(engine, served.id)
    assert added == {
        *(f"{folder}/{program}" for folder in (home, path) for program in (OPS, ARCHS)),
        f"{home}/libstandin-comparing.so",
        f"{home}/libtest-program.so",
    }, "besides the programs just what they need and the served image lacks"
    for program, said in ((OPS, "1/1 backends passed\n"), (ARCHS, "OK\n")):
        done = engine.ask("run", "--rm", "--network=none", "--entrypoint", program, tests.id, timeout=60)
        assert done.stdout == said


def test_the_served_image_is_the_same_without_it(engine: Engine, tree: Path, name: str) -> None:
    without = _built(tree, name, "--no-tests")
    assert without["tests"]["reference"] is None
    assert without["tests"]["reason"] == "not asked for"
    immutable, candidate = without["image"]["references"]
    assert engine.image(f"{immutable}-tests") is None
    served = _image(engine, immutable)
    engine.remove_image(immutable)
    engine.remove_image(candidate)

    both = _built(tree, name)
    assert both["found"] is False
    assert both["plan"] == without["plan"]
    assert _image(engine, immutable).layers == served.layers


def test_what_is_missing_is_made_and_the_rest_is_found(engine: Engine, tree: Path, name: str) -> None:
    without = _built(tree, name, "--no-tests")
    first, again = _built(tree, name), _built(tree, name)
    assert first["image"] == without["image"]
    assert (first["found"], first["tests"]["found"]) == (True, False)
    passing = {name: again[name] for name in ("seconds", "stages", "known")}
    assert again == {**first, "tests": {**first["tests"], "found": True}, **passing}

    other = _built(tree, f"{name}-other")
    try:
        assert (other["found"], other["tests"]["found"]) == (True, True), "another name, the same images"
        assert other["tests"]["id"] == first["tests"]["id"]
    finally:
        for reference in (other["tests"]["reference"], *other["image"]["references"]):
            engine.remove_image(reference)


def test_the_configuration_turns_it_off(tree: Path, name: str, tmp_path: Path) -> None:
    config = tmp_path / "builder.toml"
    config.write_text("[build]\ntests = false\n")
    arguments = ("--config", str(config), "build", "--cpu", "--origin", str(tree), "--name", name)
    done = builder(*arguments)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert re.search(r"^tests +none: not asked for", done.stdout, re.MULTILINE)


def test_tree_without_the_programs_gives_a_served_image_and_a_line(engine: Engine, tree: Path, name: str) -> None:
    _without_programs(tree)
    done = _build(tree, name)
    assert done.returncode == ExitCode.DONE, done.stderr
    document = json.loads(done.stdout)
    assert document["plan"]["tests"] == []
    assert document["tests"]["reason"] == "this tree has no programs for them"
    assert done.stderr.count("correctness cannot be judged") == 1
    assert engine.image(f"{document['image']['references'][0]}-tests") is None


def test_program_that_does_not_compile_is_a_warning_with_its_reason_and_log(
    engine: Engine, tree: Path, name: str
) -> None:
    _without_compiling(tree)
    done = _build(tree, name)
    assert done.returncode == ExitCode.DONE, done.stderr
    document = json.loads(done.stdout)
    assert document["verdict"]["outcome"] == "pass"
    assert document["tests"]["reference"] is None
    assert "There is no tests image, so correctness cannot be judged" in done.stderr
    assert "no-such-header.h: No such file or directory" in done.stderr
    (log,) = re.findall(r"log: (\S+)", done.stderr)
    assert "no-such-header.h" in Path(log).read_text()
    served = document["image"]["references"][0]
    assert engine.image(f"{served}-tests") is None
    assert not [file for file in _files(engine, served) if "test" in file]


def test_tests_of_another_served_image_are_not_taken_for_its_own(engine: Engine, tree: Path, name: str) -> None:
    mine = _built(tree, name)
    with (tree / SERVER).open("a") as source:
        source.write("int another_one;\n")
    others = _built(tree, name)
    engine.tag(others["tests"]["id"], mine["tests"]["reference"])
    with (tree / SERVER).open("r+") as source:
        text = source.read().replace("int another_one;\n", "")
        source.seek(0)
        source.truncate()
        source.write(text)
    again = _built(tree, name)
    assert again["found"] is True
    tests = _image(engine, again["tests"]["reference"])
    assert tests.stands_on(_image(engine, mine["image"]["id"]))
    assert not tests.stands_on(_image(engine, others["image"]["id"]))


def test_image_of_somebody_elses_keeps_the_name(engine: Engine, tree: Path, name: str, cpu_bases: Choice) -> None:
    served = _built(tree, name, "--no-tests")["image"]["references"][0]
    engine.tag(cpu_bases.bases.runtime, f"{served}-tests")
    done = _build(tree, name)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "is already another image" in done.stderr
    assert json.loads(done.stdout)["tests"]["reference"] is None
    assert _image(engine, f"{served}-tests").id == _image(engine, cpu_bases.bases.runtime).id


def test_interruption_while_tests_compile_leaves_the_served_image(engine: Engine, tree: Path, name: str) -> None:
    slow = f"sleep 120.{uuid.uuid4().int % 10**9}"
    with (tree / "tests" / "CMakeLists.txt").open("a") as cmake:
        cmake.write(f"add_custom_target(slow COMMAND {slow})\nadd_dependencies(standin-comparing slow)\n")
    arguments = ["build", "--cpu", "--origin", str(tree), "--name", name, "--build-number", "10991"]
    process = subprocess.Popen([sys.executable, "-m", "builder", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert _appears(slow)
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in rest
    assert "correctness" not in rest, "an interruption is no failure of the programs"

    found = _built(tree, name, "--no-tests")
    assert found["found"] is True
    assert engine.image(f"{found['image']['references'][0]}-tests") is None
    kept = f"builder-build/unjudged:{found['plan']['digest'].removeprefix('sha256:')[:16]}"
    assert engine.image(kept) is None
    assert engine.image(f"{kept}-tests") is None


def _appears(command: str, patience: float = 300) -> bool:
    wanted = command.replace(" ", "\0").encode()
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if any(wanted in _command_line(file) for file in Path("/proc").glob("[0-9]*/cmdline")):
            return True
        time.sleep(0.2)
    return False


def _command_line(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
