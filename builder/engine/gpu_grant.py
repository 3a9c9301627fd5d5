"""One GPU for one container: how the engine hands it out, proven by what the container sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.engine.client import Engine
from builder.engine.gpu import Gpu, access_flags, look_into_container

_UUID = re.compile(r"\(UUID: (?P<uuid>[^)]+)\)")


@dataclass(frozen=True)
class GpuGrant:
    """What came of asking the engine for one GPU.

    Attributes:
        options: those of `docker run` that give a container this GPU and no other; empty where none do.
        refusals: what came of each way that does not, as sentences.
    """

    options: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def grant_gpu(gpu: Gpu, engine: Engine, image: str, run_id: str) -> GpuGrant:
    """Find out by running containers how the engine gives them this GPU.

    In a container every GPU is the first, so its UUID alone tells which it is. Numbers in a CDI specification are
    those of the day on which it was written; UUIDs are asked for first, which older specifications do not name.

    Args:
        image: a local image with a C library; nothing else of it is used.
        run_id: the run it is done for.

    Raises:
        MachineError: no engine.
    """
    refusals: list[str] = []
    for way, options in _ways(gpu):
        devices, refusal = look_into_container(engine, image, options, run_id)
        seen = tuple(found["uuid"] for device in devices if (found := _UUID.search(device)))
        if seen == (gpu.uuid,):
            return GpuGrant(options, tuple(refusals))
        refusals.append(f"By {way} {_instead(gpu, devices, refusal)}.")
    return GpuGrant((), tuple(refusals))


def _ways(gpu: Gpu) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "CDI and UUID", access_flags("cdi", (gpu.uuid,))
    yield "CDI and number", access_flags("cdi", (str(gpu.index),))
    yield "NVIDIA's runtime", access_flags("runtime", (gpu.uuid,))


def _instead(gpu: Gpu, devices: tuple[str, ...], refusal: str) -> str:
    if not devices:
        return f"it gets none: {refusal.rstrip('.')}"
    return f"it gets {', '.join(devices)} instead of {gpu.uuid}"
