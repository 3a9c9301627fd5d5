"""What a machine has and lacks for building and judging images, and what to do about each.

Nothing is changed. A check that cannot find out says so and never claims that all is well.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from builder.console import spell_size
from builder.engine import gpu
from builder.engine.client import Engine
from builder.engine.gpu import Gpu, GpuAccess
from builder.engine.images import Image
from builder.engine.info import EngineInfo
from builder.engine.machine import as_root, find_program, is_root
from builder.engine.versions import MINIMUM_BUILDX, MINIMUM_ENGINE, reaches
from builder.errors import MachineError
from builder.process import Runner

Status = Literal["ok", "warn", "missing"]
"""`missing` keeps even a CPU image from being built; `warn` stands in the way of something else."""

_LITTLE_DISK = 20 * 10**9
_NO_DISK = 5 * 10**9
_LITTLE_MEMORY = 4 * 10**9
"""Bytes below which compiling with several jobs is likely to run out of memory."""
_TOOLKIT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
_NO_DRIVER = "could not select device driver"


@dataclass(frozen=True)
class Check:
    """One question about the machine and its answer.

    Attributes:
        detail: what was found.
        advice: what to do; empty where nothing is to be done.
    """

    name: str
    status: Status
    detail: str
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks, in the order in which a person would go through them."""

    checks: tuple[Check, ...]
    gpus: tuple[Gpu, ...] = field(default=())

    @property
    def usable(self) -> bool:
        """Whether at least a CPU image can be built here."""
        return all(check.status != "missing" for check in self.checks)

    @property
    def flawless(self) -> bool:
        """Whether nothing is to be done."""
        return all(check.status == "ok" for check in self.checks)


def examine(runner: Runner, engine: Engine, *, cuda: str, repository: str, cache: Path) -> Diagnosis:
    """Go through everything.

    Args:
        cuda: the CUDA release that images are built with, such as `13.0`.
        repository: name of the images that are built; they are the first choice for the probe of the GPUs.
        cache: the cache folder.
    """
    listing = gpu.list_gpus(runner)
    info, first = check_engine(engine)
    checks = [first]
    if info:
        checks += [check_buildx(engine), check_compose(engine), check_store(info), check_machine(info)]
        checks.append(check_engine_disk(engine, info))
    else:
        checks.append(Check("cores", "ok", f"{os.cpu_count()} cores"))
    checks += [check_cache(cache), check_git(runner), check_mmdebstrap(runner)]
    checks += [check_gpus(listing), *check_driver(listing.gpus, cuda)]
    if info:
        checks.append(check_access(engine, repository, has_gpus=bool(listing.gpus)))
    return Diagnosis(tuple(checks), listing.gpus)


def check_engine(engine: Engine) -> tuple[EngineInfo | None, Check]:
    """Does an engine answer this user, and is it new enough?"""
    try:
        info = engine.info()
    except MachineError as error:
        return None, Check("engine", "missing", error.cause, error.remedy)
    return info, judge_engine(info, engine.endpoint)


def judge_engine(info: EngineInfo, endpoint: str) -> Check:
    """Is the engine new enough to build with?"""
    found = f"Docker Engine {info.version} answers at {endpoint}"
    if reaches(info.version, MINIMUM_ENGINE):
        return Check("engine", "ok", found)
    advice = f"Run `builder setup`; {MINIMUM_ENGINE} or later is needed."
    return Check("engine", "missing", f"{found} and is too old", advice)


def check_buildx(engine: Engine) -> Check:
    """Has the client the plugin that builds?"""
    version = engine.buildx_version()
    if version is None:
        client = shutil.which("docker")
        return Check("buildx", "missing", f"the client {client} has no buildx", "Run `builder setup`.")
    if not reaches(version, MINIMUM_BUILDX):
        advice = f"Run `builder setup`; {MINIMUM_BUILDX} or later is needed."
        return Check("buildx", "missing", f"buildx {version} is too old", advice)
    return Check("buildx", "ok", f"buildx {version}")


def check_compose(engine: Engine) -> Check:
    """Has the client the plugin that the images are served with?"""
    done = engine.ask("compose", "version", "--short")
    if done.returncode:
        advice = "Install docker-compose (Debian), docker-compose-v2 (Ubuntu) or docker-compose-plugin (Docker's own)."
        return Check("compose", "warn", "the client has no `docker compose`; building does not need it", advice)
    return Check("compose", "ok", f"Compose {done.stdout.strip()}")


def check_store(info: EngineInfo) -> Check:
    """Which image store is it? Both serve; they differ in what an image ID is."""
    kind = "containerd's store" if info.containerd_store else "classic store"
    return Check("image store", "ok", f"{kind}, {info.storage}")


def check_machine(info: EngineInfo) -> Check:
    """What can the engine's machine compute with?"""
    found = f"{info.cores} cores, {spell_size(info.memory)} of memory"
    if info.memory < _LITTLE_MEMORY:
        return Check("cores", "warn", found, "Set build.jobs to 1, so that the compiler does not run out of memory.")
    return Check("cores", "ok", found)


def check_engine_disk(engine: Engine, info: EngineInfo) -> Check:
    """Is there room for images and the build cache?"""
    root = Path(info.root)
    if not engine.is_local or not root.exists():
        advice = "Look with `docker system df`, and see that 20 GB are free there."
        return Check("disk (engine)", "warn", f"{root} of {engine.endpoint} cannot be seen from here", advice)
    return _disk("disk (engine)", root, "Free some: `docker builder prune` and `docker image prune` show what can go.")


def check_cache(cache: Path) -> Check:
    """Can the cache folder be written, and is there room in it?"""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache) as file:
            file.write(b"x")
    except OSError as error:
        detail = f"{cache} cannot be written: {error.strerror}"
        return Check("cache", "missing", detail, "Mend its permissions, or set BUILDER_CACHE to another folder.")
    return _disk("cache", cache, "Free some, or set BUILDER_CACHE to a folder on a larger disk.")


def check_git(runner: Runner) -> Check:
    """Is git there, which repositories need?"""
    if shutil.which("git") is None:
        return Check("git", "missing", "git is not installed", f"Run `{as_root('setup')}`.")
    return Check("git", "ok", runner.run(["git", "--version"], timeout=30).stdout.strip())


def check_mmdebstrap(runner: Runner) -> Check:
    """Can base images be made from packages?"""
    if path := find_program("mmdebstrap"):
        done = runner.run([path, "--version"], timeout=30)
        return Check("mmdebstrap", "ok", (done.stdout.strip() or "mmdebstrap").splitlines()[0])
    detail = "not installed; only the `bootstrap` bases need it"
    if not find_program("apt-get"):
        return Check("mmdebstrap", "warn", detail, "Choose bases.provider nvidia or custom, or install it by hand.")
    if not is_root():
        return Check("mmdebstrap", "warn", detail, "Run `sudo apt-get install mmdebstrap`.")
    return Check("mmdebstrap", "ok", "not installed yet; the `bootstrap` bases install it when they need it")


def check_gpus(listing: gpu.GpuListing) -> Check:
    """Which GPUs does the driver list?"""
    if listing.complaint:
        advice = "Load the driver (`sudo modprobe nvidia`), or install it anew for the running kernel."
        return Check("GPUs", "warn", f"nvidia-smi fails: {listing.complaint}", advice)
    if not listing.gpus:
        detail = "no NVIDIA driver here (there is no nvidia-smi, or it lists nothing)"
        return Check("GPUs", "warn", detail, "Images can be built here, and CPU images judged; GPU gates cannot run.")
    return Check("GPUs", "ok", "\n".join(_spell_kinds(listing.gpus)))


def check_driver(gpus: Sequence[Gpu], cuda: str) -> Iterator[Check]:
    """Does the driver serve the CUDA release that images are built with? No check without a GPU."""
    if not gpus:
        return
    major, minor = (int(part) for part in cuda.split("."))
    driver = gpus[0].driver
    served, newest = gpu.what_driver_serves(driver, (major, minor)), gpu.cuda_served_by(driver)
    branch = gpu.driver_for((major, minor))
    newer = f"install driver {branch} or later" if branch else "install a newer driver"
    if served is gpu.Served.UNKNOWN:
        detail = f"it is not known whether driver {driver} serves CUDA {cuda}, which images are built with"
        yield Check("driver", "warn", detail, f"To be sure, {newer}.")
        return
    if newest is None:
        yield Check("driver", "warn", f"driver {driver} is too old for any CUDA release", f"{newer.capitalize()}.")
        return
    detail = f"driver {driver} serves CUDA {newest[0]}.{newest[1]}; images are built with {cuda}"
    lower = f"set build.cuda to {newest[0]}.{newest[1]} or less"
    if served is gpu.Served.ALL:
        yield Check("driver", "ok", detail)
    elif served is gpu.Served.MACHINE_CODE:
        compatible = "machine code runs by minor-version compatibility, PTX does not"
        yield Check("driver", "warn", f"{detail}: {compatible}", f"For PTX, {newer}, or {lower}.")
    else:
        yield Check("driver", "warn", f"{detail}, which it will not run", f"Either {newer}, or {lower}.")


def check_access(engine: Engine, repository: str, *, has_gpus: bool) -> Check:
    """Do containers really get the GPUs? Asked by running one."""
    image = probe_image(engine, repository)
    if image is None:
        advice = "Build an image first, or load any small one with a C library, then look again." if has_gpus else ""
        return Check("GPU access", "warn", "not tried: the engine has no image to run", advice)
    return judge_access(gpu.probe_access(engine, image.id), has_gpus=has_gpus)


def judge_access(access: GpuAccess, *, has_gpus: bool) -> Check:
    """Turn what a probe found into advice."""
    if access.method:
        way = {"cdi": "CDI", "runtime": "NVIDIA's runtime hook"}[access.method]
        count = len(access.devices)
        return Check("GPU access", "ok", f"a container got {count} GPU{'' if count == 1 else 's'} by {way}")
    refused = tuple(access.refusals.values())
    if not has_gpus and all(_NO_DRIVER in text for text in refused):
        return Check("GPU access", "warn", "containers get no GPU: there is none here", "")
    detail = "\n".join(f"{method}: {text}" for method, text in access.refusals.items())
    if all(_NO_DRIVER in text for text in refused):
        advice = f"Install NVIDIA's container toolkit ({_TOOLKIT}), run `nvidia-ctk runtime configure`, restart Docker."
    elif any("unresolvable CDI devices" in text for text in refused):
        advice = "Write the CDI specification anew: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`."
    else:
        advice = "Check `nvidia-smi` here and NVIDIA's container toolkit; a restart of Docker brings lost devices back."
    return Check("GPU access", "warn", f"containers get no GPU:\n{detail}", advice)


def probe_image(engine: Engine, repository: str) -> Image | None:
    """The image a probe runs: the newest of our own, else the smallest there is; None where there is none."""
    own = [engine.image(f"{repository}:{tag}") for tag in ("candidate", "latest")]
    found = next((image for image in own if image), None)
    return found or min(engine.images_with({}), key=lambda image: image.size, default=None)


def _disk(name: str, folder: Path, advice: str) -> Check:
    free = shutil.disk_usage(folder).free
    detail = f"{spell_size(free)} free in {folder}"
    if free < _NO_DISK:
        return Check(name, "missing", f"{detail}; a build needs {spell_size(_NO_DISK)}", advice)
    if free < _LITTLE_DISK:
        return Check(name, "warn", f"{detail}; a CUDA build needs {spell_size(_LITTLE_DISK)}", advice)
    return Check(name, "ok", detail)


def _spell_kinds(gpus: Sequence[Gpu]) -> Iterator[str]:
    kinds: dict[tuple[str, int, str], int] = {}
    for one in gpus:
        kind = (one.name, one.memory, one.compute_capability)
        kinds[kind] = kinds.get(kind, 0) + 1
    for (name, memory, capability), count in kinds.items():
        yield f"{count} x {name}, {spell_size(memory)}, compute capability {capability or 'unknown'}"
