"""Images that are broken in one way each, made from a real one, and what NVIDIA's and glibc's own tools say of them."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from builder.engine.client import Engine
from builder.engine.images import Image
from builder.plan.marks import FOLDER, OWN, STANDARD
from builder.process import Runner

_LDD = re.compile(r"^\t(\S+) => (not found|\S+)", re.MULTILINE)
_LISTED = re.compile(r"\.(sm_\d+[af]?)\.(cubin|ptx)$", re.MULTILINE)


BROKEN: Mapping[str, tuple[str, str, str]] = {
    "a library deleted": (f"RUN rm {FOLDER}/libllama.so.0", "libraries", "missing from the image: libllama.so.0"),
    "a library of the base deleted": (
        "RUN find / -xdev -name 'libgomp.so.1*' -delete",
        "libraries",
        "libgomp.so.1",
    ),
    "a library cut off": (f"RUN truncate -s 100000 {FOLDER}/libllama.so.0", "binaries", "cut off"),
    "a library that is text": (f"RUN echo hello > {FOLDER}/libllama.so.0", "binaries", "it is no ELF file"),
    "a library for another machine": (
        f"RUN printf '\\267\\0' | dd of={FOLDER}/libggml-cpu-x64.so bs=1 seek=18 conv=notrunc",
        "binaries",
        "libggml-cpu-x64.so is for 64-bit AArch64",
    ),
    "a needed library for another machine": (
        f"RUN printf '\\267\\0' | dd of={FOLDER}/libggml-base.so.0 bs=1 seek=18 conv=notrunc",
        "libraries",
        "libggml-base.so.0 is for 64-bit AArch64, not for 64-bit x86-64",
    ),
    "a stub of the driver": ("RUN touch /usr/lib/libcuda.so.1", "driver", "/usr/lib/libcuda.so.1"),
    "a library put before others": ("RUN echo /lib/x.so > /etc/ld.so.preload", "preload", "/etc/ld.so.preload"),
    "the same by the environment": ("ENV LD_PRELOAD=/x.so", "preload", "LD_PRELOAD"),
    "no loader": ("RUN rm /lib64/ld-linux-x86-64.so.2", "interpreter", "/lib64/ld-linux-x86-64.so.2"),
    "labels of a base": (
        f"LABEL {STANDARD}version=24.04 {STANDARD}ref.name=ubuntu",
        "labels",
        "version is '24.04', the record says",
    ),
    "a label that nobody here sets": (f"LABEL {STANDARD}foo=bar", "foreign-labels", f"{STANDARD}foo"),
    "a label that is not true": (f"LABEL {OWN}build-number=99999", "labels", "build-number is '99999'"),
    "a record that was changed": (
        f"RUN sed -i 's/GGML_NATIVE/GGML_NATURE/' {FOLDER}/build.json",
        "record",
        "contradicts itself",
    ),
    "no record": (f"RUN rm {FOLDER}/build.json", "record", "holds no build record"),
    "a record that is no JSON": (f"RUN echo '[' > {FOLDER}/build.json", "record", "cannot be read"),
    "labels that say cuda": (f"LABEL {OWN}variant=cuda", "cuda-library", "no library of the image is for GPUs"),
    "another entry point": ('ENTRYPOINT ["sh"]', "entry-point", "not llama-server"),
    "arguments from the image": ('CMD ["--port", "1"]', "entry-point", "given arguments"),
    "a server off PATH": ("RUN rm /usr/local/bin/llama-server", "entry-point", "on PATH"),
    "a server that may not be executed": (f"RUN chmod 644 {FOLDER}/llama-server", "entry-point", "be executed"),
    "another server first on PATH": (
        "RUN cp /bin/true /usr/local/sbin/llama-server",
        "entry-point",
        "/usr/local/sbin/llama-server",
    ),
    "no curl": ("RUN rm /usr/bin/curl", "curl", "no curl on PATH"),
    "a curl that is a script": (
        "RUN printf '#!/bin/sh\\necho 200\\n' > /usr/bin/curl",
        "curl",
        "/usr/bin/curl is no curl: it is no ELF file",
    ),
    "a curl without its library": ("RUN find / -xdev -name 'libcurl*.so*' -delete", "curl", "the image lacks libcurl"),
    "no health check": ("HEALTHCHECK NONE", "health-check", "NONE"),
    "a health check that is always well": (
        "RUN printf '#!/bin/sh\\nexit 0\\n' > /usr/local/bin/llama-health",
        "health-check",
        "/health",
    ),
    "no shell for the health check": ("RUN rm /bin/sh", "health-check", "cannot be started: ['/bin/sh']"),
    "a server that is a script": (
        f"RUN printf '#!/bin/sh\\n' > {FOLDER}/llama-server",
        "binaries",
        "llama-server: it is no ELF file",
    ),
    "a GPU hidden by a variable": ("ENV CUDA_VISIBLE_DEVICES=", "environment", "CUDA_VISIBLE_DEVICES="),
    "graphs turned off by a variable": ("ENV GGML_CUDA_DISABLE_GRAPHS=1", "environment", "GGML_CUDA_DISABLE_GRAPHS=1"),
    "layers kept from the GPU": ("ENV LLAMA_ARG_N_GPU_LAYERS=0", "environment", "LLAMA_ARG_N_GPU_LAYERS=0"),
    "stopped by SIGKILL": ("STOPSIGNAL SIGKILL", "stop-signal", "SIGKILL"),
    "a home that the server may not write to": ("RUN chown 0:0 /var/lib/llama", "home", "/var/lib/llama"),
    "GPUs asked for by the CPU variant": ("ENV NVIDIA_VISIBLE_DEVICES=all", "gpu-access", "asks for GPUs"),
    "set-user-ID": ("RUN cp /bin/cat /usr/local/bin/cat && chmod 4755 /usr/local/bin/cat", "rights", "local/bin/cat"),
    "set-group-ID on the server": (f"RUN chmod 2755 {FOLDER}/llama-server", "rights", f"{FOLDER}/llama-server"),
    "files that all may write": (f"RUN chmod 666 {FOLDER}/libllama.so.0", "changeable", "libllama.so.0"),
    "files of the server's user": (f"RUN chown 10001 {FOLDER}/llama-bench", "changeable", "llama-bench"),
    "a program put in the place of the base's": (
        "RUN cp /bin/cat /usr/bin/su && chmod 4755 /usr/bin/su",
        "rights",
        "/usr/bin/su",
    ),
    "a health check that the server may change": (
        "RUN chmod 757 /usr/local/bin/llama-health",
        "changeable",
        "The server may change what is not its own: /usr/local/bin/llama-health",
    ),
    "a folder of programs that the server may fill": ("RUN chown 10001 /usr/local/bin", "changeable", "/usr/local/bin"),
    "a library that lies where the server may change it": (
        f"RUN cd {FOLDER} && mv libllama.so.0 /srv && ln -s /srv/libllama.so.0 && chown 10001 /srv/*",
        "changeable",
        "/srv/libllama.so.0",
    ),
    "no backend for any processor": (f"RUN rm {FOLDER}/libggml-cpu-*.so", "shipped", f"missing: {FOLDER}/libggml-cpu-"),
    "a backend in another's place": (
        f"RUN cd {FOLDER} && cp libggml-cpu-x64.so libggml-cpu-haswell.so",
        "shipped",
        f"changed: {FOLDER}/libggml-cpu-haswell.so",
    ),
    "zeros in a backend": (
        f"RUN dd if=/dev/zero of={FOLDER}/libggml-cpu-haswell.so bs=4096 seek=20 count=8 conv=notrunc",
        "shipped",
        f"changed: {FOLDER}/libggml-cpu-haswell.so",
    ),
    "a health check with words more": (
        "RUN echo '# more' >> /usr/local/bin/llama-health",
        "shipped",
        "changed: /usr/local/bin/llama-health",
    ),
    "a backend put beside": (
        f"RUN cp {FOLDER}/libggml-cpu-x64.so {FOLDER}/libggml-evil.so",
        "shipped",
        f"added: {FOLDER}/libggml-evil.so",
    ),
    "a program deleted": (f"RUN rm {FOLDER}/llama-bench", "shipped", f"missing: {FOLDER}/llama-bench"),
    "a library that nobody may read": (
        f"RUN chmod 000 {FOLDER}/libggml-base.so.0",
        "usable",
        f"may not read {FOLDER}/libggml-base.so.0",
    ),
    "a folder that the server may not enter": (f"RUN chmod 700 {FOLDER}", "usable", f"enter {FOLDER}"),
    "a program that nobody may execute": (
        f"RUN chmod 644 {FOLDER}/llama-bench",
        "usable",
        f"execute {FOLDER}/llama-bench",
    ),
    "a volume": (f"VOLUME {FOLDER}", "extras", f"volume {FOLDER}"),
    "an instruction for images from it": ("ONBUILD USER root", "extras", "ONBUILD USER."),
    "another port": ("EXPOSE 22", "extras", "port 22/tcp"),
    "a health check once a day": (
        'HEALTHCHECK --interval=24h --timeout=5s --start-period=60s --retries=2 CMD ["llama-health"]',
        "health-check",
        "Interval 86400 s, not 15 s",
    ),
    "a token in the environment": ("ENV HF_TOKEN=hf_abc", "secrets", "environment variable HF_TOKEN"),
    "a password in a label": ("LABEL proxy=http://me:hush@proxy.example", "secrets", "label proxy"),
    "a password in the history": ("RUN DB_PASSWORD=hush true", "secrets", "(DB_PASSWORD)"),
    "a private key": (
        "RUN printf -- '-----BEGIN RSA PRIVATE KEY-----\\n' > /root/key.pem",
        "secrets",
        "file /root/key.pem",
    ),
    "a token in a file": (
        "RUN echo token = ghp_0123456789abcdefghijABCD > /etc/app.conf",
        "secrets",
        "file /etc/app.conf",
    ),
    "a password in an address in a file": (
        "RUN mkdir /models && echo see https://me:hush@models.example > /models/notes",
        "secrets",
        "file /models/notes",
    ),
    "a token that a later layer hides": (
        "RUN echo token = ghp_0123456789abcdefghijABCD > /etc/gone\nRUN rm /etc/gone",
        "secrets",
        "file /etc/gone, which a later layer hides",
    ),
    "a password given to a command": ("RUN true --password hush", "secrets", "of the history"),
    "credentials by name": ("RUN echo machine > /var/lib/llama/.netrc", "secrets", "file /var/lib/llama/.netrc"),
}
"""By case: lines of a Dockerfile, the check that fails, and words of what it says."""

CUDA_BROKEN: Mapping[str, tuple[str, str, str]] = {
    "the CUDA library deleted": (f"RUN rm {FOLDER}/libggml-cuda.so", "cuda-library", "no library of the image"),
    "libcudart deleted": (f"RUN rm {FOLDER}/libcudart.so.13", "libraries", "missing from the image: libcudart.so.13"),
    "another architecture asked for": (
        f"LABEL {OWN}architectures=86-real",
        "machine-code",
        "libggml-cuda.so holds code for sm_90 only; asked for was sm_86: ",
    ),
    "PTX asked for": (
        f"LABEL {OWN}architectures=90",
        "machine-code",
        "holds code for sm_90 only; asked for was sm_90 with PTX: ",
    ),
    "no GPUs asked for": ("ENV NVIDIA_VISIBLE_DEVICES=void", "gpu-access", "asks for none"),
    "the driver not asked for": ("ENV NVIDIA_DRIVER_CAPABILITIES=video", "gpu-access", "'video'"),
    "labels that say cpu": (f"LABEL {OWN}variant=cpu", "cuda-library", "libggml-cuda.so is for GPUs"),
}
"""The same for images of the CUDA variant."""

_ALONE = frozenset(
    {"binaries", "cuda-library", "entry-point", "health-check", "interpreter", "libraries", "machine-code", "record"}
)
"""Checks that fail by what would take other cases' ground away."""


def grouped(cases: Mapping[str, tuple[str, str, str]]) -> list[tuple[str, ...]]:
    """Cases that one image can be broken by at once, for each fails another check."""
    groups: list[list[str]] = []
    for case, (_, check, _) in cases.items():
        free = [group for group in groups if check not in {cases[other][1] for other in group} | _ALONE]
        room = next((group for group in free if not _ALONE & {cases[other][1] for other in group}), None)
        if room is None:
            groups.append([case])
        else:
            room.append(case)
    return [tuple(group) for group in groups]


@contextmanager
def variation(
    engine: Engine, base: str, lines: str, files: Path | None = None, *, root: bool = True
) -> Iterator[Image]:
    """An image made from another by lines of a Dockerfile; it is removed afterwards.

    Args:
        files: the build's context.
        root: whether the lines are for root; the user is then set back.
    """
    tag = f"builder-test/structure:{uuid4().hex[:12]}"
    user = ("USER root\n", "\nUSER 10001:10001\n") if root else ("", "\n")
    text = f"FROM {base}\n{user[0]}{lines}{user[1]}"
    context = ["--file", "-", str(files)] if files else ["-"]
    done = engine.ask("build", "--network", "none", "--tag", tag, *context, stdin=text.encode(), timeout=300)
    assert done.returncode == 0, done.stderr
    image = engine.image(tag)
    assert image is not None
    try:
        yield image
    finally:
        engine.ask("image", "rm", tag, timeout=60)


def in_container(engine: Engine, image: str, script: str, *options: str, timeout: float = 120) -> str:
    """What a shell script prints in a container."""
    words = ["run", "--rm", "--network", "none", "--user", "0", *options, "--entrypoint", "sh", image, "-c", script]
    done = engine.ask(*words, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ldd(engine: Engine, image: str, folder: str) -> Mapping[str, Mapping[str, str]]:
    """Where glibc finds what each file of a folder needs, by file and by name; `not found` where it does not."""
    script = f'for file in {folder}/*; do echo "== $file"; ldd "$file" 2>&1 || true; done'
    parts = in_container(engine, image, script).split("== ")[1:]
    split = [part.partition("\n") for part in parts]
    return {file: dict(_LDD.findall(output)) for file, _, output in split if "not a dynamic" not in output}


def fetch_cuobjdump(runner: Runner, folder: Path) -> Path | None:
    """NVIDIA's cuobjdump from its wheel; None where the package index has it not."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--ignore-installed"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--no-deps", "--target", str(folder)]
    done = runner.run([*command, "nvidia-cuda-cuobjdump"], timeout=300)
    found = next(folder.rglob("cuobjdump"), None) if not done.returncode else None
    if found:
        found.chmod(found.stat().st_mode | stat.S_IXUSR)
    return found


def codes_by_cuobjdump(runner: Runner, cuobjdump: Path, library: Path) -> set[str]:
    """What cuobjdump lists, in nvcc's words, such as `sm_90` and `compute_90`."""
    listing = "".join(
        runner.run([str(cuobjdump), option, str(library)], timeout=120).stdout
        for option in ("--list-elf", "--list-ptx")
    )
    prefixes = {"cubin": "sm", "ptx": "compute"}
    return {f"{prefixes[form]}_{name.removeprefix('sm_')}" for name, form in _LISTED.findall(listing)}
