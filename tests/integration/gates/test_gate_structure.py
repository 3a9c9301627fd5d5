"""The structure gate on real images, whole and broken, against ldd and cuobjdump."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.engine.throwaway import RUN, this_run
from builder.errors import MachineError
from builder.gates.structure.elf import read_binary
from builder.gates.structure.gate import judge_structure
from builder.gates.structure.loader import Loader
from builder.gates.structure.reading import read_image
from builder.gates.structure.shipped import LIST
from builder.gates.verdict import Check, Outcome, Verdict
from builder.image.bases import Choice
from builder.plan.marks import FOLDER, OWN
from builder.process import CommandTimeout, Runner
from tests.integration.engines import is_on_overlay, second_engine
from tests.integration.gates.structure_labs import (
    BROKEN,
    CUDA_BROKEN,
    codes_by_cuobjdump,
    fetch_cuobjdump,
    grouped,
    in_container,
    ldd,
    variation,
)

_ALLOWED = 120.0


@pytest.fixture(scope="session")
def cuobjdump(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = fetch_cuobjdump(runner, tmp_path_factory.mktemp("cuobjdump"))
    if found is None:
        pytest.skip("the package index does not give nvidia-cuda-cuobjdump")
    return found


def judge(engine: Engine, reference: str) -> Verdict:
    image = engine.image(reference)
    assert image is not None
    return judge_structure(image, engine)


def bad_checks(verdict: Verdict) -> Mapping[str, Check]:
    return {check.name: check for check in verdict.checks if check.outcome is not Outcome.PASS}


def test_a_real_cpu_image_passes(engine: Engine, cpu_image: str) -> None:
    verdict = judge(engine, cpu_image)
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.seconds < _ALLOWED
    assert len(verdict.checks) > 15
    assert verdict.measurements["size"] == pytest.approx(131e6, rel=0.5)


def test_a_real_cuda_image_passes_and_says_what_it_has_code_for(engine: Engine, cuda_image: Image) -> None:
    verdict = judge_structure(cuda_image, engine)
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.seconds < _ALLOWED
    assert verdict.measurements["code"] == "sm_90"


def test_an_image_in_containerds_store_passes(runner: Runner, engine: Engine, cpu_image: str) -> None:
    if is_on_overlay(Path(tempfile.gettempdir())):
        pytest.skip("the temporary folder is on an overlay file system, which cannot hold an engine's layers")
    with second_engine(runner, {"features": {"containerd-snapshotter": True}}) as second:
        with subprocess.Popen([*engine.command, "save", cpu_image], stdout=subprocess.PIPE) as saving:
            loading = subprocess.run([*second.command, "load"], stdin=saving.stdout, capture_output=True, check=False)
        assert (saving.returncode, loading.returncode) == (0, 0)
        verdict = judge(second, cpu_image)
        assert verdict.outcome is Outcome.PASS, verdict.reasons
        assert second.ask("ps", "--all", "--quiet").stdout == ""


def test_no_container_is_left_and_none_has_run(engine: Engine, cpu_image: str) -> None:
    run_id = this_run()
    image = engine.image(cpu_image)
    assert image is not None
    judge_structure(image, engine, run_id=run_id)
    assert engine.ask("ps", "--all", "--quiet", "--filter", f"label={RUN}={run_id}").stdout == ""


@pytest.mark.parametrize("problem", [KeyboardInterrupt, BrokenPipeError, ValueError])
def test_no_container_is_left_where_the_reader_gives_up(
    engine: Engine, cpu_image: str, problem: type[BaseException]
) -> None:
    run_id = this_run()

    def give_up(piece: bytes) -> None:
        assert piece
        raise problem

    with pytest.raises(problem):
        engine.export(cpu_image, give_up, timeout=60, run_id=run_id)
    assert engine.ask("ps", "--all", "--quiet", "--filter", f"label={RUN}={run_id}").stdout == ""


def test_no_container_is_left_where_time_is_up(engine: Engine, cpu_image: str) -> None:
    run_id = this_run()
    with pytest.raises(CommandTimeout):
        read_image(engine, cpu_image, timeout=0.3, run_id=run_id)
    assert engine.ask("ps", "--all", "--quiet", "--filter", f"label={RUN}={run_id}").stdout == ""


def test_an_image_that_is_gone_is_the_machines_error(engine: Engine) -> None:
    with pytest.raises(MachineError, match="did not hand over the files"):
        read_image(engine, "builder-test/structure:never-made", timeout=30)


def test_an_image_of_others_cannot_be_judged(engine: Engine, cpu_bases: Choice) -> None:
    verdict = judge(engine, cpu_bases.bases.runtime)
    assert verdict.outcome is Outcome.UNJUDGED
    assert f"no label {OWN}plan" in verdict.reasons[0]


def agree_with_ldd(engine: Engine, reference: str, folder: str, library_path: str = "") -> int:
    """Compare what we find for every file of a folder with what glibc finds; how many libraries that was."""
    files = read_image(engine, reference, timeout=120)
    theirs = ldd(engine, reference, folder)
    loader = Loader(files, library_path)
    ours = {}
    for path in theirs:
        process = loader.load(path)
        found = {**process.paths, **{one.name: "not found" for one in process.missing}}
        ours[path] = {name: place for name, place in found.items() if not name.startswith("ld-linux")}
    assert ours == theirs
    return sum(map(len, theirs.values()))


def test_libraries_are_found_where_glibc_finds_them(engine: Engine, cpu_image: str) -> None:
    assert agree_with_ldd(engine, cpu_image, FOLDER) > 100


def test_libraries_of_a_cuda_image_are_found_where_glibc_finds_them(engine: Engine, cuda_image: Image) -> None:
    assert agree_with_ldd(engine, cuda_image.id, FOLDER) > 100


def test_every_way_of_finding_a_library_is_glibcs(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path: Path
) -> None:
    """RPATH and its inheritance, RUNPATH, LD_LIBRARY_PATH, links, another machine's file, ldconfig done and not."""
    (tmp_path / "lab.sh").write_text(_LAB)
    script = "cp -r /w/lab.sh /tmp/lab.sh && bash /tmp/lab.sh /w/lab && chmod -R a+rX /w/lab"
    in_container(engine, cpu_bases.bases.devel, script, "--volume", f"{tmp_path}:/w")
    lab = f"{FOLDER}/lab"
    path = f"{lab}/wrong:{lab}/environment"
    configure = f"cd /etc/ld.so.conf.d && echo {lab}/configured > a.conf && ldconfig && echo {lab}/late > b.conf"
    lines = f"COPY lab /\nRUN {configure}\nENV LD_LIBRARY_PATH={path}"
    with variation(engine, cpu_image, lines, tmp_path) as image:
        assert agree_with_ldd(engine, image.id, f"{lab}/programs", path) > 10
        loader = Loader(read_image(engine, image.id, timeout=60), path)
        late = loader.load(f"{lab}/programs/late").missing
    assert [(one.name, "run ldconfig" in one.why) for one in late] == [("liblate.so", True)]


_LAB = r"""
set -eu
out=$1/opt/llama.cpp/lab
mkdir -p "$out"/{programs,rpath,runpath,environment,configured,late,wrong,deep}
cd /tmp
echo 'int x(void) { return 1; }' > x.c
echo 'int main(void) { return 0; }' > main.c
options="-Wl,--no-as-needed -Wl,--unresolved-symbols=ignore-all"
lib() {
  file=$1/$2
  soname=$2
  shift 2
  gcc -shared -fPIC $options -Wl,-soname,"$soname" -o "$out/$file" x.c "$@"
}
program() {
  name=$1
  shift
  gcc $options -o "$out/programs/$name" main.c "$@"
}

for place in rpath runpath environment configured; do lib $place libwhere.so; done
lib late liblate.so
lib configured libconfigured.so
cp "$out/environment/libwhere.so" "$out/wrong/libwhere.so"
printf '\xb7\x00' | dd of="$out/wrong/libwhere.so" bs=1 seek=18 conv=notrunc 2> /dev/null
lib deep libdeep.so "$out/environment/libwhere.so"
ln -s ../deep/libdeep.so "$out/rpath/libdeep.so"
lib runpath libown.so "$out/environment/libwhere.so" -Wl,--enable-new-dtags,-rpath,'$ORIGIN'

w="$out/environment/libwhere.so"
program rpath "$w" -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../rpath'
program runpath "$w" -Wl,--enable-new-dtags,-rpath,'${ORIGIN}/../runpath'
program plain "$w"
program configured "$out/configured/libconfigured.so"
program late "$out/late/liblate.so"
program inherited "$out/deep/libdeep.so" -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../rpath'
program not-inherited "$out/deep/libdeep.so" -Wl,--enable-new-dtags,-rpath,'$ORIGIN/../deep'
program own "$out/runpath/libown.so" -Wl,--disable-new-dtags,-rpath,'$ORIGIN/../runpath:$ORIGIN/../rpath'
program token "$w" -Wl,--disable-new-dtags,-rpath,'/usr/$LIB/none:/opt/llama.cpp/lab/./rpath/../rpath'
"""


@pytest.mark.parametrize("cases", grouped(BROKEN), ids="; ".join)
def test_what_is_broken_is_found_and_named(engine: Engine, cpu_image: str, cases: tuple[str, ...]) -> None:
    lines = "\n".join(BROKEN[case][0] for case in cases)
    with variation(engine, cpu_image, lines) as image:
        verdict = judge_structure(image, engine)
    assert verdict.outcome is Outcome.FAIL
    assert "hush" not in str(verdict)
    for _, name, words in map(BROKEN.__getitem__, cases):
        check = bad_checks(verdict)[name]
        assert check.outcome is Outcome.FAIL
        assert words in check.detail
        assert check.detail in verdict.reasons


def test_an_image_without_the_list_of_its_files_cannot_be_judged(engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, f"RUN rm {LIST}") as image:
        found = bad_checks(judge_structure(image, engine))
    assert {name: check.outcome for name, check in found.items()} == {"shipped": Outcome.UNJUDGED}
    assert "Build it again" in found["shipped"].detail


@pytest.mark.parametrize("user", ["root", "0", "0:10001", "toor", '""'])
def test_a_server_that_would_run_as_root_is_found(engine: Engine, cpu_image: str, user: str) -> None:
    lines = f"USER root\nRUN echo toor:x:0:0::/:/bin/sh >> /etc/passwd\nUSER {user}"
    with variation(engine, cpu_image, lines, root=False) as image:
        check = bad_checks(judge_structure(image, engine))["user"]
    assert "runs as root" in check.detail


def test_a_user_without_an_entry_is_found(engine: Engine, cpu_image: str) -> None:
    with variation(engine, cpu_image, "USER llama", root=False) as image:
        check = bad_checks(judge_structure(image, engine))["user"]
    assert "llama is not in the image's /etc/passwd" in check.detail


def test_programs_that_the_base_has_with_rights_are_not_blamed_on_the_image(
    engine: Engine, cpu_image: str, cpu_bases: Choice
) -> None:
    lines = "RUN cp /bin/cat /usr/bin/special && chmod 4755 /usr/bin/special"
    with variation(engine, cpu_bases.bases.runtime, lines) as base, variation(engine, cpu_image, lines) as image:
        edit = f"""RUN sed -i 's/"runtime": "sha256:.*"/"runtime": "{base.id}"/' {FOLDER}/build.json"""
        with variation(engine, image.references[0], edit) as told:
            assert "/usr/bin/special" in bad_checks(judge_structure(image, engine))["rights"].detail
            assert "rights" not in bad_checks(judge_structure(told, engine))


def test_a_symbol_version_that_no_library_defines_is_found(
    engine: Engine, cpu_image: str, cpu_bases: Choice, tmp_path: Path
) -> None:
    (tmp_path / "make.sh").write_text(_TOO_NEW)
    in_container(engine, cpu_bases.bases.devel, "bash /w/make.sh", "--volume", f"{tmp_path}:/w")
    with variation(engine, cpu_image, f"COPY libggml-too-new.so {FOLDER}/", tmp_path) as image:
        verdict = judge_structure(image, engine)
        said = in_container(engine, image.id, f"ldd {FOLDER}/libggml-too-new.so 2>&1 || true")
    assert "version `GLIBC_2.99' not found" in said
    check = bad_checks(verdict)["symbol-versions"]
    assert f"{FOLDER}/libggml-too-new.so needs GLIBC_2.99, which " in check.detail
    assert "libc.so.6 does not define" in check.detail


_TOO_NEW = r"""
set -eu
cd /tmp
echo 'int tomorrow(void) { return 1; }' > libc.c
echo 'GLIBC_2.99 { global: tomorrow; };' > libc.map
gcc -shared -fPIC -nostdlib -Wl,-soname,libc.so.6 -Wl,--version-script=libc.map -o future-libc.so libc.c
echo 'int tomorrow(void); int today(void) { return tomorrow(); }' > user.c
gcc -shared -fPIC -nostdlib -o /w/libggml-too-new.so user.c ./future-libc.so
chmod 755 /w/libggml-too-new.so
"""


@pytest.mark.parametrize("cases", grouped(CUDA_BROKEN), ids="; ".join)
def test_what_is_broken_for_gpus_is_found_and_named(engine: Engine, cuda_image: Image, cases: tuple[str, ...]) -> None:
    lines = "\n".join(CUDA_BROKEN[case][0] for case in cases)
    with variation(engine, cuda_image.references[0], lines) as image:
        found = bad_checks(judge_structure(image, engine))
    for _, name, words in map(CUDA_BROKEN.__getitem__, cases):
        assert found[name].outcome is Outcome.FAIL
        assert words in found[name].detail


def test_gpu_code_is_what_cuobjdump_says(
    engine: Engine, runner: Runner, cuda_image: Image, cuobjdump: Path, tmp_path: Path
) -> None:
    in_container(
        engine,
        cuda_image.id,
        f"cp {FOLDER}/libggml-cuda.so {FOLDER}/libcublas.so.13 /w/ && chmod a+r /w/*",
        *("--volume", f"{tmp_path}:/w"),
    )
    for library in tmp_path.iterdir():
        assert our_codes(library) == codes_by_cuobjdump(runner, cuobjdump, library) != set()


def test_gpu_code_of_every_kind_is_what_cuobjdump_says(
    engine: Engine, runner: Runner, cuda_devel: str, cuobjdump: Path, tmp_path: Path
) -> None:
    (tmp_path / "kernel.cu").write_text("__global__ void add(float *x) { x[threadIdx.x] += 1.0f; }\n")
    (tmp_path / "make.sh").write_text(_FAT)
    in_container(engine, cuda_devel, "bash /w/make.sh", "--volume", f"{tmp_path}:/w", timeout=300)
    libraries = sorted(tmp_path.glob("*.so"))
    assert len(libraries) == 4
    for library in libraries:
        assert our_codes(library) == codes_by_cuobjdump(runner, cuobjdump, library) != set()
    assert our_codes(tmp_path / "mixed.so") == {"sm_86", "sm_90", "sm_90a", "sm_120a", "compute_90", "compute_120a"}


_FAT = r"""
set -eu
cd /w
make() {
  name=$1
  shift
  nvcc -shared -Xcompiler -fPIC -cudart none -Xlinker --unresolved-symbols=ignore-all -o "$name" kernel.cu "$@"
}
make mixed.so -gencode=arch=compute_86,code=sm_86 -gencode=arch=compute_90a,code=sm_90a \
  -gencode=arch=compute_120a,code=[sm_120a,compute_120a] -gencode=arch=compute_90,code=[sm_90,compute_90]
make plain.so -gencode arch=compute_100,code=sm_100 -gencode=arch=compute_120,code=[sm_120,compute_120] \
  -gencode=arch=compute_103a,code=sm_103a -gencode=arch=compute_100f,code=compute_100f
make relocatable.so -rdc=true -gencode=arch=compute_90,code=[sm_90,compute_90] -gencode=arch=compute_86,code=sm_86
make uncompressed.so --no-compress -gencode=arch=compute_75,code=sm_75 -gencode=arch=compute_90,code=compute_90
chmod a+r ./*.so
"""


def our_codes(library: Path) -> set[str]:
    with library.open("rb") as file:
        return set(map(str, read_binary(file, library.stat().st_size).code))
