"""GPU architectures in CMake's words.

`90` alone means machine code here and is written `90-real`, so that no GPU of that kind compiles PTX when a server
starts; `90-virtual` asks for PTX. Upstream's own default has PTX alone for the data-centre GPUs (80, 90).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from builder.errors import MachineError, UsageError

_NAME = re.compile(r"(?P<number>[1-9]\d{1,2})(?P<suffix>[af]?)(?:-(?P<form>real|virtual))?")
_CAPABILITY = re.compile(r"(?P<major>\d{1,2})\.(?P<minor>\d)")

_SINCE: tuple[tuple[tuple[int, int], frozenset[int]], ...] = (
    ((11, 0), frozenset({35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80})),
    ((11, 1), frozenset({35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86})),
    ((11, 4), frozenset({35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87})),
    ((11, 8), frozenset({35, 37, 50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90})),
    ((12, 0), frozenset({50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90})),
    ((12, 8), frozenset({50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 120})),
    ((12, 9), frozenset({50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90, 100, 101, 103, 120, 121})),
    ((13, 0), frozenset({75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121})),
)
"""By CUDA release, what its `nvcc --list-gpu-arch` lists; a release that is not here has what the one before it has."""

_SPECIFIC_SINCE = {90: (12, 0), 100: (12, 8), 101: (12, 8), 120: (12, 8), 103: (12, 9), 121: (12, 9), 110: (13, 0)}
"""From which release on there is the variant with an `a`."""
_FAMILY_SINCE = (12, 9)
"""From which release on there are variants with an `f`, for 100 and up."""

_ALWAYS_SPECIFIC = 12
"""Major number of the architectures that current trees replace by the variant with an `a`."""
_FLEET = (75, 80, 86, 89, 90, 100, 120)
_FORWARD = 90


def known(cuda: str) -> tuple[int, ...]:
    """The architectures that a CUDA release compiles for, ascending.

    Args:
        cuda: release such as `13.0`.

    Raises:
        UsageError: the release is older than 11.0.
    """
    release = _release(cuda)
    tables = [table for since, table in _SINCE if since <= release]
    if not tables:
        raise UsageError(f"CUDA {cuda} is too old to build llama.cpp.", "Set build.cuda to 11.8 or later.")
    return tuple(sorted(tables[-1]))


def parse(wanted: Iterable[str], cuda: str) -> tuple[str, ...]:
    """Names such as `86`, `90a`, `90-virtual` in CMake's words, in order, each once.

    Raises:
        UsageError: one is not an architecture that the CUDA release knows; or there is none.
    """
    words = tuple(dict.fromkeys(_spell(name.strip().lower(), cuda) for name in wanted))
    if not words:
        raise UsageError("No architecture was given.", f"CUDA {cuda} knows {_listed(cuda)}; or say `default`.")
    return words


def default(cuda: str) -> tuple[str, ...]:
    """Machine code for the GPUs that serve, and PTX for those to come, as far as the CUDA release knows them.

    Machine code: 75 (T4, RTX 20), 80 (A100), 86 (A10, RTX 30), 89 (L4, L40S, RTX 40), 90 (H100, H200), 100 (B200) and
    120 (RTX 50, RTX PRO). PTX is that of 90, or of the newest before it, and not of the newest there is: current trees
    turn each 12X into 12Xa, whose PTX runs on nothing else, and the PTX of 90 runs on every later GPU.

    Each architecture costs about as much time and space as any other: name your own with `--arch` for a faster build.
    """
    fleet = [number for number in _FLEET if number in known(cuda)]
    forward = max(number for number in fleet if number <= _FORWARD)
    return (*(f"{number}-real" for number in fleet), f"{forward}-virtual")


def of_gpus(capabilities: Iterable[str], cuda: str) -> tuple[str, ...]:
    """Machine code for the GPUs at hand.

    Args:
        capabilities: compute capabilities as the driver writes them, such as `9.0`.

    Raises:
        MachineError: there is no GPU.
        UsageError: the CUDA release does not compile for one of them.
    """
    numbers = sorted({_of_capability(capability) for capability in capabilities})
    if not numbers:
        raise MachineError(
            "There is no GPU whose architecture `auto` could take.",
            "Name the architectures with `--arch 86,89`, or take the default list with `--arch default`.",
        )
    return parse(map(str, numbers), cuda)


def number_of(architecture: str) -> int:
    """The number in CMake's word for an architecture: 90 for `90a-real`."""
    match = _NAME.fullmatch(architecture)
    if not match:
        raise ValueError(f"{architecture!r} is not an architecture")
    return int(match["number"])


def compiler_codes(architecture: str) -> frozenset[str]:
    """What nvcc's `--generate-code=...,code=[...]` may say for CMake's word.

    For 12X also the variant with an `a`: current trees replace the one by the other.
    """
    name, _, form = architecture.partition("-")
    prefix = "compute" if form == "virtual" else "sm"
    specific = {f"{prefix}_{name}a"} if re.fullmatch(r"12\d", name) else set()
    return frozenset({f"{prefix}_{name}", *specific})


def runs_on(architectures: Iterable[str], capability: str) -> bool:
    """Whether a GPU has code of its own, or PTX that its driver compiles, among CMake's words.

    Machine code runs on GPUs of its major number whose minor one is not less, PTX on every later GPU; with an `a` both
    run on that GPU alone, as does all for 12X, which current trees turn into 12Xa; with an `f` they run on those of its
    major number. A word of another form counts as one that runs.

    Args:
        capability: as the driver writes it, such as `9.0`.
    """
    gpu = _of_capability(capability)
    return any(_serves(word, gpu) for word in architectures)


def has_machine_code_for(architectures: Iterable[str], capability: str) -> bool:
    """Whether a GPU has code of its own among CMake's words, so that its driver need not compile PTX.

    Args:
        capability: as the driver writes it, such as `9.0`.
    """
    gpu = _of_capability(capability)
    real = (word.removesuffix("-real") for word in architectures if not word.endswith("-virtual"))
    return any(_serves(f"{word}-real", gpu) for word in real if _NAME.fullmatch(word))


def _serves(word: str, gpu: int) -> bool:
    match = _NAME.fullmatch(word)
    if not match:
        return True
    number = int(match["number"])
    if match["suffix"] == "a" or number // 10 == _ALWAYS_SPECIFIC:
        return number == gpu
    same = number // 10 == gpu // 10 and number <= gpu
    return same if match["suffix"] or match["form"] == "real" else number <= gpu


def _spell(name: str, cuda: str) -> str:
    match = _NAME.fullmatch(name)
    if not match or not _compiles(int(match["number"]), match["suffix"], cuda):
        raise UsageError(f"CUDA {cuda} does not know the architecture `{name}`.", f"It knows {_listed(cuda)}.")
    return name if match["form"] else f"{name}-real"


def _compiles(number: int, suffix: str, cuda: str) -> bool:
    if number not in known(cuda):
        return False
    if suffix == "a":
        return number in _SPECIFIC_SINCE and _SPECIFIC_SINCE[number] <= _release(cuda)
    return suffix != "f" or (number >= 100 and _release(cuda) >= _FAMILY_SINCE)  # noqa: PLR2004


def _listed(cuda: str) -> str:
    return ", ".join(map(str, known(cuda)))


def _of_capability(capability: str) -> int:
    match = _CAPABILITY.fullmatch(capability.strip())
    if not match:
        raise MachineError(
            f"The driver gives a compute capability `{capability}`.", "Name architectures with `--arch`."
        )
    return int(match["major"]) * 10 + int(match["minor"])


def _release(cuda: str) -> tuple[int, int]:
    major, minor = cuda.split(".")
    return int(major), int(minor)
