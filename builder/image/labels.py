"""What an image says of itself: labels outside, the build record inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from builder import __version__
from builder.engine.images import Image
from builder.errors import BuildError
from builder.plan import marks
from builder.process import without_credentials
from builder.upstream.revision import Revision

if TYPE_CHECKING:
    from builder.plan.evidence import Proof
    from builder.plan.plan import BuildPlan

OWN = marks.OWN
"""Prefix of our own keys; `org.opencontainers.image.` is for the standard facts."""
PLAN = f"{OWN}plan"
RECORD = marks.RECORD
"""The build record's place in the image."""
_STANDARD = marks.STANDARD


def labels(plan: BuildPlan, created: datetime, runtime: Image) -> Mapping[str, str]:
    """Every label of the image; an empty value overrides what a base image may say.

    Args:
        created: when the image says it was created.
        runtime: the runtime base.
    """
    revision = plan.revision
    published = next((digest.rpartition("@")[2] for digest in runtime.repo_digests), "")
    standard = {
        "title": "llama-server",
        "description": f"llama.cpp's server {revision.name}, {plan.variant.value}",
        "created": created.isoformat(),
        "source": public_origin(revision),
        "revision": revision.described_commit(),
        "version": revision.name,
        "licenses": "MIT",
        "base.name": plan.bases.runtime,
        "base.digest": published,
        **dict.fromkeys(marks.INHERITABLE, ""),
    }
    own = {
        "version": __version__,
        "plan": plan.digest,
        "tree": plan.tree,
        "recipe": plan.recipe,
        "variant": plan.variant.value,
        "build-number": str(revision.build_number or "unknown"),
        "commit": revision.described_commit(),
        "patches": plan.patches.digest if plan.patches else "none",
        "patch-names": ",".join(plan.patches.laid) if plan.patches else "none",
        "release": revision.release or "unknown",
        "cuda": plan.cuda or "none",
        "architectures": ",".join(plan.architectures) or "none",
        "features": ",".join(feature.name for feature in plan.features) or "none",
    }
    return {
        **{f"{_STANDARD}{name}": value for name, value in standard.items()},
        **{f"{OWN}{name}": value for name, value in own.items()},
    }


def public_origin(revision: Revision) -> str:
    """Where the source came from, if others can get it there: a URL or a package, not a path of this machine."""
    origin = without_credentials(revision.origin)
    return origin if "://" in origin or origin.startswith("pypi:") else ""


def check_labels(image: Image, wanted: Mapping[str, str]) -> None:
    """Compare what the image carries with what was asked.

    Raises:
        BuildError: a label is missing, wrong, or inherited from a base image.
    """
    wrong = [name for name, value in wanted.items() if image.labels.get(name, "") != value]
    foreign = [name for name in image.labels if name.startswith((_STANDARD, OWN)) and name not in wanted]
    if wrong or foreign:
        raise BuildError(
            f"The image's labels are not what was planned: {', '.join((*wrong, *foreign))}.",
            "Check what the runtime base image sets (`docker image inspect`).",
        )


def record(
    plan: BuildPlan, proofs: Sequence[Proof], toolchain: Mapping[str, object], bases: Mapping[str, str]
) -> Mapping[str, object]:
    """The build record: the plan, what proves it, what compiled it.

    Args:
        bases: image IDs of the base images by role.
    """
    public = replace(plan.revision, origin=public_origin(plan.revision))
    return {
        "schema_version": 1,
        "builder": __version__,
        "plan": replace(plan, revision=public).document(),
        "bases": bases,
        "proofs": [{"subject": proof.subject, "shown": proof.shown} for proof in proofs],
        "toolchain": toolchain,
    }
