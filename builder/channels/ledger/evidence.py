"""What was built, judged and measured, as frozen data.

What happened once, such as a verdict, is named by the digest of its own content, so that it is the same entry by
whichever way it reaches a ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from builder.channels.ledger.values import COMMIT, DIGEST, NAME, Entry, canonical, digest_of, require, require_words

Outcome = Literal["pass", "fail", "could not judge"]
_NUMBERS = range(2, 1_000_000)
"""Build numbers; 0 and 1 mean that nobody knows."""


@dataclass(frozen=True)
class RevisionEntry(Entry):
    """One upstream commit.

    Attributes:
        commit: hexadecimal object name.
        number: build number; None is unknown.
        committed: commit time; None is unknown.
    """

    commit: str
    number: int | None = None
    committed: datetime | None = None

    def check(self) -> None:
        require(COMMIT, commit=self.commit)
        if self.number is not None and self.number not in _NUMBERS:
            raise ValueError(f"number cannot be {self.number}")


@dataclass(frozen=True)
class ImageEntry(Entry):
    """One image by the digests that are its own.

    The digest of the configuration is the same in every store and registry; an engine's image ID is either that or
    a manifest's.

    Attributes:
        config: digest of its configuration.
        manifests: digests of manifests that hold this configuration.
        indexes: digests of indexes that hold such a manifest.
        references: names that it was given.
        labels: its labels.
    """

    config: str
    manifests: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None

    def check(self) -> None:
        for digest in (self.config, *self.manifests, *self.indexes):
            require(DIGEST, digest=digest)
        for reference in self.references:
            require_words(reference=reference)


@dataclass(frozen=True)
class BuildEntry(Entry):
    """One build.

    Attributes:
        plan: digest of its plan.
        image: digest of the image it gave: an image ID, or the digest of a configuration or manifest.
        commit: of its revision; None is unknown.
        at: when it ended.
        machine: name of the machine.
        document: the build's record.
    """

    plan: str
    image: str
    commit: str | None
    at: datetime
    machine: str
    document: Mapping[str, Any]

    def check(self) -> None:
        require(DIGEST, plan=self.plan, image=self.image)
        require(COMMIT, commit=self.commit)
        canonical(self.document)

    @property
    def id(self) -> str:
        """Digest of all it says."""
        return digest_of(canonical(self.plain()))


@dataclass(frozen=True)
class UsedGpu(Entry):
    """A GPU that a verdict is about.

    Attributes:
        uuid: such as `GPU-6f...`.
        name: its kind, such as `NVIDIA GeForce RTX 3090`.
        driver: version of its driver.
    """

    uuid: str
    name: str
    driver: str

    def check(self) -> None:
        require_words(uuid=self.uuid, name=self.name, driver=self.driver)


@dataclass(frozen=True)
class VerdictEntry(Entry):
    """One gate's answer about one image.

    Attributes:
        digest: what was judged: an image ID, or the digest of a configuration or manifest.
        gate: the gate's name.
        outcome: the answer.
        at: when it was given.
        machine: name of the machine.
        gpus: those that were used; empty where the gate used none.
        document: the whole verdict.
    """

    digest: str
    gate: str
    outcome: Outcome
    at: datetime
    machine: str
    gpus: tuple[UsedGpu, ...]
    document: Mapping[str, Any]

    def check(self) -> None:
        require(DIGEST, digest=self.digest)
        require(NAME, gate=self.gate)
        require_words(machine=self.machine)
        if len({gpu.uuid for gpu in self.gpus}) != len(self.gpus):
            raise ValueError("a GPU is named twice")
        for name in ("gate", "outcome", "digest"):
            if self.document.get(name) not in (None, getattr(self, name)):
                raise ValueError(f"its document says {self.document[name]!r} for its {name}")
        canonical(self.document)

    @property
    def id(self) -> str:
        """Digest of all it says."""
        return digest_of(canonical(self.plain()))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of GPU that it is about, each once, in order of their names; empty for none."""
        return tuple(sorted({gpu.name for gpu in self.gpus}))

    def age(self, now: datetime) -> timedelta:
        """How old it is; negative where the clock of its machine is ahead."""
        return now - self.at


@dataclass(frozen=True)
class BenchmarkEntry(Entry):
    """What was measured of one image: a file and its digest.

    Attributes:
        digest: what was measured.
        file: where the record was written, on the machine that measured.
        content: digest of that file.
        at: when it was measured.
        machine: name of the machine.
        document: its summary.
    """

    digest: str
    file: str
    content: str
    at: datetime
    machine: str
    document: Mapping[str, Any]

    def check(self) -> None:
        require(DIGEST, digest=self.digest, content=self.content)
        require_words(file=self.file, machine=self.machine)
        canonical(self.document)

    @property
    def id(self) -> str:
        """Digest of all it says."""
        return digest_of(canonical(self.plain()))
