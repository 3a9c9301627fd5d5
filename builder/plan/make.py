"""From a tree and what is wanted to a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.errors import SourceError
from builder.plan import architectures, definitions
from builder.plan.facts import Facts
from builder.plan.features import plan_feature
from builder.plan.plan import (
    BuildPlan,
    Definition,
    PlannedBases,
    PlannedFeature,
    PlannedPatch,
    PlannedPatches,
    Provision,
    Variant,
)
from builder.plan.stamp import plan_stamp
from builder.source.tree import SourceTree

if TYPE_CHECKING:
    from builder.settings import Build, Settings


def make_plan(
    tree: SourceTree,
    settings: Settings,
    variant: Variant,
    bases: PlannedBases,
    recipe: str,
    *,
    capabilities: tuple[str, ...] = (),
    architecture: str = "amd64",
) -> BuildPlan:
    """Decide everything about a build.

    Args:
        recipe: digest of the Dockerfile and its scripts.
        capabilities: compute capabilities of the GPUs at hand, such as `9.0`; asked only for the architectures `auto`.
        architecture: the engine's processor in Docker's words, such as `amd64`, `arm64`.

    Raises:
        UsageError: an architecture is unknown, or a person's definition is in the way of a planned one.
        MachineError: architectures are `auto` and there is no GPU.
        SourceError: the tree lacks a target, a wanted feature or a place for the stamp.
    """
    facts = Facts(tree.path)
    build = settings.build
    on_gpu = variant is Variant.CUDA
    words = _architectures(build, capabilities) if on_gpu else ()
    features = _features(build, facts, words) if on_gpu else ()
    stamp = plan_stamp(facts, tree.revision)
    asked = [definition for feature in features for definition in feature.definitions]
    compiled_for = [Definition("CMAKE_CUDA_ARCHITECTURES", ";".join(words))] if on_gpu else []
    planned = [
        *definitions.PROJECT_INDEPENDENT,
        *compiled_for,
        *definitions.backends(facts, architecture),
        *asked,
        *(definitions.for_cuda(facts) if on_gpu else ()),
        *definitions.components(facts),
        *stamp.definitions,
    ]
    fixed = {definition.name for definition in (*compiled_for, *asked, *stamp.definitions)}
    given = definitions.with_own(planned, build.definitions, fixed)
    return BuildPlan(
        revision=tree.revision,
        tree=tree.digest,
        patches=_patches(tree),
        platform=f"linux/{architecture}",
        variant=variant,
        cuda=build.cuda if on_gpu else None,
        architectures=words,
        features=features,
        definitions=given,
        targets=definitions.TARGETS,
        tests=definitions.tests(facts, given),
        stamp=stamp,
        bases=bases,
        recipe=recipe,
    )


def _patches(tree: SourceTree) -> PlannedPatches | None:
    if tree.patches_digest is None:
        return None
    rows = (PlannedPatch(row.name, row.subject, row.standing, row.detail) for row in tree.patches)
    return PlannedPatches(tree.patches_digest, tuple(rows))


def _architectures(build: Build, capabilities: tuple[str, ...]) -> tuple[str, ...]:
    if build.architectures == "default":
        return architectures.default(build.cuda)
    if build.architectures == "auto":
        return architectures.of_gpus(capabilities, build.cuda)
    return architectures.parse(build.architectures, build.cuda)


def _features(build: Build, facts: Facts, words: tuple[str, ...]) -> tuple[PlannedFeature, ...]:
    names = dict.fromkeys(("cuda", *build.features))
    planned = tuple(plan_feature(name, facts, words) for name in names)
    for feature in planned:
        if feature.provision is Provision.ABSENT:
            raise SourceError(
                f"This tree has no way to give {feature.name}: {feature.evidence}.",
                f"Leave {feature.name} out of build.features, or take another revision.",
            )
    return planned
