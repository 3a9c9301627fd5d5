"""The build plan: everything that decides what a build gives, in one value with one digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property

from builder.plan.digest import digest_of
from builder.plan.tag import tag_of
from builder.source.patches.status import APPLIED, Standing
from builder.upstream.revision import Revision


class Variant(StrEnum):
    """What the image computes on."""

    CUDA = "cuda"
    CPU = "cpu"


class Provision(StrEnum):
    """How a tree gives a feature."""

    OPTION = "option"
    """by a CMake option that this tree declares"""
    ALWAYS = "always"
    """without being asked: this tree has no option for it and does it anyway"""
    ARCHITECTURE = "architecture"
    """without being asked, wherever the GPU's architecture is fast at it"""
    ABSENT = "absent"
    """not at all"""


@dataclass(frozen=True)
class Definition:
    """One `-DNAME=VALUE` for CMake."""

    name: str
    value: str

    @property
    def argument(self) -> str:
        """As CMake's command line wants it."""
        return f"-D{self.name}={self.value}"


@dataclass(frozen=True)
class Traces:
    """What the compiler's commands show where a feature is really given.

    Attributes:
        sources: endings of paths; for each, at least one such file is compiled.
        macros: defined for every CUDA source.
        without: macros that no CUDA source is given.
    """

    sources: tuple[str, ...] = ()
    macros: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedFeature:
    """How one feature is had from this tree.

    Attributes:
        name: `cuda`, `cuda-graphs`, `f16`, `flash-attention`.
        provision: how this tree gives it.
        definitions: what asks for it.
        evidence: what in the tree says so: file, line and text.
        proof: sentence, what will show after configuring that it was given.
        traces: the same for the judge, as far as it is in the compiler's commands.
    """

    name: str
    provision: Provision
    definitions: tuple[Definition, ...]
    evidence: str
    proof: str
    traces: Traces = Traces()


@dataclass(frozen=True)
class Stamp:
    """The number and commit that the binary will print.

    Attributes:
        build_number: None is unknown; the binary then prints 0.
        commit: abbreviated object name, `-dirty` after it where the tree has changes of its own; or `unknown`.
        definitions: what sets them where the tree takes them from CMake (since June 2025).
        defaults_file: file, relative to the tree, whose defaults are set instead in older trees; None where not needed.
    """

    build_number: int | None
    commit: str
    definitions: tuple[Definition, ...]
    defaults_file: str | None


@dataclass(frozen=True)
class PlannedBases:
    """The images a build starts from: references to build with, and the IDs that they name.

    Attributes:
        provider: `nvidia`, `bootstrap` or `custom`.
        devel: reference of the image with the compilers.
        devel_id: its image ID, or the digest of its recipe where it is not made yet.
        runtime: reference of the image that the served one is made on.
        runtime_id: likewise.
    """

    provider: str
    devel: str
    devel_id: str
    runtime: str
    runtime_id: str


@dataclass(frozen=True)
class PlannedPatch:
    """One patch of the queue.

    Attributes:
        name: its file.
        standing: `clean`, `fuzzy`, or `upstream` for one that the tree has without it.
        detail: clause, what a person wants to know beyond that; may be empty.
    """

    name: str
    subject: str
    standing: Standing
    detail: str


@dataclass(frozen=True)
class PlannedPatches:
    """The patches of a tree.

    Attributes:
        digest: `sha256:...` over names and diffs of those that are on it, in order.
    """

    digest: str
    patches: tuple[PlannedPatch, ...]

    @property
    def laid(self) -> tuple[str, ...]:
        """Names of those that are on the tree."""
        return tuple(patch.name for patch in self.patches if patch.standing in APPLIED)


@dataclass(frozen=True)
class BuildPlan:
    """All inputs of a build.

    Attributes:
        revision: the upstream commit.
        tree: digest of the tree, patches included.
        patches: what was laid on upstream's tree; None where nothing was.
        platform: what it runs on, such as `linux/amd64`.
        variant: CUDA or CPU.
        cuda: CUDA release `13.0`; None for the CPU variant.
        architectures: CMake's words, such as `90-real`; empty for the CPU variant.
        features: how each wanted feature is had.
        definitions: all CMake definitions in order, those of features and stamp included.
        targets: what is compiled for the served image.
        tests: upstream's own test programs that this tree has, for an image of their own. Not in the digest, which is
            the served image's; what of the tree and the definitions decides them is.
        stamp: number and commit.
        bases: base images.
        recipe: digest of the Dockerfile and its scripts.
    """

    revision: Revision
    tree: str
    patches: PlannedPatches | None
    platform: str
    variant: Variant
    cuda: str | None
    architectures: tuple[str, ...]
    features: tuple[PlannedFeature, ...]
    definitions: tuple[Definition, ...]
    targets: tuple[str, ...]
    tests: tuple[str, ...]
    stamp: Stamp
    bases: PlannedBases
    recipe: str

    @cached_property
    def digest(self) -> str:
        """`sha256:...` over everything that decides the result; where the tree came from does not."""
        return digest_of(asdict(self))

    @property
    def tag(self) -> str:
        """Immutable tag: `b10991-cuda13.0-<digest>`, with patches `v0.5.0-0c1e57098-cpu-p<patches>-<digest>`."""
        cuda = self.cuda if self.variant is Variant.CUDA else None
        return tag_of(self.revision.name, cuda, self.patches.digest if self.patches else None, self.digest)

    def document(self) -> Mapping[str, object]:
        """The plan as JSON-ready data, digest and tag included."""
        committed = self.revision.committed
        return {
            **asdict(self),
            "revision": {**asdict(self.revision), "committed": committed.isoformat() if committed else None},
            "digest": self.digest,
            "tag": self.tag,
        }
