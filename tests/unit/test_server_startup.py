"""Why a binary does not start, and what a subject on the command line names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.server.startup import Driver, Ending, explain, gpus_refused, is_program_missing
from builder.server.subject import (
    BinarySubject,
    ContainerSubject,
    ImageSubject,
    Subject,
    TextSubject,
    parse_subject,
)
from tests.unit.test_server_version import transcript


@pytest.mark.parametrize(
    ("name", "status", "cause"),
    [
        ("missing-driver", 127, "It links the NVIDIA driver's library libcuda.so.1, and no GPU is handed to it."),
        ("missing-library", 127, "The shared library libggml-base.so.0 is missing."),
        ("missing-library-musl", 127, "The shared library libgomp.so.1 is missing."),
        ("old-libc", 1, "It needs GLIBC_2.38, which /lib/x86_64-linux-gnu/libc.so.6 does not have."),
        ("symbol", 127, "Its libraries do not fit together: none has the symbol ggml_backend_dev_type_name."),
        ("architecture", 1, "The program is not made for this machine's architecture (x86_64)."),
        ("interpreter", 1, "The loader or interpreter that /script asks for is missing."),
        ("not-executable", 126, "/noexec may not be executed."),
        ("no-gpu", 125, "The engine cannot hand a GPU to a container here."),
        ("no-cdi", 125, "The engine cannot hand a GPU to a container here."),
        ("no-user", 125, "The image runs as the user nosuch, whom it does not have."),
        ("no-flag", 1, "It does not know `--version`, as very old servers did not: it is most likely too old."),
    ],
)
def test_a_start_that_failed_is_explained(name: str, status: int, cause: str) -> None:
    failure = explain(Ending(status, transcript(f"start-{name}")), "x86_64", Driver.WITHHELD)
    assert failure.cause == cause
    assert failure.excerpt in transcript(f"start-{name}")
    assert failure.excerpt
    assert not failure.excerpt.startswith("docker: ")


def test_an_old_driver_is_named_with_its_condition() -> None:
    failure = explain(Ending(125, transcript("start-old-driver")), "x86_64", Driver.HANDED)
    assert "cuda>=12.6" in failure.cause
    assert failure.remedy == "Update the driver."


def test_the_drivers_library_is_told_from_others() -> None:
    driver = explain(Ending(127, transcript("start-missing-driver")), "x86_64", Driver.HANDED)
    other = explain(Ending(127, transcript("start-missing-library")), "x86_64", Driver.HANDED)
    assert driver.wants_driver
    assert "NVIDIA_DRIVER_CAPABILITIES" in driver.remedy
    assert not other.wants_driver


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (132, "instruction"),
        (134, "aborted"),
        (135, "bus error"),
        (137, "memory"),
        (139, "segmentation fault"),
        (127, "lacks a program or a library"),
        (0, "printed no version line"),
        (42, "status 42"),
    ],
)
def test_a_status_speaks_where_the_output_does_not(status: int, words: str) -> None:
    failure = explain(Ending(status, "loading\nwhat(): no words\n"), "x86_64", Driver.WITHHELD)
    assert words in failure.cause
    assert failure.excerpt == "what(): no words"


@pytest.mark.parametrize("name", ["start-no-program", "start-no-path"])
def test_a_program_that_is_not_there_is_told_from_one_that_does_not_start(name: str) -> None:
    assert is_program_missing(Ending(127, transcript(name)))
    assert not is_program_missing(Ending(127, transcript("start-missing-library")))
    assert not is_program_missing(Ending(1, transcript("start-interpreter")))


@pytest.mark.parametrize("name", ["start-no-gpu", "start-no-cdi"])
def test_a_way_to_gpus_that_is_closed_is_recognised(name: str) -> None:
    assert gpus_refused(Ending(125, transcript(name)))
    assert not gpus_refused(Ending(1, transcript(name)))
    assert not gpus_refused(Ending(125, transcript("start-no-user")))


@given(st.integers(0, 255), st.text(), st.sampled_from(Driver))
def test_every_ending_has_a_cause_and_a_remedy(status: int, output: str, driver: Driver) -> None:
    failure = explain(Ending(status, output), "x86_64", driver)
    assert all(sentence.strip() for sentence in failure.sentences)
    assert "\n" not in failure.excerpt
    assert failure.excerpt.isprintable() or "\t" in failure.excerpt


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("-", TextSubject()),
        ("local-ai-llama:latest", ImageSubject("local-ai-llama:latest")),
        ("ghcr.io/ggml-org/llama.cpp:server-cuda", ImageSubject("ghcr.io/ggml-org/llama.cpp:server-cuda")),
        ("localhost:5000/x@sha256:" + "0" * 64, ImageSubject("localhost:5000/x@sha256:" + "0" * 64)),
        ("sha256:" + "0" * 64, ImageSubject("sha256:" + "0" * 64)),
        ("container:llama-1", ContainerSubject("llama-1")),
        ("/opt/llama-server", BinarySubject(Path("/opt/llama-server"))),
        ("./nothing-here", BinarySubject(Path("nothing-here"))),
        ("../nothing-here", BinarySubject(Path("../nothing-here"))),
    ],
)
def test_a_subject_is_what_it_looks_like(text: str, subject: Subject) -> None:
    assert parse_subject(text) == subject


def test_a_file_is_a_binary_without_a_path_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llama-server").touch(mode=0o755)
    (tmp_path / "notes").touch(mode=0o644)
    (tmp_path / "folder").mkdir()
    assert parse_subject("llama-server") == BinarySubject(Path("llama-server"))
    assert parse_subject("notes") == BinarySubject(Path("notes"))
    assert parse_subject("folder") == ImageSubject("folder")


@pytest.mark.parametrize(
    "text", ["", "--privileged", "an image", "container:", "container:-x", "container:a/b", "a\nb", "/\udcff"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_subject(text)


@given(st.text())
def test_no_word_becomes_an_option_of_the_engine(text: str) -> None:
    try:
        subject = parse_subject(text)
    except UsageError:
        return
    if isinstance(subject, ImageSubject):
        assert not subject.reference.startswith("-")
    if isinstance(subject, ContainerSubject):
        assert not subject.name.startswith("-")
