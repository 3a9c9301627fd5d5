"""Which GPUs a person means: `auto`, `all`, `none`, or numbers and UUIDs such as `0,3`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from builder.engine.gpu import Gpu
from builder.errors import UsageError

Extent = Literal["auto", "all", "none", "named"]
_ALONE: tuple[Extent, ...] = ("auto", "all", "none")
_NAME = re.compile(r"[0-9]+|gpu-[0-9a-z-]+", re.IGNORECASE | re.ASCII)
_HELP = "Give auto (the first), all, none, or numbers and UUIDs such as 0,3."


@dataclass(frozen=True)
class GpuChoice:
    """A choice of GPUs, before it is known which there are.

    Attributes:
        names: numbers and UUIDs in the order they were given; empty unless they are named.
    """

    kind: Extent = "auto"
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> GpuChoice:
        """Read a choice; blanks around commas do not count.

        Raises:
            UsageError: it names nothing or a GPU twice, a word can be no GPU's, or `auto`, `all` or `none` has
                something beside it.
        """
        words = [word.strip() for word in text.split(",")]
        kinds = [kind for kind in _ALONE if kind in words]
        if kinds and len(set(words)) == 1:
            return cls(kinds[0])
        if kinds:
            raise UsageError(f"--gpus {text!r}: `{kinds[0]}` stands alone.", _HELP)
        if not all(words):
            raise UsageError(f"--gpus {text!r} names no GPU between its commas.", _HELP)
        if odd := next((word for word in words if not _NAME.fullmatch(word)), None):
            raise UsageError(f"--gpus {text!r}: {odd!r} is neither a number nor a UUID.", _HELP)
        if twice := next((word for word in words if words.count(word) > 1), None):
            raise UsageError(f"--gpus {text!r} names {twice} twice.", "Name each GPU once.")
        return cls("named", tuple(words))

    def among(self, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
        """The GPUs that are meant, each once.

        A UUID may be shortened as long as it is one GPU's alone.

        Raises:
            UsageError: one is named that is not there, that may be several, or by two names.
        """
        if self.kind == "named":
            return _each_once([(name, _find(name, gpus)) for name in self.names])
        return {"auto": tuple(gpus[:1]), "all": tuple(gpus), "none": ()}[self.kind]


def _each_once(named: Sequence[tuple[str, Gpu]]) -> tuple[Gpu, ...]:
    found = [gpu for _, gpu in named]
    if twice := next((gpu for gpu in found if found.count(gpu) > 1), None):
        names = " and ".join(name for name, gpu in named if gpu == twice)
        raise UsageError(f"--gpus names GPU {twice.index} twice, as {names}.", "Name each GPU once.")
    return tuple(found)


def _find(name: str, gpus: Sequence[Gpu]) -> Gpu:
    found = [gpu for gpu in gpus if _is_named(gpu, name)]
    if len(found) == 1:
        return found[0]
    cause = f"There is no GPU {name} on this machine." if not found else f"{name} is the start of several GPUs' UUIDs."
    raise UsageError(cause, "Name one of these." if gpus else "It has none.", excerpt=tuple(_spell(gpus)))


def _is_named(gpu: Gpu, name: str) -> bool:
    if name.isdecimal():
        return gpu.index == int(name)
    return name.lower().startswith("gpu-") and gpu.uuid.lower().startswith(name.lower())


def _spell(gpus: Sequence[Gpu]) -> Iterator[str]:
    for gpu in gpus:
        yield f"{gpu.index}: {gpu.name}, {gpu.uuid}"
