"""What our builds left in BuildKit, so that the next is faster: steps, trees, compile caches.

BuildKit does not say whose a record is; ours are known by the scripts, folders and caches of our Dockerfiles. Others'
builds keep theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from builder.engine.client import Engine
from builder.errors import MachineError

_FIELD = re.compile(r"(?P<name>ID|Reclaimable|Shared|Size|Description|Last used|Created at):\s*(?P<value>.*)")
_OURS = re.compile(
    r"/steps/[a-z-]+\.sh|\"/builder-(ccache|log)-|^local source for tree-[0-9a-f]+$|\"/log/\$ATTEMPT\""
    r"|^\[(served|evidence|log|tests) \d+/\d+\]"
)
_SIZE = re.compile(r"(?P<number>[0-9.]+)(?P<unit>[kMGT]?B)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SPAN = re.compile(r"(?P<number>\d+|About an?|Less than a) (?P<unit>second|minute|hour|day|week|month|year)s?")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
_ASK = 120.0
_PRUNE = 600.0
_BATCH = 100
"""Records that are named in one command."""


@dataclass(frozen=True)
class CacheRecord:
    """One thing that BuildKit keeps.

    Attributes:
        size: bytes.
        unused: for how long nobody used it, roughly; None where BuildKit does not say.
        is_free: whether nothing uses it: no build, and no image, to which BuildKit leaves what both have.
    """

    id: str
    description: str
    size: int
    unused: timedelta | None
    is_free: bool

    @property
    def is_ours(self) -> bool:
        """Whether a build of ours left it."""
        return bool(_OURS.search(self.description))


@dataclass(frozen=True)
class CacheSurvey:
    """What may go.

    Attributes:
        records: how many.
        size: bytes.
        why: clause, why it did not go when it was to; empty where it did, or was not to.
    """

    records: int
    size: int
    why: str = ""


@dataclass(frozen=True)
class BuildCache:
    """The build cache of an engine.

    Attributes:
        age: what was used since stays.
    """

    engine: Engine
    age: timedelta

    def look(self) -> CacheSurvey:
        """What may go.

        Raises:
            MachineError: the engine does not say.
        """
        going = self._going()
        return CacheSurvey(len(going), sum(record.size for record in going))

    def empty(self) -> None:
        """Take it away; BuildKit itself looks at the age once more, and keeps what is in use.

        Raises:
            MachineError: the engine refuses.
        """
        ids = [record.id for record in self._going()]
        seconds = int(self.age.total_seconds())
        until = ("--filter", f"until={seconds}s") if seconds else ()
        for start in range(0, len(ids), _BATCH):
            wanted = "|".join(ids[start : start + _BATCH])
            words = ("buildx", "prune", "--force", *until, "--filter", f"id=/^({wanted})$/")
            done = self.engine.ask(*words, timeout=_PRUNE)
            if done.returncode:
                raise _refused("prune", done.stderr)

    def _going(self) -> list[CacheRecord]:
        told = self.engine.ask("buildx", "du", "--verbose", timeout=_ASK)
        if told.returncode:
            raise _refused("list", told.stderr)
        found = read_records(told.stdout)
        old = (record for record in found if record.unused is not None and record.unused >= self.age)
        return [record for record in old if record.is_ours and record.is_free]


def read_records(text: str) -> list[CacheRecord]:
    """Read what `docker buildx du --verbose` prints; descriptions may have several lines."""
    return [_record(fields) for fields in _fields(text)]


def _fields(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if found := _FIELD.fullmatch(line):
            last = found["name"]
            if last == "ID":
                if fields:
                    yield fields
                fields = {}
            fields.setdefault(last, found["value"].strip())
        elif last == "Description" and fields:
            fields[last] += f"\n{line}"
    if fields.get("ID"):
        yield fields


def _record(fields: dict[str, str]) -> CacheRecord:
    used = fields.get("Last used", "")
    return CacheRecord(
        fields["ID"],
        fields.get("Description", ""),
        _bytes(fields.get("Size", "")),
        _span(used),
        fields.get("Reclaimable") == "true" and fields.get("Shared") != "true",
    )


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    return int(float(found["number"]) * _UNITS[found["unit"]]) if found else 0


def _span(text: str) -> timedelta | None:
    """A span as Docker rounds it."""
    found = _SPAN.match(text)
    if not found:
        return None
    number = int(found["number"]) if found["number"].isdecimal() else 0 if found["number"].startswith("Less") else 1
    return timedelta(seconds=number * _SECONDS[found["unit"]])


def _refused(action: str, words: str) -> MachineError:
    said = words.strip().splitlines()
    return MachineError(
        f"BuildKit did not {action} its cache: {said[-1] if said else 'no reason'}.", "See `builder doctor`."
    )
