"""Does a CUDA image have the features that its labels name, and those that are demanded?"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from builder.gates.structure.examined import Examined, listed
from builder.gates.structure.machine_code import compiled_for_gpus
from builder.gates.verdict import Check, failed, passed, unjudged
from builder.plan.marks import OWN, RECORD
from builder.plan.plan import Provision

_NAME = "features"
_GRAPHS = "cuda-graphs"
_RUNTIME = "libcudart.so"
_REBUILD = "Build it again with `builder build --cuda`."


def check_features(examined: Examined, record: Mapping[str, Any], demanded: Sequence[str]) -> Iterator[Check]:
    """The check for features; none for an image without CUDA.

    Args:
        record: the build record.
        demanded: what a CUDA image must have.
    """
    if not examined.is_cuda:
        return
    claimed = [word for word in examined.image.labels.get(f"{OWN}features", "").split(",") if word]
    try:
        wrong = [*_lacking(claimed, demanded), *_contradicted(claimed, record), *_not_compiled(claimed, examined)]
    except (KeyError, TypeError, AttributeError) as error:
        yield unjudged(_NAME, f"The build record at {RECORD} does not tell of features as today's do: {error!r}.")
        return
    if wrong:
        yield failed(_NAME, f"{wrong[0]} {_REBUILD}", tuple(wrong))
    else:
        yield passed(
            _NAME, f"{listed(claimed, 6)}: each is planned, proven in the record, and contradicted by nothing."
        )


def _lacking(claimed: Sequence[str], demanded: Sequence[str]) -> Iterator[str]:
    if lacking := [name for name in demanded if name not in claimed]:
        yield f"The image has no {listed(lacking)}, which build.features demands of a CUDA image."


def _contradicted(claimed: Sequence[str], record: Mapping[str, Any]) -> Iterator[str]:
    given = {one["name"]: one["value"] for one in record["plan"]["definitions"]}
    planned = {one["name"]: one for one in record["plan"]["features"]}
    proven = {one["subject"] for one in record["proofs"]}
    for name in claimed:
        feature = planned.get(name)
        if feature is None or feature["provision"] == Provision.ABSENT:
            yield f"The labels name {name}, which the build record does not plan."
            continue
        for one in feature["definitions"]:
            if given.get(one["name"]) != one["value"]:
                said = given.get(one["name"], "nothing")
                yield f"The labels name {name}, but the build record gave CMake {one['name']}={said}."
        if name not in proven:
            yield f"The labels name {name}, but nothing in the build record proves it."


def _not_compiled(claimed: Sequence[str], examined: Examined) -> Iterator[str]:
    """Whoever launches CUDA graphs imports the function for it from CUDA's runtime, in every tree since May 2024."""
    libraries = compiled_for_gpus(examined)
    dynamic = any(name.startswith(_RUNTIME) for one in libraries.values() for name in one.needed)
    if _GRAPHS in claimed and dynamic and not any(one.launches_graphs for one in libraries.values()):
        names = listed([posixpath.basename(path) for path in libraries])
        yield f"The labels name {_GRAPHS}, but {names} cannot launch any: it was compiled without them."
