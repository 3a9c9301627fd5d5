"""The GPUs that an image is judged on, each by itself.

Which they are, whether their driver serves the image, and whether containers really get them is known before any gate
is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from builder.console import Reporter
from builder.engine.gpu import Gpu, Served, cuda_served_by, driver_for, list_gpus, what_driver_serves
from builder.engine.gpu_choice import GpuChoice
from builder.engine.gpu_grant import grant_gpu
from builder.engine.images import Image
from builder.engine.machine_facts import look_at_machine
from builder.errors import MachineError, UsageError
from builder.gates.gate import Scene
from builder.plan.architectures import has_machine_code_for
from builder.plan.marks import OWN
from builder.plan.plan import Variant


@dataclass(frozen=True)
class Lane:
    """One place where an image is judged.

    Attributes:
        scene: with the GPU, if there is one.
        refusal: why nothing can be judged on that GPU, as sentences; empty where it can: its driver is too old, or
            containers do not get it.
    """

    scene: Scene
    refusal: str = ""

    @property
    def without_gpu(self) -> Scene:
        """The same machine for gates that need no GPU."""
        machine = self.scene.machine
        return replace(self.scene, gpu_options=(), machine=replace(machine, gpus=()) if machine else None)


def open_lanes(image: Image, choice: GpuChoice, scene: Scene, *, needed: bool) -> tuple[Lane, ...]:
    """A lane for each GPU that is to be judged on; one without a GPU where none is needed or there.

    Args:
        scene: without a GPU.
        needed: whether any gate would use one.

    Raises:
        UsageError: one is named that is not there, or for an image that computes on the CPU.
        MachineError: no engine answers, or the driver does not answer.
    """
    _require_use(image, choice)
    here = replace(scene, machine=look_at_machine(scene.engine))
    gpus = _chosen(image, choice, here) if needed and choice.kind != "none" else ()
    if not gpus:
        return (Lane(here),)
    return tuple(_lane(gpu, image, here, several=len(gpus) > 1) for gpu in gpus)


def _require_use(image: Image, choice: GpuChoice) -> None:
    if choice.kind == "named" and image.labels.get(f"{OWN}variant") == Variant.CPU:
        raise UsageError(
            f"--gpus names {', '.join(choice.names)}, and the image computes on the CPU.",
            "Leave --gpus out, or take an image of another variant.",
        )


def _chosen(image: Image, choice: GpuChoice, scene: Scene) -> tuple[Gpu, ...]:
    variant = image.labels.get(f"{OWN}variant", "")
    if variant == Variant.CPU or (not variant and choice.kind == "auto"):
        if choice.kind != "auto":
            scene.reporter.notice("The image is for the CPU: it is judged without a GPU.")
        return ()
    listing = list_gpus(scene.runner)
    if choice.kind != "auto" and not listing.gpus:
        raise MachineError(
            f"There is no NVIDIA GPU on this machine{_because(listing.complaint)}.",
            "Judge where one is, see `builder doctor`, or with `--gpus none` what needs none.",
        )
    if not listing.gpus:
        scene.reporter.notice(f"There is no NVIDIA GPU on this machine{_because(listing.complaint)}.")
    return choice.among(listing.gpus)


def _because(complaint: str) -> str:
    return f": nvidia-smi says {complaint.rstrip('.')}" if complaint else ""


def _lane(gpu: Gpu, image: Image, scene: Scene, *, several: bool) -> Lane:
    voice = Reporter(verbose=scene.reporter.verbose, name=f"GPU {gpu.index}") if several else scene.reporter
    machine = replace(scene.machine, gpus=(gpu,)) if scene.machine else None
    own = replace(scene, reporter=voice, machine=machine)
    if refusal := driver_refusal(gpu, image):
        return Lane(own, refusal)
    grant = grant_gpu(gpu, scene.engine, image.id, scene.run_id)
    if grant.options:
        return Lane(replace(own, gpu_options=grant.options))
    refusal = f"Containers do not get GPU {gpu.index} ({gpu.uuid}). {' '.join(grant.refusals)} See `builder doctor`."
    return Lane(own, refusal)


def driver_refusal(gpu: Gpu, image: Image) -> str:
    """Why a GPU's driver does not run an image, and what to do; empty where it does, or where that is not known.

    A driver of the image's major CUDA release runs its machine code for the GPU, if it has any, but compiles no PTX.
    """
    cuda = image.labels.get(f"{OWN}cuda", "")
    major, _, minor = cuda.partition(".")
    if not major.isdecimal():
        return ""
    needed = (int(major), int(minor or 0))
    served = what_driver_serves(gpu.driver, needed)
    if served in (Served.ALL, Served.UNKNOWN) or (served is Served.MACHINE_CODE and _has_machine_code(gpu, image)):
        return ""
    newer = f"Install driver {first} or newer" if (first := driver_for(needed)) else "Install a newer driver"
    if (newest := cuda_served_by(gpu.driver)) is None:
        return f"Driver {gpu.driver} is too old for any CUDA release; this image needs {cuda}. {newer}."
    release = f"{newest[0]}.{newest[1]}"
    cause = f"Driver {gpu.driver} serves CUDA up to {release}; this image needs {cuda}."
    if served is Served.NOTHING:
        return f"{cause} {newer}, or build with `--cuda-release {release}`."
    return f"{cause} It holds no machine code for this GPU. {newer}, or build with `--arch` for this GPU."


def _has_machine_code(gpu: Gpu, image: Image) -> bool:
    """Whether the labels say so; where nothing tells, it is PTX that would have to do."""
    words = image.labels.get(f"{OWN}architectures", "")
    return bool(gpu.compute_capability and words) and has_machine_code_for(words.split(","), gpu.compute_capability)
