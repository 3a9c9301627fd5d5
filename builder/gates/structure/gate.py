"""The structure gate: nothing missing, nothing untrue, nothing given away; nothing of the image is executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.errors import ExitCode
from builder.gates.gate import Scene, Subject
from builder.gates.structure.configuration import check_configuration
from builder.gates.structure.examined import Examined, history_of
from builder.gates.structure.features import check_features
from builder.gates.structure.files import Files
from builder.gates.structure.layers import Layers, read_layers
from builder.gates.structure.libraries import check_libraries
from builder.gates.structure.machine_code import check_machine_code
from builder.gates.structure.permissions import check_permissions
from builder.gates.structure.piping import piped
from builder.gates.structure.reading import read_image
from builder.gates.structure.record import base_of, check_record, is_ours, read_record
from builder.gates.structure.secrets import check_secrets
from builder.gates.structure.shipped import check_shipped
from builder.gates.structure.size import NO_LIMIT, SizeLimit, check_size
from builder.gates.verdict import Check, Measurements, Verdict, unjudged, verdict_of
from builder.plan.marks import OWN

NAME = "structure"


@dataclass(frozen=True)
class Demands:
    """What is demanded of an image beyond what must hold for every one.

    Attributes:
        features: what it must have if it is for GPUs.
    """

    size: SizeLimit = NO_LIMIT
    features: tuple[str, ...] = ()


_NONE = Demands()


def judge_structure(
    image: Image,
    engine: Engine,
    *,
    subject: str | None = None,
    demands: Demands = _NONE,
    timeout: float = 300.0,
    run_id: str | None = None,
) -> Verdict:
    """Judge what an image is made of.

    Args:
        subject: what it was asked for as; None takes its first name.
        timeout: seconds for the engine to hand over the files.
        run_id: the run it is done for, which the container is labelled with.

    Raises:
        CommandTimeout: the engine did not hand over the files in time.
        MachineError: no engine answers, it refused, or the disk is full.
    """
    started = monotonic()
    if not is_ours(image):
        checks: tuple[Check, ...] = (_not_ours(),)
        measurements: Measurements = {"size": image.size}
    else:
        examined = _examine(image, engine, timeout, run_id)
        checks = tuple(_checks(examined, demands))
        measurements = _measure(examined)
    return verdict_of(
        NAME,
        subject or next(iter(image.references), image.id),
        image.id,
        checks,
        measurements=measurements,
        seconds=monotonic() - started,
    )


def _examine(image: Image, engine: Engine, timeout: float, run_id: str | None) -> Examined:
    files = read_image(engine, image.id, timeout=timeout, run_id=run_id)

    def base() -> Files | None:
        reference = base_of(read_record(files))
        found = engine.image(reference) if reference else None
        return read_image(engine, found.id, timeout=timeout, run_id=run_id, contents=False) if found else None

    def layers() -> Layers:
        return piped(lambda take: engine.save(image.id, take, timeout=timeout), read_layers)

    config = engine.facts(image.id).get("Config") or {}
    return Examined(image, config, history_of(engine, image.id), files, base, layers)


def _checks(examined: Examined, demands: Demands) -> Iterator[Check]:
    yield from check_record(examined)
    yield from check_shipped(examined)
    yield from check_libraries(examined)
    yield from check_machine_code(examined)
    if record := read_record(examined.files):
        yield from check_features(examined, record, demands.features)
    yield from check_configuration(examined)
    yield from check_permissions(examined)
    yield from check_secrets(examined)
    yield check_size(examined, demands.size)


def _not_ours() -> Check:
    return unjudged(
        "ours",
        f"The image has no label {OWN}plan: it was not built by this builder, and nothing says what it should hold. "
        "Judge one that `builder build` made.",
    )


def _measure(examined: Examined) -> Measurements:
    own = examined.own_binaries
    code = sorted({one for path, binary in own.items() if "ggml" in path for one in binary.code})
    return {
        "size": examined.image.size,
        "files": len(examined.files.entries),
        "binaries": len(own),
        "code": ",".join(map(str, code)) or None,
    }


class StructureGate:
    """Is everything there, true, and nothing given away?"""

    name = NAME
    exit_code = ExitCode.STRUCTURE
    needs_machine = False
    confirms = False
    alone = False
    profile: str | None = None

    def judge(self, subject: Subject, scene: Scene) -> Verdict:
        """Read the image's files; nothing of it is executed."""
        settings = scene.config.settings
        name = settings.adopted(subject.image.labels.get(f"{OWN}variant", ""))
        adopted = scene.engine.image(name)
        size = SizeLimit.parse(settings.gates.size_limit, settings.gates.growth_limit, adopted, name)
        demands = Demands(size, settings.build.features)
        return judge_structure(subject.image, scene.engine, subject=subject.name, demands=demands, run_id=scene.run_id)
