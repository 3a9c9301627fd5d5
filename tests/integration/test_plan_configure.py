"""Plans of real trees, configured by a real CMake with nvcc, held against what it left. Nothing is compiled."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.console import Reporter
from builder.errors import BuildError, SourceError
from builder.image.job import plan_context
from builder.image.recipe import DOCKERFILES
from builder.paths import Paths
from builder.plan.evidence import judge, parse_unused
from builder.plan.make import make_plan
from builder.plan.plan import BuildPlan, PlannedBases, Provision, Variant
from builder.process import Runner
from builder.settings import Settings
from builder.source.desk import Request
from builder.source.prepare import prepare
from builder.source.tree import SourceTree

_NUMBER = 4242
_OPTION, _ALWAYS, _ARCHITECTURE = Provision.OPTION, Provision.ALWAYS, Provision.ARCHITECTURE
_ERAS: Mapping[str, Mapping[str, tuple[Provision, str]]] = {
    "0.2.85": {
        "cuda": (_OPTION, "GGML_CUDA"),
        "cuda-graphs": (_OPTION, "GGML_CUDA_USE_GRAPHS"),
        "f16": (_OPTION, "GGML_CUDA_F16"),
        "flash-attention": (_ALWAYS, ""),
    },
    "0.3.1": {
        "cuda": (_OPTION, "GGML_CUDA"),
        "cuda-graphs": (_OPTION, "GGML_CUDA_GRAPHS"),
        "f16": (_OPTION, "GGML_CUDA_F16"),
        "flash-attention": (_ALWAYS, ""),
    },
    "0.3.16": {
        "cuda": (_OPTION, "GGML_CUDA"),
        "cuda-graphs": (_OPTION, "GGML_CUDA_GRAPHS"),
        "f16": (_OPTION, "GGML_CUDA_F16"),
        "flash-attention": (_OPTION, "GGML_CUDA_FA"),
    },
    "0.3.28": {
        "cuda": (_OPTION, "GGML_CUDA"),
        "cuda-graphs": (_OPTION, "GGML_CUDA_GRAPHS"),
        "f16": (_ARCHITECTURE, ""),
        "flash-attention": (_OPTION, "GGML_CUDA_FA"),
    },
    "0.3.36": {
        "cuda": (_OPTION, "GGML_CUDA"),
        "cuda-graphs": (_OPTION, "GGML_CUDA_GRAPHS"),
        "f16": (_ARCHITECTURE, ""),
        "flash-attention": (_OPTION, "GGML_CUDA_FA"),
    },
}
"""How each release of llama-cpp-python's tree gives each feature, and by which option."""

_TESTS: Mapping[str, tuple[str, ...]] = {
    "0.2.85": ("test-backend-ops",),
    "0.3.1": ("test-backend-ops",),
    "0.3.16": ("test-backend-ops",),
    "0.3.28": ("test-backend-ops", "test-llama-archs"),
    "0.3.36": ("test-backend-ops", "test-llama-archs"),
}
"""The programs for judging correctness that each tree has."""

_NEWEST = "0.3.36"
_BEFORE_RENAMING = "0.2.78"
"""Its programs are not called llama-server and llama-bench yet."""

_STAMP = """
FROM configured AS stamped
RUN --network=none \\
    --mount=type=bind,from=plan,target=/plan \\
    --mount=type=bind,from=source,target=/src,rw \\
    if [ -d /plan/overlay ]; then cp -r /plan/overlay/. /src/; fi; \\
    test -f /build/common/build-info.cpp || ninja -C /build /src/common/build-info.cpp; \\
    find /build/common /src/common -name build-info.cpp | head -n 1 | xargs -I {} cp {} /build-info.cpp

FROM evidence AS left
COPY --from=stamped /build-info.cpp /
"""
"""After the product's own stages: what upstream's script writes of number and commit comes out as well."""


@dataclass(frozen=True)
class Configured:
    """What CMake left, and the source file that holds the stamp."""

    cache: str
    log: str
    commands: str
    build_info: str


@dataclass(frozen=True)
class Site:
    """Where plans are made and configured."""

    devel: str
    folder: Path
    runner: Runner

    def tree(self, version: str) -> SourceTree:
        """A release's tree, from the index or kept from earlier."""
        request = Request(f"pypi:llama-cpp-python=={version}")
        return prepare(request, build_number=_NUMBER, paths=Paths.default(), runner=self.runner, reporter=Reporter())

    def plan(
        self,
        version: str,
        *,
        variant: Variant = Variant.CUDA,
        architectures: str = "90",
        definitions: Mapping[str, str] | None = None,
    ) -> BuildPlan:
        """The plan of a release's tree."""
        build = {"architectures": architectures, "definitions": definitions or {}}
        settings = Settings.model_validate({"build": build})
        bases = PlannedBases("custom", self.devel, "", self.devel, "")
        return make_plan(self.tree(version), settings, variant, bases, "sha256:recipe")

    def configure(self, version: str, planned: BuildPlan) -> Configured:
        """Have CMake configure a release's tree as planned."""
        tree, out = self.tree(version), self.folder / "out"
        context = plan_context(planned, tree, Path(tempfile.mkdtemp(dir=self.folder)) / "plan")
        dockerfile = self.folder / "Dockerfile"
        dockerfile.write_text((DOCKERFILES / "llama-server.Dockerfile").read_text() + _STAMP)
        source = f"tree-{planned.tree.removeprefix('sha256:')[:16]}"
        arguments = {"DEVEL": self.devel, "RUNTIME": self.devel, "SOURCE": source}
        done = self.runner.run(
            [
                *("docker", "buildx", "build", "--progress=plain", f"--file={dockerfile}", "--target=left"),
                *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                *(f"--build-context={source}={tree.path}", f"--build-context=plan={context}"),
                *(f"--output=type=local,dest={out}", str(DOCKERFILES)),
            ],
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        names = ("CMakeCache.txt", "configure.log", "compile_commands.json", "build-info.cpp")
        return Configured(*((out / name).read_text(errors="replace") for name in names))


@pytest.fixture
def site(cuda_devel: str, tmp_path: Path) -> Site:
    """A place to configure in, with CUDA's compiler."""
    return Site(cuda_devel, tmp_path, Runner())


@pytest.mark.parametrize("version", _ERAS)
def test_features_are_given_in_every_era(site: Site, version: str) -> None:
    planned = site.plan(version)
    how = {
        feature.name: (feature.provision, "".join(definition.name for definition in feature.definitions))
        for feature in planned.features
    }
    assert how == _ERAS[version]
    for feature in planned.features:
        file, _, line = feature.evidence.split(" ", 1)[0].partition(":")
        assert (site.tree(version).path / file).is_file(), feature.evidence
        assert int(line) > 0

    left = site.configure(version, planned)
    proofs = {proof.subject: proof.shown for proof in judge(planned, left.cache, left.log, left.commands)}
    assert set(proofs) == {"definitions", "targets", "architectures", *_ERAS[version]}
    assert "sm_90" in proofs["architectures"]
    assert "GGML_CUDA_USE_GRAPHS is defined for all" in proofs["cuda-graphs"]

    assert re.search(rf"LLAMA_BUILD_NUMBER\s*=\s*{_NUMBER};", left.build_info)
    assert re.search(rf'LLAMA_COMMIT\s*=\s*"{planned.stamp.commit}"', left.build_info)
    assert planned.stamp.commit != "unknown"

    assert planned.tests == _TESTS[version]
    for test in planned.tests:
        assert f"CMakeFiles/{test}.dir/" in left.commands, "network-free, and yet all there"


def test_default_architectures_are_compiled_for(site: Site) -> None:
    planned = site.plan(_NEWEST, architectures="default")
    left = site.configure(_NEWEST, planned)
    (shown,) = (it.shown for it in judge(planned, left.cache, left.log, left.commands) if it.subject == "architectures")
    for code in ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120", "compute_90"):
        assert code in shown


@pytest.mark.parametrize("version", ["0.2.85", _NEWEST])
def test_cpu_plan_is_configured_without_cuda(site: Site, version: str) -> None:
    planned = site.plan(version, variant=Variant.CPU)
    left = site.configure(version, planned)
    assert {it.subject for it in judge(planned, left.cache, left.log, left.commands)} == {"definitions", "targets"}
    assert ".cu.o" not in left.commands


def test_definitions_that_the_newest_tree_does_not_know(site: Site) -> None:
    """CMake names the made-up one and not the stale one: ggml's own files look at every GGML_ variable."""
    planned = site.plan(_NEWEST, definitions={"GGML_CUDA_F16": "ON", "FOO_BAR": "1"})
    left = site.configure(_NEWEST, planned)
    assert parse_unused(left.log) == ("FOO_BAR",)
    with pytest.raises(BuildError, match=r"does not know what it was given: GGML_CUDA_F16, FOO_BAR\."):
        judge(planned, left.cache, left.log, left.commands)


def test_configuring_for_another_cuda_release_is_noticed(site: Site) -> None:
    planned = site.plan(_NEWEST)
    left = site.configure(_NEWEST, planned)
    settings = Settings.model_validate({"build": {"architectures": "90", "cuda": "12.8"}})
    other = make_plan(site.tree(_NEWEST), settings, Variant.CUDA, planned.bases, "sha256:recipe")
    with pytest.raises(BuildError, match=r"CUDA 12\.8 was planned"):
        judge(other, left.cache, left.log, left.commands)


def test_tree_from_before_the_programs_names(site: Site) -> None:
    with pytest.raises(SourceError, match="does not build llama-server"):
        site.plan(_BEFORE_RENAMING)
