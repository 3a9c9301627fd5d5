"""The version line in every era's form, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from builder.server.version import BinaryVersion, find_version

_DATA = Path(__file__).parent / "data"
_GNU = "GNU 14.2.0 for Linux x86_64"
_NOBLE = "cc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0 for x86_64-linux-gnu"

_KNOWN = {
    "version-2024": (3504, "398ede5ef", None, "cc (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0 for x86_64-linux-gnu"),
    "version-old-form": (8982, "b42c7fa5b", None, _GNU),
    "version-release-dev": (10001, "0c1e570", "0.5.0-dev", _GNU),
    "version-release": (10621, "5d3a9c1", "0.3.0", _GNU),
    "version-unknown": (None, None, None, "cc (Debian 12.2.0-14+deb12u1) 12.2.0 for x86_64-linux-gnu"),
    "version-unknown-release": (None, None, "0.4.1", "Clang 19.1.7 for Linux aarch64"),
    "version-shallow": (None, "9b8329a", None, "cc (GCC) 15.1.1 for x86_64-pc-linux-gnu"),
    "version-cuda-first": (6134, "4227c9be", None, _NOBLE),
    "version-backends-first": (102345, "0c1e57098a", "0.5.0-dev", _GNU),
    "version-fork": (4123, "a903409a", None, _NOBLE),
    "version-compose-log": (10991, "77e21ab", "0.5.0", _GNU),
}


def transcript(name: str) -> str:
    _, _, text = (_DATA / f"{name}.txt").read_text(encoding="utf-8").partition("---\n")
    assert text
    return text


def facts(version: BinaryVersion | None) -> tuple[int | None, str | None, str | None, str | None] | None:
    return (version.build_number, version.commit, version.release, version.compiler) if version else None


@pytest.mark.parametrize("name", _KNOWN)
def test_reads_every_era(name: str) -> None:
    assert facts(find_version(transcript(name))) == _KNOWN[name]


@pytest.mark.parametrize("name", _KNOWN)
def test_line_ends_and_terminal_codes_do_not_matter(name: str) -> None:
    text = transcript(name)
    assert facts(find_version(text.replace("\n", "\r\n"))) == _KNOWN[name]
    coloured = "\n".join(f"\x1b[32m{line}\x1b[0m" for line in text.splitlines())
    assert facts(find_version(coloured)) == _KNOWN[name]
    assert facts(find_version("\x1b]0;a title\x07" + text.removesuffix("\n"))) == _KNOWN[name]


@pytest.mark.parametrize("line", transcript("version-none").splitlines())
def test_what_only_looks_like_it_is_none(line: str) -> None:
    assert find_version(line) is None


def test_keeps_the_line_as_it_was_printed() -> None:
    found = find_version(transcript("version-compose-log"))
    assert found is not None
    assert found.line == "version: 0.5.0 (build 10991, commit 77e21ab)"


def test_bytes_that_are_no_text_do_not_hide_it() -> None:
    output = b"\xff\xfe caf\xe9 \x80\n\xc3version: 8982 (b42c7fa5b)\nbuilt with \xe9cc for x\n"
    found = find_version(output.decode(errors="replace"))
    assert found is not None
    assert found.build_number == 8982


@pytest.mark.parametrize(("printed", "commit"), [("debian", None), ("b42c7fa5b-dirty", "b42c7fa5b"), ("abc", None)])
def test_a_commit_is_hexadecimal(printed: str, commit: str | None) -> None:
    found = find_version(f"version: 5882 ({printed})")
    assert found is not None
    assert (found.build_number, found.commit) == (5882, commit)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("version: 8982 (b42c7fa5b)", "b8982 (commit b42c7fa5b)"),
        ("version: 0.5.0 (build 10991, commit 77e21ab)", "b10991 (0.5.0, commit 77e21ab)"),
        ("version: 0 (unknown)", "a build without a number"),
        ("version: 0.4.1 (build 0, commit unknown)", "a build without a number (0.4.1)"),
    ],
)
def test_is_named_by_what_is_known_alone(line: str, name: str) -> None:
    found = find_version(line)
    assert found is not None
    assert found.name == name


def test_a_long_line_costs_little() -> None:
    assert find_version(" version:" * 200_000 + " ." * 200_000) is None
    assert find_version("\x1b[" * 200_000) is None


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode(errors="replace"))))
@example("version: " + "9" * 5000 + " (abcdef1)")
@example("version: 99999 (" + "a" * 5000 + ")")
@example("\x1b]version: 8982 (b42c7fa5b)")
def test_never_raises(text: str) -> None:
    found = find_version(text)
    assert found is None or "version:" in found.line


_COMMITS = st.one_of(st.none(), st.text("0123456789abcdef", min_size=7, max_size=40))
_NUMBERS = st.one_of(st.none(), st.integers(2, 999_999))
_RELEASES = st.from_regex(r"\A[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-dev|-rc\.[0-9])?\Z")
_OTHER_LINES = st.lists(st.text().filter(lambda text: "version" not in text and "built" not in text), max_size=5)
_PREFIXES = st.sampled_from(["", "llama-1  | ", "2026-10-01T08:00:01.5Z ", "[12:00:01] ", "\x1b[0m", "0.00.041 "])
_ENDS = st.sampled_from(["\n", "\r\n"])


@given(_NUMBERS, _COMMITS, st.one_of(st.none(), _RELEASES), _OTHER_LINES, _OTHER_LINES, _PREFIXES, _ENDS)
def test_finds_the_line_wherever_it_is(
    number: int | None,
    commit: str | None,
    release: str | None,
    before: list[str],
    after: list[str],
    prefix: str,
    end: str,
) -> None:
    build, name = number or 0, commit or "unknown"
    line = f"version: {release} (build {build}, commit {name})" if release else f"version: {build} ({name})"
    # A terminal code that is left open may swallow what follows, as it would on a terminal.
    surroundings = [[text.replace("\x1b", "") for text in lines] for lines in (before, after)]
    text = end.join([*surroundings[0], prefix + line, *surroundings[1]])
    assert find_version(text) == BinaryVersion(number, commit, release, line)
