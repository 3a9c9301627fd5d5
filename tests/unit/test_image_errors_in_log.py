"""The lines that say why a build failed."""

from __future__ import annotations

from pathlib import Path

from builder.image.errors_in_log import first_errors


def _first(folder: Path, text: str) -> tuple[str, ...]:
    log = folder / "log"
    log.write_text(text)
    return first_errors(log)


def test_the_first_and_not_the_last(tmp_path: Path) -> None:
    text = "".join(f"a{number}.cpp:1:1: error: number {number}\n" for number in range(100)) + "ninja: build stopped\n"
    first = _first(tmp_path, text)
    assert first[0] == "a0.cpp:1:1: error: number 0"
    assert len(first) == 8


def test_cmakes_message_follows_its_header(tmp_path: Path) -> None:
    text = "-- looking\nCMake Error at CMakeLists.txt:24 (message):\n  no way\n\n\n-- Configuring incomplete\n"
    assert _first(tmp_path, text) == ("CMake Error at CMakeLists.txt:24 (message):", "no way")


def test_warnings_are_no_errors(tmp_path: Path) -> None:
    assert _first(tmp_path, "a.cpp:1:1: warning: error: odd [-Wodd]\n   12 | error: in the source\n") == ()


def test_errors_named_after_a_warning_option_count(tmp_path: Path) -> None:
    line = "a.cpp:3:9: error: narrowing conversion of '1' from 'int' to 'char' [-Wnarrowing]"
    assert _first(tmp_path, line + "\n") == (line,)


def test_linker_and_disk(tmp_path: Path) -> None:
    text = "b.o: undefined reference to `f'\nfatal error: x.o: No space left on device\n"
    assert len(_first(tmp_path, text)) == 2
