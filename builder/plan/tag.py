"""The tag that is an image's own, and the name that keeps it until it has one."""

from __future__ import annotations

UNJUDGED = "builder-build/unjudged"
"""Repository of the names that keep images while they are built and judged."""
_PLAN_DIGITS, _PATCH_DIGITS = 10, 8


def tag_of(name: str, cuda: str | None, patches: str | None, plan: str) -> str:
    """`b10991-cuda13.0-<plan>`, with patches `v0.5.0-0c1e57098-cpu-p<patches>-<plan>`.

    Args:
        name: the revision's.
        cuda: release; None for the CPU.
        patches: digest of the patch queue; None for none.
        plan: its digest.
    """
    kind = f"cuda{cuda}" if cuda else "cpu"
    patched = f"-p{patches.removeprefix('sha256:')[:_PATCH_DIGITS]}" if patches else ""
    return f"{name}-{kind}{patched}-{plan.removeprefix('sha256:')[:_PLAN_DIGITS]}"
