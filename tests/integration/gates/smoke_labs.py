"""Real servers that are broken in one way each, by a small library that is loaded before all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from builder.config import Config, load
from builder.console import Reporter
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.gate import Scene, Subject
from builder.gates.smoke.gate import judge_smoke
from builder.gates.verdict import Verdict
from builder.paths import Paths
from builder.process import Runner
from builder.profiles import profile
from tests.integration.gates.structure_labs import variation

SABOTAGE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static _Thread_local int asked_for_health, asked_for_text;
static const char *REFUSAL =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 37\r\nConnection: close\r\n\r\n"
    "{\"error\":{\"code\":500,\"message\":\"no\"}}";

static long wanted(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

__attribute__((constructor)) static void begin(void) {
    int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    if (strcmp(program_invocation_short_name, "llama-server")) return;
    if (wanted("HOLD")) mmap(0, wanted("HOLD"), PROT_READ | PROT_WRITE, how, -1, 0);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    ssize_t (*real)(int, void *, size_t, int) = dlsym(RTLD_NEXT, "recv");
    ssize_t got = real(fd, buffer, size, flags);
    if (got > 0 && memmem(buffer, got, "GET /health", 11)) asked_for_health = 1;
    if (got > 0 && memmem(buffer, got, "POST /completion", 16)) asked_for_text = 1;
    return got;
}

ssize_t send(int fd, const void *buffer, size_t size, int flags) {
    static long answers;
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    if (size < 9 || memcmp(buffer, "HTTP/1.1 ", 9)) return real(fd, buffer, size, flags);
    int health = asked_for_health;
    asked_for_health = 0;
    long number = health ? -1 : __atomic_add_fetch(&answers, 1, __ATOMIC_SEQ_CST);
    if (wanted("ABORT_AT") == number) abort();
    if (wanted("CRASH_AT") == number) *(volatile int *)0 = 1;
    if (wanted("LEAK")) memset(malloc(wanted("LEAK")), 1, wanted("LEAK"));
    if (asked_for_text && wanted("LATE")) usleep(1000 * wanted("LATE"));
    if (asked_for_text && wanted("REFUSE")) {
        asked_for_text = 0;
        real(fd, REFUSAL, strlen(REFUSAL), flags);
        shutdown(fd, SHUT_WR);
        return size;
    }
    if (!health || !wanted("UNWELL")) return real(fd, buffer, size, flags);
    char *copy = malloc(size);
    memcpy(copy, buffer, size);
    memcpy(copy + 9, "503", 3);
    ssize_t sent = real(fd, copy, size, flags);
    free(copy);
    return sent;
}

int bind(int fd, const struct sockaddr *address, socklen_t size) {
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    if (!wanted("OTHER_PORT") || address->sa_family != AF_INET) return real(fd, address, size);
    struct sockaddr_in other = *(const struct sockaddr_in *)address;
    other.sin_port = htons(wanted("OTHER_PORT"));
    return real(fd, (struct sockaddr *)&other, size);
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before) {
    int (*real)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
    return number == SIGTERM && wanted("DEAF") ? 0 : real(number, action, before);
}
"""


OLD_HELP = """#!/bin/sh
if [ "$1" = --help ]; then
    exec /opt/llama.cpp/llama-server --help 2>&1 | sed 's/-fa, *--flash-attn *\\[on|off|auto\\]/-fa, --flash-attn/'
fi
exec /opt/llama.cpp/llama-server "$@"
"""
"""A server that speaks of flash attention as those before the summer of 2025 do, and takes other words."""


def compile_sabotage(engine: Engine, devel: str, folder: Path, source: str = SABOTAGE) -> Path:
    """The library, compiled in an image with a compiler.

    Args:
        folder: where it goes; a build's context afterwards.
        source: in C.
    """
    script = "gcc -shared -fPIC -O1 -x c - -o /tmp/sabotage.so -ldl && cat /tmp/sabotage.so"
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "sh", devel, "-c", script]
    done = engine.ask(*words, stdin=source.encode(), timeout=120)
    assert done.returncode == 0, done.stderr
    library = folder / "sabotage.so"
    library.write_bytes(done.raw)
    library.chmod(0o755)
    return library


@contextmanager
def sabotaged(engine: Engine, base: str, library: Path, how: Mapping[str, int]) -> Iterator[Image]:
    """A real image whose server is broken.

    Args:
        how: `ABORT_AT` or `CRASH_AT` an answer, where those about health do not count; `LEAK` so many bytes with each,
            `HOLD` so many from the start, `UNWELL` for ever, listening on `OTHER_PORT`, `DEAF` for SIGTERM, `REFUSE` to
            complete with an error and status 200, so many milliseconds `LATE` with each answer from then on.
    """
    variables = " ".join(f"{name}={value}" for name, value in how.items())
    lines = f"COPY sabotage.so /opt/sabotage.so\nENV LD_PRELOAD=/opt/sabotage.so {variables}"
    with variation(engine, base, lines, library.parent) as image:
        yield image


def scene_for(engine: Engine, runner: Runner, folder: Path, changed: Mapping[str, object] | None = None) -> Scene:
    """What the gate works with.

    Args:
        changed: what the chat profile says otherwise than the built-in one.
    """
    return Scene(engine, runner, Reporter(), Paths.default(), _config(changed or {}), folder)


def judge(image: Image, scene: Scene, name: str = "chat", gpu_options: tuple[str, ...] = ()) -> Verdict:
    """The smoke gate's verdict."""
    subject = Subject(next(iter(image.references), image.id), image)
    return judge_smoke(subject, name, replace(scene, gpu_options=gpu_options))


def details(verdict: Verdict) -> Mapping[str, str]:
    """What each check says, by its name."""
    return {check.name: check.detail for check in verdict.checks}


def failures(verdict: Verdict) -> list[str]:
    """The names of the checks that did not pass."""
    return [check.name for check in verdict.checks if check.outcome != "pass"]


def _config(changed: Mapping[str, object]) -> Config:
    config = load(None, {})
    settings = config.settings.model_copy(
        update={"profiles": {**config.settings.profiles, "chat": profile("chat", **dict(changed))}}
    )
    return replace(config, settings=settings)
