"""An image that serves a profile, as every gate that starts it sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builder.engine.gpu import Gpu
from builder.engine.images import Image
from builder.plan.marks import OWN
from builder.plan.plan import Variant
from builder.profiles import Profile
from builder.server.access import access_of
from builder.server.harmless import Need
from builder.server.help import Help
from builder.server.profile import ServedModel
from builder.server.running import Serving

_SHARE = 0.9
"""Of the machine's memory, what a container may have whose profile sets no limit."""


@dataclass(frozen=True)
class Trial:
    """An image that serves a profile.

    Attributes:
        gpu_options: options of `docker run` that hand the container its GPU; empty where none is given.
        gpu: which one that is; None where that is not known.
    """

    image: Image
    profile: Profile
    model: ServedModel
    gpu_options: tuple[str, ...]
    gpu: Gpu | None = None

    @property
    def variant(self) -> str:
        """What the labels say that the image computes on; empty where they do not."""
        return self.image.labels.get(f"{OWN}variant", "")

    @property
    def on_gpu(self) -> bool:
        """Whether it has to compute on a GPU: its labels say so, or nothing does and a GPU is given."""
        return self.variant == Variant.CUDA or (not self.variant and bool(self.gpu_options))

    @property
    def needs(self) -> tuple[Need, ...]:
        """What decides what the server's log may say."""
        wanted = {Need.CPU: not self.on_gpu, Need.EMBEDDINGS: self.profile.embeddings}
        return tuple(need for need, holds in wanted.items() if holds)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `docker run` that each container of the trial needs, whatever it does."""
        return (*self.gpu_options, *variables(self.profile.environment.items()))

    def serving(self, words: tuple[str, ...], known: Help, machine: int) -> Serving:
        """What is to be served.

        Args:
            words: arguments of llama-server.
            known: what it can be told.
            machine: bytes of memory that there are; a profile that sets no limit gets most of them.

        Raises:
            UsageError: the profile names a file of API keys that cannot be used.
        """
        memory = self.profile.memory_limit or f"{int(machine * _SHARE) >> 20}m"
        access = access_of(self.profile, known)
        return Serving(self.image.id, words, self.model.path, memory, self.options, access)


def variables(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Options of `docker run` that set variables."""
    return tuple(word for name, value in pairs for word in ("--env", f"{name}={value}"))
