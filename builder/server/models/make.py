"""Models kept in a folder: made once, whole or not at all, and proven by their digest each time."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

from builder.server.models.shape import TINY, ModelKind, Shape
from builder.staging import disk_errors, exclusive, staged, write_whole

_RECIPE = 2
"""Raised with every change that makes other files of the same shape."""


@dataclass(frozen=True)
class Model:
    """A model file that is there as a whole.

    Attributes:
        digest: `sha256:` and the digest of the file; the same on every machine.
        shape: its sizes.
    """

    path: Path
    digest: str
    kind: ModelKind
    shape: Shape

    @property
    def layers(self) -> int:
        """Blocks, without the output layer that a server counts as one more."""
        return self.shape.layers

    @property
    def context(self) -> int:
        """Tokens that the model says it was trained on."""
        return self.shape.context


def make_model(
    kind: ModelKind, folder: Path, shape: Shape | None = None, say: Callable[[str], None] = lambda _: None
) -> Model:
    """A model of this architecture and these sizes, made unless it is there and untouched.

    Args:
        kind: the architecture.
        folder: where models are kept.
        shape: its sizes; None takes those of the tiny one.
        say: told when another process has to be waited for, or a model has to be made anew.

    Raises:
        UsageError: an embedding model of these sizes cannot be made.
        MachineError: the disk is full or may not be written to.
    """
    shape = shape or TINY[kind]
    file = folder / f"{kind}-{_recipe(kind, shape)}.gguf"
    if digest := _proven(file):
        return Model(file, digest, kind, shape)
    with exclusive(folder / ".lock", say):
        digest = _proven(file)
        if not digest:
            if file.exists():
                say(f"{file} was changed; making it anew.")
            digest = _make(kind, shape, file)
    return Model(file, digest, kind, shape)


def _make(kind: ModelKind, shape: Shape, file: Path) -> str:
    with staged(file.parent) as scratch, disk_errors(file.parent):
        fresh = scratch / file.name
        try:
            _write(kind, shape, fresh)
        except OSError as error:
            raise _with_reason(error) from error
        fresh.chmod(0o644)
        digest = _digest(fresh)
        os.replace(fresh, file)  # noqa: PTH105
    write_whole(_note(file), json.dumps({"schema_version": 1, "digest": digest}).encode() + b"\n")
    return digest


def _write(kind: ModelKind, shape: Shape, file: Path) -> None:
    from gguf import GGUFWriter, LlamaFileType

    from builder.server.models import bert, gguf_file, llama

    writer = GGUFWriter(None, str(kind))
    writer.add_name(f"Random {kind}, made for tests")
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    tensors = llama.write(writer, shape) if kind is ModelKind.LLAMA else bert.write(writer, shape, kind)
    gguf_file.write_file(file, writer, tensors)


def _with_reason(error: OSError) -> OSError:
    """numpy tells of a write that fell short without saying why; it is the disk that had no room."""
    return error if error.errno else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _proven(file: Path) -> str:
    """The digest of the file where it is the one that was noted; else nothing."""
    try:
        noted = json.loads(_note(file).read_bytes())["digest"]
        return noted if isinstance(noted, str) and noted == _digest(file) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{file_digest(stream, 'sha256').hexdigest()}"


def _note(file: Path) -> Path:
    return file.with_suffix(".json")


def _recipe(kind: ModelKind, shape: Shape) -> str:
    return sha256(f"{_RECIPE} {kind} {shape}".encode()).hexdigest()[:12]
