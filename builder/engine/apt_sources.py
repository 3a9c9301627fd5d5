"""Where this machine gets Debian packages from, as apt's source lists say it.

Both formats of sources.list(5) are read: one-line entries in `.list` files and deb822 stanzas in `.sources`
files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ENTRY = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?:\s+(?P<components>[^#]+))?")
_KEPT = ("Signed-By", "Trusted", "Check-Valid-Until", "Check-Date", "Allow-Insecure", "Allow-Weak")
"""Options that say how an archive is verified: they hold for each of its suites."""
_OFF = ("no", "false", "without", "off", "disable", "0")
APT = Path("/etc/apt")


@dataclass(frozen=True)
class AptSource:
    """One archive of binary packages.

    Attributes:
        uris: where it is; the first that answers serves.
        suites: such as `bookworm`, `bookworm-updates`.
        components: such as `main`.
        options: deb822 fields on how it is verified, such as `Signed-By`; a value may span lines.
    """

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    def stanza(self, suite: str) -> str:
        """A deb822 stanza that takes another suite's main component from the same place."""
        fields = {"Types": "deb", "URIs": " ".join(self.uris), "Suites": suite, "Components": "main", **self.options}
        return "".join(f"{name}:{'' if value.startswith(chr(10)) else ' '}{value}\n" for name, value in fields.items())


def parse_list(text: str) -> Iterator[AptSource]:
    """Read one-line entries; source packages, comments and what apt would not understand are passed over."""
    for line in text.splitlines():
        if match := _ENTRY.match(line.strip()):
            yield AptSource(
                uris=(match["uri"],),
                suites=(match["suite"],),
                components=tuple((match["components"] or "").split()),
                options=_kept(_list_options(match["options"] or "")),
            )


def parse_deb822(text: str) -> Iterator[AptSource]:
    """Read deb822 stanzas; those that are disabled or hold only source packages are passed over."""
    for stanza in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = _fields(stanza)
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").strip().lower() not in _OFF:
            yield AptSource(
                uris=tuple(fields.get("uris", "").split()),
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                options=_kept(fields),
            )


def read_sources(folder: Path = APT, leave_out: Path | None = None) -> tuple[AptSource, ...]:
    """All archives that apt is set to use.

    Args:
        leave_out: one file that is not read.
    """
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    found = [source for file in lists if file.is_file() for source in parse_list(_text(file))]
    for file in sorted((folder / "sources.list.d").glob("*.sources")):
        if file != leave_out:
            found += parse_deb822(_text(file))
    return tuple(found)


def archive_of(sources: tuple[AptSource, ...], suite: str) -> AptSource | None:
    """The archive that serves the main component of a suite; None where there is none.

    Installation media do not count: they hold one release.
    """
    return next(
        (
            source
            for source in sources
            if suite in source.suites
            and "main" in source.components
            and source.uris
            and not source.uris[0].startswith("cdrom:")
        ),
        None,
    )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.split("\n"):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line
        else:
            key, colon, value = line.partition(":")
            name = key.strip().lower() if colon else ""
            if name:
                fields[name] = value.strip()
    return fields


def _list_options(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name.lower(): value.replace(",", " ") for name, equals, value in pairs if equals}


def _kept(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: fields[name.lower()] for name in _KEPT if name.lower() in fields}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
