"""An image under examination: its configuration, its history, its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.structure.elf import Binary
from builder.gates.structure.files import Files
from builder.gates.structure.layers import Layers
from builder.plan.marks import FOLDER, OWN
from builder.plan.plan import Variant

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Examined:
    """What is known of an image.

    Attributes:
        config: its configuration in the engine's words (`Config` of `docker image inspect`).
        history: the command of each layer and instruction, newest first; None where it could not be had.
        files: its file system.
        base: the file system of the base image that the record names; None where the engine has none such.
        layers: what its layers hold, those included that later ones hide.
    """

    image: Image
    config: Mapping[str, Any]
    history: tuple[str, ...] | None
    files: Files
    base: Callable[[], Files | None]
    layers: Callable[[], Layers]

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of the image."""
        pairs = (word.partition("=") for word in self.config.get("Env") or ())
        return {name: value for name, _, value in pairs}

    @property
    def path(self) -> str:
        """Where programs are looked for."""
        return self.environment.get("PATH", _DEFAULT_PATH)

    @property
    def variant(self) -> str:
        """What the labels say that it computes on."""
        return self.image.labels.get(f"{OWN}variant", "")

    @property
    def is_cuda(self) -> bool:
        """Whether the labels say that it is for GPUs."""
        return self.variant == Variant.CUDA

    @property
    def own_binaries(self) -> Mapping[str, Binary]:
        """Programs and libraries of the llama.cpp folder, by the path that they have there, sorted."""
        found = {}
        for entry in self.files.below(FOLDER):
            real = self.files.find(entry.path)
            if real and real.path in self.files.binaries:
                found[entry.path] = self.files.binaries[real.path]
        return found


def history_of(engine: Engine, image: str) -> tuple[str, ...] | None:
    """The commands that an image remembers; None where the engine does not tell.

    Raises:
        MachineError: no engine answers.
    """
    done = engine.ask("history", "--no-trunc", "--format", "{{.CreatedBy}}", image)
    return None if done.returncode else tuple(done.stdout.splitlines())


def listed(names: list[str] | tuple[str, ...], most: int = 4) -> str:
    """Names as a person reads them: the first ones and how many there are besides."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
