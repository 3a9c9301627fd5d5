"""What a llama-server can be told, as its own `--help` says it.

Two forms are known: up to the summer of 2024 options are indented (`  -fa,   --flash-attn   enable ...`), since then
they start the line. What an option does follows after two spaces or more, or on lines that are indented further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LINE_LIMIT = 1000
_NAME = r"-{1,2}[A-Za-z][\w.-]*(?:\(s\))?"
_OPTION = re.compile(
    rf"^ {{0,9}}(?P<names>{_NAME}(?:,[ ]{{1,8}}{_NAME})*)(?:[ ](?P<value>[^\s].*?))?(?:[ ]{{2,}}(?P<text>.*))?$"
)
_CONTINUED = re.compile(r"^ {10,}(?P<text>\S.*)$")
_REMOVED = "argument has been removed"
_CHOICES = re.compile(r"[\[{<](?P<choices>[\w./-]+(?:[|,][\w./-]+)+)[\]}>]")
_ALLOWED = re.compile(r"allowed values: (?P<allowed>[\w, ]+)")
_LEVEL = re.compile(r"(?:^|\n)\s*-? ?(?P<number>\d{1,2}): (?P<word>[a-z]+)")


@dataclass(frozen=True)
class Option:
    """One thing that a server can be told.

    Attributes:
        names: all words for it.
        value: how the help writes what follows the word, such as `N` or `[on|off|auto]`; empty where nothing does.
        text: what it does, a line for each of the help's.
    """

    names: tuple[str, ...]
    value: str
    text: str

    @property
    def is_deprecated(self) -> bool:
        """Whether it still works and is to go."""
        return "deprecated" in self.text.lower()

    @property
    def choices(self) -> tuple[str, ...]:
        """The values there are; none where the help names none."""
        if found := _CHOICES.fullmatch(self.value.strip()):
            return tuple(re.split(r"[|,]", found["choices"]))
        allowed = _ALLOWED.search(" ".join(self.text.split()).split("(default")[0])
        return tuple(word.strip() for word in allowed["allowed"].split(",") if word.strip()) if allowed else ()

    @property
    def levels(self) -> Mapping[str, int]:
        """Numbers by their meaning, such as `debug`, where the help lists them."""
        return {found["word"]: int(found["number"]) for found in _LEVEL.finditer(self.text)}


@dataclass(frozen=True)
class Help:
    """The options of a server by each of their names."""

    options: Mapping[str, Option]

    def find(self, *names: str) -> str | None:
        """The first of these words that the server knows, those to be given up last; None where it knows none."""
        known = [name for name in names if name in self.options]
        return next((name for name in known if not self.options[name].is_deprecated), known[0] if known else None)

    def knows(self, name: str) -> bool:
        """Whether it takes this word."""
        return name in self.options


def parse_help(text: str) -> Help:
    """Read the output of `llama-server --help`; lines of other programs in it are passed over.

    An option that is listed as removed is not one. Of several entries with one name the first counts: old servers list
    the options of other programs after their own.
    """
    options: dict[str, Option] = {}
    for option in _entries(text):
        if _REMOVED not in option.text:
            for name in option.names:
                options.setdefault(name, option)
    return Help(options)


def _entries(text: str) -> list[Option]:
    entries: list[Option] = []
    for line in (line[:_LINE_LIMIT].rstrip() for line in text.splitlines()):
        if started := _OPTION.match(line):
            entries.append(Option(_names(started["names"]), started["value"] or "", started["text"] or ""))
        elif entries and (more := _CONTINUED.match(line)):
            last = entries[-1]
            entries[-1] = Option(last.names, last.value, f"{last.text}\n{more['text']}".strip())
    return entries


def _names(words: str) -> tuple[str, ...]:
    names: list[str] = []
    for word in re.split(r",\s+", words):
        names += [word.removesuffix("(s)"), word.removesuffix("(s)") + "s"] if word.endswith("(s)") else [word]
    return tuple(names)
