"""The GPUs that an image is judged on, each by itself.

Which they are, whether their driver serves the image, and whether containers really get them is known before any gate
is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from builder.console import Reporter
from builder.engine.gpu import Gpu, cuda_served_by, driver_for, is_beyond_table, list_gpus
from builder.engine.gpu_choice import GpuChoice
from builder.engine.gpu_grant import grant_gpu
from builder.engine.images import Image
from builder.engine.machine_facts import look_at_machine
from builder.errors import MachineError, UsageError
from builder.gates.gate import Scene
from builder.plan.marks import OWN
from builder.plan.plan import Variant


@dataclass(frozen=True)
class Lane:
    """One place where an image is judged.

    Attributes:
        scene: with the GPU, if there is one.
        refusal: why containers do not get that GPU, as a sentence; empty where they do.
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
        MachineError: no engine answers, the driver does not answer, or is too old for the image's CUDA.
    """
    _require_use(image, choice)
    here = replace(scene, machine=look_at_machine(scene.engine))
    gpus = _chosen(image, choice, here) if needed and choice.kind != "none" else ()
    for gpu in gpus:
        require_driver(gpu, image.labels.get(f"{OWN}cuda", ""))
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
    grant = grant_gpu(gpu, scene.engine, image.id, scene.run_id)
    voice = Reporter(verbose=scene.reporter.verbose, name=f"GPU {gpu.index}") if several else scene.reporter
    machine = replace(scene.machine, gpus=(gpu,)) if scene.machine else None
    own = replace(scene, reporter=voice, gpu_options=grant.options, machine=machine)
    if grant.options:
        return Lane(own)
    refusal = f"Containers do not get GPU {gpu.index} ({gpu.uuid}). {' '.join(grant.refusals)} See `builder doctor`."
    return Lane(own, refusal)


def require_driver(gpu: Gpu, cuda: str) -> None:
    """See whether a GPU's driver serves a CUDA release.

    Args:
        cuda: such as `12.8`; empty where it is not known.

    Raises:
        MachineError: it does not.
    """
    major, _, minor = cuda.partition(".")
    branch = gpu.driver.partition(".")[0]
    if not major.isdecimal() or not branch.isdecimal():
        return
    needed = (int(major), int(minor or 0))
    served = cuda_served_by(gpu.driver)
    if (served and served >= needed) or is_beyond_table(gpu.driver):
        return
    newer = f"Install driver {first} or newer" if (first := driver_for(needed)) else "Install a newer driver"
    if served is None:
        raise MachineError(
            f"Driver {gpu.driver} is too old for any CUDA release; this image needs {cuda}.", f"{newer}."
        )
    raise MachineError(
        f"Driver {gpu.driver} serves CUDA up to {served[0]}.{served[1]}; this image needs {cuda}.",
        f"{newer}, or build with `--cuda-release {served[0]}.{served[1]}`.",
    )
