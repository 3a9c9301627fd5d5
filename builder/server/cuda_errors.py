"""What CUDA's own errors mean for an image, by the words that servers of all eras print them in."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ADVICE = (
    (
        r"no kernel image is available|has no device code compatible with",
        "Its CUDA library holds no code for this GPU: build it with `--arch` for this GPU.",
    ),
    (
        r"PTX was compiled with an unsupported toolchain|PTX JIT compil",
        "This driver is too old to compile its intermediate code (PTX): build it with `--arch` for this GPU.",
    ),
    (
        r"driver version is insufficient|forward compatibility was attempted",
        "The driver is too old for the CUDA of the image: update it, or build with an older `--cuda-release`.",
    ),
    (
        r"no CUDA-capable device|CUDA initialization error|failed to initialize CUDA: (?:unknown|initialization) error",
        "CUDA found no GPU in the container: see `builder doctor`.",
    ),
    (
        r"CUDA error: out of memory|cudaMalloc failed: out of memory",
        "The GPU's memory is used up: see with `nvidia-smi` who has it, or lower what the profile asks for.",
    ),
)


def advise(lines: Iterable[str]) -> str:
    """What to do about the first of these lines that is an error of CUDA with a known cause; empty for none."""
    for line in lines:
        for pattern, advice in _ADVICE:
            if re.search(pattern, line, re.IGNORECASE):
                return advice
    return ""
