"""Real test programs in which the CPU goes by the name of a GPU, and computes wrongly in one way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from builder.config import Config
from builder.engine.client import Engine
from builder.engine.images import Image
from builder.gates.correctness.tests_image import Programs, find_programs
from builder.gates.gate import Scene
from builder.gates.serving.trial import Trial
from builder.plan.marks import OWN
from builder.server.profile import model_of
from tests.integration.gates.structure_labs import variation

GPU = ("--env", "A_GPU=given")
"""Options that stand for those which hand a container its GPU."""

SABOTAGE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef bool (*Callback)(int, void *, void *, void *);
typedef bool (*Compare)(void *, void *, void *, Callback, void *, const void *, size_t);
struct Wrapped { Callback callback; void *data; };

const char *ggml_op_desc(const void *) __attribute__((weak));
void ggml_backend_tensor_get(const void *, void *, size_t, size_t) __attribute__((weak));
void ggml_backend_tensor_set(void *, const void *, size_t, size_t) __attribute__((weak));

static bool is(const char *name, const void *tensor) {
    const char *wanted = getenv(name);
    return wanted && !strcmp(wanted, ggml_op_desc(tensor));
}

static const char *alias(const char *name) {
    return getenv("ALIAS") && !strcmp(name, "CPU") ? getenv("ALIAS") : name;
}

const char *ggml_backend_dev_name(void *device) {
    return alias(((const char *(*)(void *))dlsym(RTLD_NEXT, "ggml_backend_dev_name"))(device));
}

const char *ggml_backend_name(void *backend) {
    return alias(((const char *(*)(void *))dlsym(RTLD_NEXT, "ggml_backend_name"))(backend));
}

bool ggml_backend_supports_op(void *backend, const void *tensor) {
    if (is("REFUSED", tensor)) return false;
    return ((bool (*)(void *, const void *))dlsym(RTLD_NEXT, "ggml_backend_supports_op"))(backend, tensor);
}

static bool spoil(int index, void *mine, void *other, void *data) {
    struct Wrapped *wrapped = data;
    if (is("ABORTED", mine)) abort();
    if (is("SLOW", mine)) sleep(2);
    if (is("WRONG", mine) || is("NAN", mine)) {
        float value;
        ggml_backend_tensor_get(mine, &value, 0, sizeof value);
        value = is("NAN", mine) ? NAN : value + 1000;
        ggml_backend_tensor_set(mine, &value, 0, sizeof value);
    }
    return wrapped->callback(index, mine, other, wrapped->data);
}

bool ggml_backend_compare_graph_backend(
    void *mine, void *other, void *graph, Callback callback, void *data, const void *nodes, size_t count) {
    Compare real = (Compare)dlsym(RTLD_NEXT, "ggml_backend_compare_graph_backend");
    struct Wrapped wrapped = {callback, data};
    return real(mine, other, graph, spoil, &wrapped, nodes, count);
}

float *llama_get_logits_ith(void *context, int index) {
    static void *first;
    float *logits = ((float *(*)(void *, int))dlsym(RTLD_NEXT, "llama_get_logits_ith"))(context, index);
    const char *factor = getenv("FACTOR");
    if (!first) first = context;
    if (factor && context != first && logits) logits[0] *= atof(factor);
    return logits;
}
"""
_PRELOADED = "COPY sabotage.so /opt/sabotage.so\nCOPY ld.so.preload /etc/ld.so.preload"


def compile_library(engine: Engine, devel: str, folder: Path) -> Path:
    """SABOTAGE as a library, compiled in an image with a compiler.

    Args:
        folder: where it goes; a build's context afterwards.
    """
    script = "gcc -shared -fPIC -O1 -x c - -o /tmp/sabotage.so && cat /tmp/sabotage.so"
    words = ["run", "--rm", "--interactive", "--network", "none", "--entrypoint", "sh", devel, "-c", script]
    done = engine.ask(*words, stdin=SABOTAGE.encode(), timeout=120)
    assert done.returncode == 0, done.stderr
    library = folder / "sabotage.so"
    library.write_bytes(done.raw)
    library.chmod(0o755)
    (folder / "ld.so.preload").write_text("/opt/sabotage.so\n", encoding="utf-8")
    return library


def programs_of(engine: Engine, judged: Image) -> Programs:
    """The test programs that were built with an image."""
    found = find_programs(judged, engine)
    assert isinstance(found, Programs), found
    return found


@contextmanager
def sabotaged(engine: Engine, programs: Programs, library: Path, how: Mapping[str, str]) -> Iterator[Programs]:
    """The same programs, whose device is called `ALIAS` and computes an operation wrongly.

    Args:
        how: `ALIAS` for the CPU; an operation that is `WRONG`, `NAN`, `REFUSED`, `ABORTED` or `SLOW`; the `FACTOR` by
            which probabilities of all models but the first are off.
    """
    variables = "".join(f"\nENV {name}={value}" for name, value in how.items())
    with variation(engine, programs.image.references[0], _PRELOADED + variables, library.parent) as image:
        yield Programs(image, programs.names)


@contextmanager
def standin(engine: Engine, programs: Programs, folder: Path, script: str) -> Iterator[Programs]:
    """An image whose `test-backend-ops` is a shell script, for what no program of this machine prints."""
    file = folder / "test-backend-ops"
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    lines = "COPY test-backend-ops /opt/llama.cpp/test-backend-ops"
    with variation(engine, programs.image.references[0], lines, folder) as image:
        yield Programs(image, programs.names)


def trials_of(image: Image, scene: Scene, config: Config, *, on_gpu: bool) -> list[Trial]:
    """Both profiles of an image, which is one for the GPU where that is asked for."""
    variant = {f"{OWN}variant": "cuda" if on_gpu else "cpu"}
    judged = replace(image, labels={**image.labels, **variant})
    return [
        Trial(judged, profile, model_of(name, config, scene.paths.models, print), GPU if on_gpu else ())
        for name, profile in config.settings.profiles.items()
    ]
