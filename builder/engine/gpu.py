"""GPUs: which there are, what their driver serves, and whether containers really get them."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from builder.engine.client import Engine
from builder.engine.throwaway import SANDBOX
from builder.errors import MachineError
from builder.process import CommandTimeout, Completed, Runner

_IDENTITY = ("index", "name", "uuid", "memory.total", "compute_cap", "driver_version")
_SETTINGS = ("power.limit", "enforced.power.limit", "power.max_limit", "persistence_mode")
_QUERY = (*_IDENTITY, *_SETTINGS)
_ASK = 60.0
"""Seconds for nvidia-smi; without persistence mode the driver wakes every GPU first."""
_PROBE = 120.0
"""Seconds for one container that lists its GPUs."""
_DEVICE = re.compile(r"^GPU \d+: .+", re.MULTILINE)
_NUMBER = re.compile(r"\d+\.\d+")
_SWITCH = {"Enabled": True, "Disabled": False}

_CUDA_OF_DRIVER = {
    450: (11, 0),
    455: (11, 1),
    460: (11, 2),
    465: (11, 3),
    470: (11, 4),
    495: (11, 5),
    510: (11, 6),
    515: (11, 7),
    520: (11, 8),
    525: (12, 0),
    530: (12, 1),
    535: (12, 2),
    545: (12, 3),
    550: (12, 4),
    555: (12, 5),
    560: (12, 6),
    565: (12, 7),
    570: (12, 8),
    575: (12, 9),
    580: (13, 0),
    590: (13, 1),
    595: (13, 2),
}
"""The CUDA release each driver branch came with, by the release notes of the CUDA toolkit."""

Method = Literal["cdi", "runtime"]


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine.

    Attributes:
        memory: bytes.
        compute_capability: such as `9.0`; empty where the driver does not tell.
        driver: version of the driver, such as `580.65.06`.
        power_limit: W that its owner lets it take; this and what follows is None where the driver does not tell.
        power_limit_enforced: W that hold, where something else sets a lower limit.
        power_limit_max: W to which the limit could be raised.
        persistence: whether the driver stays loaded while nobody uses the GPU.
    """

    index: int
    name: str
    uuid: str
    memory: int
    compute_capability: str
    driver: str
    power_limit: float | None = None
    power_limit_enforced: float | None = None
    power_limit_max: float | None = None
    persistence: bool | None = None


@dataclass(frozen=True)
class GpuListing:
    """The GPUs of this machine, as its driver lists them.

    Attributes:
        complaint: what nvidia-smi said where it failed; empty where it did not, or is not there.
    """

    gpus: tuple[Gpu, ...] = ()
    complaint: str = ""


@dataclass(frozen=True)
class GpuAccess:
    """What came of asking the engine for all GPUs.

    Attributes:
        method: the way that works; None where none does.
        devices: what the container saw, such as `GPU 0: NVIDIA H200 (UUID: ...)`.
        refusals: for each way that was tried and failed, what was said.
    """

    method: Method | None
    devices: tuple[str, ...]
    refusals: Mapping[str, str]


def list_gpus(runner: Runner) -> GpuListing:
    """Ask the driver for the GPUs of this machine, in the order of their PCI bus ids."""
    if shutil.which("nvidia-smi") is None:
        return GpuListing()
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = runner.run(command, timeout=_ASK)
    except CommandTimeout as error:
        return GpuListing(complaint=error.cause)
    if done.returncode:
        return GpuListing(complaint=_first_line(done))
    return GpuListing(parse_gpus(done.stdout))


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Read nvidia-smi's CSV without header and units, with settings or without; other lines are passed over."""
    rows = ([cell.strip() for cell in row] for row in csv.reader(text.splitlines(), skipinitialspace=True))
    shapes = (len(_IDENTITY), len(_QUERY))
    return tuple(_gpu(row) for row in rows if len(row) in shapes and row[0].isdecimal())


def compute_capabilities(runner: Runner) -> tuple[str, ...]:
    """Compute capabilities of the GPUs at hand as the driver writes them, such as `("8.6", "9.0")`.

    Returns:
        Each once, oldest first; empty where the machine has no nvidia-smi.

    Raises:
        MachineError: nvidia-smi is there and fails, or a GPU's capability is not known.
    """
    listing = list_gpus(runner)
    if listing.complaint:
        raise MachineError(
            f"nvidia-smi is here and fails, so it is not known which GPUs there are: {listing.complaint}",
            "Mend the driver (a restart of the machine ends a mismatch of versions), or ask for --cpu, or for --cuda "
            "with the architectures named by --arch.",
        )
    return distinct_capabilities(listing.gpus)


def distinct_capabilities(gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """The GPUs' compute capabilities, each once, oldest first.

    Raises:
        MachineError: the driver does not tell that of a GPU.
    """
    unknown = dict.fromkeys(gpu.name for gpu in gpus if not gpu.compute_capability)
    if unknown:
        raise MachineError(
            f"The driver does not tell the compute capability of {', '.join(unknown)}.",
            "Name the architectures with --cuda and --arch, such as `--arch 86,89`, or install a newer driver.",
        )
    return tuple(sorted({gpu.compute_capability for gpu in gpus}, key=float))


def cuda_served_by(driver: str) -> tuple[int, int] | None:
    """The newest CUDA release that a driver serves, such as `(12, 4)` for `550.54.15`.

    A driver newer than the table gets its newest release: at least that one is served. None where the driver is
    older than the table or its version cannot be read.
    """
    branch = driver.partition(".")[0]
    known = [number for number in _CUDA_OF_DRIVER if branch.isdecimal() and number <= int(branch)]
    return _CUDA_OF_DRIVER[max(known)] if known else None


class Served(Enum):
    """What of an image for a CUDA release a driver runs.

    Attributes:
        ALL: machine code, and PTX, which it compiles.
        MACHINE_CODE: machine code only, by CUDA's minor-version compatibility.
        NOTHING: the driver is too old.
        UNKNOWN: its version cannot be read, or it is newer than any whose release is known here.
    """

    ALL = "all"
    MACHINE_CODE = "machine code only"
    NOTHING = "nothing"
    UNKNOWN = "unknown"


def what_driver_serves(driver: str, cuda: tuple[int, int]) -> Served:
    """What a driver runs of an image for a CUDA release."""
    branch = driver.partition(".")[0]
    if not branch.isdecimal():
        return Served.UNKNOWN
    newest = cuda_served_by(driver)
    if newest is None:
        return Served.NOTHING
    if newest >= cuda:
        return Served.ALL
    if int(branch) > max(_CUDA_OF_DRIVER):
        return Served.UNKNOWN
    return Served.MACHINE_CODE if newest[0] == cuda[0] else Served.NOTHING


def driver_for(cuda: tuple[int, int]) -> int | None:
    """The first driver branch that serves a CUDA release; None where the table knows none."""
    return next((branch for branch, served in sorted(_CUDA_OF_DRIVER.items()) if served >= cuda), None)


def access_flags(method: Method, devices: Sequence[str] = ()) -> tuple[str, ...]:
    """Options of `docker run` that give a container GPUs.

    Args:
        devices: indices or UUIDs; empty gives all.
    """
    if method == "cdi":
        return tuple(word for device in devices or ("all",) for word in ("--device", f"nvidia.com/gpu={device}"))
    return "--gpus", f'"device={",".join(devices)}"' if devices else "all"


def probe_access(engine: Engine, image: str) -> GpuAccess:
    """Find out by running containers whether the engine gives them GPUs, and how.

    Args:
        image: a local image with a C library; nothing else of it is used.

    Raises:
        MachineError: no engine.
    """
    refusals: dict[str, str] = {}
    methods: tuple[Method, ...] = ("cdi", "runtime")
    for method in methods:
        devices, refusal = look_into_container(engine, image, access_flags(method))
        if devices:
            return GpuAccess(method, devices, refusals)
        refusals[method] = refusal
    return GpuAccess(None, (), refusals)


def look_into_container(
    engine: Engine, image: str, options: Sequence[str], run_id: str | None = None
) -> tuple[tuple[str, ...], str]:
    """Run a container with GPUs and see which it has.

    Nothing less is proof: the engine creates a container with GPUs that are not there without a word. In the
    container the driver's own nvidia-smi lists what arrived; it comes from the host, as the driver does.

    Args:
        image: a local image with a C library; nothing else of it is used.
        options: those of `docker run` that ask for the GPUs.
        run_id: the run it is done for.

    Returns:
        The GPUs it lists, such as `GPU 0: NVIDIA H200 (UUID: ...)`, and what was said where there are none.

    Raises:
        MachineError: no engine.
    """
    driver = ("--env=NVIDIA_DRIVER_CAPABILITIES=utility", "--entrypoint=nvidia-smi")
    try:
        done = engine.run_once(image, ["-L"], options=(*SANDBOX, *options, *driver), timeout=_PROBE, run_id=run_id)
    except CommandTimeout as error:
        return (), error.cause
    devices = tuple(line.strip() for line in _DEVICE.findall(done.stdout)) if done.returncode == 0 else ()
    return devices, _refusal(done.stdout + done.stderr)


def _first_line(done: Completed) -> str:
    words = done.stdout.strip() or done.stderr.strip() or f"exit status {done.returncode}"
    return words.partition("\n")[0]


def _refusal(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and "--help" not in line]
    shown = lines[-1] if lines else "the container saw no GPU"
    return shown.removeprefix("docker: ").removeprefix("Error response from daemon: ")


def _gpu(row: Sequence[str]) -> Gpu:
    index, name, uuid, memory, capability, driver = row[: len(_IDENTITY)]
    limit, enforced, highest, persistence = row[len(_IDENTITY) :] or ("",) * len(_SETTINGS)
    return Gpu(
        index=int(index),
        name=name,
        uuid=uuid,
        memory=int(memory) * 2**20 if memory.isdecimal() else 0,
        compute_capability=capability if _NUMBER.fullmatch(capability) else "",
        driver=driver,
        power_limit=_watts(limit),
        power_limit_enforced=_watts(enforced),
        power_limit_max=_watts(highest),
        persistence=_SWITCH.get(persistence),
    )


def _watts(cell: str) -> float | None:
    return float(cell) if _NUMBER.fullmatch(cell) else None
