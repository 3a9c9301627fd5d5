"""How base images that we make are called."""

from __future__ import annotations

from builder.plan.plan import PlannedBases

DIGEST_CHARACTERS = 12


def named_bases(provider: str, kind: str, devel_digest: str, runtime_digest: str) -> PlannedBases:
    """References that hold the digests of their recipes."""
    return PlannedBases(
        provider=provider,
        devel=_reference("devel", f"{provider}-{kind}", devel_digest),
        devel_id=devel_digest,
        runtime=_reference("runtime", provider, runtime_digest),
        runtime_id=runtime_digest,
    )


def _reference(role: str, kind: str, digest: str) -> str:
    return f"builder-base/{role}:{kind}-{digest.removeprefix('sha256:')[:DIGEST_CHARACTERS]}"
