"""Building for real: a small project with llama.cpp's option surface many times, llama.cpp itself once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.image.bases import Choice
from tests.integration.conftest import SERVER, builder


@pytest.fixture(autouse=True)
def _bases(cpu_bases: Choice) -> None:
    assert cpu_bases


def _build(tree: Path, name: str, *more: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return builder("build", "--cpu", "--origin", str(tree), "--name", name, "--no-tests", *more, env=env)


def _document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _in(engine: Engine, image: str, *command: str) -> str:
    done = engine.ask("run", "--rm", "--network=none", "--entrypoint", command[0], image, *command[1:], timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _libraries(engine: Engine, image: str) -> str:
    return _in(engine, image, "sh", "-c", "ldd /opt/llama.cpp/*.so* /opt/llama.cpp/llama-*")


def test_image_is_what_was_planned(engine: Engine, tree: Path, name: str) -> None:
    done = _build(tree, name, "--build-number", "10991", "--json")
    assert done.returncode == ExitCode.DONE, done.stderr
    document = _document(done)
    immutable, candidate = document["image"]["references"]
    assert immutable.startswith(f"{name}:b10991-cpu-")
    assert candidate == f"{name}:candidate"

    image = engine.image(immutable)
    assert image is not None
    assert image.id == document["image"]["id"]
    assert image.labels["local.builder.plan"] == document["plan"]["digest"]
    assert image.labels["org.opencontainers.image.version"] == "b10991"
    assert image.entrypoint == ("llama-server",)
    assert image.user == "10001:10001"

    assert image.labels["org.opencontainers.image.source"] == "", "a path of this machine is nobody else's business"
    assert str(tree) not in _in(engine, immutable, "cat", "/opt/llama.cpp/build.json")
    record = json.loads(_in(engine, immutable, "cat", "/opt/llama.cpp/build.json"))
    base = engine.image(document["plan"]["bases"]["runtime"])
    assert base is not None
    assert record["bases"]["runtime"] == base.id
    assert record["plan"]["digest"] == document["plan"]["digest"]
    assert {proof["subject"] for proof in record["proofs"]} >= {"definitions", "targets"}
    assert _in(engine, immutable, "llama-bench") == ""


PATCH = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Person <person@example.invalid>
Date: Tue, 1 Sep 2026 12:00:00 +0000
Subject: [PATCH] local : a note

---
diff --git a/{path} b/{path}
new file mode 100644
--- /dev/null
+++ b/{path}
@@ -0,0 +1 @@
+{text}
"""


def test_patches_are_in_tag_labels_and_record_and_not_in_the_number(
    engine: Engine, tree: Path, name: str, tmp_path: Path
) -> None:
    queue = tmp_path / "queue"
    queue.mkdir()
    (queue / "series").write_text("0001-note.patch\n0002-other.patch\n")
    (queue / "0001-note.patch").write_text(PATCH.format(path="local/note.txt", text="a note"))
    (queue / "0002-other.patch").write_text(PATCH.format(path="local/other.txt", text="another"))
    options = ("--build-number", "10991", "--patches", str(queue), "--json")
    document = _document(_build(tree, name, *options))
    digest = document["plan"]["patches"]["digest"]
    immutable = document["image"]["references"][0]
    assert immutable.startswith(f"{name}:b10991-cpu-p{digest.removeprefix('sha256:')[:8]}-")
    labels = document["image"]["labels"]
    assert labels["local.builder.patches"] == digest
    assert labels["local.builder.patch-names"] == "0001-note.patch,0002-other.patch"
    assert labels["local.builder.build-number"] == "10991"
    record = json.loads(_in(engine, immutable, "cat", "/opt/llama.cpp/build.json"))
    assert [patch["standing"] for patch in record["plan"]["patches"]["patches"]] == ["clean", "clean"]

    (queue / "series").write_text("0001-note.patch\n")
    fewer = _document(_build(tree, name, *options))
    assert fewer["image"]["references"][0] != immutable
    assert fewer["plan"]["patches"]["digest"] != digest
    plain = _document(_build(tree, name, *options[:2], "--patches", "none", "--json"))
    assert plain["plan"]["patches"] is None
    assert plain["image"]["labels"]["local.builder.patches"] == "none"


def test_closure_is_complete_and_holds_nothing_that_the_runtime_has(engine: Engine, tree: Path, name: str) -> None:
    assert _build(tree, name).returncode in (ExitCode.DONE, ExitCode.UNJUDGED)
    assert "not found" not in _libraries(engine, f"{name}:candidate")
    files = set(_in(engine, f"{name}:candidate", "ls", "/opt/llama.cpp").split())
    assert {"libggml-base.so.0", "libggml-cpu-haswell.so", "libggml-cpu-sse42.so", "llama-server"} <= files
    assert not [file for file in files if file.startswith(("libc.", "libstdc++", "libm."))]


def test_same_inputs_are_found_and_quickly(tree: Path, name: str) -> None:
    first = _document(_build(tree, name, "--build-number", "10991", "--json"))
    again = _document(_build(tree, name, "--build-number", "10991", "--json"))
    assert (first["found"], again["found"]) == (False, True)
    assert again["image"] == first["image"]
    other = _document(_build(tree, name, "--build-number", "10992", "--json"))
    assert other["found"] is False
    assert other["plan"]["digest"] != first["plan"]["digest"]


def test_number_that_is_not_known_is_never_written_as_zero(tree: Path, name: str) -> None:
    done = _build(tree, name, "--json")
    document = _document(done)
    assert document["verdict"]["outcome"] == "pass", "the form of the line says that it is later than b10360"
    tag = document["image"]["references"][0].rpartition(":")[2]
    assert not re.match(r"b\d+-", tag), "a tag that names a build says its number"
    assert document["image"]["labels"]["local.builder.build-number"] == "unknown"


def test_the_candidate_is_called_as_configured_and_asked_where_nothing_is_adopted(tree: Path, name: str) -> None:
    tags = {"candidate": "next-{variant}", "adopted": "live-{variant}", "previous": "old-{variant}"}
    env = os.environ | {f"BUILDER_CHANNELS_{channel.upper()}": tag for channel, tag in tags.items()}
    done = _build(tree, name, "--build-number", "10991", "--json", env=env)
    assert _document(done)["image"]["references"][1] == f"{name}:next-cpu", done.stderr

    asked = builder("check-version", env=env | {"BUILDER_IMAGE_REPOSITORY": name})
    assert asked.returncode == ExitCode.DONE, asked.stderr
    assert f"There is no {name}:live-cuda yet; asking the candidate." in asked.stderr


def test_too_old_is_not_made_the_candidate(engine: Engine, tree: Path, name: str) -> None:
    text = (tree / SERVER).read_text()
    old = text.replace("version: 0.5.0-dev (build %d, commit %s)", "version: %d (%s)")
    assert old != text
    (tree / SERVER).write_text(old)
    done = _build(tree, name, "--build-number", "3000", "--json")
    assert done.returncode == ExitCode.VERSION, done.stderr
    assert _document(done)["image"]["references"] == []
    assert engine.image(f"{name}:candidate") is None
    assert engine.image(_document(done)["image"]["id"]) is None


def test_image_that_prints_another_number_fails(engine: Engine, tree: Path, name: str) -> None:
    text = (tree / SERVER).read_text()
    (tree / SERVER).write_text(text.replace("BUILD_NUMBER, BUILD_COMMIT", "BUILD_NUMBER + 1, BUILD_COMMIT"))
    done = _build(tree, name, "--build-number", "10991", "--json")
    assert done.returncode == ExitCode.VERSION, done.stderr
    assert "stamped was 10991" in done.stdout
    assert _document(done)["image"]["references"] == []
    assert engine.image(f"{name}:candidate") is None
    assert engine.image(_document(done)["image"]["id"]) is None


def test_image_that_does_not_start_gets_no_name(tree: Path, name: str) -> None:
    text = (tree / SERVER).read_text()
    (tree / SERVER).write_text(text.replace("int port = 8080;", "int port = 8080;\n    __builtin_trap();"))
    done = _build(tree, name, "--build-number", "10991", "--json")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    assert _document(done)["image"]["references"] == []


def test_number_that_cannot_be_judged_is_named_but_no_candidate(engine: Engine, tree: Path, name: str) -> None:
    text = (tree / SERVER).read_text()
    (tree / SERVER).write_text(text.replace("version: 0.5.0-dev (build %d, commit %s)", "version: %d (%s)"))
    done = _build(tree, name, "--json")
    assert done.returncode == ExitCode.UNJUDGED, done.stderr
    assert len(_document(done)["image"]["references"]) == 1
    assert engine.image(f"{name}:candidate") is None


def test_labels_of_the_base_fail_the_build_each_time(engine: Engine, tree: Path, name: str, cpu_bases: Choice) -> None:
    base = f"{name}-base:1"
    recipe = f"FROM {cpu_bases.bases.runtime}\nLABEL org.opencontainers.image.foo=bar\n"
    made = engine.ask("buildx", "build", "--tag", base, "-", stdin=recipe.encode(), timeout=60)
    assert made.returncode == 0, made.stderr
    bases = ("--bases", "custom", "--devel", cpu_bases.bases.devel, "--runtime", base)
    try:
        for _ in range(2):
            done = _build(tree, name, "--build-number", "10991", *bases)
            assert done.returncode == ExitCode.BUILD, done.stderr
            assert "org.opencontainers.image.foo" in done.stderr
            assert engine.image(f"{name}:candidate") is None
    finally:
        engine.remove_image(base)


def test_image_made_on_top_of_ours_is_not_taken_for_it(engine: Engine, tree: Path, name: str) -> None:
    first = _document(_build(tree, name, "--build-number", "10991", "--json"))
    recipe = f"FROM {name}:candidate\nENV OTHER=1\n".encode()
    assert engine.ask("buildx", "build", "--tag", f"{name}:derived", "-", stdin=recipe, timeout=60).returncode == 0
    again = _document(_build(tree, name, "--build-number", "10991", "--json"))
    assert again["found"] is True
    assert again["image"]["id"] == first["image"]["id"]


def test_immutable_tag_is_never_moved(engine: Engine, tree: Path, name: str) -> None:
    first = _document(_build(tree, name, "--build-number", "10991", "--json"))
    immutable = first["image"]["references"][0]
    bases = engine.ask("image", "ls", "--quiet", "--filter", "reference=builder-base/runtime").stdout.split()
    engine.tag(bases[0], immutable)
    done = _build(tree, name, "--build-number", "10991")
    assert done.returncode == ExitCode.BUILD
    assert "never moved" in done.stderr


def test_trees_that_differ_in_contents_alone_are_not_mixed(engine: Engine, tree: Path, name: str) -> None:
    """BuildKit knows a file by size and time, and all trees have the same times."""
    text = (tree / SERVER).read_text()
    for answer in ("ivory", "ebony"):
        (tree / SERVER).write_text(text.replace("version: ", f"{answer}\\nversion: "))
        assert _build(tree, name).returncode == ExitCode.DONE
        said = engine.ask("run", "--rm", "--network=none", f"{name}:candidate", "--version").stderr
        assert answer in said


def test_two_builds_of_the_same_at_once_give_one_image(tree: Path, name: str) -> None:
    arguments = ["build", "--cpu", "--origin", str(tree), "--name", name, "--build-number", "10991", "--json"]
    command = [sys.executable, "-m", "builder", *arguments]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    documents = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert {document["found"] for document in documents} == {True, False}
    assert len({document["image"]["id"] for document in documents}) == 1


def test_error_is_a_document_too(tree: Path, name: str) -> None:
    with (tree / "CMakeLists.txt").open("a") as cmake:
        cmake.write('message(FATAL_ERROR "no way to go on")\n')
    done = _build(tree, name, "--json")
    assert done.returncode == ExitCode.BUILD
    error = _document(done)["error"]
    assert error["exit_code"] == ExitCode.BUILD
    assert "no way to go on" in error["excerpt"]


def test_compiler_error_shows_its_first_lines(tree: Path, name: str) -> None:
    (tree / SERVER).write_text('#include "no-such-header.h"\nint main() { return 0 }\n')
    done = _build(tree, name)
    assert done.returncode == ExitCode.BUILD
    assert "no-such-header.h: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_definition_that_the_project_does_not_know_fails_by_name(tree: Path, name: str, tmp_path: Path) -> None:
    config = tmp_path / "builder.toml"
    config.write_text('[build]\ndefinitions = { GGML_CUDA_F16 = "ON" }\n')
    done = builder("--config", str(config), "build", "--cpu", "--origin", str(tree), "--name", name)
    assert done.returncode == ExitCode.BUILD
    assert "GGML_CUDA_F16" in done.stderr


def test_output_that_is_not_utf8(tree: Path, name: str) -> None:
    server = tree / SERVER
    server.write_bytes(b'#warning "caf\xe9"\n' + server.read_bytes())
    assert _build(tree, name).returncode == ExitCode.DONE


def test_long_log_costs_little_memory_and_is_kept_whole(tree: Path, name: str, tmp_path: Path) -> None:
    config = tmp_path / "builder.toml"
    config.write_text('[build]\ndefinitions = { STANDIN_LINES = "ON" }\n')
    measured = (
        "import re, sys; from builder.cli.app import main; code = main(sys.argv[1:]); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr); sys.exit(code)"
    )
    arguments = ["--config", str(config), "build", "--cpu", "--origin", str(tree), "--name", name]
    env = {**os.environ, "BUILDER_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", measured, *arguments], capture_output=True, text=True, timeout=300, check=False, env=env
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    assert int(done.stderr.splitlines()[-1]) < 150_000, "kilobytes"
    (log,) = (tmp_path / "cache" / "logs").glob("*/compile/compile.log")
    with log.open(errors="replace") as lines:
        assert sum("a compiler that has much to say" in line for line in lines) >= 100_000


def test_interruption_leaves_nothing_running(engine: Engine, tree: Path, name: str) -> None:
    slow = f"sleep 120.{uuid.uuid4().int % 10**9}"
    with (tree / "ggml" / "CMakeLists.txt").open("a") as cmake:
        cmake.write(f"add_custom_target(slow COMMAND {slow})\nadd_dependencies(ggml-backends slow)\n")
    arguments = ["build", "--cpu", "--origin", str(tree), "--name", name]
    process = subprocess.Popen([sys.executable, "-m", "builder", *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert _becomes(lambda: _is_running(slow))
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in rest
    assert engine.image(f"{name}:candidate") is None
    assert _becomes(lambda: not _is_running(slow))


def _becomes(true: Callable[[], bool], patience: float = 180) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.2)
    return False


def _is_running(command: str) -> bool:
    wanted = command.replace(" ", "\0").encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if file.read_bytes().startswith(wanted):
                return True
    return False


def test_health_check_follows_the_port(engine: Engine, tree: Path, name: str, containers: Callable[..., str]) -> None:
    assert _build(tree, name).returncode == ExitCode.DONE
    image = f"{name}:candidate"
    by_variable = containers("--network=none", "--env", "LLAMA_ARG_PORT=9001", image)
    by_option = containers("--network=none", image, "--port", "9002")
    for container in (by_variable, by_option):
        for _ in range(300):
            checked = engine.ask("exec", container, "llama-health")
            if not checked.returncode:
                break
            time.sleep(0.1)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["--bases", "custom", "--devel", "builder-test/nowhere:1", "--runtime", "x"], 2, "builder-test/nowhere:1"),
        (["--bases", "custom"], 2, "bases.devel"),
        (["--origin", "no/such/folder"], 4, "no/such/folder"),
        (["--cuda", "--arch", "9999"], 2, "9999"),
        (["--build-number", "1"], 2, "--build-number"),
        (["--jobs", "-1"], 2, "build.jobs"),
        (["--name", "a/b:tag"], 2, "image.repository"),
        (["--cuda", "--cuda-release", "99.9"], 2, "build.cuda"),
        (["--bases", "nvidia", "--cuda", "--cuda-release", "11.1"], 2, "11.1"),
    ],
)
def test_bad_input_has_its_code_and_names_the_thing(
    tree: Path, name: str, arguments: list[str], code: int, named: str
) -> None:
    origin = [] if "--origin" in arguments else ["--origin", str(tree)]
    variant = [] if "--cuda" in arguments else ["--cpu"]
    named_image = [] if "--name" in arguments else ["--name", name]
    done = builder("build", *variant, *origin, *named_image, *arguments)
    assert done.returncode == code, done.stderr
    assert named in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_source_date_epoch(tree: Path, name: str) -> None:
    env = {**os.environ, "SOURCE_DATE_EPOCH": "yesterday"}
    refused = builder("build", "--cpu", "--origin", str(tree), "--name", name, env=env)
    assert refused.returncode == ExitCode.USAGE
    assert "SOURCE_DATE_EPOCH" in refused.stderr
    done = builder(
        "build", "--cpu", "--origin", str(tree), "--name", name, "--json", env={**env, "SOURCE_DATE_EPOCH": "86400"}
    )
    assert _document(done)["image"]["labels"]["org.opencontainers.image.created"].startswith("1970-01-02T00:00:00")


def test_cache_that_cannot_be_used(tree: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for cache in ("/proc/nowhere", str(tmp_path / "file")):
        env = {**os.environ, "BUILDER_CACHE": cache}
        done = builder("build", "--cpu", "--origin", str(tree), "--name", name, env=env)
        assert done.returncode == ExitCode.MACHINE
        assert "Traceback" not in done.stderr
        assert "BUILDER_CACHE" in done.stderr


def test_real_llama_cpp(engine: Engine, cpu_image: str) -> None:
    """The main fixture: the version is what was stamped, every library is there, the server answers for itself."""
    image = engine.image(cpu_image)
    assert image is not None
    assert image.size < 400_000_000
    assert "not found" not in _libraries(engine, cpu_image)
    devices = _in(engine, cpu_image, "llama-server", "--list-devices")
    assert "Available devices:" in devices
