"""The two images a build starts from: one with compilers, one that the served image is made on.

They are made rarely and with network, kept under names that hold the digest of their recipe, and used by
builds that have no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from builder.console import Reporter
from builder.engine.client import Engine
from builder.errors import MachineError, UsageError
from builder.image.buildx import Buildx
from builder.paths import Paths
from builder.plan.plan import PlannedBases, Variant
from builder.process import Runner
from builder.settings import Bases
from builder.staging import exclusive


@dataclass(frozen=True)
class BaseRequest:
    """What bases are wanted for.

    Attributes:
        variant: CUDA or CPU.
        cuda: CUDA release `13.0`; ignored for the CPU variant.
        as_of: free text of the configuration; another text makes the bases anew.
    """

    variant: Variant
    cuda: str
    as_of: str

    @property
    def kind(self) -> str:
        """`cuda13.0` or `cpu`."""
        return f"cuda{self.cuda}" if self.variant is Variant.CUDA else "cpu"


@dataclass(frozen=True)
class Workshop:
    """What providers work with."""

    engine: Engine
    buildx: Buildx
    runner: Runner
    reporter: Reporter
    paths: Paths


class Provider(Protocol):
    """One way to have bases."""

    name: str

    def bases(self, request: BaseRequest) -> PlannedBases:
        """What the bases are called and identified by; makes and fetches nothing."""
        ...

    def obstacle(self, request: BaseRequest) -> str | None:
        """Why it cannot work here, as the end of a sentence; None where it can. May take seconds."""
        ...

    def make(self, request: BaseRequest) -> None:
        """Make what is missing.

        Raises:
            BuilderError: it could not be made.
        """
        ...


@dataclass(frozen=True)
class Choice:
    """A provider, its bases, and why it was chosen."""

    provider: Provider
    request: BaseRequest
    bases: PlannedBases
    reason: str


def made(engine: Engine, bases: PlannedBases) -> bool:
    """Whether both images are there."""
    return all(engine.image(reference) is not None for reference in (bases.devel, bases.runtime))


def choose(settings: Bases, request: BaseRequest, workshop: Workshop) -> Choice:
    """The provider of the configuration; for `auto` the first whose bases are there, else the first that works.

    Raises:
        MachineError: none works here.
        UsageError: the configuration names bases that do not exist.
    """
    from builder.image.providers import providers

    known = providers(settings, workshop)
    named = "custom" if settings.provider == "auto" and (settings.devel or settings.runtime) else settings.provider
    if named != "auto":
        return _chosen(known[named], request, workshop.engine)
    candidates: Sequence[Provider] = [known["nvidia"], known["bootstrap"]]
    obstacles: list[str] = []
    possible: list[tuple[Provider, PlannedBases]] = []
    for provider in candidates:
        try:
            possible.append((provider, provider.bases(request)))
        except UsageError as error:
            obstacles.append(f"{provider.name}: {error.cause}")
    for provider, bases in possible:
        if made(workshop.engine, bases):
            return Choice(provider, request, bases, "its images are here")
    for provider, bases in possible:
        obstacle = provider.obstacle(request)
        if obstacle is None:
            return Choice(provider, request, bases, "; ".join(obstacles) or "it works here")
        obstacles.append(f"{provider.name}: {obstacle}")
    raise MachineError(
        f"No base images can be had here ({'; '.join(obstacles)}).",
        "Name images of your own under [bases] devel and runtime in builder.toml.",
    )


def _chosen(provider: Provider, request: BaseRequest, engine: Engine) -> Choice:
    bases = provider.bases(request)
    if not made(engine, bases) and (obstacle := provider.obstacle(request)):
        raise MachineError(
            f"The bases {provider.name} cannot be had here: {obstacle}.",
            "Choose others with `--bases`, or leave it to `--bases auto`.",
        )
    return Choice(provider, request, bases, "chosen by configuration")


def ensure(choice: Choice, workshop: Workshop) -> None:
    """Make the bases that are not there.

    Raises:
        BuilderError: they could not be made.
    """
    if made(workshop.engine, choice.bases):
        return
    reporter = workshop.reporter
    with exclusive(workshop.paths.locks / "bases.lock", reporter.notice):
        if not made(workshop.engine, choice.bases):
            with reporter.step(f"Making base images for {choice.request.kind} ({choice.bases.provider})"):
                choice.provider.make(choice.request)
