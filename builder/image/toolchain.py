"""The compilers in a devel image, asked once per image."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from builder.engine.client import Engine
from builder.engine.throwaway import SANDBOX
from builder.errors import UsageError
from builder.staging import write_whole

_ASK = 120.0
"""Seconds for the container that is asked."""
_QUESTION = (
    "for tool in bash cmake ninja c++ ccache nvcc ldd; do "
    'if command -v "$tool" > /dev/null; then echo "$tool: $("$tool" --version 2>&1 | tr "\\n" " ")"; fi; done'
)
_NEEDED = ("bash", "cmake", "ninja", "c++", "ldd")
_CUDA = re.compile(r"release (\d+\.\d+)")


@dataclass(frozen=True)
class Toolchain:
    """What a devel image compiles with.

    Attributes:
        compiler: first words of the C++ compiler's version, such as `c++ (Debian 14.2.0-19) 14.2.0`.
        cmake: CMake's version.
        cuda: CUDA release of nvcc, such as `13.0`; None where there is no nvcc.
        ccache: whether there is a compile cache.
    """

    compiler: str
    cmake: str
    cuda: str | None
    ccache: bool

    def cache_name(self, architectures: tuple[str, ...]) -> str:
        """Name of the compile cache: one per compiler, CUDA release and set of architectures."""
        key = "|".join((self.compiler, self.cuda or "", *architectures))
        return f"builder-ccache-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def probe(engine: Engine, reference: str, folder: Path) -> Toolchain:
    """Ask a devel image what it compiles with; the answer is kept by image ID.

    Args:
        folder: where answers are kept.

    Raises:
        UsageError: the image is not there, does not start, or lacks a tool that every build needs.
        MachineError: no engine, or the image did not answer in time.
    """
    image = engine.image(reference)
    if image is None:
        raise UsageError(f"There is no image {reference}.", "Load it, or choose another bases.provider.")
    kept = folder / f"toolchain-{image.id.removeprefix('sha256:')[:24]}.json"
    if known := _read(kept):
        return known
    options = (*SANDBOX, "--entrypoint=/bin/sh")
    done = engine.run_once(image.id, ["-c", _QUESTION], options=options, timeout=_ASK)
    answers = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    missing = [tool for tool in _NEEDED if tool not in answers]
    if done.returncode or missing:
        cause = (
            f"has no {', '.join(missing)}" if not done.returncode else f"does not start: {done.stderr.strip()[-200:]}"
        )
        raise UsageError(f"The devel image {reference} {cause}.", "Choose an image with compilers, cmake and ninja.")
    cuda = _CUDA.search(answers.get("nvcc", ""))
    toolchain = Toolchain(
        compiler=answers["c++"].split(" Copyright", 1)[0],
        cmake=answers["cmake"].removeprefix("cmake version ").split()[0],
        cuda=cuda[1] if cuda else None,
        ccache="ccache" in answers,
    )
    write_whole(kept, json.dumps(asdict(toolchain)).encode())
    return toolchain


def _read(kept: Path) -> Toolchain | None:
    """An answer that was kept; None where there is none, or it is not what this version keeps."""
    try:
        facts = json.loads(kept.read_bytes())
        known = Toolchain(**facts)
    except (OSError, ValueError, TypeError):
        return None
    texts = (known.compiler, known.cmake, known.cuda or "")
    return known if all(isinstance(text, str) for text in texts) and isinstance(known.ccache, bool) else None
