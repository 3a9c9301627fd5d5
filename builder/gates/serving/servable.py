"""Whether an image can be served where it is judged, before any container is started."""

from __future__ import annotations

from builder.engine.client import Engine
from builder.gates.finding import Finding, unknown
from builder.gates.serving.trial import Trial


def not_servable(trial: Trial, engine: Engine) -> Finding | None:
    """Why this place cannot judge what an image serves, which is no fault of the image; None where it can.

    Raises:
        MachineError: the engine could not tell of what kind its machine is.
    """
    if trial.on_gpu and not trial.gpu_options:
        return unknown(
            "devices",
            "The image computes on a GPU, and none was given to judge it with. Judge it where containers get a GPU, "
            "see `builder doctor`.",
        )
    if not engine.is_local:
        return unknown(
            "start", "The engine is on another machine, where a server listens to that machine only. Judge it there."
        )
    if (machine := engine.architecture()) != trial.image.architecture:
        return unknown(
            "start", f"It is for {trial.image.architecture}, this machine is {machine}. Judge it on its own."
        )
    return None
