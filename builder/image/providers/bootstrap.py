"""Base images made from nothing but package registries: Debian by mmdebstrap, CUDA from NVIDIA's wheels."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder.engine.apt_sources import archive_of, read_sources
from builder.engine.machine import this_distribution
from builder.engine.packages import install
from builder.errors import MachineError, UsageError
from builder.image.bases import BaseRequest, Workshop
from builder.image.providers.naming import named_bases
from builder.image.recipe import DOCKERFILES, recipe_digest
from builder.plan.plan import PlannedBases, Variant
from builder.process import Completed, as_shell_line
from builder.staging import staged

SUITE = "trixie"
DEVEL_PACKAGES = ("ca-certificates", "ccache", "cmake", "g++", "libssl-dev", "ninja-build")
RUNTIME_PACKAGES = ("ca-certificates", "curl", "libgomp1", "libssl3t64", "libstdc++6")
CUDA_PARTS = ("nvcc", "cudart", "cublas", "crt", "nvvm", "cccl")
"""Extras of the package `cuda-toolkit` that llama.cpp needs."""
UNWANTED = ("*/lib/libnvrtc*", "*/lib/libnvblas*")
"""What these bring besides, and no build uses."""
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEBIAN = "http://deb.debian.org/debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_FIRST_CUDA = (13, 0)
"""The wheels of earlier releases hold no nvcc."""
_BOOTSTRAP = 1200.0
_WHEELS = 1800.0
"""Seconds for a root file system, and for the wheels."""

_ROOTFS_OPTIONS = (
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--customize-hook=rm -rf "$1"/etc/apt/sources.list*',
    '--customize-hook=rm -f "$1"/etc/resolv.conf "$1"/etc/hostname',
)


class Bootstrap:
    """Debian trixie for both; what the machine's own package mirror and Python package index offer."""

    name = "bootstrap"

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def bases(self, request: BaseRequest) -> PlannedBases:
        """References by recipe."""
        cuda: tuple[str, ...] = ()
        recipe: tuple[str, ...] = ()
        if request.variant is Variant.CUDA:
            cuda = (request.cuda, *CUDA_PARTS, *UNWANTED)
            recipe = ("cuda-wheels.Dockerfile", "steps/install-cuda-wheels.sh")
        common = (SUITE, *_ROOTFS_OPTIONS, request.as_of)
        return named_bases(
            self.name,
            request.kind,
            recipe_digest(recipe, *common, *DEVEL_PACKAGES, *cuda),
            recipe_digest((), *common, *RUNTIME_PACKAGES),
        )

    def obstacle(self, request: BaseRequest) -> str | None:
        """Whether mmdebstrap is here or can be installed, and the CUDA release has a compiler among its wheels."""
        release = tuple(int(part) for part in request.cuda.split("."))
        if request.variant is Variant.CUDA and release < _FIRST_CUDA:
            return f"NVIDIA's wheels for CUDA {request.cuda} hold no nvcc"
        if shutil.which("mmdebstrap"):
            return None
        if not shutil.which("apt-get"):
            return "this is no Debian or Ubuntu, and mmdebstrap is not installed"
        return None if os.geteuid() == 0 else "mmdebstrap is not installed, and only root can install it"

    def make(self, request: BaseRequest) -> None:
        """Bootstrap both; add the CUDA toolkit to the first."""
        if not shutil.which("mmdebstrap"):
            install(self._workshop.runner, self._workshop.reporter, ["mmdebstrap", "debian-archive-keyring"])
        bases = self.bases(request)
        engine = self._workshop.engine
        if not engine.image(bases.runtime):
            self._rootfs(RUNTIME_PACKAGES, bases.runtime)
        if engine.image(bases.devel):
            return
        if request.variant is Variant.CPU:
            self._rootfs(DEVEL_PACKAGES, bases.devel)
            return
        plain = self.bases(BaseRequest(Variant.CPU, request.cuda, request.as_of)).devel
        if not engine.image(plain):
            self._rootfs(DEVEL_PACKAGES, plain)
        with self._toolkit(request.cuda) as components:
            self._workshop.buildx.build(
                dockerfile=DOCKERFILES / "cuda-wheels.Dockerfile",
                context=DOCKERFILES,
                contexts={"cuda": components},
                arguments={"FROM": plain},
                tag=bases.devel,
                title="CUDA toolkit",
            )

    def _rootfs(self, packages: Sequence[str], reference: str) -> None:
        self._workshop.reporter.notice(f"Debian {SUITE} with {', '.join(packages)}: {reference}")
        with staged(self._workshop.paths.bases) as folder:
            archive = folder / "rootfs.tar"
            command = [
                "mmdebstrap",
                *_ROOTFS_OPTIONS,
                f"--include={','.join(packages)}",
                SUITE,
                str(archive),
                _source_line(),
            ]
            done = self._run(command, _BOOTSTRAP)
            if done.returncode:
                raise MachineError(
                    f"mmdebstrap made no Debian {SUITE} (exit status {done.returncode}).",
                    "Check that the package mirror answers and that there is disk space; the command is in the log.",
                    excerpt=_telling(done.stderr),
                )
            self._workshop.engine.import_rootfs(archive, reference, [f"ENV {_PATH}"])

    def _run(self, command: Sequence[str], timeout: float) -> Completed:
        done = self._workshop.runner.run(command, timeout=timeout)
        with (self._workshop.buildx.logs / "bases.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {as_shell_line(command)}\n{done.stdout}{done.stderr}")
        return done

    @contextmanager
    def _toolkit(self, cuda: str) -> Iterator[Path]:
        wanted = f"cuda-toolkit[{','.join(CUDA_PARTS)}]=={cuda}.*"
        self._workshop.reporter.notice(f"CUDA {cuda} from NVIDIA's wheels: {wanted}")
        with staged(self._workshop.paths.bases) as folder:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--ignore-installed"]
            command += ["--disable-pip-version-check", "--only-binary=:all:", "--target", str(folder), wanted]
            done = self._run(command, _WHEELS)
            if "No matching distribution" in done.stderr:
                raise UsageError(
                    f"The Python package index has no CUDA {cuda} toolkit.",
                    "Choose another release with --cuda-release, or other bases.",
                )
            if done.returncode:
                raise MachineError(
                    f"The CUDA toolkit {cuda} could not be had from the Python package index.",
                    "Check that pip reaches its index; the command is in the log.",
                    excerpt=_telling(done.stderr),
                )
            components = folder / "nvidia"
            for pattern in UNWANTED:
                for file in components.glob(pattern):
                    file.unlink()
            yield components


def _source_line() -> str:
    here = this_distribution()
    archive = archive_of(read_sources(), here.codename) if here.id == "debian" else None
    return f"deb [signed-by={_KEYRING}] {archive.uris[0] if archive else _DEBIAN} {SUITE} main"


def _telling(stderr: str) -> tuple[str, ...]:
    lines = [line for line in stderr.splitlines() if line.startswith(("E:", "ERROR", "error"))]
    return tuple((lines or stderr.splitlines())[-5:])
