"""`builder check-version` on real containers: stand-ins of a few hundred bytes, and a real llama.cpp image.

Each stand-in is a real program in a real image. What it prints is a transcript of llama-server, or none.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_program import MACHINE, Fate, program, program_for_aarch64

pytestmark = pytest.mark.skipif(platform.machine() != MACHINE, reason=f"the stand-ins are for {MACHINE}")

_GOOD = b"version: 8982 (b42c7fa5b)\nbuilt with GNU 14.2.0 for Linux x86_64\n"
_NEWEST = b"""load_backend: loaded CPU backend from /app/libggml-cpu-haswell.so
version: 0.5.0 (build 10991, commit 0c1e57098)
built with GNU 14.2.0 for Linux x86_64
"""
_LABEL = "local.builder.run"


@dataclass(frozen=True)
class Said:
    """What the command left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., Said]:
    """Run `builder check-version` with a cache of its own."""

    def run(*arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, verbose: bool = False) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "builder", *(["--verbose"] if verbose else []), "check-version", *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "BUILDER_CACHE": str(tmp_path / "cache"), "NO_COLOR": "1", **(env or {})},
            check=False,
        )
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in said.err
        return said

    return run


ImageMaker = Callable[..., str]


@pytest.fixture
def make_image() -> Iterator[ImageMaker]:
    """Make an image of some files; it is removed afterwards."""
    made: list[str] = []

    def make(files: Mapping[str, bytes], *, entrypoint: str | None = None) -> str:
        name = f"builder-test/version:{uuid.uuid4().hex[:12]}"
        changes = ["--change", f"ENTRYPOINT {json.dumps([entrypoint])}"] if entrypoint else []
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path.removeprefix("/"))
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
        docker("import", *changes, "-", name, stdin=archive.getvalue())
        made.append(name)
        return name

    yield make
    for name in made:
        docker("rmi", "--force", name)


@pytest.fixture
def make_container() -> Iterator[Callable[..., str]]:
    """Make a container of an image; it is removed afterwards."""
    made: list[str] = []

    def make(image: str, *, start: bool) -> str:
        name = f"builder-test-version-{uuid.uuid4().hex[:12]}"
        docker(*(("run", "--detach") if start else ("create",)), "--network=none", "--name", name, image)
        made.append(name)
        return name

    yield make
    for name in made:
        docker("rm", "--force", name)


def docker(*arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


def containers_of(image: str) -> list[str]:
    """Containers that this image has, in any state."""
    return docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}").split()


def server(text: bytes, end: int | Fate = 0) -> dict[str, bytes]:
    return {"/usr/bin/llama-server": program(text, end)}


def test_a_good_image_passes(check: Callable[..., Said], make_image: ImageMaker) -> None:
    image = make_image(server(_NEWEST), entrypoint="llama-server")
    said = check(image)
    assert said.code == 0
    assert said.out.startswith(f"pass: {image} is b10991 (0.5.0, commit 0c1e57098)\n")
    assert "Built with GNU 14.2.0 for Linux x86_64." in said.out
    assert said.err == ""
    assert containers_of(image) == []


def test_one_container_is_enough_and_has_no_rights(check: Callable[..., Said], make_image: ImageMaker) -> None:
    image = make_image(server(_GOOD), entrypoint="/usr/bin/llama-server")
    runs = [line for line in check(image, verbose=True).err.splitlines() if line.startswith("$ docker run ")]
    assert len(runs) == 1
    for wanted in ("--network none", "--read-only", "--cap-drop ALL", f"--label {_LABEL}=", "--pull never"):
        assert wanted in runs[0]


def test_the_document_has_everything(check: Callable[..., Said], make_image: ImageMaker) -> None:
    image = make_image(server(_NEWEST), entrypoint="llama-server")
    said = check("--json", "--minimum", "v0.4.0", image)
    assert said.code == 0
    document = said.document
    assert document.pop("seconds") > 0
    assert document == {
        "schema_version": 1,
        "gate": "version",
        "verdict": "pass",
        "subject": image,
        "image": docker("image", "inspect", "--format", "{{.Id}}", image).strip(),
        "build_number": 10991,
        "commit": "0c1e57098",
        "release": "0.5.0",
        "compiler": "GNU 14.2.0 for Linux x86_64",
        "line": "version: 0.5.0 (build 10991, commit 0c1e57098)",
        "minimum": "v0.4.0",
        "newest_upstream": None,
        "builds_behind": None,
        "reasons": ["It is 0.5.0, at least v0.4.0."],
    }


@pytest.mark.parametrize(
    ("text", "minimum", "code", "verdict"),
    [
        (b"version: 3293 (b42c7fa5b)\n", "3294", 10, "fail"),
        (_NEWEST, "10992", 10, "fail"),
        (_NEWEST, "v0.6.0", 10, "fail"),
        (b"version: 0 (unknown)\n", "3294", 20, "could not judge"),
        (b"version: 0.5.0 (build 1, commit 0c1e570)\n", "3294", 0, "pass"),
        (b"version: 0.5.0 (build 1, commit 0c1e570)\n", "10500", 20, "could not judge"),
        (b"hello\n", "3294", 20, "could not judge"),
        (b"", "3294", 20, "could not judge"),
        (b"caf\xe9 \xff\xfe\n" + _GOOD, "3294", 0, "pass"),
    ],
)
def test_the_exit_code_is_the_verdict(
    check: Callable[..., Said], make_image: ImageMaker, text: bytes, minimum: str, code: int, verdict: str
) -> None:
    image = make_image(server(text))
    said = check(image, "--json", "--minimum", minimum)
    assert (said.code, said.document["verdict"]) == (code, verdict)
    assert containers_of(image) == []


def test_the_configured_image_and_minimum_are_the_default(check: Callable[..., Said], make_image: ImageMaker) -> None:
    image = make_image(server(_GOOD))
    repository = f"builder-test/version-{uuid.uuid4().hex[:8]}"
    docker("tag", image, f"{repository}:latest")
    try:
        said = check("--json", env={"BUILDER_IMAGE_REPOSITORY": repository, "BUILDER_VERSION_MINIMUM": "8983"})
    finally:
        docker("rmi", f"{repository}:latest")
    assert (said.code, said.document["subject"], said.document["minimum"]) == (10, f"{repository}:latest", "b8983")


@pytest.mark.parametrize(
    ("files", "entrypoint"),
    [
        ({"/app/llama-server": program(_GOOD)}, "/app/llama-server"),
        ({"/app/llama-server": program(_GOOD)}, "/app/tools.sh"),
        ({"/app/llama-server": program(_GOOD)}, None),
        ({"/usr/bin/llama-server": program(_GOOD), "/start.sh": b"#!/bin/sh\nexec llama-server\n"}, "/start.sh"),
        ({"/server": program(_GOOD)}, "/server"),
        ({"/opt/llama.cpp/llama-server": program(_GOOD)}, "/opt/llama.cpp/llama-server"),
        ({"/app/llama": program(_NEWEST)}, "/app/llama"),
    ],
    ids=["official", "official-full", "no-entrypoint", "script", "2024", "elsewhere", "unified"],
)
def test_foreign_layouts_are_understood(
    check: Callable[..., Said], make_image: ImageMaker, files: dict[str, bytes], entrypoint: str | None
) -> None:
    image = make_image(files, entrypoint=entrypoint)
    said = check(image)
    assert said.code == 0, said.out
    assert containers_of(image) == []


def test_an_image_without_a_server_is_not_judged(check: Callable[..., Said], make_image: ImageMaker) -> None:
    image = make_image({"/bin/other": program(_GOOD)}, entrypoint="/bin/other")
    said = check(image)
    assert said.code == 20
    assert "has no llama-server" in said.out
    assert containers_of(image) == []


def test_an_image_that_is_not_there_is_not_judged(check: Callable[..., Said]) -> None:
    said = check("builder-test/not-there:1")
    assert said.code == 20
    assert "The engine has no image builder-test/not-there:1." in said.out
    assert "docker pull builder-test/not-there:1" in said.out


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Fate.ILLEGAL_INSTRUCTION, "an instruction that this machine's processor does not have"),
        (Fate.SEGMENTATION_FAULT, "segmentation fault"),
        (3, "status 3"),
    ],
)
def test_a_crash_is_explained(check: Callable[..., Said], make_image: ImageMaker, end: int | Fate, words: str) -> None:
    said = check(make_image(server(b"starting\n", end)))
    assert said.code == 20
    assert words in said.out
    assert "It says: starting" in said.out


def test_a_crash_after_the_version_is_mentioned(check: Callable[..., Said], make_image: ImageMaker) -> None:
    said = check(make_image(server(_GOOD, Fate.SEGMENTATION_FAULT)))
    assert said.code == 0
    assert "It ended with status 139" in said.out


def test_another_architecture_is_explained(check: Callable[..., Said], make_image: ImageMaker) -> None:
    said = check(make_image({"/usr/bin/llama-server": program_for_aarch64()}))
    assert said.code == 20
    assert f"not made for this machine's architecture ({MACHINE})" in said.out


@pytest.fixture
def dynamic_program() -> tuple[bytes, dict[str, bytes], str]:
    """A real dynamically linked program, its loader without any library, and the library it asks for first."""
    binary = Path(shutil.which("ls") or "/bin/ls").resolve()
    listed = subprocess.run(["ldd", binary], capture_output=True, check=True).stdout.decode()
    loader = re.search(r"^\s*(/\S*ld-linux\S*)", listed, re.MULTILINE)
    first = re.search(r"^\s*(lib\S+) =>", listed, re.MULTILINE)
    assert loader
    assert first
    if len(first[1]) < len("libcuda.so.1"):
        pytest.skip(f"no room for another library's name in {binary}, which needs {first[1]}")
    return binary.read_bytes(), {loader[1]: Path(loader[1]).read_bytes()}, first[1]


def test_a_missing_library_is_named(
    check: Callable[..., Said], make_image: ImageMaker, dynamic_program: tuple[bytes, dict[str, bytes], str]
) -> None:
    binary, loader, library = dynamic_program
    said = check(make_image({"/usr/bin/llama-server": binary, **loader}))
    assert said.code == 20
    assert f"The shared library {library} is missing." in said.out


def test_the_drivers_library_is_explained(
    check: Callable[..., Said], make_image: ImageMaker, dynamic_program: tuple[bytes, dict[str, bytes], str]
) -> None:
    binary, loader, library = dynamic_program
    linked = binary.replace(library.encode() + b"\0", b"libcuda.so.1".ljust(len(library), b"\0") + b"\0")
    image = make_image({"/usr/bin/llama-server": linked, **loader})
    said = check(image, "--gpus", "none")
    assert said.code == 20
    assert "It links the NVIDIA driver's library libcuda.so.1, and no GPU is handed to it." in said.out
    assert containers_of(image) == []


def test_gpus_that_are_not_there_are_explained(check: Callable[..., Said], make_image: ImageMaker) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    image = make_image(server(_GOOD))
    said = check(image, "--gpus", "all")
    assert said.code == 20
    assert "The engine cannot hand a GPU to a container here." in said.out
    assert containers_of(image) == []


def test_a_missing_loader_is_explained(
    check: Callable[..., Said], make_image: ImageMaker, dynamic_program: tuple[bytes, dict[str, bytes], str]
) -> None:
    said = check(make_image({"/usr/bin/llama-server": dynamic_program[0]}))
    assert said.code == 20
    assert "loader or interpreter" in said.out


@pytest.mark.parametrize("end", [Fate.HANG, Fate.FLOOD])
def test_one_that_does_not_end_is_stopped_and_removed(
    check: Callable[..., Said], make_image: ImageMaker, end: Fate
) -> None:
    image = make_image(server(b"loading\n" * 1000, end))
    said = check(image, "--timeout", "1")
    assert said.code == 20
    assert "It printed no version within 1 s and was stopped." in said.out
    assert containers_of(image) == []


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("wait", [True, False], ids=["running", "starting"])
def test_an_interruption_leaves_nothing(
    make_image: ImageMaker, tmp_path: Path, signum: int, code: int, wait: bool
) -> None:
    image = make_image(server(b"loading\n", Fate.HANG))
    process = subprocess.Popen(
        [sys.executable, "-m", "builder", "--verbose", "check-version", image],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "BUILDER_CACHE": str(tmp_path / "cache")},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"$ docker run"):
            break
    deadline = time.monotonic() + 120
    while wait and not containers_of(image) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signum)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert b"Traceback" not in err
    time.sleep(1)
    assert containers_of(image) == []


def test_a_running_container_is_asked_itself(
    check: Callable[..., Said], make_image: ImageMaker, make_container: Callable[..., str]
) -> None:
    files = {"/app/llama-server": program(_GOOD), "/wait": program(b"", Fate.HANG)}
    image = make_image(files, entrypoint="/wait")
    name = make_container(image, start=True)
    said = check(f"container:{name}", "--json")
    assert (said.code, said.document["build_number"]) == (0, 8982)
    assert said.document["image"] == docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    assert len(containers_of(image)) == 1
    assert docker("inspect", "--format", "{{.State.Running}}", name).strip() == "true"


def test_a_stopped_container_is_known_by_its_image(
    check: Callable[..., Said], make_image: ImageMaker, make_container: Callable[..., str]
) -> None:
    image = make_image(server(_GOOD), entrypoint="llama-server")
    name = make_container(image, start=False)
    said = check(f"container:{name}")
    assert said.code == 0
    assert "The container is not running (created): a fresh one of its image was asked." in said.out
    assert len(containers_of(image)) == 1


def test_a_container_that_is_not_there_is_not_judged(check: Callable[..., Said]) -> None:
    said = check("container:builder-test-not-there")
    assert said.code == 20
    assert "There is no container builder-test-not-there." in said.out


def test_a_binary_is_run_as_it_is(check: Callable[..., Said], tmp_path: Path) -> None:
    binary = tmp_path / "llama-server"
    binary.write_bytes(program(_NEWEST))
    binary.chmod(0o755)
    assert check("./llama-server").code == 0
    assert check("llama-server", "--minimum", "11000").code == 10
    assert check(str(binary), "--json").document["image"] is None


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (program_for_aarch64(), 0o755, "not made for this machine's architecture"),
        (b"#!/no/such/interpreter\n", 0o755, "loader or interpreter"),
        (program(_GOOD), 0o644, "may not be executed"),
        (b"not a program", 0o755, "not made for this machine's architecture"),
        (program(b"", Fate.ILLEGAL_INSTRUCTION), 0o755, "an instruction that this machine's processor"),
        (program(b"", Fate.HANG), 0o755, "It printed no version within 1 s"),
        (None, 0, "There is no file"),
    ],
    ids=["architecture", "interpreter", "rights", "no-program", "instruction", "hang", "missing"],
)
def test_a_binary_that_does_not_start_is_explained(
    check: Callable[..., Said], tmp_path: Path, content: bytes | None, mode: int, words: str
) -> None:
    binary = tmp_path / "llama-server"
    if content is not None:
        binary.write_bytes(content)
        binary.chmod(mode)
    said = check(str(binary), "--timeout", "1")
    assert said.code == 20
    assert words in said.out


def test_text_is_read_from_standard_input(check: Callable[..., Said]) -> None:
    assert check("-", stdin=b"\x1b[1m\xff\r\n" + _GOOD.replace(b"\n", b"\r\n")).code == 0
    assert check("-", "--minimum", "b8983", stdin=_GOOD).code == 10
    empty = check("-", stdin=b"")
    assert empty.code == 20
    assert "no version line in the text" in empty.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-", "--minimum", "new"), "neither a build number nor a release"),
        (("an image",), "cannot be the name of an image"),
        (("container:",), "cannot be the name of a container"),
        (("-", "--gpus", "--privileged"), "names no GPUs"),
        (("-", "--timeout", "0"), "--timeout"),
        (("--privileged",), "No such option"),
    ],
)
def test_a_bad_command_line_is_refused(check: Callable[..., Said], arguments: tuple[str, ...], words: str) -> None:
    said = check(*arguments, stdin=_GOOD)
    assert said.code == 2
    assert words in said.err
    assert said.out == ""


def test_no_engine_is_the_machines_fault(check: Callable[..., Said], tmp_path: Path) -> None:
    said = check("an-image", env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert said.code == 3
    assert "No Docker engine answers" in said.err


def test_real_image(check: Callable[..., Said], cpu_image: str) -> None:
    """The image that this project makes of a real llama.cpp."""
    said = check(cpu_image, "--json")
    assert said.code == 0, said.out
    assert said.document["line"].startswith("version: ")
    assert said.document["compiler"]
    assert said.document["build_number"] or said.document["release"]
