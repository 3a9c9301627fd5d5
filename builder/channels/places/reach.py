"""All places, each opened when it is first asked for."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from builder.channels.places.engine import EnginePlace
from builder.channels.places.place import FILE, REGISTRY
from builder.engine.client import Engine
from builder.process import Runner

if TYPE_CHECKING:
    from builder.channels.adoption.place import FilePlace
    from builder.channels.ledger.moves import Step
    from builder.channels.places.place import Place
    from builder.channels.places.registry import RegistryPlace
    from builder.channels.registry.client import Registry


@dataclass
class Reach:
    """The way to every place; as a context it lets go of registries at its end.

    Attributes:
        contents: folder of what adoption files held and are to hold.
        insecure: registries that may speak in the clear or show any certificate.
        held: open files that Docker's client keeps open while it changes something.
    """

    engine: Engine
    runner: Runner
    contents: Path
    insecure: tuple[str, ...] = ()
    held: tuple[int, ...] = ()
    _open: ExitStack = field(default_factory=ExitStack, init=False)
    _registries: dict[str, Registry] = field(default_factory=dict, init=False)

    def __enter__(self) -> Reach:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def tags(self) -> EnginePlace:
        """The engine's tags."""
        return EnginePlace(self.engine, self.held)

    @property
    def files(self) -> FilePlace:
        """Adoption files."""
        from builder.channels.adoption.place import FilePlace

        return FilePlace(self.contents)

    def registry(self, repository: str) -> RegistryPlace:
        """A registry's tags.

        Args:
            repository: host and name.

        Raises:
            RegistryError: the registry cannot be spoken to.
        """
        from builder.channels.places.registry import RegistryPlace
        from builder.channels.registry.reference import Reference

        reference = Reference.parse(repository)
        return RegistryPlace(self._registry(reference.host), reference)

    def of(self, step: Step) -> Place:
        """Where a step is made, whatever the configuration says by now."""
        if step.place == self.tags.name:
            return self.tags
        if step.place == FILE:
            return self.files
        if step.place == REGISTRY:
            return self.registry(step.subject)
        raise ValueError(f"{step.place} is no place")

    def _registry(self, host: str) -> Registry:
        if host not in self._registries:
            from builder.channels.registry.opening import open_registry
            from builder.channels.registry.transport import Trust

            opened = open_registry(host, self.runner, trust=Trust(self.insecure))
            self._registries[host] = self._open.enter_context(opened)
        return self._registries[host]
