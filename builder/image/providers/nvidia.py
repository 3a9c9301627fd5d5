"""Base images made on NVIDIA's and Ubuntu's own, for machines that reach Docker's hub."""

from __future__ import annotations

from builder.errors import UsageError
from builder.image.bases import BaseRequest, Workshop
from builder.image.providers.naming import named_bases
from builder.image.recipe import DOCKERFILES, recipe_digest
from builder.plan.plan import PlannedBases, Variant

UBUNTU = "ubuntu:24.04"
RELEASES = {
    "12.6": "12.6.3",
    "12.8": "12.8.1",
    "12.9": "12.9.1",
    "13.0": "13.0.2",
    "13.4": "13.4.1",
}
"""Update of each CUDA release whose `nvidia/cuda` image for Ubuntu 24.04 is taken.

13.2 is left out: 13.2.0 and 13.2.1 miscompile some quantisations (llama.cpp #28581, #28784).
"""
_HUB = "https://registry-1.docker.io/v2/"
_WELCOMES = (200, 401)
"""What a registry answers to those whom it will serve, with and without a name."""
_REACH = 5.0
"""Seconds to wait for the hub."""


class Nvidia:
    """`nvidia/cuda:*-devel-ubuntu24.04` to compile in, `ubuntu:24.04` to run on."""

    name = "nvidia"

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def bases(self, request: BaseRequest) -> PlannedBases:
        """References by recipe.

        Raises:
            UsageError: no image is known for the CUDA release.
        """
        return named_bases(
            self.name,
            request.kind,
            recipe_digest(("debian-devel.Dockerfile",), self._devel_from(request), request.as_of),
            recipe_digest(("debian-runtime.Dockerfile",), UBUNTU, request.as_of),
        )

    def obstacle(self, request: BaseRequest) -> str | None:
        """Whether the hub answers and the CUDA release is known."""
        import httpx

        if request.variant is Variant.CUDA and request.cuda not in RELEASES:
            return f"no image is known for CUDA {request.cuda}"
        try:
            answer = httpx.get(_HUB, timeout=_REACH)
        except httpx.HTTPError:
            return "Docker's hub is out of reach"
        return None if answer.status_code in _WELCOMES else f"Docker's hub answers {answer.status_code}"

    def make(self, request: BaseRequest) -> None:
        """Build both with packages from Ubuntu."""
        bases = self.bases(request)
        for reference, dockerfile, source in (
            (bases.devel, "debian-devel.Dockerfile", self._devel_from(request)),
            (bases.runtime, "debian-runtime.Dockerfile", UBUNTU),
        ):
            self._workshop.buildx.build(
                dockerfile=DOCKERFILES / dockerfile,
                context=DOCKERFILES,
                arguments={"FROM": source},
                tag=reference,
                title=reference,
            )

    def _devel_from(self, request: BaseRequest) -> str:
        if request.variant is Variant.CPU:
            return UBUNTU
        if request.cuda not in RELEASES:
            raise UsageError(
                f"No image of NVIDIA's is known for CUDA {request.cuda}.",
                f"Choose build.cuda from {', '.join(RELEASES)}, or name your own images under [bases].",
            )
        return f"nvidia/cuda:{RELEASES[request.cuda]}-devel-ubuntu24.04"
