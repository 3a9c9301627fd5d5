"""The line by which llama-server says what it was built from, in every form it has had.

Old form: `version: 8982 (b42c7fa5b)`. New form, since August 2026 (upstream's #26839):
`version: 0.5.0-dev (build 10001, commit 0c1e570)`. Forks keep the old form, with numbers of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.upstream.revision import UNKNOWN_BUILD_NUMBERS

LAST_BUILD_WITHOUT_RELEASE = 10360
"""Every build whose line names a release is later than this one (upstream's #26839)."""

_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_MARK = "version:"
_REST = re.compile(
    r"\s{0,8}(?:"
    r"(?P<number>\d{1,9}) \((?P<commit>[^\s()]{1,64})\)"
    r"|(?P<release>\d{1,9}\.\d{1,9}\.\d{1,9}[^\s()]{0,32})"
    r" \(build (?P<build>\d{1,9}), commit (?P<built>[^\s()]{1,64})\)"
    r")\s*$",
    re.ASCII,
)
_CUSTOMARY_PREFIX = re.compile(r"(?:^|[^A-Za-z\s]|\dZ)\s*$")
"""What a log may put before a line: a time, a service's name and a bar. Not a word: `driver version:` is another."""
_COMMIT = re.compile(r"(?P<name>[0-9a-f]{4,40})(?:-dirty)?")
_COMPILER = re.compile(r"\bbuilt with (?P<compiler>.{1,200}? for \S.{0,80})$")


@dataclass(frozen=True)
class BinaryVersion:
    """What a binary says of itself.

    Attributes:
        build_number: upstream's count of commits (a fork's own in a fork); None where it was not known to the build.
        commit: abbreviated object name of any length; None where it was not known to the build.
        release: such as `0.5.0-dev`; None in the old form. One that is named implies a build after 10360.
        line: the line as it was printed.
        compiler: compiler and target as the line after it says; None where there is none.
    """

    build_number: int | None
    commit: str | None
    release: str | None
    line: str
    compiler: str | None = None

    @property
    def name(self) -> str:
        """For people: `b10991 (0.5.0-dev, commit 0c1e570)`, with what is not known left out."""
        facts = [*([self.release] if self.release else []), *([f"commit {self.commit}"] if self.commit else [])]
        head = f"b{self.build_number}" if self.build_number is not None else "a build without a number"
        return f"{head} ({', '.join(facts)})" if facts else head


def plain_lines(text: str) -> list[str]:
    """The lines of foreign output without terminal codes and control characters."""
    return [
        "".join(character for character in line if character == "\t" or character.isprintable()).strip()
        for line in _TERMINAL_CODES.sub("", text).splitlines()
    ]


def find_version(text: str) -> BinaryVersion | None:
    """The version line, wherever it stands in the output; None where there is none.

    Of several the last counts: a log of many starts ends with the one that runs.
    """
    lines = plain_lines(text)
    for index in range(len(lines) - 1, -1, -1):
        if found := _parse(lines[index], lines[index + 1 : index + 4]):
            return found
    return None


def _parse(line: str, following: list[str]) -> BinaryVersion | None:
    before, mark, after = line.rpartition(_MARK)
    match = _REST.match(after) if mark and _CUSTOMARY_PREFIX.search(before[-80:]) else None
    if match is None:
        return None
    number = int(match["number"] or match["build"])
    commit = _COMMIT.fullmatch(match["commit"] or match["built"])
    compilers = (_COMPILER.search(candidate) for candidate in following)
    return BinaryVersion(
        build_number=None if number in UNKNOWN_BUILD_NUMBERS else number,
        commit=commit["name"] if commit else None,
        release=match["release"],
        line=(_MARK + after).strip(),
        compiler=next((found["compiler"] for found in compilers if found), None),
    )
